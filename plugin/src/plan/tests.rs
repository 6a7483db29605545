//! Planning as a whole, against a host in memory that counts what it is told.

mod values;

use super::host::PlanHost;
use super::planner::plan;
use crate::config::parse;
use crate::contract::types::{
    ChangeBatch, Column, ColumnValues, Error, ErrorKind, FlaggedBatch, RecordBatch, SkippedBatch,
    StringLists, Strings,
};
use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;

/// The text of string `at`.
fn string(strings: &Strings, at: usize) -> String {
    strings.bytes[strings.offsets[at] as usize..strings.offsets[at + 1] as usize].to_owned()
}

fn strings<S: AsRef<str>>(texts: &[S]) -> Strings {
    let mut packed = Strings { bytes: String::new(), offsets: vec![0] };
    for text in texts {
        packed.bytes.push_str(text.as_ref());
        packed.offsets.push(packed.bytes.len() as u32);
    }
    packed
}

fn column(name: &str, values: ColumnValues) -> Column {
    Column { name: name.to_owned(), values, valid: None }
}

fn text(name: &str, texts: &[&str]) -> Column {
    column(name, ColumnValues::Text(strings(texts)))
}

fn nullable(name: &str, texts: &[Option<&str>]) -> Column {
    let mut valid = vec![0u8; texts.len().div_ceil(8)];
    for at in (0..texts.len()).filter(|at| texts[*at].is_some()) {
        valid[at / 8] |= 1 << (at % 8);
    }
    let texts: Vec<&str> = texts.iter().map(|text| text.unwrap_or("meaningless")).collect();
    Column { valid: Some(valid), ..text(name, &texts) }
}

fn lists(name: &str, rows: &[&[&str]]) -> Column {
    let mut offsets = vec![0];
    let items: Vec<&str> = rows.iter().flat_map(|row| row.iter().copied()).collect();
    for row in rows {
        offsets.push(offsets.last().unwrap() + row.len() as u32);
    }
    column(name, ColumnValues::TextList(StringLists { items: strings(&items), offsets }))
}

#[derive(Default)]
struct Host {
    batches: Vec<RecordBatch>,
    rows: u64,
    asked: Vec<u32>,
    changes: Vec<(u64, String, String)>,
    skipped: BTreeMap<u64, (String, String)>,
    dropped: Vec<(String, String)>,
    warnings: Vec<String>,
    joined: Vec<String>,
    claimed: Vec<(u64, String)>,
}

impl PlanHost for Host {
    fn next(&mut self, max: u32) -> Result<Option<RecordBatch>, Error> {
        self.asked.push(max);
        if self.batches.is_empty() {
            return Ok(None);
        }
        let mut batch = self.batches.remove(0);
        batch.first_row = self.rows + 1;
        self.rows += u64::from(batch.length);
        Ok(Some(batch))
    }

    async fn push(&mut self, changes: &ChangeBatch) -> Result<(), Error> {
        assert!(!changes.doubtful && changes.before.is_none());
        assert_eq!(changes.ids.offsets.len(), changes.rows.len() + 1);
        assert_eq!(changes.fields.offsets.len(), changes.rows.len() + 1);
        for (at, row) in changes.rows.iter().enumerate() {
            assert!(self.changes.last().is_none_or(|(last, ..)| last < row), "rows ascend");
            self.changes.push((*row, string(&changes.ids, at), string(&changes.fields, at)));
        }
        Ok(())
    }

    fn skip(&mut self, skipped: &SkippedBatch) -> Result<(), Error> {
        for (at, row) in skipped.rows.iter().enumerate() {
            self.claimed.extend(skipped.ids.as_ref().map(|ids| (*row, string(ids, at))));
            let detail =
                skipped.details.as_ref().map(|details| string(details, at)).unwrap_or_default();
            assert!(
                self.skipped.insert(*row, (skipped.reason.clone(), detail)).is_none(),
                "row {row} is skipped twice"
            );
        }
        Ok(())
    }

    fn drop_column(&mut self, name: &str, reason: &str) {
        self.dropped.push((name.to_owned(), reason.to_owned()));
    }

