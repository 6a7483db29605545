//! Does the CRM hold the values that were to be written? CRMs store values in their own spelling, so this compares
//! what values mean where both spellings are sure to mean the same, and no further: an update must not be taken as
//! proven because an old value resembles the new one.

use crate::metadata::Kind;
use serde_json::{Map, Value};

/// Whether `held` has every member of the confirmed object. Salesforce answers with its own letter case of names.
pub(crate) fn holds(confirmed: &Map<String, Value>, held: &Map<String, Value>) -> bool {
    confirmed.iter().all(|(name, wanted)| member(held, name).is_some_and(|found| same(wanted, found)))
}

/// A member by its name, whatever the letter case if there is no other.
pub(crate) fn member<'h>(held: &'h Map<String, Value>, name: &str) -> Option<&'h Value> {
    held.get(name).or_else(|| held.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

fn same(wanted: &Value, held: &Value) -> bool {
    match (plain(wanted), plain(held)) {
        (Some(wanted), Some(held)) => same_text(wanted.trim(), held.trim(), None),
        (None, None) => wanted == held,
        // An empty text clears a value, and null is how a CRM shows that there is none.
        (Some(text), None) => held.is_null() && text.trim().is_empty(),
        (None, Some(text)) => wanted.is_null() && text.trim().is_empty(),
    }
}

/// A scalar as text; `None`: null, a list or an object.
fn plain(value: &Value) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        Value::String(text) => Some(text.as_str().into()),
        Value::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
        Value::Number(number) => {
            let mut text = String::new();
            match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => crate::encode::push_integer(&mut text, whole),
                (None, Some(float)) if crate::encode::push_number(&mut text, float) => {}
                _ => text = number.to_string(),
            }
            Some(text.into())
        }
        _ => None,
    }
}

/// Whether two numbers in JSON are one.
pub(crate) fn same_number(a: &str, b: &str) -> bool {
    let plain = |text: &str| serde_json::from_str::<Value>(text).ok().as_ref().and_then(plain).map(std::borrow::Cow::into_owned);
    match (plain(a), plain(b)) {
        (Some(a), Some(b)) => same_text(&a, &b, Some(&Kind::Number { scale: None })),
        _ => false,
    }
}

/// Whether two texts are one value. What kind of value it is, is told, or guessed from its form.
pub(crate) fn same_text(wanted: &str, held: &str, kind: Option<&Kind>) -> bool {
    if wanted == held {
        return true;
    }
    match kind {
        None => looks_the_same(wanted, held),
        Some(Kind::Text { .. } | Kind::Other) => false,
        Some(Kind::Email { .. }) => wanted.to_lowercase() == held.to_lowercase(),
        Some(Kind::Number { .. }) => matches!((decimal(wanted), decimal(held)), (Some(a), Some(b)) if a == b),
        Some(Kind::Bool) => wanted.eq_ignore_ascii_case(held),
        Some(Kind::Date | Kind::DateTime) => same_time(wanted, held).unwrap_or(false),
        Some(Kind::Choice(choice)) => choice.multi && same_options(wanted, held),
    }
}

/// Whether two times are one; `None` if they are none.
fn same_time(wanted: &str, held: &str) -> Option<bool> {
    let a = instant(wanted)?;
    // HubSpot tells dates as milliseconds where it was given text; Salesforce keeps whole seconds.
    let b = instant(held).or_else(|| held.parse().ok())?;
    Some(a == b || (instant(held).is_some() && a.div_euclid(1000) * 1000 == b))
}

fn looks_the_same(wanted: &str, held: &str) -> bool {
    if let (Some(a), Some(b)) = (decimal(wanted), decimal(held)) {
        return a == b;
    }
    if let Some(same) = same_time(wanted, held) {
        return same;
    }
    if wanted.contains('@') && held.contains('@') && !wanted.contains(char::is_whitespace) {
        return wanted.to_lowercase() == held.to_lowercase();
    }
    if ["true", "false"].contains(&wanted) {
        return wanted.eq_ignore_ascii_case(held);
    }
    if wanted.contains(';') && held.contains(';') {
        return same_options(wanted, held);
    }
    false
}

/// Whether two multi-selects have the same options; their order means nothing.
fn same_options(a: &str, b: &str) -> bool {
    fn options(text: &str) -> impl Iterator<Item = &str> {
        text.split(';').map(str::trim).filter(|option| !option.is_empty())
    }
    options(a).all(|option| options(b).any(|other| other == option)) && options(b).all(|option| options(a).any(|other| other == option))
}

