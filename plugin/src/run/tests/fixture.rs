//! What surrounds a run: the host's two streams in memory, and the simulated CRM behind a network
//! that fails on demand. Every write is compared with the confirmed changes, as egress does.

use crate::config::{Config, parse};
use crate::contract::types::{
    ChangeBatch, Error, ErrorKind, OutcomeBatch, PlanMode, Problem, Status, Strings,
};
use crate::crm::network::{Answer, Lost, Media, Network, Request};
use crate::crm::salesforce::bulk::csv::Rows;
use crate::provider::Provider;
use crate::run::run;
use crate::run::stream::Stream;
use crm_simulator::message::{self, Delivery};
use crm_simulator::{Field, World, hubspot::Property};
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What happens to one request.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    /// Nothing.
    Fine,
    /// It does not reach the CRM.
    Before(Lost),
    /// It is applied, and the answer is lost.
    After(Lost),
    /// It is not applied, and answered like this.
    Instead(u16, String),
    /// It is applied, and answered like this.
    Answered(u16, String),
    /// An earlier write of these values reaches this record only now; the request itself is
    /// answered like this.
    Late(&'static str, String, u16, String),
}

/// A record that others are merged into.
const SURVIVOR: [&str; 2] = ["9000", "0035t0000009000AAA"];
/// A field that no CRM has.
const UNKNOWN: &str = "nope";

/// The CRM, the host and what was seen of both.
pub(super) struct Fixture {
    pub(super) config: Config,
    pub(super) mode: PlanMode,
    pub(super) world: RefCell<World>,
    /// The record whose id the next merge leads to.
    survivor: RefCell<String>,
    /// A record that is merged away right after the next read.
    pub(super) merge_after_read: RefCell<Option<String>>,
    /// What stands in answers in place of the text `@` and the field's name: numbers that the
    /// simulator cannot hold.
    pub(super) spelled: RefCell<BTreeMap<String, String>>,
    /// The previous values, by id, where the plan was compared.
    pub(super) before: RefCell<BTreeMap<String, String>>,
    /// What other people write right before the next reads: record, field, value.
    pub(super) edits: RefCell<VecDeque<(String, String, Value)>>,
    /// Faults of the next writes and reads, in order; then all is fine.
    pub(super) write_faults: RefCell<VecDeque<Fault>>,
    pub(super) read_faults: RefCell<VecDeque<Fault>>,
    /// A firewall before the CRM answers what has this text, with this status and body.
    pub(super) firewall: RefCell<Option<(&'static str, u16, &'static str)>>,
    /// Result sets are answered with a page of some gateway.
    pub(super) no_results: Cell<bool>,
    pub(super) notes: RefCell<Vec<String>>,
    pub(super) stopping: Cell<bool>,
    pub(super) waiting: RefCell<VecDeque<Result<ChangeBatch, Error>>>,
    /// Row and fields by id.
    confirmed: RefCell<BTreeMap<String, (u64, String)>>,
    pub(super) outcomes: RefCell<BTreeMap<u64, (Status, Option<Problem>)>>,
    pub(super) refuse_outcomes: Cell<bool>,
    pub(super) log: RefCell<Vec<Request>>,
    pub(super) paused: Cell<u64>,
    random: Cell<u64>,
}

pub(super) fn error(kind: ErrorKind) -> Error {
    Error::new(kind, None, "the host's".to_owned())
}

fn strings<'a>(texts: impl Iterator<Item = &'a str>) -> Strings {
    let mut packed = Strings { bytes: String::new(), offsets: vec![0] };
    for text in texts {
        packed.bytes.push_str(text);
        packed.offsets.push(packed.bytes.len() as u32);
    }
    packed
}

