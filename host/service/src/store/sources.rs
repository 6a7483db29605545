//! Sources: connected CRM accounts. Their credential is sealed before it comes here.

use super::{
    AuditEntry, Changed, Result, Store, Stored, each, now_ms, random_id, runs::UNFINISHED, to_json,
    turn,
};
use reverse_sync::Account;
pub use reverse_sync::source::SourceLimit;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// Where a source is, and how it may be reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// The CRM's base URL, where its customers do not all share one.
    pub base_url: Option<String>,
    /// Lets the base URL's name resolve to addresses of a private network.
    #[serde(default)]
    pub allow_private_network: bool,
    /// Stay below this, whatever the CRM allows.
    pub limit: Option<SourceLimit>,
    /// Additional certificate authorities in PEM form.
    pub ca_pem: Option<String>,
    /// The account that its credential has to open.
    #[schema(value_type = Option<String>)]
    pub account: Option<Account>,
}

super::decode!(SourceSettings, serde_json::from_str::<SourceSettings>);

/// A source as it is stored.
#[derive(Clone, Debug)]
pub struct SourceRow {
    /// Its id.
    pub source_id: String,
    /// The name people use.
    pub name: String,
    /// Such as `hubspot`.
    pub provider: String,
    /// Where it is and how it may be reached.
    pub settings: SourceSettings,
    /// Sealed.
    pub credential: String,
    /// What may be shown of it, as JSON.
    pub credential_summary: String,
    /// When it was set.
    pub credential_set_at: i64,
    /// What the last check found, as JSON.
    pub last_check: Option<String>,
    /// Counts what was changed, so that what was made from an older one is not used on.
    pub version: i64,
    /// When it was made.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
}

/// What is written of a source.
#[derive(Clone, Copy)]
pub struct NewSource<'a> {
    /// The name people use.
    pub name: &'a str,
    /// Such as `hubspot`.
    pub provider: &'a str,
    /// Where it is and how it may be reached.
    pub settings: &'a SourceSettings,
    /// Sealed for the id that it will have.
    pub credential: &'a str,
    /// As JSON.
    pub credential_summary: &'a str,
}

super::from_row!(
    COLUMNS,
    "sources",
    source_id,
    SourceRow {
        source_id,
        name,
        provider,
        settings,
        credential,
        credential_summary,
        credential_set_at,
        last_check,
        version,
        created_at,
        updated_at
    }
);

impl Store {
    /// An id for a source that is about to be made.
    pub fn new_source_id() -> String {
        random_id("src_", 10)
    }

