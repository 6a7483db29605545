//! Plans: which there are, and what each was made from. Their changes are files.

use super::{Kind, Result, Store, StoreError, Stored, each, turn};
use sqlx::{AnyConnection, AnyPool};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Plans that are kept by one transaction.
const TOGETHER: usize = 256;

/// A plan as it is listed.
#[derive(Clone, Debug)]
pub struct PlanRow {
    /// Its id.
    pub plan_id: String,
    /// Where it would be written.
    pub destination_id: String,
    /// The golden set that it was made from; an undo has none.
    pub set_id: Option<String>,
    /// The run that an undo undoes.
    pub undoes: Option<String>,
    /// Counts and the like, as JSON.
    pub summary: String,
    /// When it was made.
    pub planned_at: i64,
    /// Who had it made.
    pub planned_by: String,
}

super::from_row!(
    COLUMNS,
    "plans",
    plan_id by planned_at.plan_id,
    PlanRow { plan_id, destination_id, set_id, undoes, summary, planned_at, planned_by }
);

/// What became of a plan that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New,
    /// It was made before.
    Again,
    /// It is not kept: its golden set was replaced and removed while it was made, and a run of it
    /// could not be resumed.
    Replaced,
}

/// A plan to keep, and who waits to learn what became of it.
pub(super) struct Waiting {
    org_id: String,
    row: PlanRow,
    kept: oneshot::Sender<Result<Kept>>,
}

/// Where plans are handed in to be kept in SQLite, which waits for the disk once for each
/// transaction: the plans that came while it waited are kept by the next one.
pub(super) fn keeper(writes: AnyPool) -> mpsc::Sender<Waiting> {
    let (sender, mut receiver) = mpsc::channel(TOGETHER);
    tokio::spawn(async move {
        let mut waiting = Vec::new();
        while receiver.recv_many(&mut waiting, TOGETHER).await > 0 {
            let mut done = Vec::with_capacity(waiting.len());
            let committed = keep_together(&writes, &mut waiting, &mut done).await;
            // Those that it had not come to fail for the same reason.
            done.extend(waiting.drain(..).map(|plan| (plan.kept, Ok(Kept::Replaced))));
            let error = committed.err().map(Arc::new);
            for (kept, result) in done {
                let result = match &error {
                    Some(error) => Err(StoreError::Together(Arc::clone(error))),
                    None => result,
                };
                // Whoever asked may have left.
                let _ = kept.send(result);
            }
        }
    });
    sender
}

type Done = (oneshot::Sender<Result<Kept>>, Result<Kept>);

async fn keep_together(
    writes: &AnyPool,
    waiting: &mut Vec<Waiting>,
    done: &mut Vec<Done>,
) -> std::result::Result<(), sqlx::Error> {
    let mut write = writes.begin_with("BEGIN IMMEDIATE").await?;
    for Waiting { org_id, row, kept } in waiting.drain(..) {
        // SQLite takes back the statement that failed, and no other.
        let result = keep(&mut write, &org_id, &row).await;
        done.push((kept, result));
    }
    write.commit().await
}

/// Keeps a plan, if its golden set is still there. Nobody may replace golden records before the
/// transaction ends.
async fn keep(connection: &mut AnyConnection, org_id: &str, row: &PlanRow) -> Result<Kept> {
    if let Some(set_id) = &row.set_id {
        let sql = "SELECT 1 FROM golden_sets WHERE org_id = $1 AND set_id = $2";
        if !finds(&mut *connection, sql, org_id, set_id).await? {
            return Ok(Kept::Replaced);
        }
    }
    let sql = "SELECT 1 FROM plans WHERE org_id = $1 AND plan_id = $2";
    let again = finds(&mut *connection, sql, org_id, &row.plan_id).await?;
    sqlx::query(
        "INSERT INTO plans (org_id, plan_id, destination_id, set_id, undoes, summary, planned_at, planned_by) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (org_id, plan_id) DO UPDATE SET destination_id = excluded.destination_id, \
         set_id = excluded.set_id, undoes = excluded.undoes, summary = excluded.summary, planned_at = excluded.planned_at, planned_by = excluded.planned_by",
    )
    .bind(org_id)
    .bind(&row.plan_id)
    .bind(&row.destination_id)
    .bind(row.set_id.as_deref())
    .bind(row.undoes.as_deref())
    .bind(&row.summary)
    .bind(row.planned_at)
    .bind(&row.planned_by)
    .execute(connection)
    .await?;
    Ok(if again { Kept::Again } else { Kept::New })
}

async fn finds(
    connection: &mut AnyConnection,
    sql: &'static str,
    org_id: &str,
    id: &str,
) -> Result<bool> {
    Ok(sqlx::query(sql).bind(org_id).bind(id).fetch_optional(connection).await?.is_some())
}

