//! Verifying: what the CRM holds now in the fields that were written.

use super::Runner;
use super::changes::Changes;
use super::compare::holds;
use super::settle::{Held, confirmed, restorable};
use super::world::{Network, Stream};
use crate::bindings::reverse_sync::destination::types::{ChangeBatch, Error, Holding, OutcomeBatch, ReadingBatch, StringLists, Strings};
use crate::config::Config;
use crate::routes::{BodyForm, Routes};

/// Reads the records of all changes that `next` hands out, and tells `push` what they hold.
///
/// # Errors
/// What keeps the CRM from being read, or whatever the host fails with.
pub async fn verify<N: Network>(
    config: &Config,
    network: &N,
    mut next: impl FnMut(u32) -> Result<Option<ChangeBatch>, Error>,
    mut push: impl FnMut(&ReadingBatch) -> Result<(), Error>,
) -> Result<(), Error> {
    let runner = Runner::new(config, network, &ReadsOnly);
    let most = match Routes::of(config.provider).read_many.body {
        BodyForm::Many { max, .. } => max,
        _ => 1,
    };
    while let Some(batch) = next(most)? {
        let changes = Changes::new(batch)?;
        let members = changes.members();
        let confirmed = confirmed(&changes, &members);
        let mut readings = Readings::new();
        for (member, held) in runner.held(&changes, &members, &confirmed).await? {
            let wanted = confirmed.get(&member);
            let row = changes.row(member);
            match held {
                Held::Values(held) => {
                    let equal = wanted.is_some_and(|wanted| holds(wanted, &held));
                    let holding = if equal { Holding::Confirmed } else { Holding::Other };
                    readings.push(row, holding, wanted.map(|wanted| restorable(config.provider, wanted, &held)), "");
                }
                Held::Gone(failure) => readings.push(row, Holding::Gone, None, &failure.message),
                Held::Unreadable(why) => readings.push(row, Holding::Unreadable, None, &why),
            }
        }
        push(&readings.0)?;
    }
    Ok(())
}

/// Where nothing is written, nothing is handed out and nothing settled.
pub(crate) struct ReadsOnly;

impl Stream for ReadsOnly {
    fn next(&self, _: u32) -> Result<Option<ChangeBatch>, Error> {
        Ok(None)
    }

    fn push(&self, _: &OutcomeBatch) -> Result<(), Error> {
        Ok(())
    }
}

struct Readings(ReadingBatch);

impl Readings {
    fn new() -> Readings {
        let strings = || Strings { bytes: String::new(), offsets: vec![0] };
        let lists = || StringLists { items: strings(), offsets: vec![0] };
        Readings(ReadingBatch {
            rows: Vec::new(),
            holdings: Vec::new(),
            values: strings(),
            details: strings(),
            differing: lists(),
            moved: lists(),
            one_way: lists(),
        })
    }

    fn push(&mut self, row: u64, holding: Holding, values: Option<String>, detail: &str) {
        let add = |strings: &mut Strings, text: &str| {
            strings.bytes.push_str(text);
            strings.offsets.push(strings.bytes.len() as u32);
        };
        self.0.rows.push(row);
        self.0.holdings.push(holding);
        add(&mut self.0.values, values.as_deref().unwrap_or("{}"));
        add(&mut self.0.details, detail);
        for lists in [&mut self.0.differing, &mut self.0.moved, &mut self.0.one_way] {
            lists.offsets.push(lists.items.offsets.len() as u32 - 1);
        }
    }
}
