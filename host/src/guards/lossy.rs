//! Values that lose something against what the CRM held: cut off, or without the format that they
//! had.
//!
//! Golden records are made by programs that normalise: a telephone number becomes digits, a name
//! becomes lower case. That helps when records are compared, and harms when the result is written
//! back.

/// Whether `after` says less than `before`: it is the beginning of it, or the same letters and
/// digits without the punctuation, the capitals or the accents, or the last digits of a number
/// whose prefix is gone.
pub(super) fn is_lossy(before: &str, after: &str) -> bool {
    let (before, after) = (before.trim(), after.trim());
    if before.is_empty() || after.is_empty() || before == after {
        return false;
    }
    // Spaces alone are tidying up.
    if letters_and_signs(before) == letters_and_signs(after) {
        return false;
    }
    is_cut_off(before, after) || lost_its_prefix(before, after) || lost_its_format(before, after)
}

/// `after` is the beginning of `before`, and short of more than punctuation. What ends at the end
/// of a word is a choice (`Acme` for `Acme Inc.`), unless it has the look of a limit (`Very long
/// title that was cu`).
fn is_cut_off(before: &str, after: &str) -> bool {
    let kept = after.trim_end_matches(['…', '.']);
    // A small number that becomes another one is not text that was cut off.
    let quantities =
        before.len() < 7 && before.parse::<f64>().is_ok() && after.parse::<f64>().is_ok();
    !kept.is_empty()
        && !quantities
        && before.strip_prefix(kept).is_some_and(|rest| {
            let within_a_word = kept.chars().next_back().is_some_and(char::is_alphanumeric)
                && rest.chars().next().is_some_and(char::is_alphanumeric);
            within_a_word || after.ends_with(['…']) || after.ends_with("...")
        })
}

/// A number of which the last digits are left: `+1 406-555-5107` and `4065555107`.
fn lost_its_prefix(before: &str, after: &str) -> bool {
    let (long, short) = (digits(before), digits(after));
    let numbers = [before, after].iter().all(|text| !text.chars().any(char::is_alphabetic));
    numbers && short.len() >= 5 && short.len() < long.len() && long.ends_with(&short)
}

/// The same letters and digits, but signs, capitals or accents are gone, and none have come.
fn lost_its_format(before: &str, after: &str) -> bool {
    if folded(before) != folded(after) {
        return false;
    }
    let signs =
        |text: &str| text.chars().filter(|c| !c.is_alphanumeric() && !c.is_whitespace()).count();
    let accents =
        |text: &str| text.chars().filter(|c| c.is_alphabetic() && unaccented(*c).is_some()).count();
    let lost_signs = signs(after) < signs(before);
    let lost_accents = accents(after) < accents(before);
    // `MCDONALD` to `McDonald` is gain; `McDonald` to `mcdonald` or `MCDONALD` is loss.
    let lost_case = mixed_case(before) && !mixed_case(after);
    let gained = signs(after) > signs(before) || accents(after) > accents(before);
    (lost_signs || lost_accents || lost_case) && !gained
}

fn mixed_case(text: &str) -> bool {
    text.chars().any(char::is_uppercase) && text.chars().any(char::is_lowercase)
}

fn letters_and_signs(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Letters and digits in lower case, without accents.
fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in
        text.chars().filter(|c| c.is_alphanumeric() && !is_mark(*c)).flat_map(char::to_lowercase)
    {
        match unaccented(c) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(c),
        }
    }
    folded
}

/// A combining mark, as a decomposed `é` has one.
fn is_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

/// The Latin letters that programs like to flatten, without their accents.
fn unaccented(c: char) -> Option<&'static str> {
    Some(match c.to_lowercase().next()? {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'č' | 'ĉ' | 'ċ' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'ŕ' | 'ř' => "r",
        'ś' | 'ş' | 'š' | 'ș' => "s",
        'ţ' | 'ť' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_less_than_before_is_lossy() {
        for (before, after) in [
            ("+1 406-555-5107", "4065555107"),
            ("+1 406-555-5107", "14065555107"),
            ("+1 406-555-5107", "+14065555107"),
            ("(406) 555-5107", "406 555 5107"),
            ("0043 1 23456", "123456"),
            ("Zürich", "Zurich"),
            ("Straße", "Strasse"),
            ("José Álvarez", "Jose Alvarez"),
            ("O'Neil", "ONeil"),
            ("Jean-Luc", "Jean Luc"),
            ("McDonald", "mcdonald"),
            ("McDonald", "MCDONALD"),
            ("Halligan", "Hallig"),
            (
                "The description of a company that is rather long",
                "The description of a company that is rath",
            ),
            ("The description of a company", "The description…"),
            ("Acme, Inc.", "acme inc"),
            ("4065555107", "406555510"),
            ("12.50", "1250"),
        ] {
            assert!(is_lossy(before, after), "{before} -> {after}");
        }
    }

    #[test]
    fn what_says_something_else_or_more_is_not() {
        for (before, after) in [
            ("", "x"),
            ("x", ""),
            ("x", "x"),
            ("Brian", "Maria"),
            ("4065555107", "+1 406-555-5107"),
            ("Zurich", "Zürich"),
            ("halligan", "Halligan"),
            ("HALLIGAN", "Halligan"),
            ("Hallig", "Halligan"),
            ("Acme Inc.", "Acme"),
            ("Brian  Halligan ", "Brian Halligan"),
            ("2024-01-05", "2024-02-05"),
            ("12345", "345"),
            ("New York 10001", "10001"),
            ("brian@old.example", "brian@new.example"),
            ("100.50", "99.50"),
            ("1500", "15"),
            ("12.75", "12.7"),
        ] {
            assert!(!is_lossy(before, after), "{before} -> {after}");
        }
    }
}
