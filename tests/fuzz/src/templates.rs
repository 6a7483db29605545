//! Any template that compiles as a write lets out what it says of confirmed records, and nothing
//! else.

use crate::{
    input::Input,
    witness::{CONFIRMED, asked, filled, is_list_of, many, sent},
};
use reverse_sync::{
    capability::Capability,
    contract::capabilities::{Body, CsvForm, Effect, Header},
    fuzzing::{ConfigValues, are_jobs_allowed},
};
use serde_json::json;

pub(crate) fn template(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (kind, mask) = (input.byte(), input.byte());
    let effect = [Effect::Write, Effect::Write, Effect::Read, Effect::Job][usize::from(kind % 4)];
    let method = ["POST", "PATCH", "PUT", "GET", "DELETE"][usize::from(kind / 4 % 5)];
    let [path, open, item, close] = [input.text(), input.text(), input.text(), input.text()];
    let body = match kind / 32 % 4 {
        0 => many(&open, &item, &close),
        1 => Body::One(open.clone()),
        2 => {
            Body::Csv(CsvForm { id_column: open.clone(), null: item.clone(), max: u32::from(mask) })
        }
        _ => Body::None,
    };
    let mut capability = asked(effect, method, &path, body.clone());
    let (name, value) = (input.text(), input.text());
    if !name.is_empty() {
        capability.headers = vec![Header { name: name.clone(), value }];
    }
    let query = input.text();
    if !query.is_empty() {
        capability.query = vec![query.clone()];
    }
    let config = ConfigValues::new(
        json!({"object": "contacts", "weird": "a b", "up": "../x", "empty": "", "number": 1}),
        json!({}),
    );
    let Ok(compiled) = Capability::compile(&capability, &config) else { return };
    let is_written = |text: &str| text.contains("${fields}") || text.contains("${members}");
    assert!(method != "DELETE" && !path.contains("${fields}"));
    for word in [&name, &query] {
        assert!(
            !word.to_ascii_lowercase().contains("method"),
            "`{word}` may make another method of it"
        );
    }
    let compiled = [compiled];
    match effect {
        Effect::Read => assert!(
            !is_written(&open) || !matches!(body, Body::One(_) | Body::Many(_)),
            "a read that carries values"
        ),
        Effect::Job => assert!(!are_jobs_allowed(&compiled), "a job without an upload"),
        Effect::Write => {
            assert!(method != "GET" && query.is_empty() && !matches!(body, Body::None));
            match body {
                Body::Many(_) => {
                    assert!(
                        !is_written(&open)
                            && !is_written(&close)
                            && !open.contains("${id}")
                            && !close.contains("${id}")
                    );
                    let chosen: Vec<String> = (0..CONFIRMED.len())
                        .filter(|at| mask >> at & 1 == 1)
                        .map(|at| CONFIRMED[at].0.to_owned())
                        .collect();
                    write_many(
                        &compiled,
                        method,
                        &filled(&path, "", ""),
                        [&open, &item, &close],
                        &chosen,
                        &mut input,
                    );
                }
                Body::One(_) => {
                    let (id, fields) = CONFIRMED[usize::from(mask) % CONFIRMED.len()];
                    let expected = filled(&open, id, fields).into_bytes();
                    let mut body = expected.clone();
                    input.edit(&mut body);
                    let left = send(&compiled, method, &filled(&path, id, ""), &body);
                    assert!(
                        left.is_none() || (body == expected && method != "POST"),
                        "something else than the confirmed record leaves"
                    );
                }
                Body::Csv(_) | Body::None => {}
            }
        }
    }
}

fn send(compiled: &[Capability], method: &str, path: &str, body: &[u8]) -> Option<Vec<String>> {
    sent(compiled, method, path, &[], body)
}

fn write_many(
    compiled: &[Capability],
    method: &str,
    path: &str,
    template: [&str; 3],
    ids: &[String],
    input: &mut Input<'_>,
) {
    let items: Vec<String> = ids
        .iter()
        .map(|id| {
            filled(
                template[1],
                id,
                CONFIRMED.iter().find(|(known, _)| known == id).map(|(_, fields)| *fields).unwrap(),
            )
        })
        .collect();
    let mut body = format!(
        "{}{}{}",
        filled(template[0], "", ""),
        items.join(","),
        filled(template[2], "", "")
    )
    .into_bytes();
    input.edit(&mut body);
    if let Some(claimed) = send(compiled, method, path, &body) {
        assert!(
            is_list_of(&claimed, template, &body),
            "something else than the claimed records leaves"
        );
        assert!((1..=4).contains(&claimed.len()));
    }
}
