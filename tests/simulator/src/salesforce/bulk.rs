//! Bulk API 2.0, update (B9): a job is opened, filled, closed, worked on, and asked for three
//! result sets.

use super::{
    errors::{self, RecordError},
    ids, schema, store,
};
use crate::{
    World,
    message::{Answer, Request},
};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Largest upload (B9: 150 MB after base64).
const MAX_UPLOAD: usize = 100 << 20;

/// Jobs, and how they are worked on.
#[derive(Debug)]
pub struct Bulk {
    /// Polls before a job is begun, from the one that first finds it in progress.
    pub polls: u32,
    /// Rows that are worked on between two polls; without it, all of them at once.
    pub rows_per_poll: Option<usize>,
    /// The next job that has come so far fails as such: rows, and what its `errorMessage` says.
    pub fails_after: Option<(usize, String)>,
    pub(super) jobs: BTreeMap<String, Job>,
    opened: u64,
}

impl Default for Bulk {
    fn default() -> Bulk {
        Bulk { polls: 2, rows_per_poll: None, fails_after: None, jobs: BTreeMap::new(), opened: 0 }
    }
}

impl Bulk {
    /// Every job's state, in the order in which they were opened.
    pub fn states(&self) -> Vec<&'static str> {
        self.jobs.values().map(|job| job.state).collect()
    }

    /// Jobs that wait for their turn have it at the next poll.
    pub fn hurry(&mut self) {
        self.jobs.values_mut().for_each(|job| job.polls = 1);
    }

    /// Seven days pass: jobs and their results are gone (B9).
    pub fn expire(&mut self) {
        self.jobs.clear();
    }

    /// Somebody aborts every job that has not ended, on the CRM's own page.
    pub fn abort_all(&mut self) {
        for job in self
            .jobs
            .values_mut()
            .filter(|job| matches!(job.state, "Open" | "UploadComplete" | "InProgress"))
        {
            job.state = "Aborted";
        }
    }
}

/// A job.
#[derive(Clone, Debug, Default)]
pub(super) struct Job {
    object: String,
    state: &'static str,
    rows: Vec<Row>,
    header: Vec<String>,
    delimiter: (&'static str, char),
    line_ending: &'static str,
    uploaded: bool,
    succeeded: Vec<String>,
    failed: Vec<String>,
    error: String,
    /// Polls before it is complete.
    polls: u32,
    /// Milliseconds since 1970.
    created: i64,
}

/// A row of the upload.
#[derive(Clone, Debug, Default)]
struct Row {
    cells: Vec<String>,
    /// A blank, or anything else, stands beside a quoted value.
    malformed: bool,
}

const DELIMITERS: [(&str, char); 6] = [
    ("COMMA", ','),
    ("SEMICOLON", ';'),
    ("TAB", '\t'),
    ("PIPE", '|'),
    ("BACKQUOTE", '`'),
    ("CARET", '^'),
];

/// `…/jobs/ingest…`.
pub(super) fn route(world: &mut World, request: &Request, rest: &[&str]) -> Answer {
    go_on_by_themselves(world, rest.first().copied());
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

/// A job that nobody asks about is worked on all the same: it has ended when something else is
/// asked for.
fn go_on_by_themselves(world: &mut World, asked: Option<&str>) {
    let running = |(id, job): (&String, &Job)| {
        (asked != Some(id) && matches!(job.state, "UploadComplete" | "InProgress"))
            .then(|| id.clone())
    };
    let ids: Vec<String> = world.salesforce.bulk.jobs.iter().filter_map(running).collect();
    for id in ids {
        while let Some(mut job) = world.salesforce.bulk.jobs.remove(&id) {
            let ends = !matches!(job.state, "UploadComplete" | "InProgress");
            if !ends {
                job.state = "InProgress";
                work(world, &mut job);
            }
            world.salesforce.bulk.jobs.insert(id.clone(), job);
            if ends {
                break;
            }
        }
    }
}

fn create(world: &mut World, request: &Request) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    // CSV is the only content type, and the default.
    if body["operation"] != "update" || body.get("contentType").is_some_and(|kind| kind != "CSV") {
        return errors::one(
            400,
            "INVALIDJOB",
            "this simulator takes operation update with contentType CSV",
        );
    }
    let Some(object) =
        body["object"].as_str().filter(|object| world.salesforce.objects.contains_key(*object))
    else {
        return errors::one(400, "INVALIDENTITY", "no such object");
    };
    let choice =
        |key: &str, default: &'static str| body[key].as_str().unwrap_or(default).to_owned();
    let delimiter =
        DELIMITERS.into_iter().find(|(name, _)| *name == choice("columnDelimiter", "COMMA"));
    let line_ending = ["LF", "CRLF"].into_iter().find(|name| *name == choice("lineEnding", "LF"));
    let (Some(delimiter), Some(line_ending)) = (delimiter, line_ending) else {
        return errors::one(400, "INVALIDJOB", "no such columnDelimiter or lineEnding");
    };
    let id = super::record_id("750", world.salesforce.bulk.opened);
    world.salesforce.bulk.opened += 1;
    let job = Job {
        object: object.to_owned(),
        state: "Open",
        polls: world.salesforce.bulk.polls,
        delimiter,
        line_ending,
        created: store::now(),
        ..Job::default()
    };
    let answer = status(&id, &job);
    world.salesforce.bulk.jobs.insert(id, job);
    Answer::json(200, &answer)
}

fn status(id: &str, job: &Job) -> Value {
    json!({
        "id": id, "operation": "update", "object": job.object, "state": job.state, "contentUrl": format!("services/data/v67.0/jobs/ingest/{id}/batches"),
        "apiVersion": 67.0, "jobType": "V2Ingest", "createdById": super::record_id("005", 0), "createdDate": store::datetime(job.created),
        "systemModstamp": store::datetime(job.created), "concurrencyMode": "Parallel", "contentType": "CSV", "lineEnding": job.line_ending, "columnDelimiter": job.delimiter.0,
        "numberRecordsProcessed": job.succeeded.len() + job.failed.len(), "numberRecordsFailed": job.failed.len(), "retries": 0,
        "totalProcessingTime": 0, "apiActiveProcessingTime": 0, "apexProcessingTime": 0, "errorMessage": job.error,
    })
}

fn upload(world: &mut World, id: &str, request: &Request) -> Answer {
    let Some(job) = world.salesforce.bulk.jobs.get_mut(id) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    if job.uploaded || job.state != "Open" {
        return errors::one(400, "INVALIDJOBSTATE", "only one upload per job, while it is open");
    }
    if !request.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")) {
        return errors::one(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type is not text/csv");
    }
    if request.body.len() > MAX_UPLOAD {
        return errors::one(413, "REQUEST_ENTITY_TOO_LARGE", "the upload is larger than 100 MB");
    }
    let Ok(text) = std::str::from_utf8(&request.body) else {
        return errors::one(400, "INVALIDJOB", "the upload is not UTF-8");
    };
    let mut rows = parse_csv(text, job.delimiter.1, job.line_ending == "CRLF");
    job.header = if rows.is_empty() { vec![] } else { rows.remove(0).cells };
    job.rows = rows;
    job.uploaded = true;
    Answer::empty(201)
}

fn set_state(world: &mut World, id: &str, request: &Request) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let Some(job) = world.salesforce.bulk.jobs.get_mut(id) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    job.state = match body["state"].as_str() {
        Some("UploadComplete") if job.uploaded && job.state == "Open" => "UploadComplete",
        Some("Aborted") if matches!(job.state, "Open" | "UploadComplete" | "InProgress") => {
            "Aborted"
        }
        _ => return errors::one(400, "INVALIDJOBSTATE", "no such state from here"),
    };
    Answer::json(200, &status(id, job))
}

