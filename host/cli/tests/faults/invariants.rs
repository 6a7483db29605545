//! What holds whatever a disk does.

use crate::story::{ALL, Ended, GOOD, Kind, Story};
use reverse_sync::journal;
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::PathBuf};

const COUNTS: [&str; 6] = ["updated", "unchanged", "failed", "drifted", "unknown", "pending"];

/// Of a command that a fault has struck: it says what is wrong, or has done all that it says.
pub(crate) fn of_the_faulted(story: &Story, ended: &Ended) {
    assert!(!ended.stderr.contains("panicked"), "it panicked: {ended:?}");
    match ended.code {
        // Killed.
        None => {}
        Some(0 | 1) if !ended.stdout.is_empty() => whole(story, &ended.json(), true),
        Some(code) => {
            assert!(code != 0, "it says that all is well, and nothing else: {ended:?}");
            says_what_is_wrong(&ended.stderr);
        }
    }
    written_as_confirmed(story);
    // Whoever has written something has said before who wanted it.
    if !story.simulator.world().writes.is_empty() {
        let begun = audit_rows(story).iter().any(|row| row["action"] == "run.begin");
        assert!(
            begun,
            "something was written, and the audit log does not say who confirmed it: {ended:?}"
        );
    }
}

/// Of the end of it all.
pub(crate) fn of_the_end(story: &Story, first: &Ended, last: &Ended) {
    assert!(!last.stderr.contains("panicked"), "it panicked: {last:?}");
    let json = last.json();
    if is_refresh_token_lost(story, first, last) {
        return;
    }
    if story.kind == Kind::Compile {
        assert_eq!((last.code, json["writable"].as_u64()), (Some(0), Some(ALL)), "{last:?}");
        return;
    }
    let reported = matches!(first.code, Some(0 | 1)) && !first.stdout.is_empty();
    whole(story, &json, reported);
    // What was reported before is not taken back.
    if reported {
        let first = first.json();
        assert_eq!(
            COUNTS.map(|key| &first[key]),
            COUNTS.map(|key| &json[key]),
            "{first} became {json}"
        );
    }
    for n in 0..GOOD {
        assert_eq!(story.held(n), story.wanted(n), "record {n}: {last:?}");
    }
    written_as_confirmed(story);
    one_outcome_each(story);
    audit_rows(story);
    refresh_token_is_kept(story);
}

/// An error that names a file or what is in it, and what the system said.
fn says_what_is_wrong(stderr: &str) {
    let system = ["os error 5", "os error 28"];
    let files = [
        ".reverse-sync",
        "secrets",
        "plan",
        "journal",
        "golden",
        "reverse-sync.toml",
        "cache",
        "state",
    ];
    assert!(
        system.iter().any(|words| stderr.contains(words)),
        "it does not say what the system said: {stderr:?}"
    );
    assert!(files.iter().any(|words| stderr.contains(words)), "it names no file: {stderr:?}");
}

/// A report of a whole run. Where an outcome was lost, nobody can tell whether a record that is not
/// there was.
fn whole(story: &Story, json: &Value, sure: bool) {
    if story.kind == Kind::Compile {
        assert_eq!(json["writable"], ALL, "{json}");
        return;
    }
    let count = |key: &str| json[key].as_u64().unwrap_or_else(|| panic!("no {key} in {json}"));
    let [updated, unchanged, failed, drifted, unknown, pending] = COUNTS.map(count);
    let failing = story.changes() - GOOD;
    // However a change in doubt was found done, it was written.
    let (failed, unknown) = if sure { (failed, unknown) } else { (failed + unknown, 0) };
    assert_eq!(
        (updated + unchanged, failed, drifted, unknown, pending),
        (GOOD, failing, 0, 0, 0),
        "{json}"
    );
}

/// Nothing but what was confirmed, and nothing twice: what is in doubt is read first.
fn written_as_confirmed(story: &Story) {
    let writes = story.simulator.world().writes.clone();
    let field =
        if matches!(story.kind, Kind::Canary | Kind::Undo) { "FirstName" } else { "firstname" };
    for write in &writes {
        let n = (0..GOOD)
            .find(|n| story.id(*n) == write.id)
            .unwrap_or_else(|| panic!("{} was not confirmed", write.id));
        let fields: Vec<_> = write.fields.iter().collect();
        assert!(
            matches!(&fields[..], [(name, value)] if *name == field && **value == story.wanted(n)),
            "{:?}",
            write.fields
        );
    }
    let ids: BTreeSet<_> = writes.iter().map(|write| &write.id).collect();
    assert_eq!(ids.len(), writes.len(), "written twice");
}

/// The journal has one outcome for each change, and calls updated what the CRM has seen.
fn one_outcome_each(story: &Story) {
    let runs = journal::runs(&story.root().join(".reverse-sync/runs")).unwrap();
    let (_, path) = match story.kind {
        Kind::Undo => runs.iter().find(|(run, _)| run.as_str() != story.undone()).unwrap(),
        _ => runs.first().unwrap(),
    };
    let mut problems = 0;
    let past = journal::read(path, |_, _| problems += 1).unwrap();
    let changes = story.changes();
    assert!(past.finished, "{past:?}");
    assert_eq!((past.done.count(), past.counts.done()), (changes, changes), "{past:?}");
    assert_eq!(problems, changes - GOOD);
}

/// The rows of the audit log. A line that a crash has torn stands alone.
fn audit_rows(story: &Story) -> Vec<Value> {
    let text = fs::read_to_string(audit_log(story)).unwrap_or_default();
    let rows: Vec<Result<Value, _>> =
        text.lines().map(|line| serde_json::from_str(line).map_err(|_| line)).collect();
    let torn: Vec<_> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
    assert!(
        torn.len() <= 1 && torn.iter().all(|line| line.matches("\"action\"").count() <= 1),
        "rows of the audit log are lost: {torn:?}"
    );
    rows.into_iter().filter_map(Result::ok).collect()
}

fn audit_log(story: &Story) -> PathBuf {
    story.root().join(".reverse-sync/audit_log.jsonl")
}

/// Where the refresh token is.
fn token_file(story: &Story) -> Option<PathBuf> {
    let kept = match story.kind {
        Kind::TokenInFile => "secrets/refresh-token",
        Kind::TokenInEnvironment => ".reverse-sync/credentials/src_1.json",
        _ => return None,
    };
    Some(story.root().join(kept))
}

/// Whether the refresh token was lost between the endpoint's answer and the disk: then the next
/// attempt says what to do, and has written nothing.
fn is_refresh_token_lost(story: &Story, first: &Ended, last: &Ended) -> bool {
    let says = |ended: &Ended| {
        ended.stderr.contains("authorise the app again")
            || ended.stdout.contains("authorise the app again")
    };
    let lost = last.code == Some(4) && token_file(story).is_some();
    if lost {
        assert!(says(last), "the refresh token is lost, and nobody says so: {last:?}");
        assert!(
            first.code.is_none() || says(first),
            "the refresh token is lost, and the one who lost it does not say so: {first:?}"
        );
    }
    lost
}

/// The refresh token that counts now is on disk.
fn refresh_token_is_kept(story: &Story) {
    let Some(file) = token_file(story) else { return };
    let current = story.simulator.world().hubspot.refresh_token.clone();
    assert!(fs::read_to_string(file).unwrap().contains(&current), "the refresh token is lost");
}
