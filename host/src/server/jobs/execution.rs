//! One run, from its turn to its row in the audit log.
//!
//! A run may begin anew any number of times: its journal says what is left to do, and its end is written in one transaction. So whatever
//! instant the process dies at, the next start either takes the run up again or finds that it has ended.

use super::{
    Job,
    live::Live,
    outcome::{Problems, RunOptions, RunResult, Stopped},
};
use crate::{
    component::Component,
    egress::{Link, pacing::Pacer},
    gate::{Confirmation, ConfirmedPlan},
    journal::{self, Counts, JournalError, RunId},
    passes::{Done, Passes},
    plan::{Plan, PlanId},
    run::{RunError, Watch},
    server::{
        app::App,
        observe::{
            self,
            metrics::{Metrics, RunEnd},
            request_log::RequestLog,
            telemetry::run_span,
        },
        store::{AuditEntry, RunRow, Status, StoreError},
    },
};
use futures_util::FutureExt;
use serde_json::json;
use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tracing::Instrument;

/// How long to wait before a store that refuses is asked again.
const AGAIN: Duration = Duration::from_secs(2);

/// A word that says that the service itself failed; what went wrong is in its log.
const INTERNAL: &str = "the service failed; its log says why, under this run_id. What is pending can be resumed";

/// Carries a run to its end, or to where the service ends.
pub(super) async fn carry_out(app: &Arc<App>, job: Job) {
    let Job { row, confirmed, live, waits } = job;
    drop(waits);
    let Ok(run_id) = row.run_id.parse::<RunId>() else {
        tracing::error!(run_id = row.run_id, "the store holds a run id that is none");
        return;
    };
    let span = run_span(&row.org_id, &run_id);
    let attempt = Attempt { app, row: &row, run_id, live: &live };
    async {
        match AssertUnwindSafe(attempt.its_turn(confirmed)).catch_unwind().await {
            Ok(()) => {}
            Err(_) => attempt.end(attempt.stopped("internal", INTERNAL)).await,
        }
    }
    .instrument(span)
    .await;
}

/// Ends a run that was cancelled while it waited.
pub(super) async fn ended_before_it_began(app: &Arc<App>, row: &RunRow) {
    let Ok(run_id) = row.run_id.parse::<RunId>() else { return };
    let (live, span) = (Live::new(), run_span(&row.org_id, &run_id));
    let attempt = Attempt { app, row, run_id, live: &live };
    let ending = attempt.end(attempt.stopped("cancelled", "it was cancelled before it began; resume it to go on"));
    ending.instrument(span).await;
}

struct Attempt<'a> {
    app: &'a Arc<App>,
    row: &'a RunRow,
    run_id: RunId,
    live: &'a Live,
}

