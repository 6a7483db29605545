//! `POST /crm/v3/objects/{object}/search`: records by the values of their properties.
//!
//! HubSpot's guide "Search the CRM" (operators, limits, default properties and order), the OpenAPI
//! documents of the objects (`PublicObjectSearchRequest`, `Filter`,
//! `CollectionResponseWithTotalSimplePublicObject`), and recorded pages (amp-labs/connectors). The
//! documents say six groups where the guide says five; the guide, which is newer, is followed.
//!
//! Here a record is found as soon as it is written; HubSpot takes some moments.

use super::{
    errors,
    objects::shown,
    store::{Object, Record},
};
use crate::{World, message::Answer};
use serde_json::{Map, Value, json};
use std::cmp::Ordering;

const DEFAULT_PAGE: u64 = 10;
const MAX_PAGE: u64 = 200;
/// No page of a search goes beyond.
const MAX_RESULTS: u64 = 10_000;
const MAX_GROUPS: usize = 5;
const MAX_FILTERS_OF_GROUP: usize = 6;
const MAX_FILTERS: usize = 18;
const MAX_QUERY: usize = 3_000;

/// What comes back when no properties are asked for, beside those that always do.
fn default_properties(object: &str) -> &'static [&'static str] {
    match object {
        "contacts" => &["email", "firstname", "lastname"],
        "companies" => &["name", "domain"],
        "deals" => &["dealname", "amount", "closedate", "pipeline", "dealstage"],
        "tickets" => &[
            "content",
            "hs_pipeline",
            "hs_pipeline_stage",
            "hs_ticket_category",
            "hs_ticket_priority",
            "subject",
        ],
        "products" => &["name", "description", "price"],
        "line_items" => &["quantity", "amount", "price"],
        _ => &[],
    }
}

/// Where `query` looks.
fn searchable_properties(object: &str) -> &'static [&'static str] {
    match object {
        "contacts" => &[
            "firstname",
            "lastname",
            "email",
            "phone",
            "hs_additional_emails",
            "fax",
            "mobilephone",
            "company",
        ],
        "companies" => &["website", "phone", "name", "domain"],
        "deals" => &["dealname", "pipeline", "dealstage", "description", "dealtype"],
        "tickets" => {
            &["subject", "content", "hs_pipeline_stage", "hs_ticket_category", "hs_ticket_id"]
        }
        "products" => &["name", "description", "price", "hs_sku"],
        _ => &["name"],
    }
}

/// A refusal. Those that were observed have the form of a body that cannot be read, and no
/// category; the column is not kept here.
struct Refused(String, Option<&'static str>);

impl Refused {
    fn unreadable(problem: &str) -> Refused {
        Refused(format!("Invalid input JSON on line 1, column 1: {problem}"), None)
    }

    /// That it is refused is documented, and so is the category; the text is not.
    fn invalid(message: impl Into<String>) -> Refused {
        Refused(message.into(), Some("VALIDATION_ERROR"))
    }
}

pub(super) fn search(world: &World, object: &str, body: &Value) -> Answer {
    found(world, object, body)
        .unwrap_or_else(|Refused(message, category)| errors::whole(400, &message, category))
}

fn found(world: &World, object: &str, body: &Value) -> Result<Answer, Refused> {
    let body = body.as_object().ok_or_else(|| {
        Refused::unreadable("Cannot construct instance of PublicObjectSearchRequest")
    })?;
    let store = &world.hubspot.objects[object];
    let limit = number(body, "limit")?.unwrap_or(DEFAULT_PAGE);
    let after = number(body, "after")?.unwrap_or(0);
    if limit > MAX_PAGE {
        return Err(Refused::invalid(format!("limit must not be above {MAX_PAGE}")));
    }
    if after + limit > MAX_RESULTS {
        return Err(Refused::invalid(format!("a search does not go beyond {MAX_RESULTS} results")));
    }
    let groups = groups(store, body)?;
    let (sort, descending) = sort(store, body)?;
    let query = match body.get("query") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.chars().count() <= MAX_QUERY => text.to_lowercase(),
        Some(Value::String(_)) => {
            return Err(Refused::invalid(format!(
                "query must not be longer than {MAX_QUERY} characters"
            )));
        }
        Some(_) => {
            return Err(Refused::unreadable("Cannot deserialize value of type String: query"));
        }
    };
    let words: Vec<&str> = query.split_whitespace().collect();
    let finds_empty = world.config.switches.hubspot_negation_finds_empty;
    let wanted = |record: &Record| {
        let texts = searchable_properties(object)
            .iter()
            .filter_map(|name| record.properties.get(*name))
            .map(|text| text.to_lowercase());
        let texts: Vec<String> = texts.collect();
        !record.archived
            && words.iter().all(|word| texts.iter().any(|text| text.contains(word)))
            && (groups.is_empty()
                || groups
                    .iter()
                    .any(|filters| filters.iter().all(|filter| filter.holds(record, finds_empty))))
    };
    let mut records: Vec<(&String, &Record)> =
        store.records.iter().filter(|(_, record)| wanted(record)).collect();
    // In order of creation, unless asked for another; ids make it certain.
    records.sort_by_key(|(id, record)| (record.created, id.parse::<u64>().unwrap_or_default()));
    if let Some((name, kind)) = &sort {
        records.sort_by(|(_, left), (_, right)| {
            match (left.properties.get(name), right.properties.get(name)) {
                (Some(left), Some(right)) if descending => kind.compare(right, left),
                (Some(left), Some(right)) => kind.compare(left, right),
                // Where records without a value go is not known.
                (left, right) => left.is_none().cmp(&right.is_none()),
            }
        });
    }
    let names = match body.get("properties") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => texts(list).ok_or_else(|| {
            Refused::unreadable("Cannot deserialize value of type List: properties")
        })?,
    };
    let names = if names.is_empty() {
        default_properties(object).iter().map(|name| (*name).to_owned()).collect()
    } else {
        names
    };
    let shown = shown(world, object, &names, &[]);
    let total = records.len();
    let (from, count) = (after as usize, limit as usize);
    let results: Vec<Value> = records
        .into_iter()
        .skip(from)
        .take(count)
        .map(|(id, record)| record.json(id, &shown, &[]))
        .collect();
    let mut answer = json!({"total": total, "results": results});
    if from + count < total && count > 0 {
        answer["paging"] = json!({"next": {"after": (from + count).to_string()}});
    }
    Ok(Answer::json(200, &answer))
}

