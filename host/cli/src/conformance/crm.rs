//! A CRM as simple as can be: it holds the records of one plan, answers over a real socket as a
//! fixture says, and can go wrong in one way at a time.

use super::fixture::Answer;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use reverse_sync::{Plan, StopSignal, plan::PlanError};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    future, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

/// What goes wrong.
#[derive(Clone, Default)]
pub(super) enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// No update is answered; whether it is carried out.
    LosesUpdates { applied: bool },
    /// From the first update on, updates are carried out and no request is answered.
    Silent { begun: bool },
    /// The first update is carried out and never answered; then somebody is told.
    Hangs(Arc<Notify>),
    /// Somebody is asked to stop when the first update has come.
    Stops(StopSignal),
    /// So many updates are answered like this, and not carried out.
    Throttles { status: u16, body: String, times: u32 },
    /// An update of this record is refused.
    Refuses(String),
}

/// A record of the plan.
struct Record {
    /// The confirmed JSON object.
    fields: String,
    /// The same fields, each with null: what it holds before an update.
    empty: String,
    updates: u32,
    /// Since the log was last cleared.
    first: Option<Kind>,
}

impl Record {
    fn of(fields: &str) -> Record {
        let names: BTreeMap<String, IgnoredAny> = serde_json::from_str(fields).unwrap_or_default();
        let empty: Map<_, _> = names.into_keys().map(|name| (name, Value::Null)).collect();
        let empty = Value::Object(empty).to_string();
        Record { fields: fields.to_owned(), empty, updates: 0, first: None }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Update,
}

#[derive(Default)]
struct World {
    records: HashMap<String, Record>,
    trouble: Trouble,
    /// The first request that the fixture has no answer to.
    unanswered: Option<String>,
}

/// What is served; clones share it.
#[derive(Clone)]
struct Served {
    answers: Arc<[Answer]>,
    world: Arc<Mutex<World>>,
}

/// A CRM that runs until it is dropped.
pub(super) struct Crm {
    pub(super) base_url: String,
    served: Served,
    serving: JoinHandle<()>,
}

impl Drop for Crm {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Crm {
    pub(super) async fn start(answers: &[Answer]) -> io::Result<Crm> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let served = Served { answers: answers.into(), world: Arc::default() };
        let serving = served.clone();
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = serving.clone();
                let service = service_fn(move |request| {
                    let served = served.clone();
                    async move { served.answer(request).await }
                });
                // A connection that breaks is what a lost answer is.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Crm { base_url, served, serving })
    }

    /// Has the records of this plan. None of them holds a value yet.
    pub(super) fn hold(&self, plan: &Plan) -> Result<(), PlanError> {
        let mut world = self.served.world();
        world.records.clear();
        plan.for_each_change(|change| {
            let record = Record::of(change.fields);
            world.records.insert(change.provider_id.to_owned(), record);
        })
    }

    /// From now on this goes wrong.
    pub(super) fn trouble(&self, trouble: Trouble) {
        self.served.world().trouble = trouble;
    }

    /// The first request that the fixture has no answer to.
    pub(super) fn unanswered(&self) -> Option<String> {
        self.served.world().unanswered.clone()
    }

    /// The ids of the records that were updated so many times at least.
    pub(super) fn updated(&self, times: u32) -> HashSet<String> {
        let world = self.served.world();
        let updated = world.records.iter().filter(|(_, record)| record.updates >= times);
        updated.map(|(id, _)| id.clone()).collect()
    }

    /// Forgets which requests came first.
    pub(super) fn forget_order(&self) {
        self.served.world().records.values_mut().for_each(|record| record.first = None);
    }

    /// Of these records, one whose first request was an update.
    pub(super) fn updated_unread(&self, ids: &HashSet<String>) -> Option<String> {
        let world = self.served.world();
        let first = |id: &&String| world.records.get(*id).and_then(|record| record.first);
        ids.iter().find(|id| first(id) == Some(Kind::Update)).cloned()
    }
}

/// What becomes of a request.
enum Reply {
    Answer(u16, String),
    Lost,
    Never,
}

impl Served {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let (method, path) = (parts.method.as_str(), parts.uri.path());
        let query = parts.uri.query().unwrap_or_default();
        match self.reply(method, path, query, &String::from_utf8_lossy(&body)) {
            Reply::Answer(status, body) => Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body)))
                .map_err(io::Error::other),
            Reply::Lost => Err(io::Error::other("this answer is lost")),
            Reply::Never => future::pending().await,
        }
    }

    fn reply(&self, method: &str, path: &str, query: &str, body: &str) -> Reply {
        let mut guard = self.world();
        let world = &mut *guard;
        let Some(answer) = self.answers.iter().find(|it| it.fits(method, path)) else {
            world.unanswered.get_or_insert_with(|| format!("{method} {path}"));
            return Reply::Answer(404, String::new());
        };
        let ids = named(&world.records, path, query, body);
        // Only an update carries confirmed values: the host sees to that.
        let carries = |id: &String| {
            let fields = &world.records[id].fields;
            body.contains(fields.get(1..fields.len() - 1).unwrap_or_default())
        };
        let updates = ids.first().is_some_and(carries);
        let kind = if updates { Kind::Update } else { Kind::Read };
        for id in &ids {
            if let Some(record) = world.records.get_mut(id) {
                record.first.get_or_insert(kind);
            }
        }
        let mut apply = |but: Option<&str>| {
            for id in ids.iter().filter(|id| updates && Some(id.as_str()) != but) {
                if let Some(record) = world.records.get_mut(id) {
                    record.updates += 1;
                }
            }
        };
        let (mut form, mut refuses) = (&answer.answer, None);
        match &mut world.trouble {
            Trouble::Silent { begun } if updates || *begun => {
                *begun = true;
                apply(None);
                return Reply::Lost;
            }
            Trouble::LosesUpdates { applied } if updates => {
                if *applied {
                    apply(None);
                }
                return Reply::Lost;
            }
            Trouble::Hangs(told) if updates => {
                apply(None);
                told.notify_one();
                return Reply::Never;
            }
            Trouble::Throttles { status, body, times } if updates && *times > 0 => {
                *times -= 1;
                return Reply::Answer(*status, body.clone());
            }
            Trouble::Refuses(refused) if updates && ids.contains(refused) => {
                if let Some(refusal) = &answer.refusal {
                    (form, refuses) = (refusal, Some(refused.clone()));
                }
                // A request that is refused as a whole changes nothing.
                if form.status < 300 {
                    apply(Some(refused));
                }
            }
            Trouble::Stops(stop) if updates => {
                stop.stop();
                apply(None);
            }
            _ => apply(None),
        }
        let holds = |id: &String| {
            let record = &world.records[id];
            if record.updates > 0 { record.fields.as_str() } else { record.empty.as_str() }
        };
        let holds = ids.iter().map(|id| (id.as_str(), holds(id)));
        Reply::Answer(form.status, form.body(holds, refuses.as_deref()))
    }
}

/// The records that a request names, in their order.
fn named(records: &HashMap<String, Record>, path: &str, query: &str, body: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    [path, query, body]
        .into_iter()
        .flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_'))
        .filter(|word| records.contains_key(*word) && seen.insert(*word))
        .map(str::to_owned)
        .collect()
}
