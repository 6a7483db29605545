//! A seed becomes a script: what clients do, and what goes wrong meanwhile. Nothing here touches
//! the world.

use crate::random::Random;

/// Everything about a history that its seed decides.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    pub(crate) database: Kind,
    pub(crate) crm: Crm,
    /// Records in the CRM.
    pub(crate) records: usize,
    pub(crate) destinations: Vec<Target>,
    /// What each client does, one after the other.
    pub(crate) clients: Vec<Vec<Step<Operation>>>,
    /// What goes wrong, one after the other.
    pub(crate) trouble: Vec<Step<Trouble>>,
    /// Milliseconds that each write takes the CRM.
    pub(crate) latency: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crm {
    HubSpot,
    Salesforce,
}

/// A destination: the n-th writes the n-th field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) by_record: bool,
    pub(crate) in_flight: u64,
    pub(crate) compare: bool,
}

/// Something, after a pause of so many milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step<T> {
    pub(crate) pause: u64,
    pub(crate) what: T,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operation {
    /// Replaces the golden records of a destination by the records from `first` up to but without
    /// `end`. The number of the set is in each value, so that a value tells where it comes from;
    /// now and then an earlier set comes back.
    Replace {
        target: usize,
        set: u64,
        first: usize,
        end: usize,
    },
    DryRun {
        target: usize,
        mode: &'static str,
    },
    /// Confirms the plan that was last shown, or whatever would be planned now.
    Confirm {
        target: usize,
        shown: bool,
        key: Option<u64>,
        at_once: bool,
        wait: u64,
        checks: Checks,
    },
    /// Sends the last confirmation that had a key once more.
    Again {
        target: usize,
    },
    Cancel {
        target: usize,
    },
    /// Resumes the last run, or the one before it.
    Resume {
        target: usize,
        older: bool,
    },
    /// Plans the way back from the last run, and perhaps confirms it.
    Undo {
        target: usize,
        confirm: bool,
    },
    Look {
        target: usize,
    },
    LookAtLog,
    /// Somebody changes a record in the CRM's own page.
    Edit {
        target: usize,
        record: usize,
        value: u64,
    },
}

