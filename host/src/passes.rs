//! A run in passes: a canary, the rest, and reading back what was written.
//!
//! ```no_run
//! use reverse_sync::{Checks, ConfirmedPlan, Done, HowMany, RunError, Target};
//!
//! async fn carefully(people: &Target, plan: &ConfirmedPlan) -> Result<Done, RunError> {
//!     let checks = Checks { canary: 50.try_into().ok(), verify: Some(HowMany::All) };
//!     people.run(plan).checks(checks).await
//! }
//! ```

use crate::{
    component::{Component, Grant},
    egress::Link,
    gate::ConfirmedPlan,
    journal::{self, Journal, Ranges},
    run::{self, Part, Report, RunError, StopReason, Stopped, Watch},
    stop::StopSignal,
    verify::{self, Verified},
};
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU64, path::Path, str::FromStr};

/// Records that are read back as a sample.
const SAMPLE: u64 = 100;

/// What is looked at beside the CRM's own answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Write this many changes first, read all of them back, and continue only if each holds what was
    /// written.
    pub canary: Option<NonZeroU64>,
    /// Read records back after the run.
    pub verify: Option<HowMany>,
}

/// How many of the written records are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HowMany {
    /// 100 of them, spread over all.
    Sample,
    /// Each.
    All,
}

impl FromStr for HowMany {
    type Err = String;

    fn from_str(text: &str) -> Result<HowMany, String> {
        match text {
            "sample" => Ok(HowMany::Sample),
            "all" => Ok(HowMany::All),
            _ => Err("it is `sample` or `all`".to_owned()),
        }
    }
}

/// What the first changes came to, which were written before all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Canary {
    /// So many were asked for.
    pub size: u64,
    /// Whether all of them hold what was written, so that the rest followed; null before that is
    /// known.
    pub held: Option<bool>,
}

/// A run, and what was read back of it.
pub struct Done {
    /// What it came to.
    pub report: Report,
    /// The canary, if there was one.
    pub canary: Option<Canary>,
    /// The last check, or why there could not be one.
    pub verified: Option<Result<Verified, String>>,
    /// It was asked to stop while it read back what was written: that says nothing about the
    /// records.
    pub unread: bool,
}

impl Done {
    /// Whether every change is in the CRM now, as far as anybody looked.
    pub fn ok(&self) -> bool {
        self.report.ok()
            && self
                .verified
                .as_ref()
                .is_none_or(|verified| verified.as_ref().is_ok_and(Verified::ok))
    }
}

/// What all passes of a run have in common.
pub(crate) struct Passes<'a> {
    /// What runs.
    pub(crate) component: &'a Component,
    /// What it may do.
    pub(crate) grant: &'a Grant,
    /// What is written.
    pub(crate) confirmed: &'a ConfirmedPlan,
    /// Where journals are.
    pub(crate) runs_dir: &'a Path,
    /// The way to the CRM.
    pub(crate) link: Link,
    /// Stops between batches.
    pub(crate) stop: StopSignal,
}

impl Passes<'_> {
    /// Makes all passes. The journal is new or holds what happened before. `watching` is told at
    /// the beginning of each pass that writes where to look for its progress.
    ///
    /// # Errors
    /// Only for what makes running impossible; see [`run::run`].
    pub(crate) async fn all(
        &self,
        checks: Checks,
        mut journal: Journal,
        mut watching: impl FnMut(Watch),
    ) -> Result<Done, RunError> {
        let (mut canary, mut verified, mut whole) = (None, None, None);
        let (mut requests, mut refused) = (0, 0);
        if let Some(size) = checks.canary.map(NonZeroU64::get) {
            let (run_id, journal_id) =
                (journal.run_id().clone(), journal.past().journal_id.clone());
            let report = self.run(Part::First(size), journal, &mut watching).await?;
            if report.stopped.is_some() {
                return Ok(Done { report, canary, verified, unread: false });
            }
            let mut problems = 0;
            let past = journal::read(&report.journal, |_, problem| {
                problems += u64::from(problem.change() < size)
            })?;
            let checked = self.check(past.updated.below(size)).await;
            if checked.is_err() && self.stop.is_set() {
                let message =
                    "stopped on request while the canary was read back; the rest stays pending, run the plan again to continue".to_owned();
                let stopped = Some(Stopped { reason: StopReason::Cancelled, code: None, message });
                return Ok(Done {
                    report: Report { stopped, ..report },
                    canary,
                    verified,
                    unread: true,
                });
            }
            let held = problems == 0 && checked.as_ref().is_ok_and(Verified::ok);
            (canary, verified) = (Some(Canary { size, held: Some(held) }), Some(checked));
            if !held {
                return Ok(Done { report, canary, verified, unread: false });
            }
            journal = Journal::open_run(
                self.runs_dir,
                run_id,
                self.confirmed.plan().id(),
                journal_id.as_ref(),
            )?;
            // A canary as large as the plan has left nothing, and its run has ended.
            if report.pending == 0 {
                whole = Some(report);
            } else {
                (requests, refused) = (report.requests, report.refused);
            }
        }
        let mut report = match whole {
            Some(report) => report,
            None => self.run(Part::Whole, journal, &mut watching).await?,
        };
        report.requests += requests;
        report.refused += refused;
        if let Some(how_many) = checks.verify
            && report.stopped.is_none()
        {
            let updated = journal::read(&report.journal, |_, _| {})?.updated;
            let chosen = if how_many == HowMany::All { updated } else { updated.spread(SAMPLE) };
            let checked = self.check(chosen).await;
            if checked.is_err() && self.stop.is_set() {
                return Ok(Done { report, canary, verified: None, unread: true });
            }
            verified = Some(checked);
        }
        Ok(Done { report, canary, verified, unread: false })
    }

    async fn run(
        &self,
        part: Part,
        journal: Journal,
        watching: &mut impl FnMut(Watch),
    ) -> Result<Report, RunError> {
        let Passes { component, grant, confirmed, link, stop, .. } = self;
        run::run(component, grant, confirmed, part, link.clone(), journal, stop.clone(), watching)
            .await
    }

    /// Reads written records back. That they cannot be read says nothing about the run, which has
    /// its own report.
    async fn check(&self, changes: Ranges) -> Result<Verified, String> {
        if changes.count() == 0 {
            return Ok(Verified::default());
        }
        let Passes { component, grant, confirmed, link, stop, .. } = self;
        verify::check(component, grant, confirmed.plan(), changes, link.clone(), stop.clone())
            .await
            .map_err(|error| error.to_string())
    }
}
