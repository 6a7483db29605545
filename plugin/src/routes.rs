//! The requests that are made of each CRM, as templates. `describe` asks for exactly these, and a run writes
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
    /// The same, if the record was not modified since a date, where the CRM can tell.
    pub update_one_unmodified: Option<Route>,
    /// Updates several.
    pub update_many: Route,
    /// Reads several.
    pub read_many: Route,
    /// Reads one.
    pub read_one: Route,
    /// Reads the definitions of an object's fields.
    pub describe: Route,
    /// Finds the survivors of merged records, where reading one does not lead to it.
    pub survivors: Option<Route>,
    /// Finds records by their e-mail address.
    pub by_email: Option<Route>,
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
    pub fn all(&self) -> impl Iterator<Item = &Route> {
        let always = [&self.update_many, &self.update_one, &self.read_many, &self.read_one, &self.describe];
        always.into_iter().chain(&self.update_one_unmodified).chain(&self.survivors).chain(&self.by_email)
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
    // HubSpot has no conditional requests (crm-apis A11).
    update_one_unmodified: None,
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
    describe: Route { writes: false, method: "GET", path: "${properties_path}/${object}", query: None, headers: &[], body: BodyForm::None },
    survivors: None,
    by_email: Some(Route {
        writes: false,
        method: "POST",
        path: "${objects_path}/${object}/batch/read",
        query: None,
        headers: &[],
        body: BodyForm::Many {
            open: r#"{"idProperty":"email","properties":["email"],"inputs":["#,
            item: r#"{"id":${text}}"#,
            close: "]}",
            max: 100,
        },
    }),
};

/// Stands for a date in the form of RFC 9110.
pub const HTTP_DATE: &str = "${http-date}";

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
    update_one_unmodified: Some(Route {
        writes: true,
        method: "PATCH",
        path: "/services/data/${api_version}/sobjects/${object}/${id}",
        query: None,
        headers: &[NO_ASSIGNMENT[0], ("If-Unmodified-Since", HTTP_DATE)],
        body: BodyForm::One("${fields}"),
    }),
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
    describe: Route {
        writes: false,
        method: "GET",
        path: "/services/data/${api_version}/sobjects/${object}/describe",
        query: None,
        headers: &[],
        body: BodyForm::None,
    },
    by_email: Some(QUERY),
    // A merged record is deleted, and only queryAll shows which one it went into (crm-apis B11).
    survivors: Some(QUERY),
};

const QUERY: Route = Route {
    writes: false,
    method: "GET",
    path: "/services/data/${api_version}/queryAll",
    query: Some("q"),
    headers: &[],
    body: BodyForm::None,
};
