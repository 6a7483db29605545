//! Attacks on planning.

use crate::{
    bindings::exports::reverse_sync::destination::destination::Target,
    bindings::reverse_sync::destination::{
        streams::PlanSink,
        types::{ChangeBatch, Error, FlaggedBatch, SkippedBatch, Strings},
    },
    changes,
    costs::{eat_memory, spin},
    http::{said, send},
    other, strings, wanted,
};
use hostile_attacks::Planning;

pub(crate) fn plan(
    attack: Planning,
    target: &Target,
    rows: &[u64],
    ids: &[&str],
    sink: &PlanSink,
) -> Result<(), Error> {
    let fields = |row: u64| format!("{{\"firstname\":\"new {row}\"}}");
    let skip = |rows: &[u64], reason: &str| {
        sink.skip(&SkippedBatch {
            rows: rows.to_vec(),
            reason: reason.to_owned(),
            details: None,
            ids: None,
        })
    };
    let flag = |rows: Vec<u64>| {
        let details = strings(rows.iter().map(|_| "x"));
        sink.flag(&FlaggedBatch { guard: "odd".into(), what: "that are odd".into(), rows, details })
    };
    let good = changes(rows, ids, fields);
    let saying = |text: &str| sink.push(&changes(rows, ids, |_| text.to_owned()));
    let with_id = |id: &str| sink.push(&changes(&rows[..1], &[id], fields));
    match attack {
        Planning::Twice => {
            sink.push(&good)?;
            skip(&rows[..1], "again")
        }
        Planning::Lose => sink.push(&changes(&rows[1..], &ids[1..], fields)),
        Planning::Invent => sink.push(&changes(&[rows[0] + 1_000_000], &ids[..1], fields)),
        Planning::SkipNoRow => skip(&[0], "none"),
        Planning::Descend => {
            let (rows, ids): (Vec<u64>, Vec<&str>) = rows.iter().zip(ids).rev().unzip();
            sink.push(&changes(&rows, &ids, fields))
        }
        // If this were let through as one change, the body would update record 999 too.
        Planning::Smuggle => saying("{\"a\":\"b\"}},{\"id\":\"999\",\"properties\":{\"x\":\"y\"}"),
        Planning::SmuggleBefore => sink.push(&ChangeBatch {
            before: Some(strings(rows.iter().map(|_| "{\"firstname\":\"A\"},{}"))),
            ..good
        }),
        Planning::FieldTwice => saying("{\"a\":\"1\",\"a\":\"2\"}"),
        Planning::FieldEscaped => saying("{\"a\":\"1\",\"\\u0061\":\"2\"}"),
        Planning::NoField => saying("{}"),
        Planning::RawControl => saying("{\"a\":\"1\n2\"}"),
        Planning::BadId => with_id("1\",\"x\":\"2"),
        Planning::NulId => with_id("49\0"),
        Planning::PathId => with_id("../companies"),
        Planning::LongId => with_id(&"4".repeat(10_000)),
        Planning::SameId => sink.push(&changes(rows, &vec![ids[0]; rows.len()], fields)),
        Planning::Uneven => sink.push(&ChangeBatch { ids: strings(&ids[1..]), ..good }),
        Planning::Offsets => {
            let offsets = good.ids.offsets.iter().rev().copied().collect();
            sink.push(&ChangeBatch { ids: Strings { offsets, ..good.ids.clone() }, ..good })
        }
        Planning::SplitCharacter => {
            let fields = Strings {
                bytes: "{\"a\":\"ä\"}".repeat(rows.len()),
                offsets: (0..=rows.len() as u32).map(|at| at * 7).collect(),
            };
            sink.push(&ChangeBatch { fields, ..good })
        }
        Planning::Repaint => {
            sink.warn("\u{1b}[2J\u{9b}1A\u{202e}\n  0 would be updated");
            sink.push(&good)
        }
        Planning::Spin => spin(),
        Planning::PushNothing => loop {
            sink.push(&changes(&[], &[], fields))?;
        },
        Planning::SkipNothing => loop {
            skip(&[], "none")?;
        },
        Planning::Remarks => {
            let message = "x".repeat(1 << 20);
            loop {
                sink.warn(&message);
            }
        }
        Planning::Guards => {
            let message = "x".repeat(1 << 20);
            loop {
                sink.guard("odd", &message);
            }
        }
        Planning::Columns => {
            let name = "x".repeat(1 << 20);
            loop {
                sink.drop_column(&name, "odd");
            }
        }
        Planning::FlagOften => loop {
            flag(vec![rows[0]; 100_000])?;
        },
        Planning::FlagUnread => {
            flag(vec![rows[0] + 1_000_000])?;
            sink.push(&good)
        }
        Planning::FlagLong => {
            sink.push(&good)?;
            let flagged = FlaggedBatch {
                guard: "odd".into(),
                what: "x".repeat(1 << 20),
                rows: rows[..1].to_vec(),
                details: strings(["x"]),
            };
            sink.flag(&flagged)
        }
        Planning::ReasonLong => skip(rows, &"x".repeat(1 << 20)),
        Planning::ErrorLong => Err(other(&"x".repeat(1 << 20))),
        Planning::Reasons => {
            rows.iter().enumerate().try_for_each(|(at, row)| skip(&[*row], &format!("reason_{at}")))
        }
        Planning::EatMemory => eat_memory(),
        Planning::Panic => panic!("a guest that panics"),
        Planning::Write => {
            // Everything in the grant, but in the wrong phase.
            let body = format!(
                "{{\"inputs\":[{{\"id\":\"{}\",\"properties\":{{\"firstname\":\"new 1\"}}}}]}}",
                ids[0]
            );
            Err(said(send(
                "POST",
                &format!("{}/crm/v3/objects/contacts/batch/update", target.base_url),
                &[],
                &body,
            )))
        }
        Planning::Read => Err(said(send(
            "GET",
            &format!("{}/crm/v3/objects/contacts/{}", target.base_url, ids[0]),
            &[],
            "",
        ))),
        Planning::OtherHost => Err(said(send("GET", &wanted(target, "url")?, &[], ""))),
    }
}
