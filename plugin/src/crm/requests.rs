//! The requests of a run, spliced together from the confirmed text.

use super::network::{Media, Request};
use super::route::{BodyForm, HTTP_DATE, Route};
use super::routes;
use super::template::{Filling, Template, push_query_value};
use crate::config::Config;
use crate::contract::changes::Changes;

/// Bytes of changes that may be on their way before no more are pulled: memory stays flat with long
/// texts too.
pub(crate) const MAX_BYTES_IN_FLIGHT: usize = 6 << 20;
/// Bytes of changes that one request should carry at most, about.
pub(crate) const REQUEST_BYTES: usize = 2 << 20;

/// Writes requests for one destination.
pub(crate) struct Requests {
    update_many: Writer,
    update_one: Writer,
    pub(crate) update_one_unmodified: Option<Writer>,
    read_many: Writer,
    read_one: Writer,
}

pub(crate) struct Writer {
    route: Route,
    path: Template,
    body: Body,
}

enum Body {
    None,
    One(Template),
    Many { open: Template, item: Template, close: Template },
}

impl Requests {
    pub(crate) fn new(config: &Config) -> Requests {
        let routes = routes::of(config.provider);
        let writer = |route: &Route| Writer {
            route: *route,
            path: Template::new(route.path, config),
            body: match route.body {
                BodyForm::None => Body::None,
                BodyForm::One(text) => Body::One(Template::new(text, config)),
                BodyForm::Many { open, item, close, .. } => Body::Many {
                    open: Template::new(open, config),
                    item: Template::new(item, config),
                    close: Template::new(close, config),
                },
            },
        };
        Requests {
            update_many: writer(&routes.update_many),
            update_one: writer(&routes.update_one),
            update_one_unmodified: routes.update_one_unmodified.as_ref().map(writer),
            read_many: writer(&routes.read_many),
            read_one: writer(&routes.read_one),
        }
    }

    /// Updates these members in one call.
    pub(crate) fn update_many(&self, changes: &Changes, members: &[usize]) -> Request {
        self.update_many.request(changes, members, "")
    }

    /// Updates one record by its path, if it was not modified since this date.
    pub(crate) fn update_one(
        &self,
        changes: &Changes,
        member: usize,
        unmodified_since: Option<String>,
    ) -> Request {
        let (Some(date), Some(writer)) = (unmodified_since, &self.update_one_unmodified) else {
            return self.update_one.request(changes, &[member], "");
        };
        let mut request = writer.request(changes, &[member], "");
        for (_, value) in request.headers.iter_mut().filter(|(_, value)| value == HTTP_DATE) {
            *value = date.clone().into();
        }
        request
    }

    /// Reads these members in one call. `names` is a JSON array of field names.
    pub(crate) fn read_many(&self, changes: &Changes, members: &[usize], names: &str) -> Request {
        self.read_many.request(changes, members, names)
    }

    /// Reads one record by its path.
    pub(crate) fn read_one<'n>(
        &self,
        changes: &Changes,
        member: usize,
        names: impl Iterator<Item = &'n str>,
    ) -> Request {
        let mut request = self.read_one.request(changes, &[member], "");
        for (at, name) in names.enumerate() {
            match (at, self.read_one.route.query) {
                (0, Some(key)) => {
                    request.path.push('?');
                    request.path.push_str(key);
                    request.path.push('=');
                }
                _ => request.path.push_str("%2C"),
            }
            push_query_value(&mut request.path, name);
        }
        request
    }
}

