//! Confirmed changes as they were handed out, and the outcomes they end in.

use crate::contract::types::{
    ChangeBatch, Error, ErrorKind, OutcomeBatch, Problem, Status, Strings,
};

/// Longest message that is passed on.
const MAX_MESSAGE: usize = 2000;

/// A batch of confirmed changes. Its members are named by their index.
#[derive(Debug)]
pub(crate) struct Changes(ChangeBatch);

impl Changes {
    /// Checks that the host packed the batch as the contract says.
    pub(crate) fn new(batch: ChangeBatch) -> Result<Changes, Error> {
        let fits = |strings: &Strings| {
            let rising = strings.offsets.windows(2).all(|pair| matches!(pair, [a, b] if a <= b));
            let bounded =
                strings.offsets.iter().all(|at| strings.bytes.is_char_boundary(*at as usize));
            (strings.offsets.len() == batch.rows.len() + 1 || batch.rows.is_empty())
                && rising
                && bounded
        };
        if fits(&batch.ids) && fits(&batch.fields) && batch.before.as_ref().is_none_or(fits) {
            return Ok(Changes(batch));
        }
        Err(Error::new(
            ErrorKind::Other,
            None,
            "the host packed a batch of confirmed changes wrongly".to_owned(),
        ))
    }

    /// One of them, for another record.
    pub(crate) fn under_another_id(&self, member: usize, id: &str) -> Changes {
        let one =
            |text: &str| Strings { bytes: text.to_owned(), offsets: vec![0, text.len() as u32] };
        Changes(ChangeBatch {
            rows: vec![self.row(member)],
            ids: one(id),
            fields: one(self.fields(member)),
            before: None,
            doubtful: false,
        })
    }

    pub(crate) fn members(&self) -> Vec<usize> {
        (0..self.0.rows.len()).collect()
    }

    pub(crate) fn doubtful(&self) -> bool {
        self.0.doubtful
    }

    pub(crate) fn len(&self) -> usize {
        self.0.rows.len()
    }

    /// Takes in the changes that come next. Gives them back if only one of the two has values
    /// before.
    pub(crate) fn append(&mut self, other: Changes) -> Result<(), Box<Changes>> {
        if self.0.before.is_some() != other.0.before.is_some() {
            return Err(Box::new(other));
        }
        let ChangeBatch { rows, ids, fields, before, .. } = other.0;
        self.0.rows.extend(rows);
        append(&mut self.0.ids, &ids);
        append(&mut self.0.fields, &fields);
        if let (Some(all), Some(before)) = (&mut self.0.before, before) {
            append(all, &before);
        }
        Ok(())
    }

    /// Bytes of the changes' texts.
    pub(crate) fn size(&self) -> usize {
        self.0.ids.bytes.len()
            + self.0.fields.bytes.len()
            + self.0.before.as_ref().map_or(0, |before| before.bytes.len())
    }

    pub(crate) fn row(&self, member: usize) -> u64 {
        self.0.rows.get(member).copied().unwrap_or_default()
    }

    pub(crate) fn id(&self, member: usize) -> &str {
        string(&self.0.ids, member)
    }

    pub(crate) fn fields(&self, member: usize) -> &str {
        string(&self.0.fields, member)
    }

    /// The previous values, as a JSON object, if they were read while planning.
    pub(crate) fn before(&self, member: usize) -> Option<&str> {
        self.0.before.as_ref().map(|before| string(before, member))
    }
}

fn append(all: &mut Strings, more: &Strings) {
    if all.offsets.is_empty() {
        all.offsets.push(0);
    }
    let (start, first) =
        (all.bytes.len() as u32, more.offsets.first().copied().unwrap_or_default());
    all.bytes.push_str(more.bytes.get(first as usize..).unwrap_or_default());
    all.offsets.extend(more.offsets.iter().skip(1).map(|offset| start + (offset - first)));
}

fn string(strings: &Strings, at: usize) -> &str {
    match strings.offsets.get(at..at + 2) {
        Some(&[start, end]) => strings.bytes.get(start as usize..end as usize).unwrap_or_default(),
        _ => "",
    }
}

/// Outcomes that are reported together.
#[derive(Debug)]
pub(crate) struct Outcomes(OutcomeBatch);

impl Outcomes {
    pub(crate) fn new() -> Outcomes {
        Outcomes(OutcomeBatch { rows: Vec::new(), statuses: Vec::new(), problems: Vec::new() })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.rows.len()
    }

    /// Takes out what failed: row and reason.
    pub(crate) fn take_failed(&mut self) -> Vec<(u64, Failure)> {
        let OutcomeBatch { rows, statuses, problems } = std::mem::replace(self, Outcomes::new()).0;
        let mut failed = Vec::new();
        // Problems come in the order of their rows.
        let mut problems = problems.into_iter().peekable();
        for (row, status) in rows.into_iter().zip(statuses) {
            match (status, problems.next_if(|problem| problem.row == row)) {
                (Status::Failed, Some(Problem { http_status, code, message, .. })) => {
                    failed.push((row, Failure { http_status, code, message }));
                }
                (status, problem) => {
                    self.0.rows.push(row);
                    self.0.statuses.push(status);
                    self.0.problems.extend(problem);
                }
            }
        }
        failed
    }

    pub(crate) fn batch(&self) -> Option<&OutcomeBatch> {
        (!self.0.rows.is_empty()).then_some(&self.0)
    }

    pub(crate) fn updated(&mut self, row: u64) {
        self.0.rows.push(row);
        self.0.statuses.push(Status::Updated);
    }

    pub(crate) fn failed(&mut self, row: u64, failure: &Failure) {
        self.problem(row, Status::Failed, failure);
    }

    /// A read proved that the CRM holds the values already.
    pub(crate) fn unchanged(&mut self, row: u64) {
        self.0.rows.push(row);
        self.0.statuses.push(Status::Unchanged);
    }

    pub(crate) fn drifted(&mut self, row: u64, failure: &Failure) {
        self.problem(row, Status::Drifted, failure);
    }

    pub(crate) fn unknown(&mut self, row: u64, failure: &Failure) {
        self.problem(row, Status::Unknown, failure);
    }

    fn problem(&mut self, row: u64, status: Status, failure: &Failure) {
        self.0.rows.push(row);
        self.0.statuses.push(status);
        self.0.problems.push(Problem {
            row,
            http_status: failure.http_status,
            code: cap(&failure.code, 200),
            message: cap(&failure.message, MAX_MESSAGE),
        });
    }
}

/// Why a change was not updated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) http_status: Option<u16>,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl Failure {
    /// One that the CRM did not word.
    pub(crate) fn ours(code: &str, message: String) -> Failure {
        Failure { http_status: None, code: code.to_owned(), message }
    }
}

/// The beginning of a text, at most `max` bytes of it.
pub(crate) fn cap(text: &str, max: usize) -> String {
    if text.len() <= max {
        return text.to_owned();
    }
    let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}…", &text[..end])
}
