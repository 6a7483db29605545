//! What goes wrong: processes that die or freeze, clocks that jump, a database that goes away,
//! services that take each other over, and a CRM that has its days.

use super::{World, clock, first_key, proxy::Passing, proxy::Proxy, until};
use crate::{
    generator::{self, Away, CrmTrouble},
    history::{Event, Moment},
};
use anyhow::{Context, bail};
use crm_simulator::{Fault, Rule};
use reverse_sync_tests::{http::Client, service::Service};
use rustix::process::Signal;
use sqlx::{AnyConnection, Connection};
use std::{fs, path::Path, time::Duration};

/// How long a service may take to notice that it was taken over, and to end. What it writes to the
/// CRM is bounded by the second that its lock is looked at; its end waits for the database.
const TAKEN: Duration = Duration::from_secs(45);

/// Whoever makes trouble, with the services in hand.
pub(super) struct Trouble {
    machine: Machine,
    /// What opens the database, without a proxy.
    url: Option<String>,
    key: Option<String>,
    clock: tempfile::TempDir,
    seconds: i64,
}

/// A service, and its way to the database.
struct Machine {
    service: Service,
    proxy: Option<Proxy>,
}

impl Trouble {
    /// A service that has been started, on a state of its own.
    pub(super) async fn new(program: &Path, url: Option<String>) -> anyhow::Result<Trouble> {
        sqlx::any::install_default_drivers();
        let clock = tempfile::tempdir()?;
        let variables = clock::variables(clock.path())?;
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (proxy, through) = way(url.as_deref()).await?;
        let mut service = Service::new(
            program,
            through,
            &["--runs-an-hour", "100000", "--runs-a-month", "100000"],
            &variables,
        )?;
        service.start_again().await?;
        Ok(Trouble { machine: Machine { service, proxy }, url, key: None, clock, seconds: 0 })
    }

    /// The service, as clients reach it.
    pub(super) async fn door(&mut self) -> anyhow::Result<Client> {
        if self.key.is_none() {
            self.key = Some(first_key(&self.machine.service).await?);
        }
        Ok(self.machine.service.client(self.key.as_deref()))
    }

    pub(super) fn service(&mut self) -> &mut Service {
        &mut self.machine.service
    }

    /// What opens the database, past the proxy.
    pub(super) fn database_url(&self) -> String {
        self.url.clone().unwrap_or_else(|| self.machine.service.database_url())
    }

    /// All that the script has in store.
    pub(super) async fn live(&mut self, world: &World) {
        for step in world.script.trouble.clone() {
            tokio::time::sleep(Duration::from_millis(step.pause)).await;
            if let Err(error) = self.make(world, &step.what).await {
                world.recorder.history().overdue.push(format!("{}: {error:#}", step.what.name()));
                return;
            }
        }
    }

    /// Nothing goes wrong any more, but for a last end of the service.
    pub(super) async fn settle(&mut self, world: &World) {
        world.simulator.world().faults.clear();
        if let Err(error) = self.restart(world).await {
            world.recorder.history().overdue.push(format!("the last start: {error:#}"));
        }
    }

    async fn restart(&mut self, world: &World) -> anyhow::Result<()> {
        let from = world.now();
        clock::set(self.clock.path(), 0)?;
        self.machine.service.kill().await?;
        self.machine.service.start_again().await?;
        happened(world, "the last kill", from, true, false);
        Ok(())
    }

    async fn make(&mut self, world: &World, trouble: &generator::Trouble) -> anyhow::Result<()> {
        use generator::Trouble as Kind;
        let from = world.now();
        let sleep = |ms: &u64| tokio::time::sleep(Duration::from_millis(*ms));
        let service = &mut self.machine.service;
        match trouble {
            Kind::Kill { away } => {
                service.kill().await?;
                sleep(away).await;
                service.start_again().await?;
            }
            Kind::Stop { away } => {
                if !service.stop().await? {
                    bail!("it does not end well: {}", tail(service));
                }
                sleep(away).await;
                service.start_again().await?;
            }
            Kind::Freeze { away } => {
                service.signal(Signal::STOP)?;
                sleep(away).await;
                service.signal(Signal::CONT)?;
            }
            Kind::Clock { seconds } => {
                self.seconds += seconds;
                clock::set(self.clock.path(), self.seconds)?;
            }
            Kind::Database { how, away } => {
                self.database_away(*how, Duration::from_millis(*away)).await?
            }
            Kind::Second => self.second().await?,
            Kind::TakeOver { frozen, away } => {
                self.take_over(world, *frozen, Duration::from_millis(*away)).await?
            }
            Kind::Crm { what, after, times } => {
                let rule = Rule::next(*times, fault(*what)).after(*after);
                // The first that strikes counts, and there is one for latency from the start.
                world.simulator.world().fault(rule);
            }
        }
        let doubt = matches!(trouble, Kind::Kill { .. } | Kind::TakeOver { .. });
        happened(
            world,
            &format!("{trouble:?}"),
            from,
            doubt,
            matches!(trouble, Kind::TakeOver { .. }),
        );
        Ok(())
    }