/// What a run looks at beside writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    None,
    Canary,
    Verify,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// SIGKILL, and a start.
    Kill { away: u64 },
    /// SIGTERM, and a start.
    Stop { away: u64 },
    /// SIGSTOP, and SIGCONT.
    Freeze { away: u64 },
    /// The machine's clock is another one by so many seconds.
    Clock { seconds: i64 },
    /// The database is away, in one of three ways.
    Database { how: Away, away: u64 },
    /// Another service is started on the state of one that is there.
    Second,
    /// Another service takes the state of one that is frozen, or has lost its database.
    TakeOver { frozen: bool, away: u64 },
    /// The CRM, for so many requests.
    Crm { what: CrmTrouble, after: u64, times: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    /// Connections break off and none can be made; a SQLite file is locked by somebody else.
    Cut,
    /// Nothing arrives for a while.
    Stalled,
    /// What is said arrives, and no answer does.
    Mute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrmTrouble {
    LostAnswer,
    LostRequest,
    Unavailable,
    UnavailableAfter,
    Throttle,
    Slow,
    ExpiredToken,
    DailyLimit,
}

impl Script {
    pub(crate) fn of(seed: u64) -> Script {
        let mut random = Random::new(seed);
        let database = random.pick(&[(2, Kind::Sqlite), (3, Kind::Postgres)]);
        let crm = random.pick(&[(3, Crm::HubSpot), (2, Crm::Salesforce)]);
        let records = random.within(4, 13) as usize;
        let targets = random.within(1, 3) as usize;
        let target = |random: &mut Random| Target {
            by_record: random.percent(70),
            in_flight: random.within(1, 4),
            compare: random.percent(40),
        };
        let destinations = (0..targets).map(|_| target(&mut random)).collect();
        let mut made = Made { random, targets, records, sets: 0, keys: 0 };
        let clients = made.random.within(2, 4);
        let clients = (0..clients).map(|client| made.client(client == 0)).collect();
        let trouble = made.troubles(database);
        let latency = made.random.within(10, 60);
        Script { seed, database, crm, records, destinations, clients, trouble, latency }
    }
}

/// What has been generated so far.
struct Made {
    random: Random,
    targets: usize,
    records: usize,
    sets: u64,
    keys: u64,
}

impl Made {
    fn client(&mut self, first: bool) -> Vec<Step<Operation>> {
        let mut steps = Vec::new();
        if first {
            // There is something to run from the start.
            for target in 0..self.targets {
                let what = self.replace(target);
                steps.push(Step { pause: 0, what });
                let mode = if self.random.percent(50) { "compare" } else { "offline" };
                steps.push(Step { pause: 0, what: Operation::DryRun { target, mode } });
                let what = self.confirm(target);
                steps.push(Step { pause: 0, what });
            }
        }
        for _ in 0..self.random.within(5, 10) {
            let pause = self.random.within(20, 350);
            let what = self.operation();
            let stops = match &what {
                Operation::Confirm { target, .. } if self.random.percent(35) => Some(*target),
                _ => None,
            };
            steps.push(Step { pause, what });
            if let Some(target) = stops {
                // In the middle of the run, if it has begun.
                let pause = self.random.within(20, 200);
                steps.push(Step { pause, what: Operation::Cancel { target } });
            }
        }
        steps
    }

    fn replace(&mut self, target: usize) -> Operation {
        let back = self.sets > 0 && self.random.percent(25);
        let set = if back { self.random.within(1, self.sets + 1) } else { self.sets + 1 };
        self.sets = self.sets.max(set);
        let first = self.random.within(0, self.records as u64 / 2) as usize;
        let end = self.random.within(first as u64 + 2, self.records as u64 + 1) as usize;
        Operation::Replace { target, set, first, end: end.min(self.records) }
    }

    fn confirm(&mut self, target: usize) -> Operation {
        let random = &mut self.random;
        let key = random.percent(60).then(|| {
            self.keys += 1;
            self.keys
        });
        let wait = random.pick(&[(3, 0), (1, 1), (1, 4)]);
        let checks = random.pick(&[(6, Checks::None), (1, Checks::Canary), (1, Checks::Verify)]);
        Operation::Confirm {
            target,
            shown: random.percent(50),
            key,
            at_once: key.is_some() && random.percent(30),
            wait,
            checks,
        }
    }

    fn operation(&mut self) -> Operation {
        let target = self.random.within(0, self.targets as u64) as usize;
        match self.random.within(0, 100) {
            0..12 => self.replace(target),
            12..22 => {
                let mode = self.random.pick(&[(2, "offline"), (1, "online"), (3, "compare")]);
                Operation::DryRun { target, mode }
            }
            22..42 => self.confirm(target),
            42..49 => Operation::Again { target },
            49..57 => Operation::Cancel { target },
            57..69 => {
                let older = self.random.percent(30);
                Operation::Resume { target, older }
            }
            69..77 => {
                let confirm = self.random.percent(80);
                Operation::Undo { target, confirm }
            }
            77..88 => Operation::Look { target },
            88..91 => Operation::LookAtLog,
            _ => {
                let (record, value) =
                    (self.random.within(0, self.records as u64) as usize, self.random.within(0, 3));
                Operation::Edit { target, record, value }
            }
        }
    }

    fn troubles(&mut self, database: Kind) -> Vec<Step<Trouble>> {
        let mut steps = Vec::new();
        for _ in 0..self.random.within(2, 6) {
            let pause = self.random.within(50, 700);
            let what = self.trouble(database);
            steps.push(Step { pause, what });
        }
        steps
    }

    fn trouble(&mut self, database: Kind) -> Trouble {
        let random = &mut self.random;
        let away = random.within(20, 700);
        match (random.within(0, 100), database) {
            (0..22, _) => Trouble::Kill { away: random.within(0, 300) },
            (22..27, _) => Trouble::Stop { away: random.within(0, 300) },
            (27..37, _) => Trouble::Freeze { away },
            (37..45, _) => {
                let most = random.pick(&[(1, 10), (1, 7_200), (1, 200_000)]);
                let seconds = random.within(1, most) as i64;
                Trouble::Clock { seconds: if random.percent(50) { seconds } else { -seconds } }
            }
            (45..48, _) => Trouble::Second,
            (48..58, _) => Trouble::Database {
                how: random.pick(&[(2, Away::Cut), (1, Away::Stalled), (2, Away::Mute)]),
                away,
            },
            (58..66, Kind::Postgres) => {
                Trouble::TakeOver { frozen: random.percent(50), away: random.within(0, 1_500) }
            }
            _ => {
                let what = random.pick(&[
                    (4, CrmTrouble::LostAnswer),
                    (2, CrmTrouble::LostRequest),
                    (2, CrmTrouble::Unavailable),
                    (2, CrmTrouble::UnavailableAfter),
                    (1, CrmTrouble::Throttle),
                    (2, CrmTrouble::Slow),
                    (2, CrmTrouble::ExpiredToken),
                    (1, CrmTrouble::DailyLimit),
                ]);
                Trouble::Crm { what, after: random.within(0, 6), times: random.within(1, 5) }
            }
        }
    }
}

impl Trouble {
    /// What it is counted as.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Trouble::Kill { .. } => "kill",
            Trouble::Stop { .. } => "stop",
            Trouble::Freeze { .. } => "freeze",
            Trouble::Clock { .. } => "clock jump",
            Trouble::Database { how: Away::Cut, .. } => "database cut",
            Trouble::Database { how: Away::Stalled, .. } => "database stalled",
            Trouble::Database { how: Away::Mute, .. } => "database mute",
            Trouble::Second => "second service",
            Trouble::TakeOver { frozen: true, .. } => "takeover of a frozen service",
            Trouble::TakeOver { frozen: false, .. } => "takeover of a service without database",
            Trouble::Crm { what, .. } => match what {
                CrmTrouble::LostAnswer => "CRM: lost answer",
                CrmTrouble::LostRequest => "CRM: lost request",
                CrmTrouble::Unavailable => "CRM: 503",
                CrmTrouble::UnavailableAfter => "CRM: 503 after it was applied",
                CrmTrouble::Throttle => "CRM: throttled",
                CrmTrouble::Slow => "CRM: slow",
                CrmTrouble::ExpiredToken => "CRM: expired token",
                CrmTrouble::DailyLimit => "CRM: daily limit",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_script() {
        assert_eq!(Script::of(7), Script::of(7));
        assert_ne!(Script::of(7), Script::of(8));
    }

    #[test]
    fn fifty_seeds_have_every_kind_of_trouble_on_both_databases_and_crms() {
        let scripts: Vec<Script> =
            (crate::FIRST_SEED..crate::FIRST_SEED + 50).map(Script::of).collect();
        let troubles: std::collections::BTreeSet<&str> = scripts
            .iter()
            .flat_map(|script| &script.trouble)
            .map(|step| step.what.name())
            .collect();
        assert_eq!(troubles.len(), 18, "{troubles:?}");
        for kind in [Kind::Sqlite, Kind::Postgres] {
            for crm in [Crm::HubSpot, Crm::Salesforce] {
                assert!(
                    scripts
                        .iter()
                        .filter(|script| (script.database, script.crm) == (kind, crm))
                        .count()
                        >= 5
                );
            }
        }
    }
}
