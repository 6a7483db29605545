//! The checks: each makes an occasion to break the contract, and says what came of it.

use super::{
    Found, Stop,
    crm::Trouble,
    failed, fixture, not_checked,
    scene::{Bench, Scene, said},
};
use reverse_sync::{
    Component, HowMany, PlanMode, Report, RunError, StopSignal,
    component::Effect,
    journal::{self, JournalError},
    run::StopReason,
};
use std::{sync::Arc, time::Duration};
use tokio::{sync::Notify, time::sleep};

/// Records of most plans.
pub(super) const FEW: u64 = 1_000;
/// Records of the plans that memory is measured with: enough to have all requests in flight that
/// there ever are, and five times as many.
const SOME: u64 = 4_000;
const MANY: u64 = 20_000;
/// Bytes by which an instance may be larger with [`MANY`] than with [`SOME`].
const GROWTH: u64 = 512 << 10;
/// Updates that are answered with "slow down".
const THROTTLED: u32 = 3;
/// Between two looks at a journal that is held.
const MOMENT: Duration = Duration::from_millis(10);

/// Two instances, and one that cannot call anything.
pub(super) async fn describe(component: &Component) -> Found {
    let again =
        component.describe_again().await.map_err(|error| Stop::Failed(error.to_string()))?;
    if format!("{again:?}") != format!("{:?}", component.descriptor()) {
        return failed("two instances gave two answers");
    }
    component.describe_alone().await.map_err(|error| Stop::Failed(error.to_string()))?;
    Ok("the same answer in each instance, without a call to the host".to_owned())
}

impl Bench {
    pub(super) async fn grant(&self) -> Found {
        let scene = self.scene().await?;
        scene.target.check_config().await.map_err(|error| Stop::Failed(error.to_string()))?;
        let served = self.component.destination_type(&self.fixture.destination_type)?;
        let asked = served.capabilities.len();
        Ok(format!("a host can grant all {asked} kinds of requests that it asks for"))
    }

    pub(super) async fn plan(&self) -> Found {
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
    pub(super) async fn plan_batches(&self) -> Found {
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

    pub(super) async fn plan_memory(&self) -> Found {
        let scene = self.scene().await?;
        let (_, some) = scene.plan(self.fixture.records(SOME, FEW)).await?;
        let (_, many) = scene.plan(self.fixture.records(MANY, FEW)).await?;
        flat(some, many)
    }

    pub(super) async fn run(&self) -> Found {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Offline).await?;
        let report = scene.run(&confirmed).await?;
        scene.all_updated(&report)?;
        let requests = report.requests;
        Ok(format!(
            "{FEW} updated; {requests} requests, each byte as it asked for and was confirmed"
        ))
    }

    pub(super) async fn verify(&self) -> Found {
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
    pub(super) async fn compare(&self) -> Found {
        let scene = self.scene().await?;
        let confirmed = self.confirm(&scene, FEW, PlanMode::Compare).await?;
        scene.all_updated(&scene.run(&confirmed).await?)?;
        let again = scene.plan_online(PlanMode::Compare, self.fixture.records(FEW, FEW)).await?;
        match again.header().writable {
            0 => Ok(format!("{FEW} differ before a run and none after it")),
            left => failed(format!("{left} of {FEW} records differ from what was just written")),
        }
    }

    pub(super) async fn run_memory(&self) -> Found {
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
    pub(super) async fn stop(&self) -> Found {
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
    pub(super) async fn doubt(&self) -> Found {
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
    pub(super) async fn lost_answers(&self) -> Found {
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
    pub(super) async fn lost_updates(&self) -> Found {
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
    pub(super) async fn silence(&self) -> Found {
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

    pub(super) async fn slow_down(&self) -> Found {
        let Some((status, scene, report)) = self.throttled(THROTTLED).await? else {
            return not_checked("it names no answer that means \"slow down\"");
        };
        scene.all_updated(&report)?;
        Ok(format!("{THROTTLED} updates answered with {status} were sent again"))
    }

    pub(super) async fn daily_limit(&self) -> Found {
        let Some((_, scene, report)) = self.throttled(u32::MAX).await? else {
            return not_checked("it names no answer that means \"stop\"");
        };
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

    pub(super) async fn refusal(&self) -> Found {
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

    pub(super) async fn jobs(&self) -> Found {
        let served = self.component.destination_type(&self.fixture.destination_type)?;
        if served.capabilities.iter().any(|asked| asked.effect == Effect::Job) {
            return not_checked("this kit has no CRM that works on jobs");
        }
        Ok("it asks for none".to_owned())
    }

    /// A run in which so many updates are answered with "slow down", or all of them with "stop", as
    /// far as the plugin names such an answer.
    async fn throttled(&self, times: u32) -> Result<Option<(u16, Scene, Report)>, Stop> {
        let ends = times == u32::MAX;
        let pacing = self.pacing()?;
        let mut named = pacing.throttles.iter();
        let Some(throttle) = named.find(|named| named.pause_ms.is_none() == ends) else {
            return Ok(None);
        };
        let (status, body) = (throttle.http_status, throttle.contains.clone().unwrap_or_default());
        let (scene, report) = self.troubled(Trouble::Throttles { status, body, times }).await?;
        Ok(Some((status, scene, report)))
    }
}

/// Whether an instance with many records is hardly larger than one with some.
fn flat(some: u64, many: u64) -> Found {
    let said = format!("{} KiB for {SOME} records, {} KiB for {MANY}", some >> 10, many >> 10);
    if many <= some + GROWTH { Ok(said) } else { failed(said) }
}
