//! The end of a history: what is left ends, and each witness says what it knows.

use super::{QUIET, Request, World, trouble::Trouble};
use crate::{
    evidence::{Change, Evidence, LogRow, Planned, Row, Run, Seen},
    history::Asked,
};
use anyhow::{Context, ensure};
use reverse_sync_tests::http::Client;
use serde_json::{Map, Value};
use sqlx::{AnyConnection, Connection, Row as _};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// Who continues with what is left.
const LAST: usize = 9;
/// How often a run may end early though nothing goes wrong any more.
const RESUMES: usize = 3;

impl Trouble {
    /// Goes on with what ended early, waits for what has not ended, and asks everybody.
    pub(super) async fn collect(&mut self, world: &World) -> anyhow::Result<Evidence> {
        let door = self.door().await?;
        *world.doors() = vec![door.clone()];
        come_to_the_end(world, &door).await?;
        let mut evidence = Evidence::default();
        told(world, &door, &mut evidence).await?;
        let service = self.service();
        if !service.stop().await? {
            world.recorder.history().overdue.push("the service does not end well".to_owned());
        }
        let verified = service.run(&["audit", "verify"]).await?;
        if !verified.status.success() {
            evidence.log_is_broken = Some(format!(
                "{}{}",
                String::from_utf8_lossy(&verified.stdout),
                String::from_utf8_lossy(&verified.stderr)
            ));
        }
        let state = service.state();
        stored(&self.database_url(), &mut evidence).await?;
        journals(&state, &mut evidence)?;
        evidence.writes = seen(world);
        evidence.history = world.recorder.history().clone();
        Ok(evidence)
    }
}

