//! A golden value in the form that a field takes, or why there is none.

use super::encode::{self, push_escaped};
use super::field::{Choice, CrmOption, Field, Kind};
use super::times;
use crate::provider::Provider;
use crate::provider_id::shown;
use std::{borrow::Cow, fmt};

/// What digits are that may be a date.
const COMPACT: &str = "may be milliseconds since 1970 or a time without separators (YYYYMMDDHHMM), which is not guessed (accepted: ISO 8601 with a zone, such as 2026-10-02T08:15:30Z)";
/// Options that a refusal lists.
const OPTIONS_SHOWN: usize = 8;

/// What was done to a value beyond spelling it differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remark {
    /// Decimals that the field cannot hold were cut off.
    pub cut: bool,
    /// It is not one of the options, and the CRM takes it all the same.
    pub unlisted: bool,
}

/// Why a value is refused, and what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It could mean several things, and the CRM would take one of them.
    Ambiguous(String),
    /// The field does not take it.
    Impossible(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Refusal::Ambiguous(why) | Refusal::Impossible(why)) = self;
        f.write_str(why)
    }
}

fn ambiguous(why: impl Into<String>) -> Refusal {
    Refusal::Ambiguous(why.into())
}

fn impossible(why: impl Into<String>) -> Refusal {
    Refusal::Impossible(why.into())
}

/// Whether a field's values are JSON strings.
pub fn in_quotes(provider: Provider, kind: &Kind) -> bool {
    match provider {
        Provider::HubSpot => true,
        Provider::Salesforce => !matches!(kind, Kind::Number { .. } | Kind::Bool),
    }
}

/// The value as the field takes it, without quotation marks. `Ok(None)`: nothing is left of it.
/// `zone`: how many minutes a time without a zone is ahead of UTC.
///
/// # Errors
/// What is wrong with it, and what would be accepted.
pub fn coerce<'t>(
    field: &Field,
    zone: Option<i64>,
    text: &'t str,
) -> Result<Option<(Cow<'t, str>, Remark)>, Refusal> {
    let plain = |text: Cow<'t, str>| Ok(Some((text, Remark::default())));
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(None);
    }
    match &field.kind {
        Kind::Other | Kind::Time | Kind::Reference | Kind::Masked => plain(text.into()),
        Kind::Text { max, trimmed: trims } | Kind::Email { max, trimmed: trims } => {
            let text = if *trims { trimmed } else { text };
            if matches!(field.kind, Kind::Email { .. }) && !is_address(trimmed) {
                return Err(impossible("is not an e-mail address (accepted: name@example.com)"));
            }
            match max {
                // There are at most as many characters as bytes.
                Some(max) if text.len() > *max && text.chars().count() > *max => Err(impossible(
                    format!("has {} characters, and the field takes {max}", text.chars().count()),
                )),
                _ => plain(text.into()),
            }
        }
        Kind::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "on" => plain("true".into()),
            "false" | "f" | "no" | "n" | "0" | "off" => plain("false".into()),
            _ => {
                Err(impossible("is neither true nor false (accepted: true, false, yes, no, 1, 0)"))
            }
        },
        Kind::Number { scale } => number(trimmed, *scale),
        Kind::Date => match times::date(trimmed) {
            Some(date) => plain(date.into()),
            None => match times::midnight(trimmed, zone) {
                Some(date) => plain(date.into()),
                None if times::is_compact(trimmed) => Err(ambiguous(COMPACT)),
                None => Err(impossible(
                    "is not a date (accepted: YYYY-MM-DD, or an instant at midnight UTC)",
                )),
            },
        },
        Kind::DateTime => match times::in_utc(trimmed, zone) {
            Some(instant) => plain(instant.into()),
            None if matches!(trimmed.len(), 10 | 11)
                && trimmed.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Err(ambiguous(
                    "may be seconds or milliseconds since 1970, which is not guessed (accepted: ISO 8601 with a zone, or milliseconds of 12 digits or more)",
                ))
            }
            None if times::is_compact(trimmed) => Err(ambiguous(COMPACT)),
            None => {
                let why = "is not an instant (accepted: ISO 8601 with a zone, such as 2026-10-02T08:15:30Z, or milliseconds since 1970; `time_zone` says what times without one mean)";
                let lacks_zone = times::in_utc(trimmed, Some(0)).is_some();
                Err(if lacks_zone { ambiguous(why) } else { impossible(why) })
            }
        },
        Kind::Choice(choice) if choice.multi => several(choice, text),
        Kind::Choice(choice) => match one(choice, text)? {
            Some(value) => plain(value.to_owned().into()),
            None => Ok(Some((trimmed.into(), Remark { unlisted: true, ..Remark::default() }))),
        },
    }
}

