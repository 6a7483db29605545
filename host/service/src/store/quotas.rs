//! How many runs an org may start, and how much it may keep.

use super::{AuditEntry, Result, Store, Write, now_ms};
use serde::Serialize;
use serde_json::json;

/// What an org may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Runs within any hour.
    pub runs_an_hour: i64,
    /// Runs within any 30 days.
    pub runs_a_month: i64,
    /// Bytes of all files that it keeps: plans, journals, golden sets, request logs.
    pub stored_bytes: i64,
}

impl Default for Quota {
    /// 30 runs an hour, as SPEC.md says; 10,000 in 30 days; 20 GiB.
    fn default() -> Quota {
        Quota { runs_an_hour: 30, runs_a_month: 10_000, stored_bytes: 20 << 30 }
    }
}

/// What an org may do by limits of its own; where there are none, by those of the service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OwnQuota {
    /// Runs within any hour.
    pub runs_an_hour: Option<i64>,
    /// Runs within any 30 days.
    pub runs_a_month: Option<i64>,
    /// Bytes of all files that it keeps.
    pub stored_bytes: Option<i64>,
}

super::from_row!("quotas", org_id, OwnQuota { runs_an_hour, runs_a_month, stored_bytes });

impl OwnQuota {
    fn or(self, service: Quota) -> Quota {
        Quota {
            runs_an_hour: self.runs_an_hour.unwrap_or(service.runs_an_hour),
            runs_a_month: self.runs_a_month.unwrap_or(service.runs_a_month),
            stored_bytes: self.stored_bytes.unwrap_or(service.stored_bytes),
        }
    }
}

/// What an org has done.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The limits.
    pub quota: Quota,
    /// Runs of the last hour.
    pub used: i64,
    /// Runs of the last 30 days.
    pub used_this_month: i64,
}

pub(super) const HOUR_MS: i64 = 3600 * 1000;
pub(super) const MONTH_MS: i64 = 30 * 24 * HOUR_MS;

const QUOTA: &str =
    "SELECT org_id, runs_an_hour, runs_a_month, stored_bytes FROM quotas WHERE org_id = $1";
const COUNT: &str = "SELECT COUNT(*) AS runs FROM run_starts WHERE org_id = $1 AND started_at > $2";

/// Counts a run that is begun or resumed, until it leaves the longest window.
pub(super) async fn count_start(write: &mut Write, org_id: &str, now: i64) -> Result<()> {
    sqlx::query("DELETE FROM run_starts WHERE org_id = $1 AND started_at <= $2")
        .bind(org_id)
        .bind(now - MONTH_MS)
        .execute(&mut **write)
        .await?;
    sqlx::query("INSERT INTO run_starts (org_id, started_at) VALUES ($1, $2)")
        .bind(org_id)
        .bind(now)
        .execute(&mut **write)
        .await?;
    Ok(())
}

impl Store {
    /// Gives an org limits of its own, and logs them. Those that are not named stay as they are.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn set_quota(&self, org_id: &str, named: OwnQuota, who: &str) -> Result<OwnQuota> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO quotas (org_id, runs_an_hour, runs_a_month, stored_bytes) VALUES ($1, $2, $3, $4) ON CONFLICT (org_id) DO UPDATE \
             SET runs_an_hour = COALESCE(excluded.runs_an_hour, quotas.runs_an_hour), \
             runs_a_month = COALESCE(excluded.runs_a_month, quotas.runs_a_month), stored_bytes = COALESCE(excluded.stored_bytes, quotas.stored_bytes)",
        )
        .bind(org_id)
        .bind(named.runs_an_hour)
        .bind(named.runs_a_month)
        .bind(named.stored_bytes)
        .execute(&mut *write)
        .await?;
        let now: OwnQuota = sqlx::query_as(QUOTA).bind(org_id).fetch_one(&mut *write).await?;
        self.log_within(&mut write, &AuditEntry::new(org_id, who, "org.quota", &json!(now)))
            .await?;
        write.commit().await?;
        Ok(now)
    }

    /// What an org may do.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn quota(&self, org_id: &str) -> Result<Quota> {
        let own: Option<OwnQuota> =
            sqlx::query_as(QUOTA).bind(org_id).fetch_optional(&self.reads).await?;
        Ok(own.unwrap_or_default().or(self.default_quota))
    }

    /// What an org may do, and has done.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn usage(&self, org_id: &str) -> Result<Usage> {
        let quota = self.quota(org_id).await?;
        let mut used = [0; 2];
        for (count, window) in used.iter_mut().zip([HOUR_MS, MONTH_MS]) {
            *count = sqlx::query_scalar(COUNT)
                .bind(org_id)
                .bind(now_ms() - window)
                .fetch_one(&self.reads)
                .await?;
        }
        Ok(Usage { quota, used: used[0], used_this_month: used[1] })
    }

    /// Milliseconds until an org may start a run, if it may not now. Everybody else has to wait
    /// until the write ends.
    pub(super) async fn must_wait(&self, write: &mut Write, org_id: &str) -> Result<Option<i64>> {
        let own: Option<OwnQuota> =
            sqlx::query_as(QUOTA).bind(org_id).fetch_optional(&mut **write).await?;
        let quota = own.unwrap_or_default().or(self.default_quota);
        let now = now_ms();
        for (limit, window) in [(quota.runs_an_hour, HOUR_MS), (quota.runs_a_month, MONTH_MS)] {
            let used: i64 = sqlx::query_scalar(COUNT)
                .bind(org_id)
                .bind(now - window)
                .fetch_one(&mut **write)
                .await?;
            if used < limit {
                continue;
            }
            // It may continue when enough of the oldest have left the window.
            let sql = "SELECT started_at FROM run_starts WHERE org_id = $1 AND started_at > $2 ORDER BY started_at LIMIT 1 OFFSET $3";
            let oldest = sqlx::query_scalar(sql)
                .bind(org_id)
                .bind(now - window)
                .bind(used - limit)
                .fetch_optional(&mut **write)
                .await?;
            return Ok(Some((oldest.unwrap_or(now) + window - now).max(1_000)));
        }
        Ok(None)
    }
}
