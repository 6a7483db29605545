//! When are two values one value to a CRM? The only place that says so: comparing while planning,
//! what a read proves in a run, drift, verifying and undo all ask here.
//!
//! A rule belongs to a CRM and a kind of field, and goes as far as that CRM documents what it does
//! to values of that kind (crm-apis A8, B2, B6). Whatever is not documented, and every field whose
//! kind is not known, is equal letter for letter and no further: an old value that resembles the
//! new one must not be taken for a write.

use super::field::{Kind, Metadata};
use super::json::text;
use super::times::instant;
use crate::provider::Provider;
use crate::provider_id;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Fields and their values, spelled as they came: a number that is parsed loses digits.
pub(crate) type Values = BTreeMap<String, Box<RawValue>>;

/// A value where a field holds nothing.
pub(crate) const NOTHING: &str = "null";

/// How much two values have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Likeness {
    /// Two values.
    Different,
    /// The CRM shows a mask: nobody can tell.
    Masked,
    /// One value in two spellings.
    Same,
    /// Letter for letter.
    Exact,
}

/// The rules of one CRM for the fields of one object.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'m> {
    pub(crate) provider: Provider,
    pub(crate) metadata: &'m Metadata,
}

impl Rules<'_> {
    /// Of two JSON values of a field.
    pub(crate) fn likeness(&self, field: &str, wanted: &str, held: &str) -> Likeness {
        likeness(
            self.provider,
            self.metadata.field(self.provider, field).map(|field| &field.kind),
            wanted,
            held,
        )
    }

    /// The least that the members of `wanted` have in common with what is held. `Err`: a field that
    /// the CRM does not show.
    pub(crate) fn all<'w>(&self, wanted: &'w Values, held: &Values) -> Result<Likeness, &'w str> {
        let mut least = Likeness::Exact;
        for (name, value) in wanted {
            let found = member(held, name).ok_or(name.as_str())?;
            least = least.min(self.likeness(name, value.get(), found));
        }
        Ok(least)
    }

    /// Names of the members of `wanted` whose field holds another value.
    pub(crate) fn differing<'w>(&self, wanted: &'w Values, held: &Values) -> Vec<&'w str> {
        let differs = |name: &str, value: &str| {
            self.likeness(name, value, member(held, name).unwrap_or(NOTHING)) < Likeness::Same
        };
        wanted
            .iter()
            .filter(|(name, value)| differs(name, value.get()))
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

/// A member by its name, whatever the letter case if there is no other: Salesforce answers with its
/// own.
pub(crate) fn member<'h>(held: &'h Values, name: &str) -> Option<&'h str> {
    let exact = held.get(name);
    exact
        .or_else(|| {
            held.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        })
        .map(|value| value.get())
}

/// A scalar as text: nothing, null and an empty text are all that a field holds nothing.
fn scalar(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first()? {
        b'"' => text(json),
        b'n' => Some("".into()),
        b'[' | b'{' => None,
        _ => Some(json.into()),
    }
}

/// Of two JSON values of a field of this kind; `None`: nobody knows the kind.
pub(crate) fn likeness(
    provider: Provider,
    kind: Option<&Kind>,
    wanted: &str,
    held: &str,
) -> Likeness {
    if matches!(kind, Some(Kind::Masked)) && held != "null" {
        return Likeness::Masked;
    }
    if wanted == held {
        return Likeness::Exact;
    }
    let (Some(a), Some(b)) = (scalar(wanted), scalar(held)) else { return Likeness::Different };
    if a == b {
        return Likeness::Exact;
    }
    let numbers = |json: &str| !json.starts_with(['"', 't', 'f', 'n']);
    // Whatever the field, two JSON numbers are numbers.
    let same = match kind {
        _ if numbers(wanted) && numbers(held) => same_number(&a, &b),
        None | Some(Kind::Other | Kind::Masked) => false,
        // It trims what it is given, so this is what it makes of the text. What it holds with blanks
        // came another way.
        Some(Kind::Text { trimmed: true, .. } | Kind::Email { trimmed: true, .. })
            if a.trim() == b =>
        {
            return Likeness::Exact;
        }
        Some(Kind::Text { .. }) => false,
        Some(Kind::Email { trimmed, .. }) => {
            let (a, b) = if *trimmed { (a.trim(), b.trim()) } else { (&*a, &*b) };
            a.to_lowercase() == b.to_lowercase()
        }
        Some(Kind::Number { .. }) => same_number(&a, &b),
        Some(Kind::Bool) => a.eq_ignore_ascii_case(&b),
        Some(Kind::Date | Kind::DateTime) => same_instant(provider, &a, &b),
        Some(Kind::Time) => match (time(&a), time(&b)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        },
        Some(Kind::Reference) => same_id(&a, &b),
        Some(Kind::Choice(choice)) => choice.multi && same_options(&a, &b),
    };
    if same { Likeness::Same } else { Likeness::Different }
}

