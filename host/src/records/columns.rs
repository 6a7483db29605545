//! Arrow arrays as the contract's columns. Text, the common case, is a copy of two buffers.

use crate::contract::types::{Column, ColumnValues, StringLists, Strings};
use arrow_array::{
    Array, ArrayRef, RecordBatch, StringArray,
    cast::AsArray,
    types::{Date32Type, Date64Type, Float64Type, Int64Type},
};
use arrow_buffer::NullBuffer;
use arrow_cast::{CastOptions, cast_with_options, display::FormatOptions};
use arrow_schema::{DataType, Field, TimeUnit};
use std::collections::HashMap;

/// Casts that would lose a value fail instead of leaving a null behind.
const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: FormatOptions::new() };

/// The canonical extension type of JSON in texts.
const EXTENSION: (&str, &str) = ("ARROW:extension:name", "arrow.json");

/// A field of JSON values as they are spelled. An Arrow null is a value that is missing; JSON has
/// its own `null`.
pub(super) fn json_field(name: &str) -> Field {
    let (key, extension) = EXTENSION;
    Field::new(name, DataType::Utf8, true)
        .with_metadata(HashMap::from([(key.to_owned(), extension.to_owned())]))
}

pub(super) fn is_json(field: &Field) -> bool {
    let (key, extension) = EXTENSION;
    field.metadata().get(key).is_some_and(|name| name == extension)
}

/// The columns of a batch.
pub(crate) fn to_columns(batch: &RecordBatch) -> Vec<Column> {
    batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, array)| match (values(array), is_json(field)) {
            (Some(ColumnValues::Text(texts)), true) => {
                column(field, ColumnValues::Json(texts), array)
            }
            (Some(values), _) => column(field, values, array),
            (None, _) => match lists_as_json(array) {
                Some(json) => Column {
                    name: field.name().clone(),
                    values: ColumnValues::Json(json),
                    valid: None,
                },
                None => {
                    column(field, ColumnValues::Unsupported(array.data_type().to_string()), array)
                }
            },
        })
        .collect()
}

fn column(field: &Field, values: ColumnValues, array: &ArrayRef) -> Column {
    Column { name: field.name().clone(), values, valid: validity(array) }
}

fn validity(array: &ArrayRef) -> Option<Vec<u8>> {
    let nulls = array.logical_nulls().filter(|nulls: &NullBuffer| nulls.null_count() > 0)?;
    // A sliced array's bits may begin in the middle of a byte.
    Some(nulls.inner().sliced().as_slice().to_vec())
}

fn values(array: &ArrayRef) -> Option<ColumnValues> {
    let cast = |to: &DataType| cast_with_options(array, to, &STRICT).ok();
    Some(match array.data_type() {
        DataType::Utf8 => ColumnValues::Text(strings(array.as_string())?),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
            ColumnValues::Text(strings(cast(&DataType::Utf8)?.as_string())?)
        }
        DataType::Dictionary(_, value) => return values(&cast(value)?),
        DataType::Boolean => ColumnValues::Boolean(array.as_boolean().values().iter().collect()),
        DataType::Int64 => {
            ColumnValues::Integer(array.as_primitive::<Int64Type>().values().to_vec())
        }
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32 => ColumnValues::Integer(
            cast(&DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec(),
        ),
        DataType::UInt64 => match cast(&DataType::Int64) {
            Some(fits) => ColumnValues::Integer(fits.as_primitive::<Int64Type>().values().to_vec()),
            None => ColumnValues::Decimal(strings(cast(&DataType::Utf8)?.as_string())?),
        },
        DataType::Float64 => {
            ColumnValues::Number(array.as_primitive::<Float64Type>().values().to_vec())
        }
        DataType::Float16 | DataType::Float32 => ColumnValues::Number(short_floats(array)?),
        DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => {
            ColumnValues::Decimal(strings(cast(&DataType::Utf8)?.as_string())?)
        }
        DataType::Date32 => {
            ColumnValues::Date(array.as_primitive::<Date32Type>().values().to_vec())
        }
        DataType::Date64 => {
            // What does not fit becomes the last day there is, which is refused as any day after
            // the year 9999.
            let day =
                |millis: &i64| i32::try_from(millis.div_euclid(86_400_000)).unwrap_or(i32::MAX);
            ColumnValues::Date(
                array.as_primitive::<Date64Type>().values().iter().map(day).collect(),
            )
        }
        DataType::Timestamp(unit, zone) => {
            let micros = micros(array, *unit)?;
            if zone.is_some() {
                ColumnValues::Timestamp(micros)
            } else {
                ColumnValues::LocalTimestamp(micros)
            }
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            ColumnValues::Text(strings(cast(&DataType::Utf8)?.as_string())?)
        }
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => {
            ColumnValues::TextList(lists(array)?)
        }
        _ => return None,
    })
}

