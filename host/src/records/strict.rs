//! CSV as RFC 4180 has it, or not at all: parsers repair what is wrong with quotes, each in its own
//! way, and a repaired value is a wrong one.
//!
//! This looks at the bytes before the parser does, and counts their lines, which the parser does
//! not: a record may have several.

use std::collections::VecDeque;

/// How cells are set apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
    pub(super) escape: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first byte of a record.
    Record,
    /// At the start of a cell, after spaces perhaps.
    Cell {
        spaces: bool,
    },
    /// In a cell without quotes.
    Bare,
    Quoted,
    /// Behind the escape character, in quotes.
    Escaped,
    /// Behind a quote in quotes: it is doubled, or the cell ends.
    Quote {
        after_backslash: bool,
    },
}

/// Something that is not CSV: where, and what.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) line: u64,
    pub(super) reason: String,
}

/// Goes through the bytes once, piece by piece.
#[derive(Debug)]
pub(super) struct Strict {
    dialect: Dialect,
    at: At,
    line: u64,
    /// The last byte was a carriage return, so that a line feed is not a further line.
    after_return: bool,
    /// The last byte in quotes was a backslash.
    backslash: bool,
    /// The line on which the quoted cell at hand begins.
    opened: u64,
    /// Records that have begun, the header included.
    records: u64,
    /// The lines on which the records begin that have not been taken yet.
    lines: VecDeque<u64>,
}

impl Strict {
    pub(super) fn new(dialect: Dialect) -> Strict {
        let (line, at) = (1, At::Record);
        Strict {
            dialect,
            at,
            line,
            after_return: false,
            backslash: false,
            opened: 1,
            records: 0,
            lines: VecDeque::new(),
        }
    }

    /// The line of a record that has not been taken yet, or the last line.
    pub(super) fn line(&self, record: usize) -> u64 {
        self.lines.get(record).copied().unwrap_or(self.line)
    }

    /// So many records have been dealt with.
    pub(super) fn take(&mut self, records: usize) {
        self.lines.drain(..records.min(self.lines.len()));
    }

    /// Whether the last record that began has ended.
    pub(super) fn is_between_records(&self) -> bool {
        self.records > 0 && self.at == At::Record
    }

    /// A line that is not CSV's, such as `sep=;`.
    pub(super) fn skip_line(&mut self) {
        self.line += 1;
    }

