//! What counts as proof: a change is `updated` only if the CRM holds what was wanted, and not
//! written only if nothing of it was.

use super::fixture::{Fault, Fixture};
use crate::contract::types::Status;
use crate::crm::network::Lost;
use crate::provider::Provider;
use crate::values::field::Kind;
use crate::values::normal::{Likeness, likeness};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Both CRMs, one call for many records and one for each.
const WAYS: [(&str, &str, &str); 4] = [
    ("hubspot_dest", "", "1001"),
    ("hubspot_dest", r#","write_mode":"record""#, "1001"),
    ("salesforce_dest", "", "0035t0000000001AAA"),
    ("salesforce_dest", r#","write_mode":"record""#, "0035t0000000001AAA"),
];

fn lost() -> Lost {
    Lost::Broken("ConnectionTerminated".to_owned())
}

fn fake(
    way: (&str, &str, &str),
    held: &Value,
    wanted: &Value,
    before: bool,
    doubtful: bool,
) -> Fixture {
    let crm = Fixture::new(way.0, way.1);
    if before {
        let before = held
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| wanted.get(*name).is_some())
            .map(|(name, value)| (name.clone(), value.clone()));
        crm.before
            .borrow_mut()
            .insert(way.2.to_owned(), Value::Object(before.collect()).to_string());
    }
    crm.put(way.2, held);
    crm.confirm(&[(way.2.to_owned(), wanted.to_string())], doubtful);
    crm
}

#[test]
fn an_old_text_that_resembles_the_new_one_proves_no_write() {
    for (held, wanted) in [
        ("10115.0", "10115"),
        ("1.10", "1.1"),
        ("TRUE", "true"),
        ("b;a", "a;b"),
        ("Ada  ", "Ada x"),
        ("ada@x.org", "Ada@x.org"),
    ] {
        for way in WAYS {
            for (before, doubtful) in [(false, false), (true, false), (false, true), (true, true)] {
                let crm =
                    fake(way, &json!({"zip": held}), &json!({"zip": wanted}), before, doubtful);
                if !doubtful {
                    crm.fault(Fault::Before(lost()));
                }
                crm.run().unwrap();
                let seen = (crm.status(1), crm.value(way.2, "zip"));
                assert_eq!(
                    seen,
                    (Some(Status::Updated), json!(wanted)),
                    "{way:?} {held} before {before} doubtful {doubtful}"
                );
            }
        }
    }
}

#[test]
fn a_number_in_another_spelling_is_sent_again_where_it_was_there_before() {
    for way in WAYS {
        let hubspot = way.0 == "hubspot_dest";
        let (held, wanted) =
            if hubspot { (json!("1.10"), json!("1.1")) } else { (json!("@n"), json!(1.1)) };
        let crm = fake(way, &json!({"n": held}), &json!({"n": wanted}), false, false);
        crm.define("n", if hubspot { "number" } else { "double" });
        crm.spelled.borrow_mut().insert("n".to_owned(), "1.10".to_owned());
        crm.fault(Fault::Before(lost())).run().unwrap();
        assert_eq!((crm.status(1), crm.written(way.2)), (Some(Status::Updated), 1), "{way:?}");
    }
}

#[test]
fn what_somebody_wrote_after_a_doubt_is_not_written_over() {
    for way in WAYS {
        // Reads: the one of record mode that looks for merges, the one for drift, and the one that
        // settles.
        for looks in 1..=2 {
            let crm =
                fake(way, &json!({"city": "Bozeman"}), &json!({"city": "Boston"}), true, false);
            let nothing = || (String::new(), String::new(), Value::Null);
            crm.edits.borrow_mut().extend((0..looks).map(|_| nothing()));
            crm.edits.borrow_mut().push_back((way.2.to_owned(), "city".to_owned(), json!("Paris")));
            crm.fault(Fault::Before(lost())).run().unwrap();
            let paris = crm.value(way.2, "city") == "Paris";
            match crm.status(1) {
                Some(Status::Unknown) => {
                    assert!(paris && crm.problem(1).code == "changed_in_doubt", "{way:?}")
                }
                // It came before anything was sent.
                Some(Status::Drifted) => assert!(paris && crm.writes().is_empty(), "{way:?}"),
                // It was settled before.
                other => assert_eq!((other, paris), (Some(Status::Updated), false), "{way:?}"),
            }
        }
    }
}

#[test]
fn a_change_that_was_applied_and_then_edited_in_part_is_unknown_after_a_kill() {
    for way in WAYS {
        let crm = fake(
            way,
            &json!({"city": "Bozeman", "fax": "1"}),
            &json!({"city": "Boston", "fax": "2"}),
            true,
            true,
        );
        crm.put(way.2, &json!({"city": "Boston", "fax": "+2"}));
        crm.run().unwrap();
        assert_eq!((crm.status(1), crm.writes().len()), (Some(Status::Unknown), 0), "{way:?}");
        assert!(
            crm.problem(1).message.contains("`fax`") && !crm.problem(1).message.contains("`city`"),
            "{:?}",
            crm.problem(1)
        );
    }
}

#[test]
fn a_precondition_that_fails_after_a_doubt_is_looked_at_again() {
    let way = WAYS[3];
    for (late, expected) in [("Boston", Status::Updated), ("Paris", Status::Unknown)] {
        let crm = fake(way, &json!({"Title": "Bozeman"}), &json!({"Title": "Boston"}), true, false);
        let nothing = || (String::new(), String::new(), Value::Null);
        // The first PATCH is applied after it was looked for, or somebody else was quicker.
        crm.edits.borrow_mut().extend([
            nothing(),
            nothing(),
            (way.2.to_owned(), "Title".to_owned(), json!(late)),
        ]);
        crm.fault(Fault::Before(lost())).fault(Fault::Instead(412, String::new())).run().unwrap();
        assert_eq!(crm.status(1), Some(expected), "{late}");
    }
}

#[test]
fn a_property_that_the_answer_leaves_out_is_not_empty() {
    for way in &WAYS[..2] {
        let crm = fake(*way, &json!({"city": "Bozeman"}), &json!({"city": "Boston"}), true, false);
        crm.undefine("city");
        crm.run().unwrap();
        assert_eq!((crm.status(1), crm.writes().len()), (Some(Status::Failed), 0), "{way:?}");
        assert_eq!(crm.problem(1).code, "unreadable");
    }
}

#[test]
fn a_write_that_would_not_show_is_not_called_not_written() {
    // Salesforce trims, so it holds the same text whether this was written or not.
    for way in &WAYS[2..] {
        let (held, golden) = (json!({"city": "Ada"}), json!({"city": "Ada "}));
        let crm = fake(*way, &held, &golden, true, false);
        let refusal = r#"[{"errorCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION","message":"m"}]"#;
        crm.fault(Fault::Before(lost())).fault(Fault::Late(
            way.2,
            golden.to_string(),
            400,
            refusal.to_owned(),
        ));
        crm.run().unwrap();
        assert_eq!((crm.status(1), crm.written(way.2)), (Some(Status::Unknown), 1), "{way:?}");
    }
}

#[test]
fn a_trimmed_text_that_a_read_shows_is_not_sent_again() {
    for way in &WAYS[2..] {
        let (held, golden) = (json!({"city": "Bo"}), json!({"city": "Ada "}));
        let crm = fake(*way, &held, &golden, false, false);
        crm.fault(Fault::After(lost())).run().unwrap();
        assert_eq!((crm.status(1), crm.written(way.2)), (Some(Status::Updated), 1), "{way:?}");
    }
}

/// Texts and numbers that resemble each other.
fn value() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "1.1", "1.10", "10115", "10115.0", "true", "TRUE", "a;b", "b;a", "Ada", "Ada ", "",
    ])
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => Just(Fault::Fine),
        2 => Just(Fault::Before(lost())),
        2 => Just(Fault::After(lost())),
        1 => Just(Fault::Instead(502, String::new())),
        1 => Just(Fault::Answered(504, "<html>".to_owned())),
    ]
}

