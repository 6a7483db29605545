//! `GET …/query?q=…`, `…/queryAll?q=…`, and what comes after the first batch.
//!
//! REST API Developer Guide, "Query", "QueryAll", "Query More Results" and "Query Options Header"
//! (2,000 records a batch, at least 200; `nextRecordsUrl` is `…/query/{locator}-{first}`); SOQL and
//! SOSL Reference. Messages as recorded in public issues: `No such column` with the query, a caret
//! and `ERROR at Row:1:Column:11`; `value of filter criterion for field …`
//! (roblesterjr04/EloquentSalesForce issue 68); `invalid ID field` (jsforce issue 684). What stands
//! before the caret is cut differently there; here it is the whole query.

use super::{
    errors, ids,
    soql::{self, Condition, Literal, Operator, Order, Word},
    store::{Record, SObject},
};
use crate::{
    World,
    message::{Answer, Request},
};
use serde_json::{Value, json};
use std::{cmp::Ordering, collections::VecDeque};

const MAX_BATCH: usize = 2_000;
const MIN_BATCH: usize = 200;
const MAX_OFFSET: usize = 2_000;
/// Of a user; when one more is opened, the oldest is closed (API Query Cursor Limits).
const MAX_CURSORS: usize = 10;

/// Queries that have not been read to their end.
#[derive(Debug, Default)]
pub(super) struct Cursors {
    open: VecDeque<(String, Vec<Value>, usize)>,
    opened: u64,
}

/// Why a query is refused.
struct Refused {
    code: &'static str,
    message: String,
    /// Where, if that is said.
    column: Option<usize>,
}

impl Refused {
    fn at(word: &Word, code: &'static str, message: String) -> Refused {
        Refused { code, message, column: Some(word.column) }
    }

    fn answer(self, query: &str) -> Answer {
        let message = match self.column {
            Some(column) => {
                let caret = " ".repeat(column - 1);
                format!("\n{query}\n{caret}^\nERROR at Row:1:Column:{column}\n{}", self.message)
            }
            None => self.message,
        };
        errors::one(400, self.code, &message)
    }
}

/// `query` leaves out what is in the recycle bin, `queryAll` does not (B11).
pub(super) fn run(world: &mut World, request: &Request, with_deleted: bool) -> Answer {
    let Some(query) = request.query("q") else {
        return errors::one(400, "MALFORMED_QUERY", "unexpected token: '<EOF>'");
    };
    match records(world, &query, with_deleted) {
        // There is nothing in the records then.
        Ok((count, None)) => {
            Answer::json(200, &json!({"totalSize": count, "done": true, "records": []}))
        }
        Ok((_, Some(records))) => {
            let options =
                request.header("sforce-query-options").unwrap_or_default().to_ascii_lowercase();
            let asked = options
                .split([',', ';'])
                .find_map(|option| option.trim().strip_prefix("batchsize=")?.trim().parse().ok());
            let size = asked.unwrap_or(MAX_BATCH).clamp(MIN_BATCH, MAX_BATCH);
            first_batch(world, request, records, size)
        }
        Err(refused) => refused.answer(&query),
    }
}

fn first_batch(world: &mut World, request: &Request, records: Vec<Value>, size: usize) -> Answer {
    if records.len() <= size {
        return Answer::json(
            200,
            &json!({"totalSize": records.len(), "done": true, "records": records}),
        );
    }
    let cursors = &mut world.salesforce.cursors;
    let locator = super::record_id("01g", cursors.opened);
    cursors.opened += 1;
    cursors.open.push_back((locator.clone(), records, size));
    while cursors.open.len() > MAX_CURSORS {
        cursors.open.pop_front();
    }
    batch(world, request, &locator, 0)
}

/// `…/query/01g…-2000`.
pub(super) fn more(world: &mut World, request: &Request, locator: &str) -> Answer {
    match locator.split_once('-').and_then(|(locator, first)| Some((locator, first.parse().ok()?)))
    {
        Some((locator, first)) => batch(world, request, locator, first),
        None => gone(),
    }
}

