//! A file of rejects is planned as the golden records were that it was made of: whatever their
//! types are, in both forms, nothing is changed on the way, and nothing that was not planned comes
//! back.

use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float64Array, Int64Array, ListArray,
    NullArray, RecordBatch, StringArray, StructArray,
    builder::{
        FixedSizeBinaryBuilder, FixedSizeListBuilder, Int64Builder, LargeListBuilder, ListBuilder,
        MapBuilder, StringBuilder,
    },
};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use reverse_sync::{plan::Plan, records::RecordSource, rejects};
use reverse_sync_tests::{
    Bench,
    crm::{Provider, component},
};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

/// What the value of any type is made of.
#[derive(Clone, Debug)]
struct Seed {
    whole: i64,
    /// Days since 1970.
    day: i64,
    /// Anything since 1970, from seconds to nanoseconds.
    time: i64,
    real: f64,
    text: String,
    texts: Vec<String>,
}

/// A column: its type, and a value or null for each record.
#[derive(Clone, Debug)]
struct Golden {
    name: &'static str,
    kind: DataType,
    values: Vec<Option<Seed>>,
}

/// Golden records in a file of their own.
#[derive(Clone, Debug)]
struct Input {
    ids: usize,
    columns: Vec<Golden>,
    failed: Vec<bool>,
}

/// Types that are planned, and after them those that never are.
fn kinds() -> Vec<DataType> {
    use DataType as T;
    let list = |item: DataType| Arc::new(Field::new("item", item, true));
    let zone = |name: &str| Some(Arc::from(name));
    vec![
        T::Utf8,
        T::LargeUtf8,
        T::Utf8View,
        T::Dictionary(Box::new(T::Int32), Box::new(T::Utf8)),
        T::Boolean,
        T::Int8,
        T::Int16,
        T::Int32,
        T::Int64,
        T::UInt8,
        T::UInt16,
        T::UInt32,
        T::UInt64,
        T::Float16,
        T::Float32,
        T::Float64,
        T::Decimal32(9, 2),
        T::Decimal64(18, 4),
        T::Decimal128(38, 10),
        T::Decimal256(60, 3),
        T::Date32,
        T::Date64,
        T::Timestamp(TimeUnit::Second, zone("UTC")),
        T::Timestamp(TimeUnit::Millisecond, zone("Europe/Zurich")),
        T::Timestamp(TimeUnit::Microsecond, zone("+02:00")),
        T::Timestamp(TimeUnit::Nanosecond, zone("UTC")),
        T::Timestamp(TimeUnit::Microsecond, None),
        T::Timestamp(TimeUnit::Nanosecond, None),
        T::Time32(TimeUnit::Millisecond),
        T::Time64(TimeUnit::Microsecond),
        T::List(list(T::Utf8)),
        T::LargeList(list(T::Utf8)),
        T::FixedSizeList(list(T::Utf8), 2),
        T::List(list(T::Int64)),
        T::Null,
        T::Binary,
        T::LargeBinary,
        T::BinaryView,
        T::FixedSizeBinary(4),
        T::Duration(TimeUnit::Microsecond),
        T::Interval(IntervalUnit::YearMonth),
        T::Struct(vec![Field::new("x", T::Int64, true)].into()),
    ]
}

