//! How large records may be, so that whatever is read can be planned: the component has 64 MiB, and
//! a record takes several times its size there, as columns, as JSON in which any byte may become
//! six, and in buffers that grow.
//!
//! Sizes are sums over ranges of rows. For texts these are differences of two offsets, so nothing
//! here looks at single values, but where a file brings dictionaries and views.
//!
//! ```
//! use reverse_sync::records::bounds::MAX_RECORD;
//!
//! assert_eq!(MAX_RECORD, 1 << 20);
//! ```

use arrow_array::{Array, ArrayRef, RecordBatch, cast::AsArray, types::ByteViewType};
use arrow_schema::DataType;

/// Bytes of all values of one record. A text of a CRM has 131,072 characters at most.
pub const MAX_RECORD: usize = 1 << 20;
/// Bytes of the records that are read at once, about, and never fewer than one record: they are
/// held in memory, and a few such batches wait.
pub(super) const MAX_BATCH: usize = 8 << 20;
/// More columns than this are not records of a CRM.
pub const MAX_COLUMNS: usize = 2_000;
/// Records of a Parquet file that are read at once. It repeats values by reference, so their size
/// is known only when they are there.
pub const PARQUET_ROWS: usize = 1_024;

/// What to say of a record that is longer.
pub(super) const TOO_LONG: &str = "is longer than 1 MiB, which no CRM's record is";

/// Bytes of these rows in the component.
pub fn size(batch: &RecordBatch, from: usize, rows: usize) -> usize {
    batch.columns().iter().map(|column| bytes(column, from, rows)).sum()
}

/// How many of the first rows have so many bytes at most; one at least.
pub fn fitting(batch: &RecordBatch, most: usize, limit: usize) -> usize {
    let mut rows = most.min(batch.num_rows());
    while rows > 1 && size(batch, 0, rows) > limit {
        rows /= 2;
    }
    rows
}

/// The first row that is longer than a record may be.
pub(super) fn too_long(batch: &RecordBatch) -> Option<usize> {
    first_of(batch, 0, batch.num_rows())
}

fn first_of(batch: &RecordBatch, from: usize, rows: usize) -> Option<usize> {
    match rows {
        _ if size(batch, from, rows) <= MAX_RECORD => None,
        0 | 1 => Some(from),
        _ => first_of(batch, from, rows / 2)
            .or_else(|| first_of(batch, from + rows / 2, rows - rows / 2)),
    }
}

/// Bytes of the values, and of the offsets where there are some.
fn bytes(array: &ArrayRef, from: usize, rows: usize) -> usize {
    let to = from + rows;
    let texts = |start: usize, end: usize| end.saturating_sub(start) + 4 * rows;
    match array.data_type() {
        DataType::Utf8 => between(array.as_string::<i32>().value_offsets(), from, to)
            .map_or(0, |(start, end)| texts(start, end)),
        DataType::LargeUtf8 => between(array.as_string::<i64>().value_offsets(), from, to)
            .map_or(0, |(start, end)| texts(start, end)),
        DataType::Utf8View => viewed(array.as_string_view(), from, to) + 4 * rows,
        DataType::Dictionary(..) => referred(array, from, rows),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            between(list.value_offsets(), from, to)
                .map_or(0, |(start, end)| bytes(list.values(), start, end - start) + 4 * rows)
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            between(list.value_offsets(), from, to)
                .map_or(0, |(start, end)| bytes(list.values(), start, end - start) + 4 * rows)
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).unwrap_or(0);
            bytes(array.as_fixed_size_list().values(), from * length, rows * length) + 4 * rows
        }
        // A text of as many digits as there can be.
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => 84 * rows,
        // A number, a date, or a type that has no form in the component.
        _ => 24 * rows,
    }
}

fn between<O: Copy + TryInto<usize>>(
    offsets: &[O],
    from: usize,
    to: usize,
) -> Option<(usize, usize)> {
    Some(((*offsets.get(from)?).try_into().ok()?, (*offsets.get(to)?).try_into().ok()?))
}

fn viewed<T: ByteViewType>(
    array: &arrow_array::GenericByteViewArray<T>,
    from: usize,
    to: usize,
) -> usize {
    // A view begins with the length of its text.
    array
        .views()
        .get(from..to)
        .unwrap_or_default()
        .iter()
        .map(|view| (view & u128::from(u32::MAX)) as usize)
        .sum()
}

fn referred(array: &ArrayRef, from: usize, rows: usize) -> usize {
    let Some(dictionary) = array.as_any_dictionary_opt() else { return 0 };
    let values = dictionary.values();
    if values.is_empty() {
        return 4 * rows;
    }
    dictionary
        .normalized_keys()
        .get(from..from + rows)
        .unwrap_or_default()
        .iter()
        .map(|key| bytes(values, *key, 1))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        Int64Array, ListArray, StringArray, StringViewArray,
        builder::{ListBuilder, StringBuilder},
        types::Int32Type,
    };
    use std::sync::Arc;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        RecordBatch::try_from_iter(
            columns.into_iter().enumerate().map(|(at, column)| (format!("c{at}"), column)),
        )
        .unwrap()
    }

    #[test]
    fn texts_are_as_long_as_they_are_whatever_holds_them() {
        let texts = ["a", "", "ccc", "a"];
        let mut lists = ListBuilder::new(StringBuilder::new());
        for text in texts {
            lists.append_value([Some(text)]);
        }
        let lists: ListArray = lists.finish();
        let dictionary: arrow_array::DictionaryArray<Int32Type> = texts.into_iter().collect();
        for (array, overhead) in [
            (Arc::new(StringArray::from(texts.to_vec())) as ArrayRef, 4),
            (Arc::new(arrow_array::LargeStringArray::from(texts.to_vec())), 4),
            (Arc::new(StringViewArray::from(texts.to_vec())), 4),
            (Arc::new(dictionary), 4),
            (Arc::new(lists), 8),
        ] {
            let kind = array.data_type().clone();
            let batch = batch(vec![array]);
            assert_eq!(
                (size(&batch, 0, 4), size(&batch, 2, 1)),
                (5 + 4 * overhead, 3 + overhead),
                "{kind}"
            );
            // A slice is what it shows.
            assert_eq!(size(&batch.slice(1, 3), 0, 2), 3 + 2 * overhead, "{kind}");
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_found_among_others() {
        let text = |bytes: usize| "x".repeat(bytes);
        let fits = MAX_RECORD - 4 - 24;
        for (lengths, expected) in [
            (vec![fits; 5], None),
            (vec![1, fits, 1, fits + 1, 1, fits + 1], Some(3)),
            (vec![fits + 1], Some(0)),
            (vec![fits / 2; 9], None),
        ] {
            let texts: StringArray = lengths.iter().map(|length| Some(text(*length))).collect();
            let numbers = Int64Array::from(vec![1; lengths.len()]);
            assert_eq!(
                too_long(&batch(vec![Arc::new(texts), Arc::new(numbers)])),
                expected,
                "{lengths:?}"
            );
        }
    }

    #[test]
    fn as_many_rows_are_handed_over_as_fit() {
        let texts: StringArray = (0..100).map(|_| Some("x".repeat(96))).collect();
        let batch = batch(vec![Arc::new(texts)]);
        for (most, limit, expected) in [
            (100, 10_000, 100),
            (1_000, 10_000, 100),
            (40, 10_000, 40),
            (100, 9_999, 50),
            (100, 99, 1),
        ] {
            assert_eq!(fitting(&batch, most, limit), expected, "{most} {limit}");
        }
    }
}