/// Microseconds since 1970. What does not fit becomes the last (or first) time there is, which is
/// refused as any time outside the years 1 to 9999.
fn micros(array: &ArrayRef, unit: TimeUnit) -> Option<Vec<i64>> {
    let whole = cast_with_options(array, &DataType::Int64, &STRICT).ok()?;
    let micros = |value: &i64| match unit {
        TimeUnit::Second => value.saturating_mul(1_000_000),
        TimeUnit::Millisecond => value.saturating_mul(1_000),
        TimeUnit::Microsecond => *value,
        TimeUnit::Nanosecond => value.div_euclid(1_000),
    };
    Some(whole.as_primitive::<Int64Type>().values().iter().map(micros).collect())
}

/// Lists of which one has a null in it, as JSON: that one is refused, and no other.
fn lists_as_json(array: &ArrayRef) -> Option<Strings> {
    if !matches!(
        array.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    ) {
        return None;
    }
    let list = texts_of(array)?;
    let list = list.as_list::<i32>();
    let mut texts = Strings { bytes: String::new(), offsets: vec![0] };
    for row in 0..list.len() {
        let items: Option<Vec<Option<String>>> = list.is_valid(row).then(|| {
            list.value(row).as_string::<i32>().iter().map(|item| item.map(str::to_owned)).collect()
        });
        texts.bytes.push_str(&serde_json::to_string(&items).ok()?);
        texts.offsets.push(u32::try_from(texts.bytes.len()).ok()?);
    }
    Some(texts)
}

/// Two buffer copies. `None` if the text does not fit the contract's 32-bit offsets.
fn strings(array: &StringArray) -> Option<Strings> {
    let offsets = array.value_offsets();
    let (first, last) = (*offsets.first()?, *offsets.last()?);
    let bytes =
        array.value_data().get(usize::try_from(first).ok()?..usize::try_from(last).ok()?)?;
    // Arrow's text is UTF-8; checking again costs less than the copy and needs no unsafe code.
    let bytes = str::from_utf8(bytes).ok()?.to_owned();
    let offsets =
        offsets.iter().map(|offset| u32::try_from(offset - first).ok()).collect::<Option<_>>()?;
    Some(Strings { bytes, offsets })
}

/// As the decimal text of the short float, so that 0.1 stays 0.1.
fn short_floats(array: &ArrayRef) -> Option<Vec<f64>> {
    let text = cast_with_options(array, &DataType::Utf8, &STRICT).ok()?;
    text.as_string::<i32>()
        .iter()
        .map(|text| text.map_or(Some(0.0), |text| text.parse().ok()))
        .collect()
}

/// Lists of texts. Numbers are the text of their digits; `None`: their items have no scalar form.
fn texts_of(array: &ArrayRef) -> Option<ArrayRef> {
    let (DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)) =
        array.data_type()
    else {
        return None;
    };
    let fits = |kind: &DataType| kind.is_string() || kind.is_integer() || kind.is_decimal();
    if !matches!(item.data_type(), DataType::Dictionary(_, value) if fits(value))
        && !fits(item.data_type())
    {
        return None;
    }
    let wanted = DataType::List(std::sync::Arc::new(Field::new("item", DataType::Utf8, true)));
    cast_with_options(array, &wanted, &STRICT).ok()
}

