//! Undoing: a plan that puts back what the CRM held before a run.
//!
//! An undo is a plan like any other, made from other things than golden records: from the previous
//! values in the run's own plan, from its journal, which says what was really written, and from the
//! CRM as it is now. It is sealed, looked at and confirmed like any other, and its run can be
//! undone too. A record that somebody changed since is left alone.
//!
//! ```no_run
//! use reverse_sync::{Plan, RunId, Target, UndoError};
//!
//! async fn way_back(people: &Target, run_id: &RunId) -> Result<Option<Plan>, UndoError> {
//!     match people.undo(run_id).await {
//!         Err(UndoError::NothingWritten(_)) => Ok(None),
//!         plan => plan.map(Some),
//!     }
//! }
//! ```

use crate::{
    account::{self, Expecting, NotHeld},
    component::{Component, Grant, GrantError},
    contract::types as wit,
    destination::{Destination, OnDuplicateId},
    egress::{Link, Traffic, base_url::BaseUrl},
    guards::{Guards, Percent},
    journal::{self, JournalError, Past, RunId},
    plan::{ChangeBatch, Draft, Plan, PlanError, PlanMode, PlannedBy, Spool, SpoolError},
    source::SourceError,
    stop::StopSignal,
    values::{members, shown},
    verify::{self, Holding, Reading, VerifyError},
};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::BTreeMap, io, path::Path, sync::Arc};

/// The reason code of a record that somebody changed since the run.
pub const CHANGED_SINCE: &str = "changed_since";
/// The reason code of a record that has the previous values already.
pub const AS_BEFORE: &str = "as_before";
/// The reason code of a record that is not there any more.
pub const GONE: &str = "gone";
/// The reason code of a record of which all fields go one way only.
pub const ONE_WAY: &str = "one_way";
/// The reason code of a record that the CRM would not show.
pub const UNREADABLE: &str = "unreadable";

/// A run that was made: what its journal says, and its plan.
pub struct PastRun {
    /// The run.
    pub run_id: RunId,
    /// What its journal says.
    pub past: Past,
    /// Its plan.
    pub plan: Plan,
}

impl PastRun {
    /// Reads a run's journal and its plan.
    ///
    /// # Errors
    /// If there is no such run, it is running, or its plan is gone or was altered.
    pub fn read(runs_dir: &Path, plans_dir: &Path, run_id: RunId) -> Result<PastRun, UndoError> {
        let past = journal::read_run(runs_dir, &run_id)?;
        let Some(plan_id) = &past.plan_id else { return Err(UndoError::NoPlan(run_id)) };
        let plan = Plan::load(plans_dir, plan_id)?;
        Ok(PastRun { run_id, past, plan })
    }
}

/// A run to undo.
pub(crate) struct Undoing<'a> {
    pub(crate) run: &'a PastRun,
    /// The destination as it is configured now.
    pub(crate) destination: &'a Destination,
    /// What the operator allows the component.
    pub(crate) grant: &'a Grant,
    /// The way to the CRM as it is configured now, which is read.
    pub(crate) link: Link,
    /// Where plans are kept.
    pub(crate) plans_dir: &'a Path,
}

