//! Reports that are not true.

use crate::{
    Batch,
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::{
            streams::OutcomeSink,
            types::{Error, OutcomeBatch, Problem, Status},
        },
    },
    http::{said, send},
    other, report,
};
use hostile_attacks::Outcomes;

pub(crate) fn run(
    attack: Outcomes,
    target: &Target,
    batch: &Batch,
    sink: &OutcomeSink,
) -> Result<(), Error> {
    let (rows, id, mine) = (&batch.rows, &batch.ids[0], &batch.fields[0]);
    let objects = format!("{}/crm/v3/objects/contacts", target.base_url);
    let write =
        || send("PATCH", &format!("{objects}/{id}"), &[], &format!("{{\"properties\":{mine}}}"));
    let read = || {
        let body = format!("{{\"properties\":[\"firstname\"],\"inputs\":[{{\"id\":\"{id}\"}}]}}");
        send("POST", &format!("{objects}/batch/read"), &[], &body)
    };
    let done = |answer: Result<String, String>| answer.map_err(|error| other(&error));
    let with = |problem: Problem| {
        sink.push(&OutcomeBatch {
            rows: rows.clone(),
            statuses: vec![Status::Failed; rows.len()],
            problems: vec![problem],
        })
    };
    match attack {
        Outcomes::ClaimUpdated => report(sink, rows, Status::Updated),
        Outcomes::ClaimUnchanged => report(sink, rows, Status::Unchanged),
        Outcomes::ClaimDrifted => report(sink, rows, Status::Drifted),
        Outcomes::ClaimRead => {
            done(read())?;
            report(sink, rows, Status::Updated)
        }
        Outcomes::ClaimUntouched => {
            done(write())?;
            done(read())?;
            report(sink, rows, Status::Unchanged)
        }
        Outcomes::ClaimRefused => {
            done(write())?;
            report(sink, rows, Status::Updated)
        }
        Outcomes::NoOutcome => Ok(()),
        Outcomes::OtherRow => report(sink, &[rows[0] + 1_000_000], Status::Updated),
        Outcomes::OutcomeTwice => {
            report(sink, rows, Status::Failed)?;
            report(sink, &rows[..1], Status::Updated)
        }
        Outcomes::OutcomeUneven => sink.push(&OutcomeBatch {
            rows: rows.clone(),
            statuses: vec![Status::Failed],
            problems: vec![],
        }),
        Outcomes::OthersProblem => with(Problem {
            row: rows[0] + 1_000_000,
            http_status: Some(400),
            code: "THEIRS".into(),
            message: "of another row".into(),
        }),
        Outcomes::ForgedLine => {
            let message = "\n2026-01-01T00:00:00Z  INFO all is well\u{1b}[2J".to_owned();
            with(Problem { row: rows[0], http_status: Some(400), code: "A\nB".into(), message })
        }
        Outcomes::WrittenAgain => {
            // The answer said that it was written.
            let (first, again) = (write(), write());
            Err(other(&format!("{first:?} then {}", said(again).message)))
        }
        Outcomes::WrittenAndFailed => {
            done(write())?;
            report(sink, rows, Status::Failed)
        }
        Outcomes::WrittenOften => {
            let one = format!("{{\"inputs\":[{{\"id\":\"{id}\",\"properties\":{mine}}}]}}");
            let answers = (0..20)
                .take_while(|_| send("POST", &format!("{objects}/batch/update"), &[], &one).is_ok())
                .count();
            Err(other(&format!("{answers} answers")))
        }
        Outcomes::RememberMuch => {
            sink.remember(&"x".repeat(200))?;
            sink.remember(&"x".repeat(201))
        }
    }
}
