//! JSON by its outline: what works on every byte of a record.
//!
//! HubSpot repeats of each record what it likes, and a run needs to know which records are named; a
//! plan that compares compares most values with others that are spelled the same. A parser that
//! validates and builds every value took 60 % of the component's time. These functions step over
//! values by their outline instead, and answer `None` for whatever they were not made for (an
//! escaped name, a missing bracket), so that a real parser decides about that.
//!
//! This is a crate of its own because the component is compiled for size, and this is not.

mod escape;

pub use escape::{needs_escape, push_escaped};

/// The members of an object: names, and values as they are spelled.
pub type Members<'b> = Vec<(&'b str, &'b str)>;

/// The `id` of each object in `results` of an answer that reports no errors.
pub fn result_ids(body: &[u8]) -> Option<Vec<&str>> {
    let mut ids = Vec::with_capacity(100);
    results(body, |skim| {
        let mut id = None;
        skim.expect(b'{')?;
        skim.members(|skim, name| {
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
        Some(())
    })?;
    Some(ids)
}

/// The `id` and `properties` of each object in `results` of an answer, whatever else it reports.
pub fn result_records(body: &[u8]) -> Option<Vec<(&str, Members<'_>)>> {
    let mut records = Vec::with_capacity(100);
    let mut skim = Skim { body, at: 0 };
    let mut found = false;
    skim.expect(b'{')?;
    skim.members(|skim, name| {
        if name != b"results" {
            return skim.value();
        }
        if std::mem::replace(&mut found, true) {
            return None;
        }
        skim.items(|skim| {
            let (mut id, mut properties) = (None, None);
            skim.expect(b'{')?;
            skim.members(|skim, name| {
                match name {
                    b"id" if id.is_none() => id = Some(str::from_utf8(skim.string()?).ok()?),
                    b"properties" if properties.is_none() => {
                        skim.expect(b'{')?;
                        properties = Some(skim.pairs()?);
                    }
                    b"id" | b"properties" => return None,
                    _ => skim.value()?,
                }
                Some(())
            })?;
            records.push((id?, properties?));
            Some(())
        })
    })?;
    skim.blanks();
    (found && skim.at == body.len()).then_some(records)
}

/// An array of objects; `None` for each `null` in it.
pub fn list(body: &[u8]) -> Option<Vec<Option<Members<'_>>>> {
    let mut all = Vec::with_capacity(200);
    let mut skim = Skim { body, at: 0 };
    skim.items(|skim| {
        if skim.peek()? == b'{' {
            skim.at += 1;
            all.push(Some(skim.pairs()?));
            return Some(());
        }
        all.push(None);
        (skim.raw()? == "null").then_some(())
    })?;
    skim.blanks();
    (skim.at == body.len()).then_some(all)
}

/// One object.
pub fn members(text: &str) -> Option<Members<'_>> {
    let mut skim = Skim { body: text.as_bytes(), at: 0 };
    skim.expect(b'{')?;
    let pairs = skim.pairs()?;
    skim.blanks();
    (skim.at == text.len()).then_some(pairs)
}

#[inline(always)]
fn results<'b>(body: &'b [u8], mut item: impl FnMut(&mut Skim<'b>) -> Option<()>) -> Option<()> {
    let mut skim = Skim { body, at: 0 };
    let mut found = false;
    skim.expect(b'{')?;
    skim.members(|skim, name| match name {
        b"results" if !found => {
            found = true;
            skim.items(&mut item)
        }
        b"results" | b"errors" => None,
        _ => skim.value(),
    })?;
    skim.blanks();
    (found && skim.at == body.len()).then_some(())
}

struct Skim<'b> {
    body: &'b [u8],
    at: usize,
}

impl<'b> Skim<'b> {
    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    #[inline(always)]
    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// The members of an object whose `{` has been read, up to and with its `}`.
    #[inline(always)]
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

    /// After an item: whether the list ends here; a `,` says that it continues.
    #[inline(always)]
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

    /// The items of an array.
    #[inline(always)]
    fn items(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'[')?;
        self.blanks();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.blanks();
            item(self)?;
            if self.ended(b']')? {
                return Some(());
            }
        }
    }

    /// Steps over a value; its text.
    #[inline(always)]
    fn raw(&mut self) -> Option<&'b str> {
        let from = self.at;
        self.value()?;
        str::from_utf8(self.body.get(from..self.at)?).ok()
    }

    /// The members of an object, whose `{` has been read, with their values as they are spelled.
    fn pairs(&mut self) -> Option<Vec<(&'b str, &'b str)>> {
        let mut pairs = Vec::with_capacity(16);
        self.members(|skim, name| {
            pairs.push((str::from_utf8(name).ok()?, skim.raw()?));
            Some(())
        })?;
        Some(pairs)
    }

    /// Steps over a value.
    #[inline(always)]
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
    #[inline(always)]
    fn string(&mut self) -> Option<&'b [u8]> {
        let from = self.at + 1;
        self.string_end()?;
        let text = self.body.get(from..self.at - 1)?;
        (!text.contains(&b'\\')).then_some(text)
    }

    /// Steps over a string, eight bytes at a time.
    #[inline(always)]
    fn string_end(&mut self) -> Option<()> {
        const ONES: u64 = u64::from_ne_bytes([1; 8]);
        const HIGH: u64 = ONES << 7;
        let zero_at = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        loop {
            while let Some(eight) = self
                .body
                .get(self.at..self.at + 8)
                .and_then(|eight| <[u8; 8]>::try_from(eight).ok())
            {
                let word = u64::from_le_bytes(eight);
                let found = zero_at(word ^ (ONES * u64::from(b'"')))
                    | zero_at(word ^ (ONES * u64::from(b'\\')));
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
        assert_eq!(
            result_ids(serde_json::to_string_pretty(&body).unwrap().as_bytes()).unwrap(),
            ["17", "18"]
        );
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
                prop::collection::btree_map("[a-z\"{}\\\\]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
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
        fn members_and_records_agree_with_the_parser(object in prop::collection::btree_map("[a-z]{1,4}", value(), 0..5), id in "[0-9]{1,9}", pretty: bool) {
            let object = Value::Object(object.into_iter().collect());
            let agree = |pairs: &Members<'_>, object: &Value| {
                pairs.len() == object.as_object().unwrap().len()
                    && pairs.iter().all(|(name, raw)| serde_json::from_str::<Value>(raw).unwrap() == object[*name])
            };
            let spell = |value: &Value| if pretty { serde_json::to_string_pretty(value).unwrap() } else { value.to_string() };
            prop_assert!(agree(&members(&spell(&object)).unwrap(), &object));
            let body = spell(&json!({"errors": [object], "results": [{"x": object, "id": id, "properties": object}]}));
            let records = result_records(body.as_bytes()).unwrap();
            prop_assert!(records.len() == 1 && records[0].0 == id && agree(&records[0].1, &object));
            let body = spell(&json!([null, object]));
            let all = list(body.as_bytes()).unwrap();
            prop_assert!(all.len() == 2 && all[0].is_none() && agree(all[1].as_ref().unwrap(), &object));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b'{'), Just(b'}'), Just(b'['), Just(b'\\'), any::<u8>()], 0..80)) {
            result_ids(&bytes);
            list(&bytes);
            result_records(&bytes);
            let mut body = br#"{"results":["#.to_vec();
            body.extend(bytes);
            result_ids(&body);
            result_records(&body);
        }
    }
}
