//! The four requests that a run makes of each CRM, as templates. `describe` asks for exactly these, and a run writes
//! its requests from the same text: what is asked for and what is sent cannot drift apart.

use crate::provider::Provider;

/// A kind of request.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// Whether it writes.
    pub writes: bool,
    /// `GET`, `POST` or `PATCH`.
    pub method: &'static str,
    /// Path template below the base URL.
    pub path: &'static str,
    /// The query key that lists field names.
    pub query: Option<&'static str>,
    /// Headers beside `accept` and `content-type`.
    pub headers: &'static [(&'static str, &'static str)],
    /// Body template.
    pub body: BodyForm,
}

/// The form of a body.
#[derive(Clone, Copy, Debug)]
pub enum BodyForm {
    /// No body.
    None,
    /// One record.
    One(&'static str),
    /// Several records.
    Many {
        /// Before the first.
        open: &'static str,
        /// Each of them.
        item: &'static str,
        /// After the last.
        close: &'static str,
        /// Most in one request.
        max: u32,
    },
}

/// All requests of one CRM.
#[derive(Clone, Copy, Debug)]
pub struct Routes {
    /// Updates one record.
    pub update_one: Route,
    /// Updates several.
    pub update_many: Route,
    /// Reads several.
    pub read_many: Route,
    /// Reads one.
    pub read_one: Route,
}

impl Routes {
    /// The requests of a provider.
    pub fn of(provider: Provider) -> &'static Routes {
        match provider {
            Provider::HubSpot => &HUBSPOT,
            Provider::Salesforce => &SALESFORCE,
        }
    }

    /// In the order in which they are asked for.
    pub fn all(&self) -> [&Route; 4] {
        [&self.update_many, &self.update_one, &self.read_many, &self.read_one]
    }
}

/// crm-apis A3 to A5. Never with `idProperty`: ids are record ids.
static HUBSPOT: Routes = Routes {
    update_one: Route {
        writes: true,
        method: "PATCH",
        path: "${objects_path}/${object}/${id}",
        query: None,
        headers: &[],
        body: BodyForm::One(r#"{"properties":${fields}}"#),
    },
    update_many: Route {
        writes: true,
        method: "POST",
        path: "${objects_path}/${object}/batch/update",
        query: None,
        headers: &[],
        body: BodyForm::Many { open: r#"{"inputs":["#, item: r#"{"id":"${id}","properties":${fields}}"#, close: "]}", max: 100 },
    },
    read_many: Route {
        writes: false,
        method: "POST",
        path: "${objects_path}/${object}/batch/read",
        query: None,
        headers: &[],
        body: BodyForm::Many { open: r#"{"properties":${names},"inputs":["#, item: r#"{"id":"${id}"}"#, close: "]}", max: 100 },
    },
    read_one: Route {
        writes: false,
        method: "GET",
        path: "${objects_path}/${object}/${id}",
        query: Some("properties"),
        headers: &[],
        body: BodyForm::None,
    },
};

/// Without it an update may run assignment rules and hand the record to another owner (crm-apis B7).
pub(crate) const NO_ASSIGNMENT: &[(&str, &str)] = &[("Sforce-Auto-Assign", "FALSE")];

/// crm-apis B2 and B4.
static SALESFORCE: Routes = Routes {
    update_one: Route {
        writes: true,
        method: "PATCH",
        path: "/services/data/${api_version}/sobjects/${object}/${id}",
        query: None,
        headers: NO_ASSIGNMENT,
        body: BodyForm::One("${fields}"),
    },
    update_many: Route {
        writes: true,
        method: "PATCH",
        path: "/services/data/${api_version}/composite/sobjects",
        query: None,
        headers: NO_ASSIGNMENT,
        body: BodyForm::Many {
            open: r#"{"allOrNone":false,"records":["#,
            item: r#"{"attributes":{"type":"${object}"},"id":"${id}",${members}}"#,
            close: "]}",
            max: 200,
        },
    },
    read_many: Route {
        writes: false,
        method: "POST",
        path: "/services/data/${api_version}/composite/sobjects/${object}",
        query: None,
        headers: &[],
        body: BodyForm::Many { open: r#"{"ids":["#, item: r#""${id}""#, close: r#"],"fields":${names}}"#, max: 2000 },
    },
    read_one: Route {
        writes: false,
        method: "GET",
        path: "/services/data/${api_version}/sobjects/${object}/${id}",
        query: Some("fields"),
        headers: &[],
        body: BodyForm::None,
    },
};
