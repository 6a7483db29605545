//! SQL: what is taken for one `SELECT` is one to a reader that was written otherwise.

use crate::input::Input;
use reverse_sync_service::fuzzing::single_select;

pub(crate) fn statement(bytes: &[u8]) {
    let mut input = Input(bytes);
    let postgres = input.byte() % 2 == 0;
    let Ok(sql) = str::from_utf8(input.0) else { return };
    let Ok(statement) = single_select(sql, postgres) else { return };
    assert!(sql.contains(statement) && !sql.contains('\0'));
    let bare = bare(sql, postgres).expect("every quote and comment ends");
    let (first, behind) = bare.split_once(';').unwrap_or((&bare, ""));
    assert!(
        behind.chars().all(|c| c == ';' || is_blank(c)),
        "there is something behind the first semicolon: {bare:?}"
    );
    let first = first.trim_start_matches(|c| is_blank(c) || c == '(').to_ascii_lowercase();
    let word: String = first.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    assert!(word == "select" || word == "with", "it begins with {word:?}");
    assert_eq!(
        single_select(statement, postgres),
        Ok(statement),
        "what is handed on is one as well"
    );
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// The text with a blank for each comment and an `x` for each quoted text; `None`: one of them does
/// not end.
fn bare(sql: &str, postgres: bool) -> Option<String> {
    let mut out = String::new();
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let word_before = out
            .chars()
            .next_back()
            .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() || c == '$');
        if let Some(comment) = rest.strip_prefix("--") {
            let end =
                comment.find(|c| c == '\n' || (postgres && c == '\r')).unwrap_or(comment.len());
            rest = &comment[end..];
            out.push(' ');
        } else if rest.starts_with("/*") {
            rest = past_comment(rest, postgres)?;
            out.push(' ');
        } else if matches!(c, '\'' | '"') || (!postgres && c == '`') {
            // An E of its own before it makes backslashes mean something.
            let escapes =
                postgres && c == '\'' && matches!(out.chars().next_back(), Some('e' | 'E')) && {
                    let before = &out[..out.len() - 1];
                    !before.chars().next_back().is_some_and(|c| {
                        c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() || c == '$'
                    })
                };
            rest = past_quote(&rest[1..], c, escapes)?;
            // Behind a quote no word continues.
            out.push_str(" x ");
        } else if c == '[' && !postgres {
            rest = &rest[rest.find(']')? + 1..];
            out.push_str(" x ");
        } else if c == '$' && postgres && !word_before {
            let tag = rest[1..].find('$').map(|end| &rest[..end + 2]);
            let is_tag = |tag: &&str| {
                let name = &tag[1..tag.len() - 1];
                !name.starts_with(|c: char| c.is_ascii_digit())
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii())
            };
            match tag.filter(is_tag) {
                Some(tag) => {
                    let behind = &rest[tag.len()..];
                    rest = &behind[behind.find(tag)? + tag.len()..];
                    out.push_str(" x ");
                }
                None => {
                    out.push_str(" ? ");
                    rest = &rest[1..];
                }
            }
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    Some(out)
}

fn past_comment(text: &str, nests: bool) -> Option<&str> {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let here = &text.as_bytes()[at..];
        if here.starts_with(b"/*") && (nests || depth == 0) {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(&text[at..]);
            }
        } else {
            at += 1;
        }
    }
    None
}

fn past_quote(text: &str, quote: char, escapes: bool) -> Option<&str> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return Some(&text[at + 1..]);
            }
        }
    }
    None
}
