//! One run, from its turn to its row in the audit log.
//!
//! A run may begin anew any number of times: its journal says what is left to do, and its end is
//! written in one transaction. So whatever instant the process dies at, the next start either takes
//! the run up again or finds that it has ended.

use crate::{
    app::App,
    components::Granted,
    observe::{
        self,
        metrics::{Metrics, RunEnd},
        request_log::RequestLog,
        telemetry::run_span,
    },
    scheduler::{Job, Jobs, Runner, live::Live},
    store::{
        AuditEntry, RunOptions, RunRow, Status, StoreError, Unreadable, now_ms, outcome, time_text,
    },
};
use futures_util::{FutureExt, future::BoxFuture};
use reverse_sync::{
    egress::Link,
    gate::{Confirmation, ConfirmedPlan},
    journal::{self, Counts, Ending, Journal, JournalError, JournalId, Problem, RunId},
    passes::Done,
    plan::{Plan, PlanId},
    run::{RunError, StopReason, Stopped, Watch},
    summary::RunSummary,
    workspace::Workspace,
};
use serde_json::json;
use std::{io, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tracing::Instrument;

/// Problems that are kept in the store; the journal has all.
const PROBLEMS: usize = 1_000;
/// How long to wait before a store that refuses is asked again.
const AGAIN: Duration = Duration::from_secs(2);
const SOON: Duration = Duration::from_millis(20);

/// A word that says that the service itself failed; what went wrong is in its log.
const INTERNAL: &str =
    "the service failed; its log says why, under this run_id. What is pending can be resumed";

const NOT_OURS: &str = "the journal of this run is gone, or another run's: the service's folder or its database was put back to an older state. \
     Nobody knows what it has written. Plan again with \"mode\": \"compare\" to see what the CRM holds";
const OF_ANOTHER_VERSION: &str = "the journal of this run was written by another version of the service; continue with that version";

impl Runner for App {
    fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    fn carry_out(self: Arc<App>, job: Job) -> BoxFuture<'static, ()> {
        async move { carry_out(&self, job).await }.boxed()
    }
}

/// Takes up runs that are running by the store and that nobody works on: at the start, what did
/// not finish before the service did; later, what the store has refused to say when it was
/// queued. How many there were. One whose row cannot be read is set aside and not resumed,
/// because what was confirmed is not known.
///
/// # Errors
/// If the store cannot be read.
pub async fn take_up(app: &Arc<App>) -> Result<usize, StoreError> {
    let mut count = 0;
    for row in app.store.unfinished_runs().await? {
        let row = match row {
            Ok(row) => row,
            Err(unreadable) => {
                app.jobs.set_aside(&unreadable);
                continue;
            }
        };
        if app.jobs.live(&row.org_id, &row.run_id).is_some() {
            continue;
        }
        if row.status == Status::Running {
            app.store.set_run_status(&row.org_id, &row.run_id, Status::Interrupted).await?;
        }
        Jobs::submit(app, row, None);
        count += 1;
    }
    Ok(count)
}

/// Asks a run to stop. What has not begun ends at once.
///
/// # Errors
/// If the store refuses.
pub async fn cancel(app: &Arc<App>, row: &RunRow, who: &str) -> Result<(), StoreError> {
    app.store.cancel_run(&row.org_id, &row.run_id, who).await?;
    // Then its turn is where it waits, and ends.
    let in_other_hands = is_in_other_hands(app, row);
    match app.jobs.stop(row, !in_other_hands) {
        (Some(job), _) => {
            ended_before_it_began(app, &job.row).await;
            app.jobs.forget(&job);
        }
        (None, false) if in_other_hands => drop(Jobs::submit(app, row.clone(), None)),
        (None, false) => ended_before_it_began(app, row).await,
        (None, true) => {}
    }
    Ok(())
}

