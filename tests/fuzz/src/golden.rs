//! Golden records as text: never a panic, the same values however the bytes come in, and those that
//! another parser reads.

use crate::input::Input;
use reverse_sync::{
    fuzzing::{self, Table},
    records::CsvForm,
};
use serde_json::{Map, Value};

/// A table, or the words of its refusal.
fn told(read: Result<Table, reverse_sync::records::RecordsError>) -> Result<Table, String> {
    read.map_err(|error| error.to_string())
}

pub(crate) fn csv(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (kind, piece) = (input.byte(), usize::from(input.byte() % 32) + 1);
    let text = input.0;
    let form = CsvForm {
        delimiter: [None, Some(b';'), Some(b'\t'), Some(b' ')][usize::from(kind % 4)],
        quote: [None, Some(b'\'')][usize::from(kind / 4 % 2)],
        escape: [None, None, None, Some(b'\\')][usize::from(kind / 8 % 4)],
    };
    let whole = told(fuzzing::csv(text, form, 1 << 16));
    let pieces = told(fuzzing::csv(text, form, piece));
    // What was read before the fault that ends it may be told in other words.
    assert_eq!(whole.is_ok(), pieces.is_ok(), "{whole:?} {pieces:?}");
    let _ = fuzzing::marked_csv(text, piece);
    let Ok(table) = whole else { return };
    assert_eq!(Ok(&table), pieces.as_ref());
    let mut parser = csv::ReaderBuilder::new();
    parser
        .has_headers(false)
        .delimiter(form.delimiter.unwrap_or(b','))
        .quote(form.quote.unwrap_or(b'"'))
        .escape(form.escape);
    if form.escape.is_some() {
        parser.double_quote(true);
    }
    // The other parser takes a byte order mark away itself, if there is no more than one.
    if text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).starts_with(b"sep=") {
        return;
    }
    let mut rows = parser
        .from_reader(text)
        .into_records()
        .map(|row| row.expect("what was read is CSV to another parser"));
    let names: Vec<String> = rows.next().unwrap().iter().map(str::to_owned).collect();
    assert!(table.rows.is_empty() || table.names == names, "{names:?}");
    let mut found = table.rows.iter();
    for row in rows {
        let cells: Vec<Option<String>> =
            row.iter().map(|cell| (!cell.is_empty()).then(|| cell.to_owned())).collect();
        let ours: Vec<Option<String>> =
            found.next().expect("as many records").iter().map(|(_, cell)| cell.clone()).collect();
        assert_eq!(ours, cells);
    }
    assert!(found.next().is_none(), "more records than another parser finds");
}

pub(crate) fn jsonl(bytes: &[u8]) {
    let mut input = Input(bytes);
    let piece = usize::from(input.byte() % 32) + 1;
    let whole = told(fuzzing::jsonl(input.0, 1 << 16));
    assert_eq!(whole, told(fuzzing::jsonl(input.0, piece)));
    let Ok(table) = whole else { return };
    let text = str::from_utf8(input.0).expect("what was read is text");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.split('\n').filter(|line| !line.trim().is_empty());
    let mut rows = table.rows.iter();
    for line in lines {
        let row = rows.next().expect("as many records as lines");
        // Numbers that are too large for another parser are told as they are spelled, and so is
        // what is nested too deep for it.
        let Ok(object) = serde_json::from_str::<Map<String, Value>>(line) else { continue };
        let values = row.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
        let mut count = 0;
        for (name, value) in values {
            count += 1;
            assert_eq!(
                serde_json::from_str::<Value>(value).ok().as_ref(),
                object.get(name),
                "`{name}` of {line}"
            );
            assert!(line.contains(value.as_str()), "not as it is spelled");
        }
        assert_eq!(count, object.len());
    }
    assert!(rows.next().is_none(), "more records than lines");
}
