//! Plans: which there are, and what each was made from. Their changes are files.

use super::{Result, Store, Stored, each, turn};

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

impl Store {
    /// Keeps a plan; one with the same id was made again. Whether it is new: two at the same moment
    /// may both be.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn keep_plan(&self, org_id: &str, row: &PlanRow) -> Result<bool> {
        let sql = "SELECT 1 FROM plans WHERE org_id = $1 AND plan_id = $2";
        let is_new = sqlx::query(sql)
            .bind(org_id)
            .bind(&row.plan_id)
            .fetch_optional(&self.reads)
            .await?
            .is_none();
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
        .execute(&self.writes)
        .await?;
        Ok(is_new)
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
