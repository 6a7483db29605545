//! A run as it happens: server-sent events.

use super::{
    body::PathId,
    problem::{Answer, Problem, ProblemJson},
    run_json::RunJson,
    runs::{CallLimit, per_second, run},
};
use crate::{
    api::auth::Viewer,
    app::App,
    scheduler::live::Live,
    store::{RunRow, now_ms, time_text},
};
use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::Stream;
use serde::Serialize;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::mpsc, time::MissedTickBehavior};
use utoipa_axum::{router::OpenApiRouter, routes};

/// How often a run is looked at: its events come at most so often.
const LOOK: Duration = Duration::from_millis(250);
/// Looks from one rate to the next.
const LOOKS_A_RATE: u32 = 4;
/// Events that may wait for a slow client before the run is looked at again.
const WAITING: usize = 4;

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(events))
}

/// Calls of the last second.
#[derive(Serialize)]
struct Rate {
    at: String,
    calls: u64,
    limit_per_second: Option<f64>,
    limit: Option<CallLimit>,
    throttled: u64,
}

/// A run as it happens. `event: run` has the run, whenever it has changed, at most four times a
/// second; `event: rate` has `{"at", "calls", "limit_per_second", "limit", "throttled"}` each
/// second. The
/// stream ends after the run has.
#[utoipa::path(
    get, path = "/runs/{run_id}/events", operation_id = "followRun", tag = "runs", params(("run_id" = String, Path, description = "The run")),
    responses(
        (status = 200, description = "Server-sent events", body = serde_json::Value, content_type = "text/event-stream"),
        (status = 429, description = "The org follows 64 runs already", body = ProblemJson, content_type = "application/problem+json")),
    extensions(("x-role" = json!("viewer")))
)]
async fn events(
    Viewer(member): Viewer,
    State(app): State<Arc<App>>,
    PathId(id): PathId,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let row = run(&app, &member, &id).await?;
    let turn = app.jobs.following(&member.org_id).ok_or_else(|| {
        let detail = "as many runs of this org are followed as may be at once; end another stream, or ask GET /runs/{run_id} now and then";
        Problem::too_many_of("too_many_streams", detail, 5)
    })?;
    let (events, mut next) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        if let Err(problem) = follow(&app, row, &events).await {
            tracing::warn!(?problem, "the events of a run broke off");
        }
        drop(turn);
    });
    let stream = futures_util::stream::poll_fn(move |context| {
        next.poll_recv(context).map(|event| event.map(Ok))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::default()))
}

/// Tells of a run until it has ended, the client goes away, or the service ends.
async fn follow(app: &Arc<App>, mut row: RunRow, events: &mpsc::Sender<Event>) -> Answer<()> {
    let mut ending = app.ending.subscribe();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // What was called before somebody looked is not a rate of the last second.
    let before = app
        .jobs
        .live(&row.org_id, &row.run_id)
        .and_then(|live| live.now())
        .map_or(0, |now| now.requests);
    let (mut shown, mut look, mut calls, mut throttled) = (None, 0, before, None);
    loop {
        let live = app.jobs.live(&row.org_id, &row.run_id);
        row = app
            .store
            .run(&row.org_id, &row.run_id)
            .await?
            .ok_or_else(|| Problem::missing("run", &row.run_id))?;
        let run = RunJson::of(app, &row);
        if shown.as_ref() != Some(&run) {
            if send(events, "run", &run).await.is_err() {
                return Ok(());
            }
            shown = Some(run);
        }
        if !row.status.is_unfinished() {
            return Ok(());
        }
        tokio::select! {
            _ = looks.tick() => {}
            () = end(live.as_deref()) => {}
            () = events.closed() => return Ok(()),
            // An error says that nobody is there any more to end it.
            _ = ending.wait_for(|ending| *ending) => return Ok(()),
        }
        look += 1;
        if look % LOOKS_A_RATE == 0
            && let Some(live) = &live
            && let Some(now) = live.now()
        {
            let pace = live.pace();
            let storms = pace.as_ref().map_or(0, |pace| pace.throttled);
            let rate = Rate {
                at: time_text(now_ms()),
                // Another pass begins to count anew.
                calls: now.requests.checked_sub(calls).unwrap_or(now.requests),
                limit_per_second: pace.as_ref().and_then(per_second),
                limit: pace.as_ref().and_then(CallLimit::of),
                throttled: storms - throttled.unwrap_or(storms).min(storms),
            };
            (calls, throttled) = (now.requests, Some(storms));
            if send(events, "rate", &rate).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn end(live: Option<&Live>) {
    match live {
        Some(live) => live.end().await,
        // It is about to be taken up, or has just ended: the next look tells.
        None => std::future::pending().await,
    }
}

async fn send(events: &mpsc::Sender<Event>, name: &str, what: &impl Serialize) -> Result<(), ()> {
    let event = Event::default()
        .event(name)
        .json_data(what)
        .map_err(|error| tracing::error!(%error, "an event is not JSON"))?;
    events.send(event).await.map_err(drop)
}