/// Carries a run to its end, or to where the service ends.
async fn carry_out(app: &Arc<App>, job: Job) {
    let Job { row, confirmed, live, waits } = job;
    drop(waits);
    let Ok(run_id) = row.run_id.parse::<RunId>() else {
        tracing::error!(run_id = row.run_id, "the store holds an invalid run id");
        return;
    };
    let span = run_span(&row.org_id, &run_id);
    let attempt = Attempt { app, row: &row, run_id, live: &live };
    async {
        match AssertUnwindSafe(attempt.its_turn(confirmed)).catch_unwind().await {
            Ok(()) => {}
            Err(_) => attempt.end(attempt.stopped(StopReason::Internal, INTERNAL)).await,
        }
    }
    .instrument(span)
    .await;
}

/// Ends a run that was cancelled while it waited.
async fn ended_before_it_began(app: &Arc<App>, row: &RunRow) {
    let Ok(run_id) = row.run_id.parse::<RunId>() else { return };
    let (live, span) = (app.jobs.new_live(), run_span(&row.org_id, &run_id));
    let attempt = Attempt { app, row, run_id, live: &live };
    let ending =
        attempt.end(attempt.stopped(
            StopReason::Cancelled,
            "it was cancelled before it began; resume it to continue",
        ));
    ending.instrument(span).await;
}

/// Whether another process holds the journal of a run that this one does not work on.
fn is_in_other_hands(app: &App, row: &RunRow) -> bool {
    row.run_id.parse().is_ok_and(|run_id| {
        journal::is_held(&journal::file(&app.folder(&row.org_id).runs(), &run_id))
    })
}

/// The journal of a run: its name, and whether it must be there.
struct Begun {
    journal_id: JournalId,
    begun: bool,
}

/// What it takes to run.
struct Ready {
    confirmed: ConfirmedPlan,
    link: Link,
    granted: Granted,
}