fn same_number(a: &str, b: &str) -> bool {
    matches!((Decimal::parse(a), Decimal::parse(b)), (Some(a), Some(b)) if a == b)
}

/// A decimal number in its one spelling. Digits are kept, however many: a floating-point number
/// would not.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without zeros at either end.
    digits: String,
    /// Power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Decimal> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, exponent.strip_prefix('+').unwrap_or(exponent).parse::<i32>().ok()?)
            }
            None => (text, 0),
        };
        // Leading zeros do mean something: `007` is a code, not seven.
        if !super::encode::is_plain_decimal(mantissa) {
            return None;
        }
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut digits = format!("{whole}{fraction}");
        let mut exponent = i64::from(exponent) - fraction.len() as i64;
        let kept = digits.trim_end_matches('0').len();
        exponent += (digits.len() - kept) as i64;
        digits.truncate(kept);
        let digits = digits.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, exponent: 0 });
        }
        Some(Decimal { negative: mantissa.starts_with('-'), digits, exponent })
    }
}

/// HubSpot tells instants to the millisecond, and days as milliseconds too; Salesforce keeps whole
/// seconds.
fn same_instant(provider: Provider, wanted: &str, held: &str) -> bool {
    let read = |text: &str| {
        instant(text).or_else(|| {
            text.parse().ok().filter(|_| provider == Provider::HubSpot && text.len() >= 12)
        })
    };
    let (Some(a), Some(b)) = (read(wanted), read(held)) else { return false };
    match provider {
        Provider::HubSpot => a == b,
        Provider::Salesforce => a.div_euclid(1000) == b.div_euclid(1000),
    }
}

/// `HH:MM:SS` and its fraction without zeros that mean nothing, with or without `Z`.
fn time(text: &str) -> Option<(&str, &str)> {
    let (clock, fraction) = text.strip_suffix('Z').unwrap_or(text).split_at_checked(8)?;
    let digits = if fraction.is_empty() { "" } else { fraction.strip_prefix('.')? };
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| (clock, digits.trim_end_matches('0')))
}

/// Salesforce takes ids of 15 and 18 characters and shows 18.
fn same_id(a: &str, b: &str) -> bool {
    let normal = |id: &str| {
        let mut normal = String::new();
        provider_id::append_normal(Provider::Salesforce, id, &mut normal).is_ok().then_some(normal)
    };
    matches!((normal(a), normal(b)), (Some(a), Some(b)) if a == b)
}

