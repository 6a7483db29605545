//! Whether a text is one `SELECT`. The database is asked in a way that allows nothing else; this is
//! for a clear message, and for SQLite's driver, which would run statement after statement.

/// Longest query, in bytes.
const MAX_QUERY: usize = 100_000;

/// Where two databases read the same text differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

/// The statement without the semicolon behind it.
///
/// # Errors
/// What is wrong, and what would be right.
pub(super) fn single_select(sql: &str, dialect: Dialect) -> Result<&str, String> {
    if sql.len() > MAX_QUERY {
        return Err(format!("it is longer than {MAX_QUERY} bytes"));
    }
    if sql.contains('\0') {
        return Err("it has a NUL in it".to_owned());
    }
    let mut scanner = Scanner { sql: sql.as_bytes(), at: 0, dialect };
    let (mut first, mut end) = (None, None);
    while let Some((start, token)) = scanner.next()? {
        match token {
            Token::Semicolon => {
                end.get_or_insert(start);
            }
            Token::Other if end.is_some() => {
                return Err("it is more than one statement; write one SELECT".to_owned());
            }
            // PostgreSQL allows parentheses around a SELECT.
            Token::Other if first.is_none() && sql.as_bytes()[start] != b'(' => first = Some(start),
            Token::Other => {}
        }
    }
    let word: String = sql[first.unwrap_or(sql.len())..]
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    if !matches!(word.to_ascii_lowercase().as_str(), "select" | "with") {
        let found: String = word.chars().take(30).collect();
        return Err(format!("it must be one SELECT, or WITH … SELECT; it begins with `{found}`"));
    }
    Ok(sql[..end.unwrap_or(sql.len())].trim())
}

enum Token {
    Semicolon,
    Other,
}

struct Scanner<'s> {
    sql: &'s [u8],
    at: usize,
    dialect: Dialect,
}

