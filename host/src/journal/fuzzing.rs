//! See [`crate::fuzzing`].

use super::{
    Counts, Ending, JournalError, JournalId, Note, Outcomes, Past, Problem, RunId,
    lines::{FORMAT, Line, Lines, Started, scan_lines},
};
use crate::plan::PlanId;
use std::path::Path;

/// What these bytes say, as a journal, and every problem in it.
///
/// # Errors
/// As for a file.
pub fn read_journal(bytes: &[u8]) -> Result<(Past, Vec<(Ending, Problem)>), JournalError> {
    let mut problems = Vec::new();
    let past = scan_lines(bytes, Path::new("x.journal"), |ending, problem| {
        problems.push((ending, problem))
    })?;
    Ok((past, problems))
}

/// These lines, each with the checksum that it has to have: whatever they say, nothing was changed.
pub fn sealed_lines<'l>(lines: impl Iterator<Item = &'l [u8]>) -> Vec<u8> {
    let (mut text, mut sum) = (Vec::new(), 0);
    for line in lines {
        sum = Lines::after(sum).write_raw(&mut text, line);
    }
    text
}

/// A journal in memory, written as the real one is.
pub struct JournalText {
    lines: Lines,
    counts: Counts,
    /// What is written so far.
    pub bytes: Vec<u8>,
}

impl Default for JournalText {
    /// With its first line.
    fn default() -> JournalText {
        let mut journal =
            JournalText { lines: Lines::after(0), counts: Counts::default(), bytes: Vec::new() };
        let plan_id: PlanId =
            format!("plan_{}", "0".repeat(32)).parse().unwrap_or_else(|error| panic!("{error}"));
        let run_id = RunId::new(&plan_id, 1);
        journal.write(&Line::Started(Started {
            format: FORMAT,
            journal_id: JournalId::random(),
            run_id,
            plan_id,
            started_at: "2026-11-30T08:34:54Z".to_owned(),
        }));
        journal
    }
}

impl JournalText {
    fn write(&mut self, line: &Line) {
        self.lines
            .write(&mut self.bytes, line)
            .unwrap_or_else(|error| panic!("a line cannot be written: {error}"));
    }

    /// Changes below this number may have been handed out.
    pub fn hand_out(&mut self, below: u64) {
        self.write(&Line::HandedOut(below));
    }

    /// Outcomes. A problem is a change, how it ended, and what is said of it.
    pub fn outcomes(
        &mut self,
        updated: Vec<u64>,
        unchanged: Vec<u64>,
        problems: Vec<(u64, Ending, String)>,
    ) {
        let problems = problems.into_iter().map(|(change, ending, text)| {
            (ending, Problem::new(change, change + 1, text.clone(), Some(400), text.clone(), text))
        });
        let outcomes = Outcomes { updated, unchanged, problems: problems.collect() };
        let written = self.lines.write_outcomes(&mut self.bytes, outcomes, &mut self.counts);
        written.unwrap_or_else(|error| panic!("outcomes cannot be written: {error}"));
    }

    /// A note of the component.
    pub fn remember(&mut self, text: String, jobs: Vec<String>) {
        self.write(&Line::Remembered(Note { text, jobs }));
    }

    /// Every change without an outcome may have been handed out.
    pub fn doubt(&mut self) {
        self.write(&Line::Doubted {});
    }

    /// The process ended in order.
    pub fn settle(&mut self) {
        self.write(&Line::Settled {});
    }

    /// The run ended.
    pub fn finish(&mut self) {
        self.write(&Line::Finished(self.counts));
    }

    /// What was counted while it was written.
    pub fn counts(&self) -> Counts {
        self.counts
    }
}