impl Store {
    /// Keeps a plan; one with the same id was made again. With PostgreSQL, two at the same moment
    /// may both be new.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn keep_plan(&self, org_id: &str, row: PlanRow) -> Result<Kept> {
        if self.kind == Kind::Postgres {
            // It waits once for the transactions of several connections by itself.
            let mut write = self.write().await?;
            self.share_turn(&mut write, turn::GOLDEN).await?;
            let kept = keep(&mut write, org_id, &row).await?;
            write.commit().await?;
            return Ok(kept);
        }
        let (kept, result) = oneshot::channel();
        let waiting = Waiting { org_id: org_id.to_owned(), row, kept };
        let stopped = || StoreError::Database(sqlx::Error::WorkerCrashed);
        self.plans_to_keep.send(waiting).await.map_err(|_| stopped())?;
        result.await.map_err(|_| stopped())?
    }

    /// One plan.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn plan(&self, org_id: &str, plan_id: &str) -> Result<Option<PlanRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM plans WHERE org_id = $1 AND plan_id = $2"
        ));
        Ok(sqlx::query_as(sql).bind(org_id).bind(plan_id).fetch_optional(&self.reads).await?)
    }

    /// Forgets plans that were made before a time and that nobody has run, as far as the store or
    /// `was_run` knows: org and plan of each.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn remove_old_plans(
        &self,
        before: i64,
        was_run: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<(String, String)>> {
        let mut write = self.write().await?;
        // A run that is about to begin looks its plan up first.
        self.take_turn(&mut write, turn::RUNS).await?;
        let sql = "SELECT org_id, plan_id FROM plans p WHERE planned_at < $1 \
                   AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.org_id = p.org_id AND r.plan_id = p.plan_id)";
        let rows: Vec<(String, String)> =
            sqlx::query_as(sql).bind(before).fetch_all(&mut *write).await?;
        let mut removed = Vec::new();
        for (org_id, plan_id) in rows {
            if was_run(&org_id, &plan_id) {
                continue;
            }
            sqlx::query("DELETE FROM plans WHERE org_id = $1 AND plan_id = $2")
                .bind(&org_id)
                .bind(&plan_id)
                .execute(&mut *write)
                .await?;
            removed.push((org_id, plan_id));
        }
        write.commit().await?;
        Ok(removed)
    }

    /// Plans, the newest first, of one destination or of all, older than a time.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn plans(
        &self,
        org_id: &str,
        destination_id: Option<&str>,
        before: (i64, &str),
        limit: i64,
    ) -> Result<Vec<Stored<PlanRow>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM plans WHERE org_id = $1 AND ($2 = '' OR destination_id = $3) \
             AND (planned_at < $4 OR (planned_at = $5 AND plan_id < $6)) ORDER BY planned_at DESC, plan_id DESC LIMIT $7"
        ));
        let rows = sqlx::query(sql)
            .bind(org_id)
            .bind(destination_id.unwrap_or_default())
            .bind(destination_id.unwrap_or_default())
            .bind(before.0)
            .bind(before.0)
            .bind(before.1)
            .bind(limit)
            .fetch_all(&self.reads)
            .await?;
        each(&rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    fn row(plan_id: &str) -> PlanRow {
        PlanRow {
            plan_id: plan_id.to_owned(),
            destination_id: "d".to_owned(),
            set_id: None,
            undoes: None,
            summary: "{}".to_owned(),
            planned_at: 1,
            planned_by: "ann".to_owned(),
        }
    }

    #[tokio::test]
    async fn plans_that_come_at_once_are_kept_each_by_itself() {
        let (_dir, store) = store().await;
        let org = store.add_org("Acme", false, "ada").await.unwrap();
        // Twice the same, and one of an org that is not there.
        let keeping = (0..100).map(|n| {
            let (store, id) = (store.clone(), format!("plan_{}", n / 2));
            let org_id = if n == 7 { "nobody".to_owned() } else { org.clone() };
            async move { store.keep_plan(&org_id, row(&id)).await }
        });
        let kept = futures_util::future::join_all(keeping).await;
        for (n, kept) in kept.iter().enumerate() {
            match (n, kept) {
                (7, Err(StoreError::Database(error))) => {
                    assert!(error.to_string().contains("FOREIGN KEY"), "{error}");
                }
                (7, other) => panic!("{other:?}"),
                (_, kept) => {
                    let expected = if n % 2 == 0 { Kept::New } else { Kept::Again };
                    assert_eq!(*kept.as_ref().unwrap(), expected, "{n}");
                }
            }
        }
        let rows = store.plans(&org, None, (2, ""), 1000).await.unwrap();
        assert_eq!(rows.len(), 50);
    }

    #[tokio::test]
    async fn a_transaction_that_fails_fails_for_all_of_its_plans() {
        let (_dir, store) = store().await;
        let org = store.add_org("Acme", false, "ada").await.unwrap();
        store.writes.close().await;
        let keeping = (0..10).map(|n| {
            let (store, org, id) = (store.clone(), org.clone(), format!("plan_{n}"));
            async move { store.keep_plan(&org, row(&id)).await }
        });
        for kept in futures_util::future::join_all(keeping).await {
            assert!(matches!(kept, Err(StoreError::Together(_))), "{kept:?}");
        }
    }
}
