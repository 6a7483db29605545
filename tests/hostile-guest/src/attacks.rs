//! The attacks. Each one that sends a request ends with an error that says how the host answered.

use crate::{
    bindings::exports::reverse_sync::destination::destination::Target,
    bindings::reverse_sync::destination::{
        streams::{Confirmed, OutcomeSink, PlanSink, VerifySink},
        types::{Error, Holding, OutcomeBatch, Problem, ReadingBatch, SkippedBatch, Status},
    },
    changes, config, nothing, other, report, strings, texts,
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};
use wstd::{
    http::{Body, Client, Request},
    runtime::block_on,
};

/// Attacks on planning.
pub(crate) fn plan(attack: &str, target: &Target, rows: &[u64], ids: &[&str], sink: &PlanSink) -> Result<(), Error> {
    let fields = |row: u64| format!("{{\"firstname\":\"new {row}\"}}");
    match attack {
        "plan_twice" => {
            sink.push(&changes(rows, ids, fields))?;
            sink.skip(&SkippedBatch { rows: rows[..1].to_vec(), reason: "again".into(), details: None, ids: None })
        }
        "plan_lose" => sink.push(&changes(&rows[1..], &ids[1..], fields)),
        "plan_invent" => sink.push(&changes(&[rows[0] + 1_000_000], &ids[..1], fields)),
        "plan_smuggle" => {
            // If this were let through as one change, the body would update record 999 too.
            sink.push(&changes(rows, ids, |_| "{\"a\":\"b\"}},{\"id\":\"999\",\"properties\":{\"x\":\"y\"}".to_owned()))
        }
        "plan_bad_id" => sink.push(&changes(&rows[..1], &["1\",\"x\":\"2"], fields)),
        "plan_spin" => spin(),
        "plan_push_nothing" => loop {
            sink.push(&changes(&[], &[], fields))?;
        },
        "plan_skip_nothing" => loop {
            sink.skip(&SkippedBatch { rows: vec![], reason: "none".into(), details: None, ids: None })?;
        },
        "plan_remarks" => {
            let message = "x".repeat(1 << 20);
            loop {
                sink.warn(&message);
            }
        }
        "plan_reasons" => {
            for (at, row) in rows.iter().enumerate() {
                sink.skip(&SkippedBatch { rows: vec![*row], reason: format!("reason_{at}"), details: None, ids: None })?;
            }
            Ok(())
        }
        "plan_eat_memory" => eat_memory(),
        "plan_panic" => panic!("a guest that panics"),
        "plan_write" => {
            // Everything in the grant, but in the wrong phase.
            let body = format!("{{\"inputs\":[{{\"id\":\"{}\",\"properties\":{{\"firstname\":\"new 1\"}}}}]}}", ids[0]);
            Err(said(send("POST", &format!("{}/crm/v3/objects/contacts/batch/update", target.base_url), &[], &body)))
        }
        "plan_read" => Err(said(send("GET", &format!("{}/crm/v3/objects/contacts/{}", target.base_url, ids[0]), &[], ""))),
        "plan_other_host" => {
            let url = config(target)?["url"].as_str().unwrap_or_default().to_owned();
            Err(said(send("GET", &url, &[], "")))
        }
        _ => Err(other("no such attack")),
    }
}

