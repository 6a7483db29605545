//! Values whose type or meaning is in question: JSON, times without a zone, words for null, likely
//! mistakes.

use super::{Column, ColumnValues, batch, column, fields, nullable, planned, text};

/// JSON values as they are spelled; `None` where the record does not have the column.
fn json(name: &str, values: &[Option<&str>]) -> Column {
    let texts = nullable(name, values);
    let ColumnValues::Text(strings) = texts.values else { panic!("not text") };
    Column { valid: texts.valid, ..column(name, ColumnValues::Json(strings)) }
}

#[test]
fn what_a_record_does_not_have_clears_nothing_and_an_odd_value_is_refused_alone() {
    let phone = json(
        "phone",
        &[
            Some("\"1\""),
            Some("null"),
            None,
            Some("{\"a\":1}"),
            Some("\" \""),
            Some("[\"a\",null]"),
        ],
    );
    let ids = text("hs_object_id", &["1", "2", "3", "4", "5", "6"]);
    let columns = vec![ids, text("city", &["a", "b", "c", "d", "e", "f"]), phone];
    let host =
        planned("hubspot_dest", r#","null_policy":"clear""#, vec![batch(columns, 6)]).unwrap();
    let clears = r#"{"city":"b","phone":""}"#;
    assert_eq!(
        fields(&host),
        [r#"{"city":"a","phone":"1"}"#, clears, r#"{"city":"c"}"#, r#"{"city":"e","phone":""}"#]
    );
    for (row, says) in [(4, "`phone` is an object"), (6, "`phone` is the list")] {
        assert_eq!(host.skipped[&row].0, "value_not_encodable");
        assert!(host.skipped[&row].1.contains(says), "{:?}", host.skipped[&row]);
    }
}

#[test]
fn json_values_are_planned_by_their_own_type_whatever_their_neighbours_are() {
    let values = [
        ("\"a\\u00e9\"", r#""aé""#, r#""aé""#),
        ("1.10", r#""1.10""#, "1.10"),
        ("12345678901234567.89", r#""12345678901234567.89""#, "12345678901234567.89"),
        ("1.5e3", r#""1500""#, "1500"),
        ("true", r#""true""#, "true"),
        ("[\"a\",2]", r#""a;2""#, r#""a;2""#),
        ("[3]", r#""3""#, r#""3""#),
    ];
    for (destination, id, pick) in
        [("hubspot_dest", "hs_object_id", 0), ("salesforce_dest", "Id", 1)]
    {
        let ids: Vec<String> = match pick {
            0 => (1..=7).map(|n| n.to_string()).collect(),
            _ => [
                "001D000000IqhSL",
                "0F9E000000092w2",
                "001M000000qfPyS",
                "a0RE000000IJmcN",
                "aBcDEfgHIJKLMNO",
                "003xx000004TmiQ",
                "001000000000001",
            ]
            .map(str::to_owned)
            .into(),
        };
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let together = vec![text(id, &ids), json("x", &values.map(|value| Some(value.0)))];
        let alone = ids
            .iter()
            .zip(values)
            .map(|(one, value)| batch(vec![text(id, &[one]), json("x", &[Some(value.0)])], 1))
            .collect();
        let expected: Vec<String> = values
            .iter()
            .map(|value| format!("{{\"x\":{}}}", if pick == 0 { value.1 } else { value.2 }))
            .collect();
        let together = planned(destination, "", vec![batch(together, 7)]).unwrap();
        assert_eq!(fields(&together), expected);
        assert_eq!(fields(&planned(destination, "", alone).unwrap()), expected);
        assert_eq!(together.joined, ["x"]);
    }
}

#[test]
fn ids_in_json_are_judged_by_their_digits() {
    let ids = json(
        "hs_object_id",
        &[Some("492564112121"), Some("\"7\""), Some("4.9e11"), Some("[1]"), Some("null"), None],
    );
    let host =
        planned("hubspot_dest", "", vec![batch(vec![ids, text("city", &["a"; 6])], 6)]).unwrap();
    assert_eq!(
        host.changes.iter().map(|change| change.1.as_str()).collect::<Vec<_>>(),
        ["492564112121", "7"]
    );
    let reasons: Vec<&str> = host.skipped.values().map(|skipped| skipped.0.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "provider_id_not_pristine",
            "provider_id_not_pristine",
            "provider_id_null",
            "provider_id_missing"
        ]
    );
}

#[test]
fn times_without_a_zone_are_refused_until_somebody_says_which() {
    let columns = || {
        vec![
            text("hs_object_id", &["1"]),
            column("at", ColumnValues::LocalTimestamp(vec![1_790_928_930_000_000])),
        ]
    };
    let host = planned("hubspot_dest", "", vec![batch(columns(), 1)]).unwrap();
    assert!(host.skipped[&1].1.contains("`time_zone`"), "{:?}", host.skipped[&1]);
    let host =
        planned("hubspot_dest", r#","time_zone":"+02:00""#, vec![batch(columns(), 1)]).unwrap();
    assert_eq!(fields(&host), [r#"{"at":"2026-10-02T06:15:30.000Z"}"#]);
}

#[test]
fn words_that_may_mean_null_are_counted_and_those_that_are_named_are_null() {
    let columns = || {
        vec![text("hs_object_id", &["1", "2", "3"]), text("city", &["NULL", "Nullarbor", "\\N"])]
    };
    let host = planned("hubspot_dest", "", vec![batch(columns(), 3)]).unwrap();
    assert_eq!(host.changes.len(), 3);
    assert!(
        host.warnings
            .iter()
            .any(|warning| warning.contains("`city`: 2 values are a word such as `NULL`")),
        "{:?}",
        host.warnings
    );
    let host = planned(
        "hubspot_dest",
        r#","null_values":["NULL","\\N"],"null_policy":"clear""#,
        vec![batch(columns(), 3)],
    )
    .unwrap();
    assert_eq!(fields(&host), [r#"{"city":""}"#, r#"{"city":"Nullarbor"}"#, r#"{"city":""}"#]);
}

#[test]
fn blanks_around_a_value_hide_it_from_no_rule() {
    let columns = vec![
        text("hs_object_id", &["1", "2", "3", "4", "5", "6"]),
        text("city", &["NULL ", " Köln ", "NA ", "\u{feff}", "#REF!", "Nan"]),
    ];
    let more =
        r#","null_values":["NULL"],"null_policy":"clear","value_map":{"city":{"Köln":"Cologne"}}"#;
    let host = planned("hubspot_dest", more, vec![batch(columns, 6)]).unwrap();
    let fields = fields(&host);
    assert_eq!(fields[..2], [r#"{"city":""}"#, r#"{"city":"Cologne"}"#]);
    let warned =
        host.warnings.iter().any(|warning| warning.contains("`city`: 3 values are a word"));
    assert!(warned, "{:?}", host.warnings);
}

#[test]
fn what_is_most_likely_a_mistake_is_warned_about() {
    let columns = vec![
        text("Id", &["0035t00000AbCdEAAV"; 2]),
        text("Phone", &["4.93E+11", "+49 30 123"]),
        text("CurrencyIsoCode", &["EUR", "EUR"]),
    ];
    let more = r#","fields":["Phone","CurrencyIsoCode"]"#;
    let warnings =
        planned("salesforce_dest", more, vec![batch(columns, 2)]).unwrap().warnings.join("\n");
    assert!(warnings.contains("`Phone`: 1 value is like `4.93E+11`"), "{warnings}");
    assert!(warnings.contains("`CurrencyIsoCode` changes the currency"), "{warnings}");

    for (entity_type, object, fits) in [
        ("person", "contacts", true),
        ("company", "Account", true),
        ("company", "contacts", false),
        ("Person", "0-2", false),
        ("deal", "deals", true),
    ] {
        assert_eq!(
            crate::plan::misfit(entity_type, object).is_none(),
            fits,
            "{entity_type} into {object}"
        );
    }
}
