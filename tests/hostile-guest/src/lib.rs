//! A component that breaks the rules, one at a time: `config_json.attack` says which ([`Attack`]
//! has their names). It asks for the same capabilities as the bundled component, so that what stops
//! it is the host and not a missing grant.
//!
//! While planning it makes a change of every record, unless the attack is on planning:
//! `{"firstname":"new 1"}`, or the column `firstname` if the records have it. `config_json.before`
//! are the previous values that it claims to have seen, for every record the same; with
//! `config_json.keeps` it keeps what it was handed. Without an attack it is honest ([`honest`]), but
//! never describes itself the same way twice.

mod attacks;
mod bulk;
mod costs;
mod honest;
mod http;
mod outcomes;
mod planning;
mod surroundings;
mod verifying;
mod wire;
mod bindings {
    wit_bindgen::generate!({ path: "../../wit", world: "reverse-sync", generate_all });
}

use bindings::{
    exports::reverse_sync::destination::destination::{Guest, Target},
    reverse_sync::destination::{
        capabilities::{
            Account, Body, Capability, CsvForm, Descriptor, DestinationType, Effect, Many, Pacing,
            Phase,
        },
        streams::{Confirmed, OutcomeSink, PlanSink, Records, VerifySink},
        types::{
            ChangeBatch, ColumnValues, Error, ErrorKind, OutcomeBatch, PlanMode, Status,
            StringLists, Strings,
        },
    },
};

use hostile_attacks::{Attack, Surroundings};
use std::sync::atomic::Ordering::Relaxed;
use wasip2::random::random::get_random_u64;

struct Hostile;
bindings::export!(Hostile with_types_in bindings);

impl Guest for Hostile {
    fn describe() -> Descriptor {
        let write = |method: &str, path: &str, body| Capability {
            phase: Phase::Run,
            effect: Effect::Write,
            method: method.into(),
            path: path.into(),
            query: vec![],
            headers: vec![],
            body,
        };
        let of = |effect: Effect, method: &str, path: &str, body| Capability {
            effect,
            ..write(method, path, body)
        };
        let job = |text: &str| Body::One(text.into());
        let jobs = "/services/data/v67.0/jobs/ingest";
        let read = |phase| Capability {
            phase,
            effect: Effect::Read,
            method: "POST".into(),
            path: "/crm/v3/objects/${object}/batch/read".into(),
            query: vec![],
            headers: vec![],
            body: Body::Many(Many {
                open: "{\"properties\":${names},\"inputs\":[".into(),
                item: "{\"id\":\"${id}\"}".into(),
                close: "]}".into(),
                max: 100,
            }),
        };
        let batch = Many {
            open: "{\"inputs\":[".into(),
            item: "{\"id\":\"${id}\",\"properties\":${fields}}".into(),
            close: "]}".into(),
            max: 100,
        };
        Descriptor {
            name: "hostile".into(),
            version: "0.0.0".into(),
            destinations: vec![
                DestinationType {
                    name: "salesforce_dest".into(),
                    provider: "salesforce".into(),
                    description: "Breaks the rules of jobs.".into(),
                    config_schema: "{\"type\":\"object\"}".into(),
                    capabilities: vec![
                        of(Effect::Job, "POST", jobs, job(bulk::OPEN)),
                        of(
                            Effect::Write,
                            "PUT",
                            &format!("{jobs}/${{job}}/batches"),
                            Body::Csv(CsvForm { id_column: "Id".into(), null: "#N/A".into(), max: 100 }),
                        ),
                        of(Effect::Job, "PATCH", &format!("{jobs}/${{job}}"), job(bulk::CLOSE)),
                        of(Effect::Read, "GET", &format!("{jobs}/${{job}}"), Body::None),
                        of(Effect::Read, "GET", &format!("{jobs}/${{job}}/successfulResults/"), Body::None),
                    ],
                    pacing: Pacing { limit: None, headers: None, throttles: vec![] },
                    required_rights: "none".into(),
                    required_scopes: vec![],
                    account: None,
                },
                DestinationType {
                    name: "asking_dest".into(),
                    provider: "hubspot".into(),
                    description: format!("Would have the host ask for more than an account, such as {}.", get_random_u64()),
                    config_schema: "{\"type\":\"object\"}".into(),
                    capabilities: vec![],
                    pacing: Pacing { limit: None, headers: None, throttles: vec![] },
                    required_rights: "none".into(),
                    required_scopes: vec![],
                    account: Some(Account { path: "/crm/v3/objects/contacts?archived=true".into(), pointer: "/results/0/id".into() }),
                },
                DestinationType {
                    name: "hubspot_dest".into(),
                    provider: "hubspot".into(),
                    description: "Breaks rules.".into(),
                    config_schema: "{\"type\":\"object\",\"properties\":{\"object\":{\"type\":\"string\",\"default\":\"contacts\"}}}"
                        .into(),
                    capabilities: vec![
                        read(Phase::Plan),
                        read(Phase::Run),
                        write("PATCH", "/crm/v3/objects/${object}/${id}", Body::One("{\"properties\":${fields}}".into())),
                        write("POST", "/crm/v3/objects/${object}/batch/update", Body::Many(batch)),
                    ],
                    pacing: Pacing { limit: None, headers: None, throttles: vec![] },
                    required_rights: "none".into(),
                    required_scopes: vec![],
                    account: None,
                },
            ],
        }
    }

