//! What the component says about itself: the types it serves, the requests it asks for, how fast a
//! CRM may be called.

use crate::config;
use crate::contract::capabilities::{
    Account, Body, Capability, Descriptor, DestinationType, Effect, Header, Many, Pacing, Phase,
    Rate, RateHeaders, Throttle,
};
use crate::crm::rights::{required_rights, required_scopes};
use crate::crm::route::{BodyForm, Route};
use crate::crm::routes;
use crate::crm::salesforce::bulk::step;
use crate::provider::Provider;

/// The descriptor. The same every time.
pub fn describe() -> Descriptor {
    Descriptor {
        name: "reverse-sync-plugin".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        destinations: Provider::ALL.map(destination_type).into(),
    }
}

fn destination_type(provider: Provider) -> DestinationType {
    let description = match provider {
        Provider::HubSpot => {
            "Updates HubSpot records (contacts, companies, deals, tickets, custom objects) by their record id."
        }
        Provider::Salesforce => {
            "Updates Salesforce records (Contact, Account, Lead, Opportunity, any SObject) by their record id."
        }
    };
    DestinationType {
        name: provider.destination_type().to_owned(),
        provider: provider.key().to_owned(),
        description: description.to_owned(),
        config_schema: config::schema(provider).to_owned(),
        capabilities: capabilities(provider),
        pacing: pacing(provider),
        required_rights: required_rights(provider).to_owned(),
        required_scopes: required_scopes(provider),
        account: Some(account(provider)),
    }
}

/// How an account is known. HubSpot, "Account information API" (`GET /account-info/v3/details`,
/// `portalId`): it needs no scope but `oauth`, which every token has. Salesforce, Connect REST API,
/// "Organization" (`GET /connect/organization`, since 24.0; `orgId`, the org's id in 18
/// characters): a resource of the REST API, so that the scope `api` is enough, and 401 means what
/// it means there.
fn account(provider: Provider) -> Account {
    let (path, pointer) = match provider {
        Provider::HubSpot => ("/account-info/v3/details", "/portalId"),
        Provider::Salesforce => ("/services/data/v67.0/connect/organization", "/orgId"),
    };
    Account { path: path.to_owned(), pointer: pointer.to_owned() }
}

/// Everything in a run; while planning the reads alone.
fn capabilities(provider: Provider) -> Vec<Capability> {
    let routes = routes::of(provider);
    let planning =
        routes.all().filter(|route| !route.writes).map(|route| capability(Phase::Plan, route));
    let jobs = (provider == Provider::Salesforce).then(step::capabilities).into_iter().flatten();
    routes.all().map(|route| capability(Phase::Run, route)).chain(jobs).chain(planning).collect()
}

fn capability(phase: Phase, route: &Route) -> Capability {
    Capability {
        phase,
        effect: if route.writes { Effect::Write } else { Effect::Read },
        method: route.method.to_owned(),
        path: route.path.to_owned(),
        query: route.query.map(str::to_owned).into_iter().collect(),
        headers: route
            .headers
            .iter()
            .map(|(name, value)| Header { name: (*name).to_owned(), value: (*value).to_owned() })
            .collect(),
        body: match route.body {
            BodyForm::None => Body::None,
            BodyForm::One(text) => Body::One(text.to_owned()),
            BodyForm::Many { open, item, close, max } => Body::Many(Many {
                open: open.to_owned(),
                item: item.to_owned(),
                close: close.to_owned(),
                max,
            }),
        },
    }
}

/// crm-apis A9 and B8.
fn pacing(provider: Provider) -> Pacing {
    let throttle = |http_status, contains: &str, pause_ms| Throttle {
        http_status,
        contains: (!contains.is_empty()).then(|| contains.to_owned()),
        pause_ms,
    };
    match provider {
        Provider::HubSpot => Pacing {
            // The smallest burst of any plan; the answers' headers tell the real one.
            limit: Some(Rate { requests: 100, window_ms: 10_000 }),
            headers: Some(RateHeaders {
                max: "x-hubspot-ratelimit-max".to_owned(),
                remaining: "x-hubspot-ratelimit-remaining".to_owned(),
                interval_ms: "x-hubspot-ratelimit-interval-milliseconds".to_owned(),
            }),
            throttles: vec![
                throttle(429, "TEN_SECONDLY_ROLLING", Some(10_000)),
                throttle(429, "DAILY", None),
                throttle(429, "daily limit", None),
                throttle(429, "", Some(1_000)),
            ],
        },
        Provider::Salesforce => Pacing {
            limit: None,
            headers: None,
            throttles: vec![
                throttle(403, "ConcurrentRequests", Some(1_000)),
                throttle(403, "TotalRequests", None),
                throttle(403, "REQUEST_LIMIT_EXCEEDED", Some(1_000)),
            ],
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_are_asked_for_while_planning() {
        for destination in describe().destinations {
            let planning = || {
                destination
                    .capabilities
                    .iter()
                    .filter(|capability| matches!(capability.phase, Phase::Plan))
            };
            assert!(planning().count() > 0);
            assert!(planning().all(|capability| matches!(capability.effect, Effect::Read)));
        }
    }

    #[test]
    fn every_write_names_its_record_and_carries_its_confirmed_values() {
        for capability in
            describe().destinations.into_iter().flat_map(|destination| destination.capabilities)
        {
            let item = match &capability.body {
                Body::None | Body::Csv(_) => String::new(),
                Body::One(text) => format!("{} {text}", capability.path),
                Body::Many(many) => many.item.clone(),
            };
            let values = item.matches("${fields}").count() + item.matches("${members}").count();
            match capability.effect {
                Effect::Write if matches!(capability.body, Body::Csv(_)) => {
                    assert!(capability.path.contains("/${job}/"))
                }
                Effect::Job => {
                    assert_eq!((item.matches("${id}").count(), values), (0, 0), "{item}")
                }
                Effect::Write => assert_eq!(
                    (item.matches("${id}").count(), values),
                    (1, 1),
                    "{}",
                    capability.path
                ),
                Effect::Read => assert_eq!(values, 0),
            }
        }
    }

    #[test]
    fn the_schemas_defaults_are_those_of_the_parser() {
        for (destination_type, id) in [("hubspot_dest", "hs_object_id"), ("salesforce_dest", "Id")]
        {
            let parsed = config::parse(
                destination_type,
                &format!(r#"{{"provider_id_field":"{id}","source_id":"s"}}"#),
            )
            .unwrap();
            let schema: serde_json::Value =
                serde_json::from_str(config::schema(parsed.provider)).unwrap();
            let default = |key: &str| schema["properties"][key]["default"].clone();
            assert_eq!(default("object"), parsed.object);
            // Left out, it follows the rate of the answers: no number would be true.
            assert_eq!(default("in_flight"), serde_json::Value::Null);
            assert_eq!(default("write_mode"), "batch");
            if parsed.provider == Provider::Salesforce {
                assert_eq!(default("bulk_above"), parsed.bulk_above);
            }
            assert_eq!(default(config::api_key(parsed.provider).0), parsed.api);
            for (key, property) in schema["properties"].as_object().unwrap() {
                assert!(property["description"].is_string(), "{key}");
            }
        }
    }
}
