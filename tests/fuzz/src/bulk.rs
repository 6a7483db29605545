//! CSV and jobs of Salesforce's Bulk API, read and written.

use crate::{answers::SALESFORCE_IDS, input::Input};
use reverse_sync_plugin::fuzzing::{Confirmed, bulk};
use serde_json::{Map, Value};

pub(crate) fn bulk_csv(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.byte() % 4 {
        0 => survive(input.0),
        1 => cells(&mut input),
        2 => upload(&mut input),
        _ => {
            let text = String::from_utf8_lossy(input.0);
            if let Some(note) = bulk::note(&text) {
                assert_eq!(bulk::note(&note).as_ref(), Some(&note));
            }
        }
    }
}

fn survive(body: &[u8]) {
    bulk::rows(body, 4);
    if let Some((id, _)) = bulk::job(body) {
        assert!(
            (1..=40).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
        );
        let answer: Value = serde_json::from_slice(body).expect("a job is JSON");
        assert_eq!(answer["id"].as_str(), Some(id.as_str()));
    }
    for (id, _) in bulk::results(body).unwrap_or_default() {
        // Ids are shown with 18 characters, and may have come with 15.
        assert!(
            id.len() == 18 && body.windows(15).any(|part| part == &id.as_bytes()[..15])
                || body.contains(&b'"'),
            "{id}"
        );
    }
}

/// What a CSV writer has written is read as it was.
fn cells(input: &mut Input<'_>) {
    let width = usize::from(input.byte() % 4) + 1;
    let mut rows = Vec::new();
    while !input.is_empty() && rows.len() < 8 {
        rows.push((0..width).map(|_| input.text()).collect::<Vec<_>>());
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in &rows {
        writer.write_record(row).unwrap();
    }
    let text = writer.into_inner().unwrap();
    // A byte order mark is not part of the first cell.
    if !text.starts_with(b"\xef\xbb\xbf") {
        assert_eq!(bulk::rows(&text, width), rows, "{}", String::from_utf8_lossy(&text));
    }
}

/// What is uploaded is what was confirmed, to a CSV parser.
fn upload(input: &mut Input<'_>) {
    let null = "#N/A";
    let mut records = Vec::new();
    for id in SALESFORCE_IDS {
        let text = input.text();
        let Ok(fields) = serde_json::from_str::<Map<String, Value>>(&text) else { continue };
        // As changes are: compact, each name once.
        let fields = Value::Object(fields).to_string();
        records.push((id.to_owned(), fields));
    }
    let confirmed = Confirmed::new(&records);
    let (members, Some(text)) = bulk::uploaded(&confirmed) else { return };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> =
        reader.records().collect::<Result<_, _>>().expect("an upload is CSV");
    assert_eq!(rows.len(), members.len() + 1);
    for (row, member) in rows[1..].iter().zip(members) {
        assert_eq!(&row[0], records[member].0);
        let mut fields: Map<String, Value> = serde_json::from_str(&records[member].1).unwrap();
        for (name, cell) in rows[0].iter().zip(row).skip(1) {
            match fields.remove(name) {
                None => assert_eq!(cell, ""),
                Some(Value::Null) => assert_eq!(cell, null),
                Some(Value::String(value)) => {
                    assert!(cell == value && !value.trim().is_empty() && value != null)
                }
                Some(other) => assert_eq!(serde_json::from_str::<Value>(cell).ok(), Some(other)),
            }
        }
        assert!(fields.is_empty(), "a field is left out: {fields:?}");
    }
}
