//! Changes pulled together until they are enough for a job.

use super::notes::{Note, Way};
use crate::contract::changes::Changes;
use crate::contract::types::Error;
use crate::crm::salesforce::bulk::step::MAX_ROWS;
use crate::run::stream::Stream;

/// Bytes of changes that are pulled together. A run has one load at a time, beside its upload or an
/// answer about it.
const LOAD_BYTES: usize = 8 << 20;
/// Most changes that are pulled at once, and how many when their size is not known.
const PULL: usize = 5_000;
const FIRST_PULL: usize = 200;

/// Changes that go the same way.
pub(super) struct Load {
    pub(super) changes: Changes,
    /// Members from here on were never handed out before.
    pub(super) fresh_from: usize,
}

/// Pulls loads.
#[derive(Default)]
pub(super) struct Loads {
    /// The beginning of the next load.
    carried: Option<Changes>,
}

impl Loads {
    pub(super) fn next(&mut self, stream: &dyn Stream) -> Result<Option<Load>, Error> {
        let first = match self.carried.take() {
            Some(changes) => changes,
            None => match pull(stream, FIRST_PULL)? {
                Some(changes) => changes,
                None => return Ok(None),
            },
        };
        let fresh_from = if first.doubtful() { first.len() } else { 0 };
        let mut load = Load { changes: first, fresh_from };
        loop {
            let (rows, bytes) = (load.changes.len(), load.changes.size());
            let room = LOAD_BYTES.saturating_sub(bytes) / (bytes / rows.max(1) + 1);
            let room = room.min(MAX_ROWS - rows.min(MAX_ROWS)).min(PULL);
            if room == 0 {
                return Ok(Some(load));
            }
            let Some(more) = pull(stream, room)? else { return Ok(Some(load)) };
            let doubtful = more.doubtful();
            if let Err(other) = load.changes.append(more) {
                self.carried = Some(*other);
                return Ok(Some(load));
            }
            if doubtful {
                load.fresh_from = load.changes.len();
            }
        }
    }
}

/// Notes what is fresh as not sent yet: without a note, a later attempt could not tell that from
/// what got no answer.
fn pull(stream: &dyn Stream, max: usize) -> Result<Option<Changes>, Error> {
    let changes =
        stream.next(u32::try_from(max).unwrap_or(u32::MAX))?.map(Changes::new).transpose()?;
    if let Some(changes) = changes.as_ref().filter(|changes| !changes.doubtful())
        && let Some(last) = changes.len().checked_sub(1)
    {
        stream.remember(
            &Note { way: Way::NotYet, first: changes.row(0), last: changes.row(last) }.to_string(),
        )?;
    }
    Ok(changes)
}