fn array(kind: &DataType, values: &[Option<Seed>]) -> ArrayRef {
    use DataType as T;
    let wholes = |of: &dyn Fn(&Seed) -> i64| -> Int64Array {
        values.iter().map(|seed| seed.as_ref().map(of)).collect()
    };
    let texts = || {
        values
            .iter()
            .map(|seed| seed.as_ref().map(|seed| seed.text.as_str()))
            .collect::<StringArray>()
    };
    let to = |array: &dyn Array| cast(array, kind).unwrap();
    // Within the type, small numbers more often than not.
    let within = |bits: u32| move |seed: &Seed| seed.whole.rem_euclid(1 << bits);
    match kind {
        T::Boolean => Arc::new(
            values
                .iter()
                .map(|seed| seed.as_ref().map(|seed| seed.whole % 2 == 0))
                .collect::<BooleanArray>(),
        ),
        T::Int8 | T::UInt8 => to(&wholes(&within(7))),
        T::Int16 | T::UInt16 => to(&wholes(&within(15))),
        T::Date32 => to(&cast(&wholes(&|seed| seed.day), &T::Int32).unwrap()),
        T::Int32 | T::UInt32 => to(&cast(&wholes(&within(31)), &T::Int32).unwrap()),
        T::UInt64 => Arc::new(
            values
                .iter()
                .map(|seed| seed.as_ref().map(|seed| seed.whole as u64))
                .collect::<arrow_array::UInt64Array>(),
        ),
        T::Float16 | T::Float32 | T::Float64 => {
            // Without becoming infinite in a type that is too small for it.
            let largest = if *kind == T::Float64 { f64::MAX } else { 60_000.0 };
            to(&values
                .iter()
                .map(|seed| {
                    seed.as_ref().map(|seed| {
                        if seed.real.is_finite() { seed.real % largest } else { seed.real }
                    })
                })
                .collect::<Float64Array>())
        }
        T::Decimal32(..) | T::Decimal64(..) => {
            to(&cast(&wholes(&within(20)), &T::Float64).map(|wholes| halved(&wholes)).unwrap())
        }
        T::Decimal128(..) | T::Decimal256(..) => {
            let texts = values.iter().map(|seed| {
                seed.as_ref()
                    .map(|seed| format!("{}.{}", seed.whole, seed.whole.unsigned_abs() % 1_000))
            });
            to(&texts.collect::<StringArray>())
        }
        T::Date64 => {
            to(&cast(&wholes(&|seed| seed.day.rem_euclid(3_000_000) * 86_400_000), &T::Int64)
                .unwrap())
        }
        T::Timestamp(..) => to(&wholes(&|seed| seed.time)),
        T::Int64 | T::Duration(_) => to(&wholes(&|seed| seed.whole)),
        T::Time32(_) => {
            to(&cast(&wholes(&|seed| seed.whole.rem_euclid(86_400_000)), &T::Int32).unwrap())
        }
        T::Time64(_) => to(&wholes(&|seed| seed.whole.rem_euclid(86_400_000_000))),
        T::Interval(_) => Arc::new(
            values
                .iter()
                .map(|seed| seed.as_ref().map(|seed| (seed.whole % 100) as i32))
                .collect::<arrow_array::IntervalYearMonthArray>(),
        ),
        T::Null => Arc::new(NullArray::new(values.len())),
        T::List(item) if *item.data_type() == T::Int64 => {
            let mut lists = ListBuilder::new(Int64Builder::new());
            for seed in values {
                lists.append_option(seed.as_ref().map(|seed| [Some(seed.whole), Some(7)]));
            }
            Arc::new(lists.finish())
        }
        T::List(_) => Arc::new(lists(values)),
        T::LargeList(_) => {
            let mut lists = LargeListBuilder::new(StringBuilder::new());
            for seed in values {
                lists.append_option(seed.as_ref().map(|seed| seed.texts.iter().map(Some)));
            }
            Arc::new(lists.finish())
        }
        T::FixedSizeList(..) => {
            let mut lists = FixedSizeListBuilder::new(StringBuilder::new(), 2);
            for seed in values {
                for _ in 0..2 {
                    lists
                        .values()
                        .append_value(seed.as_ref().map_or("", |seed| seed.text.as_str()));
                }
                lists.append(seed.is_some());
            }
            Arc::new(lists.finish()) as Arc<FixedSizeListArray>
        }
        T::FixedSizeBinary(_) => {
            let mut bytes = FixedSizeBinaryBuilder::new(4);
            for seed in values {
                match seed {
                    Some(_) => bytes.append_value(b"1234").unwrap(),
                    None => bytes.append_null(),
                }
            }
            Arc::new(bytes.finish())
        }
        T::Struct(fields) => {
            let nulls = values.iter().map(Option::is_some).collect::<Vec<_>>().into();
            Arc::new(StructArray::new(
                fields.clone(),
                vec![Arc::new(wholes(&|seed| seed.whole))],
                Some(nulls),
            ))
        }
        T::Map(..) => {
            let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
            for seed in values {
                maps.keys().append_value("k");
                maps.values().append_value(1);
                maps.append(seed.is_some()).unwrap();
            }
            Arc::new(maps.finish())
        }
        _ => to(&texts()),
    }
}

