//! A plan by pages, for people who look through it before they say yes.
//!
//! A page costs the same wherever it is: a cursor knows the block that the next entry is in, so
//! nothing before it is read. With a filter that fits few changes a page may be short, or empty,
//! and still have a next one: how much is looked through for one page is bounded. Pages trust the
//! files; whether they are still what was planned is checked where it counts, by
//! [`Plan::load`](super::Plan::load) at the gate.

use super::{
    Change, Header, PlanError, PlanId, SkippedRows,
    blocks::{Blocks, Place},
    fields,
    spool::{self, CHANGES, SKIPPED, Stored},
};
use arrow_schema::ArrowError;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::{fmt, path::Path, str::FromStr};

/// The most entries of a page.
pub const MAX_LIMIT: usize = 1_000;
/// A page ends once its entries come to this many bytes.
const MAX_BYTES: usize = 4 << 20;
/// Changes that are looked through for one page: comparing an id costs little, reading the names of
/// the fields more.
const SCAN_IDS: u64 = 400_000;
const SCAN_FIELDS: u64 = 65_536;

/// Where a page begins: the number of its first entry, and mostly the block that it is in.
///
/// Its text is made to be handed back unchanged. One that does not fit the plan is refused; one
/// that was made up may number the changes of its page wrongly, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    number: u64,
    /// Block, and index in it.
    place: Option<(usize, u64)>,
}

impl Cursor {
    /// The entry of this number, counted from 0; where it is must be looked up.
    pub fn number(number: u64) -> Cursor {
        Cursor { number, place: None }
    }

    pub(crate) fn at(place: Place) -> Cursor {
        Cursor { number: place.number, place: Some((place.block, place.index)) }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((block, index)) => write!(f, "{block}.{index}.{}", self.number),
            None => write!(f, "{}", self.number),
        }
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Cursor, String> {
        let digits = |part: &str| {
            !part.is_empty() && part.len() <= 18 && part.bytes().all(|b| b.is_ascii_digit())
        };
        let numbers =
            text.split('.').map(|part| if digits(part) { part.parse::<u64>().ok() } else { None });
        let (number, place) =
            match numbers.collect::<Option<Vec<_>>>().as_deref() {
                Some([number]) => (*number, None),
                Some([block, index, number]) => {
                    (*number, usize::try_from(*block).ok().map(|block| (block, *index)))
                }
                _ => return Err(
                    "invalid cursor: take `after` from `next` of the page before, or leave it out"
                        .to_owned(),
                ),
            };
        Ok(Cursor { number, place })
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Some of many.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// At most as many as were asked for.
    pub items: Vec<T>,
    /// Where to continue; `None` at the end.
    pub next: Option<Cursor>,
}

/// A change of a plan, with its number.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PlannedChange {
    /// Its number in the plan, counted from 0.
    pub change: u64,
    /// The golden record's row.
    pub row: u64,
    /// The CRM's record id.
    pub provider_id: String,
    /// The values as they will be written.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub fields: Box<RawValue>,
    /// The values that the CRM held while planning, if somebody looked.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub before: Option<Box<RawValue>>,
}

/// Which changes are shown: those that fit all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeFilter {
    /// Changes that write this field.
    pub field: Option<String>,
    /// The change of this record, in the spelling of the plan.
    pub provider_id: Option<String>,
}

impl ChangeFilter {
    fn fits(&self, change: &Change<'_>) -> bool {
        self.provider_id.as_deref().is_none_or(|id| change.provider_id == id)
            && self.field.as_deref().is_none_or(|field| fields::names(change.fields, field))
    }

    fn scans(&self) -> u64 {
        if self.field.is_some() && self.provider_id.is_none() { SCAN_FIELDS } else { SCAN_IDS }
    }
}

/// A page of a plan's changes, in the order in which they would be written.
///
/// # Errors
/// If there is no such plan, it cannot be read, or the cursor does not fit it.
pub fn changes_page(
    plans_dir: &Path,
    id: &PlanId,
    after: Option<Cursor>,
    limit: usize,
    filter: &ChangeFilter,
) -> Result<Page<PlannedChange>, PlanError> {
    let header = Header::read(plans_dir, id)?;
    let opened = Opened::new(plans_dir, id, CHANGES, after, Some(header.writable))?;
    // The header counts the changes of each field.
    if filter.field.as_deref().is_some_and(|field| {
        !header.fields.contains_key(field) && header.fields.len() < fields::MAX_NAMES
    }) {
        return Ok(Page { items: Vec::new(), next: None });
    }
    let scan = filter.scans();
    opened.page(limit, scan, |batch| {
        let stored = Stored::new(batch)?;
        Ok(move |index: usize, number: u64| {
            let change = stored.change(index);
            if !filter.fits(&change) {
                return Ok(None);
            }
            let bytes =
                change.provider_id.len() + change.fields.len() + change.before.map_or(0, str::len);
            let planned = PlannedChange {
                change: number,
                row: change.row,
                provider_id: change.provider_id.to_owned(),
                fields: json(change.fields)?,
                before: change.before.map(json).transpose()?,
            };
            Ok(Some((planned, bytes)))
        })
    })
}

