//! Without an attack: a component as small as can be that compares, writes and verifies HubSpot
//! records in all honesty, so that the host's own part in that can be watched alone.

use crate::{
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::{
            streams::{Confirmed, OutcomeSink, PlanSink, VerifySink},
            types::{
                ChangeBatch, ColumnValues, Error, Holding, ReadingBatch, RecordBatch, SkippedBatch,
                Status,
            },
        },
    },
    config,
    http::exchange,
    nothing, other, report, strings, texts,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Most records in one request.
const MANY: usize = 100;

/// Plans the text columns of records that have an id, with the previous values.
pub(crate) fn compare(
    target: &Target,
    batch: &RecordBatch,
    rows: &[u64],
    ids: &[&str],
    sink: &PlanSink,
) -> Result<(), Error> {
    let mut columns: Vec<(&str, Vec<&str>)> = Vec::new();
    for column in &batch.columns {
        if let ColumnValues::Text(texts) = &column.values
            && column.name != "hs_object_id"
            && !column.name.starts_with("__")
        {
            let values = texts
                .offsets
                .windows(2)
                .map(|pair| &texts.bytes[pair[0] as usize..pair[1] as usize])
                .collect();
            columns.push((&column.name, values));
        }
    }
    for chunk in (0..rows.len()).collect::<Vec<_>>().chunks(MANY) {
        let (with, without): (Vec<usize>, Vec<usize>) =
            chunk.iter().partition(|at| !ids[**at].is_empty());
        let skipped = without.iter().map(|at| rows[*at]).collect();
        sink.skip(&SkippedBatch {
            rows: skipped,
            reason: "provider_id_null".into(),
            details: None,
            ids: None,
        })?;
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let records =
            read(target, &names, &with.iter().map(|at| ids[*at].to_owned()).collect::<Vec<_>>())?;
        let mut changes = ChangeBatch {
            rows: vec![],
            ids: strings([""; 0]),
            fields: strings([""; 0]),
            before: None,
            doubtful: false,
        };
        let (mut kept, mut fields, mut before) = (Vec::new(), Vec::new(), Vec::new());
        for at in with {
            let wanted: Map<String, Value> = columns
                .iter()
                .map(|(name, values)| ((*name).to_owned(), json!(values[at])))
                .collect();
            let held = records.get(ids[at]).cloned().unwrap_or_default();
            let differs: Map<String, Value> =
                wanted.into_iter().filter(|(name, value)| text(&held, name) != *value).collect();
            if differs.is_empty() {
                sink.skip(&SkippedBatch {
                    rows: vec![rows[at]],
                    reason: "unchanged".into(),
                    details: None,
                    ids: None,
                })?;
                continue;
            }
            changes.rows.push(rows[at]);
            kept.push(ids[at]);
            before.push(values(&held, &differs));
            fields.push(Value::Object(differs).to_string());
        }
        (changes.ids, changes.fields, changes.before) =
            (strings(kept), strings(fields), Some(strings(before)));
        sink.push(&changes)?;
    }
    Ok(())
}

/// Writes batch after batch, and reports what the answers say. With `keeps` it keeps what it was
/// handed, and with `calls_lost_failed` it says more of a lost answer than it knows.
pub(crate) fn run(target: &Target, confirmed: &Confirmed, sink: &OutcomeSink) -> Result<(), Error> {
    let config = config(target)?;
    let mut kept = Vec::new();
    while let Some(batch) = confirmed.next(MANY as u32)? {
        let items: Vec<String> = texts(&batch.ids)
            .iter()
            .zip(texts(&batch.fields))
            .map(|(id, fields)| format!("{{\"id\":\"{id}\",\"properties\":{fields}}}"))
            .collect();
        let url = format!("{}/crm/v3/objects/contacts/batch/update", target.base_url);
        let answer = exchange("POST", &url, &[], &format!("{{\"inputs\":[{}]}}", items.join(",")));
        let status = match answer {
            Ok((200, _)) => Status::Updated,
            Ok(_) => Status::Failed,
            Err(_) if config["calls_lost_failed"] == true => Status::Failed,
            Err(error) => return Err(other(&error)),
        };
        report(sink, &batch.rows, status)?;
        if config["keeps"] == true {
            kept.push((batch, items));
        }
    }
    drop(kept);
    Ok(())
}

/// Says what the CRM holds, last record first: the order is the host's business.
pub(crate) fn verify(target: &Target, written: &Confirmed, sink: &VerifySink) -> Result<(), Error> {
    while let Some(batch) = written.next(MANY as u32)? {
        let (ids, fields) = (texts(&batch.ids), texts(&batch.fields));
        let fields: Vec<Map<String, Value>> =
            fields.iter().map(|fields| serde_json::from_str(fields).unwrap_or_default()).collect();
        let mut names: Vec<&str> =
            fields.iter().flat_map(|fields| fields.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names.dedup();
        let records = read(target, &names, &ids)?;
        for at in (0..ids.len()).rev() {
            let held = records.get(&ids[at]);
            let holding = match held {
                None => Holding::Gone,
                Some(held) if fields[at].iter().all(|(name, value)| text(held, name) == *value) => {
                    Holding::Confirmed
                }
                Some(_) => Holding::Other,
            };
            sink.push(&ReadingBatch {
                rows: vec![batch.rows[at]],
                holdings: vec![holding],
                values: strings([held.map_or("{}".to_owned(), |held| values(held, &fields[at]))]),
                details: strings([""]),
                differing: nothing(1),
                moved: nothing(1),
                one_way: nothing(1),
            })?;
        }
    }
    Ok(())
}

/// The fields of a change with the values that are held.
fn values(held: &Map<String, Value>, of: &Map<String, Value>) -> String {
    Value::Object(of.keys().map(|name| (name.clone(), text(held, name))).collect()).to_string()
}

fn text(held: &Map<String, Value>, name: &str) -> Value {
    held.get(name).filter(|value| !value.is_null()).cloned().unwrap_or_else(|| json!(""))
}

/// Properties of records by id.
fn read(
    target: &Target,
    names: &[&str],
    ids: &[String],
) -> Result<BTreeMap<String, Map<String, Value>>, Error> {
    let mut found = BTreeMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let inputs: Vec<String> = ids.iter().map(|id| format!("{{\"id\":\"{id}\"}}")).collect();
    let body = format!("{{\"properties\":{},\"inputs\":[{}]}}", json!(names), inputs.join(","));
    let url = format!("{}/crm/v3/objects/contacts/batch/read", target.base_url);
    let (_, answer) = exchange("POST", &url, &[], &body).map_err(|error| other(&error))?;
    let answer: Value =
        serde_json::from_slice(&answer).map_err(|error| other(&error.to_string()))?;
    for record in answer["results"].as_array().into_iter().flatten() {
        let properties = record["properties"].as_object().cloned().unwrap_or_default();
        found.insert(record["id"].as_str().unwrap_or_default().to_owned(), properties);
    }
    Ok(found)
}