fn halved(wholes: &ArrayRef) -> Float64Array {
    let wholes = wholes.as_any().downcast_ref::<Float64Array>().unwrap();
    wholes.iter().map(|whole| whole.map(|whole| whole / 20.0)).collect()
}

fn lists(values: &[Option<Seed>]) -> ListArray {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for seed in values {
        lists.append_option(seed.as_ref().map(|seed| seed.texts.iter().map(Some)));
    }
    lists.finish()
}

/// Record ids, as text or as something that takes them for numbers.
fn ids(kind: usize, first: usize, count: usize) -> ArrayRef {
    let texts: StringArray = (first..first + count)
        .map(|n| (n % 7 != 3).then(|| (492_564_112_121 + n).to_string()))
        .collect();
    let kind = [
        DataType::Utf8,
        DataType::Utf8,
        DataType::Int64,
        DataType::Decimal128(20, 0),
        DataType::Float64,
    ][kind]
        .clone();
    cast(&texts, &kind).unwrap()
}

fn seed() -> impl Strategy<Value = Seed> {
    let text = || {
        prop_oneof![
            2 => "[a-zA-Z0-9 ,;'\"=+@\\\\é-]{0,8}",
            1 => "(?s)[a-b\"\r\n\t ]{0,4}",
            2 => prop::sample::select(vec![
                "", " ", "007", "1e5", "10115.0", "1.50", "NULL", "null", "true", "[1]", "[\"a\"]", "{}", "=1+1", " x ", "\"q\"", "a;b", "\u{feff}x", "__json",
            ]).prop_map(str::to_owned),
        ]
    };
    let whole = prop_oneof![
        2 => -1_000i64..100_000,
        1 => any::<i64>(),
        2 => 0i64..2_000_000_000_000_000,
        1 => prop::sample::select(vec![(1 << 53) + 1, i64::MAX, i64::MIN, 0, -1, 10_115]),
    ];
    let real = prop_oneof![
        2 => (-100_000i64..100_000).prop_map(|whole| whole as f64),
        2 => (-100_000i64..100_000).prop_map(|whole| whole as f64 / 100.0),
        1 => any::<f64>(),
        1 => prop::sample::select(vec![10_115.0, 1e21, 1e-7, 0.1, -0.0, 5e-324, f64::MAX, 9_007_199_254_740_993.0, f64::NAN, f64::INFINITY]),
    ];
    (whole, real, text(), prop::collection::vec(text(), 0..3)).prop_map(
        |(whole, real, text, texts)| Seed {
            whole,
            day: whole.rem_euclid(1 << 31),
            time: whole,
            real,
            text,
            texts,
        },
    )
}

/// A few records with some of the columns, each of any type.
fn input() -> impl Strategy<Value = Input> {
    let names = prop::sample::subsequence(
        vec!["phone", "city", "a,\"b\"", "amount", "tags", "photo"],
        1..=6,
    );
    (names, 1usize..8, 0usize..5).prop_flat_map(move |(names, rows, ids)| {
        let columns: Vec<_> = names
            .into_iter()
            .map(|name| {
                let values = prop::collection::vec(prop::option::weighted(0.75, seed()), rows);
                (prop::sample::select(kinds()), values).prop_map(move |(kind, values)| Golden {
                    name,
                    kind,
                    values,
                })
            })
            .collect();
        (columns, prop::collection::vec(prop::bool::weighted(0.6), rows))
            .prop_map(move |(columns, failed)| Input { ids, columns, failed })
    })
}

fn write(path: &Path, id_column: &str, first: usize, input: &Input) {
    let mut columns: Vec<(&str, ArrayRef)> =
        vec![(id_column, ids(input.ids, first, input.failed.len()))];
    for column in &input.columns {
        columns.push((column.name, array(&column.kind, &column.values)));
    }
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        columns.into_iter().map(|(_, array)| array).collect(),
    )
    .unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