    fn plan(
        target: Target,
        mode: PlanMode,
        records: &Records,
        sink: &PlanSink,
    ) -> Result<(), Error> {
        let attack = attack(&target)?;
        let config = config(&target)?;
        if let Some(name) = config["guard"].as_str() {
            sink.guard(name, "the component asks for a second look");
        }
        let mut kept = Vec::new();
        while let Some(batch) = records.next(1_000)? {
            let ids = batch
                .columns
                .iter()
                .find(|column| column.name == "hs_object_id" || column.name == "Id");
            let Some(ColumnValues::Text(ids)) = ids.map(|column| &column.values) else {
                return Err(other("no ids"));
            };
            let ids: Vec<&str> = ids
                .offsets
                .windows(2)
                .map(|pair| &ids.bytes[pair[0] as usize..pair[1] as usize])
                .collect();
            let rows: Vec<u64> =
                (0..u64::from(batch.length)).map(|n| batch.first_row + n).collect();
            match attack {
                Some(Attack::Planning(attack)) => {
                    planning::plan(attack, &target, &rows, &ids, sink)?;
                    continue;
                }
                None if mode == PlanMode::Compare => {
                    honest::compare(&target, &batch, &rows, &ids, sink)?;
                    continue;
                }
                _ if target.destination_type == "salesforce_dest" => {
                    sink.push(&changes(&rows, &ids, |row| {
                        format!("{{\"FirstName\":\"new {row}\",\"Title\":\"t{row}\"}}")
                    }))?;
                    continue;
                }
                _ => {}
            }
            let mut changes =
                changes(&rows, &ids, |row| format!("{{\"firstname\":\"new {row}\"}}"));
            if config["before"].is_object() {
                changes.before = Some(strings(rows.iter().map(|_| config["before"].to_string())));
            }
            sink.push(&changes)?;
            if config["keeps"] == true {
                kept.push((batch, changes));
            }
        }
        drop(kept);
        Ok(())
    }

