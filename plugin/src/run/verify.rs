//! Verifying: what the CRM holds now in the fields that were written.

use crate::config::Config;
use crate::contract::changes::Changes;
use crate::contract::types::{ChangeBatch, Error, Holding, ReadingBatch, StringLists, Strings};
use crate::crm::conversation::Conversation;
use crate::crm::held::{Held, confirmed, restorable};
use crate::crm::network::Network;
use crate::crm::routes;
use crate::values::normal::{NOTHING, Values, member as member_of};

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
    let crm = Conversation::new(config, network);
    let most = routes::of(config.provider).read_many.most();
    let rules = crm.rules().await?;
    while let Some(batch) = next(most)? {
        let changes = Changes::new(batch)?;
        let members = changes.members();
        let confirmed = confirmed(&changes, &members);
        let mut readings = Readings::new();
        for (member, held) in crm.held(&changes, &members, &confirmed).await? {
            let row = changes.row(member);
            match (held, confirmed.get(&member)) {
                (Held::Values(held), Some(wanted)) => {
                    let before: Option<Values> =
                        changes.before(member).and_then(|text| serde_json::from_str(text).ok());
                    let differing = rules.differing(wanted, &held);
                    let holding = if differing.is_empty() && !wanted.is_empty() {
                        Holding::Confirmed
                    } else {
                        Holding::Other
                    };
                    let moved = before
                        .as_ref()
                        .map(|before| rules.differing(before, &held))
                        .unwrap_or_default();
                    let one_way = before.iter().flatten().filter(|(name, was)| {
                        let now = member_of(&held, name).unwrap_or(NOTHING);
                        rules.metadata.goes_back(config.provider, name, was.get(), now)
                    });
                    let one_way = one_way.map(|(name, _)| name.as_str()).collect();
                    readings.push(
                        row,
                        holding,
                        Some(restorable(config.provider, rules.metadata, wanted, &held)),
                        "",
                        [differing, moved, one_way],
                    );
                }
                (Held::Gone(failure), _) => {
                    readings.push(row, Holding::Gone, None, &failure.message, Default::default())
                }
                (Held::Unreadable(why), _) => {
                    readings.push(row, Holding::Unreadable, None, &why, Default::default())
                }
                (Held::Values(_), None) => readings.push(
                    row,
                    Holding::Unreadable,
                    None,
                    "its values cannot be read",
                    Default::default(),
                ),
            }
        }
        push(&readings.0)?;
    }
    Ok(())
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

    /// `names`: of the fields that differ, that have moved, and that go one way only.
    fn push(
        &mut self,
        row: u64,
        holding: Holding,
        values: Option<String>,
        detail: &str,
        names: [Vec<&str>; 3],
    ) {
        let add = |strings: &mut Strings, text: &str| {
            strings.bytes.push_str(text);
            strings.offsets.push(strings.bytes.len() as u32);
        };
        self.0.rows.push(row);
        self.0.holdings.push(holding);
        add(&mut self.0.values, values.as_deref().unwrap_or("{}"));
        add(&mut self.0.details, detail);
        for (lists, names) in
            [&mut self.0.differing, &mut self.0.moved, &mut self.0.one_way].into_iter().zip(names)
        {
            names.into_iter().for_each(|name| add(&mut lists.items, name));
            lists.offsets.push(lists.items.offsets.len() as u32 - 1);
        }
    }
}
