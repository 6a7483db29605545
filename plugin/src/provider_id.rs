//! Is a provider id *pristine*, as the CRM issued it? A wrong id updates somebody else's record, so
//! nothing is repaired: what was rounded, padded or re-typed is refused, with the reason. (SPEC 1,
//! crm-apis A2 and B6)

use crate::provider::Provider;

/// Longest HubSpot id: the digits of the largest 64-bit number.
const HUBSPOT_MAX: usize = 20;

/// What is wrong with an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing, or nothing but blanks.
    Empty,
    /// Looked into by [`explain`].
    NotPristine,
}

/// Appends the id in its normal form: HubSpot's digits as they are, Salesforce's 18 characters.
///
/// # Errors
/// If the id is not pristine; nothing is appended then.
pub fn append_normal(provider: Provider, text: &str, out: &mut String) -> Result<(), Flaw> {
    let bytes = text.as_bytes();
    match provider {
        Provider::HubSpot => {
            if bytes.len() <= HUBSPOT_MAX
                && bytes.iter().all(u8::is_ascii_digit)
                && bytes.first().is_some_and(|b| *b != b'0')
            {
                out.push_str(text);
                return Ok(());
            }
        }
        Provider::Salesforce => {
            if bytes.iter().all(u8::is_ascii_alphanumeric)
                && let Some((first, check)) = text.split_at_checked(15)
            {
                let expected = checksum(first);
                let expected = str::from_utf8(&expected).unwrap_or_default();
                if check.is_empty() || check == expected {
                    out.push_str(first);
                    out.push_str(expected);
                    return Ok(());
                }
            }
        }
    }
    Err(if text.trim().is_empty() { Flaw::Empty } else { Flaw::NotPristine })
}

/// The three characters that make 15 case-sensitive ones case-safe: bit j of character i is set
/// where character 5 i + j is a capital letter.
pub fn checksum(first: &str) -> [u8; 3] {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    let mut bits = [0usize; 3];
    for (at, byte) in first.bytes().take(15).enumerate() {
        bits[at / 5] |= usize::from(byte.is_ascii_uppercase()) << (at % 5);
    }
    bits.map(|index| ALPHABET[index])
}

/// Why an id is not pristine, in a sentence for the person who looks at the plan.
pub fn explain(provider: Provider, text: &str) -> String {
    let shown = shown(text);
    let trimmed = text.trim();
    if trimmed.len() != text.len() {
        return format!("`{shown}` has blanks around it");
    }
    if text.starts_with(['"', '\'']) {
        return format!("`{shown}` has quotation marks around it");
    }
    match provider {
        Provider::HubSpot => explain_hubspot(text, &shown),
        Provider::Salesforce => explain_salesforce(text, &shown),
    }
}

fn explain_hubspot(text: &str, shown: &str) -> String {
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if numeric(text) {
        return if text.starts_with('0') {
            format!("`{shown}` has a leading zero; HubSpot ids have none")
        } else {
            format!("`{shown}` has {} digits; HubSpot ids have {HUBSPOT_MAX} at most", text.len())
        };
    }
    if let Ok(number) = text.parse::<f64>() {
        if text.contains(['e', 'E']) {
            return format!(
                "`{shown}` is in scientific notation, its last digits are lost; read the column as text"
            );
        }
        if text.contains('.') {
            return format!(
                "`{shown}` has a decimal point; it went through a number, read the column as text"
            );
        }
        if number < 0.0 {
            return format!("`{shown}` is negative");
        }
    }
    if text.contains([',', '_', ' ', '\u{a0}', '\u{202f}'])
        && numeric(&text.replace([',', '_', ' ', '\u{a0}', '\u{202f}'], ""))
    {
        return format!("`{shown}` has separators between its digits");
    }
    format!("`{shown}` has other characters than digits")
}

fn explain_salesforce(text: &str, shown: &str) -> String {
    if text.bytes().any(|b| !b.is_ascii_alphanumeric()) {
        if text.parse::<f64>().is_ok() {
            return format!(
                "`{shown}` is a number; Salesforce ids have 15 or 18 letters and digits"
            );
        }
        return format!("`{shown}` has other characters than letters and digits");
    }
    match text.split_at_checked(15) {
        Some((first, check)) if check.len() == 3 => {
            let expected = checksum(first);
            let expected = str::from_utf8(&expected).unwrap_or_default();
            format!(
                "`{shown}` has a broken checksum: its last three characters should be `{expected}`; most likely its letter case was changed"
            )
        }
        _ => format!("`{shown}` has {} characters; Salesforce ids have 15 or 18", text.len()),
    }
}

