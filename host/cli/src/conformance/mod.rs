//! `reverse-sync plugin test`: holds a plugin against the contract.
//!
//! It runs in the library's own sandbox, over real sockets. The library refuses much of what breaks
//! the contract; each check here makes an occasion to break it, and says what came of it. What
//! takes a CRM runs against [`crm`], which answers as the author's [`fixture`] says. What was not
//! proved is never called good.

mod crm;
mod fixture;
mod report;

use crate::{
    exit::{Exit, Failure, OrExit},
    terminal, workspace,
};
use clap::Args;
use crm::{Crm, Trouble};
use fixture::{Fixture, Golden};
use report::Checks;
use reverse_sync::{
    Allowed, Component, Confirmation, ConfirmedPlan, Credential, Destination, Done, Grant, HowMany,
    Observer, Plan, PlanMode, Report, RunError, Source, StopSignal, Target, Workspace, capability,
    component::{Effect, Pacing},
    egress::{Exchange, Fate, Stage},
    journal::{self, Counts, JournalError},
    planner::{self, Asking, Planning},
    run::StopReason,
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;
use tokio::{sync::Notify, time::sleep};

#[derive(Args)]
pub(crate) struct TestArgs {
    /// The plugin
    file: PathBuf,
    /// A configuration, golden records and answers of the CRM, as JSON: docs/writing-a-destination.md
    /// says how; without it, only the description is tested
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Records of most plans.
const FEW: u64 = 1_000;
/// Records of the plans that memory is measured with: enough to have all requests in flight that
/// there ever are, and five times as many.
const SOME: u64 = 4_000;
const MANY: u64 = 20_000;
/// Bytes by which an instance may be larger with [`MANY`] than with [`SOME`].
const GROWTH: u64 = 512 << 10;
/// Time for each call of the plugin.
const DEADLINE: Duration = Duration::from_secs(60);
/// Updates that are answered with "slow down".
const THROTTLED: u32 = 3;
/// How long "slow down" lasts here, whatever the plugin says: nobody is hurt.
const PAUSE_MS: u32 = 20;

/// Between two looks at a journal that is held.
const MOMENT: Duration = Duration::from_millis(10);

/// Why a check has no good end.
enum Stop {
    /// The plugin breaks this.
    Failed(String),
    /// This could not be looked at.
    NotChecked(String),
    /// The kit itself cannot go on.
    Broken(anyhow::Error),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Broken(error.into())
    }
}

/// How a check ended: what was seen, or why not.
type Found = Result<String, Stop>;

fn failed<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(why.into()))
}

fn not_checked<T>(why: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::NotChecked(why.into()))
}

pub(crate) async fn test(args: &TestArgs) -> Result<Exit, Failure> {
    let component = workspace::load(Some(&args.file)).await.or_exit(Exit::Usage)?;
    let component = component.with_deadline(DEADLINE);
    let fixture = args.fixture.as_deref().map(Fixture::read).transpose().or_exit(Exit::Usage)?;
    if let Some(fixture) = &fixture {
        component.destination_type(&fixture.destination_type).or_exit(Exit::Usage)?;
    }
    let mut checks = Checks::new(&component);
    let bench = fixture.map(|fixture| Bench { component: component.clone(), fixture });
    checks.add("describe", describe(&component).await)?;
    macro_rules! with_fixture {
        ($($check:ident),*) => {$(
            let found = match &bench {
                Some(bench) => bench.$check().await,
                None => not_checked("needs --fixture"),
            };
            checks.add(stringify!($check), found)?;
        )*};
    }
    with_fixture!(
        grant,
        plan,
        plan_batches,
        plan_memory,
        run,
        verify,
        compare,
        run_memory,
        stop,
        doubt,
        lost_answers,
        lost_updates,
        silence,
        slow_down,
        daily_limit,
        refusal,
        jobs
    );
    if args.json {
        terminal::print(format_args!("{}\n", checks.to_json()));
    } else {
        terminal::print(format_args!("{}", checks.to_text()));
    }
    Ok(if checks.failed() > 0 { Exit::RecordsFailed } else { Exit::Ok })
}

async fn describe(component: &Component) -> Found {
    let again =
        component.describe_again().await.map_err(|error| Stop::Failed(error.to_string()))?;
    if format!("{again:?}") != format!("{:?}", component.descriptor()) {
        return failed("two instances gave two answers");
    }
    component.describe_alone().await.map_err(|error| Stop::Failed(error.to_string()))?;
    Ok("the same answer in each instance, without a call to the host".to_owned())
}

