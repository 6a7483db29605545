//! Which state this is, how often a service has started on it, and with which components.

use super::{AuditEntry, Head, Result, ServiceHold, Store, StoreError, Write, now_ms, random_id};
use reverse_sync::digest::Digest;
use std::sync::atomic::Ordering::Relaxed;

/// A state, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// Its name, which its folder has too.
    pub state_id: String,
    /// How often a service has started on it.
    pub epoch: i64,
}

super::from_row!("service", state_id, ServiceState { state_id, epoch });

const STATE: &str = "SELECT state_id, epoch FROM service";

impl Store {
    /// Which state this is. A new one gets its name here.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn service_state(&self) -> Result<ServiceState> {
        if let Some(state) = sqlx::query_as(STATE).fetch_optional(&self.reads).await? {
            return Ok(state);
        }
        sqlx::query("INSERT INTO service (id, state_id, epoch) VALUES (1, $1, 0) ON CONFLICT (id) DO NOTHING")
            .bind(random_id("state_", 10))
            .execute(&self.writes)
            .await?;
        Ok(sqlx::query_as(STATE).fetch_one(&self.reads).await?)
    }

    /// Begins as the service of this state: from now on, whatever an earlier one says about runs is
    /// refused. What is logged is logged with it.
    ///
    /// # Errors
    /// If the database refuses, or another service has begun since `epoch` was read.
    pub async fn begin_service(&self, epoch: i64, log: &[AuditEntry]) -> Result<()> {
        let mut write = self.write().await?;
        let sql = "UPDATE service SET epoch = epoch + 1 WHERE epoch = $1";
        if sqlx::query(sql).bind(epoch).execute(&mut *write).await?.rows_affected() != 1 {
            return Err(StoreError::TakenOver);
        }
        for entry in log {
            self.log_within(&mut write, entry).await?;
        }
        write.commit().await?;
        self.epoch.store(epoch + 1, Relaxed);
        Ok(())
    }

    /// Refuses a write of a service that is not the last one that has begun. None begins before the
    /// write has ended.
    pub(super) async fn fence(&self, write: &mut Write) -> Result<()> {
        let ours = self.epoch.load(Relaxed);
        let sql = match self.kind {
            super::Kind::Sqlite => "SELECT epoch FROM service",
            super::Kind::Postgres => "SELECT epoch FROM service FOR SHARE",
        };
        // Before it has begun, nothing runs.
        if ours == 0 {
            return Ok(());
        }
        let now: i64 = sqlx::query_scalar(sql).fetch_one(&mut **write).await?;
        if now == ours { Ok(()) } else { Err(StoreError::TakenOver) }
    }

    /// As [`Store::hold_service`], for a service that has lost its hold: only if no other service
    /// has begun since.
    ///
    /// # Errors
    /// [`StoreError::TakenOver`] if one has; or the database refuses.
    pub async fn hold_service_again(&self) -> Result<Option<ServiceHold>> {
        let held = self.hold_service().await?;
        // One that holds it and has not begun yet will find it taken, or begin and be found here
        // the next time.
        let mut write = self.write().await?;
        self.fence(&mut write).await?;
        Ok(held)
    }

    /// Keeps in mind that the service was started with a component.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn add_component(&self, digest: Digest) -> Result<()> {
        sqlx::query("INSERT INTO components (digest, first_used_at) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING")
            .bind(digest.to_string())
            .bind(now_ms())
            .execute(&self.writes)
            .await?;
        Ok(())
    }

    /// Whether the service was once started with a component.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn has_component(&self, digest: Digest) -> Result<bool> {
        let sql = "SELECT 1 FROM components WHERE digest = $1";
        Ok(sqlx::query(sql).bind(digest.to_string()).fetch_optional(&self.reads).await?.is_some())
    }

    /// The end of the audit log, as it is kept outside the database too.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn audit_head(&self) -> Result<Head> {
        Ok(sqlx::query_as(super::audit::LAST)
            .fetch_optional(&self.reads)
            .await?
            .unwrap_or_default())
    }

    /// The hash of a row of the audit log, if there is one of this number.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn audit_hash(&self, seq: i64) -> Result<Option<String>> {
        Ok(sqlx::query_scalar("SELECT hash FROM audit_log WHERE seq = $1")
            .bind(seq)
            .fetch_optional(&self.reads)
            .await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::store;

    #[tokio::test]
    async fn whoever_has_begun_last_is_the_service() {
        let (_dir, store) = store().await;
        let first = store.service_state().await.unwrap();
        assert_eq!(store.service_state().await.unwrap(), first);
        let other = Store { epoch: std::sync::Arc::default(), ..store.clone() };
        store.begin_service(first.epoch, &[]).await.unwrap();
        assert!(
            matches!(other.begin_service(first.epoch, &[]).await, Err(StoreError::TakenOver)),
            "it has looked before"
        );
        store.set_run_status("org_1", "run_1", super::super::Status::Running).await.unwrap();
        other.begin_service(first.epoch + 1, &[]).await.unwrap();
        let refused = store.set_run_status("org_1", "run_1", super::super::Status::Running).await;
        assert!(matches!(refused, Err(StoreError::TakenOver)));
        other.set_run_status("org_1", "run_1", super::super::Status::Running).await.unwrap();
    }
}
