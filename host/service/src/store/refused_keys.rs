//! Keys that opened nothing. They are counted in memory and logged now and then: whoever tries many
//! must not fill the audit log.

use super::{AuditEntry, Result, Store};
use parking_lot::Mutex;
use serde_json::json;
use std::{collections::BTreeMap, net::IpAddr};

/// Different keys and addresses that are told apart until they are logged; all others are counted
/// together.
const TOLD_APART: usize = 16;
/// Characters of a key's id, which is not secret, and of anything else that stands in its place.
const ID: usize = 20;

/// What was refused since it was last logged, by key id and address.
#[derive(Default)]
pub(super) struct RefusedKeys(Mutex<BTreeMap<(String, String), u64>>);

impl Store {
    /// Counts a request whose key opened nothing.
    pub fn key_refused(&self, api_key: &str, from: Option<IpAddr>) {
        let id = api_key
            .strip_prefix("rsk_")
            .and_then(|rest| rest.split_once('_'))
            .map_or("", |(id, _)| id);
        let id: String = id.chars().filter(char::is_ascii_alphanumeric).take(ID).collect();
        let from = from.map_or_else(String::new, |from| from.to_string());
        // Each statement leaves the map consistent, so it is good after a panic, too.
        let mut refused = self.refused.0.lock();
        let key = (id, from);
        let key = if refused.len() < TOLD_APART || refused.contains_key(&key) {
            key
        } else {
            ("…".to_owned(), "…".to_owned())
        };
        *refused.entry(key).or_default() += 1;
    }

    /// Logs what was refused since it was last called, in the org of each key that there is or was.
    ///
    /// # Errors
    /// If the database refuses; then they are counted on.
    pub async fn log_refused_keys(&self) -> Result<()> {
        let refused = std::mem::take(&mut *self.refused.0.lock());
        for ((id, from), count) in refused {
            let logged = self.log_refused(&id, &from, count).await;
            if logged.is_err() {
                let mut refused = self.refused.0.lock();
                *refused.entry((id, from)).or_default() += count;
                logged?;
            }
        }
        Ok(())
    }

    async fn log_refused(&self, id: &str, from: &str, count: u64) -> Result<()> {
        let sql = "SELECT org_id FROM api_keys WHERE key_id = $1";
        let key_id = format!("key_{id}");
        let org_id: String = sqlx::query_scalar(sql)
            .bind(&key_id)
            .fetch_optional(&self.reads)
            .await?
            .unwrap_or_default();
        let detail = json!({ "key_id": key_id, "address": from, "requests": count });
        self.log(&AuditEntry::new(&org_id, "unknown", "api_key.refused", &detail)).await
    }
}

#[cfg(test)]
mod tests {
    use crate::store::{
        Role,
        tests::{readable, store},
    };
    use secrecy::ExposeSecret;

    #[tokio::test]
    async fn refused_keys_are_logged_by_the_dozen_and_in_their_org() {
        let (_dir, store) = store().await;
        let org = store.add_org("Acme", false, "ada").await.unwrap();
        let key = store.add_key(&org, "ada", "laptop", Role::Operator, "ada").await.unwrap();
        let secret = key.api_key.expose_secret();
        for _ in 0..3 {
            store.key_refused(&format!("{secret}x"), Some("203.0.113.7".parse().unwrap()));
        }
        for n in 0..10_000 {
            store.key_refused(&format!("rsk_{n}_sesame"), None);
        }
        store.log_refused_keys().await.unwrap();
        store.log_refused_keys().await.unwrap();
        let rows = readable(store.audit_log(&org, i64::MAX, 10).await.unwrap());
        assert_eq!(rows[0].entry.action, "api_key.refused");
        let detail: serde_json::Value = serde_json::from_str(&rows[0].entry.detail).unwrap();
        let key_id = key.row.key_id.as_str();
        assert_eq!(
            detail,
            serde_json::json!({ "key_id": key_id, "address": "203.0.113.7", "requests": 3 })
        );
        let rows = readable(store.audit_log("", i64::MAX, 100).await.unwrap());
        let requests = |row: &crate::store::AuditRow| {
            serde_json::from_str::<serde_json::Value>(&row.entry.detail).unwrap()["requests"]
                .as_u64()
                .unwrap()
        };
        assert_eq!(
            (rows.len(), rows.iter().map(requests).sum::<u64>()),
            (super::TOLD_APART, 10_000)
        );
        assert!(!format!("{rows:?}").contains("sesame"));
    }
}
