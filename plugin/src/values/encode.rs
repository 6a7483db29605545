//! Values as the CRMs want them, appended to a growing buffer without an allocation per value.
//!
//! Both CRMs take the same text for a value (plain decimals, `YYYY-MM-DD`, ISO 8601 in UTC, options
//! joined by `;`); they differ in what is put in quotation marks: HubSpot everything, Salesforce
//! what is text or a date (crm-apis A8 and B6). So there is one text per type here, and
//! [`in_quotes`] says the rest.

use crate::provider::Provider;
pub use json_outline::{needs_escape, push_escaped};

/// The type of a column's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true`, `false`.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Binary floating point.
    Number,
    /// Decimal numbers as text.
    Decimal,
    /// Text.
    Text,
    /// Several texts.
    TextList,
    /// Days.
    Date,
    /// Instants.
    Timestamp,
    /// Each value of a type of its own.
    Json,
}

/// Whether a value of this type is a JSON string.
pub fn in_quotes(provider: Provider, kind: Kind) -> bool {
    match provider {
        Provider::HubSpot => true,
        Provider::Salesforce => {
            matches!(kind, Kind::Text | Kind::TextList | Kind::Date | Kind::Timestamp | Kind::Json)
        }
    }
}

/// Appends text as a JSON string.
pub fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends a whole number.
pub fn push_integer(out: &mut String, value: i64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Appends the shortest decimal text that reads back as `value`, never with an exponent. `false`:
/// not finite.
#[must_use]
pub fn push_number(out: &mut String, value: f64) -> bool {
    if !value.is_finite() {
        return false;
    }
    // Whole numbers up to 2^53 are exact.
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        push_integer(out, value as i64);
    } else {
        push_shortest(out, value);
    }
    true
}

/// The shortest text that reads back, with its exponent written out. serde_json's own, so that the
/// formatter of the standard library, which is 20 KB, does not have to be in the component.
fn push_shortest(out: &mut String, value: f64) {
    let shortest =
        serde_json::Number::from_f64(value).map(|number| number.to_string()).unwrap_or_default();
    out.push_str(&without_exponent(&shortest).unwrap_or(shortest));
}

/// Longest number that an exponent may write out.
const MAX_DIGITS: usize = 400;

/// A decimal number with its exponent written out, digit by digit: `-1.25E-3` is `-0.00125`.
/// `None`: it is not such a number, or would be absurdly long.
pub fn without_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    if !is_plain_decimal(mantissa) {
        return None;
    }
    // One sign at most, which `parse` takes; it would take a second one behind a sign that was cut
    // off.
    let exponent: i64 = exponent.parse::<i32>().ok()?.into();
    let (sign, unsigned) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    // Where the point goes, counted from the first digit that means something.
    let point = (whole.len() + digits.len()) as i64 - all.len() as i64 + exponent;
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return Some("0".to_owned());
    }
    if point.unsigned_abs() as usize > MAX_DIGITS || digits.len() > MAX_DIGITS {
        return None;
    }
    let zeros = |count: usize| "0".repeat(count);
    Some(match usize::try_from(point) {
        Ok(point) if point >= digits.len() => {
            format!("{sign}{digits}{}", zeros(point - digits.len()))
        }
        Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        _ => format!("{sign}0.{}{digits}", zeros(point.unsigned_abs() as usize)),
    })
}

/// A number as people read it.
pub fn shown_number(value: f64) -> String {
    let mut out = String::new();
    if !push_number(&mut out, value) {
        out.push_str(if value.is_nan() { "NaN" } else { "infinite" });
    }
    out
}

/// Whether this is a plain decimal number, and so a JSON number too: `-12.50`, not `+1`, `.5`,
/// `007` or `1e3`.
pub fn is_plain_decimal(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && fraction.is_none_or(digits)
}

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// Appends `YYYY-MM-DD`. `false`: not within the years 1 to 9999.
#[must_use]
pub fn push_date(out: &mut String, days: i64) -> bool {
    let Some(text) = date_text(days) else { return false };
    push_ascii(out, &text);
    true
}

/// Appends `YYYY-MM-DDTHH:MM:SS.mmmZ`, rounded down to the millisecond. `false`: not within the
/// years 1 to 9999.
#[must_use]
pub fn push_timestamp(out: &mut String, micros: i64) -> bool {
    let Some(date) = date_text(micros.div_euclid(MICROS_PER_DAY)) else { return false };
    let millis = micros.rem_euclid(MICROS_PER_DAY) / 1000;
    let (seconds, millis) = (millis / 1000, millis % 1000);
    let mut text = *b"0000-00-00T00:00:00.000Z";
    text[..10].copy_from_slice(&date);
    put2(&mut text, 11, seconds / 3600);
    put2(&mut text, 14, seconds / 60 % 60);
    put2(&mut text, 17, seconds % 60);
    text[20] = b'0' + (millis / 100) as u8;
    put2(&mut text, 21, millis % 100);
    push_ascii(out, &text);
    true
}

