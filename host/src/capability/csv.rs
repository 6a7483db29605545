//! Bodies in CSV: one exact spelling for the confirmed changes, and the ids that an answer in CSV
//! names.
//!
//! As with templates, nothing is interpreted that could be read in two ways: the header says which
//! fields the columns are, and from there on each row's cells follow from the change's confirmed
//! JSON, byte for byte.

use super::{Witness, template::Cursor};
use crate::contract::capabilities as wit;
use reverse_sync_wire::csv::{Cell, MAX_COLUMNS, is_column};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// What an upload has to look like. See `csv-form` in `wit/capabilities.wit`.
#[derive(Debug)]
pub(super) struct CsvForm {
    id_column: String,
    null: String,
    max: usize,
}

impl CsvForm {
    pub(super) fn compile(asked: &wit::CsvForm) -> Result<CsvForm, String> {
        let plain = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b','))
        };
        if !plain(&asked.id_column) || !plain(&asked.null) || asked.max == 0 {
            return Err(
                "an upload needs the name of its id column, a text for null (both of plain characters) and a number of rows".to_owned()
            );
        }
        Ok(CsvForm {
            id_column: asked.id_column.clone(),
            null: asked.null.clone(),
            max: asked.max as usize,
        })
    }

    pub(super) fn id_column(&self) -> &str {
        &self.id_column
    }

    /// Holds a body against the changes that it names.
    pub(super) fn check(&self, body: &[u8], witness: &mut dyn Witness) -> Result<(), String> {
        let mut cursor = Cursor { rest: body };
        let columns = self.header(&mut cursor)?;
        let mut rows = 0;
        let mut expected = String::new();
        while rows == 0 || !cursor.rest.is_empty() {
            rows += 1;
            if rows > self.max {
                return Err(format!("more than {} records in one upload", self.max));
            }
            if !cursor.take(b"\"") {
                return Err(format!(
                    "expected a row that begins with a record id, found `{}`",
                    cursor.here()
                ));
            }
            let id = cursor.id()?;
            expected.clear();
            self.push_row(&mut expected, witness.claim(id)?, &columns)
                .map_err(|reason| format!("{reason}, for record {id}"))?;
            if !cursor.take(expected.as_bytes()) {
                return Err(format!(
                    "the cells for record {id} are not the confirmed values, at `{}`",
                    cursor.here()
                ));
            }
        }
        Ok(())
    }

    /// The names of the columns after that of the id.
    fn header(&self, cursor: &mut Cursor<'_>) -> Result<Vec<String>, String> {
        let mut columns: Vec<String> = Vec::new();
        let mut id_column = true;
        loop {
            let name = quoted(cursor).ok_or_else(|| {
                format!("expected the name of a column, found `{}`", cursor.here())
            })?;
            if id_column && name != self.id_column {
                return Err(format!("the first column is `{name}`, not `{}`", self.id_column));
            }
            if !id_column {
                if !is_column(&name) {
                    return Err(format!("the column `{name}` would look up another record"));
                }
                if name == self.id_column || columns.contains(&name) {
                    return Err(format!("the column `{name}` is there twice"));
                }
                columns.push(name);
            }
            id_column = false;
            if columns.len() > MAX_COLUMNS {
                return Err(format!("more than {MAX_COLUMNS} columns"));
            }
            if cursor.take(b"\n") {
                return Ok(columns);
            }
            if !cursor.take(b",") {
                return Err(format!("expected the end of the header, found `{}`", cursor.here()));
            }
        }
    }

    /// What has to follow the id: the end of its cell, the cells of all columns, the end of the
    /// row.
    fn push_row(
        &self,
        out: &mut String,
        confirmed: &[u8],
        columns: &[String],
    ) -> Result<(), String> {
        let fields: BTreeMap<Name<'_>, &RawValue> = serde_json::from_slice(confirmed)
            .map_err(|_| "its confirmed values are not a JSON object".to_owned())?;
        out.push('"');
        let mut written = 0;
        for column in columns {
            out.push(',');
            if let Some(value) = fields.get(column.as_str()) {
                written += 1;
                Cell::of(value.get(), &self.null)
                    .map_err(|reason| format!("the field `{column}` {reason}"))?
                    .push(out);
            }
        }
        out.push('\n');
        if written == fields.len() {
            return Ok(());
        }
        let missing = fields.keys().find(|name| !columns.iter().any(|column| *column == name.0));
        Err(format!("the confirmed field `{}` has no column", missing.map_or("", |name| &name.0)))
    }
}

/// A JSON string, borrowed where it has no escapes.
#[derive(serde::Deserialize, PartialEq, Eq, PartialOrd, Ord)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::borrow::Borrow<str> for Name<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Takes a cell in quotation marks.
fn quoted(cursor: &mut Cursor<'_>) -> Option<String> {
    if !cursor.take(b"\"") {
        return None;
    }
    let mut text = Vec::new();
    loop {
        let end = memchr::memchr(b'"', cursor.rest)?;
        text.extend_from_slice(&cursor.rest[..end]);
        cursor.rest = &cursor.rest[end + 1..];
        if !cursor.take(b"\"") {
            return String::from_utf8(text).ok();
        }
        text.push(b'"');
    }
}