/// That this is the code is known from clients that meet it; status and text are not.
fn gone() -> Answer {
    errors::one(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
}

fn batch(world: &World, request: &Request, locator: &str, first: usize) -> Answer {
    let open = world.salesforce.cursors.open.iter().find(|(known, ..)| known == locator);
    let Some((_, records, size)) = open.filter(|(_, records, _)| first < records.len()) else {
        return gone();
    };
    let end = (first + size).min(records.len());
    let mut body = json!({"totalSize": records.len(), "done": end == records.len(), "records": records[first..end]});
    if end < records.len() {
        let version = request.path().split('/').nth(3).unwrap_or_default();
        body["nextRecordsUrl"] = json!(format!("/services/data/{version}/query/{locator}-{end}"));
    }
    Answer::json(200, &body)
}

/// How many, and which unless only that was asked for.
fn records(
    world: &mut World,
    query: &str,
    with_deleted: bool,
) -> Result<(usize, Option<Vec<Value>>), Refused> {
    let parsed = soql::parse(query).map_err(|unexpected| Refused {
        code: "MALFORMED_QUERY",
        message: unexpected.message,
        column: Some(unexpected.column),
    })?;
    let object = world
        .salesforce
        .objects
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(&parsed.object.text));
    let Some((object_name, object)) = object else {
        let message = format!(
            "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
            parsed.object.text
        );
        return Err(Refused::at(&parsed.object, "INVALID_TYPE", message));
    };
    let table = Table { name: object_name, object };
    let mut fields: Vec<String> = Vec::with_capacity(parsed.fields.len());
    for field in &parsed.fields {
        let name = table.field(field)?.0;
        if fields.iter().any(|known| known == name) {
            return Err(Refused {
                code: "INVALID_FIELD",
                message: format!("duplicate field selected: {name}"),
                column: None,
            });
        }
        fields.push(name.to_owned());
    }
    if parsed.offset > MAX_OFFSET {
        let message = format!("Maximum SOQL offset allowed is {MAX_OFFSET}");
        return Err(Refused { code: "NUMBER_OUTSIDE_VALID_RANGE", message, column: None });
    }
    if let Some(condition) = &parsed.condition {
        table.check(condition)?;
    }
    for order in &parsed.order {
        table.field(&order.field)?;
    }
    let holds = |id: &str, record: &Record| {
        parsed.condition.as_ref().is_none_or(|condition| table.holds(condition, id, record))
    };
    let mut found: Vec<(&String, &Record)> = object.records.iter().collect();
    found.retain(|(id, record)| (with_deleted || !record.deleted) && holds(id, record));
    // Without an order there is none.
    found.sort_by_key(|(id, _)| id.as_str());
    world.random.shuffle(&mut found);
    if !parsed.order.is_empty() {
        found.sort_by(|left, right| table.order(&parsed.order, *left, *right));
    }
    let limit = parsed.limit.unwrap_or(usize::MAX);
    let found: Vec<_> = found.into_iter().skip(parsed.offset).take(limit).collect();
    let rows = || found.iter().map(|(id, record)| record.json(object_name, id, &fields)).collect();
    Ok((found.len(), (!parsed.fields.is_empty()).then(rows)))
}

struct Table<'w> {
    name: &'w str,
    object: &'w SObject,
}

/// A stored value, as it is compared.
#[derive(Debug, PartialEq)]
enum Held {
    Null,
    Text(String),
    Number(f64),
    Bool(bool),
    /// In milliseconds; of a date, its midnight UTC.
    Time(i64),
}

impl<'w> Table<'w> {
    /// The name as it is defined, and the type of the field.
    fn field(&self, word: &Word) -> Result<(&'w str, &'w str), Refused> {
        let field = self
            .object
            .fields
            .values()
            .find(|field| field.visible && field.name.eq_ignore_ascii_case(&word.text));
        field.map(|field| (field.name.as_str(), field.kind.as_str())).ok_or_else(|| {
            let message = format!(
                "No such column '{}' on entity '{}'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate names.",
                word.text, self.name
            );
            Refused::at(word, "INVALID_FIELD", message)
        })
    }

