//! Golden record sets: which file is the current one of each entity type.

use super::{AuditEntry, Result, Store, Stored, each, now_ms, to_json, turn};
use serde::Deserialize;
use serde_json::json;

/// A golden set as it is stored.
#[derive(Clone, Debug)]
pub struct GoldenRow {
    /// Its id.
    pub set_id: String,
    /// What the records are, such as `person`.
    pub entity_type: String,
    /// `csv`, `jsonl`, `parquet` or `query`.
    pub format: String,
    /// Its name in the org's folder.
    pub file_name: String,
    /// The query that it came from.
    pub query: Option<String>,
    /// How many records.
    pub records: i64,
    /// Bytes of the file.
    pub bytes: i64,
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Digest of the file.
    pub sha256: String,
    /// When it came.
    pub created_at: i64,
    /// Who brought it.
    pub created_by: String,
}

/// What is written of a golden set.
pub struct NewGolden<'a> {
    /// Its id.
    pub set_id: &'a str,
    /// What the records are.
    pub entity_type: &'a str,
    /// `csv`, `jsonl`, `parquet` or `query`.
    pub format: &'a str,
    /// Its name in the org's folder.
    pub file_name: &'a str,
    /// The query that it came from.
    pub query: Option<&'a str>,
    /// How many records.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Names of the columns.
    pub columns: &'a [String],
    /// Digest of the file.
    pub sha256: &'a str,
    /// Who brought it.
    pub created_by: &'a str,
}

#[derive(Deserialize)]
struct Columns(Vec<String>);

super::decode!(Columns, serde_json::from_str::<Columns>);

const COLUMNS: &str = "set_id, entity_type, format, file_name, query, records, bytes, columns, sha256, created_at, created_by";

super::from_row!("golden_sets", entity_type, GoldenRow {
    set_id, entity_type, format, file_name, query, records, bytes, columns => |Columns(names)| names, sha256, created_at, created_by
});

impl Store {
    /// Makes a set the current one of its entity type, and logs it. Files of sets that nothing
    /// refers to any more are returned.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn set_golden(
        &self,
        org_id: &str,
        new: NewGolden<'_>,
    ) -> Result<(GoldenRow, Vec<String>)> {
        let mut write = self.write().await?;
        self.take_turn(&mut write, turn::GOLDEN).await?;
        sqlx::query("UPDATE golden_sets SET is_current = 0 WHERE org_id = $1 AND entity_type = $2 AND is_current = 1")
            .bind(org_id)
            .bind(new.entity_type)
            .execute(&mut *write)
            .await?;
        let (now, amount) = (now_ms(), |count: u64| i64::try_from(count).unwrap_or(i64::MAX));
        sqlx::query(
            "INSERT INTO golden_sets (org_id, set_id, entity_type, is_current, format, file_name, query, records, bytes, columns, sha256, created_at, created_by) \
             VALUES ($1, $2, $3, 1, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(org_id)
        .bind(new.set_id)
        .bind(new.entity_type)
        .bind(new.format)
        .bind(new.file_name)
        .bind(new.query)
        .bind(amount(new.records))
        .bind(amount(new.bytes))
        .bind(to_json(&new.columns))
        .bind(new.sha256)
        .bind(now)
        .bind(new.created_by)
        .execute(&mut *write)
        .await?;
        let sql = "SELECT set_id, file_name FROM golden_sets g WHERE org_id = $1 AND entity_type = $2 AND is_current = 0 \
                   AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.org_id = g.org_id AND p.set_id = g.set_id)";
        let unused: Vec<(String, String)> =
            sqlx::query_as(sql).bind(org_id).bind(new.entity_type).fetch_all(&mut *write).await?;
        let mut files = Vec::new();
        for (set_id, file_name) in unused {
            files.push(file_name);
            sqlx::query("DELETE FROM golden_sets WHERE org_id = $1 AND set_id = $2")
                .bind(org_id)
                .bind(set_id)
                .execute(&mut *write)
                .await?;
        }
        let detail = json!({"entity_type": new.entity_type, "set_id": new.set_id, "records": new.records, "format": new.format});
        self.log_within(
            &mut write,
            &AuditEntry::new(org_id, new.created_by, "golden.replace", &detail),
        )
        .await?;
        write.commit().await?;
        let row = GoldenRow {
            set_id: new.set_id.to_owned(),
            entity_type: new.entity_type.to_owned(),
            format: new.format.to_owned(),
            file_name: new.file_name.to_owned(),
            query: new.query.map(str::to_owned),
            records: amount(new.records),
            bytes: amount(new.bytes),
            columns: new.columns.to_vec(),
            sha256: new.sha256.to_owned(),
            created_at: now,
            created_by: new.created_by.to_owned(),
        };
        Ok((row, files))
    }

    /// Forgets sets that were replaced and that no plan needs any more: org and file of each.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn remove_unneeded_golden(&self) -> Result<Vec<(String, String)>> {
        let mut write = self.write().await?;
        self.take_turn(&mut write, turn::GOLDEN).await?;
        let sql = "SELECT org_id, set_id, file_name FROM golden_sets g WHERE is_current = 0 \
                   AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.org_id = g.org_id AND p.set_id = g.set_id)";
        let rows: Vec<(String, String, String)> =
            sqlx::query_as(sql).fetch_all(&mut *write).await?;
        let mut removed = Vec::new();
        for (org_id, set_id, file_name) in rows {
            sqlx::query("DELETE FROM golden_sets WHERE org_id = $1 AND set_id = $2")
                .bind(&org_id)
                .bind(&set_id)
                .execute(&mut *write)
                .await?;
            removed.push((org_id, file_name));
        }
        write.commit().await?;
        Ok(removed)
    }

    /// The current sets of an org.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn golden_sets(&self, org_id: &str) -> Result<Vec<Stored<GoldenRow>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM golden_sets WHERE org_id = $1 AND is_current = 1 ORDER BY entity_type"
        ));
        each(&sqlx::query(sql).bind(org_id).fetch_all(&self.reads).await?)
    }

    /// The current set of an entity type.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn golden(&self, org_id: &str, entity_type: &str) -> Result<Option<GoldenRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM golden_sets WHERE org_id = $1 AND entity_type = $2 AND is_current = 1"
        ));
        Ok(sqlx::query_as(sql).bind(org_id).bind(entity_type).fetch_optional(&self.reads).await?)
    }
}