    /// The next bytes.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let Dialect { delimiter, quote, escape } = self.dialect;
        let mut next = 0;
        while let Some(&byte) = bytes.get(next) {
            match self.at {
                At::Bare => {
                    // Most of a file: on to the end of the line, past its cells, if there is no
                    // quote in it.
                    let rest = &bytes[next..];
                    match memchr::memchr3(quote, b'\n', b'\r', rest) {
                        None => {
                            self.after_bare(rest);
                            return Ok(());
                        }
                        Some(end) => {
                            self.after_bare(&rest[..end]);
                            next += end;
                            if rest[end] == quote {
                                if let At::Cell { spaces } = self.at {
                                    self.open(spaces)?;
                                }
                                next += 1;
                            } else {
                                self.line_break(rest[end]);
                                self.at = At::Record;
                                next += 1;
                            }
                        }
                    }
                    continue;
                }
                At::Record if byte == b'\n' || byte == b'\r' => self.line_break(byte),
                At::Record | At::Cell { .. } => {
                    if self.at == At::Record {
                        self.records += 1;
                        self.lines.push_back(self.line);
                        self.after_return = false;
                        self.at = At::Cell { spaces: false };
                    }
                    if byte == quote {
                        self.open(matches!(self.at, At::Cell { spaces: true }))?;
                    } else if byte == b' ' && delimiter != b' ' {
                        self.at = At::Cell { spaces: true };
                    } else if byte == delimiter {
                        self.at = At::Cell { spaces: false };
                    } else if byte == b'\n' || byte == b'\r' {
                        self.line_break(byte);
                        self.at = At::Record;
                    } else {
                        self.at = At::Bare;
                    }
                }
                At::Quoted => {
                    let rest = &bytes[next..];
                    let end = match escape {
                        Some(escape) => {
                            rest.iter().position(|byte| *byte == quote || *byte == escape)
                        }
                        None => memchr::memchr(quote, rest),
                    };
                    let text = &rest[..end.unwrap_or(rest.len())];
                    self.breaks_in(text);
                    let Some(end) = end else { return Ok(()) };
                    next += end;
                    self.at = if escape == Some(rest[end]) {
                        At::Escaped
                    } else {
                        At::Quote { after_backslash: self.backslash }
                    };
                    if self.at != At::Escaped {
                        self.backslash = false;
                    }
                }
                At::Escaped => {
                    self.breaks_in(&[byte]);
                    self.at = At::Quoted;
                }
                At::Quote { after_backslash } => {
                    if byte == quote {
                        self.at = At::Quoted;
                        self.after_return = false;
                    } else if byte == delimiter {
                        self.at = At::Cell { spaces: false };
                    } else if byte == b'\n' || byte == b'\r' {
                        self.after_return = false;
                        self.line_break(byte);
                        self.at = At::Record;
                    } else {
                        return Err(self.behind_quote(after_backslash));
                    }
                }
            }
            next += 1;
        }
        Ok(())
    }

    /// No more bytes come.
    pub(super) fn end(&self) -> Result<(), Fault> {
        match self.at {
            At::Quoted | At::Escaped => Err(Fault {
                line: self.opened,
                reason: format!(
                    "the quote that opens here, in record {}, is never closed; close it, and double a quote inside a quoted cell",
                    self.record()
                ),
            }),
            _ => Ok(()),
        }
    }

    /// The number of the record at hand; the header is none.
    fn record(&self) -> u64 {
        self.records.saturating_sub(1)
    }

    /// Bytes of cells without quotes.
    fn after_bare(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.at =
            match bytes.iter().rposition(|byte| *byte != b' ' || self.dialect.delimiter == b' ') {
                Some(last) if bytes[last] == self.dialect.delimiter => {
                    At::Cell { spaces: last + 1 < bytes.len() }
                }
                _ => At::Bare,
            };
    }

    fn open(&mut self, spaces: bool) -> Result<(), Fault> {
        if spaces {
            let reason = format!(
                "record {} has a space before a quote that opens a cell, which some programs take for part of the value and others do not; leave the space out",
                self.record()
            );
            return Err(Fault { line: self.line, reason });
        }
        (self.at, self.opened, self.backslash, self.after_return) =
            (At::Quoted, self.line, false, false);
        Ok(())
    }

    fn behind_quote(&self, after_backslash: bool) -> Fault {
        let record = self.record();
        let reason = if after_backslash {
            format!(
                "record {record} has a quote behind a backslash, and text behind it; CSV doubles a quote inside a quoted cell (`\"\"`): write the file again so, or say so in the project file: records = {{ files = …, escape = \"\\\\\" }}"
            )
        } else {
            format!(
                "record {record} has text behind a closing quote; double a quote inside a quoted cell (`\"\"`)"
            )
        };
        Fault { line: self.line, reason }
    }

    fn line_break(&mut self, byte: u8) {
        if byte == b'\r' || !self.after_return {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
    }

    /// Counts the line breaks of a text in quotes.
    fn breaks_in(&mut self, text: &[u8]) {
        let Some(last) = text.last() else { return };
        let mut from = 0;
        for at in memchr::memchr2_iter(b'\n', b'\r', text) {
            self.after_return &= at == from;
            self.line_break(text[at]);
            from = at + 1;
        }
        self.after_return &= from == text.len();
        self.backslash = *last == b'\\';
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RFC: Dialect = Dialect { delimiter: b',', quote: b'"', escape: None };

    fn check(text: &[u8], dialect: Dialect, piece: usize) -> Result<Vec<u64>, (u64, String)> {
        let mut strict = Strict::new(dialect);
        let seen = text
            .chunks(piece.max(1))
            .try_for_each(|piece| strict.see(piece))
            .and_then(|()| strict.end());
        seen.map(|()| strict.lines.into()).map_err(|fault| (fault.line, fault.reason))
    }

    #[test]
    fn what_is_no_csv_is_found_wherever_the_pieces_end() {
        let cases: [(&str, u64, &str); 8] = [
            (
                "a,b\n1,x\n2,\"y\n3,z\n",
                3,
                "the quote that opens here, in record 2, is never closed",
            ),
            ("a,b\n1,\"Acme\" Ltd\n", 2, "record 1 has text behind a closing quote"),
            ("a,b\n1,\"Pipe 5\\\" GmbH\"\n", 2, "has a quote behind a backslash"),
            ("a,b\n\"x\ny\",2\n\"\" ,3\n", 4, "record 2 has text behind a closing quote"),
            ("a,b\r\n\"x\r\ny\",2\r\n\r\n3,\"z\r\n", 5, "record 2, is never closed"),
            ("a,b\r1,\"x\"y\r", 2, "record 1"),
            ("a,b\n1, \"x, y\"\n", 2, "a space before a quote"),
            ("a,b\nx,  \"y\"\n", 2, "a space before a quote"),
        ];
        for (text, line, reason) in cases {
            for piece in 1..=text.len() {
                let (at, said) = check(text.as_bytes(), RFC, piece).unwrap_err();
                assert!(
                    at == line && said.contains(reason),
                    "{text:?} by {piece}: line {at}: {said}"
                );
            }
        }
    }

    #[test]
    fn what_is_csv_passes_with_the_lines_of_its_records() {
        let backslash = Dialect { escape: Some(b'\\'), ..RFC };
        let cases: [(&str, Dialect, &[u64]); 6] = [
            ("a,b\n5\" pipe,x\n\"C:\\\",\"say \"\"hi\"\"\"\n", RFC, &[1, 2, 3]),
            ("a\n\n\"x\r\n\ny\"\r\n\r\nz\n", RFC, &[1, 3, 7]),
            ("a\r\"x\ry\"\rz", RFC, &[1, 2, 4]),
            ("a,b\n1,\"Pipe 5\\\" GmbH\"\n2,x\n", backslash, &[1, 2, 3]),
            ("a,b\n1,\"x\\\\\"\n2,\"\\\ny\"\n3,z\n", backslash, &[1, 2, 3, 5]),
            ("a;b\n'x;y';z\"\n", Dialect { delimiter: b';', quote: b'\'', escape: None }, &[1, 2]),
        ];
        for (text, dialect, lines) in cases {
            for piece in 1..=text.len() {
                assert_eq!(
                    check(text.as_bytes(), dialect, piece).unwrap(),
                    lines,
                    "{text:?} by {piece}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn what_a_csv_writer_writes_passes(rows in prop::collection::vec(prop::collection::vec("[a \"\\\\,\r\n;é]{0,6}", 2), 1..8), piece in 1usize..9) {
            let mut writer = ::csv::Writer::from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).unwrap();
            }
            let text = writer.into_inner().unwrap();
            prop_assert_eq!(check(&text, RFC, piece).unwrap().len(), rows.len());
        }
    }
}
