//! What clients do: each of them one operation after the other, with what was told to any of them.

use super::{Request, World};
use crate::{
    generator::{Checks, Operation},
    history::{Asked, short},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Tries at something that a key makes safe to repeat.
const TRIES: usize = 3;
const AGAIN: Duration = Duration::from_millis(200);
/// Who looks at runs all the time, and how often.
const WATCHER: usize = 8;
const LOOKS: Duration = Duration::from_millis(40);

/// What clients know of a destination.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) entity: String,
    /// The plan that was last shown.
    shown: Option<String>,
    /// The run that was last begun, and the one before it.
    run: Option<String>,
    older: Option<String>,
    /// The last confirmation that had a key.
    keyed: Option<Confirmation>,
}

#[derive(Clone, Debug)]
struct Confirmation {
    path: String,
    key: Option<String>,
    body: Value,
}

impl Known {
    pub(super) fn new(id: &str, entity: &str) -> Known {
        Known {
            id: id.to_owned(),
            entity: entity.to_owned(),
            shown: None,
            run: None,
            older: None,
            keyed: None,
        }
    }
}

/// One client's life.
pub(super) async fn live(world: Arc<World>, client: usize) {
    for step in world.script.clients[client].clone() {
        tokio::time::sleep(Duration::from_millis(step.pause)).await;
        world.operate(client, step.what).await;
    }
}

/// Somebody who looks at the last runs all the time, and writes down what is new.
pub(super) async fn watch(world: Arc<World>) {
    let mut seen: BTreeMap<String, (u16, String)> = BTreeMap::new();
    loop {
        tokio::time::sleep(LOOKS).await;
        for target in 0..world.script.destinations.len() {
            let Some(run) = world.knows(target).run else { continue };
            let call = world
                .send(
                    WATCHER,
                    Asked::Look { run: run.clone() },
                    Request::get(format!("/runs/{run}")),
                )
                .await;
            let Some((status, body)) = &call.told else { continue };
            let new = (*status, short(body));
            if seen.get(&run) != Some(&new) {
                seen.insert(run, new);
                world.recorder.history().calls.push(call);
            }
        }
    }
}

impl World {
    fn knows(&self, target: usize) -> Known {
        self.known()[target].clone()
    }

    fn learns(&self, target: usize, learn: impl FnOnce(&mut Known)) {
        learn(&mut self.known()[target]);
    }

    async fn operate(&self, client: usize, operation: Operation) {
        match operation {
            Operation::Replace { target, set, first, end } => {
                self.replace(client, target, set, first..end).await
            }
            Operation::DryRun { target, mode } => {
                let destination = self.knows(target).id;
                let request = Request::post(
                    format!("/destinations/{destination}/reverse-dry-run"),
                    json!({ "mode": mode }),
                );
                self.plan(client, target, Asked::DryRun { destination }, request).await;
            }
            Operation::Confirm { target, shown, key, at_once, wait, checks } => {
                let known = self.knows(target);
                let mut body = json!({"confirm": true});
                if let Some(plan) = known.shown.filter(|_| shown) {
                    body["plan_id"] = json!(plan);
                }
                match checks {
                    Checks::None => {}
                    Checks::Canary => body["canary"] = json!(2),
                    Checks::Verify => body["verify"] = json!("all"),
                }
                let path = format!("/destinations/{}/reverse-run?wait={wait}", known.id);
                let confirmation =
                    Confirmation { path, key: key.map(|key| format!("key-{key}")), body };
                self.confirm(client, target, confirmation, at_once).await;
            }
            Operation::Again { target } => {
                if let Some(confirmation) = self.knows(target).keyed {
                    self.confirm(client, target, confirmation, false).await;
                }
            }
            Operation::Cancel { target } => {
                if let Some(run) = self.knows(target).run {
                    self.ask(
                        client,
                        Asked::Cancel { run: run.clone() },
                        Request::post(format!("/runs/{run}/cancel"), json!({})),
                    )
                    .await;
                }
            }
            Operation::Resume { target, older } => {
                let known = self.knows(target);
                if let Some(run) = known.older.filter(|_| older).or(known.run) {
                    self.ask(
                        client,
                        Asked::Resume { run: run.clone() },
                        Request::post(format!("/runs/{run}/resume"), json!({})),
                    )
                    .await;
                }
            }
            Operation::Undo { target, confirm } => {
                let known = self.knows(target);
                let Some(run) = known.run else { return };
                let request = Request::post(format!("/runs/{run}/undo"), json!({}));
                if let Some(plan) = self.plan(client, target, Asked::Undo { run }, request).await
                    && confirm
                {
                    let (path, body) = (
                        format!("/destinations/{}/reverse-run?wait=0", known.id),
                        json!({"confirm": true, "plan_id": plan}),
                    );
                    self.confirm(client, target, Confirmation { path, key: None, body }, false)
                        .await;
                }
            }
            Operation::Look { target } => {
                if let Some(run) = self.knows(target).run {
                    self.ask(
                        client,
                        Asked::Look { run: run.clone() },
                        Request::get(format!("/runs/{run}")),
                    )
                    .await;
                }
            }
            Operation::LookAtLog => {
                self.ask(client, Asked::LookAtLog, Request::get("/audit-log?limit=500".to_owned()))
                    .await;
            }
            Operation::Edit { target, record, value } => {
                self.edit(target, record, &format!("edited {value}"))
            }
        }
    }