fn push_ascii(out: &mut String, text: &[u8]) {
    out.push_str(str::from_utf8(text).unwrap_or_default());
}

fn put2(text: &mut [u8], at: usize, value: i64) {
    text[at] = b'0' + (value / 10 % 10) as u8;
    text[at + 1] = b'0' + (value % 10) as u8;
}

/// Civil date of a day count, after Howard Hinnant's `civil_from_days`.
fn date_text(days: i64) -> Option<[u8; 10]> {
    // 0001-01-01 to 9999-12-31.
    if !(-719_162..=2_932_896).contains(&days) {
        return None;
    }
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let mut text = *b"0000-00-00";
    put2(&mut text, 0, year / 100);
    put2(&mut text, 2, year % 100);
    put2(&mut text, 5, month);
    put2(&mut text, 8, day);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(push: impl FnOnce(&mut String) -> bool) -> Option<String> {
        let mut out = String::new();
        push(&mut out).then_some(out)
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-12.5, "-12.5"),
            (0.1, "0.1"),
            (1e21, "1000000000000000000000"),
            (1e-7, "0.0000001"),
            (9_007_199_254_740_993.0, "9007199254740992"),
        ] {
            assert_eq!(text(|out| push_number(out, value)).as_deref(), Some(expected));
        }
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(text(|out| push_number(out, bad)), None);
        }
    }

    #[test]
    fn decimals_that_json_would_not_take_are_found() {
        for good in ["0", "-0", "12", "-12.50", "0.10", "123456789012345678901234567890.1"] {
            assert!(is_plain_decimal(good), "{good}");
        }
        for bad in
            ["", "-", "+1", ".5", "5.", "007", "1e3", "1,5", " 1", "1 ", "NaN", "--1", "1.2.3", "٣"]
        {
            assert!(!is_plain_decimal(bad), "{bad}");
        }
    }

    #[test]
    fn dates_and_instants_are_utc() {
        for (days, expected) in [
            (0, Some("1970-01-01")),
            (-1, Some("1969-12-31")),
            (11_016, Some("2000-02-29")),
            (19_782, Some("2024-02-29")),
            (-719_162, Some("0001-01-01")),
            (2_932_896, Some("9999-12-31")),
            (-719_163, None),
            (2_932_897, None),
            (i64::from(i32::MIN), None),
        ] {
            assert_eq!(text(|out| push_date(out, days)).as_deref(), expected, "{days}");
        }
        for (micros, expected) in [
            (0, Some("1970-01-01T00:00:00.000Z")),
            (-1, Some("1969-12-31T23:59:59.999Z")),
            (1_790_929_215_123_999, Some("2026-10-02T08:20:15.123Z")),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(text(|out| push_timestamp(out, micros)).as_deref(), expected, "{micros}");
        }
    }

    proptest! {
        #[test]
        fn an_escaped_text_reads_back(text in "(?s).{0,60}") {
            let mut out = String::new();
            push_json_string(&mut out, &text);
            let back: String = serde_json::from_str(&out).unwrap();
            prop_assert_eq!(&back, &text);
            prop_assert_eq!(needs_escape(&text), out.len() != text.len() + 2);
        }

        #[test]
        fn every_finite_number_reads_back_as_a_json_number(value in proptest::num::f64::NORMAL | proptest::num::f64::ZERO | proptest::num::f64::SUBNORMAL) {
            let out = text(|out| push_number(out, value)).unwrap();
            prop_assert!(is_plain_decimal(&out));
            prop_assert_eq!(out.parse::<f64>().unwrap(), value);
        }

        #[test]
        fn days_count_up(days in -719_162i64..2_932_896) {
            prop_assert!(date_text(days) < date_text(days + 1));
        }
    }

    #[test]
    fn an_exponent_has_one_sign_at_most() {
        for (text, expected) in [("5E+2", Some("500")), ("5e2", Some("500")), ("5e-1", Some("0.5"))]
        {
            assert_eq!(without_exponent(text).as_deref(), expected, "{text}");
        }
        for text in ["5E++2", "5e+-2", "5e--2", "0E++0888", "5e", "5e+", "5e 2"] {
            assert_eq!(without_exponent(text), None, "{text}");
        }
    }
}