/// Whether two multi-selects have the same options; their order means nothing.
fn same_options(a: &str, b: &str) -> bool {
    fn options(text: &str) -> impl Iterator<Item = &str> {
        text.split(';').map(str::trim).filter(|option| !option.is_empty())
    }
    options(a).all(|option| options(b).any(|other| other == option))
        && options(b).all(|option| options(a).any(|other| other == option))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::field::Choice;
    use proptest::prelude::*;
    use serde_json::Value;

    fn text(trimmed: bool) -> Kind {
        Kind::Text { max: None, trimmed }
    }

    fn choice(multi: bool) -> Kind {
        Kind::Choice(Choice { multi, ..Choice::default() })
    }

    #[test]
    fn a_text_is_equal_letter_for_letter() {
        let resembling = [
            (r#""10115""#, r#""10115.0""#),
            (r#""1.1""#, r#""1.10""#),
            (r#""true""#, r#""TRUE""#),
            (r#""a;b""#, r#""b;a""#),
            (r#""ada@example.com""#, r#""Ada@example.com""#),
            (r#""2026-10-02""#, r#""1790899200000""#),
            (r#""2026-10-02T08:15:30Z""#, r#""2026-10-02T08:15:30.000Z""#),
            (r#""a\nb""#, r#""a\r\nb""#),
            (r#""Acme""#, r#""Acme  ""#),
        ];
        let multi_kinds = [None, Some(text(false)), Some(Kind::Other), Some(choice(false))];
        for (wanted, held) in resembling {
            for kind in &multi_kinds {
                for provider in Provider::ALL {
                    let found = likeness(provider, kind.as_ref(), wanted, held);
                    assert_eq!(found, Likeness::Different, "{provider:?} {kind:?} {wanted} {held}");
                }
            }
            assert_eq!(
                likeness(Provider::Salesforce, Some(&text(true)), wanted, wanted),
                Likeness::Exact
            );
        }
    }

    #[test]
    fn each_kind_has_its_own_spellings_and_no_others() {
        use Likeness::{Different, Exact, Masked, Same};
        let number = || Kind::Number { scale: None };
        let email = |trimmed| Kind::Email { max: None, trimmed };
        for (provider, kind, wanted, held, expected) in [
            (Provider::Salesforce, text(true), r#"" Acme""#, r#""Acme""#, Exact),
            // Salesforce would not keep these blanks: they came another way, and writing cleans
            // them up.
            (Provider::Salesforce, text(true), r#""Acme""#, r#""Acme ""#, Different),
            (Provider::Salesforce, Kind::Time, r#""08:15:30.5""#, r#""08:15:30.500Z""#, Same),
            (Provider::Salesforce, Kind::Time, r#""08:15:30.5""#, r#""08:15:30.501Z""#, Different),
            (Provider::HubSpot, number(), r#""12.50""#, r#""12.5""#, Same),
            (Provider::HubSpot, number(), r#""007""#, r#""7""#, Different),
            (Provider::HubSpot, number(), r#""-0""#, r#""0""#, Same),
            (Provider::Salesforce, number(), "12", "12.0", Same),
            (Provider::Salesforce, number(), "1e3", "1000", Same),
            (Provider::Salesforce, number(), "1.5E+3", "1500.00", Same),
            (
                Provider::Salesforce,
                number(),
                "9007199254740993.12",
                "9007199254740993.50",
                Different,
            ),
            (Provider::Salesforce, number(), "12.345", "12.34", Different),
            (Provider::Salesforce, Kind::Bool, "true", "false", Different),
            (Provider::HubSpot, Kind::Bool, r#""true""#, r#""TRUE""#, Same),
            (Provider::HubSpot, Kind::Date, r#""2026-10-02""#, r#""1790899200000""#, Same),
            (Provider::HubSpot, Kind::Date, r#""2026-10-02""#, r#""1790899200001""#, Different),
            (
                Provider::HubSpot,
                Kind::DateTime,
                r#""2026-10-02T08:15:30.551Z""#,
                r#""2026-10-02T08:15:30.000Z""#,
                Different,
            ),
            (
                Provider::Salesforce,
                Kind::DateTime,
                r#""2026-10-02T08:15:30.551Z""#,
                r#""2026-10-02T08:15:30.000+0000""#,
                Same,
            ),
            (
                Provider::Salesforce,
                Kind::DateTime,
                r#""2026-10-02T08:15:30.000Z""#,
                r#""2026-10-02T08:15:31.000+0000""#,
                Different,
            ),
            (
                Provider::Salesforce,
                Kind::DateTime,
                r#""2026-10-02T08:15:30.000Z""#,
                r#""2026-10-02T10:15:30.000+02:00""#,
                Same,
            ),
            (Provider::Salesforce, Kind::Time, r#""08:15:30""#, r#""08:15:30.000Z""#, Same),
            (Provider::Salesforce, Kind::Time, r#""08:15:30""#, r#""08:15:31.000Z""#, Different),
            (
                Provider::Salesforce,
                Kind::Reference,
                r#""001D000000IqhSL""#,
                r#""001D000000IqhSLIAZ""#,
                Same,
            ),
            (
                Provider::Salesforce,
                Kind::Reference,
                r#""001D000000IqhSL""#,
                r#""001D000000IqhSM""#,
                Different,
            ),
            (Provider::Salesforce, Kind::Masked, r#""4111""#, r#""****""#, Masked),
            (Provider::Salesforce, Kind::Masked, r#""4111""#, "null", Different),
            (Provider::HubSpot, choice(true), r#""a;b""#, r#""b;a""#, Same),
            (Provider::HubSpot, choice(true), r#""a;b""#, r#""a""#, Different),
            (Provider::HubSpot, email(false), r#""Ada@Example.com""#, r#""ada@example.com""#, Same),
            (
                Provider::HubSpot,
                email(false),
                r#""ada@example.com""#,
                r#""ada@example.com ""#,
                Different,
            ),
            (Provider::HubSpot, text(false), r#""""#, "null", Exact),
            (Provider::Salesforce, text(true), "null", r#""""#, Exact),
            (Provider::HubSpot, text(false), r#""Ada""#, "null", Different),
            (Provider::HubSpot, text(false), r#""é""#, r#""\u00e9""#, Exact),
            (Provider::HubSpot, text(false), r#""x""#, r#"{"x":1}"#, Different),
        ] {
            assert_eq!(
                likeness(provider, Some(&kind), wanted, held),
                expected,
                "{provider:?} {kind:?} {wanted} {held}"
            );
        }
    }

    #[test]
    fn a_field_that_was_not_read_proves_nothing() {
        let metadata = Metadata::default();
        let rules = Rules { provider: Provider::HubSpot, metadata: &metadata };
        let object = |text: &str| serde_json::from_str::<Values>(text).unwrap();
        let wanted = object(r#"{"a":"1","b":"2"}"#);
        assert_eq!(rules.all(&wanted, &object(r#"{"a":"1"}"#)), Err("b"));
        assert_eq!(rules.all(&wanted, &object(r#"{"A":"1","B":"2"}"#)), Ok(Likeness::Exact));
        assert_eq!(rules.differing(&wanted, &object(r#"{"A":"1","B":"3"}"#)), ["b"]);
    }

    #[test]
    fn times_that_there_are_not_are_no_instants() {
        for (text, expected) in [
            ("2026-10-02T08:15:30Z", true),
            ("2026-10-02T08:15Z", true),
            ("2026-10-02T08:15:30+02", true),
            ("2026-10-02T08:15:30+0200", true),
            ("2026-10-02T08:15:30.5-11:30", true),
            ("2026-10-02T25:15:30Z", false),
            ("2026-10-02T08:61:30Z", false),
            ("2026-10-02T08:15:61Z", false),
            ("2026-10-02T08:15:30+99:99", false),
            ("2026-10-02T08:15:30+14:01", false),
            ("2026-10-02T08:15:30.Z", false),
            ("2026-10-02T08:15:30", false),
            ("99999-99-99", false),
        ] {
            assert_eq!(instant(text).is_some(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_date_or_instant_reads_back(micros in -62_135_596_800_000_000i64..253_402_300_799_999_999) {
            let mut text = String::new();
            prop_assert!(crate::values::encode::push_timestamp(&mut text, micros));
            prop_assert_eq!(instant(&text), Some(micros.div_euclid(1000)));
            text.clear();
            let days = micros.div_euclid(86_400_000_000);
            prop_assert!(crate::values::encode::push_date(&mut text, days));
            prop_assert_eq!(instant(&text), Some(days * 86_400_000));
        }

        #[test]
        fn any_texts_can_be_compared(a in ".{0,30}", b in ".{0,30}") {
            for kind in [text(true), Kind::Time, Kind::Reference, Kind::DateTime, choice(true), Kind::Number { scale: None }] {
                let (a, b) = (Value::from(a.as_str()).to_string(), Value::from(b.as_str()).to_string());
                likeness(Provider::Salesforce, Some(&kind), &a, &b);
                prop_assert_eq!(likeness(Provider::HubSpot, Some(&kind), &a, &a), Likeness::Exact);
            }
        }
    }
}
