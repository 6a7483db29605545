//! The audit log: what was done and by whom. Rows are never changed.
//!
//! The database itself refuses to change or delete a row. Each row has the hash of itself and of
//! the row before, made with a key that is not in the database, so that whoever edits its files can
//! neither change a row nor make the chain anew. What was cut off at the end shows by an older
//! [`Head`], which the service keeps outside the database.

use super::{Result, Store, StoreError, Stored, Write, each, now_ms, turn};
use futures_util::TryStreamExt;
use reverse_sync::digest::Digest;
use serde_json::{Value, json};
use sqlx::{Row as _, any::AnyRow};

/// Makes the hashes of rows.
pub trait Sign: Send + Sync {
    /// The id of the key that new rows are hashed with.
    ///
    /// # Errors
    /// Says why there is none.
    fn active(&self) -> std::result::Result<String, String>;

    /// The hash of a text with the key of this id, if that is there.
    fn mac(&self, key_id: &str, text: &[u8]) -> Option<String>;
}

/// Of a store that has no key yet.
pub(super) struct NoKey;

impl Sign for NoKey {
    fn active(&self) -> std::result::Result<String, String> {
        Err("it has no key".to_owned())
    }

    fn mac(&self, _: &str, _: &[u8]) -> Option<String> {
        None
    }
}

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
    /// The key that it was made with.
    pub key_id: String,
}

/// The end of the log, or a place in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// Number of the last row; 0 if there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl std::str::FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Head, String> {
        let parts = text.split_once(':').and_then(|(seq, hash)| {
            Some(Head { seq: seq.parse().ok().filter(|seq| *seq > 0)?, hash: hash.to_owned() })
        });
        parts
            .filter(|head| !head.hash.is_empty())
            .ok_or_else(|| "it is SEQ:HASH, as `audit verify` printed it before".to_owned())
    }
}

super::from_row!("audit_log", seq, Head { seq, hash });

/// What holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where it ends.
    pub head: Head,
    /// As many rows at its start are of a version that had no keys.
    pub without_key: i64,
}

/// Where the chain does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log was altered: row {seq} {what}")]
pub struct Broken {
    /// The first row that is not what it was.
    pub seq: i64,
    /// What is wrong with it.
    pub what: String,
}

const COLUMNS: &str = "seq, at, action, who, org_id, destination_id, plan_id, run_id, component, counts, detail, hash, key_id";

super::from_row!(
    "audit_log",
    seq,
    AuditEntry { action, who, org_id, destination_id, plan_id, run_id, component, counts, detail }
);

impl sqlx::FromRow<'_, AnyRow> for AuditRow {
    fn from_row(row: &AnyRow) -> sqlx::Result<AuditRow> {
        let entry = AuditEntry::from_row(row)?;
        Ok(AuditRow {
            seq: row.try_get("seq")?,
            at: row.try_get("at")?,
            entry,
            hash: row.try_get("hash")?,
            key_id: row.try_get("key_id")?,
        })
    }
}

/// The end of the log.
pub(super) const LAST: &str = "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1";

/// What a row's hash is made of.
fn hashed(before: &str, seq: i64, at: i64, entry: &AuditEntry) -> Vec<u8> {
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
    whole.to_string().into_bytes()
}

