//! Mistakes in what people write: a key that is missing, misspelled, or has the wrong value. The
//! project file and the service's request bodies say them in the same words, and never repeat a
//! value, which may be a secret that was pasted into the wrong place.
//!
//! ```
//! use reverse_sync::mistakes::{explained, nearest};
//!
//! assert_eq!(nearest("feilds", ["fields", "object"]), Some("fields"));
//! let said = explained("it", &["guards", "max_change"], "unknown field `max_change`, expected `max_changes`");
//! assert_eq!(said, "unknown key `max_change` in `guards` (did you mean `max_changes`?)");
//! ```

/// Longest name that is repeated, in characters.
const SHOWN: usize = 64;

/// The name that was probably meant: the nearest one, if it is near.
pub fn nearest<'n>(key: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let (key, most) =
        (key.chars().take(SHOWN).collect::<String>().to_lowercase(), 1 + key.len() / 5);
    let near = names
        .into_iter()
        .map(|name| (distance(&key, name), name))
        .filter(|(distance, _)| *distance <= most);
    near.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// The nearest name as the end of a sentence, such as "; did you mean `people`?"; empty if none is
/// near.
pub fn meant<'n>(key: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    nearest(key, names).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

/// How many characters must be put in, left out, changed, or swapped with their neighbour to
/// make one text of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let (mut before, mut row) = (Vec::new(), (0..=other.len()).collect::<Vec<_>>());
    let mut last = '\0';
    for (i, c) in one.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, o) in other.iter().enumerate() {
            let mut least = (row[j] + usize::from(c != *o)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && c == other[j - 1] && last == *o {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        (before, row, last) = (row, next, c);
    }
    row[other.len()]
}

/// Names in backticks.
pub fn listed<'n>(names: impl IntoIterator<Item = impl AsRef<str> + 'n>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A type of Rust, as it is named to people.
pub fn type_name(expected: &str) -> &str {
    match expected {
        "f64" => "a number",
        "u32" | "u64" => "a whole number",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "a list",
        other => other,
    }
}

/// The key that serde misses, of its message.
pub fn missing(text: &str) -> Option<&str> {
    text.strip_prefix("missing field `").map(|key| key.trim_end_matches('`'))
}

/// What serde says about the key at the end of these steps, or about the `whole` if there are none.
pub fn explained(whole: &str, steps: &[impl AsRef<str>], text: &str) -> String {
    let steps: Vec<&str> = steps.iter().map(AsRef::as_ref).collect();
    let expected = text.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    let place = if steps.is_empty() { whole.to_owned() } else { format!("`{}`", steps.join(".")) };
    if let Some(key) = missing(text) {
        return format!("Required: `{}`", [&steps[..], &[key]].concat().join("."));
    }
    if text.starts_with("unknown field ") {
        let keys: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let (key, within) =
            steps.split_last().map_or(("", &[][..]), |(key, within)| (*key, within));
        let within = match within {
            [] => String::new(),
            within => format!(" in `{}`", within.join(".")),
        };
        // A name below a credential is not repeated: people paste secrets anywhere.
        if steps.iter().any(|step| matches!(*step, "access_token" | "oauth")) {
            return format!("unknown key{within} (the keys are {})", listed(keys));
        }
        let hint = match nearest(key, keys.iter().copied()) {
            Some(meant) => format!("(did you mean `{meant}`?)"),
            None => format!("(the keys are {})", listed(keys)),
        };
        let key: String = key.chars().take(SHOWN).collect();
        return format!("unknown key `{key}`{within} {hint}");
    }
    if text.starts_with("unknown variant ") {
        format!("{place} must be {expected}")
    } else if text.starts_with("invalid ") {
        format!("{place} must be {}", type_name(expected))
    } else if let Some(rest) = text.strip_prefix("it ") {
        format!("{place} {rest}")
    } else {
        format!("{place} is invalid: {text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_understood() {
        let names = ["name", "fields", "entity_type", "config_json"];
        for (key, meant) in [
            ("feilds", Some("fields")),
            ("Name", Some("name")),
            ("nam", Some("name")),
            ("entitytype", Some("entity_type")),
            ("config", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(key, names), meant, "{key}");
        }
        assert_eq!(
            (distance("", "abc"), distance("kitten", "sitting"), distance("ca", "ac")),
            (3, 3, 1)
        );
    }

    #[test]
    fn a_mistake_is_said_by_its_key_and_without_its_value() {
        for (steps, text, said) in [
            (&["a", "b"][..], "missing field `c`", "Required: `a.b.c`"),
            (&[], "missing field `c`", "Required: `c`"),
            (&[], "invalid type: null, expected a map", "the file must be an object"),
            (&["a"], "say where it is", "`a` is invalid: say where it is"),
            (
                &["a", "b"],
                "invalid type: string \"pat-sesame\", expected a boolean",
                "`a.b` must be true or false",
            ),
            (&["a"], "unknown variant `pat-sesame`, expected `x` or `y`", "`a` must be `x` or `y`"),
            (&["a"], "it is a percentage, 0 to 100", "`a` is a percentage, 0 to 100"),
            (
                &["sources", "a", "oauth", "pat-sesame"],
                "unknown field `pat-sesame`, expected one of `grant`, `client_id`",
                "unknown key in `sources.a.oauth` (the keys are `grant`, `client_id`)",
            ),
            (
                &["q.r"],
                "unknown field `q.r`, expected one of `abcd`, `efgh`",
                "unknown key `q.r` (the keys are `abcd`, `efgh`)",
            ),
        ] {
            assert_eq!(explained("the file", steps, text), said);
        }
    }
}
