//! Destinations.

use super::{
    AuditEntry, Result, Store, Stored, Write, each, now_ms, random_id, runs::UNFINISHED, to_json,
    turn,
};
use reverse_sync::destination::Destination;
use serde::Deserialize;
use serde_json::{Value, json};

/// A destination as it is stored.
#[derive(Clone, Debug)]
pub struct DestinationRow {
    /// Its id.
    pub destination_id: String,
    /// The source whose credential it uses.
    pub source_id: String,
    /// What people have configured.
    pub destination: Destination,
    /// When it was made.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
}

/// Whether a destination, or a source, was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was.
    Done,
    /// There is none.
    Missing,
    /// This run uses it.
    Unfinished(String),
}

#[derive(Deserialize)]
struct Definition(Destination);

super::decode!(Definition, serde_json::from_str::<Definition>);

const COLUMNS: &str = "destination_id, source_id, definition, created_at, updated_at";

super::from_row!("destinations", destination_id, DestinationRow {
    destination_id, source_id, destination["definition"] => |Definition(destination)| destination, created_at, updated_at
});

/// What is logged about a destination.
fn entry(
    org_id: &str,
    destination_id: &str,
    who: &str,
    action: &str,
    detail: &Value,
) -> AuditEntry {
    AuditEntry {
        destination_id: Some(destination_id.to_owned()),
        ..AuditEntry::new(org_id, who, action, detail)
    }
}

impl Store {
    /// Adds a destination, and its row in the audit log.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn add_destination(
        &self,
        org_id: &str,
        source_id: &str,
        destination: &Destination,
        who: &str,
    ) -> Result<DestinationRow> {
        let (destination_id, now) = (random_id("dst_", 10), now_ms());
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO destinations (org_id, destination_id, source_id, definition, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(org_id)
        .bind(&destination_id)
        .bind(source_id)
        .bind(to_json(destination))
        .bind(now)
        .bind(now)
        .execute(&mut *write)
        .await?;
        let detail = json!({"name": destination.name, "destination_type": destination.destination_type, "source_id": source_id});
        self.log_within(
            &mut write,
            &entry(org_id, &destination_id, who, "destination.create", &detail),
        )
        .await?;
        write.commit().await?;
        Ok(DestinationRow {
            destination_id,
            source_id: source_id.to_owned(),
            destination: destination.clone(),
            created_at: now,
            updated_at: now,
        })
    }

    /// The destinations of an org, in the order of their ids, after one of them.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn destinations(
        &self,
        org_id: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Stored<DestinationRow>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM destinations WHERE org_id = $1 AND destination_id > $2 ORDER BY destination_id LIMIT $3"
        ));
        each(&sqlx::query(sql).bind(org_id).bind(after).bind(limit).fetch_all(&self.reads).await?)
    }

    /// One destination.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn destination(
        &self,
        org_id: &str,
        destination_id: &str,
    ) -> Result<Option<DestinationRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM destinations WHERE org_id = $1 AND destination_id = $2"
        ));
        Ok(sqlx::query_as(sql)
            .bind(org_id)
            .bind(destination_id)
            .fetch_optional(&self.reads)
            .await?)
    }

    /// Changes a destination that no run writes to, and logs which of its `keys` these were.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn change_destination(
        &self,
        org_id: &str,
        destination_id: &str,
        source_id: &str,
        destination: &Destination,
        keys: &[String],
        who: &str,
    ) -> Result<Changed> {
        let mut write = self.write().await?;
        if let Some(run_id) = self.run_that_writes_to(&mut write, org_id, destination_id).await? {
            return Ok(Changed::Unfinished(run_id));
        }
        let sql = "UPDATE destinations SET source_id = $1, definition = $2, updated_at = $3 WHERE org_id = $4 AND destination_id = $5";
        let done = sqlx::query(sql)
            .bind(source_id)
            .bind(to_json(destination))
            .bind(now_ms())
            .bind(org_id)
            .bind(destination_id)
            .execute(&mut *write)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(Changed::Missing);
        }
        let detail = json!({ "changed": keys });
        self.log_within(
            &mut write,
            &entry(org_id, destination_id, who, "destination.update", &detail),
        )
        .await?;
        write.commit().await?;
        Ok(Changed::Done)
    }

    /// Removes a destination that no run writes to. Its plans and runs stay.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn remove_destination(
        &self,
        org_id: &str,
        destination_id: &str,
        who: &str,
    ) -> Result<Changed> {
        let mut write = self.write().await?;
        if let Some(run_id) = self.run_that_writes_to(&mut write, org_id, destination_id).await? {
            return Ok(Changed::Unfinished(run_id));
        }
        let done =
            sqlx::query("DELETE FROM destinations WHERE org_id = $1 AND destination_id = $2")
                .bind(org_id)
                .bind(destination_id)
                .execute(&mut *write)
                .await?;
        if done.rows_affected() == 0 {
            return Ok(Changed::Missing);
        }
        self.log_within(
            &mut write,
            &entry(org_id, destination_id, who, "destination.delete", &json!({})),
        )
        .await?;
        write.commit().await?;
        Ok(Changed::Done)
    }

    /// The run of a destination that is running. None begins until the write ends.
    async fn run_that_writes_to(
        &self,
        write: &mut Write,
        org_id: &str,
        destination_id: &str,
    ) -> Result<Option<String>> {
        self.take_turn(write, turn::RUNS).await?;
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT run_id FROM runs WHERE org_id = $1 AND destination_id = $2 AND status IN {UNFINISHED} LIMIT 1"
        ));
        Ok(sqlx::query_scalar(sql)
            .bind(org_id)
            .bind(destination_id)
            .fetch_optional(&mut **write)
            .await?)
    }
}