async fn come_to_the_end(world: &World, door: &Client) -> anyhow::Result<()> {
    let until = Instant::now() + QUIET;
    let mut resumed: BTreeMap<String, usize> = BTreeMap::new();
    let mut over: BTreeSet<String> = BTreeSet::new();
    loop {
        let mut left = Vec::new();
        // The oldest first, as their clients would have.
        for run in list(door, "/runs").await?.into_iter().rev() {
            let id = run["run_id"].as_str().context("a run without an id")?.to_owned();
            match run["status"].as_str().unwrap_or_default() {
                "succeeded" | "failed" => continue,
                "stopped" if over.contains(&id) => continue,
                // Somebody has changed what the canary wrote: that is its end until a person looks.
                "stopped" if run["canary"]["held"] == false => continue,
                "stopped" => {
                    let times = resumed.entry(id.clone()).or_default();
                    if *times == RESUMES {
                        over.insert(id.clone());
                        world
                            .recorder
                            .history()
                            .overdue
                            .push(format!("{id} ends early again and again: {}", run["stopped"]));
                        continue;
                    }
                    let request =
                        Request::post(format!("/runs/{id}/resume"), serde_json::json!({}));
                    let answer = world.ask(LAST, Asked::Resume { run: id.clone() }, request).await;
                    match answer.as_ref().and_then(|(_, answer)| answer["code"].as_str()) {
                        Some("run_superseded") => {
                            over.insert(id);
                            continue;
                        }
                        // Its time comes when that one has ended.
                        Some("run_under_way") => {}
                        _ => *times += 1,
                    }
                }
                "waiting" => {
                    // Its limit is a day's; whoever does not want to wait for the reset begins
                    // anew.
                    let request =
                        Request::post(format!("/runs/{id}/cancel"), serde_json::json!({}));
                    world.ask(LAST, Asked::Cancel { run: id.clone() }, request).await;
                }
                _ => {}
            }
            left.push(format!("{id} is {}", run["status"]));
        }
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > until {
            world.recorder.history().overdue.push(format!(
                "after {} s without trouble, {}",
                QUIET.as_secs(),
                left.join(", ")
            ));
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

/// What the API says.
async fn told(world: &World, door: &Client, evidence: &mut Evidence) -> anyhow::Result<()> {
    for plan in list(door, "/plans").await? {
        let id = text(&plan, "plan_id")?;
        let changes = list(door, &format!("/plans/{id}/changes")).await?;
        let changes = changes.iter().map(change).collect::<anyhow::Result<_>>()?;
        let planned = Planned {
            destination: text(&plan, "destination_id")?,
            undoes: plan["undoes"].as_str().map(str::to_owned),
            changes,
        };
        evidence.plans.insert(id, planned);
    }
    for run in list(door, "/runs").await? {
        let id = text(&run, "run_id")?;
        let answer = door.get(&format!("/runs/{id}")).await;
        ensure!(answer.status.as_u16() == 200, "{answer:?}");
        let outcomes = list(door, &format!("/runs/{id}/outcomes")).await?;
        let outcomes = outcomes.iter().map(|item| {
            Ok((item["change"].as_u64().context("no change")?, text(item, "outcome")?))
        });
        let outcomes = outcomes.collect::<anyhow::Result<_>>()?;
        evidence.runs.insert(id, Run { told: answer.json(), outcomes, ..Run::default() });
    }
    evidence.overwrites = world.known().iter().skip(1).map(|known| known.id.clone()).collect();
    evidence.entities =
        world.known().iter().map(|known| (known.id.clone(), known.entity.clone())).collect();
    Ok(())
}

fn text(value: &Value, key: &str) -> anyhow::Result<String> {
    value[key].as_str().map(str::to_owned).with_context(|| format!("no `{key}` in {value}"))
}

fn change(item: &Value) -> anyhow::Result<Change> {
    Ok(Change {
        number: item["change"].as_u64().context("a change without a number")?,
        id: text(item, "provider_id")?,
        fields: fields(item["fields"].as_object().context("a change without fields")?),
        before: item["before"].as_object().map(fields),
    })
}

fn fields(map: &Map<String, Value>) -> BTreeMap<String, String> {
    map.iter()
        .map(|(name, value)| {
            (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}

/// All of a list, page by page.
async fn list(door: &Client, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut after = String::new();
    loop {
        let answer = door.call("GET", &format!("{path}?limit=500{after}")).try_send().await?;
        ensure!(answer.status.as_u16() == 200, "{answer:?}");
        let page = answer.json();
        items.extend(page["items"].as_array().context("a list without items")?.iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(items),
        }
    }
}

/// What the CRM saw.
fn seen(world: &World) -> Vec<Seen> {
    let crm = world.simulator.world();
    let lost = |request: u64| {
        let logged = crm.requests.iter().find(|logged| logged.number == request);
        logged.is_none_or(|logged| {
            !logged.answered || logged.status.is_none_or(|status| !(200..300).contains(&status))
        })
    };
    crm.writes
        .iter()
        .map(|write| Seen {
            id: write.id.clone(),
            fields: fields(&write.fields),
            lost: lost(write.request),
        })
        .collect()
}

/// What the database holds.
async fn stored(url: &str, evidence: &mut Evidence) -> anyhow::Result<()> {
    let mut connection = AnyConnection::connect(url).await?;
    let rows = sqlx::query(
        "SELECT run_id, plan_id, destination_id, status, idempotency_key, result FROM runs",
    )
    .fetch_all(&mut connection);
    for row in rows.await? {
        let result: Option<String> = row.try_get("result")?;
        let kept = Row {
            plan: row.try_get("plan_id")?,
            destination: row.try_get("destination_id")?,
            status: row.try_get("status")?,
            key: row.try_get("idempotency_key")?,
            result: result
                .and_then(|result| serde_json::from_str(&result).ok())
                .unwrap_or_default(),
        };
        evidence.runs.entry(row.try_get("run_id")?).or_default().row = kept;
    }
    let rows = sqlx::query(
        "SELECT seq, action, destination_id, run_id, counts, hash FROM audit_log ORDER BY seq",
    )
    .fetch_all(&mut connection);
    for row in rows.await? {
        let counts: Option<String> = row.try_get("counts")?;
        evidence.log.push(LogRow {
            seq: row.try_get("seq")?,
            action: row.try_get("action")?,
            destination: row.try_get("destination_id")?,
            run: row.try_get("run_id")?,
            counts: counts
                .and_then(|counts| serde_json::from_str(&counts).ok())
                .unwrap_or_default(),
            hash: row.try_get("hash")?,
        });
    }
    connection.close().await?;
    Ok(())
}

/// What the journals hold, line by line, read without the product.
fn journals(state: &Path, evidence: &mut Evidence) -> anyhow::Result<()> {
    for org in fs::read_dir(state.join("orgs"))? {
        let runs = org?.path().join("runs");
        for (id, run) in &mut evidence.runs {
            let Ok(text) = fs::read_to_string(runs.join(format!("{id}.jsonl"))) else { continue };
            for line in text.lines() {
                let line: Value =
                    serde_json::from_str(line).with_context(|| format!("the journal of {id}"))?;
                run.journal.extend(outcomes(&line));
            }
        }
    }
    Ok(())
}

/// The outcomes that a line tells.
fn outcomes(line: &Value) -> Vec<(u64, String)> {
    let mut told = Vec::new();
    for outcome in ["updated", "unchanged"] {
        // `finished` has counts by these names, one level below.
        for range in line[outcome].as_array().into_iter().flatten() {
            if let (Some(first), Some(last)) = (range[0].as_u64(), range[1].as_u64()) {
                told.extend((first..=last).map(|change| (change, outcome.to_owned())));
            }
        }
    }
    for outcome in ["failed", "drifted", "unknown"] {
        told.extend(line[outcome]["change"].as_u64().map(|change| (change, outcome.to_owned())));
    }
    told
}