    fn check(&self, condition: &Condition) -> Result<(), Refused> {
        match condition {
            Condition::All(inner) | Condition::Any(inner) => {
                inner.iter().try_for_each(|condition| self.check(condition))
            }
            Condition::Not(inner) => self.check(inner),
            Condition::Comparison { field, operator, values } => {
                let (name, kind) = self.field(field)?;
                values.iter().try_for_each(|value| check_value(field, name, kind, *operator, value))
            }
        }
    }

    fn held(&self, field: &Word, id: &str, record: &Record) -> (Held, &'w str) {
        let Ok((name, kind)) = self.field(field) else { return (Held::Null, "string") };
        let value = record.json(self.name, id, &[name.to_owned()])[name].take();
        let held = match (kind, &value) {
            // Checkboxes have no null.
            ("boolean", _) => Held::Bool(value.as_bool().unwrap_or(false)),
            (_, Value::Null) => Held::Null,
            ("date", Value::String(text)) => {
                text.parse().ok().map_or(Held::Null, |date| Held::Time(midnight(date)))
            }
            ("datetime", Value::String(text)) => text
                .parse::<jiff::Timestamp>()
                .map_or(Held::Null, |time| Held::Time(time.as_millisecond())),
            (_, Value::Number(number)) => number.as_f64().map_or(Held::Null, Held::Number),
            (_, value) => Held::Text(value.as_str().unwrap_or_default().to_lowercase()),
        };
        (held, kind)
    }

    fn holds(&self, condition: &Condition, id: &str, record: &Record) -> bool {
        match condition {
            Condition::All(inner) => {
                inner.iter().all(|condition| self.holds(condition, id, record))
            }
            Condition::Any(inner) => {
                inner.iter().any(|condition| self.holds(condition, id, record))
            }
            Condition::Not(inner) => !self.holds(inner, id, record),
            Condition::Comparison { field, operator, values } => {
                let (held, kind) = self.held(field, id, record);
                values_hold(&held, kind, *operator, values)
            }
        }
    }

    fn order(
        &self,
        rules: &[Order],
        left: (&String, &Record),
        right: (&String, &Record),
    ) -> Ordering {
        for rule in rules {
            let (one, _) = self.held(&rule.field, left.0, left.1);
            let (other, _) = self.held(&rule.field, right.0, right.1);
            let ordering = match (&one, &other) {
                (Held::Null, Held::Null) => Ordering::Equal,
                (Held::Null, _) if rule.nulls_last => Ordering::Greater,
                (Held::Null, _) => Ordering::Less,
                (_, Held::Null) if rule.nulls_last => Ordering::Less,
                (_, Held::Null) => Ordering::Greater,
                _ if rule.descending => compare(&other, &one),
                _ => compare(&one, &other),
            };
            if ordering.is_ne() {
                return ordering;
            }
        }
        Ordering::Equal
    }
}