/// A value for people: escaped, cut at 60 characters.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    if text.chars().nth(60).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(provider: Provider, text: &str) -> Result<String, Flaw> {
        let mut out = String::new();
        append_normal(provider, text, &mut out).map(|()| out)
    }

    #[test]
    fn hubspot_ids_are_digits_as_issued() {
        for good in ["1", "492564112121", "18446744073709551615"] {
            assert_eq!(normal(Provider::HubSpot, good).as_deref(), Ok(good));
        }
        for (bad, why) in [
            ("4.92564112121e11", "scientific notation"),
            ("4.92564112121E+11", "scientific notation"),
            ("492564112121.0", "decimal point"),
            (" 492564112121", "blanks around it"),
            ("492564112121\n", "blanks around it"),
            ("\u{a0}492564112121", "blanks around it"),
            ("\"492564112121\"", "quotation marks"),
            ("0492564112121", "leading zero"),
            ("0", "leading zero"),
            ("-5", "negative"),
            ("492,564,112,121", "separators"),
            ("492_564", "separators"),
            ("123456789012345678901", "21 digits"),
            ("٤٩٢", "other characters than digits"),
            ("contact-17", "other characters than digits"),
            ("NaN", "other characters than digits"),
            ("17;DROP", "other characters than digits"),
        ] {
            assert_eq!(normal(Provider::HubSpot, bad), Err(Flaw::NotPristine), "{bad}");
            let told = explain(Provider::HubSpot, bad);
            assert!(told.contains(why), "{bad}: {told}");
        }
    }

    #[test]
    fn nothing_and_nothing_but_blanks_are_empty() {
        for provider in Provider::ALL {
            for empty in ["", " ", "\t\n", "\u{2003}"] {
                assert_eq!(normal(provider, empty), Err(Flaw::Empty));
            }
        }
    }

    #[test]
    fn salesforce_ids_of_15_and_18_are_one_text() {
        // Test vectors of crm-apis B6.
        for (first, check) in [
            ("a0RE000000IJmcN", "MAT"),
            ("001M000000qfPyS", "IAU"),
            ("0F9E000000092w2", "KAA"),
            ("aBcDEfgHIJKLMNO", "025"),
            ("001D000000IqhSL", "IAZ"),
            ("003xx000004TmiQ", "AAS"),
        ] {
            let whole = format!("{first}{check}");
            assert_eq!(normal(Provider::Salesforce, first).as_deref(), Ok(whole.as_str()));
            assert_eq!(normal(Provider::Salesforce, &whole).as_deref(), Ok(whole.as_str()));
        }
    }

    #[test]
    fn a_salesforce_id_that_was_touched_is_refused() {
        for (bad, why) in [
            ("003xx000004TmiQAAA", "should be `AAS`"),
            ("003xx000004tmiqaas", "letter case"),
            ("003XX000004TMIQAAS", "letter case"),
            ("003xx000004Tmi", "14 characters"),
            ("003xx000004TmiQA", "16 characters"),
            ("003xx000004TmiQAAS1", "19 characters"),
            ("003xx000004Tmi-", "other characters"),
            ("003xx000004TmiÄ", "other characters"),
            ("4.92564112121e11", "is a number"),
            ("003xx000004TmiQ ", "blanks around it"),
        ] {
            assert_eq!(normal(Provider::Salesforce, bad), Err(Flaw::NotPristine), "{bad}");
            let told = explain(Provider::Salesforce, bad);
            assert!(told.contains(why), "{bad}: {told}");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_printable() {
        let told = explain(Provider::HubSpot, &"x\u{7}".repeat(100));
        assert!(told.len() < 400 && told.contains("…") && !told.contains('\u{7}'), "{told}");
    }

    proptest! {
        #[test]
        fn any_text_is_either_refused_or_a_plain_id(text in ".{0,24}") {
            for provider in Provider::ALL {
                match normal(provider, &text) {
                    Ok(id) => prop_assert!(id.starts_with(&text) && id.bytes().all(|b| b.is_ascii_alphanumeric())),
                    Err(_) => { explain(provider, &text); }
                }
            }
        }

        #[test]
        fn one_changed_letter_case_breaks_the_checksum(first in "[A-Za-z0-9]{15}", at in 0usize..15) {
            let id = normal(Provider::Salesforce, &first).unwrap();
            let mut changed = id.clone().into_bytes();
            changed[at] ^= 0x20;
            let changed = String::from_utf8(changed).unwrap();
            if id.as_bytes()[at].is_ascii_alphabetic() {
                prop_assert_eq!(normal(Provider::Salesforce, &changed), Err(Flaw::NotPristine));
            }
        }
    }
}
