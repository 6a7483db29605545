//! Histories of random runs with everything that can go wrong, and a checker that compares what
//! each witness saw, as Jepsen does.
//!
//! - `generator`: a seed becomes a script
//! - `world`: carries it out, with the real service, the real component and a CRM
//! - `history`: what clients asked and were told, and what went wrong when
//! - `evidence`: that, and what CRM, plans, journals, database and audit log say in the end
//! - `checker`: compares them
//!
//! `REVERSE_SYNC_HISTORIES=1000` makes so many, of seeds that are drawn (`cargo xtask test --long`
//! says so); without it there are 50, of the same seeds each time. `REVERSE_SYNC_HISTORY_SEED=…`
//! replays one. What a seed decides is what is tried; what happens depends on the machine too, so a
//! failure may need some tries to come back.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

mod checker;
mod evidence;
mod generator;
mod history;
mod random;
mod world;

use checker::{Checked, Violation};
use generator::Script;
use reverse_sync_tests::say;
use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Semaphore;

/// The seed of CI's first history; the others follow it.
const FIRST_SEED: u64 = 20_261_129_000;
/// Histories, if nobody wants another number.
const HISTORIES: u64 = 50;
/// Histories at once: they mostly wait.
const AT_ONCE: usize = 4;

/// What all histories had in them.
#[derive(Default)]
struct Sum {
    histories: u64,
    events: BTreeMap<&'static str, u64>,
    checked: Checked,
    failures: Vec<String>,
}

fn seeds() -> Vec<u64> {
    let number = |name: &str| {
        env::var(name).ok().map(|text| {
            text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is not a number: {text}"))
        })
    };
    match (number("REVERSE_SYNC_HISTORY_SEED"), number("REVERSE_SYNC_HISTORIES")) {
        (Some(seed), times) => vec![seed; times.unwrap_or(1) as usize],
        (None, Some(histories)) => {
            let first =
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_secs())
                    * 10_000;
            (first..first + histories).collect()
        }
        (None, None) => (FIRST_SEED..FIRST_SEED + HISTORIES).collect(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "needs PostgreSQL and libfaketime: .ci/install test"]
async fn every_history_keeps_what_is_promised() {
    let (began, seeds) = (Instant::now(), seeds());
    let (first, last) = (seeds[0], seeds[seeds.len() - 1]);
    say(&format!("\n{} histories, seeds {first} to {last}", seeds.len()));
    let (turns, sum) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(Mutex::new(Sum::default())));
    let mut under_way = Vec::new();
    for seed in seeds {
        let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
        let sum = Arc::clone(&sum);
        under_way.push(tokio::spawn(async move {
            let _turn = turn;
            one(seed, &sum).await;
        }));
    }
    for history in under_way {
        history.await.unwrap();
    }
    let sum = sum.lock().unwrap();
    say(summary(&sum, began).trim_end());
    assert!(
        sum.failures.is_empty(),
        "{} of {} histories:\n{}",
        sum.failures.len(),
        sum.histories,
        sum.failures.join("\n")
    );
}

async fn one(seed: u64, sum: &Mutex<Sum>) {
    let (script, began) = (Script::of(seed), Instant::now());
    let lived = world::live(script.clone()).await;
    let mut sum = sum.lock().unwrap();
    sum.histories += 1;
    for step in &script.trouble {
        *sum.events.entry(step.what.name()).or_default() += 1;
    }
    let failure = match lived {
        Err(error) => Some(format!(
            "seed {seed} (REVERSE_SYNC_HISTORY_SEED={seed} replays it)\n  !! {error:#}"
        )),
        Ok(evidence) => {
            let (checked, violations) = checker::check(&evidence);
            let line = format!(
                "  seed {seed}: {:?} {:?}, {} calls, {} runs, {} writes, {:.1} s{}",
                script.database,
                script.crm,
                checked.calls,
                checked.runs,
                checked.writes,
                began.elapsed().as_secs_f64(),
                if violations.is_empty() { "" } else { "  VIOLATED" }
            );
            say(&line);
            sum.checked.add(&checked);
            (!violations.is_empty()).then(|| failed(seed, &script, &evidence, &violations))
        }
    };
    if let Some(failure) = failure {
        say(&failure);
        sum.failures.push(
            failure
                .lines()
                .filter(|line| line.starts_with("seed") || line.starts_with("  !!"))
                .collect::<Vec<_>>()
                .join("\n"),
        );
    }
}

/// The seed, the violations, and the history in order.
fn failed(
    seed: u64,
    script: &Script,
    evidence: &evidence::Evidence,
    violations: &[Violation],
) -> String {
    let mut text = format!("seed {seed} (REVERSE_SYNC_HISTORY_SEED={seed} replays it)\n");
    for violation in violations {
        let _ = writeln!(text, "  !! {violation}");
    }
    let _ = writeln!(text, "{script:#?}\n{}", evidence.history);
    for (at, write) in evidence.writes.iter().enumerate() {
        let _ = writeln!(
            text,
            "write {at}: {} {:?}{}",
            write.id,
            write.fields,
            if write.lost { " (its answer was lost)" } else { "" }
        );
    }
    for (id, run) in &evidence.runs {
        let _ = writeln!(
            text,
            "{id} of {} {}: {:?}\n    told {}",
            run.row.plan, run.row.status, run.journal, run.told
        );
    }
    text
}

fn summary(sum: &Sum, began: Instant) -> String {
    let mut text =
        format!("{} histories in {:.0} s\n", sum.histories, began.elapsed().as_secs_f64());
    for (name, count) in &sum.events {
        let _ = writeln!(text, "  {count:>6}  {name}");
    }
    let Checked { calls, answered, runs, ended, changes, writes, log, .. } = sum.checked;
    let _ = writeln!(
        text,
        "{calls} client calls, {answered} of them answered; {runs} runs, {ended} of them finished; {changes} outcomes, {writes} writes and \
         {log} rows of audit logs were checked"
    );
    text
}