/// Each poll moves the job on: `UploadComplete`, `InProgress`, then it is worked on, in one or
/// several pieces, and complete.
fn poll(world: &mut World, id: &str) -> Answer {
    let Some(mut job) = world.salesforce.bulk.jobs.remove(id) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    if matches!(job.state, "UploadComplete" | "InProgress") {
        job.polls = job.polls.saturating_sub(1);
        job.state = "InProgress";
        if job.polls == 0 {
            work(world, &mut job);
        }
    }
    let answer = Answer::json(200, &status(id, &job));
    world.salesforce.bulk.jobs.insert(id.to_owned(), job);
    answer
}

fn work(world: &mut World, job: &mut Job) {
    let known = &world.salesforce.objects[&job.object].fields;
    if let Some(unknown) = job
        .header
        .iter()
        .find(|name| !known.values().any(|field| field.name == **name && field.visible))
    {
        // An unknown column fails the job as such: nothing is processed.
        job.state = "Failed";
        job.error = format!("InvalidBatch : Field name not found : {unknown}");
        return;
    }
    let csv = |cells: &[String]| to_csv(cells, job.delimiter.1);
    let done = job.succeeded.len() + job.failed.len();
    let fails = world.salesforce.bulk.fails_after.clone();
    let until_failure = fails.as_ref().map_or(usize::MAX, |(rows, _)| rows.saturating_sub(done));
    let piece = job
        .rows
        .len()
        .min(world.salesforce.bulk.rows_per_poll.unwrap_or(usize::MAX))
        .min(until_failure);
    let later = job.rows.split_off(piece);
    for row in std::mem::replace(&mut job.rows, later) {
        let line = csv(&row.cells);
        let mut fields = Map::new();
        let mut id = String::new();
        for (name, cell) in job.header.iter().zip(&row.cells) {
            if name == "Id" {
                id.clone_from(cell);
            } else if cell == "#N/A" {
                fields.insert(name.clone(), Value::Null);
            } else if !cell.is_empty() {
                // An empty cell leaves the value alone; text is typed by its field.
                let kind = &world.salesforce.objects[&job.object].fields[name].kind;
                let typed = match kind.as_str() {
                    "boolean" | "int" | "double" | "currency" | "percent" => {
                        serde_json::from_str(cell).unwrap_or_else(|_| json!(cell))
                    }
                    _ => json!(cell),
                };
                fields.insert(name.clone(), typed);
            }
        }
        let trim = world.config.switches.salesforce_bulk_trims;
        let checked = if row.malformed {
            // What the text says is not known.
            Err(RecordError::new(400, "INVALID_FIELD", "a quoted value has something beside it"))
        } else if id.is_empty() {
            Err(RecordError::new(400, "MISSING_ARGUMENT", "Id not specified in an update call")
                .on("Id"))
        } else {
            store::check(world, &job.object, &id, &fields, trim)
        };
        match checked {
            Ok(checked) => {
                store::apply(world, &job.object, checked, fields);
                let id = ids::canonical(&id).unwrap_or(id);
                job.succeeded
                    .push(csv(&[id, "false".to_owned()]) + &job.delimiter.1.to_string() + &line);
            }
            Err(error) => {
                let text =
                    not_deserialized(world, job, &row, &fields, &error).unwrap_or_else(|| {
                        format!("{}:{}:{} --", error.code, error.message, error.fields.join(","))
                    });
                job.failed.push(csv(&[id, text]) + &job.delimiter.1.to_string() + &line);
            }
        }
    }
    world.random.shuffle(&mut job.succeeded);
    world.random.shuffle(&mut job.failed);
    if let Some((_, message)) =
        fails.filter(|(rows, _)| *rows <= job.succeeded.len() + job.failed.len())
    {
        world.salesforce.bulk.fails_after = None;
        job.state = "Failed";
        job.error = message;
    } else if job.rows.is_empty() {
        job.state = "JobComplete";
    }
}

