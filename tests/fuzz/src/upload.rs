//! Uploads: what leaves as CSV is read by a CSV parser as the confirmed values, and nothing else.

use crate::{
    input::Input,
    witness::{CONFIRMED, granted, sent},
};
use reverse_sync::fuzzing::{csv_ids, job_names};
use serde_json::{Map, Value, json};
use std::collections::HashSet;

const PATH: &str = "/jobs/ingest/750A/batches";

/// Whether an upload may leave.
pub(crate) fn leaves(body: &[u8]) -> bool {
    sent(granted(), "PUT", PATH, &[("content-type", "text/csv")], body).is_some()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// An upload of these records, in the spelling that may leave, but for the column of this number.
fn written(ids: &[usize], without: Option<usize>) -> Vec<u8> {
    let records: Vec<(&str, Map<String, Value>)> = ids
        .iter()
        .map(|at| (CONFIRMED[*at].0, serde_json::from_str(CONFIRMED[*at].1).unwrap()))
        .collect();
    let mut columns: Vec<&String> = Vec::new();
    for (_, fields) in &records {
        columns.extend(fields.keys().filter(|name| !columns.contains(name)).collect::<Vec<_>>());
    }
    if let Some(without) = without.filter(|_| !columns.is_empty()) {
        columns.remove(without % columns.len());
    }
    let mut text = quoted("Id");
    columns.iter().for_each(|name| text += &format!(",{}", quoted(name)));
    for (id, fields) in &records {
        text += &format!("\n{}", quoted(id));
        for name in &columns {
            text.push(',');
            match fields.get(*name) {
                None => {}
                Some(Value::Null) => text += "#N/A",
                Some(Value::String(value)) => text += &quoted(value),
                // As it is spelled.
                Some(Value::Number(_)) if *name == "f" => text += "-0.50",
                Some(other) => text += &other.to_string(),
            }
        }
    }
    (text + "\n").into_bytes()
}

pub(crate) fn upload_csv(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (raw, mask) = (input.byte(), input.byte());
    let body = if raw % 2 == 0 {
        input.0.to_vec()
    } else {
        let ids: Vec<usize> = (0..CONFIRMED.len()).filter(|at| mask >> at & 1 == 1).collect();
        let without = (raw % 4 == 3).then_some(usize::from(raw / 4));
        let mut body = written(&ids, without);
        let edited = input.edit(&mut body) || without.is_some();
        // An empty text cannot be said, and neither can more than four records, nor none.
        assert!(
            edited || leaves(&body) == ((1..=4).contains(&ids.len()) && !ids.contains(&5)),
            "{}",
            String::from_utf8_lossy(&body)
        );
        body
    };
    for id in csv_ids(&body, "Id") {
        // A parser takes quotation marks off.
        assert!(
            id.is_empty()
                || body.contains(&b'"')
                || body.windows(id.len()).any(|part| part == id.as_bytes())
        );
    }
    for name in job_names(&body) {
        assert!(name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
    if !leaves(&body) {
        return;
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(body.as_slice());
    let rows: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().expect("what leaves is CSV");
    let header: Vec<&str> = rows[0].iter().collect();
    assert!(header[0] == "Id" && header.iter().collect::<HashSet<_>>().len() == header.len());
    let mut found = HashSet::new();
    for row in &rows[1..] {
        let fields = CONFIRMED
            .iter()
            .find(|(id, _)| *id == &row[0])
            .expect("only confirmed records leave")
            .1;
        assert!(found.insert(row[0].to_owned()), "a record is there twice");
        let mut fields: Map<String, Value> = serde_json::from_str(fields).unwrap();
        for (name, cell) in header.iter().zip(row).skip(1) {
            let expected = match fields.remove(*name) {
                None => String::new(),
                Some(Value::Null) => "#N/A".to_owned(),
                Some(Value::String(text)) => text,
                Some(other) => {
                    assert_eq!(json!(serde_json::from_str::<Value>(cell).unwrap()), other);
                    continue;
                }
            };
            assert_eq!(cell, expected);
        }
        assert!(fields.is_empty(), "a confirmed field is left out");
    }
    assert!((1..=4).contains(&found.len()));
}
