//! CSV as Salesforce's Bulk API takes and gives it: uploads in the one spelling that the host lets
//! out, and result sets as RFC 4180 allows them. (crm-apis B9)

use super::step::{ID_COLUMN, MAX_ROWS, NULL};
use crate::contract::changes::Changes;
use reverse_sync_wire::csv::{Cell, MAX_COLUMNS, is_column, push_quoted, text};

/// Bytes of one upload, about. The host checks all of an upload before it lets it out, and takes 16
/// MiB.
pub(crate) const UPLOAD_BYTES: usize = 10 << 20;

/// An upload of the first of some members.
pub(crate) struct Upload {
    pub(crate) text: String,
    /// How many of them are in it.
    pub(crate) members: usize,
}

/// Splits members into those that an upload can say and those that it cannot.
pub(crate) fn split(changes: &Changes, members: Vec<usize>) -> (Vec<usize>, Vec<usize>) {
    let mut columns = Columns::default();
    members.into_iter().partition(|member| {
        let mut fits = true;
        let read = each_field(changes.fields(*member), &mut |name, value| {
            fits &= is_column(name) && can_say(value) && columns.takes(name)
        });
        read && fits
    })
}

/// Writes an upload of as many of these as fit.
pub(crate) fn upload(changes: &Changes, members: &[usize]) -> Upload {
    let mut columns = Columns::default();
    let (mut count, mut bytes) = (0, 0);
    for member in members.iter().take(MAX_ROWS) {
        let known = columns.names.len();
        each_field(changes.fields(*member), &mut |name, _| {
            columns.takes(name);
        });
        // Escapes of JSON are not shorter than those of CSV, and a column that is empty costs a
        // comma.
        bytes +=
            changes.fields(*member).len() + changes.id(*member).len() + columns.names.len() + 4;
        if bytes > UPLOAD_BYTES && count > 0 {
            // This change goes into the next upload, and so do its columns.
            columns.names.truncate(known);
            break;
        }
        count += 1;
    }
    let mut text = String::with_capacity(bytes.min(UPLOAD_BYTES) + 4096);
    push_quoted(&mut text, ID_COLUMN);
    for name in &columns.names {
        text.push(',');
        push_quoted(&mut text, name);
    }
    text.push('\n');
    let mut cells: Vec<Option<&str>> = Vec::with_capacity(columns.names.len());
    for member in members.iter().take(count) {
        cells.clear();
        cells.resize(columns.names.len(), None);
        each_field(changes.fields(*member), &mut |name, value| {
            if let Some(cell) = columns.at(name).and_then(|at| cells.get_mut(at)) {
                *cell = Some(value);
            }
        });
        push_quoted(&mut text, changes.id(*member));
        for value in &cells {
            text.push(',');
            if let Some(cell) = value.and_then(cell) {
                cell.push(&mut text);
            }
        }
        text.push('\n');
    }
    Upload { text, members: count }
}

/// Whether the confirmed object has this field, whatever its letter case.
pub(crate) fn has_field(fields: &str, wanted: &str) -> bool {
    let mut found = false;
    each_field(fields, &mut |name, _| found |= name.eq_ignore_ascii_case(wanted));
    found
}

#[derive(Default)]
struct Columns {
    names: Vec<String>,
    /// Where the next name is looked for first: records mostly have their fields in the same order.
    next: std::cell::Cell<usize>,
}

impl Columns {
    /// Makes room for a field. `false`: another spelling of it, or too many others, are there
    /// already. Salesforce does not tell `title` from `Title`.
    fn takes(&mut self, name: &str) -> bool {
        if self.at(name).is_some() {
            return true;
        }
        if self.names.len() >= MAX_COLUMNS
            || self
                .names
                .iter()
                .map(String::as_str)
                .chain([ID_COLUMN])
                .any(|known| known.eq_ignore_ascii_case(name))
        {
            return false;
        }
        self.names.push(name.to_owned());
        true
    }

    fn at(&self, name: &str) -> Option<usize> {
        let guess = Some(self.next.get())
            .filter(|at| self.names.get(*at).is_some_and(|known| known == name));
        let at = guess.or_else(|| self.names.iter().position(|known| known == name))?;
        self.next.set(at + 1);
        Some(at)
    }
}

/// Whether an upload can say a value. A text of blanks may be trimmed to nothing, so it goes in a
/// collection.
fn can_say(json: &str) -> bool {
    match cell(json) {
        Some(Cell::Text(text)) => !text.trim().is_empty(),
        other => other.is_some(),
    }
}

