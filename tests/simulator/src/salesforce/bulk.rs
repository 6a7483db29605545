//! Bulk API 2.0, update (B9): a job is opened, filled, closed, worked on, and asked for three result sets.

use super::{errors, store};
use crate::{
    World,
    message::{Answer, Incoming},
};
use serde_json::{Map, Value, json};

/// A job.
#[derive(Clone, Debug, Default)]
pub(super) struct Job {
    object: String,
    state: &'static str,
    rows: Vec<Vec<String>>,
    header: Vec<String>,
    uploaded: bool,
    succeeded: Vec<String>,
    failed: Vec<(String, String)>,
    error: String,
    /// Polls before it is complete.
    polls: u32,
}

/// `…/jobs/ingest…`.
pub(super) fn route(world: &mut World, request: &Incoming, rest: &[&str]) -> Answer {
    match (request.method.as_str(), rest) {
        ("POST", []) => create(world, request),
        ("PUT", [id, "batches"]) => upload(world, id, request),
        ("PATCH", [id]) => set_state(world, id, request),
        ("GET", [id]) => poll(world, id),
        ("GET", [id, set]) => results(world, id, set),
        ("GET", [id, set, ""]) => results(world, id, set),
        _ => errors::one(404, "NOT_FOUND", "The requested resource does not exist"),
    }
}

fn create(world: &mut World, request: &Incoming) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if body["operation"] != "update" || body["contentType"] != "CSV" {
        return errors::one(400, "INVALIDJOB", "this simulator takes operation update with contentType CSV");
    }
    let Some(object) = body["object"].as_str().filter(|object| world.salesforce.objects.contains_key(*object)) else {
        return errors::one(400, "INVALIDENTITY", "no such object");
    };
    let id = super::record_id("750", world.salesforce.jobs.len() as u64);
    let job = Job { object: object.to_owned(), state: "Open", polls: 2, ..Job::default() };
    let answer = status(&id, &job);
    world.salesforce.jobs.insert(id, job);
    Answer::json(200, &answer)
}

fn status(id: &str, job: &Job) -> Value {
    json!({
        "id": id, "operation": "update", "object": job.object, "state": job.state, "contentUrl": format!("services/data/v67.0/jobs/ingest/{id}/batches"),
        "apiVersion": 67.0, "concurrencyMode": "Parallel", "contentType": "CSV", "lineEnding": "LF", "columnDelimiter": "COMMA",
        "numberRecordsProcessed": job.succeeded.len() + job.failed.len(), "numberRecordsFailed": job.failed.len(), "retries": 0, "errorMessage": job.error,
    })
}

fn upload(world: &mut World, id: &str, request: &Incoming) -> Answer {
    let Some(job) = world.salesforce.jobs.get_mut(id) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    if job.uploaded || job.state != "Open" {
        return errors::one(400, "INVALIDJOBSTATE", "only one upload per job, while it is open");
    }
    if !request.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")) {
        return errors::one(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type is not text/csv");
    }
    let mut rows = parse_csv(&String::from_utf8_lossy(&request.body));
    job.header = if rows.is_empty() { vec![] } else { rows.remove(0) };
    job.rows = rows;
    job.uploaded = true;
    Answer::empty(201)
}

fn set_state(world: &mut World, id: &str, request: &Incoming) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(job) = world.salesforce.jobs.get_mut(id) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    job.state = match body["state"].as_str() {
        Some("UploadComplete") if job.uploaded => "UploadComplete",
        Some("Aborted") => "Aborted",
        _ => return errors::one(400, "INVALIDJOBSTATE", "no such state from here"),
    };
    Answer::json(200, &status(id, job))
}

/// Each poll moves the job on: `UploadComplete`, `InProgress`, then it is worked on and complete.
fn poll(world: &mut World, id: &str) -> Answer {
    let Some(mut job) = world.salesforce.jobs.get(id).cloned() else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    if matches!(job.state, "UploadComplete" | "InProgress") {
        job.polls = job.polls.saturating_sub(1);
        job.state = "InProgress";
        if job.polls == 0 {
            work(world, &mut job);
        }
        world.salesforce.jobs.insert(id.to_owned(), job.clone());
    }
    Answer::json(200, &status(id, &job))
}

fn work(world: &mut World, job: &mut Job) {
    let known = &world.salesforce.objects[&job.object].fields;
    if let Some(unknown) = job.header.iter().find(|name| !known.values().any(|field| field.name == **name && field.visible)) {
        // An unknown column fails the job as such: nothing is processed.
        job.state = "Failed";
        job.error = format!("InvalidBatch : Field name not found : {unknown}");
        return;
    }
    for row in std::mem::take(&mut job.rows) {
        let line = to_csv(&row);
        let mut fields = Map::new();
        let mut id = String::new();
        for (name, cell) in job.header.iter().zip(&row) {
            if name == "Id" {
                id.clone_from(cell);
            } else if cell == "#N/A" {
                fields.insert(name.clone(), Value::Null);
            } else if !cell.is_empty() {
                // An empty cell leaves the value alone; text is typed by its field.
                let kind = &world.salesforce.objects[&job.object].fields[name].kind;
                let typed = match kind.as_str() {
                    "boolean" | "int" | "double" | "currency" | "percent" => serde_json::from_str(cell).unwrap_or_else(|_| json!(cell)),
                    _ => json!(cell),
                };
                fields.insert(name.clone(), typed);
            }
        }
        match store::check(world, &job.object, &id, &fields) {
            Ok(checked) => {
                store::apply(world, &job.object, checked, fields);
                job.succeeded.push(format!("{id},false,{line}"));
            }
            Err(error) => {
                let text = format!("{}:{}:{} --", error.code, error.message, error.fields.join(","));
                job.failed.push((id.clone(), to_csv(&[id, text]) + "," + &line));
            }
        }
    }
    world.random.shuffle(&mut job.succeeded);
    job.state = "JobComplete";
}

fn results(world: &World, id: &str, set: &str) -> Answer {
    let Some(job) = world.salesforce.jobs.get(id) else { return errors::one(404, "NOT_FOUND", "The requested resource does not exist") };
    let columns = to_csv(&job.header);
    let (header, lines): (String, Vec<String>) = match set {
        "successfulResults" => (format!("sf__Id,sf__Created,{columns}"), job.succeeded.clone()),
        "failedResults" => (format!("sf__Id,sf__Error,{columns}"), job.failed.iter().map(|(_, line)| line.clone()).collect()),
        "unprocessedrecords" => (columns, job.rows.iter().map(|row| to_csv(row)).collect()),
        _ => return errors::one(404, "NOT_FOUND", "The requested resource does not exist"),
    };
    let mut text = header + "\n";
    for line in lines {
        text.push_str(&line);
        text.push('\n');
    }
    Answer::text(200, "text/csv", text)
}

/// Quotes doubled inside quotes; values are not trimmed.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                cell.push('"');
                characters.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            other => cell.push(other),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

fn to_csv(cells: &[String]) -> String {
    let quoted = |cell: &String| if cell.contains([',', '"', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() };
    cells.iter().map(quoted).collect::<Vec<_>>().join(",")
}