    fn run(
        target: Target,
        _mode: PlanMode,
        confirmed: &Confirmed,
        sink: &OutcomeSink,
    ) -> Result<(), Error> {
        let attack = attack(&target)?;
        let jobs = target.destination_type == "salesforce_dest";
        let waits = config(&target)?["waits"] == true;
        if attack.is_none() && !jobs && !waits {
            return honest::run(&target, confirmed, sink);
        }
        let Some(batch) = confirmed.next(10)?.map(Batch::from) else { return Ok(()) };
        match attack {
            None if waits => costs::wait_asking(confirmed, &batch, sink),
            None => bulk::honest(&target, &batch, sink),
            Some(Attack::Requests(attack)) => attacks::run(attack, &target, &batch, sink),
            Some(Attack::Wire(attack)) => wire::run(attack, &target, &batch, sink),
            Some(Attack::Outcomes(attack)) => outcomes::run(attack, &target, &batch, sink),
            Some(Attack::Costs(attack)) => costs::run(attack, &target, confirmed, &batch, sink),
            Some(Attack::Surroundings(attack)) => surroundings::run(attack, &target, &batch),
            Some(Attack::Jobs(attack)) => bulk::run(attack, &target, confirmed, &batch, sink),
            Some(Attack::Planning(_) | Attack::Verifying(_)) => Err(other("no attack on a run")),
        }
    }

    fn verify(target: Target, written: &Confirmed, sink: &VerifySink) -> Result<(), Error> {
        match attack(&target)? {
            None => honest::verify(&target, written, sink),
            Some(Attack::Verifying(attack)) => match written.next(10)?.map(Batch::from) {
                Some(batch) => verifying::verify(attack, &target, &batch, sink),
                None => Ok(()),
            },
            Some(_) => Err(other("no attack on verifying")),
        }
    }
}

/// Changes that were handed out.
struct Batch {
    rows: Vec<u64>,
    ids: Vec<String>,
    fields: Vec<String>,
}

impl From<ChangeBatch> for Batch {
    fn from(batch: ChangeBatch) -> Batch {
        Batch { ids: texts(&batch.ids), fields: texts(&batch.fields), rows: batch.rows }
    }
}

/// The attack that the configuration names; none if it names none.
fn attack(target: &Target) -> Result<Option<Attack>, Error> {
    let config = config(target)?;
    let attack = match config["attack"].as_str().unwrap_or_default() {
        "" => None,
        name => Some(
            Attack::named(name).ok_or_else(|| other(&format!("there is no attack `{name}`")))?,
        ),
    };
    if attack == Some(Attack::Surroundings(Surroundings::CarriedOver)) {
        surroundings::CALLS.fetch_add(1, Relaxed);
    }
    Ok(attack)
}

/// A text of the configuration.
fn wanted(target: &Target, key: &str) -> Result<String, Error> {
    Ok(config(target)?[key].as_str().unwrap_or_default().to_owned())
}

fn config(target: &Target) -> Result<serde_json::Value, Error> {
    serde_json::from_str(&target.config).map_err(|error| other(&error.to_string()))
}

fn other(message: &str) -> Error {
    Error {
        kind: ErrorKind::Other,
        code: None,
        pointer: None,
        message: message.to_owned(),
        missing_scopes: vec![],
    }
}

fn strings(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Strings {
    let mut strings = Strings { bytes: String::new(), offsets: vec![0] };
    for text in texts {
        strings.bytes.push_str(text.as_ref());
        strings.offsets.push(strings.bytes.len() as u32);
    }
    strings
}

/// No name for any of so many rows.
fn nothing(rows: usize) -> StringLists {
    StringLists { items: strings([""; 0]), offsets: vec![0; rows + 1] }
}

fn texts(strings: &Strings) -> Vec<String> {
    strings
        .offsets
        .windows(2)
        .map(|pair| strings.bytes[pair[0] as usize..pair[1] as usize].to_owned())
        .collect()
}

fn changes(rows: &[u64], ids: &[&str], fields: impl Fn(u64) -> String) -> ChangeBatch {
    ChangeBatch {
        rows: rows.to_vec(),
        ids: strings(ids),
        fields: strings(rows.iter().map(|row| fields(*row))),
        before: None,
        doubtful: false,
    }
}

fn report(sink: &OutcomeSink, rows: &[u64], status: Status) -> Result<(), Error> {
    sink.push(&OutcomeBatch {
        rows: rows.to_vec(),
        statuses: vec![status; rows.len()],
        problems: vec![],
    })
}
