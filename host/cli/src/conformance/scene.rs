//! Where a check happens: the plugin in the library's sandbox, with a CRM of its own.

use super::{
    Stop,
    checks::FEW,
    crm::{Crm, Trouble},
    failed,
    fixture::{Fixture, Golden},
    not_checked,
};
use reverse_sync::{
    Allowed, Component, Confirmation, ConfirmedPlan, Credential, Destination, Done, Grant,
    Observer, Plan, PlanMode, Report, RunError, Source, Target, Workspace, capability,
    component::Pacing,
    egress::{Exchange, Fate, Stage},
    journal::{self, Counts},
    planner::{self, Asking, Planning},
    run::StopReason,
};
use std::sync::{Arc, Mutex, PoisonError};
use tempfile::TempDir;

/// How long "slow down" lasts here, whatever the plugin says: nobody is hurt.
const PAUSE_MS: u32 = 20;

/// A plugin and its fixture.
pub(super) struct Bench {
    pub(super) component: Component,
    pub(super) fixture: Fixture,
}

/// The plugin with a CRM of its own.
pub(super) struct Scene {
    pub(super) target: Target,
    grant: Grant,
    workspace: Workspace,
    pub(super) crm: Crm,
    seen: Arc<Seen>,
    _dir: TempDir,
}

/// The first request that the host refused, and why.
#[derive(Default)]
struct Seen(Mutex<Option<String>>);

impl Observer for Seen {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        // A request that waits for the CRM's limit is no fault.
        if let Fate::Refused { reason, stage: Stage::Capability | Stage::Witness } = exchange.fate {
            let first = || format!("{} {}: {reason}", exchange.method, exchange.path);
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(first);
        }
    }
}

impl Bench {
    /// What it says of the pace, with pauses as short as can be and without a limit: here is nobody
    /// to be spared.
    pub(super) fn pacing(&self) -> Result<Pacing, Stop> {
        let served = self.component.destination_type(&self.fixture.destination_type)?;
        let mut pacing = served.pacing.clone();
        (pacing.limit, pacing.headers) = (None, None);
        for throttle in &mut pacing.throttles {
            throttle.pause_ms = throttle.pause_ms.map(|pause| pause.min(PAUSE_MS));
        }
        Ok(pacing)
    }

    /// A folder, a CRM, and the plugin with all that it asks for.
    pub(super) async fn scene(&self) -> Result<Scene, Stop> {
        let dir = tempfile::tempdir()?;
        let crm = Crm::start(&self.fixture.answers).await?;
        let served = self.component.destination_type(&self.fixture.destination_type)?;
        // Reads by POST and jobs, too: whether to grant them is for whoever uses it to say.
        let labels = served.capabilities.iter().map(capability::label).collect();
        let grant = Grant { component: self.component.digest(), allowed: Allowed::Only(labels) };
        let workspace = Workspace::new(self.component.clone(), grant.clone(), dir.path());
        let destination = Destination {
            config_json: self.fixture.config.clone(),
            ..Destination::new("tested", &self.fixture.destination_type, "person")
        };
        let seen = Arc::new(Seen::default());
        let source = Source::builder(&served.provider, &self.pacing()?)
            .base_url(&crm.base_url)
            .credential(Credential::bearer("a-token-of-the-kit")?)
            .observer(Arc::clone(&seen) as Arc<dyn Observer>)
            .build()?;
        let target = workspace.target(destination, &source)?;
        Ok(Scene { target, grant, workspace, crm, seen, _dir: dir })
    }

    /// A plan in which every record is updated, and the CRM holds them.
    pub(super) async fn confirm(
        &self,
        scene: &Scene,
        count: u64,
        mode: PlanMode,
    ) -> Result<ConfirmedPlan, Stop> {
        let records = || self.fixture.records(count, FEW);
        let (mut plan, _) = scene.plan(records()).await?;
        scene.crm.hold(&plan)?;
        if mode != PlanMode::Offline {
            plan = scene.plan_online(mode, records()).await?;
            scene.crm.hold(&plan)?;
        }
        let header = plan.header();
        if header.writable != count {
            let reasons: Vec<_> = header.skipped_by_reason.keys().cloned().collect();
            return not_checked(format!(
                "of {count} records of the fixture {} are planned ({}); it needs records that can be updated",
                header.writable,
                reasons.join(", ")
            ));
        }
        let guards: Vec<_> = plan.header().guards.iter().map(|it| it.name.clone()).collect();
        let confirmation = Confirmation::explicit(plan.id().clone()).overriding(guards);
        Ok(scene.target.confirm(plan, confirmation)?)
    }

