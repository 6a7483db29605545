//! Destinations.

use super::{Result, Row, Store, json, now_ms, random_id, to_json};
use crate::destination::Destination;
use sqlx::Row as _;

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

const COLUMNS: &str = "destination_id, source_id, definition, created_at, updated_at";

fn destination(row: &Row) -> Result<DestinationRow> {
    Ok(DestinationRow {
        destination_id: row.try_get("destination_id")?,
        source_id: row.try_get("source_id")?,
        destination: json("destinations.definition", row.try_get("definition")?)?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}

impl Store {
    /// Adds a destination.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn add_destination(&self, org_id: &str, source_id: &str, destination: &Destination) -> Result<DestinationRow> {
        let (destination_id, now) = (random_id("dst_", 10), now_ms());
        sqlx::query(
            "INSERT INTO destinations (org_id, destination_id, source_id, definition, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(org_id)
        .bind(&destination_id)
        .bind(source_id)
        .bind(to_json(destination))
        .bind(now)
        .bind(now)
        .execute(&self.writes)
        .await?;
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
    pub async fn destinations(&self, org_id: &str, after: &str, limit: i64) -> Result<Vec<DestinationRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM destinations WHERE org_id = $1 AND destination_id > $2 ORDER BY destination_id LIMIT $3"
        ));
        let rows = sqlx::query(sql).bind(org_id).bind(after).bind(limit).fetch_all(&self.reads).await?;
        rows.iter().map(destination).collect()
    }

    /// One destination.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn destination(&self, org_id: &str, destination_id: &str) -> Result<Option<DestinationRow>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM destinations WHERE org_id = $1 AND destination_id = $2"));
        sqlx::query(sql).bind(org_id).bind(destination_id).fetch_optional(&self.reads).await?.as_ref().map(destination).transpose()
    }

    /// Changes a destination.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn change_destination(&self, org_id: &str, destination_id: &str, source_id: &str, destination: &Destination) -> Result<()> {
        sqlx::query("UPDATE destinations SET source_id = $1, definition = $2, updated_at = $3 WHERE org_id = $4 AND destination_id = $5")
            .bind(source_id)
            .bind(to_json(destination))
            .bind(now_ms())
            .bind(org_id)
            .bind(destination_id)
            .execute(&self.writes)
            .await?;
        Ok(())
    }

    /// Removes a destination. Its plans and runs stay. Whether there was one.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn remove_destination(&self, org_id: &str, destination_id: &str) -> Result<bool> {
        let done = sqlx::query("DELETE FROM destinations WHERE org_id = $1 AND destination_id = $2")
            .bind(org_id)
            .bind(destination_id)
            .execute(&self.writes)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
