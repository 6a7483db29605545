//! What the contract does not say of a plugin, and its author has to: a configuration, golden
//! records that it can plan, and what the CRM answers.

use anyhow::{Context as _, ensure};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use reverse_sync::{Records, RecordsError};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

/// A fixture, as a JSON file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fixture {
    /// One of the plugin's destination types.
    pub(super) destination_type: String,
    /// `config_json`.
    pub(super) config: Map<String, Value>,
    /// A golden record: a text for each column, in which `${n}` stands for a number of 12 digits,
    /// another one in each record.
    pub(super) record: BTreeMap<String, String>,
    /// The CRM's answers; the first that fits a request counts.
    pub(super) answers: Vec<Answer>,
}

/// What the CRM answers to one kind of request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    method: String,
    /// `*` stands for one segment.
    path: String,
    pub(super) answer: Form,
    /// The answer to an update of several records, or of one, that refuses one of them.
    pub(super) refusal: Option<Form>,
}

/// An answer. `${items}` in its body stands for an item for each record that the request names, in
/// that order and separated by `,`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Form {
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default, deserialize_with = "text")]
    body: String,
    /// `${id}` stands for the record's id, `${fields}` for the JSON object of what it holds, and
    /// `${members}` for that without its braces.
    #[serde(default, deserialize_with = "text")]
    item: String,
    /// In a refusal: the item of the record that is refused, if it is another one.
    #[serde(default, deserialize_with = "some_text")]
    refused_item: Option<String>,
}

fn ok() -> u16 {
    200
}

/// A text, or any other JSON value as its text.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => text,
        value => value.to_string(),
    })
}

fn some_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    text(deserializer).map(Some)
}

/// Puts `value` in the place of a name, and of the name in quotation marks: `"${items}"` in JSON.
fn put(text: &str, name: &str, value: &str) -> String {
    text.replace(&format!("\"{name}\""), value).replace(name, value)
}

impl Answer {
    pub(super) fn fits(&self, method: &str, path: &str) -> bool {
        let (wanted, found) = (self.path.split('/'), path.split('/'));
        self.method == method
            && wanted.clone().count() == found.clone().count()
            && wanted.zip(found).all(|(wanted, found)| wanted == "*" || wanted == found)
    }
}

impl Form {
    /// The body for these records: ids, and what they hold. One of them may be refused.
    pub(super) fn body<'a>(
        &self,
        records: impl Iterator<Item = (&'a str, &'a str)>,
        refused: Option<&str>,
    ) -> String {
        let item = |(id, holds): (&str, &str)| {
            let other = self.refused_item.as_ref().filter(|_| refused == Some(id));
            let item = put(other.unwrap_or(&self.item), "${fields}", holds);
            let members = holds.get(1..holds.len() - 1).unwrap_or_default();
            put(&item, "${members}", members).replace("${id}", id)
        };
        let items: Vec<String> = records.map(item).collect();
        put(&self.body, "${items}", &items.join(","))
    }
}

impl Fixture {
    pub(super) fn read(path: &Path) -> anyhow::Result<Fixture> {
        let text = fs::read(path)
            .with_context(|| format!("cannot read the fixture {}", path.display()))?;
        let fixture: Fixture = serde_json::from_slice(&text)
            .with_context(|| format!("the fixture {} is wrong", path.display()))?;
        ensure!(
            fixture.record.values().any(|value| value.contains("${n}")),
            "the fixture {} is wrong: no value of `record` contains ${{n}}, so all records would have the same id",
            path.display()
        );
        Ok(fixture)
    }

    /// So many golden records, `batch` of them at a time.
    pub(super) fn records(&self, count: u64, batch: u64) -> Golden {
        Golden { record: self.record.clone(), next: 0, count, batch, odd: false }
    }

    /// Whether it says how the CRM refuses one record.
    pub(super) fn refuses(&self) -> bool {
        self.answers.iter().any(|answer| answer.refusal.is_some())
    }
}

/// Golden records, made as they are asked for.
pub(super) struct Golden {
    record: BTreeMap<String, String>,
    next: u64,
    count: u64,
    batch: u64,
    odd: bool,
}

/// Records that [`Golden::and_odd_ones`] adds.
pub(super) const ODD: u64 = 2;

impl Golden {
    /// After the others a record without any value, and the first one again.
    pub(super) fn and_odd_ones(self) -> Golden {
        Golden { odd: true, ..self }
    }
}

impl Records for Golden {
    fn next_batch(&mut self, _max_rows: usize) -> Result<Option<RecordBatch>, RecordsError> {
        let end = (self.next + self.batch).min(self.count);
        let mut numbers: Vec<Option<u64>> = (self.next..end).map(Some).collect();
        self.next = end;
        if numbers.is_empty() {
            if !self.odd {
                return Ok(None);
            }
            self.odd = false;
            numbers = vec![None, Some(0)];
        }
        let columns = self.record.iter().map(|(name, template)| {
            let of = |n: u64| template.replace("${n}", &(100_000_000_000 + n).to_string());
            let texts: StringArray = numbers.iter().map(|n| n.map(of)).collect();
            (name, Arc::new(texts) as ArrayRef, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(columns);
        batch.map(Some).map_err(|error| RecordsError::Malformed {
            file: "the fixture".to_owned(),
            line: None,
            reason: error.to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_has_an_item_for_each_record() {
        let mut answer = json!({"method": "POST", "path": "/a/*/b", "answer": {"status": 207,
            "body": {"results": ["${items}"]}, "item": {"id": "${id}", "holds": "${fields}"}}});
        let records = || [("1", "{\"a\":\"b\"}"), ("2", "{}")].into_iter();
        let parsed: Answer = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(
            parsed.answer.body(records(), None),
            r#"{"results":[{"holds":{"a":"b"},"id":"1"},{"holds":{},"id":"2"}]}"#
        );
        assert_eq!((parsed.answer.status, parsed.refusal.is_none()), (207, true));
        answer["answer"]["body"] = json!("id\n${items}");
        answer["answer"]["item"] = json!("{${id},${members}}");
        let parsed: Answer = serde_json::from_value(answer).unwrap();
        assert_eq!(parsed.answer.body(records(), None), "id\n{1,\"a\":\"b\"},{2,}");
        let refusal =
            json!({"body": "${items}", "item": "${id}", "refused_item": {"bad": "${id}"}});
        let refusal: Form = serde_json::from_value(refusal).unwrap();
        assert_eq!(refusal.body(records(), Some("2")), r#"1,{"bad":"2"}"#);
        for (method, path, fits) in
            [("POST", "/a/x/b", true), ("GET", "/a/x/b", false), ("POST", "/a/x/y/b", false)]
        {
            assert_eq!(parsed.fits(method, path), fits, "{method} {path}");
        }
    }
}
