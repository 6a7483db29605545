//! The requests that are made of Salesforce, but for those of jobs ([`super::bulk`]).

use crate::crm::route::{BodyForm, HTTP_DATE, Route, Routes};

/// Without it an update may run assignment rules and hand the record to another owner (crm-apis
/// B7).
pub(crate) const NO_ASSIGNMENT: &[(&str, &str)] = &[("Sforce-Auto-Assign", "FALSE")];

/// crm-apis B2 and B4.
pub(crate) static ROUTES: Routes = Routes {
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
        body: BodyForm::Many {
            open: r#"{"ids":["#,
            item: r#""${id}""#,
            close: r#"],"fields":${names}}"#,
            max: 2000,
        },
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
