//! The requests that are made of HubSpot.

use crate::crm::route::{BodyForm, Route, Routes};

/// crm-apis A3 to A5. Never with `idProperty`: ids are record ids.
pub(crate) static ROUTES: Routes = Routes {
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
        body: BodyForm::Many {
            open: r#"{"inputs":["#,
            item: r#"{"id":"${id}","properties":${fields}}"#,
            close: "]}",
            max: 100,
        },
    },
    read_many: Route {
        writes: false,
        method: "POST",
        path: "${objects_path}/${object}/batch/read",
        query: None,
        headers: &[],
        body: BodyForm::Many {
            open: r#"{"properties":${names},"inputs":["#,
            item: r#"{"id":"${id}"}"#,
            close: "]}",
            max: 100,
        },
    },
    read_one: Route {
        writes: false,
        method: "GET",
        path: "${objects_path}/${object}/${id}",
        query: Some("properties"),
        headers: &[],
        body: BodyForm::None,
    },
    describe: Route {
        writes: false,
        method: "GET",
        path: "${properties_path}/${object}",
        query: None,
        headers: &[],
        body: BodyForm::None,
    },
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
