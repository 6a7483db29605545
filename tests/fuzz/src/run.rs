//! Whole runs against a CRM that answers with anything: every parser of the component is behind it.
//! No change has two outcomes, a run that ends well has left none out, and "updated" is said of no
//! record but those that an answer speaks for.

use crate::{
    answers::{HUBSPOT_IDS, SALESFORCE_IDS, status},
    input::Input,
};
use reverse_sync_plugin::{
    config::parse,
    contract::types::{ChangeBatch, Error, OutcomeBatch, PlanMode, Status, Strings},
    crm::network::{Answer, Lost, Network, Request},
    run::{run, stream::Stream},
};
use serde_json::{Value, json};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    future::{Future, ready},
    pin::pin,
    task::{Context, Poll, Waker},
};

const FIELDS: [&str; 4] = [r#"{"a":"x"}"#, r#"{"a":"y","b":"2"}"#, r#"{"b":"1"}"#, r#"{"c":null}"#];
const JOB: &str = "7505t0000000001AAA";

/// Bodies that mean something, for any status.
const KNOWN: [&str; 10] = [
    "",
    "<html>blocked</html>",
    r#"{"results":[]}"#,
    r#"{"results":[{"id":"1001"}],"errors":[{"category":"X","context":{"ids":["17"]}}]}"#,
    r#"{"message":"m","category":"VALIDATION_ERROR","errors":[{"code":"PROPERTY_DOESNT_EXIST","context":{"propertyName":["a"]}}]}"#,
    r#"[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"m"}]"#,
    r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"m"}]"#,
    r#"{"id":"7505t0000000001AAA","state":"Failed","errorMessage":"InvalidBatch : Field name not found : a"}"#,
    r#"{"id":"7505t0000000001AAA","state":"InProgress"}"#,
    "\"sf__Id\",\"sf__Error\",Id\n,\"UNABLE_TO_LOCK_ROW:x:--\",003xx000004TmiQAAS\n",
];

struct World<'b> {
    input: RefCell<Input<'b>>,
    ids: [&'static str; 4],
    fields: BTreeMap<&'static str, &'static str>,
    waiting: RefCell<Vec<ChangeBatch>>,
    notes: RefCell<Vec<String>>,
    answers: RefCell<Vec<(Request, Answer)>>,
    outcomes: RefCell<BTreeMap<u64, Status>>,
}

fn strings<'t>(texts: impl Iterator<Item = &'t str>) -> Strings {
    let mut packed = Strings { bytes: String::new(), offsets: vec![0] };
    for text in texts {
        packed.bytes.push_str(text);
        packed.offsets.push(packed.bytes.len() as u32);
    }
    packed
}

