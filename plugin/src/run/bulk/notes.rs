//! What a run remembers, so that a later attempt knows where to ask before it sends anything: a job
//! continues when the host is gone.
//!
//! A note is on disk before what it tells can happen. The last one that covers a row counts.

use std::fmt;

/// How changes of some rows were, or were about to be, sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Not yet: they were only pulled, or their job was given up before its upload was complete.
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
    pub(super) fn parse(text: &str) -> Option<Note> {
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
pub(super) struct Notes {
    notes: Vec<Note>,
    /// The last row that a run by jobs has pulled.
    pulled: Option<u64>,
}

impl Notes {
    pub(super) fn read(texts: &[String]) -> Notes {
        let notes: Vec<Note> = texts.iter().filter_map(|text| Note::parse(text)).collect();
        let pulled =
            notes.iter().filter(|note| note.way == Way::NotYet).map(|note| note.last).max();
        Notes { notes, pulled }
    }

    /// Those that are about these rows.
    pub(super) fn about(&self, first: u64, last: u64) -> Notes {
        let notes = self
            .notes
            .iter()
            .filter(|note| note.first <= last && note.last >= first)
            .cloned()
            .collect();
        Notes { notes, pulled: self.pulled }
    }

    /// How the change of a row was sent, as far as anybody knows. Rows come in ascending order, and
    /// the host may count some as handed out that were never pulled: those are behind the last one
    /// that was.
    pub(super) fn way(&self, row: u64) -> Option<&Way> {
        let noted = self
            .notes
            .iter()
            .rev()
            .find(|note| (note.first..=note.last).contains(&row))
            .map(|note| &note.way);
        noted.or_else(|| self.pulled.is_some_and(|pulled| row > pulled).then_some(&Way::NotYet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_note_about_a_row_counts() {
        let texts = [
            "not yet 2-10",
            "job 750A 1-6",
            "job 750B 7-10",
            "collections 3-4",
            "nonsense",
            "job x",
        ]
        .map(str::to_owned);
        let notes = Notes::read(&texts).about(2, 9);
        for (row, way) in [
            (1, Some(Way::Job("750A".to_owned()))),
            (3, Some(Way::Collections)),
            (9, Some(Way::Job("750B".to_owned()))),
            (11, Some(Way::NotYet)),
        ] {
            assert_eq!(notes.way(row), way.as_ref(), "{row}");
        }
        assert_eq!(Notes::read(&texts).about(11, 20).way(7), None);
        assert_eq!(
            Notes::read(&["collections 3-4".to_owned()]).way(11),
            None,
            "it was not a run by jobs that sent them"
        );
        for text in &texts[..4] {
            assert_eq!(Note::parse(text).unwrap().to_string(), *text);
        }
    }
}
