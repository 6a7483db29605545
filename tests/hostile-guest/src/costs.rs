//! What costs the host something: processor time, memory, connections, lines of a log.

use crate::{
    Batch,
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::{
            streams::{Confirmed, OutcomeSink},
            types::{Error, OutcomeBatch, Problem, Status},
        },
    },
    http::{at_once, send},
    other, report, wire,
};
use hostile_attacks::Costs;
use std::{hint::black_box, io::Write, mem::ManuallyDrop};
use wasip2::{
    clocks::monotonic_clock::subscribe_duration,
    http::types::{Fields, Method, OutgoingRequest},
    io::poll::poll,
    random::random::get_random_bytes,
};

pub(crate) fn run(
    attack: Costs,
    target: &Target,
    confirmed: &Confirmed,
    batch: &Batch,
    sink: &OutcomeSink,
) -> Result<(), Error> {
    let (base, rows, id) = (&target.base_url, &batch.rows, &batch.ids[0]);
    let problem =
        |message: String| Problem { row: rows[0], http_status: None, code: "x".into(), message };
    let failed = |problems| OutcomeBatch {
        rows: rows.clone(),
        statuses: vec![Status::Failed; rows.len()],
        problems,
    };
    match attack {
        Costs::ManyAtOnce | Costs::HoardAnswers => {
            let body =
                format!("{{\"properties\":[\"firstname\"],\"inputs\":[{{\"id\":\"{id}\"}}]}}");
            let url = format!("{base}/crm/v3/objects/contacts/batch/read");
            let answered = at_once("POST", &url, &body, attack == Costs::HoardAnswers);
            Err(other(&format!("{answered} answers")))
        }
        Costs::HoardRequests => {
            let mut kept = Vec::new();
            loop {
                kept.push(OutgoingRequest::new(Fields::new()));
            }
        }
        Costs::HoardBodies => hoard_bodies(),
        Costs::HoardMethods => {
            let method = Method::Other("X".repeat(1 << 20));
            Err(wire::hoard(|request| request.set_method(&method)))
        }
        Costs::HoardHosts => {
            let host = "x".repeat(1 << 20);
            Err(wire::hoard(|request| request.set_authority(Some(&host))))
        }
        Costs::HoardPollables => {
            let mut kept = Vec::new();
            loop {
                kept.push(subscribe_duration(u64::MAX));
            }
        }
        Costs::Hoard => {
            while confirmed.next(10_000)?.is_some() {}
            Ok(())
        }
        Costs::Spin => spin(),
        Costs::PushNothing => loop {
            report(sink, &[], Status::Failed)?;
        },
        Costs::NextNothing => loop {
            confirmed.next(10)?;
        },
        Costs::ManyProblems => {
            sink.push(&failed((0..20_000).map(|_| problem("y".into())).collect()))
        }
        Costs::SameBytes => {
            let batch = ManuallyDrop::new(failed(same_bytes().into_iter().map(problem).collect()));
            sink.push(&batch)
        }
        Costs::SameBytesInError => {
            Err(Error { missing_scopes: same_bytes(), ..other("many scopes") })
        }
        Costs::ErrorLong => Err(other(&"x".repeat(1 << 20))),
        Costs::RefusedOften => {
            let url = format!("{base}/{}", "x".repeat(8_000));
            let refused = (0..30).filter(|_| send("DELETE", &url, &[], "").is_err()).count();
            Err(other(&format!("{refused} refused")))
        }
        Costs::SpinAsking => loop {
            black_box(confirmed.stopping());
        },
        Costs::RandomBytes => Err(other(&format!("{} bytes", get_random_bytes(6 << 20).len()))),
        Costs::PollMuch => {
            let ready = subscribe_duration(0);
            let all = vec![&ready; 300_000];
            loop {
                black_box(poll(&all));
            }
        }
        Costs::Sleep => {
            subscribe_duration(u64::MAX).block();
            Err(other("awake"))
        }
        Costs::EatMemory => eat_memory(),
        Costs::Recurse => Err(other(&recurse(1).to_string())),
        Costs::Chatter => {
            let text = [b'x'; 4096];
            loop {
                let _ = std::io::stdout().write_all(&text);
                let _ = std::io::stderr().write_all(&text);
            }
        }
    }
}

/// What waits for long, as for a job, does not spin.
pub(crate) fn wait_asking(
    confirmed: &Confirmed,
    batch: &Batch,
    sink: &OutcomeSink,
) -> Result<(), Error> {
    for _ in 0..25 {
        subscribe_duration(60_000_000).block();
        confirmed.stopping();
    }
    report(sink, &batch.rows, Status::Failed)
}

/// Texts that are all the same bytes of this memory; the host would have each for itself. They must
/// never be dropped.
fn same_bytes() -> Vec<String> {
    let text = "x".repeat(1 << 20).leak();
    // SAFETY: nobody writes to it, and it is never given back: the call ends with a trap.
    (0..1_000)
        .map(|_| unsafe {
            String::from_raw_parts(text.as_ptr().cast_mut(), text.len(), text.len())
        })
        .collect()
}

fn hoard_bodies() -> Result<(), Error> {
    let (mut kept, mut taken) = (Vec::new(), 0);
    let chunk = vec![1u8; 1 << 20];
    for _ in 0..20 {
        let request = OutgoingRequest::new(Fields::new());
        let body = request.body().map_err(|()| other("no body"))?;
        let stream = body.write().map_err(|()| other("no stream"))?;
        while let Ok(room) = stream.check_write() {
            let room = (room as usize).min(chunk.len());
            if room == 0 || stream.write(&chunk[..room]).is_err() {
                break;
            }
            taken += room;
        }
        kept.push((stream, body, request));
    }
    Err(other(&format!("{taken} bytes in {} bodies", kept.len())))
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is the attack")]
fn recurse(depth: u64) -> u64 {
    black_box(depth) + recurse(black_box(depth + 1))
}

pub(crate) fn spin() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

pub(crate) fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1u8; 1 << 20]));
    }
}