/// A page of the rows that a plan skips, consecutive ones with the same reason as one entry.
///
/// # Errors
/// As for [`changes_page`].
pub fn skipped_page(
    plans_dir: &Path,
    id: &PlanId,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page<SkippedRows>, PlanError> {
    Header::read(plans_dir, id)?;
    Opened::new(plans_dir, id, SKIPPED, after, None)?.page(limit, u64::MAX, |batch| {
        let rows = spool::skipped_rows(batch)?;
        Ok(move |index: usize, _| {
            let Some(rows): Option<&SkippedRows> = rows.get(index) else { return Ok(None) };
            let bytes = rows.reason.len() + rows.detail.as_deref().map_or(0, str::len);
            Ok(Some((rows.clone(), bytes)))
        })
    })
}

fn json(text: &str) -> Result<Box<RawValue>, ArrowError> {
    RawValue::from_string(text.to_owned())
        .map_err(|error| ArrowError::ParseError(error.to_string()))
}

/// A plan's file, and where its page begins.
pub(crate) struct Opened<'p> {
    id: &'p PlanId,
    pub(crate) blocks: Blocks,
    pub(crate) at: Place,
}

impl<'p> Opened<'p> {
    pub(crate) fn changes(
        plans_dir: &Path,
        header: &'p Header,
        after: Option<Cursor>,
    ) -> Result<Opened<'p>, PlanError> {
        Opened::new(plans_dir, &header.plan_id, CHANGES, after, Some(header.writable))
    }

    /// `total`, where it is known, is the number of entries.
    fn new(
        plans_dir: &Path,
        id: &'p PlanId,
        file: &str,
        after: Option<Cursor>,
        total: Option<u64>,
    ) -> Result<Opened<'p>, PlanError> {
        let unreadable = |error: ArrowError| unreadable(id, error);
        let mut blocks =
            Blocks::open(&plans_dir.join(id.as_str()).join(file)).map_err(unreadable)?;
        let at = match after {
            None => Some(Place::default()),
            Some(Cursor { number, place: None }) => {
                let place = blocks.forward(Place::default(), number).map_err(unreadable)?;
                (place.number == number).then_some(place)
            }
            Some(Cursor { number, place: Some((block, index)) }) => {
                fits(&mut blocks, Place { block, index, number }, total).map_err(unreadable)?
            }
        };
        let at = at.ok_or_else(|| PlanError::Cursor { id: id.clone() })?;
        Ok(Opened { id, blocks, at })
    }

    pub(crate) fn unreadable(&self, error: ArrowError) -> PlanError {
        unreadable(self.id, error)
    }

    /// Collects what `entries` shows of each block, with its size in bytes, until the page is full
    /// or enough was looked through.
    fn page<T, E>(
        mut self,
        limit: usize,
        scan: u64,
        entries: impl Fn(&arrow_array::RecordBatch) -> Result<E, ArrowError>,
    ) -> Result<Page<T>, PlanError>
    where
        E: Fn(usize, u64) -> Result<Option<(T, usize)>, ArrowError>,
    {
        let limit = limit.clamp(1, MAX_LIMIT);
        let (mut items, mut bytes, mut scanned) = (Vec::new(), 0, 0);
        while self.at.block < self.blocks.count() {
            if scanned >= scan {
                return Ok(Page { items, next: Some(Cursor::at(self.at)) });
            }
            let batch = self.blocks.read(self.at.block).map_err(|error| self.unreadable(error))?;
            let entry = entries(&batch).map_err(|error| self.unreadable(error))?;
            while self.at.index < batch.num_rows() as u64 {
                if items.len() == limit || bytes >= MAX_BYTES {
                    return Ok(Page { items, next: Some(Cursor::at(self.at)) });
                }
                if let Some((item, size)) = entry(self.at.index as usize, self.at.number)
                    .map_err(|error| self.unreadable(error))?
                {
                    items.push(item);
                    bytes += size;
                }
                self.at.index += 1;
                self.at.number += 1;
                scanned += 1;
            }
            self.at = Place { block: self.at.block + 1, index: 0, number: self.at.number };
        }
        Ok(Page { items, next: None })
    }
}

fn unreadable(id: &PlanId, error: ArrowError) -> PlanError {
    PlanError::Unreadable { id: id.clone(), error: error.to_string() }
}

