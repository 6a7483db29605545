//! Faults and power loss while the command runs.

use crate::{
    counted::{each, runtime, seed, states, summed},
    disk::Kept,
    invariants,
    seeded::Seeded,
    story::{Kind, Story},
    subsystems::Subsystem,
    tracer::{Fault, Made, Step, power_lost},
};
use reverse_sync_tests::say;
use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::runtime::Runtime;

/// The steps of a story, which has to end well, and whose files must be those that the disk
/// knows of.
fn steps(kind: Kind, runtime: &Runtime, subsystems: &[Subsystem]) -> Vec<Made> {
    let story = Story::begin(kind, runtime);
    let (ended, traced) = story.first(None);
    invariants::of_the_faulted(&story, &ended);
    invariants::of_the_end(&story, &ended, &ended);
    let whole = traced.disk.state(Kept::All, &mut Seeded::new(0));
    assert_eq!(
        whole.differs(&story.root()),
        Vec::<PathBuf>::new(),
        "the model of the disk is wrong"
    );
    traced
        .made
        .into_iter()
        .filter(|made| subsystems.is_empty() || subsystems.contains(&made.step.subsystem))
        .collect()
}

/// Each step fails once in each way.
fn every_step_fails(kind: Kind, subsystems: &[Subsystem]) {
    let runtime = runtime();
    let made = steps(kind, &runtime, subsystems);
    let mut cases = Vec::new();
    for made in &made {
        for fault in [Fault::Eio, Fault::Enospc, Fault::TornFull, Fault::TornKilled] {
            if fault.fits(&made.call) {
                cases.push((made, fault));
            }
        }
    }
    let missed = AtomicUsize::new(0);
    let name = |(made, fault): &(&Made, Fault)| made.struck_by(*fault);
    each(&cases, name, |(made, fault)| {
        let story = Story::begin(kind, &runtime);
        let (ended, traced) = story.first(Some((made.step, *fault)));
        missed.fetch_add(usize::from(traced.struck.is_none()), Relaxed);
        invariants::of_the_faulted(&story, &ended);
        let last = story.go_on();
        invariants::of_the_end(&story, &ended, &last);
    });
    let missed = missed.into_inner();
    say(&format!(
        "{kind:?}: {} steps, {} faults ({}); {missed} not reached; by subsystem: {}",
        made.len(),
        cases.len(),
        summed(cases.iter().map(|(_, fault)| format!("{fault:?}"))),
        summed(cases.iter().map(|(made, _)| format!("{:?}", made.step.subsystem)))
    ));
    assert!(
        missed * 10 <= cases.len(),
        "steps are not the same each time: {missed} of {} were not reached",
        cases.len()
    );
}

/// The power goes before each step, and at the end.
fn the_power_goes_at_every_step(kind: Kind, subsystems: &[Subsystem]) {
    let runtime = runtime();
    let made: Vec<_> =
        steps(kind, &runtime, subsystems).into_iter().filter(|made| made.call.changes()).collect();
    let places: Vec<Option<Step>> = made.iter().map(|made| Some(made.step)).chain([None]).collect();
    let cases = states(&places);
    let seen = Mutex::new(HashSet::new());
    let name = |(at, kept, seed): &(Option<Step>, Kept, u64)| power_lost(&made, *at, *kept, *seed);
    each(&cases, name, |(at, kept, seed)| {
        let story = Story::begin(kind, &runtime);
        let (ended, traced) = story.first(at.map(|at| (at, Fault::Killed)));
        let state = traced.disk.state(*kept, &mut Seeded::new(*seed));
        state.put(&story.root());
        seen.lock().unwrap().insert((*at, state));
        invariants::of_the_faulted(&story, &ended);
        let last = story.go_on();
        invariants::of_the_end(&story, &ended, &last);
    });
    say(&format!(
        "{kind:?}: power lost at {} places (seed {}), {} times, {} states; by subsystem: {}",
        places.len(),
        seed(),
        cases.len(),
        seen.lock().unwrap().len(),
        summed(cases.iter().map(|(at, ..)| {
            at.map_or_else(|| "at the end".to_owned(), |at| format!("{:?}", at.subsystem))
        }))
    ));
}

#[test]
fn every_step_of_a_run_fails() {
    every_step_fails(Kind::Run, &[]);
}

#[test]
fn the_power_goes_at_every_step_of_a_run() {
    the_power_goes_at_every_step(Kind::Run, &[]);
}

#[test]
fn every_step_of_a_run_with_a_canary_fails() {
    every_step_fails(Kind::Canary, &[Subsystem::Journal, Subsystem::AuditLog]);
}

#[test]
fn the_power_goes_at_every_step_of_a_run_with_a_canary() {
    the_power_goes_at_every_step(Kind::Canary, &[]);
}

#[test]
fn every_step_of_an_undo_fails() {
    every_step_fails(Kind::Undo, &[]);
}

#[test]
fn the_power_goes_at_every_step_of_an_undo() {
    the_power_goes_at_every_step(Kind::Undo, &[]);
}

#[test]
fn every_step_of_keeping_a_refresh_token_fails() {
    for kind in [Kind::TokenInFile, Kind::TokenInEnvironment] {
        every_step_fails(kind, &[Subsystem::RefreshToken]);
    }
}

#[test]
fn the_power_goes_at_every_step_of_keeping_a_refresh_token() {
    for kind in [Kind::TokenInFile, Kind::TokenInEnvironment] {
        the_power_goes_at_every_step(kind, &[Subsystem::RefreshToken]);
    }
}

#[test]
fn every_step_of_keeping_an_artefact_fails() {
    every_step_fails(Kind::Compile, &[Subsystem::Artefact]);
}

#[test]
fn the_power_goes_at_every_step_of_keeping_an_artefact() {
    the_power_goes_at_every_step(Kind::Compile, &[Subsystem::Artefact]);
}

#[test]
fn a_row_of_the_audit_log_that_a_crash_has_torn_spoils_no_other() {
    let runtime = runtime();
    let story = Story::begin(Kind::Run, &runtime);
    let state = story.root().join(".reverse-sync");
    std::fs::create_dir(&state).unwrap();
    std::fs::write(state.join("audit_log.jsonl"), "{\"action\":\"run.be").unwrap();
    let ended = story.command(&["run", "people", "--confirm", "--json"]);
    assert_eq!(ended.code, Some(1), "one record is not there: {ended:?}");
    let log = std::fs::read_to_string(state.join("audit_log.jsonl")).unwrap();
    let actions: Vec<_> = log
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).map(|row| row["action"].clone()).ok()
        })
        .collect();
    assert_eq!(
        actions,
        [None, Some("run.begin".into()), Some("destination.reverse_run.failed".into())],
        "{log}"
    );
}