    /// A run in which something goes wrong.
    pub(super) async fn troubled(&self, trouble: Trouble) -> Result<(Scene, Report), Stop> {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Offline).await?;
        scene.crm.trouble(trouble);
        let report = scene.run(&confirmed).await?;
        Ok((scene, report))
    }
}

impl Scene {
    /// An offline plan, and the memory that it took.
    pub(super) async fn plan(&self, records: Golden) -> Result<(Plan, u64), Stop> {
        let planning = Planning {
            destination: self.target.destination(),
            base_url: self.target.source().base_url(),
            asking: Asking::Nothing,
            grant: &self.grant,
            records: Box::new(records),
            plans_dir: &self.workspace.plans_dir(),
        };
        let measured = planner::plan_measured(self.workspace.component(), planning).await;
        let measured = measured.map_err(|error| Stop::Failed(error.to_string()))?;
        match measured.refused {
            0 => Ok((measured.plan, measured.peak_memory)),
            refused => failed(format!("it sent {refused} requests while planning offline")),
        }
    }

    pub(super) async fn plan_online(&self, mode: PlanMode, records: Golden) -> Result<Plan, Stop> {
        let planned = self.target.plan(mode, records).await;
        match (planned, self.crm.unanswered()) {
            (_, Some(request)) => no_answer(&request),
            (planned, None) => planned.map_err(|error| Stop::Failed(error.to_string())),
        }
    }

    pub(super) async fn run(&self, confirmed: &ConfirmedPlan) -> Result<Report, Stop> {
        Ok(self.ended(self.target.run(confirmed).await)?.report)
    }

    /// What a run came to, unless the fixture kept it from coming to anything.
    pub(super) fn ended(&self, done: Result<Done, RunError>) -> Result<Done, Stop> {
        match self.crm.unanswered() {
            Some(request) => no_answer(&request),
            None => Ok(done?),
        }
    }

    /// Whether every outcome can be true, and every request was what it asked for.
    pub(super) fn honest(&self, report: &Report) -> Result<(), Stop> {
        if let Some(refused) = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return failed(format!("the host refused a request: {refused}"));
        }
        let mut lie = None;
        journal::read(&report.journal, |_, problem| {
            if LIES.contains(&problem.code.as_str()) {
                lie.get_or_insert_with(|| format!("row {}: {}", problem.row, problem.message));
            }
        })?;
        match (lie, &report.stopped) {
            (Some(lie), _) => failed(lie),
            (None, Some(stopped)) if stopped.reason == StopReason::Component => {
                failed(format!("the run ended: {}", stopped.message))
            }
            _ => Ok(()),
        }
    }

    /// Whether every change was updated.
    pub(super) fn all_updated(&self, report: &Report) -> Result<(), Stop> {
        self.honest(report)?;
        if report.counts.updated == report.writable {
            return Ok(());
        }
        failed(format!("the CRM has carried out all {}: {}", report.writable, said(report)))
    }
}

/// What the host calls an outcome that the plugin did not report, or that nothing shows.
const LIES: [&str; 3] = ["no_evidence", "no_outcome", "acknowledged"];

fn no_answer<T>(request: &str) -> Result<T, Stop> {
    not_checked(format!("the fixture has no answer to {request}"))
}

/// What a run came to, in a line.
pub(super) fn said(report: &Report) -> String {
    let Counts { updated, unchanged, failed, drifted, unknown } = report.counts;
    let counts = [
        (updated, "updated"),
        (unchanged, "unchanged"),
        (failed, "failed"),
        (drifted, "drifted"),
        (unknown, "unknown"),
        (report.pending, "pending"),
    ];
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    let ended = report.stopped.as_ref().map(|stopped| format!(" ({})", stopped.message));
    counts.join(", ") + &ended.unwrap_or_default()
}
