//! Answers of both CRMs to updates and reads: every change that was sent is told about once, and
//! "updated" is said of no record but those that another parser finds in the answer as written.

use crate::input::Input;
use reverse_sync_plugin::{
    config::{Config, parse},
    fuzzing::{Confirmed, Settled, compared, is_judged},
    provider::Provider,
};
use serde_json::Value;
use std::{collections::HashSet, sync::OnceLock};

pub(crate) const SALESFORCE_IDS: [&str; 4] =
    ["003xx000004TmiQAAS", "001D000000IqhSLIAZ", "a0RE000000IJmcNMAT", "0F9E000000092w2KAA"];
pub(crate) const HUBSPOT_IDS: [&str; 4] = ["17", "1001", "1002", "170"];

pub(crate) fn config(provider: Provider) -> &'static Config {
    static CONFIGS: OnceLock<[Config; 2]> = OnceLock::new();
    let [hubspot, salesforce] = CONFIGS.get_or_init(|| {
        Provider::ALL.map(|provider| {
            parse(provider.destination_type(), r#"{"provider_id_field":"x","source_id":"s"}"#)
                .unwrap()
        })
    });
    match provider {
        Provider::HubSpot => hubspot,
        Provider::Salesforce => salesforce,
    }
}

const STATUSES: [u16; 24] = [
    200, 207, 201, 204, 301, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 420, 423, 425, 429,
    477, 500, 502, 503, 524,
];

pub(crate) fn status(byte: u8) -> u16 {
    STATUSES[usize::from(byte) % STATUSES.len()]
}

/// Every member in exactly one of the groups.
fn is_complete(settled: &Settled, members: usize) {
    let mut all: Vec<usize> = [&settled.updated, &settled.failed, &settled.again, &settled.silent]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    all.sort_unstable();
    if settled.exhausted {
        // Those that ran into the limit are pending; nothing is said of them.
        let before = all.len();
        all.dedup();
        assert!(all.len() == before && all.iter().all(|member| *member < members));
    } else {
        assert_eq!(all, (0..members).collect::<Vec<_>>(), "{settled:?}");
    }
}

fn answer(provider: Provider, ids: &[&str; 4], bytes: &[u8]) {
    let mut input = Input(bytes);
    let (kind, count) = (input.byte(), usize::from(input.byte() % 4) + 1);
    let status = status(kind);
    let fields = [r#"{"a":"x"}"#, r#"{"a":"y","b":",\"a\":"}"#, r#"{"b":1}"#, r#"{"A":null}"#];
    let sent: Vec<(String, String)> = ids
        .iter()
        .zip(fields)
        .take(count)
        .map(|(id, fields)| ((*id).to_owned(), fields.to_owned()))
        .collect();
    let confirmed = Confirmed::new(&sent);
    let body = input.0;
    is_complete(&confirmed.refused(provider, status, body), count);
    is_judged(
        config(provider),
        kind >= 128,
        kind >= 64,
        status,
        (count == 1).then_some(u64::MAX / 2),
        body,
    );
    confirmed.read(provider, body);
    read_alike(provider, body);
    let Some(settled) = confirmed.accepted(provider, status, body) else { return };
    is_complete(&settled, count);
    // Where a parser does not go because of what is in the way, such as a number that is too large,
    // there is nobody to ask.
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
    for member in settled.updated {
        let written = match provider {
            Provider::HubSpot => {
                let named = |value: &Value| value["id"].as_str() == Some(&sent[member].0);
                let results =
                    answer["results"].as_array().is_some_and(|results| results.iter().any(named));
                let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
                let refused = |error: &Value| {
                    let ids = &error["context"]["ids"];
                    ids.as_str() == Some(&sent[member].0)
                        || ids.as_array().is_some_and(|ids| {
                            ids.iter().any(|id| id.as_str() == Some(&sent[member].0))
                        })
                };
                results && !errors.iter().any(refused)
            }
            Provider::Salesforce => {
                let saved = &answer[member];
                let id = saved["id"].as_str();
                saved["success"] == Value::Bool(true)
                    && id.is_none_or(|id| id.starts_with(&sent[member].0[..15]))
            }
        };
        assert!(written, "{} is said to be updated", sent[member].0);
    }
}

/// What comparing reads, against a parser.
fn read_alike(provider: Provider, body: &[u8]) {
    let (Some(found), Ok(answer)) =
        (compared(provider, body), serde_json::from_slice::<Value>(body))
    else {
        return;
    };
    let list = if provider == Provider::HubSpot { &answer["results"] } else { &answer };
    let list = list.as_array().expect("records are a list");
    assert_eq!(found.len(), list.len());
    for (record, expected) in found.iter().zip(list) {
        let Some((id, members)) = record else {
            assert!(expected.is_null());
            continue;
        };
        let object = match provider {
            Provider::HubSpot => {
                assert_eq!(Some(id.as_str()), expected["id"].as_str());
                expected["properties"].as_object().cloned().unwrap_or_default()
            }
            Provider::Salesforce => expected.as_object().expect("a record is an object").clone(),
        };
        let names: HashSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        if names.len() == members.len() {
            assert_eq!(object.len(), members.len());
            for (name, raw) in members {
                assert_eq!(
                    serde_json::from_str::<Value>(raw).ok().as_ref(),
                    object.get(name),
                    "`{name}`"
                );
            }
        }
    }
}

pub(crate) fn hubspot(bytes: &[u8]) {
    answer(Provider::HubSpot, &HUBSPOT_IDS, bytes);
}

pub(crate) fn salesforce(bytes: &[u8]) {
    answer(Provider::Salesforce, &SALESFORCE_IDS, bytes);
}
