//! Confirmed changes to outcomes. Each change is reported once, and no outcome says more than
//! Roster's answers do.

use crate::{
    bindings::reverse_sync::destination::{
        streams::{Confirmed, OutcomeSink, VerifySink},
        types::{
            ChangeBatch, Error, ErrorKind, Holding, OutcomeBatch, PlanMode, Problem, ReadingBatch,
            Status,
        },
    },
    crm::{self, MANY, Person, Updated},
    error,
    packed::{pack, pack_lists, unpack},
};
use serde_json::{Map, Value};

/// A confirmed change.
struct Change {
    row: u64,
    id: String,
    fields: String,
    before: Option<String>,
}

impl Change {
    fn all(batch: ChangeBatch) -> Vec<Change> {
        let mut before = batch.before.as_ref().map(unpack);
        let (ids, fields) = (unpack(&batch.ids), unpack(&batch.fields));
        let rows = batch.rows.iter().zip(ids.zip(fields));
        rows.map(|(row, (id, fields))| Change {
            row: *row,
            id: id.to_owned(),
            fields: fields.to_owned(),
            before: before.as_mut().and_then(Iterator::next).map(str::to_owned),
        })
        .collect()
    }
}

/// How a person compares with a change.
struct Reading {
    holding: Holding,
    /// The fields of the change, with what Roster holds.
    values: Map<String, Value>,
    /// Fields that hold something else than the change, and something else than before it.
    differing: Vec<String>,
    moved: Vec<String>,
}

fn read(base_url: &str, change: &Change) -> Result<Reading, Error> {
    let object = |text: &str| -> Result<Map<String, Value>, Error> {
        serde_json::from_str(text).map_err(|why| {
            error(ErrorKind::Other, &format!("row {} is no JSON object: {why}", change.row))
        })
    };
    let wanted = object(&change.fields)?;
    let Person::Holds(held) = crm::read(base_url, &change.id)? else {
        let (differing, moved) = (Vec::new(), Vec::new());
        return Ok(Reading { holding: Holding::Gone, values: Map::new(), differing, moved });
    };
    let values: Map<String, Value> = wanted
        .keys()
        .map(|name| (name.clone(), held.get(name).cloned().unwrap_or_default()))
        .collect();
    let other_than = |than: &Map<String, Value>| -> Vec<String> {
        than.iter()
            .filter(|(name, value)| values.get(*name) != Some(value))
            .map(|(name, _)| name.clone())
            .collect()
    };
    let differing = other_than(&wanted);
    let moved = change
        .before
        .as_deref()
        .map(object)
        .transpose()?
        .map_or_else(Vec::new, |before| other_than(&before));
    let holding = if differing.is_empty() { Holding::Confirmed } else { Holding::Other };
    Ok(Reading { holding, values, differing, moved })
}

pub(crate) fn run(
    base_url: &str,
    mode: PlanMode,
    confirmed: &Confirmed,
    sink: &OutcomeSink,
) -> Result<(), Error> {
    // When the host wants to stop, `next` fails. Nothing is in flight then.
    while let Some(batch) = confirmed.next(MANY)? {
        let doubtful = batch.doubtful;
        let mut outcomes = Outcomes::default();
        let mut to_write = Vec::new();
        for change in Change::all(batch) {
            // An earlier attempt may have written it; and of a compared plan, somebody else may have
            // changed the record meanwhile.
            if !doubtful && mode != PlanMode::Compare {
                to_write.push(change);
                continue;
            }
            let reading = read(base_url, &change)?;
            match reading.holding {
                Holding::Confirmed if doubtful => outcomes.end(&change, Status::Updated),
                Holding::Confirmed => outcomes.end(&change, Status::Unchanged),
                Holding::Gone => outcomes.problem(
                    &change,
                    Status::Failed,
                    Some(404),
                    "not_found",
                    "Roster has no such person",
                ),
                _ if change.before.is_some() && !reading.moved.is_empty() => {
                    let why =
                        format!("changed since the plan was made: {}", reading.moved.join(", "));
                    outcomes.problem(&change, Status::Drifted, None, "drifted", &why);
                }
                _ => to_write.push(change),
            }
        }
        write(base_url, &to_write, &mut outcomes)?;
        sink.push(&outcomes.0)?;
    }
    Ok(())
}

fn write(base_url: &str, changes: &[Change], outcomes: &mut Outcomes) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let people: Vec<(&str, &str)> =
        changes.iter().map(|change| (change.id.as_str(), change.fields.as_str())).collect();
    match crm::update(base_url, &people)? {
        Updated::Answered(results) => {
            for change in changes {
                match results.get(&change.id) {
                    Some(Value::Null) => outcomes.end(change, Status::Updated),
                    Some(why) => {
                        let why = why.as_str().map_or_else(|| why.to_string(), str::to_owned);
                        outcomes.problem(change, Status::Failed, Some(200), "refused", &why);
                    }
                    None => settle(base_url, change, outcomes)?,
                }
            }
        }
        Updated::Refused(status, why) => {
            for change in changes {
                outcomes.problem(change, Status::Failed, Some(status), "refused", &why);
            }
        }
        Updated::Unknown => {
            for change in changes {
                settle(base_url, change, outcomes)?;
            }
        }
    }
    Ok(())
}

/// An update has no answer: a read that shows the values proves it. One that shows others proves
/// nothing, as the update may be on its way still.
fn settle(base_url: &str, change: &Change, outcomes: &mut Outcomes) -> Result<(), Error> {
    if read(base_url, change)?.holding == Holding::Confirmed {
        outcomes.end(change, Status::Updated);
    } else {
        let why = "the update got no answer, and a read does not show it";
        outcomes.problem(change, Status::Unknown, None, "no_answer", why);
    }
    Ok(())
}

struct Outcomes(OutcomeBatch);

impl Default for Outcomes {
    fn default() -> Outcomes {
        Outcomes(OutcomeBatch { rows: vec![], statuses: vec![], problems: vec![] })
    }
}

impl Outcomes {
    fn end(&mut self, change: &Change, status: Status) {
        self.0.rows.push(change.row);
        self.0.statuses.push(status);
    }

    fn problem(
        &mut self,
        change: &Change,
        status: Status,
        http_status: Option<u16>,
        code: &str,
        message: &str,
    ) {
        self.end(change, status);
        let (code, message) = (code.to_owned(), message.to_owned());
        self.0.problems.push(Problem { row: change.row, http_status, code, message });
    }
}

pub(crate) fn verify(base_url: &str, written: &Confirmed, sink: &VerifySink) -> Result<(), Error> {
    while let Some(batch) = written.next(MANY)? {
        let changes = Change::all(batch);
        let readings = changes
            .iter()
            .map(|change| read(base_url, change))
            .collect::<Result<Vec<Reading>, Error>>()?;
        let names = |of: fn(&Reading) -> &Vec<String>| -> Vec<Vec<&str>> {
            readings
                .iter()
                .map(|reading| of(reading).iter().map(String::as_str).collect())
                .collect()
        };
        sink.push(&ReadingBatch {
            rows: changes.iter().map(|change| change.row).collect(),
            holdings: readings.iter().map(|reading| reading.holding).collect(),
            values: pack(
                readings.iter().map(|reading| Value::Object(reading.values.clone()).to_string()),
            ),
            details: pack(readings.iter().map(|_| "")),
            differing: pack_lists(&names(|reading| &reading.differing)),
            moved: pack_lists(&names(|reading| &reading.moved)),
            // Roster takes every value back.
            one_way: pack_lists(&vec![Vec::new(); changes.len()]),
        })?;
    }
    Ok(())
}