/// A plugin and its fixture.
struct Bench {
    component: Component,
    fixture: Fixture,
}

/// The plugin with a CRM of its own.
struct Scene {
    target: Target,
    grant: Grant,
    workspace: Workspace,
    crm: Crm,
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
    async fn grant(&self) -> Found {
        let scene = self.scene().await?;
        scene.target.check_config().await.map_err(|error| Stop::Failed(error.to_string()))?;
        let served = self.component.destination_type(&self.fixture.destination_type)?;
        let asked = served.capabilities.len();
        Ok(format!("a host can grant all {asked} kinds of requests that it asks for"))
    }

    async fn plan(&self) -> Found {
        let scene = self.scene().await?;
        let records = self.fixture.records(FEW, FEW).and_odd_ones();
        let (plan, _) = scene.plan(records).await?;
        let header = plan.header();
        if header.total != FEW + fixture::ODD {
            return failed(format!("it read {} of {} records", header.total, FEW + fixture::ODD));
        }
        let (planned, skipped) = (header.writable, header.skipped);
        Ok(format!("each row once and in order: {planned} planned, {skipped} skipped"))
    }

    /// The same records make the same plan, however they come.
    async fn plan_batches(&self) -> Found {
        let scene = self.scene().await?;
        let (whole, _) = scene.plan(self.fixture.records(FEW, FEW)).await?;
        for batch in [1, 7] {
            let (cut, _) = scene.plan(self.fixture.records(FEW, batch)).await?;
            if cut.id() != whole.id() {
                return failed(format!(
                    "{batch} records at a time make another plan than all at once"
                ));
            }
        }
        Ok("the same plan from records that come one, seven or all at a time".to_owned())
    }

    async fn plan_memory(&self) -> Found {
        let scene = self.scene().await?;
        let (_, some) = scene.plan(self.fixture.records(SOME, FEW)).await?;
        let (_, many) = scene.plan(self.fixture.records(MANY, FEW)).await?;
        flat(some, many)
    }

