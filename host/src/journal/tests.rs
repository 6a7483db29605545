//! Journals on a real disk: torn, damaged, another version's, another run's.

use super::*;
use std::{fs::OpenOptions, io::Write};

fn plan() -> PlanId {
    "plan_0123456789abcdef0123456789abcdef".parse().unwrap()
}

fn failed(change: u64) -> Problem {
    Problem::new(change, change + 1, "7".to_owned(), Some(400), "BAD".to_owned(), "no".to_owned())
}

#[tokio::test]
async fn what_was_reported_survives_a_torn_last_line() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &plan()).unwrap();
    journal.marker().hand_out(100, 10_000).await.unwrap();
    journal
        .outcomes()
        .push(Outcomes {
            updated: vec![0, 1, 2, 5],
            unchanged: vec![3],
            problems: vec![(Ending::Failed, failed(4))],
        })
        .await
        .unwrap();
    let note = Note { text: "job 7 1-5".to_owned(), jobs: vec!["7".to_owned()] };
    journal.outcomes().remember(note.clone()).await.unwrap();
    let path = journal.path().to_owned();
    let counts = journal.close(Closing::InDoubt).await.unwrap();
    assert_eq!(counts, Counts { updated: 4, unchanged: 1, failed: 1, ..Counts::default() });
    OpenOptions::new().append(true).open(&path).unwrap().write_all(br#"{"updated":[[6,"#).unwrap();

    let journal = Journal::open(dir.path(), &plan()).unwrap();
    assert_eq!(journal.past().counts, counts);
    assert_eq!((journal.past().handed_out, &journal.past().notes), (2_100, &vec![note]));
    assert!(
        (0..6).all(|change| journal.past().done.contains(change))
            && !journal.past().done.contains(6)
    );
    journal.outcomes().push(Outcomes { updated: vec![6], ..Outcomes::default() }).await.unwrap();
    journal.close(Closing::Finished).await.unwrap();
    let past = read(&path, |_, _| {}).unwrap();
    assert_eq!((past.counts.updated, past.finished), (5, true));
}

#[tokio::test]
async fn one_process_at_a_time_and_a_new_run_after_the_last_has_finished() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::open(dir.path(), &plan()).unwrap();
    assert!(matches!(Journal::open(dir.path(), &plan()), Err(JournalError::Busy(_))));
    assert_eq!(journal.run_id().as_str(), "run_0123456789ab_1");
    journal.close(Closing::Finished).await.unwrap();
    assert_eq!(Journal::open(dir.path(), &plan()).unwrap().run_id().as_str(), "run_0123456789ab_2");
}

/// A journal of four lines: started, handed out, updated, unchanged.
async fn written(dir: &Path) -> (PathBuf, Vec<u8>) {
    let journal = Journal::open(dir, &plan()).unwrap();
    let mut marker = journal.marker();
    marker.hand_out(10, 100).await.unwrap();
    journal
        .outcomes()
        .push(Outcomes { updated: vec![0, 1], unchanged: vec![2], problems: vec![] })
        .await
        .unwrap();
    let path = journal.path().to_owned();
    drop(marker);
    journal.close(Closing::InDoubt).await.unwrap();
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[tokio::test]
async fn whatever_is_damaged_is_found_and_all_behind_it_is_in_doubt() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = written(dir.path()).await;
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 4);
    let mut damaged: Vec<(Vec<u8>, u64)> = Vec::new();
    for (at, _) in bytes.iter().enumerate() {
        // Whichever byte changes, its line shows it; a line that has no end is one with the next.
        let mut other = bytes.clone();
        other[at] ^= 1;
        damaged.push((other, 1 + bytes[..at].iter().filter(|byte| **byte == b'\n').count() as u64));
    }
    // Lines that are gone, twice there, or in another order.
    damaged.push(([lines[0], lines[2], lines[3]].concat(), 2));
    damaged.push(([lines[0], lines[1], lines[1], lines[2], lines[3]].concat(), 3));
    damaged.push(([lines[0], lines[2], lines[1], lines[3]].concat(), 2));
    for (bytes, line) in damaged {
        fs::write(&path, &bytes).unwrap();
        let at_the_end = bytes.last() != Some(&b'\n') && line == 4;
        match read(&path, |_, _| {}) {
            Err(JournalError::Damaged { line: found, .. }) => assert_eq!(found, line),
            // As a crash leaves it.
            Ok(past) => assert!(
                at_the_end && past.counts.updated == 2,
                "line {line} of {}",
                String::from_utf8_lossy(&bytes)
            ),
            // The digit of the format.
            Err(JournalError::Format { format: 3, .. }) if line == 1 => continue,
            Err(error) => panic!("{error}"),
        }
        if at_the_end {
            continue;
        }
        let past = read_run(dir.path(), &next_run(dir.path(), &plan()).unwrap()).unwrap();
        assert_eq!(past.in_doubt(100).count(), 100 - past.done.count());
        let journal = Journal::open(dir.path(), &plan()).unwrap();
        assert_eq!(
            (journal.past().counts.updated, journal.past().handed_out),
            (if line > 3 { 2 } else { 0 }, u64::MAX)
        );
        journal.close(Closing::InDoubt).await.unwrap();
        let again = read(&path, |_, _| {}).unwrap();
        assert_eq!(
            (again.handed_out, again.plan_id),
            (u64::MAX, Some(plan())),
            "the doubt is on disk, and stays"
        );
        let kept = format!("{}.damaged-1", path.display());
        assert_eq!(fs::read(&kept).unwrap(), bytes, "what was damaged is kept");
        fs::remove_file(kept).unwrap();
    }
}