/// The ids that an answer in CSV has in the column `id_column`; none if it is not such a CSV.
pub(crate) fn ids(answer: &[u8], id_column: &str, mut each: impl FnMut(&str)) {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(answer);
    let Some(at) = reader
        .byte_headers()
        .ok()
        .and_then(|header| header.iter().position(|name| name == id_column.as_bytes()))
    else {
        return;
    };
    let mut row = csv::ByteRecord::new();
    while let Ok(true) = reader.read_byte_record(&mut row) {
        if let Some(id) = row.get(at).and_then(|id| str::from_utf8(id).ok()) {
            each(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reverse_sync_wire::csv::push_quoted;
    use serde_json::{Map, Value, json};
    use std::collections::HashMap;

    struct Plan(HashMap<String, String>);

    impl Witness for Plan {
        fn claim(&mut self, id: &str) -> Result<&[u8], String> {
            // Named once: what is claimed is forgotten, and lives as long as the test.
            self.0
                .remove(id)
                .map(|text| &*text.leak())
                .map(str::as_bytes)
                .ok_or_else(|| format!("{id} is not in hand"))
        }
    }

    fn form() -> CsvForm {
        CsvForm::compile(&wit::CsvForm { id_column: "Id".into(), null: "#N/A".into(), max: 3 })
            .unwrap()
    }

    fn plan() -> Plan {
        let confirmed = [
            ("1", r#"{"Title":"a \"b\",\nc","Age":12.50,"Active":true}"#),
            ("2", r#"{"Title":null,"Äge":"x"}"#),
            ("3", r#"{"Age":7}"#),
            ("4", r#"{"Age":8}"#),
            ("5", r#"{"Title":""}"#),
            ("6", r##"{"Title":"#N/A"}"##),
            ("7", r#"{"Title":["a"]}"#),
            ("8", r#"{"Title":" x ","Age":1}"#),
            ("10", r#"{"Owner.Email":"x"}"#),
        ];
        Plan(confirmed.into_iter().map(|(id, fields)| (id.to_owned(), fields.to_owned())).collect())
    }

    fn check(body: &str) -> Result<(), String> {
        form().check(body.as_bytes(), &mut plan())
    }

    #[test]
    fn what_is_confirmed_is_let_through_in_its_one_spelling() {
        for body in [
            "\"Id\",\"Title\",\"Age\",\"Active\"\n\"1\",\"a \"\"b\"\",\nc\",12.50,true\n",
            "\"Id\",\"Active\",\"Title\",\"Age\"\n\"1\",true,\"a \"\"b\"\",\nc\",12.50\n",
            "\"Id\",\"Title\",\"Äge\",\"Age\"\n\"2\",#N/A,\"x\",\n\"3\",,,7\n",
            "\"Id\",\"Age\",\"Title\"\n\"8\",1,\" x \"\n",
            "\"Id\",\"Age\"\n\"3\",7\n\"4\",8\n",
        ] {
            check(body).unwrap();
        }
    }

    #[test]
    fn whatever_differs_stays() {
        for (body, why) in [
            ("", "nothing"),
            ("\"Id\",\"Age\"\n", "no row"),
            ("\"Id\",\"Age\"\n\"3\",8\n", "another value"),
            ("\"Id\",\"Age\"\n\"3\",8\n\"4\",7\n", "values of each other"),
            ("\"Id\",\"Age\",\"Title\"\n\"8\",\" x \",1\n", "columns swapped in a row"),
            ("\"Id\",\"Age\",\"Title\"\n\"8\",1,\"x\"\n", "a text that is trimmed"),
            ("\"Id\",\"Title\",\"Age\"\n\"1\",\"a \"\"b\"\",\nc\",12.50\n", "a field left out"),
            (
                "\"Id\",\"Title\",\"Age\",\"Active\"\n\"1\",\"a \"\"b\"\",\nc\",12.5,true\n",
                "a number in another spelling",
            ),
            (
                "\"Id\",\"Title\",\"Age\",\"Active\"\n\"1\",\"a \"\"b\"\",\nc\",12.50,true,\n",
                "a cell more",
            ),
            ("\"Id\",\"Age\",\"Title\"\n\"3\",7\n", "a cell less"),
            ("\"Id\",\"Age\",\"Title\"\n\"3\",7,\"x\"\n", "a field that the change does not have"),
            ("\"Id\",\"Age\",\"Title\"\n\"3\",7,\"\"\n", "an empty text where there is none"),
            ("\"Id\",\"Age\"\n\"9\",7\n", "an id outside the plan"),
            ("\"Id\",\"Owner.Email\"\n\"10\",\"x\"\n", "a lookup of another record"),
            ("\"Id\",\"Age\"\n\"3\",7\n\"3\",7\n", "an id twice"),
            ("\"Id\",\"Age\"\n\"3\",7", "a row without an end"),
            ("\"Id\",\"Age\"\n\"3\",7\r\n", "another line ending"),
            ("\"Id\",\"Age\"\n3,7\n", "an id without quotation marks"),
            ("Id,Age\n\"3\",7\n", "a header without quotation marks"),
            ("\"Name\",\"Age\"\n\"3\",7\n", "another id column"),
            ("\"Id\",\"Age\",\"Age\"\n\"3\",7,7\n", "a column twice"),
            ("\"Id\",\"Age\",\"Id\"\n\"3\",7,\n", "the id column twice"),
            ("\"Id\";\"Age\"\n\"3\";7\n", "another delimiter"),
            ("\"Id\",\"Title\"\n\"5\",\n", "an empty text, which would be ignored"),
            ("\"Id\",\"Title\"\n\"5\",\"\"\n", "an empty text in quotation marks"),
            ("\"Id\",\"Title\"\n\"6\",\"#N/A\"\n", "a text that would clear"),
            ("\"Id\",\"Title\"\n\"7\",\"a\"\n", "a list"),
            (
                "\"Id\",\"Title\",\"Äge\"\n\"2\",,\"x\"\n",
                "a null as an empty cell, which would be ignored",
            ),
            ("\"Id\",\"Title\",\"Äge\"\n\"2\",\"#N/A\",\"x\"\n", "a null in quotation marks"),
            ("\"Id\",\"Age\"\n\"3\",7\n\n", "an empty line"),
        ] {
            assert!(check(body).is_err(), "{why}: {body}");
        }
        let four = plan();
        let many: String = ["1", "2", "3", "4"].iter().map(|id| format!("\"{id}\"\n")).collect();
        let mut empty = Plan(four.0.into_keys().map(|id| (id, "{}".to_owned())).collect());
        let told = form().check(format!("\"Id\"\n{many}").as_bytes(), &mut empty).unwrap_err();
        assert!(told.contains("more than 3"), "{told}");
    }

    #[test]
    fn ids_are_those_of_the_column_and_of_no_other() {
        let named = |answer: &str| {
            let mut found = Vec::new();
            ids(answer.as_bytes(), "Id", |id| found.push(id.to_owned()));
            found
        };
        assert_eq!(
            named("\"sf__Id\",\"sf__Error\",Id,ReportsToId\n9,\"x\n5,5,5\",7,8\n,,\"6\",8\n"),
            ["7", "6"]
        );
        assert_eq!(named("Name,ReportsToId\n1,2\n"), [""; 0]);
        assert_eq!(named("{\"Id\":\"7\"}"), [""; 0]);
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "(?s).{1,20}"
                .prop_filter("cannot be said", |text| text != "#N/A")
                .prop_map(Value::from),
            "[\"\n\r, #N/A]{1,6}"
                .prop_filter("cannot be said", |text| text != "#N/A")
                .prop_map(Value::from),
        ]
    }

    proptest! {
        /// What is let through is read by a CSV parser as the confirmed values and nothing else,
        /// and no byte of it can be another.
        #[test]
        fn what_passes_means_what_was_confirmed(
            fields in proptest::collection::btree_map(
                "[A-Za-z\"é, ]{1,8}".prop_filter("the column of ids", |name| name != "Id"), value(), 1..5),
            at in any::<prop::sample::Index>(),
            other in any::<u8>(),
        ) {
            let form = form();
            let confirmed = Value::Object(Map::from_iter(fields.clone())).to_string();
            let names: Vec<String> = fields.keys().cloned().collect();
            let mut body = "\"Id\"".to_owned();
            for name in &names {
                body.push(',');
                push_quoted(&mut body, name);
            }
            body.push_str("\n\"17");
            form.push_row(&mut body, confirmed.as_bytes(), &names).unwrap();
            let mut body = body.into_bytes();
            let plan = || Plan(HashMap::from([("17".to_owned(), confirmed.clone())]));
            prop_assert_eq!(form.check(&body, &mut plan()), Ok(()));

            let mut reader = csv::ReaderBuilder::new().has_headers(false).terminator(csv::Terminator::Any(b'\n')).from_reader(body.as_slice());
            let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
            prop_assert_eq!(rows.len(), 2);
            prop_assert_eq!(&rows[1][0], "17");
            for (name, cell) in rows[0].iter().zip(&rows[1]).skip(1) {
                let read = match &fields[name] {
                    Value::String(_) => json!(cell),
                    Value::Null => if cell == "#N/A" { Value::Null } else { json!(cell) },
                    _ => serde_json::from_str(cell).unwrap(),
                };
                prop_assert_eq!(&read, &fields[name]);
            }

            let at = at.index(body.len());
            if body[at] != other {
                body[at] = other;
                prop_assert!(form.check(&body, &mut plan()).is_err());
            }
        }
    }
}