    async fn run(&self) -> Found {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Offline).await?;
        let report = scene.run(&confirmed).await?;
        scene.all_updated(&report)?;
        let requests = report.requests;
        Ok(format!(
            "{FEW} updated; {requests} requests, each byte as it asked for and was confirmed"
        ))
    }

    async fn verify(&self) -> Found {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Offline).await?;
        let running = scene.target.run(&confirmed).verify(HowMany::All);
        let done = scene.ended(running.await)?;
        scene.all_updated(&done.report)?;
        let read = match done.verified {
            Some(Ok(read)) => read,
            Some(Err(error)) => return failed(error),
            None => return not_checked("nothing was read back"),
        };
        if let Some(first) = read.not_read.first() {
            let (count, reason) = (read.not_read.len(), &first.reason);
            return failed(format!("{count} records could not be read back, the first: {reason}"));
        }
        if let Some(first) = read.stored_differently.first() {
            return failed(format!(
                "it reads `{}` of row {} as {}, and {} was written",
                first.field, first.row, first.now, first.written
            ));
        }
        Ok(format!("{} records read back, each as it was written", read.as_written))
    }

    /// Compared with what a run has written, nothing is left to write.
    async fn compare(&self) -> Found {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Compare).await?;
        scene.all_updated(&scene.run(&confirmed).await?)?;
        let again = scene.plan_online(PlanMode::Compare, self.fixture.records(FEW, FEW)).await?;
        match again.header().writable {
            0 => Ok(format!("{FEW} differ before a run and none after it")),
            left => failed(format!("{left} of {FEW} records differ from what was just written")),
        }
    }

    async fn run_memory(&self) -> Found {
        let some = self.run_peak(SOME).await?;
        flat(some, self.run_peak(MANY).await?)
    }

    async fn run_peak(&self, count: u64) -> Result<u64, Stop> {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, count, PlanMode::Offline).await?;
        let report = scene.run(&confirmed).await?;
        scene.all_updated(&report)?;
        Ok(report.peak_memory)
    }

    /// It is asked to stop when its first update comes in, and then to continue.
    async fn stop(&self) -> Found {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, MANY, PlanMode::Offline).await?;
        let stop = StopSignal::new();
        scene.crm.trouble(Trouble::Stops(stop.clone()));
        let done = scene.ended(scene.target.run(&confirmed).stop(&stop).await)?;
        let report = done.report;
        let (ended, left) = (report.counts.done(), report.pending);
        match &report.stopped {
            Some(stopped) if stopped.reason == StopReason::Cancelled => {}
            Some(stopped) => return failed(format!("it ended otherwise: {}", stopped.message)),
            None => return failed(format!("it went on, up to the last of {MANY} changes")),
        }
        scene.honest(&report)?;
        scene.crm.trouble(Trouble::None);
        scene.all_updated(&scene.run(&confirmed).await?)?;
        if let Some(id) = scene.crm.updated(2).iter().next() {
            return failed(format!("record {id} was written again after the stop"));
        }
        Ok(format!("it stopped after {ended} changes, and wrote the other {left} when run again"))
    }

    /// The host dies when an update was carried out and not answered.
    async fn doubt(&self) -> Found {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Offline).await?;
        let hangs = Arc::new(Notify::new());
        scene.crm.trouble(Trouble::Hangs(Arc::clone(&hangs)));
        tokio::select! {
            () = hangs.notified() => {}
            done = async { scene.target.run(&confirmed).await } => {
                return failed(format!("it ended without an update: {}", said(&scene.ended(done)?.report)));
            }
        }
        let in_doubt = scene.crm.updated(1);
        scene.crm.trouble(Trouble::None);
        scene.crm.forget_order();
        // The thread that keeps the journal of the run that was cut off may need a moment to end.
        let report = loop {
            match scene.target.run(&confirmed).await {
                Err(RunError::Journal(JournalError::Busy(_))) => sleep(MOMENT).await,
                done => break scene.ended(done)?.report,
            }
        };
        if let Some(id) = scene.crm.updated_unread(&in_doubt) {
            return failed(format!(
                "record {id} was in doubt, and written again before it was read"
            ));
        }
        scene.honest(&report)?;
        let settled = report.counts.updated + report.counts.unchanged + report.counts.unknown;
        if settled != FEW {
            return failed(format!("it did not settle changes in doubt: {}", said(&report)));
        }
        Ok(format!(
            "{} changes in doubt were read before anything else: {}",
            in_doubt.len(),
            said(&report)
        ))
    }

    /// Updates are carried out and never answered; a read shows them.
    async fn lost_answers(&self) -> Found {
        let (scene, report) = self.troubled(Trouble::LosesUpdates { applied: true }).await?;
        if report.counts.failed > 0 {
            return failed(format!(
                "{} changes that the CRM has carried out are called failed",
                report.counts.failed
            ));
        }
        scene.honest(&report)?;
        Ok(format!("carried out and not answered: {}", said(&report)))
    }

    /// Updates are never answered, and no read shows them.
    async fn lost_updates(&self) -> Found {
        let (scene, report) = self.troubled(Trouble::LosesUpdates { applied: false }).await?;
        if report.counts.updated + report.counts.failed > 0 {
            return failed(format!(
                "updates were not answered, and may be carried out after reads that show the old values: {}",
                said(&report)
            ));
        }
        scene.honest(&report)?;
        Ok(format!("not carried out and not answered: {}", said(&report)))
    }

    /// Nothing is answered, from the first update on.
    async fn silence(&self) -> Found {
        let (scene, report) = self.troubled(Trouble::Silent { begun: false }).await?;
        let counts = &report.counts;
        if counts.updated + counts.unchanged + counts.drifted + counts.failed > 0 {
            return failed(format!(
                "no request was answered, and it knows what became of changes: {}",
                said(&report)
            ));
        }
        scene.honest(&report)?;
        Ok(format!("no answer to anything: {}", said(&report)))
    }

    async fn slow_down(&self) -> Found {
        let pacing = self.pacing()?;
        let Some(throttle) = pacing.throttles.iter().find(|throttle| throttle.pause_ms.is_some())
        else {
            return not_checked("it names no answer that means \"slow down\"");
        };
        let body = throttle.contains.clone().unwrap_or_default();
        let trouble = Trouble::Throttles { status: throttle.http_status, body, times: THROTTLED };
        let (scene, report) = self.troubled(trouble).await?;
        scene.all_updated(&report)?;
        Ok(format!("{THROTTLED} updates answered with {} were sent again", throttle.http_status))
    }

    async fn daily_limit(&self) -> Found {
        let pacing = self.pacing()?;
        let Some(throttle) = pacing.throttles.iter().find(|throttle| throttle.pause_ms.is_none())
        else {
            return not_checked("it names no answer that means \"stop\"");
        };
        let body = throttle.contains.clone().unwrap_or_default();
        let trouble = Trouble::Throttles { status: throttle.http_status, body, times: u32::MAX };
        let (scene, report) = self.troubled(trouble).await?;
        scene.honest(&report)?;
        let reason = report.stopped.as_ref().map(|stopped| stopped.reason);
        if reason != Some(StopReason::RateLimited) || report.pending != FEW {
            return failed(format!(
                "the CRM's limit was used up, and it ended with: {}",
                said(&report)
            ));
        }
        Ok(format!("it stopped at the CRM's limit, and left all {FEW} changes pending"))
    }

    async fn refusal(&self) -> Found {
        if !self.fixture.refuses() {
            return not_checked("no answer of the fixture has a `refusal`");
        }
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Offline).await?;
        let mut ids = Vec::new();
        confirmed.plan().for_each_change(|change| ids.push(change.provider_id.to_owned()))?;
        let Some(refused) = ids.get(ids.len() / 2) else {
            return not_checked("there is no change");
        };
        scene.crm.trouble(Trouble::Refuses(refused.clone()));
        let report = scene.run(&confirmed).await?;
        scene.honest(&report)?;
        let mut failures = Vec::new();
        journal::read(&report.journal, |_, problem| failures.push(problem.provider_id.clone()))?;
        if report.counts.updated != FEW - 1 || failures != [refused.clone()] {
            return failed(format!(
                "the CRM refused record {refused} and no other: {}",
                said(&report)
            ));
        }
        Ok(format!("one of {FEW} refused, and the others updated"))
    }

    async fn jobs(&self) -> Found {
        let served = self.component.destination_type(&self.fixture.destination_type)?;
        if served.capabilities.iter().any(|asked| asked.effect == Effect::Job) {
            return not_checked("this kit has no CRM that works on jobs");
        }
        Ok("it asks for none".to_owned())
    }

    /// What it says of the pace, with pauses as short as can be and without a limit: here is nobody
    /// to be spared.
    fn pacing(&self) -> Result<Pacing, Stop> {
        let served = self.component.destination_type(&self.fixture.destination_type)?;
        let mut pacing = served.pacing.clone();
        (pacing.limit, pacing.headers) = (None, None);
        for throttle in &mut pacing.throttles {
            throttle.pause_ms = throttle.pause_ms.map(|pause| pause.min(PAUSE_MS));
        }
        Ok(pacing)
    }

    /// A folder, a CRM, and the plugin with all that it asks for.
    async fn scene(&self) -> Result<Scene, Stop> {
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
    async fn confirm(
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
    async fn troubled(&self, trouble: Trouble) -> Result<(Scene, Report), Stop> {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Offline).await?;
        scene.crm.trouble(trouble);
        let report = scene.run(&confirmed).await?;
        Ok((scene, report))
    }
}