/// A text as this CRM takes it for a field of this type: Salesforce wants numbers and checkboxes
/// without quotation marks.
fn typed(kind: &str, hubspot: bool, text: &str) -> Value {
    match kind {
        "number" | "bool" if !hubspot => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

/// Values that no edit leaves behind, so that what a record holds tells who wrote it.
fn own(which: &str) -> impl Strategy<Value = Value> {
    let texts = |list: &[&str]| list.iter().map(|text| json!(text)).collect::<Vec<_>>();
    prop::sample::select(match which {
        "before" => texts(&["1.1", "Ada", "a;b", ""]),
        "wanted" => texts(&["1.10", "Eva ", "b;a", "ADA"]),
        _ => texts(&["1.100", "ada", "a;b;c", "Bob"]),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Of two fields, with writes that come late, repetitions that are refused, and jobs: what is
    /// called not written was not.
    #[test]
    fn what_may_have_been_written_is_never_called_not_written(
        way in 0usize..5,
        before in (own("before"), own("before")),
        wanted in (own("wanted"), own("wanted")),
        edit in own("edit"),
        (compared, second) in any::<(bool, bool)>(),
        edits in prop::collection::vec(any::<bool>(), 0..6),
        faults in prop::collection::vec(prop_oneof![3 => fault().prop_map(Some), 2 => Just(None)], 0..6),
        killed in prop::option::of(1u32..16),
    ) {
        let way = WAYS.get(way).copied().unwrap_or(("salesforce_dest", r#","write_mode":"bulk""#, "0035t0000000001AAA"));
        let (held, golden) = (json!({"x": before.0, "y": before.1}), json!({"x": wanted.0, "y": wanted.1}));
        let crm = fake(way, &held, &golden, compared, false);
        for edited in edits {
            let id = if edited { way.2.to_owned() } else { String::new() };
            crm.edits.borrow_mut().push_back((id, if second { "y" } else { "x" }.to_owned(), edit.clone()));
        }
        // A write that comes late comes with the refusal of the next one; only what was sent before
        // can.
        let mut lost_before = false;
        for fault in faults {
            let body = match way.0 {
                "hubspot_dest" => r#"{"category":"VALIDATION_ERROR","message":"m","errors":[{"code":"INVALID_OPTION"}]}"#,
                _ => r#"[{"errorCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION","message":"m"}]"#,
            };
            let fault = match fault {
                Some(fault) => fault,
                None if lost_before && way.1.find("bulk").is_none() => Fault::Late(way.2, golden.to_string(), 400, body.to_owned()),
                None => Fault::Instead(400, body.to_owned()),
            };
            lost_before |= matches!(fault, Fault::Before(_) | Fault::Instead(502, _));
            crm.write_faults.borrow_mut().push_back(fault);
        }
        if let Some(turns) = killed {
            crm.run_killed_after(turns);
        }
        if crm.run().is_err() {
            return Ok(());
        }
        let written = crm.written(way.2) > 0;
        match crm.status(1) {
            Some(Status::Updated) => prop_assert!(written, "told updated"),
            Some(Status::Failed | Status::Drifted | Status::Unchanged) => prop_assert!(!written, "told not written: {:?}", crm.outcomes.borrow()),
            Some(Status::Unknown) => {}
            None => prop_assert!(false, "no outcome"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// `updated` is true, and nothing is called not written that this run wrote.
    #[test]
    fn outcomes_are_evidence(
        way in 0usize..4,
        kind in prop::sample::select(vec!["string", "number", "bool"]),
        (held, wanted, edit) in (value(), value(), value()),
        compared in any::<bool>(),
        edits in prop::collection::vec(any::<bool>(), 0..6),
        faults in prop::collection::vec(fault(), 0..6),
        killed in prop::option::of(1u32..12),
    ) {
        let way = WAYS[way];
        let hubspot = way.0 == "hubspot_dest";
        let typed = |text: &str| typed(kind, hubspot, text);
        let (held, wanted) = (typed(held), typed(wanted));
        let crm = fake(way, &json!({"x": held}), &json!({"x": wanted}), compared, false);
        let (name, rule) = match (kind, hubspot) {
            ("number", true) => ("number", Kind::Number { scale: None }),
            ("number", false) => ("double", Kind::Number { scale: Some(0) }),
            ("bool", true) => ("bool", Kind::Bool),
            ("bool", false) => ("boolean", Kind::Bool),
            _ => ("string", Kind::Text { max: None, trimmed: !hubspot }),
        };
        crm.define("x", name);
        for edited in edits {
            let id = if edited { way.2.to_owned() } else { String::new() };
            crm.edits.borrow_mut().push_back((id, "x".to_owned(), typed(edit)));
        }
        crm.write_faults.borrow_mut().extend(faults);
        if let Some(turns) = killed {
            crm.run_killed_after(turns);
        }
        crm.run().unwrap();
        let written = crm.written(way.2) > 0;
        let now = crm.value(way.2, "x").to_string();
        let provider = if hubspot { Provider::HubSpot } else { Provider::Salesforce };
        let holds = likeness(provider, Some(&rule), &wanted.to_string(), &now) >= Likeness::Same;
        match crm.status(1) {
            Some(Status::Updated) => prop_assert!(written || holds, "told updated: {now}"),
            Some(Status::Failed | Status::Drifted | Status::Unchanged) => prop_assert!(!written, "told not written: {now}"),
            Some(Status::Unknown) => {}
            None => prop_assert!(false, "no outcome"),
        }
    }
}

#[test]
fn amounts_are_told_apart_by_digits_that_64_bits_do_not_hold() {
    for way in &WAYS[2..] {
        for doubtful in [false, true] {
            let (held, wanted) = ("9007199254740993.50", "9007199254740993.12");
            let crm = Fixture::new(way.0, way.1);
            crm.define("n", "double");
            crm.put(way.2, &json!({"n": "@n"}));
            crm.spelled.borrow_mut().insert("n".to_owned(), held.to_owned());
            crm.confirm(&[(way.2.to_owned(), format!(r#"{{"n":{wanted}}}"#))], doubtful);
            for _ in 0..3 {
                crm.fault(Fault::Before(lost()));
            }
            crm.run().unwrap();
            assert_eq!(
                crm.status(1),
                Some(Status::Unknown),
                "{way:?} doubtful {doubtful}: {:?}",
                crm.outcomes.borrow()
            );
            assert_eq!(crm.writes().len(), 3, "{way:?} doubtful {doubtful}");
        }
    }
}

#[test]
fn a_repetition_that_is_refused_says_nothing_about_the_write_before_it() {
    let refusal = |way: &str| match way {
        "hubspot_dest" => (
            400,
            r#"{"category":"VALIDATION_ERROR","message":"m","errors":[{"code":"INVALID_OPTION"}]}"#
                .to_owned(),
        ),
        _ => {
            (400, r#"[{"errorCode":"FIELD_CUSTOM_VALIDATION_EXCEPTION","message":"m"}]"#.to_owned())
        }
    };
    for way in WAYS {
        for (late, before, expected) in [
            ("Boston", true, Status::Updated),
            ("Bozeman", true, Status::Failed),
            ("Bozeman", false, Status::Unknown),
        ] {
            let crm =
                fake(way, &json!({"city": "Bozeman"}), &json!({"city": "Boston"}), before, false);
            let (status, body) = refusal(way.0);
            // Applied after it was looked for.
            crm.fault(Fault::Before(lost())).fault(Fault::Late(
                way.2,
                json!({"city": late}).to_string(),
                status,
                body,
            ));
            crm.run().unwrap();
            assert_eq!(crm.status(1), Some(expected), "{way:?} {late} before {before}");
        }
    }
}

#[test]
fn what_a_bulk_run_takes_up_in_doubt_is_never_called_not_written() {
    let way = ("salesforce_dest", r#","write_mode":"bulk""#, "0035t0000000001AAA");
    // One field holds what was wanted, the other what it held before.
    let crm = fake(
        way,
        &json!({"city": "Bozeman", "fax": "1"}),
        &json!({"city": "Boston", "fax": "2"}),
        true,
        true,
    );
    crm.edit(way.2, "city", json!("Boston"));
    crm.run().unwrap();
    assert_eq!(crm.status(1), Some(Status::Updated), "{:?}", crm.outcomes.borrow());
    assert_eq!(crm.value(way.2, "fax"), "2");
    // The same where the record is edited between the two reads.
    let crm = fake(way, &json!({"city": "Bozeman"}), &json!({"city": "Boston"}), true, true);
    let nothing = || (String::new(), String::new(), Value::Null);
    crm.edits
        .borrow_mut()
        .extend([nothing(), (way.2.to_owned(), "city".to_owned(), json!("Paris"))]);
    crm.run().unwrap();
    assert!(
        crm.value(way.2, "city") != "Paris" || crm.status(1) == Some(Status::Unknown),
        "{:?}",
        crm.outcomes.borrow()
    );
}