async fn plan(bench: &Bench, files: Vec<PathBuf>) -> Plan {
    let records = RecordSource::of(files, bench.destination.record_options()).unwrap();
    bench.plan(records).await.unwrap()
}

/// Row, record id, and the values as they are spelled.
type Changes = Vec<(u64, String, BTreeMap<String, Box<RawValue>>)>;

fn changes(plan: &Plan) -> Changes {
    let mut changes = Vec::new();
    plan.for_each_change(|change| {
        changes.push((
            change.row,
            change.provider_id.to_owned(),
            serde_json::from_str(change.fields).unwrap(),
        ))
    })
    .unwrap();
    changes
}

fn shown(changes: &Changes) -> Vec<String> {
    changes
        .iter()
        .map(|(_, id, fields)| {
            let fields: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{id} {}", fields.join(", "))
        })
        .collect()
}

/// Plans, lets the chosen changes fail, writes the rejects in both forms, and plans each of them.
async fn planned_again(bench: &Bench, inputs: &[Input]) -> Result<(), TestCaseError> {
    let dir = tempfile::tempdir().unwrap();
    let id_column = bench.destination.config_json["provider_id_field"].as_str().unwrap();
    let mut files = Vec::new();
    let mut failed: Vec<bool> = Vec::new();
    for (at, input) in inputs.iter().enumerate() {
        let file = dir.path().join(format!("{at}.parquet"));
        write(&file, id_column, failed.len(), input);
        files.push(file);
        failed.extend(&input.failed);
    }
    let first = plan(bench, files).await;
    let mut expected = changes(&first);
    let (mut journal, mut sum) = (String::new(), 0);
    for (change, (row, provider_id, _)) in
        expected.iter().enumerate().filter(|(_, (row, ..))| failed[*row as usize - 1])
    {
        let problem = json!({"change": change, "row": row, "provider_id": provider_id, "status": 400, "code": "REFUSED", "message": "a,\n\"b\""});
        let line = json!({"failed": problem}).to_string();
        let line = line.strip_suffix('}').unwrap();
        sum = xxhash_rust::xxh3::xxh3_64_with_seed(line.as_bytes(), sum);
        journal.push_str(&format!("{line},\"sum\":\"{sum:016x}\"}}\n"));
    }
    expected.retain(|(row, ..)| failed[*row as usize - 1]);
    let journal_file = dir.path().join("journal.jsonl");
    fs::write(&journal_file, journal).unwrap();
    for name in ["rejects.jsonl", "rejects.csv"] {
        let file = dir.path().join(name);
        let rejected = rejects::write(&file, &first, Some(&journal_file)).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        prop_assert_eq!(rejected.records, first.header().skipped + expected.len() as u64);
        let again = plan(bench, vec![file]).await;
        prop_assert_eq!(again.header().total, rejected.records, "{}", text);
        prop_assert_eq!(shown(&changes(&again)), shown(&expected), "{}:\n{}", name, text);
    }
    Ok(())
}

fn holds(cases: u32, provider: Provider, config: Value, inputs: impl Strategy<Value = Vec<Input>>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut config_json = json!({"provider_id_field": provider.id_column(), "source_id": "src_1"});
    for (key, value) in config.as_object().unwrap() {
        config_json[key] = value.clone();
    }
    let bench = runtime.block_on(async {
        Bench::new(
            component().await,
            "http://127.0.0.1:9",
            provider.destination_type(),
            config_json,
        )
        .unwrap()
    });
    let mut runner =
        TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    runner.run(&inputs, |inputs| runtime.block_on(planned_again(&bench, &inputs))).unwrap();
}

#[test]
fn rejects_are_planned_as_the_golden_records_were() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        for policy in ["skip", "clear"] {
            holds(
                24,
                provider,
                json!({"null_policy": policy}),
                prop::collection::vec(input(), 1..3),
            );
        }
    }
}