impl Writer {
    fn request(&self, changes: &Changes, members: &[usize], names: &str) -> Request {
        let first = members.first().copied().unwrap_or_default();
        let mut path = String::with_capacity(96);
        self.path.push(&mut path, Filling { id: changes.id(first), ..Filling::default() });
        let size: usize = members
            .iter()
            .map(|member| changes.fields(*member).len() + changes.id(*member).len() + 64)
            .sum();
        let mut body = String::with_capacity(if self.route.writes {
            size + 64
        } else {
            members.len() * 32 + names.len() + 64
        });
        let around = Filling { names, ..Filling::default() };
        let filling = |member: usize| Filling {
            id: changes.id(member),
            fields: changes.fields(member),
            ..around
        };
        match &self.body {
            Body::None => {}
            Body::One(template) => template.push(&mut body, filling(first)),
            Body::Many { open, item, close } => {
                open.push(&mut body, around);
                for (at, member) in members.iter().enumerate() {
                    if at > 0 {
                        body.push(',');
                    }
                    item.push(&mut body, filling(*member));
                }
                close.push(&mut body, around);
            }
        }
        Request {
            writes: self.route.writes,
            method: self.route.method,
            path,
            headers: self
                .route
                .headers
                .iter()
                .map(|(name, value)| (*name, (*value).into()))
                .collect(),
            body,
            media: Media::Json,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::contract::types::{ChangeBatch, Strings};

    fn changes() -> Changes {
        let strings = |bytes: &str, offsets: [u32; 3]| Strings {
            bytes: bytes.to_owned(),
            offsets: offsets.into(),
        };
        let fields = r#"{"a":"1"}{"b":"2","c":"}"}"#;
        let batch = ChangeBatch {
            rows: vec![4, 9],
            ids: strings("1722", [0, 2, 4]),
            fields: strings(fields, [0, 9, 26]),
            before: None,
            doubtful: false,
        };
        Changes::new(batch).unwrap()
    }

    fn shown(request: Request) -> (String, String) {
        (format!("{} {}", request.method, request.path), request.body)
    }

    #[test]
    fn hubspots_requests_follow_the_configured_api_and_object() {
        let config = r#"{"provider_id_field":"x","source_id":"s","objects_path":"/crm/objects/2026-03","object":"2-1234567"}"#;
        let requests = Requests::new(&parse("hubspot_dest", config).unwrap());
        for (request, line, body) in [
            (
                requests.update_many(&changes(), &[0, 1]),
                "POST /crm/objects/2026-03/2-1234567/batch/update",
                r#"{"inputs":[{"id":"17","properties":{"a":"1"}},{"id":"22","properties":{"b":"2","c":"}"}}]}"#,
            ),
            (
                requests.update_one(&changes(), 1, None),
                "PATCH /crm/objects/2026-03/2-1234567/22",
                r#"{"properties":{"b":"2","c":"}"}}"#,
            ),
            (
                requests.read_many(&changes(), &[1], r#"["b"]"#),
                "POST /crm/objects/2026-03/2-1234567/batch/read",
                r#"{"properties":["b"],"inputs":[{"id":"22"}]}"#,
            ),
            (
                requests.read_one(&changes(), 0, ["a", "b c"].into_iter()),
                "GET /crm/objects/2026-03/2-1234567/17?properties=a%2Cb%20c",
                "",
            ),
            (
                requests.read_one(&changes(), 0, [].into_iter()),
                "GET /crm/objects/2026-03/2-1234567/17",
                "",
            ),
        ] {
            assert_eq!(shown(request), (line.to_owned(), body.to_owned()));
        }
    }

    #[test]
    fn salesforces_requests_follow_the_configured_version_and_object() {
        let config =
            r#"{"provider_id_field":"x","source_id":"s","api_version":"v68.0","object":"Rank__c"}"#;
        let requests = Requests::new(&parse("salesforce_dest", config).unwrap());
        for (request, line, body) in [
            (
                requests.update_many(&changes(), &[1, 0]),
                "PATCH /services/data/v68.0/composite/sobjects",
                r#"{"allOrNone":false,"records":[{"attributes":{"type":"Rank__c"},"id":"22","b":"2","c":"}"},{"attributes":{"type":"Rank__c"},"id":"17","a":"1"}]}"#,
            ),
            (
                requests.update_one(&changes(), 0, None),
                "PATCH /services/data/v68.0/sobjects/Rank__c/17",
                r#"{"a":"1"}"#,
            ),
            (
                requests.read_many(&changes(), &[0, 1], r#"["Id"]"#),
                "POST /services/data/v68.0/composite/sobjects/Rank__c",
                r#"{"ids":["17","22"],"fields":["Id"]}"#,
            ),
            (
                requests.read_one(&changes(), 0, ["a"].into_iter()),
                "GET /services/data/v68.0/sobjects/Rank__c/17?fields=a",
                "",
            ),
        ] {
            assert_eq!(shown(request), (line.to_owned(), body.to_owned()));
        }
    }
}