/// A scalar as both CRMs compare it: without its quotation marks, and without blanks around it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl Fixture {
    pub(super) fn new(destination_type: &str, more: &str) -> Fixture {
        let config = parse(
            destination_type,
            &format!(r#"{{"provider_id_field":"x","source_id":"src_1"{more}}}"#),
        )
        .unwrap();
        let unlimited =
            crm_simulator::Config { hubspot_limit: u32::MAX, ..crm_simulator::Config::default() };
        let mut world = World::new(unlimited);
        // A job is worked on in pieces.
        world.salesforce.bulk.rows_per_poll = Some(7);
        let survivor = SURVIVOR[usize::from(config.provider == Provider::Salesforce)];
        let fixture = Fixture {
            config,
            mode: PlanMode::Online,
            world: RefCell::new(world),
            survivor: RefCell::new(survivor.to_owned()),
            merge_after_read: RefCell::default(),
            spelled: RefCell::default(),
            before: RefCell::default(),
            edits: RefCell::default(),
            write_faults: RefCell::default(),
            read_faults: RefCell::default(),
            firewall: RefCell::default(),
            no_results: Cell::new(false),
            notes: RefCell::default(),
            stopping: Cell::new(false),
            waiting: RefCell::default(),
            confirmed: RefCell::default(),
            outcomes: RefCell::default(),
            refuse_outcomes: Cell::new(false),
            log: RefCell::default(),
            paused: Cell::new(0),
            random: Cell::new(7),
        };
        fixture.put(survivor, &json!({}));
        fixture
    }

    /// A batch of confirmed changes; rows are numbered on. Fields and records that are not there
    /// yet are made.
    pub(super) fn confirm(&self, changes: &[(String, String)], doubtful: bool) {
        let row = self.confirmed.borrow().len() as u64 + 1;
        for (row, (id, fields)) in (row..).zip(changes) {
            assert!(
                self.confirmed.borrow_mut().insert(id.clone(), (row, fields.clone())).is_none()
            );
            for (name, value) in serde_json::from_str::<Map<String, Value>>(fields).unwrap() {
                if !self.has_field(&name) && name != UNKNOWN {
                    self.define(
                        &name,
                        match value {
                            Value::Bool(_) => "boolean",
                            Value::Number(_) => "double",
                            _ => "string",
                        },
                    );
                }
            }
            if !self.is_there(id) {
                self.put(id, &json!({}));
            }
        }
        self.waiting.borrow_mut().push_back(Ok(ChangeBatch {
            rows: (row..row + changes.len() as u64).collect(),
            ids: strings(changes.iter().map(|change| change.0.as_str())),
            fields: strings(changes.iter().map(|change| change.1.as_str())),
            before: self.before_of(changes.iter().map(|change| change.0.as_str())),
            doubtful,
        }));
    }

    fn before_of<'a>(&self, ids: impl Iterator<Item = &'a str>) -> Option<Strings> {
        let before = self.before.borrow();
        let texts: Option<Vec<&str>> = ids.map(|id| before.get(id).map(String::as_str)).collect();
        texts.filter(|texts| !texts.is_empty()).map(|texts| strings(texts.into_iter()))
    }

    fn is_salesforce(&self) -> bool {
        self.config.provider == Provider::Salesforce
    }

    fn has_field(&self, name: &str) -> bool {
        let world = self.world.borrow();
        match self.config.provider {
            Provider::HubSpot => world.hubspot.objects["contacts"].properties.contains_key(name),
            Provider::Salesforce => world.salesforce.objects["Contact"]
                .fields
                .keys()
                .any(|known| known.eq_ignore_ascii_case(name)),
        }
    }

    /// Makes a field of a type, in the CRM's own words.
    pub(super) fn define(&self, name: &str, kind: &str) {
        let mut world = self.world.borrow_mut();
        match self.config.provider {
            Provider::HubSpot => {
                let properties = &mut world.hubspot.objects.get_mut("contacts").unwrap().properties;
                properties.insert(name.to_owned(), Property::new(name, kind, "text"));
            }
            Provider::Salesforce => {
                let fields = &mut world.salesforce.objects.get_mut("Contact").unwrap().fields;
                fields.insert(name.to_owned(), Field { scale: 2, ..Field::new(name, name, kind) });
            }
        }
    }

    /// The CRM has no such field any more.
    pub(super) fn undefine(&self, name: &str) {
        let mut world = self.world.borrow_mut();
        world.hubspot.objects.get_mut("contacts").unwrap().properties.remove(name);
        world.salesforce.objects.get_mut("Contact").unwrap().fields.remove(name);
    }

    fn is_there(&self, id: &str) -> bool {
        let world = self.world.borrow();
        match self.config.provider {
            Provider::HubSpot => {
                world.hubspot.record("contacts", id).is_some()
                    || world.hubspot.objects["contacts"].aliases.contains_key(id)
            }
            Provider::Salesforce => world.salesforce.record("Contact", id).is_some(),
        }
    }

    /// A record with these values, and no others.
    pub(super) fn put(&self, id: &str, values: &Value) {
        let mut values = values.clone();
        // No CRM holds an empty text.
        values.as_object_mut().unwrap().retain(|_, value| value != "");
        let mut world = self.world.borrow_mut();
        match self.config.provider {
            Provider::HubSpot => world.hubspot.put("contacts", id, &values),
            Provider::Salesforce => world.salesforce.put("Contact", id, &values),
        }
    }

    /// Somebody else writes a value.
    pub(super) fn edit(&self, id: &str, field: &str, value: Value) {
        let mut world = self.world.borrow_mut();
        match self.config.provider {
            Provider::HubSpot => world.hubspot.edit("contacts", id, field, value.as_str().unwrap()),
            Provider::Salesforce => world.salesforce.edit(
                "Contact",
                id,
                field,
                if value == "" { Value::Null } else { value },
            ),
        }
    }

    /// Moves a record to the recycle bin.
    pub(super) fn delete(&self, id: &str) {
        let mut world = self.world.borrow_mut();
        match self.config.provider {
            Provider::HubSpot => world.hubspot.archive("contacts", id),
            Provider::Salesforce => world.salesforce.delete("Contact", id),
        }
    }

    /// Merges a record away. The id that it leads to from then on.
    pub(super) fn merge(&self, id: &str) -> String {
        let mut world = self.world.borrow_mut();
        let mut survivor = self.survivor.borrow_mut();
        match self.config.provider {
            Provider::HubSpot => {
                // Not if it was merged away before.
                if let Some(new) = world.hubspot.merge("contacts", &survivor, id) {
                    *survivor = new;
                }
            }
            Provider::Salesforce => world.salesforce.merge("Contact", &survivor, id),
        }
        survivor.clone()
    }

    /// So many updates find the record locked.
    pub(super) fn lock(&self, id: &str, times: u32) {
        self.world.borrow_mut().salesforce.record_mut("Contact", id).unwrap().locked = times;
    }

    /// What the CRM holds; null if that is nothing.
    pub(super) fn value(&self, id: &str, field: &str) -> Value {
        let world = self.world.borrow();
        match self.config.provider {
            Provider::HubSpot => world.hubspot.value("contacts", id, field).into(),
            Provider::Salesforce => {
                world.salesforce.value("Contact", id, field).cloned().unwrap_or_default()
            }
        }
    }

    /// How often a record was written.
    pub(super) fn written(&self, id: &str) -> usize {
        self.world.borrow().writes.iter().filter(|write| write.id == id).count()
    }

    /// Whether the record that others were merged into was written.
    pub(super) fn survivor_is_written(&self) -> bool {
        self.written(&self.survivor.borrow()) > 0
    }

    pub(super) fn states(&self) -> Vec<&'static str> {
        self.world.borrow().salesforce.bulk.states()
    }

    pub(super) fn fault(&self, fault: Fault) -> &Fixture {
        self.write_faults.borrow_mut().push_back(fault);
        self
    }

    pub(super) fn read_fault(&self, fault: Fault) -> &Fixture {
        self.read_faults.borrow_mut().push_back(fault);
        self
    }

    pub(super) fn run(&self) -> Result<(), Error> {
        let mut future = pin!(run(self.mode, &self.config, self, self));
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..1_000_000 {
            if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
                return done;
            }
        }
        panic!("the run does not end");
    }

    /// A run that is killed after so many turns, if it has not ended before; what it leaves is in
    /// doubt.
    pub(super) fn run_killed_after(&self, turns: u32) {
        {
            let mut future = pin!(run(self.mode, &self.config, self, self));
            let mut context = Context::from_waker(Waker::noop());
            for _ in 0..turns {
                if future.as_mut().poll(&mut context).is_ready() {
                    break;
                }
            }
        }
        self.waiting.borrow_mut().clear();
        let confirmed = self.confirmed.borrow();
        let mut left: Vec<(u64, &str, &str)> = confirmed
            .iter()
            .map(|(id, (row, fields))| (*row, id.as_str(), fields.as_str()))
            .filter(|change| self.status(change.0).is_none())
            .collect();
        left.sort_unstable();
        if !left.is_empty() {
            self.waiting.borrow_mut().push_back(Ok(ChangeBatch {
                rows: left.iter().map(|change| change.0).collect(),
                ids: strings(left.iter().map(|change| change.1)),
                fields: strings(left.iter().map(|change| change.2)),
                before: self.before_of(left.iter().map(|change| change.1)),
                doubtful: true,
            }));
        }
    }

    /// The confirmed object of a record.
    fn confirmed_fields(&self, id: &str) -> Map<String, Value> {
        serde_json::from_str(&self.confirmed.borrow()[id].1).unwrap()
    }

    pub(super) fn status(&self, row: u64) -> Option<Status> {
        self.outcomes.borrow().get(&row).map(|outcome| outcome.0)
    }

    pub(super) fn problem(&self, row: u64) -> Problem {
        self.outcomes.borrow()[&row].1.clone().unwrap()
    }

    pub(super) fn count(&self, status: Status) -> usize {
        self.outcomes.borrow().values().filter(|outcome| outcome.0 == status).count()
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.log
            .borrow()
            .iter()
            .filter(|request| request.writes)
            .map(|request| request.body.clone())
            .collect()
    }

    pub(super) fn reads(&self) -> usize {
        self.log.borrow().iter().filter(|request| !request.writes).count()
    }

    /// Whether the CRM holds what was confirmed for a record.
    pub(super) fn is_written(&self, id: &str) -> bool {
        self.confirmed_fields(id)
            .iter()
            .all(|(name, value)| plain(&self.value(id, name)) == plain(value))
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.waiting
            .borrow()
            .iter()
            .flatten()
            .flat_map(|batch| {
                (0..batch.rows.len())
                    .map(|at| {
                        batch.ids.bytes
                            [batch.ids.offsets[at] as usize..batch.ids.offsets[at + 1] as usize]
                            .to_owned()
                    })
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// What egress does: only confirmed values of confirmed records leave.
    fn witness(&self, request: &Request) {
        if request.media == Media::Csv {
            return self.witness_upload(&request.body);
        }
        let body: Map<String, Value> = serde_json::from_str(&request.body).unwrap();
        let in_path = || request.path.rsplit('/').next().unwrap().to_owned();
        let written: Vec<(String, Map<String, Value>)> =
            match body.iter().next().map(|(name, value)| (name.as_str(), value)).unwrap() {
                ("inputs", inputs) => {
                    let input = |input: &Value| {
                        (
                            input["id"].as_str().unwrap().to_owned(),
                            input["properties"].as_object().unwrap().clone(),
                        )
                    };
                    inputs.as_array().unwrap().iter().map(input).collect()
                }
                ("properties", properties) if !self.is_salesforce() => {
                    vec![(in_path(), properties.as_object().unwrap().clone())]
                }
                ("allOrNone", all) => {
                    assert_eq!(all, false);
                    let record = |record: &Value| {
                        let mut fields = record.as_object().unwrap().clone();
                        assert_eq!(fields.remove("attributes").unwrap()["type"], "Contact");
                        (fields.remove("id").unwrap().as_str().unwrap().to_owned(), fields)
                    };
                    body["records"].as_array().unwrap().iter().map(record).collect()
                }
                _ => vec![(in_path(), body)],
            };
        assert!(!written.is_empty());
        for (id, fields) in written {
            assert_eq!(fields, self.confirmed_fields(&id), "{id}");
        }
    }

    /// The same of an upload, cell by cell.
    fn witness_upload(&self, text: &str) {
        let mut rows = Rows::new(text.as_bytes());
        assert!(rows.advance() && rows.cell(0) == "Id");
        let width = text.lines().next().unwrap().split(',').count();
        let header: Vec<String> = (1..width).map(|at| rows.cell(at).to_owned()).collect();
        while rows.advance() {
            let fields = self.confirmed_fields(rows.cell(0));
            let mut cells = 0;
            for (at, name) in (1..).zip(&header) {
                let expected = match fields.get(name) {
                    None => "",
                    Some(Value::Null) => "#N/A",
                    Some(Value::String(text)) => text,
                    Some(other) => &other.to_string(),
                };
                cells += usize::from(!expected.is_empty());
                assert_eq!(rows.cell(at), expected);
            }
            assert_eq!(cells, fields.len());
        }
    }

    /// What the simulator answers.
    fn answer(&self, request: &Request) -> Result<Answer, Lost> {
        let is_of_results = |path: &str| {
            ["successfulResults", "failedResults", "unprocessedrecords"]
                .iter()
                .any(|set| path.contains(set))
        };
        if self.no_results.get() && is_of_results(&request.path) {
            return Ok(Answer { status: 200, retry_after: None, body: b"<html>".to_vec() });
        }
        let mut headers =
            HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer test-token"))]);
        if !request.body.is_empty() {
            let media = if request.media == Media::Csv { "text/csv" } else { "application/json" };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
        }
        for (name, value) in &request.headers {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let request = message::Request {
            method: request.method.parse().unwrap(),
            target: request.path.clone(),
            headers,
            body: request.body.clone().into(),
        };
        let Delivery::Whole(answer) = self.world.borrow_mut().respond(&request).delivery else {
            return Err(Lost::Broken("the connection was cut".to_owned()));
        };
        let mut body = answer.body.to_vec();
        for (name, digits) in self.spelled.borrow().iter() {
            body = String::from_utf8(body)
                .unwrap()
                .replace(&format!("\"@{name}\""), digits)
                .into_bytes();
        }
        let retry_after = answer
            .headers
            .iter()
            .find(|(name, _)| name == "retry-after")
            .and_then(|(_, value)| value.parse().ok());
        Ok(Answer { status: answer.status, retry_after, body })
    }

    /// A write that comes late: of one record, by its path.
    fn write_late(&self, id: &str, fields: &str) {
        let (path, body) = match self.config.provider {
            Provider::HubSpot => {
                (format!("/crm/v3/objects/contacts/{id}"), format!(r#"{{"properties":{fields}}}"#))
            }
            Provider::Salesforce => {
                (format!("/services/data/v67.0/sobjects/Contact/{id}"), fields.to_owned())
            }
        };
        let answer = self
            .answer(&Request {
                writes: true,
                method: "PATCH",
                path,
                headers: Vec::new(),
                body,
                media: Media::Json,
            })
            .unwrap();
        assert!((200..300).contains(&answer.status), "{}", String::from_utf8_lossy(&answer.body));
    }
}

/// Another job's turn.
async fn turn() {
    let mut first = true;
    poll_fn(|context| {
        context.waker().wake_by_ref();
        if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

impl Network for Fixture {
    async fn send(&self, request: &Request) -> Result<Answer, Lost> {
        if request.path.starts_with("/crm/v3/properties/") || request.path.ends_with("/describe") {
            turn().await;
            return self.answer(request);
        }
        self.log.borrow_mut().push(request.clone());
        for (id, (row, _)) in self
            .confirmed
            .borrow()
            .iter()
            .filter(|(_, (row, _))| self.outcomes.borrow().contains_key(row))
        {
            let named = request.body.contains(&format!("\"{id}\""))
                || request.path.contains(&format!("/{id}"));
            assert!(!named, "row {row} has its outcome, and is named again");
        }
        turn().await;
        if request.writes {
            self.witness(request);
        } else if let Some((id, field, value)) = self.edits.borrow_mut().pop_front()
            && !id.is_empty()
        {
            self.edit(&id, &field, value);
        }
        let faults = if request.writes { &self.write_faults } else { &self.read_faults };
        let mut fault = faults.borrow_mut().pop_front().unwrap_or(Fault::Fine);
        if matches!(fault, Fault::Instead(404, _))
            && request.method == "GET"
            && request.path.contains("/jobs/")
        {
            // A job that is said to be gone is gone: nothing could be known if that were a lie.
            fault = Fault::Fine;
        }
        if let Some((text, status, body)) = *self.firewall.borrow()
            && (request.body.contains(text) || request.path.contains(text))
        {
            fault = Fault::Instead(status, body.to_owned());
        }
        let given = |status, body: String| {
            let retry_after =
                body.strip_prefix("retry-after ").and_then(|seconds| seconds.parse().ok());
            Ok(Answer { status, retry_after, body: body.into_bytes() })
        };
        let answered = match fault {
            Fault::Fine => self.answer(request),
            Fault::Before(lost) => Err(lost),
            Fault::Instead(status, body) => given(status, body),
            Fault::Late(id, fields, status, body) => {
                self.write_late(id, &fields);
                given(status, body)
            }
            Fault::After(lost) => self.answer(request).and(Err(lost)),
            Fault::Answered(status, body) => self.answer(request).and(given(status, body)),
        };
        if !request.writes
            && let Some(id) = self.merge_after_read.borrow_mut().take()
        {
            self.merge(&id);
        }
        // The answer is on its way: whoever is killed now has written and does not know it.
        turn().await;
        answered
    }

    async fn pause(&self, milliseconds: u64) {
        self.paused.set(self.paused.get() + milliseconds);
        turn().await;
    }

    fn now(&self) -> u64 {
        self.paused.get()
    }

    fn random(&self) -> u64 {
        self.random.set(self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        self.random.get() >> 33
    }
}

impl Stream for Fixture {
    fn next(&self, max: u32) -> Result<Option<ChangeBatch>, Error> {
        let batch = self.waiting.borrow_mut().pop_front().transpose()?;
        assert!(batch.as_ref().is_none_or(|batch| batch.rows.len() <= max as usize));
        Ok(batch)
    }

    fn remaining(&self) -> u64 {
        self.waiting.borrow().iter().flatten().map(|batch| batch.rows.len() as u64).sum()
    }

    fn recall(&self) -> Vec<String> {
        self.notes.borrow().clone()
    }

    fn remember(&self, note: &str) -> Result<(), Error> {
        self.notes.borrow_mut().push(note.to_owned());
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.stopping.get()
    }

    fn push(&self, outcomes: &OutcomeBatch) -> Result<(), Error> {
        if self.refuse_outcomes.get() {
            return Err(error(ErrorKind::Other));
        }
        assert!(!outcomes.rows.is_empty() && outcomes.rows.len() == outcomes.statuses.len());
        for (row, status) in outcomes.rows.iter().zip(&outcomes.statuses) {
            let problem = outcomes.problems.iter().find(|problem| problem.row == *row).cloned();
            assert_eq!(
                problem.is_some(),
                matches!(status, Status::Failed | Status::Unknown | Status::Drifted)
            );
            assert!(problem.as_ref().is_none_or(|problem| !problem.code.is_empty()
                && !problem.message.is_empty()
                && problem.message.len() < 2100));
            assert!(
                self.outcomes.borrow_mut().insert(*row, (*status, problem)).is_none(),
                "row {row} has two outcomes"
            );
        }
        Ok(())
    }
}
