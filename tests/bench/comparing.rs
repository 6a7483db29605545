//! Comparing while planning: how many reads, and how much processor time a record costs in plugin
//! and host together.

use crate::{
    golden,
    spent::Clock,
    table::{Table, Target},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use reverse_sync::{
    egress::pacing::Pacer, egress::transport::TransportLimits, engine::EngineConfig,
    planner::Asking,
};
use reverse_sync_tests::{Bench, component_file, load};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::net::TcpListener;

const RECORDS: usize = 200_000;

/// A CRM whose answers are rendered before anything is measured, and whose thread's time is not
/// counted.
struct Held {
    hubspot: bool,
    records: HashMap<String, String>,
    reads: AtomicU64,
    /// Processor time of the server's thread, in nanoseconds.
    spent: AtomicU64,
}

/// Reads of full batches, all of them equal: nothing is left of the plan, so what is measured is
/// comparing.
pub(crate) fn cost(table: &mut Table) -> anyhow::Result<()> {
    for (destination_type, id, batch) in
        [("hubspot_dest", "hs_object_id", 100), ("salesforce_dest", "Id", 2_000)]
    {
        let salesforce = id == "Id";
        let held = Arc::new(Held {
            hubspot: !salesforce,
            records: rendered(salesforce)?,
            reads: AtomicU64::new(0),
            spent: AtomicU64::new(0),
        });
        let address = serve(Arc::clone(&held))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let (spent, skipped) = runtime.block_on(async {
            let component = Arc::new(load(component_file(), EngineConfig::default()).await?);
            let config = json!({"provider_id_field": id, "source_id": "src_1"});
            let bench =
                Bench::new(component, &format!("http://{address}"), destination_type, config)?;
            let mut pacing = bench.component.destination_type(destination_type)?.pacing.clone();
            pacing.limit = Some(reverse_sync::contract::capabilities::Rate {
                requests: 10_000_000,
                window_ms: 10_000,
            });
            let link =
                bench.link_with("token", Pacer::new(&pacing, None), TransportLimits::default())?;
            let records = golden::in_memory(RECORDS, salesforce)?;
            let clock = Clock::start(&held.spent);
            let plan = bench.plan_asking(Asking::Records(link), records).await?;
            anyhow::Ok((clock.stop(), plan.header().skipped))
        })?;
        anyhow::ensure!(skipped == RECORDS as u64, "{skipped} are unchanged");
        let name = format!("compare {RECORDS} records, {destination_type}");
        let reads = held.reads.load(Relaxed) as f64;
        table.add(
            &format!("{name}: reads"),
            "",
            &[reads],
            Target::AtMost((RECORDS / batch) as f64),
        );
        let each = spent.processor * 1e6 / RECORDS as f64;
        let name = format!("{name}: processor time of a record, server not counted");
        table.add(&name, "us", &[each], Target::AtMost(1.5));
    }
    Ok(())
}

/// What the CRM holds, as it answers, by id.
fn rendered(salesforce: bool) -> anyhow::Result<HashMap<String, String>> {
    let mut all = HashMap::new();
    let mut first = 0;
    while first < RECORDS {
        let count = 4_096.min(RECORDS - first);
        let batch = golden::batch(first, count, salesforce)?;
        let columns: Vec<(&str, &arrow_array::StringArray)> = batch
            .schema_ref()
            .fields()
            .iter()
            .zip(batch.columns())
            .filter_map(|(field, column)| {
                Some((field.name().as_str(), column.as_any().downcast_ref()?))
            })
            .collect();
        for row in 0..count {
            use arrow_array::Array;
            let mut values = serde_json::Map::new();
            for (name, column) in &columns[1..] {
                values.insert(
                    (*name).to_owned(),
                    if column.is_valid(row) { json!(column.value(row)) } else { Value::Null },
                );
            }
            let id = columns[0].1.value(row).to_owned();
            let record = if salesforce {
                values.insert("Id".to_owned(), json!(id));
                values.insert(
                    "attributes".to_owned(),
                    json!({"type": "Contact", "url": format!("/services/data/v67.0/sobjects/Contact/{id}")}),
                );
                Value::Object(values)
            } else {
                json!({"id": id, "properties": values, "createdAt": "2025-02-03T09:00:00.120Z", "updatedAt": "2026-10-02T08:20:00.150Z", "archived": false})
            };
            all.insert(id, record.to_string());
        }
        first += count;
    }
    Ok(all)
}

fn serve(held: Arc<Held>) -> anyhow::Result<SocketAddr> {
    let (told, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
            let _ = told.send(listener.local_addr());
            // The time of this thread is the server's, not ours to answer for.
            let clock = cpu_time::ThreadTime::now();
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let held = Arc::clone(&held);
                tokio::task::spawn_local(async move {
                    let service =
                        service_fn(move |request| answer(request, Arc::clone(&held), clock));
                    http1::Builder::new()
                        .timer(TokioTimer::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                });
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            anyhow::Ok(())
        })
    });
    Ok(address.recv()??)
}

async fn answer(
    request: Request<Incoming>,
    held: Arc<Held>,
    clock: cpu_time::ThreadTime,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = if request.method() == http::Method::GET {
        crate::null_crm::metadata(request.uri().path())
    } else {
        let body =
            request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if body.get("idProperty").is_none() {
            held.reads.fetch_add(1, Relaxed);
        }
        let ids: Vec<&str> = if held.hubspot {
            body["inputs"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|input| input["id"].as_str())
                .collect()
        } else {
            body["ids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let records: Vec<&str> =
            ids.iter().filter_map(|id| held.records.get(*id).map(String::as_str)).collect();
        let list = records.join(",");
        if held.hubspot {
            format!("{{\"status\":\"COMPLETE\",\"results\":[{list}]}}")
        } else {
            format!("[{list}]")
        }
    };
    held.spent.store(clock.elapsed().as_nanos() as u64, Relaxed);
    let response = Response::builder()
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(text)));
    Ok(response.unwrap_or_default())
}
