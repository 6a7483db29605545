//! The ids in a large answer, without parsing what nobody looks at.
//!
//! HubSpot repeats of each record what it likes; a run needs to know which records are named. A parser that builds or
//! validates every value took 60 % of a run's time inside the component. This one steps over values by their outline,
//! and answers `None` for whatever it was not made for, so that the real parser decides about that.

/// The `id` of each object in `results` of an answer that reports no errors. `None`: ask the real parser.
pub(crate) fn result_ids(body: &[u8]) -> Option<Vec<&str>> {
    let mut skim = Skim { body, at: 0 };
    let mut ids = None;
    skim.expect(b'{')?;
    skim.members(|skim, name| {
        match name {
            b"results" if ids.is_none() => ids = Some(skim.ids()?),
            b"results" | b"errors" => return None,
            _ => skim.value()?,
        }
        Some(())
    })?;
    skim.blanks();
    if skim.at == body.len() { ids } else { None }
}

struct Skim<'b> {
    body: &'b [u8],
    at: usize,
}

impl<'b> Skim<'b> {
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The members of an object whose `{` has been read, up to and with its `}`.
    fn members(&mut self, mut member: impl FnMut(&mut Self, &'b [u8]) -> Option<()>) -> Option<()> {
        self.blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.blanks();
            let name = self.string()?;
            self.expect(b':')?;
            self.blanks();
            member(self, name)?;
            if self.ended(b'}')? {
                return Some(());
            }
        }
    }

    /// After an item: whether the list ends here; a `,` says that it goes on.
    fn ended(&mut self, end: u8) -> Option<bool> {
        self.blanks();
        let byte = self.peek()?;
        self.at += 1;
        match byte {
            b',' => Some(false),
            byte if byte == end => Some(true),
            _ => None,
        }
    }

    /// The ids of an array of objects. An object without one is left out.
    fn ids(&mut self) -> Option<Vec<&'b str>> {
        let mut ids = Vec::with_capacity(100);
        self.expect(b'[')?;
        self.blanks();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(ids);
        }
        loop {
            self.expect(b'{')?;
            let mut id = None;
            self.members(|skim, name| {
                if name != b"id" {
                    return skim.value();
                }
                if id.is_some() {
                    return None;
                }
                id = Some(str::from_utf8(skim.string()?).ok()?);
                Some(())
            })?;
            ids.extend(id);
            if self.ended(b']')? {
                return Some(ids);
            }
        }
    }

    /// Steps over a value.
    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.string_end(),
            b'{' | b'[' => self.nested(),
            _ => {
                let from = self.at;
                while !matches!(self.peek()?, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t') {
                    self.at += 1;
                }
                (self.at > from).then_some(())
            }
        }
    }

    /// Steps over an object or array by counting brackets outside of strings.
    fn nested(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string_end()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'b [u8]> {
        let from = self.at + 1;
        self.string_end()?;
        let text = self.body.get(from..self.at - 1)?;
        (!text.contains(&b'\\')).then_some(text)
    }

    /// Steps over a string, eight bytes at a time.
    fn string_end(&mut self) -> Option<()> {
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        const HIGH: u64 = ONES << 7;
        let zero_at = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            while let Some(eight) = self.body.get(self.at..self.at + 8).and_then(|eight| <[u8; 8]>::try_from(eight).ok()) {
                let word = u64::from_le_bytes(eight);
                let found = zero_at(word ^ (ONES * u64::from(b'"'))) | zero_at(word ^ (ONES * u64::from(b'\\')));
                if found != 0 {
                    self.at += found.trailing_zeros() as usize / 8;
                    break;
                }
                self.at += 8;
            }
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn ids_are_those_of_the_records_and_of_nothing_inside_them() {
        let body = json!({"status": "COMPLETE", "results": [
            {"id": "17", "properties": {"id": "99", "x": "}]\"\\", "y": null}, "archived": false},
            {"properties": {}, "id": "18"}, {"url": "no id"},
        ], "links": {"results": [{"id": "98"}]}, "n": 1.5e3});
        assert_eq!(result_ids(body.to_string().as_bytes()).unwrap(), ["17", "18"]);
        assert_eq!(result_ids(serde_json::to_string_pretty(&body).unwrap().as_bytes()).unwrap(), ["17", "18"]);
        assert_eq!(result_ids(br#"{"results":[]}"#).unwrap(), Vec::<&str>::new());
    }

    #[test]
    fn what_it_was_not_made_for_is_left_to_the_parser() {
        for body in [
            "",
            "{}",
            "[]",
            "<html>",
            r#"{"results":[{"id":"17"}],"errors":[]}"#,
            r#"{"results":[{"id":"17"}]"#,
            r#"{"results":[{"id":"17"}]} {"#,
            r#"{"results":[{"id":"17"},]}"#,
            r#"{"results":[{"id":17}]}"#,
            r#"{"results":[{"id":"1\u0037"}]}"#,
            r#"{"results":[{"id":"17","id":"18"}]}"#,
            r#"{"results":[{"id":"17"}],"results":[]}"#,
            r#"{"results":["17"]}"#,
            r#"{"results":{"id":"17"}}"#,
            r#"{"results":[{"id":"17}]}"#,
        ] {
            assert_eq!(result_ids(body.as_bytes()), None, "{body}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "(?s).{0,12}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"{}\\\\]{0,4}", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_parser(ids in prop::collection::vec("[0-9]{1,12}", 0..6), extra in value(), pretty: bool) {
            let results: Vec<Value> = ids.iter().map(|id| json!({"a": extra, "id": id, "properties": extra})).collect();
            let body = json!({"status": extra, "results": results, "z": extra});
            let text = if pretty { serde_json::to_string_pretty(&body).unwrap() } else { body.to_string() };
            prop_assert_eq!(result_ids(text.as_bytes()).unwrap(), ids);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'{'), Just(b'}'), Just(b'['), Just(b'\\'), any::<u8>()], 0..80)) {
            result_ids(&bytes);
            let mut body = br#"{"results":["#.to_vec();
            body.extend(bytes);
            result_ids(&body);
        }
    }
}