/// Attacks on a confirmed run.
pub(crate) fn run(attack: &str, target: &Target, confirmed: &Confirmed, sink: &OutcomeSink) -> Result<(), Error> {
    let Some(batch) = confirmed.next(10)? else { return Ok(()) };
    let (rows, ids, fields) = (batch.rows, texts(&batch.ids), texts(&batch.fields));
    let (id, mine) = (&ids[0], &fields[0]);
    let base = &target.base_url;
    let objects = format!("{base}/crm/v3/objects/contacts");
    let update = format!("{objects}/batch/update");
    let item = |id: &str, fields: &str| format!("{{\"id\":\"{id}\",\"properties\":{fields}}}");
    let batch_of = |items: &[String]| format!("{{\"inputs\":[{}]}}", items.join(","));
    let one = batch_of(&[item(id, mine)]);
    match attack {
        "create" => Err(said(send("POST", &objects, &[], &format!("{{\"properties\":{mine}}}")))),
        "delete" => Err(said(send("DELETE", &format!("{objects}/{id}"), &[], ""))),
        "archive" => Err(said(send("POST", &format!("{objects}/batch/archive"), &[], &format!("{{\"inputs\":[{{\"id\":\"{id}\"}}]}}")))),
        "other_host" => {
            let url = config(target)?["url"].as_str().unwrap_or_default().to_owned();
            Err(said(send("POST", &url, &[], &one)))
        }
        "other_object" => Err(said(send("POST", &format!("{base}/crm/v3/objects/companies/batch/update"), &[], &one))),
        "other_id" => {
            let outside = config(target)?["outside"].as_str().unwrap_or("1").to_owned();
            Err(said(send("POST", &update, &[], &batch_of(&[item(id, mine), item(&outside, mine)]))))
        }
        "other_field" => Err(said(send("PATCH", &format!("{objects}/{id}"), &[], "{\"properties\":{\"lifecyclestage\":\"lead\"}}"))),
        "other_value" => Err(said(send("POST", &update, &[], &batch_of(&[item(id, "{\"firstname\":\"Mallory\"}")])))),
        "swapped_values" => Err(said(send("POST", &update, &[], &batch_of(&[item(id, &fields[1])])))),
        "id_property" => {
            let body = format!("{{\"inputs\":[{{\"id\":\"{id}\",\"idProperty\":\"email\",\"properties\":{mine}}}]}}");
            Err(said(send("POST", &update, &[], &body)))
        }
        "same_id_twice" => Err(said(send("POST", &update, &[], &batch_of(&[item(id, mine), item(id, mine)])))),
        "own_authorization" => Err(said(send("POST", &update, &[("authorization", "Bearer mine")], &one))),
        "own_cookie" => Err(said(send("POST", &update, &[("cookie", "session=mine")], &one))),
        "method_override" => Err(said(send("POST", &update, &[("x-http-method-override", "DELETE")], &one))),
        "settled_id" => {
            // The outcome is in; the change is not in hand any more.
            report(sink, &rows[..1], Status::Failed)?;
            Err(said(send("POST", &update, &[], &one)))
        }
        "written_again" => {
            // The answer said that it was written.
            let body = format!("{{\"properties\":{mine}}}");
            let first = send("PATCH", &format!("{objects}/{id}"), &[], &body);
            let again = send("PATCH", &format!("{objects}/{id}"), &[], &body);
            Err(other(&format!("{first:?} then {}", said(again).message)))
        }
        "written_and_failed" => {
            let body = format!("{{\"properties\":{mine}}}");
            send("PATCH", &format!("{objects}/{id}"), &[], &body).map_err(|error| other(&error))?;
            report(sink, &rows, Status::Failed)
        }
        "written_often" => {
            let answers = (0..20).take_while(|_| send("POST", &update, &[], &one).is_ok()).count();
            Err(other(&format!("{answers} answers")))
        }
        "other_media" => Err(said(send("POST", &update, &[("content-type", "application/x-www-form-urlencoded")], &one))),
        "claim_updated" => report(sink, &rows, Status::Updated),
        "claim_unchanged" => report(sink, &rows, Status::Unchanged),
        "no_outcome" => Ok(()),
        "other_row" => report(sink, &[rows[0] + 1_000_000], Status::Updated),
        "outcome_twice" => {
            report(sink, &rows, Status::Failed)?;
            report(sink, &rows[..1], Status::Updated)
        }
        "many_at_once" | "hoard_answers" => {
            let body = format!("{{\"properties\":[\"firstname\"],\"inputs\":[{{\"id\":\"{id}\"}}]}}");
            let answered = at_once("POST", &format!("{objects}/batch/read"), &body, attack == "hoard_answers");
            Err(other(&format!("{answered} answers")))
        }
        "hoard_requests" => {
            let mut kept = Vec::new();
            loop {
                kept.push(wasip2::http::types::OutgoingRequest::new(wasip2::http::types::Fields::new()));
            }
        }
        "hoard" => {
            while confirmed.next(10_000)?.is_some() {}
            Ok(())
        }
        "spin" => spin(),
        "push_nothing" => loop {
            report(sink, &[], Status::Failed)?;
        },
        "next_nothing" => loop {
            confirmed.next(10)?;
        },
        "many_problems" => {
            let problem = |row: u64| Problem { row, http_status: None, code: "x".into(), message: "y".into() };
            let problems = (0..20_000).map(|_| problem(rows[0])).collect();
            sink.push(&OutcomeBatch { rows: rows.clone(), statuses: vec![Status::Failed; rows.len()], problems })
        }
        "same_bytes" => {
            // All messages are the same bytes of this memory; the host would have each for itself.
            let message = "x".repeat(1 << 20).leak();
            let text = || {
                // SAFETY: nobody writes to it, and it is never given back.
                std::mem::ManuallyDrop::new(unsafe { String::from_raw_parts(message.as_ptr().cast_mut(), message.len(), message.len()) })
            };
            let problems: Vec<Problem> = (0..1_000)
                .map(|_| Problem { row: rows[0], http_status: None, code: "x".into(), message: std::mem::ManuallyDrop::into_inner(text()) })
                .collect();
            let batch =
                std::mem::ManuallyDrop::new(OutcomeBatch { rows: rows.clone(), statuses: vec![Status::Failed; rows.len()], problems });
            sink.push(&batch)
        }
        "hoard_bodies" => {
            let (mut kept, mut taken) = (Vec::new(), 0);
            let chunk = vec![1u8; 1 << 20];
            for _ in 0..20 {
                let request = wasip2::http::types::OutgoingRequest::new(wasip2::http::types::Fields::new());
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
        "refused_often" => {
            let url = format!("{base}/{}", "x".repeat(8_000));
            let refused = (0..500).filter(|_| send("DELETE", &url, &[], "").is_err()).count();
            Err(other(&format!("{refused} refused")))
        }
        "spin_asking" => loop {
            std::hint::black_box(confirmed.stopping());
        },
        "wait_asking" => {
            // What waits for long, as for a job, is no spinning.
            for _ in 0..25 {
                wasip2::clocks::monotonic_clock::subscribe_duration(60_000_000).block();
                confirmed.stopping();
            }
            report(sink, &rows, Status::Failed)
        }
        "eat_memory" => eat_memory(),
        "tcp" => {
            let port = base.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
            Err(other(&connect(port)))
        }
        "files" => {
            let seen = [std::fs::read("/etc/passwd").is_ok(), std::fs::read_dir("/").is_ok(), std::fs::write("x", "x").is_ok()];
            let seen = seen.contains(&true) || std::env::vars().next().is_some() || std::env::args().next().is_some();
            Err(other(if seen { "saw something" } else { "nothing to see" }))
        }
        "scan_memory" => {
            // A write that is allowed, so that the token has been used; then a look at every byte this instance has.
            let answer = send("POST", &update, &[], &one);
            let found = find_reversed(config(target)?["reversed_needle"].as_str().unwrap_or_default().as_bytes());
            let control = find_reversed(b"eldeen-lortnoc");
            let kept = std::hint::black_box("control-needle");
            Err(other(&format!("{} found={found} control={control} {}", answer.unwrap_or_else(|error| error), kept.len())))
        }
        _ => Err(other("no such attack")),
    }
}

/// Attacks on verifying.
pub(crate) fn verify(attack: &str, target: &Target, written: &Confirmed, sink: &VerifySink) -> Result<(), Error> {
    let Some(batch) = written.next(10)? else { return Ok(()) };
    let (rows, ids, fields) = (batch.rows, texts(&batch.ids), texts(&batch.fields));
    match attack {
        "verify_write" => {
            // A change that is in hand, with its confirmed values: everything is right but the moment.
            let body = format!("{{\"inputs\":[{{\"id\":\"{}\",\"properties\":{}}}]}}", ids[0], fields[0]);
            Err(said(send("POST", &format!("{}/crm/v3/objects/contacts/batch/update", target.base_url), &[], &body)))
        }
        "verify_nothing" => Ok(()),
        "verify_other_row" => sink.push(&readings(&[rows[0] + 1_000_000], &fields[..1])),
        // It never looked.
        _ => sink.push(&readings(&rows, &fields)),
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

pub(crate) fn said(answer: Result<String, String>) -> Error {
    other(&match answer {
        Ok(status) => format!("answered {status}"),
        Err(error) => format!("refused {error}"),
    })
}

fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<String, String> {
    exchange(method, url, headers, body).map(|(status, _)| status.to_string())
}

/// A request and its answer: status and body.
pub(crate) fn exchange(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<(u16, Vec<u8>), String> {
    block_on(async {
        let mut request = Request::builder().method(method).uri(url);
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).map_err(|error| error.to_string())?;
        let mut answer = Client::new().send(request).await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let contents = answer.body_mut().contents().await.map_err(|error| error.to_string())?.to_vec();
        Ok((status, contents))
    })
}

/// More requests than a host lets one instance have under way.
const MANY: usize = 100;

/// The same request many times at once. How many were answered; if `keep`, none of the answers is let go of before.
fn at_once(method: &str, url: &str, body: &str, keep: bool) -> usize {
    let client = Client::new();
    let one = async || {
        let request = Request::builder().method(method).uri(url).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_owned())).map_err(|error| error.to_string())?;
        client.send(request).await.map_err(|error| format!("{error:?}"))
    };
    block_on(async {
        let mut pending: Vec<Pin<Box<dyn Future<Output = _> + '_>>> = Vec::new();
        for _ in 0..MANY {
            pending.push(Box::pin(one()));
        }
        let (mut kept, mut answered) = (Vec::new(), 0);
        poll_fn(|context| {
            pending.retain_mut(|request| match request.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    answered += usize::from(answer.is_ok());
                    if keep {
                        kept.push(answer);
                    }
                    false
                }
                Poll::Pending => true,
            });
            if pending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        answered
    })
}

/// A connection past `wasi:http`, by the sockets of WASI itself.
fn connect(port: u16) -> String {
    use wasip2::sockets::{
        instance_network::instance_network,
        network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress},
        tcp_create_socket::create_tcp_socket,
    };
    let socket = match create_tcp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => socket,
        Err(error) => return format!("no socket: {error:?}"),
    };
    let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
    if let Err(error) = socket.start_connect(&instance_network(), address) {
        return format!("no socket: {error:?}");
    }
    socket.subscribe().block();
    match socket.finish_connect() {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("no socket: {error:?}"),
    }
}

fn spin() -> ! {
    let mut n = 0u64;
    loop {
        n = std::hint::black_box(n.wrapping_add(1));
    }
}

fn eat_memory() -> ! {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1u8; 1 << 20]));
    }
}

/// Whether the text whose reverse this is stands anywhere in this instance's memory. The text itself is never made.
fn find_reversed(reversed: &[u8]) -> bool {
    let size = core::arch::wasm32::memory_size(0) * 65_536;
    // SAFETY: the linear memory of this instance is `size` bytes long; the first ones are left out because a slice may
    // not begin at address 0. Nothing writes while it is read: there is one thread.
    let memory = unsafe { core::slice::from_raw_parts(16 as *const u8, size - 16) };
    !reversed.is_empty() && memory.windows(reversed.len()).any(|window| window.iter().eq(reversed.iter().rev()))
}