/// A whole number, which may be written as text.
fn number(body: &Map<String, Value>, name: &str) -> Result<Option<u64>, Refused> {
    let number = match body.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64(),
    };
    number.map(Some).ok_or_else(|| {
        Refused::unreadable(&format!("Cannot deserialize value of type int: {name}"))
    })
}

fn texts(list: &Value) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn groups<'b>(
    store: &Object,
    body: &'b Map<String, Value>,
) -> Result<Vec<Vec<Filter<'b>>>, Refused> {
    let groups = match body.get("filterGroups") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(groups)) => groups,
        Some(_) => {
            return Err(Refused::unreadable(
                "Cannot deserialize instance of java.util.HashSet: filterGroups",
            ));
        }
    };
    let mut read = Vec::with_capacity(groups.len());
    for group in groups {
        let filters = group.get("filters").and_then(Value::as_array);
        let filters = filters.ok_or_else(|| {
            Refused::unreadable(
                "Cannot build FilterGroup, some of required attributes are not set [filters]",
            )
        })?;
        read.push(
            filters
                .iter()
                .map(|filter| Filter::read(store, filter))
                .collect::<Result<Vec<_>, _>>()?,
        );
    }
    if read.len() > MAX_GROUPS
        || read.iter().any(|group| group.len() > MAX_FILTERS_OF_GROUP)
        || read.iter().flatten().count() > MAX_FILTERS
    {
        let message = format!(
            "at most {MAX_GROUPS} filterGroups with {MAX_FILTERS_OF_GROUP} filters each, and {MAX_FILTERS} filters in all"
        );
        return Err(Refused::invalid(message));
    }
    Ok(read)
}

/// One rule: a name, or a name and a direction.
fn sort(
    store: &Object,
    body: &Map<String, Value>,
) -> Result<(Option<(String, Kind)>, bool), Refused> {
    let rules = match body.get("sorts") {
        None | Some(Value::Null) => return Ok((None, false)),
        Some(Value::Array(rules)) => rules,
        Some(_) => return Err(Refused::unreadable("Cannot deserialize value of type List: sorts")),
    };
    let rule = match rules.as_slice() {
        [] => return Ok((None, false)),
        [rule] => rule,
        _ => return Err(Refused::invalid("only one sorting rule can be applied to a search")),
    };
    let name = rule.as_str().or_else(|| rule["propertyName"].as_str());
    let descending = match rule["direction"].as_str() {
        None | Some("ASCENDING") => false,
        Some("DESCENDING") => true,
        Some(other) => return Err(Refused::unreadable(&format!("{other} is not a direction"))),
    };
    let name = name.ok_or_else(|| {
        Refused::unreadable(
            "Cannot build Sort, some of required attributes are not set [propertyName]",
        )
    })?;
    Ok((Some((name.to_owned(), Kind::of(store, name)?)), descending))
}

/// How values are compared.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Whatever their letter case.
    Text,
    /// As they are written.
    Option,
    Number,
    /// As milliseconds or ISO 8601.
    Time,
}

impl Kind {
    fn of(store: &Object, name: &str) -> Result<Kind, Refused> {
        // Which words HubSpot has for this is not known.
        let unknown = || Refused::invalid(format!("Property \"{name}\" does not exist"));
        Ok(match (name, store.properties.get(name).ok_or_else(unknown)?.kind.as_str()) {
            ("createdate" | "hs_createdate" | "lastmodifieddate" | "hs_lastmodifieddate", _)
            | (_, "date" | "datetime") => Kind::Time,
            ("hs_object_id", _) | (_, "number") => Kind::Number,
            (_, "enumeration" | "bool") => Kind::Option,
            _ => Kind::Text,
        })
    }