    fn guard(&mut self, name: &str, message: &str) {
        self.warnings.push(format!("{name}: {message}"));
    }

    fn flag(&mut self, flagged: &FlaggedBatch) -> Result<(), Error> {
        let rows = flagged.rows.iter().enumerate();
        self.warnings.extend(rows.map(|(at, row)| {
            format!("{}: row {row}: {}", flagged.guard, string(&flagged.details, at))
        }));
        Ok(())
    }

    fn joined(&mut self, field: &str) {
        self.joined.push(field.to_owned());
    }

    fn warn(&mut self, message: &str) {
        self.warnings.push(message.to_owned());
    }
}

fn batch(columns: Vec<Column>, length: usize) -> RecordBatch {
    RecordBatch { first_row: 0, length: length as u32, columns }
}

fn planned(destination_type: &str, more: &str, batches: Vec<RecordBatch>) -> Result<Host, Error> {
    let id = if destination_type == "hubspot_dest" { "hs_object_id" } else { "Id" };
    let config = parse(
        destination_type,
        &format!(r#"{{"provider_id_field":"{id}","source_id":"s"{more}}}"#),
    )
    .unwrap();
    let mut host = Host { batches, ..Host::default() };
    plan(&config, None, &mut host).now_or_never().expect("it has to wait for nothing")?;
    let decided = host.changes.len() + host.skipped.len();
    assert_eq!(decided as u64, host.rows, "every row is decided once");
    Ok(host)
}

fn hubspot(columns: Vec<Column>, length: usize) -> Host {
    planned("hubspot_dest", "", vec![batch(columns, length)]).unwrap()
}

fn fields(host: &Host) -> Vec<&str> {
    host.changes.iter().map(|(_, _, fields)| fields.as_str()).collect()
}

#[test]
fn every_skipped_row_has_its_own_reason() {
    let ids = [
        None,
        Some(""),
        Some("  "),
        Some("4.9e11"),
        Some(" 17"),
        Some("17"),
        Some("18"),
        Some("19"),
    ];
    let scores =
        column("score", ColumnValues::Number(vec![1.0, 1.0, 1.0, 1.0, 1.0, 1.5, f64::NAN, 1.0]));
    let host = hubspot(vec![nullable("hs_object_id", &ids), scores], 8);
    let reason = |row: u64| host.skipped[&row].0.as_str();
    assert_eq!(
        (1..=5).map(reason).collect::<Vec<_>>(),
        [
            "provider_id_null",
            "provider_id_empty",
            "provider_id_empty",
            "provider_id_not_pristine",
            "provider_id_not_pristine"
        ]
    );
    assert!(host.skipped[&4].1.contains("scientific notation"));
    assert!(host.skipped[&5].1.contains("blanks"));
    assert_eq!(reason(7), "value_not_encodable");
    assert!(host.skipped[&7].1.contains("`score` is NaN"), "{:?}", host.skipped[&7]);
    assert_eq!(
        host.changes,
        [
            (6, "17".to_owned(), r#"{"score":"1.5"}"#.to_owned()),
            (8, "19".to_owned(), r#"{"score":"1"}"#.to_owned())
        ]
    );
}

#[test]
fn without_an_id_column_every_row_is_skipped_and_the_plan_says_what_to_do() {
    let host = planned(
        "hubspot_dest",
        "",
        vec![batch(vec![text("hs_objectid", &["1", "2"]), text("city", &["Rom", "Ulm"])], 2)],
    )
    .unwrap();
    assert!(host.skipped.values().all(|(reason, _)| reason == "provider_id_missing"));
    assert!(
        host.warnings.iter().any(|warning| warning.contains("`hs_object_id`")
            && warning.contains("did you mean `hs_objectid`?")),
        "{:?}",
        host.warnings
    );
    let host = hubspot(vec![text("city", &["Rom"])], 1);
    assert!(
        host.warnings
            .iter()
            .any(|warning| warning.ends_with("holds the record id (`provider_id_field`)")),
        "{:?}",
        host.warnings
    );
}

#[test]
fn ids_survive_in_columns_of_whole_numbers_and_in_no_others() {
    let planned = |values: ColumnValues| {
        hubspot(vec![column("hs_object_id", values), text("city", &["Rom", "Ulm"])], 2)
    };
    let ids = |host: &Host| host.changes.iter().map(|(_, id, _)| id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&planned(ColumnValues::Integer(vec![492_564_112_121, -3]))), ["492564112121"]);
    assert_eq!(
        ids(&planned(ColumnValues::Decimal(strings(&["492564112121", "492564112121.0"])))),
        ["492564112121"]
    );
    let floats = planned(ColumnValues::Number(vec![492_564_112_121.0, 5.0]));
    assert!(floats.changes.is_empty() && floats.skipped[&1].1.contains("floating-point"));
    let dates = planned(ColumnValues::Date(vec![1, 2]));
    assert!(dates.skipped[&1].1.contains("read it as text"));
}

#[test]
fn salesforce_ids_are_planned_in_their_18_character_form() {
    let columns = vec![
        text("Id", &["003xx000004TmiQ", "003xx000004TmiQAAS", "003xx000004tmiqAAS"]),
        text("Title", &["a", "b", "c"]),
    ];
    let host = planned("salesforce_dest", "", vec![batch(columns, 3)]).unwrap();
    assert_eq!(
        host.changes.iter().map(|(_, id, _)| id.as_str()).collect::<Vec<_>>(),
        ["003xx000004TmiQAAS"; 2]
    );
    assert!(host.skipped[&3].1.contains("checksum"));
}

#[test]
fn system_internal_and_unlisted_columns_are_dropped_once_with_a_reason() {
    let columns = || {
        vec![
            text("hs_object_id", &["1"]),
            text("__cluster", &["c"]),
            text("CreateDate", &["x"]),
            text("email", &["a@b.c"]),
            text("city", &["Rom"]),
            text("lifecyclestage", &["lead"]),
            column("blob", ColumnValues::Unsupported("binary".to_owned())),
        ]
    };
    let more = r#","fields":["email","lifecyclestage","blob","createdate","cty"]"#;
    let host =
        planned("hubspot_dest", more, vec![batch(columns(), 1), batch(columns(), 1)]).unwrap();
    let dropped: Vec<(&str, &str)> =
        host.dropped.iter().map(|(name, reason)| (name.as_str(), reason.as_str())).collect();
    assert_eq!(
        dropped,
        [
            ("hs_object_id", "provider_id"),
            ("__cluster", "internal"),
            ("CreateDate", "read_only"),
            ("city", "not_in_fields"),
            ("lifecyclestage", "needs_compare"),
            ("blob", "unsupported_type"),
            ("createdate", "not_in_records"),
            ("cty", "not_in_records"),
        ]
    );
    assert_eq!(fields(&host), [r#"{"email":"a@b.c"}"#; 2]);
    assert!(
        host.warnings
            .iter()
            .any(|warning| warning.contains("`cty`") && warning.contains("did you mean `city`?")),
        "{:?}",
        host.warnings
    );
    assert!(
        host.warnings
            .iter()
            .any(|warning| warning.contains("`blob`") && warning.contains("unsupported_type"))
    );
}

#[test]
fn nulls_and_empty_values_are_left_out_and_counted() {
    let columns = vec![
        text("hs_object_id", &["1", "2", "3"]),
        nullable("city", &[None, Some(""), Some(" \t")]),
        nullable("email", &[Some("a@b.c"), Some("d@e.f"), None]),
        lists("tags", &[&[], &["", " "], &[]]),
    ];
    let host = hubspot(columns, 3);
    assert_eq!(fields(&host), [r#"{"email":"a@b.c"}"#, r#"{"email":"d@e.f"}"#]);
    assert_eq!(host.skipped[&3].0, "no_writable_field");
    assert!(host.warnings.iter().any(|warning| warning
        == "`city`: 2 empty values are not written, because an empty value would clear the CRM's"));
    assert!(host.warnings.iter().any(|warning| warning.starts_with("`tags`: 3 empty values")));
}

#[test]
fn values_are_encoded_as_each_crm_wants_them() {
    let columns = |id: &str, value: &str| {
        vec![
            text(id, &[value]),
            column("b", ColumnValues::Boolean(vec![true])),
            column("i", ColumnValues::Integer(vec![-7])),
            column("n", ColumnValues::Number(vec![0.5])),
            column("d", ColumnValues::Decimal(strings(&["12.50"]))),
            text("t", &["say \"hi\"\\\n\u{1}ü"]),
            lists("l", &[&["a", "", "b\""]]),
            column("day", ColumnValues::Date(vec![20_728])),
            column("at", ColumnValues::Timestamp(vec![1_790_929_215_123_456])),
            text("na\"me", &["x"]),
        ]
    };
    let host = hubspot(columns("hs_object_id", "1"), 1);
    assert_eq!(
        fields(&host),
        [
            r#"{"b":"true","i":"-7","n":"0.5","d":"12.50","t":"say \"hi\"\\\n\u0001ü","l":"a;b\"","day":"2026-10-02","at":"2026-10-02T08:20:15.123Z","na\"me":"x"}"#
        ]
    );
    let host =
        planned("salesforce_dest", "", vec![batch(columns("Id", "003xx000004TmiQ"), 1)]).unwrap();
    assert_eq!(
        fields(&host),
        [
            r#"{"b":true,"i":-7,"n":0.5,"d":12.50,"t":"say \"hi\"\\\n\u0001ü","l":"a;b\"","day":"2026-10-02","at":"2026-10-02T08:20:15.123Z","na\"me":"x"}"#
        ]
    );
}

#[test]
fn a_value_that_the_crm_cannot_hold_skips_its_record_only() {
    let ok = &["1", "2"];
    for (culprit, tells) in [
        (column("x", ColumnValues::Number(vec![f64::INFINITY, 1.0])), "`x` is inf"),
        (column("x", ColumnValues::Decimal(strings(&["1e5", "1"]))), "`x` is `1e5`"),
        (column("x", ColumnValues::Date(vec![i32::MAX, 1])), "years 1 to 9999"),
        (column("x", ColumnValues::Timestamp(vec![i64::MIN, 1])), "years 1 to 9999"),
        (lists("x", &[&["a", "b;c"], &["a"]]), "`b;c`"),
    ] {
        let host =
            hubspot(vec![text("hs_object_id", ok), text("city", &["Rom", "Ulm"]), culprit], 2);
        assert_eq!(host.skipped[&1].0, "value_not_encodable");
        assert!(host.skipped[&1].1.contains(tells), "{:?}", host.skipped[&1]);
        assert_eq!(host.changes.len(), 1);
        assert!(host.changes[0].2.starts_with(r#"{"city":"Ulm","x":"#));
    }
}

#[test]
fn two_columns_that_are_one_field_stop_the_plan() {
    let one = |a: &str, b: &str| {
        vec![batch(vec![text("Id", &["003xx000004TmiQ"]), text(a, &["x"]), text(b, &["y"])], 1)]
    };
    let error = planned("salesforce_dest", "", one("Email", "email")).err().unwrap();
    assert_eq!(error.kind, ErrorKind::InvalidConfig);
    assert!(
        error.message.contains("`Email`") && error.message.contains("`email`"),
        "{}",
        error.message
    );
    let twice = vec![batch(vec![text("hs_object_id", &["1"]), text("hs_object_id", &["2"])], 1)];
    assert_eq!(planned("hubspot_dest", "", twice).err().unwrap().kind, ErrorKind::InvalidConfig);
    // Columns that are not written do no harm, whatever they are called.
    assert!(planned("salesforce_dest", "", one("id", "ID")).is_ok());
    assert!(planned("salesforce_dest", r#","fields":["Email"]"#, one("Email", "email")).is_ok());
}

#[test]
fn a_label_in_the_place_of_a_name_is_warned_about_once() {
    let columns = || {
        vec![text("hs_object_id", &["1"]), text("First Name", &["Ada"]), text("lastname", &["L"])]
    };
    let host = planned("hubspot_dest", "", vec![batch(columns(), 1), batch(columns(), 1)]).unwrap();
    assert_eq!(host.warnings.iter().filter(|warning| warning.contains("`First Name`")).count(), 1);
    assert!(!host.warnings.iter().any(|warning| warning.contains("`lastname`")));
    assert!(host.changes[0].2.contains("First Name"), "it is a warning; the CRM decides");
}

#[test]
fn columns_may_differ_between_batches() {
    let host = planned(
        "hubspot_dest",
        r#","fields":["city","email"]"#,
        vec![
            batch(vec![text("hs_object_id", &["1"]), text("city", &["Rom"])], 1),
            batch(vec![text("email", &["a@b.c"]), text("hs_object_id", &["2"])], 1),
            batch(vec![text("email", &["a@b.c"])], 1),
            batch(vec![], 0),
        ],
    )
    .unwrap();
    assert_eq!(fields(&host), [r#"{"city":"Rom"}"#, r#"{"email":"a@b.c"}"#]);
    assert_eq!(host.skipped[&3].0, "provider_id_missing");
    assert!(host.warnings.is_empty(), "{:?}", host.warnings);
}

#[test]
fn a_value_map_works_without_metadata_too() {
    let map = r#","value_map":{"country":{"DE":"Germany","a":"x"}}"#;
    let host = planned(
        "hubspot_dest",
        map,
        vec![batch(vec![text("hs_object_id", &["1", "2"]), text("country", &["DE", "FR"])], 2)],
    )
    .unwrap();
    assert_eq!(fields(&host), [r#"{"country":"Germany"}"#, r#"{"country":"FR"}"#]);
    let host = planned(
        "salesforce_dest",
        map,
        vec![batch(vec![text("Id", &["001D000000IqhSL"]), text("Country", &["DE"])], 1)],
    )
    .unwrap();
    assert_eq!(
        fields(&host),
        [r#"{"Country":"Germany"}"#],
        "Salesforce ignores the letter case of names"
    );
    let host = planned(
        "hubspot_dest",
        map,
        vec![batch(vec![text("hs_object_id", &["1"]), lists("country", &[&["a", "DE", "b"]])], 1)],
    )
    .unwrap();
    assert_eq!(fields(&host), [r#"{"country":"x;Germany;b"}"#], "option by option");
}

#[test]
fn a_name_that_no_written_field_has_is_warned_about_with_the_nearest_one() {
    let config = r#","null_policy":{"phonne":"clear","citty":"clear","city":"clear"}"#;
    let columns = vec![text("hs_object_id", &["1"]), text("phone", &["1"]), text("city", &["Rom"])];
    let host = planned("hubspot_dest", config, vec![batch(columns, 1)]).unwrap();
    let named: Vec<&String> =
        host.warnings.iter().filter(|warning| warning.contains("`null_policy` names")).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(
        named.iter().any(
            |warning| warning.contains("`phonne`") && warning.contains("did you mean `phone`?")
        ),
        "{named:?}"
    );
    assert!(
        named
            .iter()
            .any(|warning| warning.contains("`citty`") && warning.contains("did you mean `city`?")),
        "{named:?}"
    );
}

#[test]
fn fields_that_are_made_of_lists_are_told_to_the_run() {
    let columns = || {
        vec![text("hs_object_id", &["1", "2"]), lists("phone", &[&["+49 1", "+49 2"], &["+49 3"]])]
    };
    let host = planned("hubspot_dest", "", vec![batch(columns(), 2), batch(columns(), 2)]).unwrap();
    assert_eq!(host.joined, ["phone"]);
    let one = vec![text("hs_object_id", &["1"]), lists("phone", &[&["+49 3", " "]])];
    assert!(planned("hubspot_dest", "", vec![batch(one, 1)]).unwrap().joined.is_empty());
}

#[test]
fn a_row_that_is_skipped_claims_its_record_all_the_same() {
    let columns =
        vec![text("hs_object_id", &["7", "7", "x"]), text("city", &["Ghent", " ", "Lyon"])];
    let host = planned("hubspot_dest", "", vec![batch(columns, 3)]).unwrap();
    assert_eq!(host.claimed, [(2, "7".to_owned())]);
}

#[test]
fn a_record_without_a_confidence_is_not_one_of_low_confidence() {
    let columns = vec![
        text("hs_object_id", &["1", "2", "3"]),
        text("city", &["a", "b", "c"]),
        nullable("__c", &[None, Some(""), Some("?")]),
    ];
    let host =
        planned("hubspot_dest", r#","confidence_field":"__c""#, vec![batch(columns, 3)]).unwrap();
    let told: Vec<&String> =
        host.warnings.iter().filter(|warning| warning.starts_with("low_confidence")).collect();
    assert!(told.len() == 1 && told[0].contains("row 3: `?`"), "{told:?}");
}

#[test]
fn long_texts_make_short_batches() {
    let long = "x".repeat(1 << 20);
    let host = planned(
        "hubspot_dest",
        "",
        vec![batch(
            vec![text("hs_object_id", &["1", "2", "3"]), text("bio", &[long.as_str(); 3])],
            3,
        )],
    )
    .unwrap();
    assert!(host.asked[0] > 100 && host.asked[1] < 3, "{:?}", host.asked);
    assert_eq!(host.changes.len(), 3);
}

#[test]
fn a_batch_that_is_packed_wrongly_is_no_panic() {
    for values in [
        ColumnValues::Text(Strings { bytes: "abc".to_owned(), offsets: vec![0] }),
        ColumnValues::Boolean(vec![]),
        ColumnValues::TextList(StringLists { items: strings(&["a"]), offsets: vec![] }),
    ] {
        assert!(
            planned(
                "hubspot_dest",
                "",
                vec![batch(vec![text("hs_object_id", &["1"]), column("x", values)], 1)]
            )
            .is_err()
        );
    }
    let wild = ColumnValues::Text(Strings { bytes: "üü".to_owned(), offsets: vec![1, 900] });
    let host = planned(
        "hubspot_dest",
        "",
        vec![batch(vec![text("hs_object_id", &["1"]), column("x", wild)], 1)],
    )
    .unwrap();
    assert_eq!(host.skipped[&1].0, "no_writable_field");
}

proptest! {
    /// Whatever the records hold, every row is decided once and every change is one flat object of
    /// what is there.
    #[test]
    fn every_change_is_the_record_without_its_gaps(
        rows in proptest::collection::vec((proptest::option::of("[0-9]{1,3}| ?"), proptest::option::of(".{0,9}"), proptest::option::of("[ab ]{0,2}")), 1..40)
    ) {
        let column = |name: &str, values: Vec<Option<&str>>| nullable(name, &values);
        let columns = vec![
            column("hs_object_id", rows.iter().map(|row| row.0.as_deref()).collect()),
            column("a", rows.iter().map(|row| row.1.as_deref()).collect()),
            column("b\"", rows.iter().map(|row| row.2.as_deref()).collect()),
        ];
        let host = hubspot(columns, rows.len());
        let changes: BTreeMap<u64, &(u64, String, String)> = host.changes.iter().map(|change| (change.0, change)).collect();
        for (at, (id, a, b)) in rows.iter().enumerate() {
            let row = at as u64 + 1;
            let pristine = id.as_deref().is_some_and(|id| !id.is_empty() && !id.starts_with(['0', ' ']));
            let expected: BTreeMap<&str, &str> = [("a", a), ("b\"", b)]
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_deref().filter(|value| !value.trim().is_empty())?)))
                .collect();
            match changes.get(&row) {
                Some((_, found, fields)) => {
                    prop_assert!(pristine);
                    prop_assert_eq!(Some(found.as_str()), id.as_deref());
                    let fields: BTreeMap<String, Value> = serde_json::from_str(fields).unwrap();
                    let fields: BTreeMap<&str, &str> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
                    prop_assert_eq!(fields, expected);
                }
                None => prop_assert!(!pristine || expected.is_empty()),
            }
        }
    }
}