impl Attempt<'_> {
    async fn its_turn(&self, confirmed: Option<ConfirmedPlan>) {
        let running = self.app.metrics.run_running();
        self.live.begins();
        let options = loop {
            match self.begin().await {
                Ok(Some(options)) => break options,
                // Its end is on record already.
                Ok(None) => return,
                Err(error) => tracing::error!(%error, "a run cannot begin; trying again"),
            }
            if self.app.jobs.is_ending() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        };
        let ended = if options.cancelled {
            Some(self.stopped("cancelled", "it was cancelled; resume it to go on"))
        } else {
            self.attempt(&options, confirmed).await
        };
        drop(running);
        match ended {
            Some(result) => self.end(result).await,
            None => {
                self.app.metrics.run_ended(RunEnd::Interrupted);
                if let Err(error) = self.app.store.set_run_status(&self.row.org_id, &self.row.run_id, Status::Interrupted).await {
                    tracing::warn!(%error, "the run is interrupted, and the store does not say so");
                }
            }
        }
    }

    /// Says that it is under way. What is on record now counts, not what was when it was queued.
    async fn begin(&self) -> Result<Option<RunOptions>, StoreError> {
        let store = &self.app.store;
        let row = store.run(&self.row.org_id, &self.row.run_id).await?;
        let row = row.ok_or(StoreError::Unexpected { place: "runs", error: "the run is gone".to_owned() })?;
        if !row.status.is_under_way() {
            return Ok(None);
        }
        store.set_run_status(&row.org_id, &row.run_id, Status::Running).await?;
        let options = serde_json::from_str(&row.options);
        options.map(Some).map_err(|error| StoreError::Unexpected { place: "runs.options", error: error.to_string() })
    }

    /// What it came to, or nothing if it only ended because the service does: the next start goes on.
    async fn attempt(&self, options: &RunOptions, confirmed: Option<ConfirmedPlan>) -> Option<RunResult> {
        let (confirmed, link) = match self.ready(options, confirmed).await {
            Ok(ready) => ready,
            Err(stopped) => return Some(RunResult::not_begun(self.counts(), options.writable, stopped)),
        };
        let app = self.app;
        let folder = app.folder(&self.row.org_id);
        let provider = app.component.destination_type(&confirmed.plan().header().destination.destination_type);
        let (provider, rights) = provider.map_or(("", ""), |served| (served.provider.as_str(), served.required_rights.as_str()));
        let log = match RequestLog::open(&folder.requests(), &self.run_id, Arc::clone(&app.metrics)) {
            Ok(log) => log,
            Err(error) => {
                tracing::error!(%error, "the request log cannot be opened");
                return Some(RunResult::not_begun(self.counts(), options.writable, Stopped::new("internal", INTERNAL)));
            }
        };
        let observer = observe::all(vec![Arc::new(app.metrics.crm(provider)), Arc::clone(&log) as _]);
        let pacer = Arc::clone(&link.pacer);
        let component: Component = app.component.with_deadline(app.jobs.limits.run_time);
        let passes = Passes {
            component: &component,
            grant: &app.grant,
            confirmed: &confirmed,
            runs_dir: &folder.runs(),
            run_id: self.run_id.clone(),
            link: Link { observer: Some(observer), ..link },
            stop: self.live.stop.clone(),
        };
        let done = loop {
            match passes.all(options.checks, |watch| self.watch(watch, &pacer)).await {
                // Somebody else has it in hand: it is theirs to end.
                Err(RunError::Journal(JournalError::Busy(_))) if !app.jobs.is_ending() && !self.live.is_cancelled() => {
                    tracing::warn!("another process holds the run's journal; trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                done => break done,
            }
        };
        log.close().await;
        match done {
            Ok(done) if self.is_interrupted(&done) => None,
            Ok(done) => Some(RunResult::of(&done, rights)),
            Err(RunError::Journal(JournalError::Busy(_))) if app.jobs.is_ending() => None,
            Err(error) => {
                tracing::error!(%error, "the run cannot go on");
                let stopped = match error {
                    RunError::Grant(error) => Stopped::new("refused", error.to_string()),
                    _ => Stopped::new("internal", INTERNAL),
                };
                Some(RunResult::not_begun(self.counts(), options.writable, stopped))
            }
        }
    }

    /// Opens the gate, and the way to the CRM.
    async fn ready(&self, options: &RunOptions, confirmed: Option<ConfirmedPlan>) -> Result<(ConfirmedPlan, Link), Stopped> {
        let (app, row) = (self.app, self.row);
        let internal = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "the run cannot begin");
            Stopped::new("internal", INTERNAL)
        };
        let gone = |what: &str| Stopped::new("refused", format!("the {what} is gone; nothing more is written"));
        let destination = app.store.destination(&row.org_id, &row.destination_id).await.map_err(|error| internal(&error))?;
        let destination = destination.ok_or_else(|| gone("destination"))?;
        let source = app.store.source(&row.org_id, &destination.source_id).await.map_err(|error| internal(&error))?;
        let source = source.ok_or_else(|| gone("source"))?;
        let link = app.link(&row.org_id, &source).await.map_err(|error| Stopped::new("credential", error.to_string()))?;
        if let Some(confirmed) = confirmed {
            // While it waited for its turn, and before it was on record, others may have changed where it would be written.
            let checked = confirmed.check_target(&destination.destination, &link.base_url);
            return checked.map(|()| (confirmed, link)).map_err(|error| Stopped::new("refused", error.to_string()));
        }
        // What somebody confirmed is on record: the same plan, in spite of the same guards.
        let plan_id: PlanId = row.plan_id.parse().map_err(|error: String| internal(&error))?;
        let confirmation = Confirmation::explicit(plan_id.clone()).overriding(options.overridden.iter().cloned());
        let plans_dir = app.folder(&row.org_id).plans();
        let plan = tokio::task::spawn_blocking(move || Plan::load(&plans_dir, &plan_id)).await.map_err(|error| internal(&error))?;
        let plan = plan.map_err(|error| Stopped::new("refused", error.to_string()))?;
        let confirmed = plan.confirm(confirmation, &destination.destination, &link.base_url, &app.component);
        Ok((confirmed.map_err(|error| Stopped::new("refused", error.to_string()))?, link))
    }

    fn watch(&self, watch: Watch, pacer: &Arc<Pacer>) {
        let before = *watch.counts.borrow();
        tokio::spawn(count(Arc::clone(&self.app.metrics), watch.clone(), before));
        self.live.watched(watch, Arc::clone(pacer));
    }

    /// Whether it ended only because the service does.
    fn is_interrupted(&self, done: &Done) -> bool {
        self.app.jobs.is_ending() && !self.live.is_cancelled() && (done.report.pending > 0 || done.unread)
    }

    /// What its journal says by now.
    fn counts(&self) -> Counts {
        let file = journal::file(&self.app.folder(&self.row.org_id).runs(), &self.run_id);
        journal::read(&file, |_, _| {}).map_or_else(|_| Counts::default(), |past| past.counts)
    }

    fn stopped(&self, reason: &str, message: &str) -> RunResult {
        let writable = serde_json::from_str::<RunOptions>(&self.row.options).map_or(0, |options| options.writable);
        RunResult::not_begun(self.counts(), writable, Stopped::new(reason, message))
    }

    /// Writes its end down: its state, its first problems and its row in the audit log, all or nothing.
    async fn end(&self, result: RunResult) {
        let (app, row) = (self.app, self.row);
        let status = match (result.ok, result.pending) {
            (_, pending) if pending > 0 => Status::Stopped,
            (true, _) => Status::Succeeded,
            (false, _) => Status::Failed,
        };
        app.metrics.run_ended(match status {
            Status::Succeeded => RunEnd::Succeeded,
            Status::Stopped => RunEnd::Stopped,
            _ => RunEnd::Failed,
        });
        let mut problems = Problems::default();
        let file = journal::file(&app.folder(&row.org_id).runs(), &self.run_id);
        if let Err(error) = journal::read(&file, |ending, problem| problems.see(ending, problem)) {
            tracing::debug!(%error, "the run has no journal to read problems from");
        }
        let entry = self.audited(&result);
        let result = json!(result).to_string();
        while let Err(error) = app.store.end_run(&row.org_id, &row.run_id, status, &result, &problems.0, &entry).await {
            tracing::error!(%error, "the end of a run cannot be written down; trying again");
            if app.jobs.is_ending() {
                // The next start finds the journal at its end, and writes it down.
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
        tracing::info!(%status, "the run has its end on record");
    }

    fn audited(&self, result: &RunResult) -> AuditEntry {
        let row = self.row;
        let options: Option<RunOptions> = serde_json::from_str(&row.options).ok();
        AuditEntry {
            action: if result.ok { "destination.reverse_run" } else { "destination.reverse_run.failed" }.to_owned(),
            who: row.started_by.clone(),
            org_id: row.org_id.clone(),
            destination_id: Some(row.destination_id.clone()),
            plan_id: Some(row.plan_id.clone()),
            run_id: Some(row.run_id.clone()),
            component: Some(self.app.component.digest().to_string()),
            counts: options.as_ref().map(|options| result.audited(options).to_string()),
            detail: json!({
                "override": options.as_ref().map(|options| &options.overridden), "undoes": options.as_ref().and_then(|options| options.undoes.as_ref()),
                "requests": result.requests, "stopped": result.stopped,
            })
            .to_string(),
        }
    }
}

/// Counts outcomes as they reach the journal.
async fn count(metrics: Arc<Metrics>, mut watch: Watch, mut before: Counts) {
    loop {
        let now = *watch.counts.borrow_and_update();
        metrics.outcomes(&before, &now);
        before = now;
        if watch.counts.changed().await.is_err() {
            return;
        }
    }
}