/// How an attempt is over.
enum Over {
    /// The run has ended, early or not.
    Ended(RunSummary),
    /// It continues after so long: a limit of the CRM is used up.
    Waits(RunSummary, Duration),
    /// It only ended because the service does: the next start continues.
    Interrupted,
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
        self.live.begins(None);
        let (options, begun) = loop {
            match self.begin().await {
                Ok(Some(begun)) => break begun,
                // Its end is on record already.
                Ok(None) => return,
                Err(StoreError::TakenOver) => return,
                Err(StoreError::Unreadable(unreadable)) => {
                    return self.app.jobs.set_aside(&unreadable);
                }
                Err(error) => tracing::error!(%error, "a run cannot begin; trying again"),
            }
            if self.app.jobs.is_ending() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        };
        if begun.begun {
            self.live.begins(self.counts());
        }
        let over = if !self.journal_is_free().await {
            Over::Interrupted
        } else if options.cancelled {
            Over::Ended(
                self.stopped(StopReason::Cancelled, "it was cancelled; resume it to continue"),
            )
        } else {
            self.attempt(&options, confirmed, begun).await
        };
        drop(running);
        match over {
            Over::Ended(result) => self.end(result).await,
            Over::Waits(result, wait) => self.wait(result, wait).await,
            Over::Interrupted => {
                self.app.metrics.run_ended(RunEnd::Interrupted);
                if let Err(error) = self
                    .app
                    .store
                    .set_run_status(&self.row.org_id, &self.row.run_id, Status::Interrupted)
                    .await
                {
                    tracing::warn!(%error, "the run is interrupted, and the store does not say so");
                }
            }
        }
    }

    /// Says that it is running. What is on record now counts, not what was when it was queued.
    async fn begin(&self) -> Result<Option<(RunOptions, Begun)>, StoreError> {
        let store = &self.app.store;
        let row = store.run(&self.row.org_id, &self.row.run_id).await?;
        let id = &self.row.run_id;
        let row = row.ok_or_else(|| Unreadable::new("runs.run_id", id, "the run is gone"))?;
        if !row.status.is_unfinished() {
            return Ok(None);
        }
        let journal_id = row.journal_id.parse();
        let journal_id = journal_id
            .map_err(|error: String| Unreadable::new("runs.journal_id", &row.run_id, error))?;
        store.set_run_status(&row.org_id, &row.run_id, Status::Running).await?;
        Ok(Some((row.options, Begun { journal_id, begun: row.begun })))
    }

    /// Waits until no other process holds the journal: a service that was taken over may have
    /// answers to come, and whatever was said about the run before would not be its end. False if
    /// this service ends first.
    async fn journal_is_free(&self) -> bool {
        while is_in_other_hands(self.app, self.row) {
            if self.app.jobs.is_ending() {
                return false;
            }
            tracing::warn!("another process holds the run's journal; trying again");
            tokio::time::sleep(AGAIN).await;
            self.live.begins(self.counts());
        }
        true
    }

    /// The run's journal, and no other. Once it is there, it must be.
    async fn journal(&self, plan: &PlanId, begun: &Begun) -> Result<Journal, JournalError> {
        let runs_dir = self.app.folder(&self.row.org_id).runs();
        let path = journal::file(&runs_dir, &self.run_id);
        if begun.begun && !path.exists() {
            return Err(JournalError::Gone { path });
        }
        let (run_id, plan, journal_id) =
            (self.run_id.clone(), plan.clone(), begun.journal_id.clone());
        let opened = tokio::task::spawn_blocking(move || {
            Journal::open_run(&runs_dir, run_id, &plan, Some(&journal_id))
        });
        let failed =
            |error| JournalError::Io { path: path.clone(), error: io::Error::other(error) };
        let journal = opened.await.map_err(|error| failed(error.to_string()))??;
        if !begun.begun {
            let said = self.app.store.run_has_journal(&self.row.org_id, &self.row.run_id).await;
            said.map_err(|error| failed(error.to_string()))?;
        }
        Ok(journal)
    }

    /// What it came to.
    async fn attempt(
        &self,
        options: &RunOptions,
        confirmed: Option<ConfirmedPlan>,
        begun: Begun,
    ) -> Over {
        let not_begun =
            |stopped| Over::Ended(outcome::not_begun(options, self.row, self.counts(), stopped));
        let Ready { confirmed, link, granted: Granted { component, grant } } =
            match self.ready(options, confirmed).await {
                Ok(ready) => ready,
                Err(stopped) => return not_begun(stopped),
            };
        let app = self.app;
        let folder = app.folder(&self.row.org_id);
        let destination = &confirmed.plan().header().destination;
        let provider = component
            .destination_type(&destination.destination_type)
            .map_or("", |served| served.provider.as_str());
        let log = match RequestLog::open(&folder.requests(), &self.run_id, Arc::clone(&app.metrics))
        {
            Ok(log) => log,
            Err(error) => {
                tracing::error!(%error, "the request log cannot be opened");
                return not_begun(outcome::stop(StopReason::Internal, INTERNAL));
            }
        };
        let observer =
            observe::all(vec![Arc::new(app.metrics.crm(provider)), Arc::clone(&log) as _]);
        let pacer = Arc::clone(&link.pacer);
        let source = Link { observer: Some(observer), ..link }.into();
        let workspace = Workspace::new(
            component.with_deadline(app.jobs.limits.run_time),
            grant.clone(),
            folder.path(),
        );
        let journal = loop {
            match self.journal(confirmed.plan().id(), &begun).await {
                // Whoever asks whether it is held holds it for a moment.
                Err(JournalError::Busy(_)) if !app.jobs.is_ending() => {
                    tokio::time::sleep(SOON).await
                }
                opened => break opened,
            }
        };
        let done = match journal {
            Ok(journal) => match workspace.target(destination.clone(), &source) {
                Ok(target) => {
                    target
                        .run(&confirmed)
                        .checks(options.checks)
                        .stop(&self.live.stop)
                        .journal(journal)
                        .watch(|watch| self.watch(watch))
                        .await
                }
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        };
        log.close().await;
        match done {
            Ok(done) if self.is_interrupted(&done) => Over::Interrupted,
            Ok(done) => {
                let summary = RunSummary::of(&done);
                match pacer.exhausted_for().filter(|_| self.waits_for_a_limit(&done)) {
                    Some(wait) => Over::Waits(summary, wait),
                    None => Over::Ended(summary),
                }
            }
            Err(RunError::Journal(JournalError::Busy(_))) if app.jobs.is_ending() => {
                Over::Interrupted
            }
            Err(error) => {
                tracing::error!(%error, "the run cannot continue");
                let stopped = match &error {
                    RunError::Grant(error) => outcome::stop(StopReason::Refused, error.to_string()),
                    // What a file of the service is called is for its operator, who finds it in the
                    // log.
                    RunError::Journal(
                        JournalError::Conflict { .. } | JournalError::Gone { .. },
                    ) => outcome::stop(StopReason::Journal, NOT_OURS),
                    RunError::Journal(JournalError::Format { .. } | JournalError::Line { .. }) => {
                        outcome::stop(StopReason::Journal, OF_ANOTHER_VERSION)
                    }
                    _ => outcome::stop(StopReason::Internal, INTERNAL),
                };
                not_begun(stopped)
            }
        }
    }

    fn waits_for_a_limit(&self, done: &Done) -> bool {
        let limited = done
            .report
            .stopped
            .as_ref()
            .is_some_and(|stopped| stopped.reason == StopReason::RateLimited);
        limited && done.report.pending > 0 && !self.live.is_cancelled()
    }

    /// Lets it wait: it resumes by itself, whoever starts the service by then, and that is not a start
    /// of an org's quota.
    async fn wait(&self, result: RunSummary, wait: Duration) {
        let (app, row) = (self.app, self.row);
        app.metrics.run_ended(RunEnd::Waiting);
        let due_at = now_ms()
            .saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
            .saturating_add(1);
        while let Err(error) = app.store.wait_run(&row.org_id, &row.run_id, due_at, &result).await {
            tracing::error!(%error, "that a run waits cannot be written down; trying again");
            if app.jobs.is_ending() || matches!(error, StoreError::TakenOver) {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
        tracing::info!(due_at = time_text(due_at), "a limit of the CRM is used up: the run waits");
        let app = Arc::clone(app);
        tokio::spawn(async move {
            tokio::time::sleep(wait + Duration::from_millis(2)).await;
            if let Err(error) = take_up(&app).await {
                tracing::warn!(%error, "runs that wait cannot be looked for; the next look finds them");
            }
        });
    }

    /// Opens the gate, and the way to the CRM.
    async fn ready(
        &self,
        options: &RunOptions,
        confirmed: Option<ConfirmedPlan>,
    ) -> Result<Ready, Stopped> {
        let (app, row) = (self.app, self.row);
        let internal = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "the run cannot begin");
            outcome::stop(StopReason::Internal, INTERNAL)
        };
        let gone = |what: &str| {
            outcome::stop(
                StopReason::Refused,
                format!("the {what} is gone; nothing more is written"),
            )
        };
        let destination = app
            .store
            .destination(&row.org_id, &row.destination_id)
            .await
            .map_err(|error| internal(&error))?;
        let destination = destination.ok_or_else(|| gone("destination"))?;
        let source = app
            .store
            .source(&row.org_id, &destination.source_id)
            .await
            .map_err(|error| internal(&error))?;
        let source = source.ok_or_else(|| gone("source"))?;
        let link = app
            .link(&row.org_id, &source)
            .await
            .map_err(|error| outcome::stop(StopReason::Credential, error.to_string()))?;
        if let Some(confirmed) = confirmed {
            // While it waited for its turn, and before it was on record, others may have changed
            // where it would be written.
            let checked = confirmed.check_target(&destination.destination, &link.base_url);
            checked.map_err(|error| outcome::stop(StopReason::Refused, error.to_string()))?;
            let granted = self.component(confirmed.plan()).await?;
            return Ok(Ready { confirmed, link, granted });
        }
        // What somebody confirmed is on record: the same plan, despite the same guards.
        let plan_id: PlanId = row.plan_id.parse().map_err(|error: String| internal(&error))?;
        let confirmation =
            Confirmation::explicit(plan_id.clone()).overriding(options.overridden.iter().cloned());
        let plans_dir = app.folder(&row.org_id).plans();
        let plan = tokio::task::spawn_blocking(move || Plan::load(&plans_dir, &plan_id))
            .await
            .map_err(|error| internal(&error))?;
        let plan = plan.map_err(|error| outcome::stop(StopReason::Refused, error.to_string()))?;
        let granted = self.component(&plan).await?;
        let confirmed = plan.confirm(
            confirmation,
            &destination.destination,
            &link.base_url,
            &granted.component,
        );
        Ok(Ready {
            confirmed: confirmed
                .map_err(|error| outcome::stop(StopReason::Refused, error.to_string()))?,
            link,
            granted,
        })
    }

    /// The component that made the plan, which may have come with an earlier version.
    async fn component(&self, plan: &Plan) -> Result<Granted, Stopped> {
        let granted = self.app.components.get(plan.header().component.digest).await;
        granted.map_err(|error| {
            tracing::error!(%error, "the run cannot begin");
            outcome::stop(StopReason::Component, error.to_string())
        })
    }

    fn watch(&self, watch: Watch) {
        let before = *watch.counts.borrow();
        tokio::spawn(count(Arc::clone(&self.app.metrics), watch.clone(), before));
        self.live.watched(watch);
    }

    /// Whether it ended only because the service does.
    fn is_interrupted(&self, done: &Done) -> bool {
        self.app.jobs.is_ending()
            && !self.live.is_cancelled()
            && (done.report.pending > 0 || done.unread)
    }

    /// What its journal says by now; nothing, if it has begun and cannot be read.
    fn counts(&self) -> Option<Counts> {
        let file = journal::file(&self.app.folder(&self.row.org_id).runs(), &self.run_id);
        if !self.row.begun && !file.exists() {
            return Some(Counts::default());
        }
        let past = journal::read(&file, |_, _| {}).ok()?;
        // Another run's says nothing about this one.
        past.journal_id.is_none_or(|id| id.as_str() == self.row.journal_id).then_some(past.counts)
    }

    fn stopped(&self, reason: StopReason, message: &str) -> RunSummary {
        outcome::not_begun(
            &self.row.options,
            self.row,
            self.counts(),
            outcome::stop(reason, message),
        )
    }

    /// Writes its end down: its state, its first problems and its row in the audit log, all or
    /// nothing.
    async fn end(&self, result: RunSummary) {
        let (app, row) = (self.app, self.row);
        let status = match (result.ok, result.pending) {
            (_, Some(pending)) if pending > 0 => Status::Stopped,
            (Some(true), _) => Status::Succeeded,
            _ => Status::Failed,
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
        while let Err(error) =
            app.store.end_run(&row.org_id, &row.run_id, status, &result, &problems.0, &entry).await
        {
            tracing::error!(%error, "the end of a run cannot be written down; trying again");
            if app.jobs.is_ending() || matches!(error, StoreError::TakenOver) {
                // The next start finds the journal at its end, and writes it down.
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
        tracing::info!(%status, "the end of the run is recorded");
    }

    fn audited(&self, result: &RunSummary) -> AuditEntry {
        let row = self.row;
        let options = &row.options;
        AuditEntry {
            action: if result.ok == Some(true) {
                "destination.reverse_run"
            } else {
                "destination.reverse_run.failed"
            }
            .to_owned(),
            who: row.started_by.clone(),
            org_id: row.org_id.clone(),
            destination_id: Some(row.destination_id.clone()),
            plan_id: Some(row.plan_id.clone()),
            run_id: Some(row.run_id.clone()),
            component: options.component.clone(),
            counts: Some(outcome::audited(result).to_string()),
            detail: json!({
                "override": options.overridden, "undoes": options.undoes,
                "requests": result.requests, "stopped": result.stopped,
            })
            .to_string(),
        }
    }
}

/// The first problems of a run.
#[derive(Default)]
struct Problems(Vec<(Ending, Problem)>);

impl Problems {
    fn see(&mut self, ending: Ending, problem: Problem) {
        if self.0.len() < PROBLEMS {
            self.0.push((ending, problem));
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
