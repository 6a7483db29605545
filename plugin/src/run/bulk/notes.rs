//! What a run remembers, so that a later attempt knows where to ask before it sends anything: a job goes on when the
//! host is gone.
//!
//! A note is on disk before what it tells can happen. The last one that covers a row counts.

use std::fmt;

/// How changes of some rows were, or were about to be, sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Not yet: a job is about to be opened for them, or was given up before its upload was complete.
    NotYet,
    /// With this job, once its upload is complete.
    Job(String),
    /// In collections.
    Collections,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) way: Way,
    pub(super) first: u64,
    pub(super) last: u64,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::NotYet => f.write_str("not yet"),
            Way::Job(id) => write!(f, "job {id}"),
            Way::Collections => f.write_str("collections"),
        }?;
        write!(f, " {}-{}", self.first, self.last)
    }
}

impl Note {
    fn parse(text: &str) -> Option<Note> {
        let (way, rows) = text.rsplit_once(' ')?;
        let (first, last) = rows.split_once('-')?;
        let way = match way {
            "not yet" => Way::NotYet,
            "collections" => Way::Collections,
            _ => Way::Job(way.strip_prefix("job ")?.to_owned()),
        };
        Some(Note { way, first: first.parse().ok()?, last: last.parse().ok()? })
    }
}

/// The notes of earlier attempts.
#[derive(Debug, Default)]
pub(super) struct Notes(Vec<Note>);

impl Notes {
    pub(super) fn read(texts: &[String]) -> Notes {
        Notes(texts.iter().filter_map(|text| Note::parse(text)).collect())
    }

    /// Those that are about these rows.
    pub(super) fn about(&self, first: u64, last: u64) -> Notes {
        Notes(self.0.iter().filter(|note| note.first <= last && note.last >= first).cloned().collect())
    }

    /// How the change of a row was sent, as far as anybody knows.
    pub(super) fn way(&self, row: u64) -> Option<&Way> {
        self.0.iter().rev().find(|note| (note.first..=note.last).contains(&row)).map(|note| &note.way)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_note_about_a_row_counts() {
        let texts = ["not yet 1-10", "job 750A 1-6", "job 750B 7-10", "collections 3-4", "nonsense", "job x"].map(str::to_owned);
        let notes = Notes::read(&texts).about(2, 9);
        for (row, way) in
            [(1, Some(Way::Job("750A".to_owned()))), (3, Some(Way::Collections)), (9, Some(Way::Job("750B".to_owned()))), (11, None)]
        {
            assert_eq!(notes.way(row), way.as_ref(), "{row}");
        }
        assert_eq!(Notes::read(&texts).about(11, 20).way(7), None);
        for text in &texts[..4] {
            assert_eq!(Note::parse(text).unwrap().to_string(), *text);
        }
    }
}