    async fn database_away(&mut self, how: Away, away: Duration) -> anyhow::Result<()> {
        let Some(proxy) = &self.machine.proxy else {
            // A file does not go away; somebody else may have it locked.
            let mut connection = AnyConnection::connect(&self.database_url()).await?;
            sqlx::raw_sql("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")
                .execute(&mut connection)
                .await?;
            tokio::time::sleep(away).await;
            sqlx::raw_sql("ROLLBACK").execute(&mut connection).await?;
            connection.close().await?;
            return Ok(());
        };
        let passing = match how {
            Away::Cut => Passing::Nothing,
            Away::Stalled => Passing::Waits,
            Away::Mute => Passing::Asked,
        };
        proxy.for_a_while(passing, away).await;
        Ok(())
    }

    /// Another service on the same state must be refused.
    async fn second(&self) -> anyhow::Result<()> {
        let (_proxy, through) = way(self.url.as_deref()).await?;
        let mut second = self.machine.service.beside(through);
        match second.start_again().await {
            Ok(()) => bail!("two services work on one state"),
            Err(error) if error.to_string().contains("another `reverse-sync serve`") => Ok(()),
            Err(error) => Err(error.context("a second service ends for another reason")),
        }
    }

    /// Another service takes the state over, as it can where the lock of the folder does not reach
    /// (another machine on a shared folder), once the database has let go of the first. The first
    /// has to end by itself.
    async fn take_over(
        &mut self,
        world: &World,
        frozen: bool,
        away: Duration,
    ) -> anyhow::Result<()> {
        let (proxy, through) = way(self.url.as_deref()).await?;
        let mut next = Machine { service: self.machine.service.beside(through), proxy };
        if frozen {
            self.machine.service.signal(Signal::STOP)?;
        }
        if let Some(proxy) = &self.machine.proxy {
            if !frozen {
                proxy.set(Passing::Nothing);
            }
            proxy.cut();
        }
        fs::remove_file(next.service.state().join("lock"))?;
        next.service.start_again().await.context("the one that takes over")?;
        world.doors().push(next.service.client(self.key.as_deref()));
        tokio::time::sleep(away).await;
        if frozen {
            self.machine.service.signal(Signal::CONT)?;
        }
        if let Some(proxy) = &self.machine.proxy {
            proxy.set(Passing::All);
        }
        let first = &mut self.machine.service;
        if !until(TAKEN, || !first.is_running()).await {
            bail!(
                "a service that was taken over has not ended within {} s: {}",
                TAKEN.as_secs(),
                tail(first)
            );
        }
        world.doors().remove(0);
        self.machine = next;
        Ok(())
    }
}

fn happened(world: &World, name: &str, from: Moment, doubt: bool, taken_over: bool) {
    let to = world.now();
    world.recorder.history().events.push(Event {
        name: name.to_owned(),
        from,
        to,
        doubt,
        taken_over,
    });
}

fn fault(what: CrmTrouble) -> Fault {
    match what {
        CrmTrouble::LostAnswer => Fault::DropAfter,
        CrmTrouble::LostRequest => Fault::DropBefore,
        CrmTrouble::Unavailable => Fault::Status(503),
        CrmTrouble::UnavailableAfter => Fault::StatusAfter(503),
        CrmTrouble::Throttle => Fault::Throttle,
        CrmTrouble::Slow => Fault::Latency(400),
        CrmTrouble::ExpiredToken => Fault::ExpiredToken,
        CrmTrouble::DailyLimit => Fault::DailyLimit,
    }
}

/// A proxy in front of the database, and the URL that goes through it.
async fn way(url: Option<&str>) -> anyhow::Result<(Option<Proxy>, Option<String>)> {
    let Some(url) = url else { return Ok((None, None)) };
    let (before, rest) = url.rsplit_once(':').context("a URL without a port")?;
    let (port, name) = rest.split_once('/').context("a URL without a database")?;
    let proxy = Proxy::to(port.parse()?).await?;
    let through = format!("{before}:{}/{name}", proxy.port());
    Ok((Some(proxy), Some(through)))
}

/// The end of its log.
fn tail(service: &Service) -> String {
    let log = service.log();
    log.chars().skip(log.chars().count().saturating_sub(1_500)).collect()
}