/// A place that a cursor names, if there is one. Which number it has is known at the ends only; in
/// between, that no block is empty says enough to keep every number within the plan.
fn fits(
    blocks: &mut Blocks,
    place: Place,
    total: Option<u64>,
) -> Result<Option<Place>, ArrowError> {
    let count = blocks.count();
    if place.block >= count {
        return Ok(None);
    }
    let length = blocks.length(place.block)?;
    let Some(begin) = place.number.checked_sub(place.index) else { return Ok(None) };
    let (before, behind) = (place.block as u64, (count - 1 - place.block) as u64);
    let begins = if before == 0 { begin == 0 } else { begin >= before };
    let ends = total.is_none_or(|total| {
        let end = begin + length;
        if behind == 0 { end == total } else { end + behind <= total }
    });
    Ok((place.index < length && begins && ends).then_some(place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, sample};
    use proptest::prelude::*;

    type Texts = (u64, u64, String, String, Option<String>);

    /// Pages are shown without a look at the digests, and Arrow's reader panics about some of these
    /// files.
    #[test]
    fn a_page_of_a_file_with_a_changed_bit_is_shown_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 3);
        let filter = ChangeFilter::default();
        for name in [CHANGES, SKIPPED] {
            let path = dir.path().join(plan.id().as_str()).join(name);
            let bytes = std::fs::read(&path).unwrap();
            for at in 0..bytes.len() {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                std::fs::write(&path, &changed).unwrap();
                let after = Some(Cursor::at(Place { block: 0, index: 1, number: 1 }));
                let _ = (
                    changes_page(dir.path(), plan.id(), None, 10, &filter),
                    changes_page(dir.path(), plan.id(), after, 10, &filter),
                );
                let _ = skipped_page(dir.path(), plan.id(), None, 10);
                assert!(
                    at % 16 != 0
                        || matches!(
                            Plan::load(dir.path(), plan.id()),
                            Err(PlanError::Tampered { .. })
                        )
                );
            }
            std::fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(changes_page(dir.path(), plan.id(), None, 10, &filter).unwrap().items.len(), 3);
    }

    fn texts(page: &Page<PlannedChange>) -> Vec<Texts> {
        let before =
            |change: &PlannedChange| change.before.as_ref().map(|before| before.get().to_owned());
        page.items
            .iter()
            .map(|change| {
                (
                    change.change,
                    change.row,
                    change.provider_id.clone(),
                    change.fields.get().to_owned(),
                    before(change),
                )
            })
            .collect()
    }

    /// All pages, joined, and how many there were.
    fn all(
        plans_dir: &Path,
        plan: &Plan,
        limit: usize,
        filter: &ChangeFilter,
    ) -> (Vec<Texts>, usize) {
        let (mut changes, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = changes_page(plans_dir, plan.id(), after, limit, filter).unwrap();
            assert!(page.items.len() <= limit);
            changes.extend(texts(&page));
            pages += 1;
            // A cursor survives its text.
            after = page.next.map(|next| next.to_string().parse().unwrap());
            if after.is_none() {
                return (changes, pages);
            }
        }
    }

    #[test]
    fn all_pages_together_are_the_plan() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 10_000);
        let mut expected = Vec::new();
        plan.for_each_change(|change| {
            let number = expected.len() as u64;
            expected.push((
                number,
                change.row,
                change.provider_id.to_owned(),
                change.fields.to_owned(),
                change.before.map(str::to_owned),
            ));
        })
        .unwrap();
        assert_eq!(expected.len(), 10_000);
        for limit in [1_000, 937] {
            let (found, pages) = all(dir.path(), &plan, limit, &ChangeFilter::default());
            assert!(found == expected, "pages of {limit}");
            assert_eq!(pages, 10_000_usize.div_ceil(limit), "no page is empty");
        }
        // Any change can be gone to by its number alone.
        for number in [0, 1, 4_095, 4_096, 8_191, 9_999] {
            let page = changes_page(
                dir.path(),
                plan.id(),
                Some(Cursor::number(number)),
                1,
                &ChangeFilter::default(),
            )
            .unwrap();
            assert_eq!(texts(&page), expected[number as usize..][..1]);
        }
    }

    #[test]
    fn filters_show_what_fits_them() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 10_000);
        let field = ChangeFilter { field: Some("phone".to_owned()), ..ChangeFilter::default() };
        let (phones, pages) = all(dir.path(), &plan, 100, &field);
        assert_eq!(phones.len() as u64, plan.header().fields["phone"]);
        assert!(
            phones.len() > 100
                && pages >= 2
                && phones.iter().all(|change| change.3.contains("\"phone\":"))
        );
        // The name of a field is also a value of another one in every change.
        let (cities, _) = all(
            dir.path(),
            &plan,
            1_000,
            &ChangeFilter { field: Some("city".to_owned()), ..ChangeFilter::default() },
        );
        assert_eq!(cities.len() as u64, plan.header().fields["city"]);
        assert!(cities.len() < 10_000);

        let id = ChangeFilter { provider_id: Some(sample::id(7_777)), ..ChangeFilter::default() };
        let (one, pages) = all(dir.path(), &plan, 100, &id);
        assert_eq!((one.len(), one[0].0, pages), (1, 7_777, 1));
        for nothing in [
            ChangeFilter { field: Some("nickname".to_owned()), ..ChangeFilter::default() },
            ChangeFilter { provider_id: Some("1".to_owned()), ..ChangeFilter::default() },
        ] {
            assert_eq!(all(dir.path(), &plan, 100, &nothing), (Vec::new(), 1));
        }
    }

    #[test]
    fn a_page_of_a_rare_field_is_short_and_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 150_000);
        let rare = ChangeFilter { field: Some("rare".to_owned()), ..ChangeFilter::default() };
        let (found, pages) = all(dir.path(), &plan, 100, &rare);
        assert_eq!(found.iter().map(|change| change.0).collect::<Vec<_>>(), [149_999]);
        assert_eq!(pages, 3);
    }

    #[test]
    fn skipped_rows_come_in_pages_too() {
        let dir = tempfile::tempdir().unwrap();
        let plan = sample::plan(dir.path(), 5_000);
        let expected: Vec<SkippedRows> = plan.skipped_rows().unwrap().map(Result::unwrap).collect();
        assert!(expected.len() > 4_096, "{}", expected.len());
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = skipped_page(dir.path(), plan.id(), after, 333).unwrap();
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let missing: PlanId = "plan_0123456789abcdef0123456789abcdef".parse().unwrap();
        let page = changes_page(dir.path(), &missing, None, 10, &ChangeFilter::default());
        assert!(matches!(page, Err(PlanError::Unknown(_))));
        assert!(matches!(skipped_page(dir.path(), &missing, None, 10), Err(PlanError::Unknown(_))));
        let empty = sample::plan(dir.path(), 0);
        let page =
            changes_page(dir.path(), empty.id(), None, 10, &ChangeFilter::default()).unwrap();
        assert!(page.items.is_empty() && page.next.is_none());

        let plan = sample::plan(dir.path(), 5_000);
        let file = dir.path().join(plan.id().as_str()).join(CHANGES);
        let whole = std::fs::read(&file).unwrap();
        for length in [0, 9, 100, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&file, &whole[..length]).unwrap();
            let page = changes_page(dir.path(), plan.id(), None, 10, &ChangeFilter::default());
            assert!(matches!(page, Err(PlanError::Unreadable { .. })), "{length}");
        }
    }

    #[test]
    fn a_text_that_is_no_cursor_is_refused() {
        for bad in [
            "",
            ".",
            "1.2",
            "1.2.3.4",
            "-1",
            "+1",
            "a",
            "1..2",
            " 1",
            "1.2.x",
            "99999999999999999999",
            "1.2.99999999999999999999",
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
        assert_eq!("1.2.4098".parse::<Cursor>().unwrap().to_string(), "1.2.4098");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]
        #[test]
        fn any_cursor_gives_a_page_of_the_plan_or_is_refused(
            count in prop_oneof![Just(0u64), Just(4_096), 1u64..9_000],
            cursors in prop::collection::vec((0usize..5, prop_oneof![0u64..9_000, any::<u64>()], prop_oneof![0u64..10_000, any::<u64>()]), 40),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let plan = sample::plan(dir.path(), count);
            for (block, index, number) in cursors {
                for cursor in [Cursor { number, place: Some((block, index)) }, Cursor { number, place: None }] {
                    match changes_page(dir.path(), plan.id(), Some(cursor), 3, &ChangeFilter::default()) {
                        Err(PlanError::Cursor { .. }) => {}
                        Err(other) => prop_assert!(false, "{other}"),
                        Ok(page) => {
                            prop_assert!(page.items.len() <= 3);
                            prop_assert!(page.items.iter().all(|change| change.change < count));
                            // Where the cursor only has a number, that is the number of the change.
                            if cursor.place.is_none() && let Some(first) = page.items.first() {
                                prop_assert_eq!(&first.provider_id, &sample::id(number));
                            }
                        }
                    }
                    let skipped = skipped_page(dir.path(), plan.id(), Some(cursor), 3);
                    let allowed = matches!(skipped, Ok(_) | Err(PlanError::Cursor { .. }));
                    prop_assert!(allowed, "{:?}", skipped);
                }
            }
        }
    }
}