/// Why a run cannot be undone. Nothing was written anywhere.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// Nobody looked at the CRM before it was written.
    #[error(
        "run {0} cannot be undone: its plan was made without looking at the CRM's records, so nobody knows what they held"
    )]
    NoValuesBefore(RunId),
    /// Its journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Its journal breaks off before it names the plan.
    #[error("the journal of run {0} does not say which plan it ran")]
    NoPlan(RunId),
    /// There is no way to the CRM.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is nothing to undo.
    #[error("run {0} has written nothing; there is nothing to undo")]
    NothingWritten(RunId),
    /// The destination is not what it was.
    #[error("run {run_id} wrote to another target than `{name}` is now: {what}")]
    OtherTarget {
        /// The run.
        run_id: RunId,
        /// The destination.
        name: String,
        /// What is different.
        what: String,
    },
    /// The credential may open another account than the one that was written to.
    #[error(transparent)]
    Account(#[from] NotHeld),
    /// The component has no such destination type any more, or asks for what is never granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The records could not be read.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The plan could not be written.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The run's plan is gone or was altered, or the new one could not be kept.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// Plans the way back. Only reads leave.
///
/// # Errors
/// See [`UndoError`].
pub(crate) async fn plan(
    component: &Component,
    undoing: Undoing<'_>,
    stop: StopSignal,
) -> Result<Plan, UndoError> {
    let Undoing { run: PastRun { run_id, past, plan }, destination, link, .. } = undoing;
    let base_url = &link.base_url;
    let header = plan.header();
    if header.mode != PlanMode::Compare {
        return Err(UndoError::NoValuesBefore(run_id.clone()));
    }
    // What may have been written counts too: it is put back where the record holds it.
    let written = past.updated.or(&past.unknown).or(&past.in_doubt(header.writable));
    let total = written.count();
    if total == 0 {
        return Err(UndoError::NothingWritten(run_id.clone()));
    }
    if let Some(what) = other_target(&header.destination, &header.base_url, destination, base_url) {
        return Err(UndoError::OtherTarget {
            run_id: run_id.clone(),
            name: destination.name.clone(),
            what,
        });
    }
    let question = component.question(&header.destination.destination_type)?;
    let expected = [
        (Expecting::Plan, header.account.as_ref()),
        (Expecting::Run, past.account.as_ref()),
        (Expecting::Source, link.account.as_ref()),
    ];
    let held =
        account::hold(question.as_ref(), &link, &expected, &Traffic::default(), &stop).await?;
    let spooling = Arc::new(Mutex::new(Spooling {
        spool: Some(Spool::new(undoing.plans_dir)?),
        failed: None,
        one_way: BTreeMap::new(),
    }));
    let seen = Arc::clone(&spooling);
    // Spooling writes into buffers, and the CRM sets the pace: a thread of its own would be idle.
    let show = move |reading: Reading<'_>| lock(&seen).take(&reading);
    verify::verify(component, undoing.grant, plan, written, link.clone(), stop, show).await?;

    let (spool, failed, one_way) = {
        let mut spooling = lock(&spooling);
        (spooling.spool.take(), spooling.failed.take(), std::mem::take(&mut spooling.one_way))
    };
    if let Some(error) = failed {
        return Err(error.into());
    }
    let Some(spool) = spool else {
        return Err(SpoolError::Io(io::Error::other("the spool is gone")).into());
    };
    let mut spooled = spool.finish(OnDuplicateId::Skip)?;
    let limits = Guards { max_changes: destination.guards.max_changes, ..unlimited() };
    let found = std::mem::take(&mut spooled.watcher).judge(&limits, total);
    let mut warnings = warnings(run_id, past, plan, component);
    for (name, count) in one_way {
        let records = if count == 1 {
            "1 record keeps its value"
        } else {
            &format!("{count} records keep their value")
        };
        warnings.push(format!("`{name}`: {records}, because the CRM does not take it back in one write; other fields are put back"));
    }
    let account = match held {
        None => account::note(question.as_ref(), &link, &mut warnings).await,
        held => held,
    };
    let descriptor = component.descriptor();
    let draft = Draft {
        destination: destination.clone(),
        base_url: base_url.as_str().to_owned(),
        account,
        component: PlannedBy {
            name: descriptor.name.clone(),
            version: descriptor.version.clone(),
            digest: component.digest(),
        },
        mode: PlanMode::Compare,
        total,
        spooled,
        dropped_fields: Vec::new(),
        warnings,
        guards: found.guards,
        joined: Vec::new(),
        records: Vec::new(),
        undoes: Some(run_id.clone()),
    };
    Ok(Plan::seal(draft, undoing.plans_dir)?)
}

/// What makes this destination another target than the one that was written to, if anything does.
fn other_target(
    then: &Destination,
    then_url: &str,
    now: &Destination,
    now_url: &BaseUrl,
) -> Option<String> {
    if then_url != now_url.as_str() {
        return Some(format!("base_url was {then_url} and is {now_url} now"));
    }
    if then.destination_type != now.destination_type {
        return Some(format!(
            "destination_type was {} and is {} now",
            then.destination_type, now.destination_type
        ));
    }
    let names = then.config_json.keys().chain(now.config_json.keys());
    let name =
        names.into_iter().find(|name| then.config_json.get(*name) != now.config_json.get(*name))?;
    Some(format!(
        "config_json.{name} was {} and is {} now",
        shown(then.config_json.get(name)),
        shown(now.config_json.get(name))
    ))
}

/// An undo puts back what was there: that it changes everything it looks at, or empties what the
/// run had filled, is its purpose.
fn unlimited() -> Guards {
    let (percent, max_changes) = (Percent::ALL, u64::MAX);
    Guards {
        max_changes,
        max_changed_percent: percent,
        max_emptied_percent: percent,
        max_same_value_percent: percent,
        max_lossy_percent: percent,
    }
}

fn warnings(run_id: &RunId, past: &Past, plan: &Plan, component: &Component) -> Vec<String> {
    let mut warnings = Vec::new();
    let made_by = &plan.header().component;
    if made_by.digest != component.digest() {
        warnings.push(format!(
            "run {run_id} was made by {} {} ({}); this plan is made by {}",
            made_by.name,
            made_by.version,
            made_by.digest,
            component.digest()
        ));
    }
    if past.counts.unknown > 0 {
        warnings.push(format!(
            "{} changes of run {run_id} ended unknown: they may have been written; where the CRM holds what was confirmed, they are undone too",
            past.counts.unknown
        ));
    }
    if !past.finished && past.handed_out > past.counts.done() {
        warnings.push(format!(
            "run {run_id} was broken off: up to {} of its changes may have been written without a word in its journal, and are not undone. To settle them, let it continue first: run plan {} again",
            past.handed_out - past.counts.done(),
            plan.id()
        ));
    }
    warnings
}

struct Spooling {
    spool: Option<Spool>,
    failed: Option<SpoolError>,
    /// How many records keep the value of a field, by its name: the CRM would not take it back.
    one_way: BTreeMap<String, u64>,
}

fn lock(spooling: &Mutex<Spooling>) -> MutexGuard<'_, Spooling> {
    // An error is kept in it rather than thrown, so it is good after a panic, too.
    spooling.lock()
}

