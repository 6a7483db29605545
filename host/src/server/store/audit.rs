//! The audit log: what was done, by whom, for good.
//!
//! The database itself refuses to change or delete a row. Each row has the hash of itself and of the row before, so that a
//! database whose files were edited shows where; what was cut off at the end shows if somebody kept an older [`Head`].

use super::{Result, Row, Store, Write, now_ms, turn};
use crate::digest::Digest;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use sqlx::Row as _;

/// What is about to be logged.
#[derive(Clone, Debug, Default)]
pub struct AuditEntry {
    /// Such as `destination.reverse_run`.
    pub action: String,
    /// The user's name.
    pub who: String,
    /// The org.
    pub org_id: String,
    /// The destination, if there is one.
    pub destination_id: Option<String>,
    /// The plan, if there is one.
    pub plan_id: Option<String>,
    /// The run, if there is one.
    pub run_id: Option<String>,
    /// The component's digest.
    pub component: Option<String>,
    /// Counts of a run, as JSON.
    pub counts: Option<String>,
    /// Anything else, as JSON.
    pub detail: String,
}

impl AuditEntry {
    /// What somebody did in an org.
    pub fn new(org_id: &str, who: &str, action: &str, detail: &Value) -> AuditEntry {
        AuditEntry {
            action: action.to_owned(),
            who: who.to_owned(),
            org_id: org_id.to_owned(),
            detail: detail.to_string(),
            ..AuditEntry::default()
        }
    }
}

/// A row of the log.
#[derive(Clone, Debug)]
pub struct AuditRow {
    /// Its number, over all orgs, without a gap.
    pub seq: i64,
    /// When.
    pub at: i64,
    /// What.
    pub entry: AuditEntry,
    /// Its hash.
    pub hash: String,
}

/// The end of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the last row; 0 if there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

/// Where the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log was altered: row {seq} {what}")]
pub struct Broken {
    /// The first row that is not what it was.
    pub seq: i64,
    /// What is wrong with it.
    pub what: &'static str,
}

const COLUMNS: &str = "seq, at, action, who, org_id, destination_id, plan_id, run_id, component, counts, detail, hash";

fn audit(row: &Row) -> Result<AuditRow> {
    Ok(AuditRow {
        seq: row.try_get("seq")?,
        at: row.try_get("at")?,
        entry: AuditEntry {
            action: row.try_get("action")?,
            who: row.try_get("who")?,
            org_id: row.try_get("org_id")?,
            destination_id: row.try_get("destination_id")?,
            plan_id: row.try_get("plan_id")?,
            run_id: row.try_get("run_id")?,
            component: row.try_get("component")?,
            counts: row.try_get("counts")?,
            detail: row.try_get("detail")?,
        },
        hash: row.try_get("hash")?,
    })
}

fn hash(before: &str, seq: i64, at: i64, entry: &AuditEntry) -> String {
    let whole = json!([
        before,
        seq,
        at,
        entry.action,
        entry.who,
        entry.org_id,
        entry.destination_id,
        entry.plan_id,
        entry.run_id,
        entry.component,
        entry.counts,
        entry.detail
    ]);
    Digest::of(whole.to_string().as_bytes()).hex()
}

impl Store {
    /// Adds a row about something that has changed nothing in the store. Every other row is written with its change.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn log(&self, entry: &AuditEntry) -> Result<()> {
        let mut write = self.write().await?;
        self.log_within(&mut write, entry).await?;
        write.commit().await?;
        Ok(())
    }

    /// Adds a row that is there only if the rest of the write is. It comes last in a write: whoever logs holds all others off.
    pub(super) async fn log_within(&self, write: &mut Write, entry: &AuditEntry) -> Result<()> {
        self.take_turn(write, turn::AUDIT).await?;
        let last = sqlx::query("SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1").fetch_optional(&mut **write).await?;
        let (seq, before) = match last {
            Some(row) => (row.try_get::<i64, _>("seq")? + 1, row.try_get("hash")?),
            None => (1, String::new()),
        };
        let at = now_ms();
        sqlx::query(
            "INSERT INTO audit_log (seq, at, action, who, org_id, destination_id, plan_id, run_id, component, counts, detail, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(seq)
        .bind(at)
        .bind(&entry.action)
        .bind(&entry.who)
        .bind(&entry.org_id)
        .bind(entry.destination_id.as_deref())
        .bind(entry.plan_id.as_deref())
        .bind(entry.run_id.as_deref())
        .bind(entry.component.as_deref())
        .bind(entry.counts.as_deref())
        .bind(&entry.detail)
        .bind(hash(&before, seq, at, entry))
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// Rows of an org, the newest first, before a number.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn audit_log(&self, org_id: &str, before: i64, limit: i64) -> Result<Vec<AuditRow>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit_log WHERE org_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"));
        sqlx::query(sql).bind(org_id).bind(before).bind(limit).fetch_all(&self.reads).await?.iter().map(audit).collect()
    }

    /// Goes through the whole chain. Where it ends, or where it does not hold.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn verify_audit_log(&self) -> Result<std::result::Result<Head, Broken>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit_log ORDER BY seq"));
        let mut rows = sqlx::query(sql).fetch(&self.reads);
        let mut head = Head { seq: 0, hash: String::new() };
        while let Some(row) = rows.try_next().await? {
            let row = audit(&row)?;
            if row.seq != head.seq + 1 {
                return Ok(Err(Broken { seq: head.seq + 1, what: "is missing" }));
            }
            if row.hash != hash(&head.hash, row.seq, row.at, &row.entry) {
                return Ok(Err(Broken { seq: row.seq, what: "is not what was written" }));
            }
            head = Head { seq: row.seq, hash: row.hash };
        }
        Ok(Ok(head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::store::tests::store;

    #[tokio::test]
    async fn the_database_refuses_to_change_it_and_the_chain_shows_what_was_forced() {
        let (_dir, store) = store().await;
        for n in 0..3 {
            let entry =
                AuditEntry { action: format!("test.{n}"), org_id: "org_1".to_owned(), detail: "{}".to_owned(), ..AuditEntry::default() };
            store.log(&entry).await.unwrap();
        }
        for sql in [
            "UPDATE audit_log SET who = 'eve' WHERE seq = 2",
            "DELETE FROM audit_log WHERE seq = 3",
            "INSERT OR REPLACE INTO audit_log SELECT seq, at, action, 'eve', org_id, destination_id, plan_id, run_id, component, counts, detail, hash FROM audit_log WHERE seq = 2",
        ] {
            assert!(
                sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&store.writes).await.unwrap_err().to_string().contains("append-only"),
                "{sql}"
            );
        }
        assert_eq!(store.verify_audit_log().await.unwrap().unwrap().seq, 3);
        sqlx::query("DROP TRIGGER audit_log_no_update").execute(&store.writes).await.unwrap();
        sqlx::query("UPDATE audit_log SET who = 'eve' WHERE seq = 2").execute(&store.writes).await.unwrap();
        assert_eq!(store.verify_audit_log().await.unwrap().unwrap_err().seq, 2);
    }
}