fn check_value(
    field: &Word,
    name: &str,
    kind: &str,
    operator: Operator,
    value: &Literal,
) -> Result<(), Refused> {
    let quoted = |quoted: bool, kind: &str| {
        let how = if quoted { "should be" } else { "should not be" };
        let message = format!(
            "value of filter criterion for field '{name}' must be of type {kind} and {how} enclosed in quotes"
        );
        Err(Refused::at(field, "INVALID_FIELD", message))
    };
    match (kind, value) {
        (_, Literal::Null)
            if matches!(
                operator,
                Operator::Equal | Operator::NotEqual | Operator::In | Operator::NotIn
            ) =>
        {
            Ok(())
        }
        ("boolean", Literal::Bool(_))
            if matches!(operator, Operator::Equal | Operator::NotEqual) =>
        {
            Ok(())
        }
        ("boolean" | "int" | "double" | "currency" | "percent" | "date" | "datetime", _)
            if operator == Operator::Like =>
        {
            Err(Refused::at(field, "INVALID_FIELD", format!("invalid operator on {kind} field")))
        }
        ("int" | "double" | "currency" | "percent", Literal::Number(_))
        | ("date", Literal::Date(_))
        | ("datetime", Literal::Time(_)) => Ok(()),
        ("boolean" | "int" | "double" | "currency" | "percent", _) => quoted(false, kind),
        ("date", _) => quoted(false, "date"),
        ("datetime", _) => quoted(false, "dateTime"),
        ("id" | "reference", Literal::Text(text)) if operator != Operator::Like => {
            match ids::canonical(text) {
                Some(_) => Ok(()),
                None => Err(Refused::at(
                    field,
                    "INVALID_QUERY_FILTER_OPERATOR",
                    format!("invalid ID field: {text}"),
                )),
            }
        }
        (_, Literal::Text(_)) => Ok(()),
        _ => quoted(true, "string"),
    }
}

fn values_hold(held: &Held, kind: &str, operator: Operator, values: &[Literal]) -> bool {
    // Texts are compared whatever their letter case, ids in either form.
    let wanted = |value: &Literal| match value {
        Literal::Null => Held::Null,
        Literal::Number(number) => Held::Number(*number),
        Literal::Bool(value) => Held::Bool(*value),
        Literal::Date(date) => Held::Time(midnight(*date)),
        Literal::Time(milliseconds) => Held::Time(*milliseconds),
        Literal::Text(text) if matches!(kind, "id" | "reference") => {
            Held::Text(ids::canonical(text).unwrap_or_else(|| text.clone()).to_lowercase())
        }
        Literal::Text(text) => {
            Held::Text(text.replace("\\_", "_").replace("\\%", "%").to_lowercase())
        }
    };
    let is = |value: &Literal| *held == wanted(value);
    let Some(first) = values.first() else { return false };
    let compared = || if *held == Held::Null { None } else { Some(compare(held, &wanted(first))) };
    match operator {
        Operator::Equal | Operator::In => values.iter().any(is),
        // Records without a value are among those that have another one.
        Operator::NotEqual | Operator::NotIn => !values.iter().any(is),
        Operator::Less => compared().is_some_and(Ordering::is_lt),
        Operator::LessOrEqual => compared().is_some_and(Ordering::is_le),
        Operator::Greater => compared().is_some_and(Ordering::is_gt),
        Operator::GreaterOrEqual => compared().is_some_and(Ordering::is_ge),
        Operator::Like => {
            matches!((held, first), (Held::Text(text), Literal::Text(pattern)) if like(text, &pattern.to_lowercase()))
        }
    }
}

fn compare(left: &Held, right: &Held) -> Ordering {
    match (left, right) {
        (Held::Text(left), Held::Text(right)) => left.cmp(right),
        (Held::Number(left), Held::Number(right)) => left.total_cmp(right),
        (Held::Bool(left), Held::Bool(right)) => left.cmp(right),
        (Held::Time(left), Held::Time(right)) => left.cmp(right),
        _ => Ordering::Equal,
    }
}

/// `%` is any characters, `_` is one; with a backslash they are themselves.
fn like(text: &str, pattern: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('%') => {
            let rest = pattern_rest.as_str();
            text.char_indices()
                .map(|(at, _)| at)
                .chain([text.len()])
                .any(|at| like(&text[at..], rest))
        }
        Some(first) => {
            let wanted = if first == '\\' { pattern_rest.next() } else { Some(first) };
            let mut text_rest = text.chars();
            let found = text_rest.next();
            found.is_some()
                && (first == '_' || found == wanted)
                && like(text_rest.as_str(), pattern_rest.as_str())
        }
    }
}

fn midnight(date: jiff::civil::Date) -> i64 {
    format!("{date}T00:00:00Z")
        .parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_millisecond)
        .unwrap_or_default()
}