impl Store {
    /// Adds a row about something that has changed nothing in the store. Every other row is written
    /// with its change.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn log(&self, entry: &AuditEntry) -> Result<()> {
        let mut write = self.write().await?;
        self.log_within(&mut write, entry).await?;
        write.commit().await?;
        Ok(())
    }

    /// Adds a row that is there only if the rest of the write is. It comes last in a write: whoever
    /// logs holds all others off.
    pub(super) async fn log_within(&self, write: &mut Write, entry: &AuditEntry) -> Result<()> {
        self.take_turn(write, turn::AUDIT).await?;
        let last: Head =
            sqlx::query_as(LAST).fetch_optional(&mut **write).await?.unwrap_or_default();
        let (seq, at) = (last.seq + 1, now_ms());
        let key_id = self.sign.active().map_err(StoreError::Unsigned)?;
        let hash = self.sign.mac(&key_id, &hashed(&last.hash, seq, at, entry));
        let hash = hash.ok_or_else(|| StoreError::Unsigned(format!("the key {key_id} is gone")))?;
        sqlx::query(
            "INSERT INTO audit_log (seq, at, action, who, org_id, destination_id, plan_id, run_id, component, counts, detail, hash, key_id) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
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
        .bind(hash)
        .bind(key_id)
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// Rows of an org, the newest first, before a number.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn audit_log(
        &self,
        org_id: &str,
        before: i64,
        limit: i64,
    ) -> Result<Vec<Stored<AuditRow>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM audit_log WHERE org_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"
        ));
        each(&sqlx::query(sql).bind(org_id).bind(before).bind(limit).fetch_all(&self.reads).await?)
    }

    /// Ids of the keys that rows were hashed with.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn audit_key_ids(&self) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT DISTINCT key_id FROM audit_log")
            .fetch_all(&self.reads)
            .await?)
    }

    /// Goes through the whole chain, which has to go through these places. Where it ends, or where
    /// it does not hold. Rows of versions that had no keys may come first: whoever edits the
    /// database can make them anew, which shows by the places.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn verify_audit_log(
        &self,
        places: &[Head],
    ) -> Result<std::result::Result<Verified, Broken>> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM audit_log ORDER BY seq"));
        let mut rows = sqlx::query_as::<_, AuditRow>(sql).fetch(&self.reads);
        let (mut head, mut without_key) = (Head::default(), 0);
        while let Some(row) = rows.try_next().await? {
            let broken = |seq, what: &str| Ok(Err(Broken { seq, what: what.to_owned() }));
            if row.seq != head.seq + 1 {
                return broken(head.seq + 1, "is missing");
            }
            let text = hashed(&head.hash, row.seq, row.at, &row.entry);
            let hash = if row.key_id.is_empty() {
                if without_key < head.seq {
                    return broken(row.seq, "was written without a key");
                }
                without_key = row.seq;
                Digest::of(&text).hex()
            } else if let Some(hash) = self.sign.mac(&row.key_id, &text) {
                hash
            } else {
                return broken(
                    row.seq,
                    &format!(
                        "was written with the key {}, which is not here: put it back into the keys",
                        row.key_id
                    ),
                );
            };
            if row.hash != hash
                || places.iter().any(|place| place.seq == row.seq && place.hash != hash)
            {
                return broken(row.seq, "is not what was written");
            }
            head = Head { seq: row.seq, hash: row.hash };
        }
        match places.iter().map(|place| place.seq).filter(|seq| *seq > head.seq).max() {
            Some(seq) => Ok(Err(Broken {
                seq: head.seq + 1,
                what: format!("is missing, and so are all up to {seq}"),
            })),
            None => Ok(Ok(Verified { head, without_key })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{readable, store};

    #[tokio::test]
    async fn the_database_refuses_to_change_it_and_the_chain_shows_what_was_forced() {
        let (_dir, store) = store().await;
        for n in 0..3 {
            let entry = AuditEntry {
                action: format!("test.{n}"),
                org_id: "org_1".to_owned(),
                detail: "{}".to_owned(),
                ..AuditEntry::default()
            };
            store.log(&entry).await.unwrap();
        }
        for sql in [
            "UPDATE audit_log SET who = 'eve' WHERE seq = 2",
            "DELETE FROM audit_log WHERE seq = 3",
            "INSERT OR REPLACE INTO audit_log SELECT seq, at, action, 'eve', org_id, destination_id, plan_id, run_id, component, counts, detail, hash, key_id FROM audit_log WHERE seq = 2",
        ] {
            assert!(
                sqlx::query(sqlx::AssertSqlSafe(sql))
                    .execute(&store.writes)
                    .await
                    .unwrap_err()
                    .to_string()
                    .contains("append-only"),
                "{sql}"
            );
        }
        let Verified { head, without_key } = store.verify_audit_log(&[]).await.unwrap().unwrap();
        assert_eq!((head.seq, &head, without_key), (3, &store.audit_head().await.unwrap(), 0));
        assert_eq!(format!("{}:{}", head.seq, head.hash).parse::<Head>().unwrap(), head);
        for trigger in ["audit_log_no_update", "audit_log_no_delete"] {
            sqlx::query(sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}")))
                .execute(&store.writes)
                .await
                .unwrap();
        }
        sqlx::query("UPDATE audit_log SET who = 'eve' WHERE seq = 2")
            .execute(&store.writes)
            .await
            .unwrap();
        assert_eq!(store.verify_audit_log(&[]).await.unwrap().unwrap_err().seq, 2);
        sqlx::query("UPDATE audit_log SET who = '' WHERE seq = 2")
            .execute(&store.writes)
            .await
            .unwrap();
        assert_eq!(
            store.verify_audit_log(std::slice::from_ref(&head)).await.unwrap().unwrap().head,
            head
        );

        // Whoever has no key cannot make the chain anew: without the second row, the third one is
        // the second.
        let rows = readable(store.audit_log("org_1", 4, 10).await.unwrap());
        let hash = Digest::of(&hashed(&rows[2].hash, 2, rows[0].at, &rows[0].entry)).hex();
        for sql in
            ["DELETE FROM audit_log WHERE seq = 2", "UPDATE audit_log SET seq = 2 WHERE seq = 3"]
        {
            sqlx::query(sql).execute(&store.writes).await.unwrap();
        }
        sqlx::query("UPDATE audit_log SET hash = $1 WHERE seq = 2")
            .bind(hash)
            .execute(&store.writes)
            .await
            .unwrap();
        assert_eq!(store.verify_audit_log(&[]).await.unwrap().unwrap_err().seq, 2);
        sqlx::query("UPDATE audit_log SET key_id = '' WHERE seq = 2")
            .execute(&store.writes)
            .await
            .unwrap();
        assert_eq!(
            store.verify_audit_log(&[]).await.unwrap().unwrap_err().to_string(),
            "the audit log was altered: row 2 was written without a key"
        );

        // What was cut off at the end shows to whoever has seen it.
        sqlx::query("DELETE FROM audit_log WHERE seq = 2").execute(&store.writes).await.unwrap();
        assert_eq!(store.verify_audit_log(&[]).await.unwrap().unwrap().head.seq, 1);

        // Of a version that had no keys: the rows hold, and are told apart.
        let hash = Digest::of(&hashed("", 1, rows[2].at, &rows[2].entry)).hex();
        let old = "UPDATE audit_log SET hash = $1, key_id = '' WHERE seq = 1";
        sqlx::query(old).bind(&hash).execute(&store.writes).await.unwrap();
        store.log(&rows[0].entry).await.unwrap();
        let verified = store.verify_audit_log(&[]).await.unwrap().unwrap();
        assert_eq!((verified.head.seq, verified.without_key), (2, 1));
        sqlx::query("DELETE FROM audit_log WHERE seq = 2").execute(&store.writes).await.unwrap();
        let seen = Head { seq: 1, hash: rows[2].hash.clone() };
        assert!(
            store.verify_audit_log(&[seen]).await.unwrap().is_err(),
            "the first row was made anew without a key"
        );
        let broken = store.verify_audit_log(&[head]).await.unwrap().unwrap_err();
        assert!(
            broken.to_string().contains("row 2 is missing, and so are all up to 3"),
            "{broken}"
        );
    }
}