fn number(text: &str, scale: Option<usize>) -> Result<Option<(Cow<'_, str>, Remark)>, Refusal> {
    let refused = || {
        impossible(
            "is not a plain decimal number (accepted: such as 1250000.5, without separators for thousands, unit or exponent)",
        )
    };
    let text = text.strip_prefix('+').unwrap_or(text);
    let text = if encode::is_plain_decimal(text) {
        Cow::Borrowed(text)
    } else {
        // An exponent, as floating-point columns print large numbers. Its digits are kept.
        Cow::Owned(encode::without_exponent(text).ok_or_else(refused)?)
    };
    let Some(scale) = scale else { return Ok(Some((text, Remark::default()))) };
    let Some(point) = text.find('.') else { return Ok(Some((text, Remark::default()))) };
    let decimals = &text[point + 1..];
    if decimals.len() <= scale {
        return Ok(Some((text, Remark::default())));
    }
    // The CRM would cut them off without a word (crm-apis B2): what is confirmed must be what is
    // stored.
    let cut = decimals[scale..].bytes().any(|b| b != b'0');
    let end = if scale == 0 { point } else { point + 1 + scale };
    let kept = match text[..end].to_owned() {
        kept if kept == "-0" => "0".to_owned(),
        kept => kept,
    };
    Ok(Some((kept.into(), Remark { cut, ..Remark::default() })))
}

/// The internal value of one option. `None`: there is none, and the CRM takes any text.
///
/// # Errors
/// It could be several options, the CRM would not read it as that option, or there is none.
fn one<'c>(choice: &'c Choice, text: &str) -> Result<Option<&'c str>, Refusal> {
    let Some(value) = found(choice, text)? else {
        return if choice.open { Ok(None) } else { Err(impossible(not_listed(choice))) };
    };
    match value {
        value if value.trim().is_empty() => {
            Err(ambiguous("is an option without an internal value, which would clear the field"))
        }
        value if choice.multi && value.contains(';') => Err(ambiguous(format!(
            "is the option `{}`, which the CRM would read as several, since `;` separates options",
            shown(value)
        ))),
        value => Ok(Some(value)),
    }
}

/// The internal value of one option: by value, by label, then whatever the letter case if only one
/// fits.
fn found<'c>(choice: &'c Choice, text: &str) -> Result<Option<&'c str>, Refusal> {
    let by_value = |text| choice.options.iter().find(|option| option.value == text);
    // Blanks around it may be part of an internal value.
    if let Some(option) = by_value(text).or_else(|| by_value(text.trim())) {
        return Ok(Some(&option.value));
    }
    let text = text.trim();
    let by_label: Vec<&str> = choice
        .options
        .iter()
        .filter(|option| option.label == text)
        .map(|option| option.value.as_str())
        .collect();
    if let [value] = by_label.as_slice() {
        return Ok(Some(value));
    }
    let lower = text.to_lowercase();
    let mut loosely: Vec<&str> = choice
        .options
        .iter()
        .filter(|option| {
            option.value.to_lowercase() == lower || option.label.to_lowercase() == lower
        })
        .map(|option| option.value.as_str())
        .collect();
    loosely.dedup();
    if let ([value], true) = (loosely.as_slice(), by_label.is_empty()) {
        return Ok(Some(value));
    }
    if loosely.len() > 1 || by_label.len() > 1 {
        return Err(ambiguous(format!(
            "could be each of {}; use the internal value, or value_map",
            listed(loosely.iter().chain(&by_label).copied())
        )));
    }
    Ok(None)
}

fn not_listed(choice: &Choice) -> String {
    if choice.options.is_empty() {
        return "is not among the options, of which the field has none".to_owned();
    }
    format!(
        "is not one of the options: {}",
        listed(choice.options.iter().map(|option| option.value.as_str()))
    )
}

fn listed<'o>(options: impl Iterator<Item = &'o str>) -> String {
    let mut texts: Vec<String> = options.map(|option| format!("`{}`", shown(option))).collect();
    texts.dedup();
    let more = texts.len().saturating_sub(OPTIONS_SHOWN);
    texts.truncate(OPTIONS_SHOWN);
    let text = texts.join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}