#[tokio::test]
async fn what_another_version_has_written_is_an_error_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = written(dir.path()).await;
    let of_version = |format| {
        format!("{{\"started\":{{\"format\":{format},\"run_id\":\"run_0123456789ab_1\"}}}}\n")
            .into_bytes()
    };
    let mut newer = bytes.clone();
    let sum = read(&path, |_, _| {}).unwrap().sum;
    Lines::after(sum).write(&mut newer, &Line::Doubted {}).unwrap();
    let unknown = String::from_utf8(newer).unwrap().replace("doubted", "dreamed");
    let (line, _) = unknown.trim_end().rsplit_once(",\"sum").unwrap();
    let line = line.rsplit_once('\n').unwrap().1.to_owned();
    let mut newer = bytes.clone();
    newer.extend_from_slice(line.as_bytes());
    newer.extend_from_slice(
        format!(
            ",\"sum\":\"{:016x}\"}}\n",
            xxhash_rust::xxh3::xxh3_64_with_seed(line.as_bytes(), sum)
        )
        .as_bytes(),
    );
    for (bytes, says) in
        [(of_version(1), "format 1"), (of_version(3), "format 3"), (newer, "newer version")]
    {
        fs::write(&path, &bytes).unwrap();
        let error = Journal::open(dir.path(), &plan()).err().unwrap().to_string();
        assert!(error.contains(says), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

/// A line whose checksum begins with a zero, which a plus sign would stand for as well, and one
/// with a letter, which might be a capital one.
#[test]
fn a_checksum_has_one_spelling() {
    let note = |number: u32| Line::Remembered(Note { text: number.to_string(), jobs: vec![] });
    let written = |number: u32| {
        let mut text = Vec::new();
        Lines::after(0).write(&mut text, &note(number)).unwrap();
        String::from_utf8(text).unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    let line = (0..)
        .map(written)
        .find(|line| line.contains("\"sum\":\"0") && line.contains("a\"}"))
        .unwrap();
    for (changed, is_whole) in [
        (line.clone(), true),
        (line.replace("\"sum\":\"0", "\"sum\":\"+"), false),
        (line.replace("a\"}", "A\"}"), false),
    ] {
        fs::write(&path, &changed).unwrap();
        assert_eq!(read(&path, |_, _| {}).is_ok(), is_whole, "{changed}");
    }
}

/// Such a line panicked where it was counted, or later where a range ended at the last number there
/// is.
#[tokio::test]
async fn changes_that_no_plan_has_are_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (path, bytes) = written(dir.path()).await;
    let sum = read(&path, |_, _| {}).unwrap().sum;
    let unlike = |line: Line| {
        let mut text = bytes.clone();
        Lines::after(sum).write(&mut text, &line).unwrap();
        fs::write(&path, &text).unwrap();
        let error = read(&path, |_, _| {}).unwrap_err().to_string();
        assert!(error.contains("line 5") && error.contains("changes that no plan has"), "{error}");
    };
    unlike(Line::Updated(vec![(4, 3)]));
    unlike(Line::Unchanged(vec![(5, 6), (9, 0)]));
    unlike(Line::Updated(vec![(5, u64::MAX)]));
    unlike(Line::Failed(failed(u64::MAX - 1)));
}

#[tokio::test]
async fn a_journal_of_another_run_is_not_taken_for_this_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (JournalId::random(), JournalId::random());
    let run_id = RunId::new(&plan(), 1);
    let open = |plan: &PlanId, id: Option<&JournalId>| {
        Journal::open_run(dir.path(), run_id.clone(), plan, id)
    };
    open(&plan(), Some(&theirs)).unwrap().close(Closing::Finished).await.unwrap();
    assert!(matches!(open(&plan(), Some(&ours)), Err(JournalError::Conflict { .. })));
    let other: PlanId = "plan_0123456789abffffffffffffffffffff".parse().unwrap();
    assert!(
        matches!(open(&other, None), Err(JournalError::Conflict { .. })),
        "the same first digits"
    );
    for id in [Some(&theirs), None] {
        let journal = open(&plan(), id).unwrap();
        assert!(journal.past().finished);
        journal.close(Closing::InDoubt).await.unwrap();
    }
}

#[tokio::test]
async fn numbers_go_past_whatever_is_there() {
    let dir = tempfile::tempdir().unwrap();
    for number in [1, 2, 12] {
        let journal =
            Journal::open_run(dir.path(), RunId::new(&plan(), number), &plan(), None).unwrap();
        journal.close(Closing::Finished).await.unwrap();
    }
    fs::remove_file(file(dir.path(), &RunId::new(&plan(), 2))).unwrap();
    let runs: Vec<RunId> =
        runs_of(dir.path(), &plan()).unwrap().into_iter().map(|(run_id, _)| run_id).collect();
    assert_eq!(runs, [RunId::new(&plan(), 1), RunId::new(&plan(), 12)]);
    assert_eq!(next_run(dir.path(), &plan()).unwrap(), RunId::new(&plan(), 13));
    assert_eq!(last_number(dir.path(), &plan()).unwrap(), 12);
}
