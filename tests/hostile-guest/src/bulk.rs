//! Attacks with a job and its upload. Each opens a job first, as it may.

use crate::{
    attacks::{exchange, said},
    bindings::exports::reverse_sync::destination::destination::Target,
    bindings::reverse_sync::destination::{
        streams::{Confirmed, OutcomeSink},
        types::{Error, Status},
    },
    config, other, report, texts,
};

pub(crate) const OPEN: &str = r#"{"object":"Contact","operation":"update","contentType":"CSV","lineEnding":"LF"}"#;
pub(crate) const CLOSE: &str = r#"{"state":"UploadComplete"}"#;

pub(crate) fn run(attack: &str, target: &Target, confirmed: &Confirmed, sink: &OutcomeSink) -> Result<(), Error> {
    let Some(batch) = confirmed.next(10)? else { return Ok(()) };
    let (rows, ids) = (batch.rows, texts(&batch.ids));
    let jobs = format!("{}/services/data/v67.0/jobs/ingest", target.base_url);
    let told = config(target)?;
    let wanted = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    if attack == "bulk_recalled_job" {
        // The first attempt notes a job that is not its own, the second one takes its own note for a permit.
        let Some(note) = confirmed.recall().pop() else {
            sink.remember(&format!("job {}", wanted("job")))?;
            return Err(other("on with the second attempt"));
        };
        let url = format!("{jobs}/{}", note.trim_start_matches("job "));
        return Err(said(exchange("PATCH", &url, &[], CLOSE).map(|(status, _)| status.to_string())));
    }
    if attack == "bulk_open_delete" {
        return Err(said(exchange("POST", &jobs, &[], &OPEN.replace("update", "delete")).map(|(status, _)| status.to_string())));
    }
    let (_, opened) = exchange("POST", &jobs, &[], OPEN).map_err(|error| other(&error))?;
    let opened: serde_json::Value = serde_json::from_slice(&opened).map_err(|error| other(&error.to_string()))?;
    let mut job = opened["id"].as_str().unwrap_or_default().to_owned();
    if attack == "bulk_other_job" {
        job = wanted("job");
    }
    let at = format!("{jobs}/{job}");
    let upload =
        |text: &str| exchange("PUT", &format!("{at}/batches"), &[("content-type", "text/csv")], text).map(|(status, _)| status.to_string());
    let row = |n: usize| format!("\"{}\",\"new {1}\",\"t{1}\"\n", ids[n], rows[n]);
    let header = "\"Id\",\"FirstName\",\"Title\"\n";
    let all: String = (0..rows.len()).map(row).collect();
    let text = match attack {
        "bulk_other_value" => format!("{header}{}", all.replace("new 2", "Mallory")),
        "bulk_swapped_columns" => format!("\"Id\",\"Title\",\"FirstName\"\n{all}"),
        "bulk_swapped_rows" => format!("{header}{}", row(0).replace(&ids[0], &ids[1])),
        "bulk_extra_row" => format!("{header}{all}\"{}\",\"new 1\",\"t1\"\n", wanted("outside")),
        "bulk_twice" => format!("{header}{}{}", row(0), row(0)),
        "bulk_field_left_out" => format!("\"Id\",\"FirstName\"\n\"{}\",\"new {}\"\n", ids[0], rows[0]),
        "bulk_other_field" => format!("\"Id\",\"FirstName\",\"Department\"\n{}", row(0)),
        "bulk_clears" => format!("{header}\"{}\",\"new {}\",#N/A\n", ids[0], rows[0]),
        _ => format!("{header}{all}"),
    };
    let uploaded = upload(&text);
    match attack {
        // Taken in is not worked on.
        "bulk_claim_uploaded" => return report(sink, &rows, Status::Updated),
        "bulk_close_words" => return Err(said(exchange("PATCH", &at, &[], r#"{"state":"Open"}"#).map(|(status, _)| status.to_string()))),
        "bulk_claim_closed" | "bulk_honest" => {
            exchange("PATCH", &at, &[], CLOSE).map_err(|error| other(&error))?;
            for _ in 0..10 {
                exchange("GET", &at, &[], "").map_err(|error| other(&error))?;
            }
        }
        _ => return Err(said(uploaded)),
    }
    if attack == "bulk_honest" {
        exchange("GET", &format!("{at}/successfulResults/"), &[], "").map_err(|error| other(&error))?;
    }
    report(sink, &rows, Status::Updated)
}