fn cell(json: &str) -> Option<Cell<'_>> {
    Cell::of(json, NULL).ok()
}

/// Name and JSON of each member of an object, in order. `false`: it is not a compact object, as
/// changes are.
fn each_field<'j>(object: &'j str, each: &mut dyn FnMut(&str, &'j str)) -> bool {
    let Some(mut rest) = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return false;
    };
    loop {
        let (name, value) = rest.split_at(end_of_value(rest));
        let (Some(name), Some(value)) = (text(name), value.strip_prefix(':')) else { return false };
        let (value, after) = value.split_at(end_of_value(value));
        each(&name, value);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return after.is_empty() && !value.is_empty(),
        }
    }
}

/// Where the first value of a list of members ends: at a comma, at a colon, or at a
/// bracket that closes the list.
fn end_of_value(json: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b':' | b'}' | b']' if depth == 0 => return at,
            _ => {}
        }
    }
    json.len()
}

/// Reads rows of CSV, one at a time.
pub(crate) struct Rows<'a> {
    rest: &'a [u8],
    /// The cells of the row at hand, one after the other.
    cells: Vec<u8>,
    ends: Vec<usize>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Rows<'a> {
        Rows {
            rest: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
            cells: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Goes to the next row. `false`: there is none.
    pub(crate) fn advance(&mut self) -> bool {
        self.cells.clear();
        self.ends.clear();
        if self.rest.is_empty() {
            return false;
        }
        let mut quoted = false;
        while let Some((&byte, after)) = self.rest.split_first() {
            self.rest = after;
            match byte {
                b'"' if quoted && after.first() == Some(&b'"') => {
                    self.rest = after.get(1..).unwrap_or_default();
                    self.cells.push(b'"');
                }
                b'"' if quoted => quoted = false,
                other if quoted => self.cells.push(other),
                b'"' => quoted = true,
                b',' => self.ends.push(self.cells.len()),
                b'\r' if after.first() == Some(&b'\n') => {}
                b'\n' => break,
                other => self.cells.push(other),
            }
        }
        self.ends.push(self.cells.len());
        true
    }

    /// Where in the row at hand this text stands.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        (0..self.ends.len()).find(|at| self.cell(*at) == name)
    }

    /// A cell of the row at hand; empty past its end and where it is not UTF-8.
    pub(crate) fn cell(&self, at: usize) -> &str {
        let start = if at == 0 { Some(0) } else { self.ends.get(at - 1).copied() };
        match (start, self.ends.get(at)) {
            (Some(start), Some(end)) => self
                .cells
                .get(start..*end)
                .and_then(|cell| str::from_utf8(cell).ok())
                .unwrap_or_default(),
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::types::{ChangeBatch, Strings};
    use proptest::prelude::*;

    fn changes(fields: &[&str]) -> Changes {
        let mut packed = Strings { bytes: String::new(), offsets: vec![0] };
        let mut ids = Strings { bytes: String::new(), offsets: vec![0] };
        for (n, fields) in fields.iter().enumerate() {
            packed.bytes.push_str(fields);
            packed.offsets.push(packed.bytes.len() as u32);
            ids.bytes.push_str(&n.to_string());
            ids.offsets.push(ids.bytes.len() as u32);
        }
        let rows = (1..=fields.len() as u64).collect();
        Changes::new(ChangeBatch { rows, ids, fields: packed, before: None, doubtful: false })
            .unwrap()
    }

    fn written(fields: &[&str]) -> String {
        let changes = changes(fields);
        upload(&changes, &changes.members()).text
    }

    #[test]
    fn an_upload_says_each_value_as_it_was_confirmed() {
        for (fields, expected) in [
            (&[r#"{"A":"x","B":12.50}"#][..], "\"Id\",\"A\",\"B\"\n\"0\",\"x\",12.50\n"),
            (
                &[r#"{"A":null}"#, r#"{"B":true,"A":"y"}"#],
                "\"Id\",\"A\",\"B\"\n\"0\",#N/A,\n\"1\",\"y\",true\n",
            ),
            (&[r#"{"A":"say \"x\",\n\ty"}"#], "\"Id\",\"A\"\n\"0\",\"say \"\"x\"\",\n\ty\"\n"),
            (&[r#"{"A":" Zürich\u00e9 "}"#], "\"Id\",\"A\"\n\"0\",\" Zürich\u{e9} \"\n"),
        ] {
            assert_eq!(written(fields), expected);
        }
    }

    #[test]
    fn what_an_upload_cannot_say_is_left_out_of_it() {
        let changes = changes(&[
            r#"{"A":"x"}"#,
            r#"{"A":""}"#,
            r#"{"A":"  "}"#,
            r##"{"A":"#N/A"}"##,
            r##"{"A":" #N/A"}"##,
            r#"{"Owner.Email":"x"}"#,
            r#"{"Account:Owner.X":"x"}"#,
            r#"{"A":{"b":1}}"#,
            r#"{"A":["b"]}"#,
            r#"{"a":"x"}"#,
            r#"{"id":"x"}"#,
            r##"{"A":"#N/A?","B":0}"##,
            "nonsense",
        ]);
        assert_eq!(
            split(&changes, changes.members()),
            (vec![0, 11], vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12])
        );
    }

    #[test]
    fn members_are_told_apart_whatever_is_in_them() {
        let object =
            r#"{"a":"x,\"y\":{","\u00e9\"":-1.50,"c":{"d":[1,"}"],"e":null},"f":[],"g":true}"#;
        let mut found = Vec::new();
        assert!(each_field(object, &mut |name, value| found.push((name.to_owned(), value))));
        let expected = [
            ("a", r#""x,\"y\":{""#),
            ("é\"", "-1.50"),
            ("c", r#"{"d":[1,"}"],"e":null}"#),
            ("f", "[]"),
            ("g", "true"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        for bad in ["", "{}", "[1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1}x"] {
            assert!(!each_field(bad, &mut |_, _| {}), "{bad}");
        }
    }

    #[test]
    fn an_upload_ends_where_it_is_large_enough() {
        let long = format!(r#"{{"A":"{}"}}"#, "x".repeat(UPLOAD_BYTES / 3));
        let changes = changes(&[&long, &long, &long, &long]);
        assert_eq!(upload(&changes, &[0, 1, 2, 3]).members, 2);
        let giant = format!(r#"{{"A":"{}"}}"#, "x".repeat(UPLOAD_BYTES));
        let changes = self::changes(&[&giant, &long]);
        assert_eq!(upload(&changes, &[0, 1]).members, 1, "never nothing");
        let other = format!(r#"{{"B":"{}"}}"#, "x".repeat(UPLOAD_BYTES / 3));
        let uploaded = upload(&self::changes(&[&long, &long, &other]), &[0, 1, 2]);
        assert_eq!(uploaded.members, 2);
        assert!(uploaded.text.starts_with("\"Id\",\"A\"\n"), "only the columns of what is in it");
    }

    #[test]
    fn columns_are_found_among_many() {
        let wide: String = (0..40).map(|n| format!(r#","F{n}":{n}"#)).collect();
        let wide = format!("{{{}}}", &wide[1..]);
        let text = written(&[&wide, r#"{"F39":1}"#]);
        assert!(text.ends_with(&format!("\n\"1\"{}1\n", ",".repeat(40))), "{text}");
    }

    #[test]
    fn results_are_read_whatever_their_quoting() {
        let text = "\u{feff}\"sf__Id\",\"sf__Error\",Id\r\n1,\"a \"\"b\"\",\nc\",2\n\n,,\"3\"";
        let mut rows = Rows::new(text.as_bytes());
        assert!(rows.advance());
        assert_eq!(
            (rows.position("sf__Id"), rows.position("Id"), rows.position("x")),
            (Some(0), Some(2), None)
        );
        assert!(rows.advance());
        assert_eq!(
            (rows.cell(0), rows.cell(1), rows.cell(2), rows.cell(3)),
            ("1", "a \"b\",\nc", "2", "")
        );
        assert!(rows.advance());
        assert_eq!(rows.cell(0), "");
        assert!(rows.advance());
        assert_eq!(rows.cell(2), "3");
        assert!(!rows.advance());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(values in proptest::collection::vec("(?s)[a-z\",\n\r #]{1,12}", 1..6)) {
            let fields: Vec<String> = values.iter().map(|value| format!(r#"{{"A":{}}}"#, serde_json::json!(value))).collect();
            let borrowed: Vec<&str> = fields.iter().map(String::as_str).collect();
            let text = written(&borrowed);
            let mut rows = Rows::new(text.as_bytes());
            prop_assert!(rows.advance());
            for (n, value) in values.iter().enumerate() {
                prop_assert!(rows.advance());
                prop_assert_eq!(rows.cell(0), n.to_string());
                prop_assert_eq!(rows.cell(1), value);
            }
            prop_assert!(!rows.advance());
        }

        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut rows = Rows::new(&bytes);
            while rows.advance() {
                rows.cell(0);
                rows.position("Id");
            }
        }
    }
}