fn lists(array: &ArrayRef) -> Option<StringLists> {
    let cast = texts_of(array)?;
    let list = cast.as_list::<i32>();
    let offsets = list.value_offsets();
    let (first, last) = (*offsets.first()?, *offsets.last()?);
    let items =
        list.values().slice(usize::try_from(first).ok()?, usize::try_from(last - first).ok()?);
    let items = items.as_string::<i32>();
    // A null among the options is not an empty option.
    if items.null_count() > 0 {
        return None;
    }
    let offsets =
        offsets.iter().map(|offset| u32::try_from(offset - first).ok()).collect::<Option<_>>()?;
    Some(StringLists { items: strings(items)?, offsets })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{
        BinaryArray, Date64Array, Decimal128Array, Float32Array, Int32Array, LargeStringArray,
        ListArray, StringViewArray, TimestampNanosecondArray, UInt64Array, types::Int32Type,
    };
    use proptest::prelude::*;
    use std::sync::Arc;

    fn column(array: impl Array + 'static) -> Column {
        let batch = RecordBatch::try_from_iter([("x", Arc::new(array) as ArrayRef)]).unwrap();
        to_columns(&batch).remove(0)
    }

    fn texts(strings: &Strings) -> Vec<String> {
        strings
            .offsets
            .windows(2)
            .map(|pair| strings.bytes[pair[0] as usize..pair[1] as usize].to_owned())
            .collect()
    }

    #[test]
    fn types_arrive_without_loss() {
        assert!(
            matches!(column(Int32Array::from(vec![1, -2])).values, ColumnValues::Integer(v) if v == [1, -2])
        );
        assert!(
            matches!(column(UInt64Array::from(vec![1, u64::MAX])).values, ColumnValues::Decimal(v) if texts(&v) == ["1", "18446744073709551615"])
        );
        assert!(
            matches!(column(Float32Array::from(vec![0.1])).values, ColumnValues::Number(v) if v == [0.1])
        );
        let decimal =
            Decimal128Array::from(vec![-1250, 5]).with_precision_and_scale(10, 2).unwrap();
        assert!(
            matches!(column(decimal).values, ColumnValues::Decimal(v) if texts(&v) == ["-12.50", "0.05"])
        );
        assert!(
            matches!(column(Date64Array::from(vec![86_400_000])).values, ColumnValues::Date(v) if v == [1])
        );
        assert!(
            matches!(column(TimestampNanosecondArray::from(vec![1_500])).values, ColumnValues::LocalTimestamp(v) if v == [1])
        );
        assert!(
            matches!(column(LargeStringArray::from(vec!["a"])).values, ColumnValues::Text(v) if texts(&v) == ["a"])
        );
        assert!(
            matches!(column(StringViewArray::from(vec!["a long enough view"])).values, ColumnValues::Text(v) if texts(&v) == ["a long enough view"])
        );
        let dictionary: arrow_array::DictionaryArray<Int32Type> =
            vec!["a", "b", "a"].into_iter().collect();
        assert!(
            matches!(column(dictionary).values, ColumnValues::Text(v) if texts(&v) == ["a", "b", "a"])
        );
        assert!(
            matches!(column(BinaryArray::from(vec![b"x".as_slice()])).values, ColumnValues::Unsupported(name) if name.contains("Binary"))
        );
        let mut list =
            arrow_array::builder::ListBuilder::new(arrow_array::builder::StringBuilder::new());
        list.append_value([Some("a"), Some("b")]);
        list.append_null();
        list.append_value([Some("c")]);
        let list: ListArray = list.finish();
        assert!(
            matches!(column(list.slice(1, 2)).values, ColumnValues::TextList(v) if texts(&v.items) == ["c"] && v.offsets == [0, 0, 1])
        );
    }

    proptest! {
        #[test]
        fn a_slice_is_what_it_shows(values in prop::collection::vec(prop::option::of("[a-zé]{0,4}"), 1..40), from in 0usize..40, len in 0usize..40) {
            let from = from.min(values.len() - 1);
            let len = len.min(values.len() - from);
            let expected = &values[from..from + len];
            let column = column(StringArray::from(values.clone()).slice(from, len));
            let ColumnValues::Text(strings) = &column.values else { panic!("not text") };
            let texts = texts(strings);
            for (at, value) in expected.iter().enumerate() {
                let valid = column.valid.as_ref().is_none_or(|bits| bits[at / 8] & (1 << (at % 8)) != 0);
                prop_assert_eq!(valid, value.is_some());
                if let Some(value) = value {
                    prop_assert_eq!(&texts[at], value);
                }
            }
        }
    }
}