    fn compare(self, left: &str, right: &str) -> Ordering {
        match self {
            Kind::Text => left.to_lowercase().cmp(&right.to_lowercase()),
            Kind::Option => left.cmp(right),
            Kind::Number => match (left.parse::<f64>(), right.parse::<f64>()) {
                (Ok(left), Ok(right)) => left.total_cmp(&right),
                _ => left.cmp(right),
            },
            Kind::Time => milliseconds(left).cmp(&milliseconds(right)),
        }
    }
}

fn milliseconds(text: &str) -> Option<i64> {
    let time =
        || text.parse::<jiff::Timestamp>().or_else(|_| format!("{text}T00:00:00Z").parse()).ok();
    text.parse().ok().or_else(|| Some(time()?.as_millisecond()))
}

struct Filter<'b> {
    name: &'b str,
    kind: Kind,
    operator: &'b str,
    value: &'b str,
    high: &'b str,
    values: Vec<String>,
}

impl<'b> Filter<'b> {
    fn read(store: &Object, filter: &'b Value) -> Result<Filter<'b>, Refused> {
        let text = |key: &str| filter.get(key).filter(|value| !value.is_null());
        let (Some(name), Some(operator)) = (
            text("propertyName").and_then(Value::as_str),
            text("operator").and_then(Value::as_str),
        ) else {
            return Err(Refused::unreadable(
                "Cannot build Filter, some of required attributes are not set [propertyName, operator]",
            ));
        };
        let (value, high, values) = (text("value"), text("highValue"), text("values"));
        let needs =
            |what: &str| Err(Refused::unreadable(&format!("operator {operator} requires {what}")));
        match operator {
            "EQ" | "NEQ" | "LT" | "LTE" | "GT" | "GTE" | "CONTAINS_TOKEN"
            | "NOT_CONTAINS_TOKEN"
                if value.is_none() =>
            {
                return needs("a value");
            }
            "BETWEEN" if value.is_none() => return needs("a value"),
            "BETWEEN" if high.is_none() => return needs("a highValue"),
            "IN" | "NOT_IN" if values.is_none() => return needs("values"),
            "HAS_PROPERTY" | "NOT_HAS_PROPERTY" if value.is_some() || values.is_some() => {
                return needs("that there is no value");
            }
            "EQ" | "NEQ" | "LT" | "LTE" | "GT" | "GTE" | "BETWEEN" | "IN" | "NOT_IN"
            | "HAS_PROPERTY" | "NOT_HAS_PROPERTY" | "CONTAINS_TOKEN" | "NOT_CONTAINS_TOKEN" => {}
            other => return Err(Refused::unreadable(&format!("{other} is not an operator"))),
        }
        let not_text =
            || Refused::unreadable("Cannot deserialize instance of java.lang.String: value");
        let string = |value: Option<&'b Value>| {
            value.map_or(Ok(""), |value| value.as_str().ok_or_else(not_text))
        };
        let values = values.map_or(Some(Vec::new()), texts).ok_or_else(not_text)?;
        Ok(Filter {
            name,
            kind: Kind::of(store, name)?,
            operator,
            value: string(value)?,
            high: string(high)?,
            values,
        })
    }

    fn holds(&self, record: &Record, negation_finds_empty: bool) -> bool {
        let Some(held) = record.properties.get(self.name) else {
            let negation = matches!(self.operator, "NEQ" | "NOT_IN" | "NOT_CONTAINS_TOKEN");
            return self.operator == "NOT_HAS_PROPERTY" || negation && negation_finds_empty;
        };
        let to = |value: &str| self.kind.compare(held, value);
        // Texts in a list must be in lower case to be found, whatever the record's letter case;
        // options are as they are.
        let listed = || match self.kind {
            Kind::Text => self.values.contains(&held.to_lowercase()),
            _ => self.values.iter().any(|value| to(value).is_eq()),
        };
        match self.operator {
            "EQ" => to(self.value).is_eq(),
            "NEQ" => to(self.value).is_ne(),
            "LT" => to(self.value).is_lt(),
            "LTE" => to(self.value).is_le(),
            "GT" => to(self.value).is_gt(),
            "GTE" => to(self.value).is_ge(),
            "BETWEEN" => to(self.value).is_ge() && to(self.high).is_le(),
            "IN" => listed(),
            "NOT_IN" => !listed(),
            "CONTAINS_TOKEN" => contains_token(held, self.value),
            "NOT_CONTAINS_TOKEN" => !contains_token(held, self.value),
            "HAS_PROPERTY" => true,
            _ => false,
        }
    }
}

/// A word of the text, or the text itself; `*` stands for any characters.
fn contains_token(held: &str, token: &str) -> bool {
    let (held, token) = (held.to_lowercase(), token.to_lowercase());
    let words = held.split(|character: char| !character.is_alphanumeric()).chain([held.as_str()]);
    words.into_iter().any(|word| fits(word, &token))
}

fn fits(text: &str, pattern: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(text) = text.strip_prefix(first) else { return false };
    let starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    starts.into_iter().any(|at| fits(&text[at..], rest))
}