impl World<'_> {
    /// What the CRM would answer if all were well.
    fn genuine(&self, request: &Request, other: bool) -> (u16, String) {
        let named =
            |id: &&&str| request.body.contains(&format!("\"{id}\"")) || request.path.contains(*id);
        let ids: Vec<&str> = self.ids.iter().filter(named).copied().collect();
        let held = |id: &str| -> Value {
            let mut fields: Value = serde_json::from_str(self.fields[id]).unwrap();
            if other {
                fields
                    .as_object_mut()
                    .unwrap()
                    .values_mut()
                    .for_each(|value| *value = json!("other"));
            }
            fields
        };
        let with_id = |id: &str| {
            let mut fields = held(id);
            fields["Id"] = json!(id);
            fields
        };
        let path = request.path.split('?').next().unwrap_or_default();
        let body = match (request.method, path) {
            (_, path) if path.contains("/jobs/ingest") => {
                let result = |all: bool| {
                    let rows = self.ids.iter().filter(|_| all).map(|id| format!("{id},,{id}\n"));
                    format!("\"sf__Id\",\"sf__Error\",Id\n{}", rows.collect::<String>())
                };
                let state = |state: &str| json!({"id": JOB, "state": state, "numberRecordsProcessed": 4}).to_string();
                match (request.method, path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default()) {
                    ("POST", _) => state("Open"),
                    ("PUT", _) => return (201, String::new()),
                    ("PATCH", _) => state(if request.body.contains("Aborted") { "Aborted" } else { "UploadComplete" }),
                    ("GET", "successfulResults") => result(!other),
                    ("GET", "failedResults") => result(other),
                    ("GET", "unprocessedrecords") => result(false),
                    _ => state("JobComplete"),
                }
            }
            ("GET", path) if path.contains("/properties/") => {
                let fields = ["a", "b", "c"].map(|name| json!({"name": name, "type": "string"}));
                json!({"results": fields}).to_string()
            }
            ("GET", path) if path.ends_with("/describe") => {
                let fields = ["a", "b", "c"].map(|name| json!({"name": name, "type": "string", "updateable": true}));
                json!({"fields": fields}).to_string()
            }
            ("POST", path) if path.ends_with("/batch/update") || path.ends_with("/batch/read") => {
                json!({"results": ids.iter().map(|id| json!({"id": id, "properties": held(id)})).collect::<Vec<_>>()}).to_string()
            }
            ("PATCH", path) if path.ends_with("/composite/sobjects") => {
                json!(ids.iter().map(|id| json!({"id": id, "success": true, "errors": []})).collect::<Vec<_>>()).to_string()
            }
            ("POST", _) => json!(ids.iter().map(|id| with_id(id)).collect::<Vec<_>>()).to_string(),
            ("PATCH", path) if path.contains("/sobjects/") => return (204, String::new()),
            (_, path) => {
                let id = self.ids.iter().find(|id| path.ends_with(**id)).copied().unwrap_or(self.ids[0]);
                let mut record = with_id(id);
                record["id"] = json!(id);
                record["properties"] = held(id);
                record.to_string()
            }
        };
        (200, body)
    }

    fn answer(&self, request: &Request) -> Result<Answer, Lost> {
        let mut input = self.input.borrow_mut();
        let what = input.byte();
        let word = || "x".to_owned();
        let (status, body) = match what % 8 {
            4 => (status(input.byte()), input.bytes().to_vec()),
            5 => {
                let (status, body) = self.genuine(request, what >= 128);
                let mut body = body.into_bytes();
                input.edit(&mut body);
                (status, body)
            }
            6 => {
                let lost = [
                    Lost::NotSent(word()),
                    Lost::Denied(word()),
                    Lost::LimitReached(word()),
                    Lost::TooLarge(word()),
                    Lost::Broken(word()),
                ];
                return Err(lost[usize::from(what / 8) % 5].clone());
            }
            7 => (
                status(what / 8),
                KNOWN[usize::from(input.byte()) % KNOWN.len()].as_bytes().to_vec(),
            ),
            _ => {
                let (status, body) = self.genuine(request, what >= 128);
                (status, body.into_bytes())
            }
        };
        Ok(Answer { status, retry_after: None, body })
    }

    /// Whether some answer speaks for a record.
    fn is_spoken_for(&self, id: &str) -> bool {
        self.answers.borrow().iter().filter(|(_, answer)| (200..300).contains(&answer.status)).any(
            |(request, answer)| {
                let body = String::from_utf8_lossy(&answer.body);
                // Salesforce's ids of 15 characters are as good, and in those of 18 the end says
                // which letters are capitals. What is escaped is not looked for.
                let start = id[..id.len().min(15)].to_ascii_lowercase();
                if body.to_ascii_lowercase().contains(&start)
                    || body.contains("\\u")
                    || request.path.ends_with(id)
                {
                    return true;
                }
                // What nobody reads of an answer need not be UTF-8.
                let Ok(Value::Array(results)) = serde_json::from_str::<Value>(&body) else {
                    return false;
                };
                let Ok(sent) = serde_json::from_str::<Value>(&request.body) else { return false };
                let sent = sent["records"].as_array().map(Vec::as_slice).unwrap_or_default();
                sent.len() == results.len()
                    && sent.iter().zip(&results).any(|(sent, result)| {
                        sent["id"].as_str() == Some(id) && result["success"] == Value::Bool(true)
                    })
            },
        )
    }
}