impl Scanner<'_> {
    /// The next token that is neither space nor comment. Words and quoted things are one each, what
    /// is in them is not looked at.
    fn next(&mut self) -> Result<Option<(usize, Token)>, String> {
        loop {
            let start = self.at;
            let Some(byte) = self.sql.get(start).copied() else { return Ok(None) };
            self.at += 1;
            let postgres = self.dialect == Dialect::Postgres;
            match byte {
                b if b.is_ascii_whitespace() || b == 0x0b => {}
                b'-' if self.peek() == Some(b'-') => {
                    // A comment ends with its line; to PostgreSQL, a carriage return ends a line.
                    let ends = |b: &u8| *b == b'\n' || (postgres && *b == b'\r');
                    self.at = self.sql[start..]
                        .iter()
                        .position(ends)
                        .map_or(self.sql.len(), |end| start + end);
                }
                b'/' if self.peek() == Some(b'*') => self.comment()?,
                b';' => return Ok(Some((start, Token::Semicolon))),
                b'\'' => {
                    self.quoted(b'\'', false)?;
                    return Ok(Some((start, Token::Other)));
                }
                b'"' => {
                    self.quoted(b'"', false)?;
                    return Ok(Some((start, Token::Other)));
                }
                b'`' if !postgres => {
                    self.quoted(b'`', false)?;
                    return Ok(Some((start, Token::Other)));
                }
                b'[' if !postgres => {
                    self.until(b"]")?;
                    return Ok(Some((start, Token::Other)));
                }
                b'$' if postgres => {
                    self.dollar_quoted()?;
                    return Ok(Some((start, Token::Other)));
                }
                b if is_word(b) => {
                    // A dollar sign may be within a word, and does not begin a quote there.
                    while self.peek().is_some_and(|b| is_word(b) || b == b'$') {
                        self.at += 1;
                    }
                    if postgres
                        && self.sql[start..self.at].eq_ignore_ascii_case(b"e")
                        && self.peek() == Some(b'\'')
                    {
                        self.at += 1;
                        self.quoted(b'\'', true)?;
                    }
                    return Ok(Some((start, Token::Other)));
                }
                _ => return Ok(Some((start, Token::Other))),
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.sql.get(self.at).copied()
    }

    fn until(&mut self, end: &[u8]) -> Result<(), String> {
        match self.sql[self.at..].windows(end.len()).position(|window| window == end) {
            Some(found) => {
                self.at += found + end.len();
                Ok(())
            }
            None => Err("a quote or comment in it does not end".to_owned()),
        }
    }

    /// Behind the opening quote. A doubled quote is one within the text, which reads as two texts
    /// side by side just as well.
    fn quoted(&mut self, quote: u8, backslashes: bool) -> Result<(), String> {
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'\\' if backslashes => self.at += 1,
                b if b == quote && self.peek() == Some(quote) => self.at += 1,
                b if b == quote => return Ok(()),
                _ => {}
            }
        }
        Err("a quote in it does not end".to_owned())
    }

    /// Behind the first character.
    fn comment(&mut self) -> Result<(), String> {
        self.at += 1;
        if self.dialect == Dialect::Sqlite {
            // One that does not end goes to the end of the text.
            return self.until(b"*/");
        }
        let mut depth = 1;
        while depth > 0 {
            match self.sql.get(self.at..self.at + 2) {
                Some(b"/*") => (depth, self.at) = (depth + 1, self.at + 2),
                Some(b"*/") => (depth, self.at) = (depth - 1, self.at + 2),
                Some(_) => self.at += 1,
                None => return Err("a comment in it does not end".to_owned()),
            }
        }
        Ok(())
    }

    /// `$tag$ … $tag$`, behind the first dollar sign; anything else that begins with one is a token
    /// of its own.
    fn dollar_quoted(&mut self) -> Result<(), String> {
        let start = self.at - 1;
        let rest = &self.sql[self.at..];
        let length = rest.iter().take_while(|b| is_word(**b)).count();
        let is_tag =
            rest.get(length) == Some(&b'$') && rest.first().is_some_and(|b| !b.is_ascii_digit());
        if !is_tag {
            return Ok(());
        }
        self.at += length + 1;
        let tag = self.sql[start..self.at].to_vec();
        self.until(&tag)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_is_taken_whatever_stands_in_its_quotes() {
        for sql in [
            "select 1",
            " \n-- people; all of them\nSELECT a, ';' FROM t /* ; */ ; -- done; really\n",
            "WITH x AS (SELECT 1) SELECT * FROM x",
            "select 'it''s; so' as \"a;\"\"b\"",
            "select '\\'",
        ] {
            for dialect in [Dialect::Postgres, Dialect::Sqlite] {
                let statement = single_select(sql, dialect).unwrap();
                assert!(!statement.is_empty() && !statement.ends_with(';'), "{statement}");
            }
        }
        for sql in [
            "(select 1) union (select 2)",
            "select e'\\';' , E'a''\\\\;'",
            "select $$;$$, $tag$ ; $$ ; $tag$",
            "select /* ; /* ; */ ; */ 1",
            "select a$b$ from t",
        ] {
            single_select(sql, Dialect::Postgres).unwrap();
        }
        for sql in ["select [a;b] from t", "select `a;``b` from t", "select /* /* */ 1"] {
            single_select(sql, Dialect::Sqlite).unwrap();
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let both = [Dialect::Postgres, Dialect::Sqlite].as_slice();
        let (postgres, sqlite) = (&both[..1], &both[1..]);
        for (sql, dialects) in [
            ("", both),
            (";", both),
            ("-- nothing", both),
            ("delete from t", both),
            ("selectx", both),
            ("select_all", both),
            ("attach 'x' as y", both),
            ("pragma query_only = off", both),
            ("values (1)", both),
            ("explain select 1", both),
            ("select 1; delete from t", both),
            ("select 1;; select 2", both),
            ("select 1 -- x\n; drop table t", both),
            ("select 1 /* x */; drop table t", both),
            ("select ''; drop table t --'", both),
            ("select 'a", both),
            ("select \"a", both),
            ("select /* 1", both),
            ("select 1\0", both),
            // What is within a quote to one of them is not to the other.
            ("select '\\'; drop table t --'", both),
            ("select e'\\'; drop table t --'", sqlite),
            ("select /* /* */ 1; drop table t -- */", sqlite),
            ("select $$; drop table t --$$", sqlite),
            ("select [1]; drop table t", both),
            ("select a[';'] ; drop table t", postgres),
            ("select '\\'';'; drop table t", postgres),
            ("select xe'\\'; drop table t --'", postgres),
            ("select a$$; drop table t --$$", postgres),
            ("select $1$; drop table t --$1$", postgres),
            ("select 1 -- \r; drop table t", postgres),
        ] {
            for dialect in dialects {
                let judged = single_select(sql, *dialect);
                assert!(judged.is_err(), "{dialect:?} takes {sql:?}: {judged:?}");
            }
        }
    }
}