impl Spooling {
    fn take(&mut self, reading: &Reading<'_>) {
        let (Some(spool), None) = (&mut self.spool, &self.failed) else { return };
        if reading.holding == Holding::Confirmed {
            for name in reading.one_way {
                *self.one_way.entry(name.clone()).or_default() += 1;
            }
        }
        if let Err(error) = decide(spool, reading) {
            self.failed = Some(error);
        }
    }
}

fn decide(spool: &mut Spool, reading: &Reading<'_>) -> Result<(), SpoolError> {
    let detail = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match judge(reading) {
        Decision::PutBack(before, now) => {
            let mut change = ChangeBatch::new();
            change.push(reading.row, reading.provider_id, &before, Some(&now));
            spool.push(change)
        }
        Decision::Leave(reason, text) => spool.skip(wit::SkippedBatch {
            rows: vec![reading.row],
            reason: reason.to_owned(),
            details: detail(&text)
                .map(|text| wit::Strings { offsets: vec![0, text.len() as u32], bytes: text }),
            ids: None,
        }),
    }
}

#[derive(Debug, PartialEq)]
enum Decision {
    /// These values, where the record holds those now.
    PutBack(String, String),
    Leave(&'static str, String),
}

fn judge(reading: &Reading<'_>) -> Decision {
    let named = |text: &str| {
        format!("record {}{}{text}", reading.provider_id, if text.is_empty() { "" } else { ": " })
    };
    match (reading.holding, reading.before) {
        (Holding::Gone, _) => Decision::Leave(GONE, named(reading.detail)),
        (Holding::Unreadable, _) => Decision::Leave(UNREADABLE, named(reading.detail)),
        (_, None) => {
            Decision::Leave(UNREADABLE, named("nobody looked at it before it was written"))
        }
        (_, Some(_)) if reading.moved.is_empty() => Decision::Leave(AS_BEFORE, String::new()),
        (Holding::Confirmed, Some(before)) if reading.one_way.is_empty() => {
            Decision::PutBack(before.to_owned(), reading.now.to_owned())
        }
        (Holding::Confirmed, Some(before)) => {
            let (mut before, mut now) = (members(before), members(reading.now));
            let kept = |name: &String, _: &mut serde_json::Value| !reading.one_way.contains(name);
            before.retain(kept);
            now.retain(kept);
            match before.is_empty() {
                true => Decision::Leave(
                    ONE_WAY,
                    named(&format!(
                        "the CRM does not take {} back in one write",
                        reading.one_way.join(", ")
                    )),
                ),
                false => Decision::PutBack(
                    serde_json::Value::Object(before).to_string(),
                    serde_json::Value::Object(now).to_string(),
                ),
            }
        }
        (Holding::Other, Some(_)) => {
            let (written, now) = (members(reading.written), members(reading.now));
            let changed: Vec<String> = reading
                .differing
                .iter()
                .map(|field| {
                    format!(
                        "{field} was written as {}, and is {} now",
                        shown(written.get(field)),
                        shown(now.get(field))
                    )
                })
                .collect();
            Decision::Leave(CHANGED_SINCE, named(&changed.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(
        holding: Holding,
        now: &'static str,
        differing: &'static [String],
        moved: &'static [String],
    ) -> Reading<'static> {
        Reading {
            row: 7,
            provider_id: "42",
            holding,
            written: r#"{"city":"Boston","phone":"5"}"#,
            before: Some(r#"{"city":"Bozeman","phone":""}"#),
            now,
            detail: "",
            differing,
            moved,
            one_way: &[],
        }
    }

    fn names(names: &[&str]) -> &'static [String] {
        names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>().leak()
    }

    #[test]
    fn what_was_written_is_put_back_and_what_was_changed_since_is_left_alone() {
        let written = r#"{"city":"Boston","phone":"5"}"#;
        let (none, city, both) = (names(&[]), names(&["city"]), names(&["city", "phone"]));
        let confirmed = reading(Holding::Confirmed, written, none, both);
        assert_eq!(
            judge(&confirmed),
            Decision::PutBack(r#"{"city":"Bozeman","phone":""}"#.to_owned(), written.to_owned())
        );
        let Decision::Leave(reason, detail) =
            judge(&reading(Holding::Other, r#"{"city":"Butte","phone":"5"}"#, city, both))
        else {
            panic!()
        };
        assert_eq!(
            (reason, detail.as_str()),
            (CHANGED_SINCE, "record 42: city was written as Boston, and is Butte now")
        );
        let as_before = reading(Holding::Other, r#"{"city":"Bozeman","phone":null}"#, both, none);
        assert_eq!(judge(&as_before), Decision::Leave(AS_BEFORE, String::new()));
        assert!(matches!(
            judge(&reading(Holding::Gone, "{}", none, none)),
            Decision::Leave(GONE, _)
        ));
        assert!(matches!(
            judge(&reading(Holding::Unreadable, "{}", none, none)),
            Decision::Leave(UNREADABLE, _)
        ));
        let never_looked_at = Reading { before: None, ..confirmed };
        assert!(matches!(judge(&never_looked_at), Decision::Leave(UNREADABLE, _)));
    }

    #[test]
    fn what_the_crm_does_not_take_back_is_left_out_and_the_rest_is_put_back() {
        let written = r#"{"city":"Boston","phone":"5"}"#;
        let confirmed = reading(Holding::Confirmed, written, &[], names(&["city", "phone"]));
        let city = Reading { one_way: names(&["city"]), ..confirmed };
        assert_eq!(
            judge(&city),
            Decision::PutBack(r#"{"phone":""}"#.to_owned(), r#"{"phone":"5"}"#.to_owned())
        );
        let both = Reading { one_way: names(&["city", "phone"]), ..confirmed };
        assert!(matches!(judge(&both), Decision::Leave(ONE_WAY, _)));
    }

    #[test]
    fn another_target_is_named() {
        let then: Destination = serde_json::from_str(
            r#"{"name":"people","destination_type":"hubspot_dest","entity_type":"person","config_json":{"object":"contacts","fields":["a"]}}"#,
        )
        .unwrap();
        let url = BaseUrl::parse("https://api.hubapi.com", false).unwrap();
        let mut now = then.clone();
        now.guards.max_changes = 7;
        assert_eq!(
            other_target(&then, url.as_str(), &now, &url),
            None,
            "guards are not part of where it is written"
        );
        now.config_json.insert("object".to_owned(), "companies".into());
        assert_eq!(
            other_target(&then, url.as_str(), &now, &url).unwrap(),
            "config_json.object was contacts and is companies now"
        );
        assert!(
            other_target(&then, "https://other.example", &then, &url).unwrap().contains("base_url")
        );
    }
}