impl Scene {
    /// An offline plan, and the memory that it took.
    async fn plan(&self, records: Golden) -> Result<(Plan, u64), Stop> {
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

    async fn plan_online(&self, mode: PlanMode, records: Golden) -> Result<Plan, Stop> {
        let planned = self.target.plan(mode, records).await;
        match (planned, self.crm.unanswered()) {
            (_, Some(request)) => no_answer(&request),
            (planned, None) => planned.map_err(|error| Stop::Failed(error.to_string())),
        }
    }

    async fn run(&self, confirmed: &ConfirmedPlan) -> Result<Report, Stop> {
        Ok(self.ended(self.target.run(confirmed).await)?.report)
    }

    /// What a run came to, unless the fixture kept it from coming to anything.
    fn ended(&self, done: Result<Done, RunError>) -> Result<Done, Stop> {
        match self.crm.unanswered() {
            Some(request) => no_answer(&request),
            None => Ok(done?),
        }
    }

    /// Whether every outcome can be true, and every request was what it asked for.
    fn honest(&self, report: &Report) -> Result<(), Stop> {
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
    fn all_updated(&self, report: &Report) -> Result<(), Stop> {
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
fn said(report: &Report) -> String {
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

/// Whether an instance with many records is hardly larger than one with some.
fn flat(some: u64, many: u64) -> Found {
    let said = format!("{} KiB for {SOME} records, {} KiB for {MANY}", some >> 10, many >> 10);
    if many <= some + GROWTH { Ok(said) } else { failed(said) }
}