/// A plain decimal without zeros that mean nothing. Leading zeros do mean something: `007` is a code, not seven.
fn decimal(text: &str) -> Option<(bool, &str, &str)> {
    if !crate::encode::is_plain_decimal(text) {
        return None;
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let fraction = fraction.trim_end_matches('0');
    let zero = whole == "0" && fraction.is_empty();
    Some((negative && !zero, whole, fraction))
}

/// Milliseconds since 1970 of `YYYY-MM-DD` (midnight UTC) or `YYYY-MM-DDTHH:MM:SS[.fff](Z|±HH[:]MM)`.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if byte(4)? != b'-' || byte(7)? != b'-' || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let midnight = days_of(year, month, day) * 86_400_000;
    if text.len() == 10 {
        return Some(midnight);
    }
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if byte(10)? != b'T' || byte(13)? != b':' || byte(16)? != b':' {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        for at in 0..3 {
            millis = millis * 10 + fraction.as_bytes().get(at).filter(|_| at < digits).map_or(0, |b| i64::from(b - b'0'));
        }
        rest = fraction.get(digits..)?;
    }
    let local = midnight + ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    let offset = match rest.as_bytes() {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), zone @ ..] => {
            let digits: Vec<i64> = zone.iter().filter(|b| **b != b':').map(|b| i64::from(*b) - 48).collect();
            match digits.as_slice() {
                [a, b, c, d] if digits.iter().all(|digit| (0..10).contains(digit)) => {
                    (if *sign == b'+' { 1 } else { -1 }) * ((a * 10 + b) * 60 + c * 10 + d)
                }
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(local - offset * 60_000)
}

/// Days since 1970, after Howard Hinnant's `days_from_civil`.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn spellings_of_one_value_are_equal_and_other_values_are_not() {
        for (wanted, held, equal) in [
            (json!("Ada"), json!("Ada"), true),
            (json!(" Ada"), json!("Ada"), true),
            (json!("Ada"), json!("ada"), false),
            (json!("Ada"), json!(null), false),
            (json!("12.50"), json!("12.5"), true),
            (json!("12"), json!("12.0"), true),
            (json!("007"), json!("7"), false),
            (json!("-0"), json!("0"), true),
            (json!("12.9"), json!("12"), false),
            (json!(12.345), json!(12.34), false),
            (json!(12), json!(12.0), true),
            (json!("12"), json!(12.0), true),
            (json!(true), json!(true), true),
            (json!("true"), json!("TRUE"), true),
            (json!(true), json!(false), false),
            (json!("2026-10-02"), json!("2026-10-02"), true),
            (json!("2026-10-02"), json!("1790899200000"), true),
            (json!("2026-10-02"), json!("1790899200001"), false),
            (json!("2026-10-02T08:15:30.551Z"), json!("2026-10-02T08:15:30.551Z"), true),
            (json!("2026-10-02T08:15:30.551Z"), json!("2026-10-02T08:15:30.000+0000"), true),
            (json!("2026-10-02T08:15:30.000Z"), json!("2026-10-02T10:15:30.000+02:00"), true),
            (json!("2026-10-02T08:15:30.000Z"), json!("2026-10-02T08:15:31.000+0000"), false),
            (json!("2026-10-02"), json!("2026-10-03"), false),
            (json!("a;b"), json!("b;a"), true),
            (json!("a;b"), json!("a"), false),
            (json!("Ada@Example.com"), json!("ada@example.com"), true),
            (json!("ada@example.com"), json!("eve@example.com"), false),
            (json!("x"), json!({"x": 1}), false),
            (json!("99999-99-99"), json!("2026-10-02"), false),
        ] {
            let object = |value: &Value| Map::from_iter([("Field".to_owned(), value.clone())]);
            assert_eq!(holds(&object(&wanted), &object(&held)), equal, "{wanted} {held}");
        }
    }

    #[test]
    fn a_field_that_was_not_read_proves_nothing() {
        let wanted = Map::from_iter([("a".to_owned(), json!("1")), ("b".to_owned(), json!("2"))]);
        assert!(!holds(&wanted, &Map::from_iter([("a".to_owned(), json!("1"))])));
        assert!(holds(&wanted, &Map::from_iter([("A".to_owned(), json!("1")), ("B".to_owned(), json!("2"))])));
    }

    proptest! {
        #[test]
        fn a_written_date_or_instant_reads_back(micros in -62_135_596_800_000_000i64..253_402_300_799_999_999) {
            let mut text = String::new();
            prop_assert!(crate::encode::push_timestamp(&mut text, micros));
            prop_assert_eq!(instant(&text), Some(micros.div_euclid(1000)));
            text.clear();
            let days = micros.div_euclid(86_400_000_000);
            prop_assert!(crate::encode::push_date(&mut text, days));
            prop_assert_eq!(instant(&text), Some(days * 86_400_000));
        }

        #[test]
        fn any_texts_can_be_compared(a in ".{0,30}", b in ".{0,30}") {
            same_text(&a, &b, None);
            prop_assert!(same(&json!(a), &json!(a)));
        }
    }
}
