//! What happened, in order: what clients asked and were told, what went wrong when, and what
//! somebody changed in the CRM.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Instant,
};

/// A moment of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Orders moments.
    pub(crate) number: u64,
    /// As many writes had reached the CRM by then.
    pub(crate) writes: usize,
    /// Milliseconds since the history began, by a clock that nobody turns.
    pub(crate) ms: u64,
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Asked {
    /// These values by record, for a field.
    Replace {
        entity: String,
        values: BTreeMap<String, String>,
    },
    DryRun {
        destination: String,
    },
    Confirm {
        destination: String,
        plan: Option<String>,
        key: Option<String>,
    },
    Cancel {
        run: String,
    },
    Resume {
        run: String,
    },
    Undo {
        run: String,
    },
    Look {
        run: String,
    },
    LookAtLog,
}

/// A request, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: usize,
    pub(crate) asked: Asked,
    pub(crate) at: Moment,
    /// When there was an answer, or when nobody waited for one any more.
    pub(crate) over: Moment,
    /// Status and body; `None` if there was no answer.
    pub(crate) told: Option<(u16, Value)>,
}

impl Call {
    /// The body, if it was a yes.
    pub(crate) fn yes(&self) -> Option<&Value> {
        self.told.as_ref().filter(|(status, _)| (200..300).contains(status)).map(|(_, body)| body)
    }

    /// Whether it came to nothing for sure.
    pub(crate) fn is_no(&self) -> bool {
        self.told.as_ref().is_some_and(|(status, _)| (400..500).contains(status))
    }

    /// The run that the answer is about.
    pub(crate) fn run(&self) -> Option<&str> {
        self.yes()?["run_id"].as_str()
    }
}

/// Something that went wrong, from a moment to another.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) from: Moment,
    pub(crate) to: Moment,
    /// Whoever was writing may have been cut off in the middle.
    pub(crate) doubt: bool,
    /// Somebody who was taken over may have been writing still.
    pub(crate) taken_over: bool,
}

/// Somebody changed a value in the CRM, after so many writes.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) writes: usize,
    pub(crate) number: u64,
    pub(crate) id: String,
    pub(crate) field: String,
    pub(crate) value: String,
}

/// A history while it is written.
#[derive(Debug)]
pub(crate) struct Recorder {
    began: Instant,
    moments: AtomicU64,
    inner: Mutex<History>,
}

/// A history.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) calls: Vec<Call>,
    pub(crate) events: Vec<Event>,
    pub(crate) edits: Vec<Edit>,
    /// What was promised and did not come.
    pub(crate) overdue: Vec<String>,
}

impl Recorder {
    pub(crate) fn new() -> Recorder {
        Recorder { began: Instant::now(), moments: AtomicU64::new(0), inner: Mutex::default() }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        // Each statement leaves it consistent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, when the CRM has seen so many writes.
    pub(crate) fn now(&self, writes: usize) -> Moment {
        Moment {
            number: self.moments.fetch_add(1, SeqCst) + 1,
            writes,
            ms: self.began.elapsed().as_millis() as u64,
        }
    }
}

impl fmt::Display for History {
    /// In order of the moments.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<(u64, String)> = Vec::new();
        let at = |moment: &Moment| format!("{:>6} ms {:>4} writes", moment.ms, moment.writes);
        for call in &self.calls {
            lines.push((
                call.at.number,
                format!("{}  client {} asks {:?}", at(&call.at), call.client, call.asked),
            ));
            let told = match &call.told {
                None => "no answer".to_owned(),
                Some((status, body)) => format!("{status} {}", short(body)),
            };
            lines.push((
                call.over.number,
                format!("{}  client {} is told {told}", at(&call.over), call.client),
            ));
        }
        for event in &self.events {
            lines.push((event.from.number, format!("{}  ** {}", at(&event.from), event.name)));
            lines.push((event.to.number, format!("{}  ** {} is over", at(&event.to), event.name)));
        }
        for edit in &self.edits {
            let (writes, id, field, value) = (edit.writes, &edit.id, &edit.field, &edit.value);
            lines.push((
                edit.number,
                format!("          {writes:>4} writes  somebody sets {field} of {id} to {value}"),
            ));
        }
        lines.sort();
        lines.into_iter().try_for_each(|(_, line)| writeln!(f, "{line}"))
    }
}

/// What matters of an answer.
pub(crate) fn short(body: &Value) -> String {
    const KEYS: [&str; 18] = [
        "run_id",
        "plan_id",
        "status",
        "code",
        "detail",
        "undoes",
        "total",
        "writable",
        "updated",
        "unchanged",
        "failed",
        "drifted",
        "unknown",
        "pending",
        "stopped",
        "due_at",
        "id",
        "requests",
    ];
    match body {
        Value::Object(members) => {
            let told: Vec<String> = KEYS
                .iter()
                .filter_map(|key| {
                    Some(format!("{key}: {}", members.get(*key).filter(|value| !value.is_null())?))
                })
                .collect();
            told.join(", ")
        }
        other => other.to_string().chars().take(200).collect(),
    }
}
