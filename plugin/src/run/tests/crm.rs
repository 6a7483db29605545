//! A CRM in memory that behaves as crm-apis says, with faults on demand, and the host's two streams. It holds every
//! write against the confirmed changes, as egress does.

mod hubspot;
mod salesforce;

use crate::config::{Config, parse};
use crate::contract::types::{ChangeBatch, Error, ErrorKind, OutcomeBatch, PlanMode, Problem, Status, Strings};
use crate::crm::network::{Answer, Lost, Network, Request};
use crate::provider::Provider;
use crate::run::run;
use crate::run::stream::Stream;
use serde_json::{Map, Value, json};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
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
    /// An earlier write of these values reaches this record only now; the request itself is answered like this.
    Late(&'static str, String, u16, String),
}

/// The CRM, the host and what was seen of both.
pub(super) struct Fake {
    pub(super) config: Config,
    pub(super) mode: PlanMode,
    pub(super) records: RefCell<BTreeMap<String, Map<String, Value>>>,
    /// Old ids that merges have left behind.
    pub(super) merged: RefCell<BTreeMap<String, String>>,
    /// Names that HubSpot merges away right after the next read.
    pub(super) merge_after_read: RefCell<Option<(String, String)>>,
    /// Types of fields, as the CRM's metadata names them; all others are text.
    pub(super) types: RefCell<BTreeMap<String, &'static str>>,
    /// Fields of which Salesforce shows this, digit by digit.
    pub(super) spelled: RefCell<BTreeMap<String, String>>,
    /// Fields that HubSpot leaves out of its answers.
    pub(super) hidden: RefCell<BTreeSet<String>>,
    /// The values before, by id, where the plan was compared.
    pub(super) before: RefCell<BTreeMap<String, String>>,
    /// What other people write right before the next reads: record, field, value.
    pub(super) edits: RefCell<VecDeque<(String, String, Value)>>,
    /// Properties that do not exist.
    pub(super) unknown_fields: BTreeSet<&'static str>,
    /// How many more writes find a record locked.
    pub(super) locks: RefCell<BTreeMap<String, u32>>,
    /// Faults of the next writes and reads, in order; then all is fine.
    pub(super) write_faults: RefCell<VecDeque<Fault>>,
    pub(super) read_faults: RefCell<VecDeque<Fault>>,
    pub(super) lock_status: u16,
    /// A firewall before the CRM answers what has this text, with this status and body.
    pub(super) firewall: RefCell<Option<(&'static str, u16, &'static str)>>,
    /// How often each record was written.
    pub(super) applied: RefCell<BTreeMap<String, u32>>,
    pub(super) jobs: RefCell<Vec<super::jobs::FakeJob>>,
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

impl Fake {
    pub(super) fn new(destination_type: &str, more: &str) -> Fake {
        Fake {
            config: parse(destination_type, &format!(r#"{{"provider_id_field":"x","source_id":"src_1"{more}}}"#)).unwrap(),
            mode: PlanMode::Online,
            records: RefCell::default(),
            merged: RefCell::default(),
            merge_after_read: RefCell::default(),
            types: RefCell::default(),
            spelled: RefCell::default(),
            hidden: RefCell::default(),
            before: RefCell::default(),
            edits: RefCell::default(),
            unknown_fields: BTreeSet::from(["nope"]),
            locks: RefCell::default(),
            write_faults: RefCell::default(),
            read_faults: RefCell::default(),
            lock_status: 400,
            firewall: RefCell::default(),
            applied: RefCell::default(),
            jobs: RefCell::default(),
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
        }
    }

    /// A batch of confirmed changes; rows are numbered on. Records that are not there yet are created empty.
    pub(super) fn confirm(&self, changes: &[(String, String)], doubtful: bool) {
        let row = self.confirmed.borrow().len() as u64 + 1;
        for (row, (id, fields)) in (row..).zip(changes) {
            assert!(self.confirmed.borrow_mut().insert(id.clone(), (row, fields.clone())).is_none());
            if !self.merged.borrow().contains_key(id) {
                self.records.borrow_mut().entry(id.clone()).or_default();
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

    /// The metadata of every field that was confirmed.
    fn described(&self, request: &Request) -> Option<Answer> {
        let fields = self.confirmed.borrow();
        let fields: BTreeSet<String> = fields
            .values()
            .flat_map(|(_, fields)| {
                serde_json::from_str::<Map<String, Value>>(fields).unwrap_or_default().into_iter().map(|(name, _)| name)
            })
            .collect();
        let types = self.types.borrow();
        let of = |name: &String| types.get(name).copied().unwrap_or("string");
        let body = match request.path.as_str() {
            "/crm/v3/properties/contacts" => {
                json!({"results": fields.iter().map(|name| json!({"name": name, "type": of(name)})).collect::<Vec<_>>()})
            }
            "/services/data/v67.0/sobjects/Contact/describe" => {
                json!({"fields": fields.iter().map(|name| json!({"name": name, "type": of(name), "updateable": true})).collect::<Vec<_>>()})
            }
            _ => return None,
        };
        Some(Answer { status: 200, retry_after: None, body: body.to_string().into_bytes() })
    }

    pub(super) fn fault(&self, fault: Fault) -> &Fake {
        self.write_faults.borrow_mut().push_back(fault);
        self
    }

    pub(super) fn read_fault(&self, fault: Fault) -> &Fake {
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

    /// A run that is killed after so many turns, if it has not ended before; what it leaves is in doubt.
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
    pub(super) fn confirmed_fields(&self, id: &str) -> Map<String, Value> {
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
        self.log.borrow().iter().filter(|request| request.writes).map(|request| request.body.clone()).collect()
    }

    pub(super) fn reads(&self) -> usize {
        self.log.borrow().iter().filter(|request| !request.writes).count()
    }

    /// Whether the CRM holds what was confirmed for a record.
    pub(super) fn is_written(&self, id: &str) -> bool {
        let fields: Map<String, Value> = serde_json::from_str(&self.confirmed.borrow()[id].1).unwrap();
        self.records.borrow().get(id).is_some_and(|record| fields.iter().all(|(name, value)| record.get(name) == Some(value)))
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.waiting
            .borrow()
            .iter()
            .flatten()
            .flat_map(|batch| {
                (0..batch.rows.len())
                    .map(|at| batch.ids.bytes[batch.ids.offsets[at] as usize..batch.ids.offsets[at + 1] as usize].to_owned())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn answer(&self, request: &Request) -> Answer {
        let (status, body) = match self.config.provider {
            Provider::HubSpot => self.hubspot(request),
            Provider::Salesforce => self.salesforce(request),
        };
        Answer { status, retry_after: None, body: body.into_bytes() }
    }

    /// What egress does: only confirmed values of confirmed records leave.
    fn witness(&self, id: &str, fields: &Value) {
        let confirmed: Value = serde_json::from_str(&self.confirmed.borrow()[id].1).unwrap();
        assert_eq!(fields, &confirmed, "{id}");
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

impl Network for Fake {
    async fn send(&self, request: &Request) -> Result<Answer, Lost> {
        if let Some(answer) = self.described(request) {
            turn().await;
            return Ok(answer);
        }
        self.log.borrow_mut().push(request.clone());
        for (id, (row, _)) in self.confirmed.borrow().iter().filter(|(_, (row, _))| self.outcomes.borrow().contains_key(row)) {
            let named = request.body.contains(&format!("\"{id}\"")) || request.path.contains(&format!("/{id}"));
            assert!(!named, "row {row} has its outcome, and is named again");
        }
        turn().await;
        if !request.writes
            && let Some((id, field, value)) = self.edits.borrow_mut().pop_front()
            && let Some(record) = self.records.borrow_mut().get_mut(&id)
        {
            record.insert(field, value);
        }
        let faults = if request.writes { &self.write_faults } else { &self.read_faults };
        let mut fault = faults.borrow_mut().pop_front().unwrap_or(Fault::Fine);
        if matches!(fault, Fault::Instead(404, _)) && request.method == "GET" && request.path.contains("/jobs/") {
            // A job that is said to be gone is gone: nothing could be known if that were a lie.
            fault = Fault::Fine;
        }
        if let Some((text, status, body)) = *self.firewall.borrow()
            && (request.body.contains(text) || request.path.contains(text))
        {
            fault = Fault::Instead(status, body.to_owned());
        }
        let given = |status, body: String| {
            let retry_after = body.strip_prefix("retry-after ").and_then(|seconds| seconds.parse().ok());
            Answer { status, retry_after, body: body.into_bytes() }
        };
        let answered = match fault {
            Fault::Fine => Ok(self.answer(request)),
            Fault::Before(lost) => Err(lost),
            Fault::Instead(status, body) => Ok(given(status, body)),
            Fault::Late(id, fields, status, body) => {
                let fields: Map<String, Value> = serde_json::from_str(&fields).unwrap();
                self.records.borrow_mut().get_mut(id).unwrap().extend(fields);
                *self.applied.borrow_mut().entry(id.to_owned()).or_default() += 1;
                Ok(given(status, body))
            }
            Fault::After(lost) => {
                self.answer(request);
                Err(lost)
            }
            Fault::Answered(status, body) => {
                self.answer(request);
                Ok(given(status, body))
            }
        };
        // The answer is on its way: whoever is killed now has written and does not know it.
        turn().await;
        answered
    }

    async fn pause(&self, milliseconds: u64) {
        self.paused.set(self.paused.get() + milliseconds);
        turn().await;
    }

    fn random(&self) -> u64 {
        self.random.set(self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        self.random.get() >> 33
    }
}

impl Stream for Fake {
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
            assert_eq!(problem.is_some(), matches!(status, Status::Failed | Status::Unknown | Status::Drifted));
            assert!(
                problem
                    .as_ref()
                    .is_none_or(|problem| !problem.code.is_empty() && !problem.message.is_empty() && problem.message.len() < 2100)
            );
            assert!(self.outcomes.borrow_mut().insert(*row, (*status, problem)).is_none(), "row {row} has two outcomes");
        }
        Ok(())
    }
}
