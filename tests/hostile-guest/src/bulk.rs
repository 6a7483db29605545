//! Attacks with a job and its upload. Most open a job first, as they may.

use crate::{
    Batch,
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::{
            streams::{Confirmed, OutcomeSink},
            types::{Error, Status},
        },
    },
    http::{exchange, said, send},
    other, report, wanted,
};
use hostile_attacks::Jobs;

pub(crate) const OPEN: &str =
    r#"{"object":"Contact","operation":"update","contentType":"CSV","lineEnding":"LF"}"#;
pub(crate) const CLOSE: &str = r#"{"state":"UploadComplete"}"#;

const HEADER: &str = "\"Id\",\"FirstName\",\"Title\"\n";

fn jobs(target: &Target) -> String {
    format!("{}/services/data/v67.0/jobs/ingest", target.base_url)
}

/// Where the job is that was opened.
fn open(target: &Target) -> Result<String, Error> {
    let jobs = jobs(target);
    let (_, opened) = exchange("POST", &jobs, &[], OPEN).map_err(|error| other(&error))?;
    let opened: serde_json::Value =
        serde_json::from_slice(&opened).map_err(|error| other(&error.to_string()))?;
    Ok(format!("{jobs}/{}", opened["id"].as_str().unwrap_or_default()))
}

fn upload(at: &str, text: &str) -> Result<String, String> {
    send("PUT", &format!("{at}/batches"), &[("content-type", "text/csv")], text)
}

fn close(at: &str) -> Result<String, String> {
    send("PATCH", at, &[], CLOSE)
}

/// The row of a change, as it is confirmed.
fn row(batch: &Batch, n: usize) -> String {
    format!("\"{}\",\"new {1}\",\"t{1}\"\n", batch.ids[n], batch.rows[n])
}

fn whole(batch: &Batch) -> String {
    (0..batch.rows.len()).fold(HEADER.to_owned(), |text, n| text + &row(batch, n))
}

/// Without an attack: uploads, closes, waits, and looks what the job did.
pub(crate) fn honest(target: &Target, batch: &Batch, sink: &OutcomeSink) -> Result<(), Error> {
    let at = worked_on(target, batch)?;
    send("GET", &format!("{at}/successfulResults/"), &[], "").map_err(|error| other(&error))?;
    report(sink, &batch.rows, Status::Updated)
}

fn worked_on(target: &Target, batch: &Batch) -> Result<String, Error> {
    let at = open(target)?;
    let failed = |error: String| other(&error);
    upload(&at, &whole(batch)).map_err(failed)?;
    close(&at).map_err(failed)?;
    for _ in 0..10 {
        send("GET", &at, &[], "").map_err(failed)?;
    }
    Ok(at)
}

pub(crate) fn run(
    attack: Jobs,
    target: &Target,
    confirmed: &Confirmed,
    batch: &Batch,
    sink: &OutcomeSink,
) -> Result<(), Error> {
    let all = whole(batch);
    let (id, first) = (&batch.ids[0], batch.rows[0]);
    let uploaded = |text: &str| Err(said(upload(&open(target)?, text)));
    match attack {
        Jobs::OtherValue => uploaded(&all.replace("new 2", "Mallory")),
        Jobs::SwappedColumns => {
            uploaded(&all.replace("\"FirstName\",\"Title\"", "\"Title\",\"FirstName\""))
        }
        Jobs::SwappedRows => {
            uploaded(&format!("{HEADER}{}", row(batch, 0).replace(id, &batch.ids[1])))
        }
        Jobs::Clears => uploaded(&format!("{HEADER}\"{id}\",\"new {first}\",#N/A\n")),
        Jobs::ExtraRow => {
            uploaded(&format!("{all}\"{}\",\"new 1\",\"t1\"\n", wanted(target, "outside")?))
        }
        Jobs::ExtraColumn => {
            let extra = "\"Id\",\"FirstName\",\"Title\",\"Email\"\n";
            uploaded(&format!(
                "{extra}{}",
                row(batch, 0).replace('\n', ",\"mallory@example.com\"\n")
            ))
        }
        Jobs::Twice => uploaded(&format!("{HEADER}{}{}", row(batch, 0), row(batch, 0))),
        Jobs::FieldLeftOut => {
            uploaded(&format!("\"Id\",\"FirstName\"\n\"{id}\",\"new {first}\"\n"))
        }
        Jobs::OtherField => {
            uploaded(&format!("\"Id\",\"FirstName\",\"Department\"\n{}", row(batch, 0)))
        }
        Jobs::ColumnTwice => {
            uploaded(&format!("\"Id\",\"FirstName\",\"Title\",\"Title\"\n{}", row(batch, 0)))
        }
        Jobs::Unquoted => uploaded(&format!("{HEADER}\"{id}\",new {first},\"t{first}\"\n")),
        Jobs::Formula => uploaded(&all.replace("\"new 1\"", "\"=new 1\"")),
        Jobs::LineEnds => uploaded(&all.replace('\n', "\r\n")),
        Jobs::BlankLine => {
            uploaded(&format!("{all}\n\"{}\",\"new 1\",\"t1\"\n", wanted(target, "outside")?))
        }
        Jobs::OtherIdColumn => uploaded(&all.replace("\"Id\"", "\"Email\"")),
        Jobs::OtherMedia => {
            let at = format!("{}/batches", open(target)?);
            Err(said(send("PUT", &at, &[("content-type", "application/json")], &all)))
        }
        Jobs::OtherJob => {
            open(target)?;
            Err(said(upload(&format!("{}/{}", jobs(target), wanted(target, "job")?), &all)))
        }
        Jobs::ReadOtherJob => {
            open(target)?;
            Err(said(send(
                "GET",
                &format!("{}/{}/successfulResults/", jobs(target), wanted(target, "job")?),
                &[],
                "",
            )))
        }
        Jobs::CloseWords | Jobs::AbortWords => {
            let at = open(target)?;
            upload(&at, &all).map_err(|error| other(&error))?;
            let state = if attack == Jobs::CloseWords { "Open" } else { "Aborted" };
            Err(said(send("PATCH", &at, &[], &format!("{{\"state\":\"{state}\"}}"))))
        }
        Jobs::OpenDelete => {
            Err(said(send("POST", &jobs(target), &[], &OPEN.replace("update", "delete"))))
        }
        Jobs::OpenInsert => {
            Err(said(send("POST", &jobs(target), &[], &OPEN.replace("update", "insert"))))
        }
        Jobs::RecalledJob => {
            // The first attempt notes a job that is not its own, the second one takes its own note
            // for a permit.
            let Some(note) = confirmed.recall().pop() else {
                sink.remember(&format!("job {}", wanted(target, "job")?))?;
                return Err(other("on with the second attempt"));
            };
            Err(said(close(&format!("{}/{}", jobs(target), note.trim_start_matches("job ")))))
        }
        Jobs::Again => {
            let mut taken = 0;
            for _ in 0..20 {
                let at = open(target)?;
                if upload(&at, &all).is_err() {
                    break;
                }
                close(&at).map_err(|error| other(&error))?;
                taken += 1;
            }
            Err(other(&format!("{taken} uploads")))
        }
        // Taken in is not worked on.
        Jobs::ClaimUploaded => {
            upload(&open(target)?, &all).map_err(|error| other(&error))?;
            report(sink, &batch.rows, Status::Updated)
        }
        Jobs::ClaimClosed => {
            worked_on(target, batch)?;
            report(sink, &batch.rows, Status::Updated)
        }
    }
}