    async fn replace(
        &self,
        client: usize,
        target: usize,
        set: u64,
        records: std::ops::Range<usize>,
    ) {
        let entity = self.knows(target).entity;
        let (id_column, field) = (self.id_column(), self.field(target));
        let values: BTreeMap<String, String> = records
            .map(|record| {
                (self.ids[record].clone(), format!("set {set} of {target} record {record}"))
            })
            .collect();
        let mut csv = format!("{id_column},{field}\n");
        for (id, value) in &values {
            csv.push_str(&format!("{id},{value}\n"));
        }
        let path = format!("/golden/{entity}");
        let request = Request { method: "PUT", path, key: None, body: super::Body::Csv(csv) };
        self.ask(client, Asked::Replace { entity, values }, request).await;
    }

    /// Has a plan made; its id.
    async fn plan(
        &self,
        client: usize,
        target: usize,
        asked: Asked,
        request: Request<'_>,
    ) -> Option<String> {
        let (status, plan) = self.ask(client, asked, request).await?;
        let plan = plan["plan_id"].as_str().filter(|_| status == 200)?.to_owned();
        self.learns(target, |known| known.shown = Some(plan.clone()));
        Some(plan)
    }

    /// Confirms, once or by two clients at once; with a key, until somebody answers.
    async fn confirm(
        &self,
        client: usize,
        target: usize,
        confirmation: Confirmation,
        at_once: bool,
    ) {
        if confirmation.key.is_some() {
            self.learns(target, |known| known.keyed = Some(confirmation.clone()));
        }
        if at_once {
            tokio::join!(
                self.confirm_once(client, target, &confirmation),
                self.confirm_once(client + 100, target, &confirmation)
            );
            return;
        }
        for _ in 0..TRIES {
            if self.confirm_once(client, target, &confirmation).await || confirmation.key.is_none()
            {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Whether it was answered.
    async fn confirm_once(
        &self,
        client: usize,
        target: usize,
        confirmation: &Confirmation,
    ) -> bool {
        let Confirmation { path, key, body } = confirmation.clone();
        let plan = body["plan_id"].as_str().map(str::to_owned);
        let asked = Asked::Confirm { destination: self.knows(target).id, plan, key: key.clone() };
        let request = Request { key, ..Request::post(path, body) };
        let Some((status, told)) = self.ask(client, asked, request).await else { return false };
        if let Some(run) = told["run_id"].as_str() {
            self.learns(target, |known| {
                if known.run.as_deref() != Some(run) {
                    known.older = known.run.replace(run.to_owned());
                }
            });
        }
        status < 500
    }
}
