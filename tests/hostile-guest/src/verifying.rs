//! Attacks on verifying.

use crate::{
    Batch,
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::{
            streams::VerifySink,
            types::{Error, Holding, ReadingBatch},
        },
    },
    costs::spin,
    http::{said, send},
    nothing, strings, wanted,
};
use hostile_attacks::Verifying;

pub(crate) fn verify(
    attack: Verifying,
    target: &Target,
    batch: &Batch,
    sink: &VerifySink,
) -> Result<(), Error> {
    let (rows, ids, fields) = (&batch.rows, &batch.ids, &batch.fields);
    let objects = format!("{}/crm/v3/objects/contacts", target.base_url);
    match attack {
        Verifying::Write => {
            // A change that is in hand, with its confirmed values: everything is right but the
            // moment.
            let body =
                format!("{{\"inputs\":[{{\"id\":\"{}\",\"properties\":{}}}]}}", ids[0], fields[0]);
            Err(said(send("POST", &format!("{objects}/batch/update"), &[], &body)))
        }
        Verifying::Outside => {
            let body = format!(
                "{{\"properties\":[\"firstname\"],\"inputs\":[{{\"id\":\"{}\"}}]}}",
                wanted(target, "outside")?
            );
            Err(said(send("POST", &format!("{objects}/batch/read"), &[], &body)))
        }
        Verifying::Nothing => Ok(()),
        Verifying::OtherRow => sink.push(&readings(&[rows[0] + 1_000_000], &fields[..1])),
        Verifying::Twice => {
            sink.push(&readings(rows, fields))?;
            sink.push(&readings(&rows[..1], &fields[..1]))
        }
        Verifying::Uneven => sink.push(&readings(rows, &fields[1..])),
        Verifying::Lie => sink.push(&readings(rows, fields)),
        Verifying::Spin => spin(),
    }
}

fn readings(rows: &[u64], values: &[String]) -> ReadingBatch {
    ReadingBatch {
        rows: rows.to_vec(),
        holdings: vec![Holding::Confirmed; rows.len()],
        values: strings(values),
        details: strings(rows.iter().map(|_| "")),
        differing: nothing(rows.len()),
        moved: nothing(rows.len()),
        one_way: nothing(rows.len()),
    }
}