/// Options separated by `;`. A leading one, which tells HubSpot to append, is dropped: the golden
/// value is the whole set.
fn several<'t>(choice: &Choice, text: &str) -> Result<Option<(Cow<'t, str>, Remark)>, Refusal> {
    let mut remark = Remark::default();
    let mut values: Vec<String> = Vec::new();
    for item in text.split(';').filter(|item| !item.trim().is_empty()) {
        let value = match one(choice, item) {
            Ok(Some(value)) => value.to_owned(),
            Ok(None) => {
                // Without a list, nobody can say that it is not on it.
                remark.unlisted |= !choice.options.is_empty();
                item.trim().to_owned()
            }
            Err(refusal) => {
                let of =
                    |why: String| format!("has the option `{}`, which {why}", shown(item.trim()));
                return Err(match refusal {
                    Refusal::Ambiguous(why) => Refusal::Ambiguous(of(why)),
                    Refusal::Impossible(why) => Refusal::Impossible(of(why)),
                });
            }
        };
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let joined = values.join(";");
    let is_one = |option: &CrmOption| {
        [&option.value, &option.label]
            .into_iter()
            .any(|name| name.contains(';') && [joined.trim(), text.trim()].contains(&name.trim()))
    };
    if choice.options.iter().any(is_one) {
        return Err(ambiguous(
            "could be one option with a `;` in its name, or several; use value_map",
        ));
    }
    Ok((!values.is_empty()).then(|| (joined.into(), remark)))
}

/// Appends a value as JSON.
pub fn push_json(provider: Provider, kind: &Kind, value: &str, out: &mut String) {
    if in_quotes(provider, kind) {
        out.push('"');
        push_escaped(out, value);
        out.push('"');
    } else {
        out.push_str(value);
    }
}

/// Whether it can be one at all; what else it has to have is for the CRM to say.
fn is_address(text: &str) -> bool {
    let parts = text.split_once('@').filter(|(_, domain)| !domain.contains('@'));
    parts.is_some_and(|(name, domain)| !name.is_empty() && !domain.is_empty())
        && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: Kind) -> Field {
        Field { name: "f".to_owned(), kind, barred: None, may_be_empty: true }
    }

    fn choice(multi: bool, open: bool) -> Kind {
        let options =
            [("lead", "Lead"), ("mql", "Marketing Qualified"), ("red", "Red"), ("RED2", "red")];
        let options = options
            .map(|(value, label)| CrmOption { value: value.to_owned(), label: label.to_owned() });
        Kind::Choice(Choice { multi, open, options: options.into() })
    }

    /// Options whose names look like something else.
    fn odd(multi: bool, open: bool) -> Kind {
        let options = [
            ("b", "B"),
            ("c", "C"),
            ("d", "D"),
            ("b;c", "Blue"),
            ("e", "c; d"),
            ("g", " b;d "),
            ("", "None"),
            (" ", "Blank"),
            (" f", "F"),
        ];
        let options = options
            .map(|(value, label)| CrmOption { value: value.to_owned(), label: label.to_owned() });
        Kind::Choice(Choice { multi, open, options: options.into() })
    }

    fn to(kind: Kind, text: &str) -> Result<Option<String>, String> {
        coerce(&field(kind), None, text)
            .map(|value| value.map(|(text, _)| text.into_owned()))
            .map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_can_be_no_address_is_refused() {
        let email = || Kind::Email { max: Some(80), trimmed: false };
        for text in ["not-an-email", "@x.com", "a@", "a@b@c.com", "a b@c.com"] {
            assert!(to(email(), text).unwrap_err().contains("not an e-mail address"), "{text}");
        }
        for text in ["ada@example.com", "a+b@intranet", "ü@müller.de"] {
            assert_eq!(to(email(), text).unwrap().as_deref(), Some(text));
        }
    }

    #[test]
    fn values_are_brought_into_the_form_that_a_field_takes() {
        let text = |max, trimmed| Kind::Text { max: Some(max), trimmed };
        for (kind, from, expected) in [
            (text(5, true), "  Łódź  ", "Łódź"),
            (text(20, false), " kept ", " kept "),
            (Kind::Bool, "Yes", "true"),
            (Kind::Bool, "0", "false"),
            (Kind::Bool, "t", "true"),
            (Kind::Bool, "F", "false"),
            (Kind::Number { scale: None }, "+1250000.50", "1250000.50"),
            (Kind::Number { scale: None }, "1.5e3", "1500"),
            (Kind::Number { scale: None }, "12345678901234567.89e2", "1234567890123456789"),
            (Kind::Number { scale: None }, "-1.25E-3", "-0.00125"),
            (Kind::Number { scale: Some(2) }, "12.349", "12.34"),
            (Kind::Number { scale: Some(0) }, "-0.9", "0"),
            (Kind::Number { scale: Some(0) }, "7.000", "7"),
            (Kind::Date, "2026-10-02T00:00:00Z", "2026-10-02"),
            (Kind::DateTime, "2026-10-02 08:15:30+00:00", "2026-10-02T08:15:30.000Z"),
            (Kind::DateTime, "1790928930000", "2026-10-02T08:15:30.000Z"),
            (Kind::DateTime, "946684800000", "2000-01-01T00:00:00.000Z"),
            (Kind::DateTime, "253402300799000", "9999-12-31T23:59:59.000Z"),
            (choice(false, false), "lead", "lead"),
            (choice(false, false), "Lead", "lead"),
            (choice(false, false), "marketing qualified", "mql"),
            (choice(false, false), "Red", "red"),
            (choice(true, false), ";Lead; mql;lead", "lead;mql"),
            (choice(false, true), "New one", "New one"),
        ] {
            assert_eq!(to(kind, from), Ok(Some(expected.to_owned())), "{from}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_would_be_accepted() {
        for (kind, from, says) in [
            (
                Kind::Text { max: Some(3), trimmed: false },
                "Łódź",
                "has 4 characters, and the field takes 3",
            ),
            (Kind::Bool, "maybe", "accepted: true"),
            (Kind::Number { scale: None }, "1,250", "not a plain decimal"),
            (Kind::Number { scale: None }, "007", "not a plain decimal"),
            (Kind::Number { scale: None }, "inf", "not a plain decimal"),
            (Kind::Number { scale: None }, "12 EUR", "not a plain decimal"),
            (Kind::Number { scale: None }, "1e-500", "not a plain decimal"),
            (Kind::DateTime, "1790899200", "seconds or milliseconds"),
            (Kind::Date, "10/02/2026", "YYYY-MM-DD"),
            (Kind::DateTime, "2026-10-02T08:15:30", "with a zone"),
            (Kind::DateTime, "20261002081530", "a time without separators"),
            (Kind::DateTime, "202610020815", "a time without separators"),
            (Kind::DateTime, "20261002081530123", "a time without separators"),
            (Kind::Date, "20240928000000", "a time without separators"),
            (choice(false, false), "Customer", "not one of the options: `lead`, `mql`"),
            (choice(false, false), "rED", "could be each of `red`, `RED2`"),
            (choice(true, false), "lead;nope", "has the option `nope`, which is not one of"),
            (choice(true, true), "lead;rED", "has the option `rED`, which could be each of"),
            (odd(true, true), "Blue", "`b;c`, which the CRM would read as several"),
            (odd(true, false), "b; c", "one option with a `;` in its name, or several"),
            (odd(true, false), "c; d", "one option with a `;` in its name, or several"),
            (odd(true, false), "B;D", "one option with a `;` in its name, or several"),
            (odd(false, true), "None", "would clear the field"),
            (odd(true, true), "Blank", "would clear the field"),
            (odd(true, true), "b;None", "would clear the field"),
        ] {
            let told = to(kind, from).unwrap_err();
            assert!(told.contains(says), "{from}: {told}");
        }
    }

    #[test]
    fn an_option_is_sent_as_it_is_named() {
        for (multi, text, sent) in [
            (false, "b;c", "b;c"),
            (false, "c; d", "e"),
            (true, "d;b", "d;b"),
            (false, "F", " f"),
            (false, " f", " f"),
            (true, "b; f", "b; f"),
        ] {
            assert_eq!(to(odd(multi, false), text), Ok(Some(sent.to_owned())), "{text}");
        }
    }

    #[test]
    fn nothing_is_left_of_blanks() {
        assert_eq!(to(choice(true, false), " ; "), Ok(None));
        assert_eq!(to(Kind::Bool, "  "), Ok(None));
    }

    #[test]
    fn what_was_done_to_a_value_is_remarked() {
        let remark = |kind, text| coerce(&field(kind), None, text).unwrap().unwrap().1;
        assert!(remark(Kind::Number { scale: Some(2) }, "1.239").cut);
        assert!(!remark(Kind::Number { scale: Some(2) }, "1.230").cut);
        assert!(
            remark(choice(false, true), "x").unlisted
                && remark(choice(true, true), "lead;x").unlisted
        );
    }
}