/// What a value of the wrong type is called here, where there is no JSON.
fn not_deserialized(
    world: &World,
    job: &Job,
    row: &Row,
    fields: &Map<String, Value>,
    error: &RecordError,
) -> Option<String> {
    if error.code != "JSON_PARSER_ERROR" {
        return None;
    }
    let object = &world.salesforce.objects[&job.object];
    let wrong = |name: &str| {
        let refused = fields
            .get(name)
            .and_then(|value| schema::accept(object, &job.object, name, value, false).err());
        refused.is_some_and(|refused| refused.code == error.code)
    };
    let (column, name) = job.header.iter().enumerate().find(|(_, name)| wrong(name))?;
    let (value, kind) = (row.cells.get(column)?, object.fields.get(name)?.xsd());
    let column = column + 1;
    Some(format!(
        "INVALID_FIELD:Failed to deserialize field at col {column}. Due to, '{value}' is not a valid value for the type {kind}:{name} --"
    ))
}

fn results(world: &World, id: &str, set: &str) -> Answer {
    let Some(job) = world.salesforce.bulk.jobs.get(id) else {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    };
    let (columns, delimiter) = (to_csv(&job.header, job.delimiter.1), job.delimiter.1);
    let (header, lines): (String, Vec<String>) = match set {
        "successfulResults" => {
            (format!("sf__Id{delimiter}sf__Created{delimiter}{columns}"), job.succeeded.clone())
        }
        "failedResults" => {
            (format!("sf__Id{delimiter}sf__Error{delimiter}{columns}"), job.failed.clone())
        }
        "unprocessedrecords" => {
            (columns, job.rows.iter().map(|row| to_csv(&row.cells, delimiter)).collect())
        }
        _ => return errors::one(404, "NOT_FOUND", "The requested resource does not exist"),
    };
    let end = if job.line_ending == "CRLF" { "\r\n" } else { "\n" };
    let text: String = std::iter::once(header).chain(lines).map(|line| line + end).collect();
    Answer::text(200, "text/csv", text)
}

/// Quotes doubled inside quotes; values are not trimmed, and a line ends as the job said it would.
fn parse_csv(text: &str, delimiter: char, crlf: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    let (mut row, mut cell) = (Row::default(), String::new());
    let (mut quoted, mut closed) = (false, false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let ends = !quoted
            && if crlf {
                character == '\r' && characters.next_if_eq(&'\n').is_some()
            } else {
                character == '\n'
            };
        match character {
            '"' if quoted && characters.next_if_eq(&'"').is_some() => cell.push('"'),
            '"' if quoted => (quoted, closed) = (false, true),
            other if quoted => cell.push(other),
            '"' => {
                row.malformed |= closed || !cell.is_empty();
                quoted = true;
            }
            other if ends || other == delimiter => {
                row.cells.push(std::mem::take(&mut cell));
                closed = false;
                if ends {
                    rows.push(std::mem::take(&mut row));
                }
            }
            other => {
                row.malformed |= closed;
                cell.push(other);
            }
        }
    }
    if !cell.is_empty() || !row.cells.is_empty() {
        row.cells.push(cell);
        rows.push(row);
    }
    rows
}

fn to_csv(cells: &[String], delimiter: char) -> String {
    let quoted = |cell: &String| {
        if cell.contains([delimiter, '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    };
    cells.iter().map(quoted).collect::<Vec<_>>().join(&delimiter.to_string())
}