    /// Adds a source, and its row in the audit log.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn add_source(
        &self,
        org_id: &str,
        source_id: &str,
        new: NewSource<'_>,
        who: &str,
    ) -> Result<()> {
        let now = now_ms();
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO sources (org_id, source_id, name, provider, settings, credential, credential_summary, credential_set_at, version, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9, $10)",
        )
        .bind(org_id)
        .bind(source_id)
        .bind(new.name)
        .bind(new.provider)
        .bind(to_json(new.settings))
        .bind(new.credential)
        .bind(new.credential_summary)
        .bind(now)
        .bind(now)
        .bind(now)
        .execute(&mut *write)
        .await?;
        let detail = json!({"source_id": source_id, "name": new.name, "provider": new.provider});
        self.log_within(&mut write, &AuditEntry::new(org_id, who, "source.create", &detail))
            .await?;
        write.commit().await?;
        Ok(())
    }

    /// The sources of an org, in the order of their ids, after one of them.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn sources(
        &self,
        org_id: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<Stored<SourceRow>>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM sources WHERE org_id = $1 AND source_id > $2 ORDER BY source_id LIMIT $3"
        ));
        each(&sqlx::query(sql).bind(org_id).bind(after).bind(limit).fetch_all(&self.reads).await?)
    }

    /// One source.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn source(&self, org_id: &str, source_id: &str) -> Result<Option<SourceRow>> {
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM sources WHERE org_id = $1 AND source_id = $2"
        ));
        Ok(sqlx::query_as(sql).bind(org_id).bind(source_id).fetch_optional(&self.reads).await?)
    }

    /// Changes all of a source but its provider, and logs which of its `keys` these were.
    /// `credential_changed` says whether that is another one now; that has to wait while a run uses
    /// the source, which asks once an attempt whose account it opens.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn change_source(
        &self,
        org_id: &str,
        source_id: &str,
        new: NewSource<'_>,
        credential_changed: bool,
        keys: &[String],
        who: &str,
    ) -> Result<Changed> {
        let now = now_ms();
        let mut write = self.write().await?;
        self.take_turn(&mut write, turn::RUNS).await?;
        if credential_changed {
            let sql = sqlx::AssertSqlSafe(format!(
                "SELECT r.run_id FROM runs r JOIN destinations d ON d.org_id = r.org_id AND d.destination_id = r.destination_id \
                 WHERE r.org_id = $1 AND d.source_id = $2 AND r.status IN {UNFINISHED} LIMIT 1"
            ));
            if let Some(run_id) = sqlx::query_scalar(sql)
                .bind(org_id)
                .bind(source_id)
                .fetch_optional(&mut *write)
                .await?
            {
                return Ok(Changed::Unfinished(run_id));
            }
        }
        let done = sqlx::query(
            "UPDATE sources SET name = $1, settings = $2, credential = CASE WHEN $5 = 1 THEN $3 ELSE credential END, credential_summary = $4, \
             credential_set_at = CASE WHEN $5 = 1 THEN $6 ELSE credential_set_at END, last_check = CASE WHEN $10 = 1 THEN NULL ELSE last_check END, version = version + 1, updated_at = $7 \
             WHERE org_id = $8 AND source_id = $9",
        )
        .bind(new.name)
        .bind(to_json(new.settings))
        .bind(new.credential)
        .bind(new.credential_summary)
        .bind(i64::from(credential_changed))
        .bind(now)
        .bind(now)
        .bind(org_id)
        .bind(source_id)
        .bind(i64::from(keys.iter().any(|key| key != "name")))
        .execute(&mut *write)
        .await?;
        if done.rows_affected() == 0 {
            return Ok(Changed::Missing);
        }
        let detail = json!({"source_id": source_id, "changed": keys});
        self.log_within(&mut write, &AuditEntry::new(org_id, who, "source.update", &detail))
            .await?;
        write.commit().await?;
        Ok(Changed::Done)
    }

    /// Keeps, and logs, the account that a check has found behind a source of this version; it is
    /// in `settings`. It counts as no change: what was made from this version is used on. If the
    /// source has another version by now, nothing is kept.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn learn_account(
        &self,
        org_id: &str,
        source_id: &str,
        version: i64,
        settings: &SourceSettings,
        who: &str,
    ) -> Result<()> {
        let mut write = self.write().await?;
        let done = sqlx::query("UPDATE sources SET settings = $1, updated_at = $2 WHERE org_id = $3 AND source_id = $4 AND version = $5")
            .bind(to_json(settings))
            .bind(now_ms())
            .bind(org_id)
            .bind(source_id)
            .bind(version)
            .execute(&mut *write)
            .await?;
        if done.rows_affected() > 0 {
            let detail = json!({"source_id": source_id, "changed": ["account"], "account": settings.account, "by": "check"});
            self.log_within(&mut write, &AuditEntry::new(org_id, who, "source.update", &detail))
                .await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// Keeps what a check of a source of this version found, as JSON. If the source has another
    /// version by now, nothing is kept.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn keep_check(
        &self,
        org_id: &str,
        source_id: &str,
        version: i64,
        found: &str,
    ) -> Result<()> {
        sqlx::query("UPDATE sources SET last_check = $1 WHERE org_id = $2 AND source_id = $3 AND version = $4")
            .bind(found)
            .bind(org_id)
            .bind(source_id)
            .bind(version)
            .execute(&self.writes)
            .await?;
        Ok(())
    }

    /// Puts the successor of a credential in its place, as a token endpoint has handed it out.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn replace_credential(
        &self,
        org_id: &str,
        source_id: &str,
        sealed: &str,
    ) -> Result<()> {
        sqlx::query("UPDATE sources SET credential = $1 WHERE org_id = $2 AND source_id = $3")
            .bind(sealed)
            .bind(org_id)
            .bind(source_id)
            .execute(&self.writes)
            .await?;
        Ok(())
    }

    /// Puts another sealing of the same credential in its place, unless it was replaced meanwhile.
    /// Whether it was the same.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn seal_again(
        &self,
        org_id: &str,
        source_id: &str,
        before: &str,
        after: &str,
    ) -> Result<bool> {
        let done = sqlx::query("UPDATE sources SET credential = $1 WHERE org_id = $2 AND source_id = $3 AND credential = $4")
            .bind(after)
            .bind(org_id)
            .bind(source_id)
            .bind(before)
            .execute(&self.writes)
            .await?;
        Ok(done.rows_affected() > 0)
    }

    /// Removes a source that no destination uses. Whether there was one.
    ///
    /// # Errors
    /// If the database refuses, as it does while a destination uses it.
    pub async fn remove_source(&self, org_id: &str, source_id: &str, who: &str) -> Result<bool> {
        let mut write = self.write().await?;
        let done = sqlx::query("DELETE FROM sources WHERE org_id = $1 AND source_id = $2")
            .bind(org_id)
            .bind(source_id)
            .execute(&mut *write)
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.log_within(
            &mut write,
            &AuditEntry::new(org_id, who, "source.delete", &json!({"source_id": source_id})),
        )
        .await?;
        write.commit().await?;
        Ok(true)
    }

    /// Names of the destinations that use a source.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn users_of_source(&self, org_id: &str, source_id: &str) -> Result<Vec<String>> {
        let sql = "SELECT destination_id FROM destinations WHERE org_id = $1 AND source_id = $2 ORDER BY destination_id";
        Ok(sqlx::query_scalar(sql).bind(org_id).bind(source_id).fetch_all(&self.reads).await?)
    }

    /// Everything that is sealed: org, source, credential.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn sealed_credentials(&self) -> Result<Vec<(String, String, String)>> {
        Ok(sqlx::query_as("SELECT org_id, source_id, credential FROM sources")
            .fetch_all(&self.reads)
            .await?)
    }
}