impl Network for World<'_> {
    fn send(&self, request: &Request) -> impl Future<Output = Result<Answer, Lost>> {
        let answer = self.answer(request);
        if let Ok(answer) = &answer {
            self.answers.borrow_mut().push((request.clone(), answer.clone()));
        }
        assert!(self.answers.borrow().len() < 2_000, "it asks without end");
        ready(answer)
    }

    fn pause(&self, _: u64) -> impl Future<Output = ()> {
        ready(())
    }

    fn now(&self) -> u64 {
        7
    }

    fn random(&self) -> u64 {
        7
    }
}

impl Stream for World<'_> {
    fn next(&self, _: u32) -> Result<Option<ChangeBatch>, Error> {
        Ok(self.waiting.borrow_mut().pop())
    }

    fn push(&self, outcomes: &OutcomeBatch) -> Result<(), Error> {
        assert_eq!(outcomes.rows.len(), outcomes.statuses.len());
        for (row, status) in outcomes.rows.iter().zip(&outcomes.statuses) {
            assert!((1..=4).contains(row), "there is no row {row}");
            assert!(
                self.outcomes.borrow_mut().insert(*row, *status).is_none(),
                "row {row} has two outcomes"
            );
        }
        Ok(())
    }

    fn remember(&self, note: &str) -> Result<(), Error> {
        self.notes.borrow_mut().push(note.to_owned());
        Ok(())
    }

    fn recall(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }
}

fn any_run(provider: &str, ids: [&'static str; 4], more: &str, bytes: &[u8]) {
    let mut input = Input(bytes);
    let kind = input.byte();
    let mode = [PlanMode::Offline, PlanMode::Online, PlanMode::Compare][usize::from(kind % 3)];
    let config =
        parse(provider, &format!(r#"{{"provider_id_field":"x","source_id":"s"{more}}}"#)).unwrap();
    let batch = |doubtful: bool, range: std::ops::Range<usize>| ChangeBatch {
        rows: range.clone().map(|at| at as u64 + 1).collect(),
        ids: strings(ids[range.clone()].iter().copied()),
        fields: strings(FIELDS[range.clone()].iter().copied()),
        before: (kind >= 128).then(|| strings(range.map(|_| r#"{"a":"was","b":"was","c":"was"}"#))),
        doubtful,
    };
    // The last comes first.
    let waiting = vec![batch(false, 2..4), batch(kind & 64 != 0, 0..2)];
    let notes = if kind & 32 != 0 {
        vec![format!("job {JOB} 1-1"), "collections 2-2".to_owned()]
    } else {
        vec![]
    };
    let world = World {
        input: RefCell::new(input),
        ids,
        fields: ids.into_iter().zip(FIELDS).collect(),
        waiting: RefCell::new(waiting),
        notes: RefCell::new(notes),
        answers: RefCell::default(),
        outcomes: RefCell::default(),
    };
    let done = {
        let mut running = pin!(run(mode, &config, &world, &world));
        let mut context = Context::from_waker(Waker::noop());
        // Nothing here is waited for.
        (0..10_000).find_map(|_| match running.as_mut().poll(&mut context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    };
    let done = done.expect("the run ends");
    let outcomes = world.outcomes.borrow();
    assert!(done.is_err() || outcomes.len() == 4, "a change has no outcome: {outcomes:?}");
    for (row, status) in outcomes.iter() {
        let id = ids[*row as usize - 1];
        let answers = world.answers.borrow();
        assert!(
            *status != Status::Updated || world.is_spoken_for(id),
            "{id} is said to be updated, and it was answered {answers:?}"
        );
    }
}

pub(crate) fn hubspot(bytes: &[u8]) {
    let mut input = Input(bytes);
    let more = ["", r#","write_mode":"record""#, r#","compare":true,"on_drift":"overwrite""#]
        [usize::from(input.byte() % 3)];
    any_run("hubspot_dest", HUBSPOT_IDS, more, input.0);
}

pub(crate) fn salesforce(bytes: &[u8]) {
    let mut input = Input(bytes);
    let more = ["", r#","write_mode":"record""#, r#","write_mode":"bulk""#, r#","compare":true"#]
        [usize::from(input.byte() % 4)];
    any_run("salesforce_dest", SALESFORCE_IDS, more, input.0);
}
