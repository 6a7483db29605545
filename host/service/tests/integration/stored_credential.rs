//! A credential as the service keeps it: sealed, opened for a run, its refresh token replaced where
//! it is kept.

use reverse_sync::{egress::credential::Credential, run::StopSignal};
use reverse_sync_service::secrets::{
    CredentialDocument, Holds, Keyring, Sealed, SecretCell, credential::site, refreshing::Stored,
};
use reverse_sync_tests::{
    crm::{Crm, Provider},
    oauth::{REFRESH_TOKEN, link, run, without_tokens},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::{
    io,
    sync::{Arc, Mutex},
};

const CONTEXT: &str = "org_a/src_1/credential";

/// What a store has of a source: a sealed text.
struct Row {
    keyring: Keyring,
    sealed: Mutex<String>,
}

impl Row {
    fn of(written: &Value) -> Arc<Row> {
        let dir = tempfile::tempdir().unwrap();
        let keyring = Keyring::from_file(&dir.path().join("keys")).unwrap();
        let document: CredentialDocument = serde_json::from_value(written.clone()).unwrap();
        let sealed = Mutex::new(document.seal(&keyring, CONTEXT).to_string());
        Arc::new(Row { keyring, sealed })
    }

    fn sealed(&self) -> Sealed {
        self.sealed.lock().unwrap().parse().unwrap()
    }

    /// What egress would use, made from nothing but the row.
    fn credential(self: &Arc<Row>, crm: &Crm, holds: &Holds) -> Credential {
        let document =
            CredentialDocument::from_plain(&self.keyring.open(CONTEXT, &self.sealed()).unwrap())
                .unwrap();
        let site = site("hubspot", &crm.bench.base_url, None);
        let cell: Arc<Row> = Arc::clone(self);
        let stored = Stored { source_id: "src_1".to_owned(), cell, holds: holds.clone() };
        document.0.credential(&site, |_| Ok(Arc::new(stored))).unwrap()
    }
}

impl SecretCell for Row {
    fn read(&self) -> io::Result<SecretString> {
        self.keyring.open(CONTEXT, &self.sealed()).map_err(io::Error::other)
    }

    fn write(&self, secret: &SecretString) -> io::Result<()> {
        *self.sealed.lock().unwrap() = self.keyring.seal(CONTEXT, secret).to_string();
        Ok(())
    }
}

fn refreshing() -> Value {
    json!({"oauth": {"grant": "refresh_token", "client_id": "test-client", "client_secret": "test-client-secret", "refresh_token": REFRESH_TOKEN}})
}

#[tokio::test]
async fn a_rotated_refresh_token_is_kept_sealed_and_works_the_next_time() {
    let crm = Crm::with(Provider::HubSpot, without_tokens(30), json!({})).await;
    crm.simulator.world().hubspot.rotate_refresh_token = true;
    let (row, holds) = (Row::of(&refreshing()), Holds::default());
    let mut seen = vec![row.sealed().to_string()];
    for count in [10, 20, 30] {
        // As after a restart: nothing is left but the row.
        let report = run(&crm, count, row.credential(&crm, &holds)).await;
        assert!(report.ok(), "{report:?}");
        let stored = row.sealed().to_string();
        let (first, now) = (REFRESH_TOKEN, crm.simulator.world().hubspot.refresh_token.clone());
        assert!(
            !stored.contains(&now) && !stored.contains(first) && !seen.contains(&stored),
            "{stored}"
        );
        seen.push(stored);
    }
    assert_eq!(crm.simulator.world().tokens_issued, 3);
}

#[tokio::test]
async fn runs_with_credentials_of_their_own_take_turns_at_the_refresh_token() {
    const RUNS: usize = 6;
    let crm = Crm::with(Provider::HubSpot, without_tokens(RUNS), json!({})).await;
    crm.simulator.world().hubspot.rotate_refresh_token = true;
    let (row, holds) = (Row::of(&refreshing()), Holds::default());
    let mut running = tokio::task::JoinSet::new();
    let crm = Arc::new(crm);
    for count in 1..=RUNS {
        let confirmed = crm.confirm(&crm.new_names(count)).await;
        let link = link(&crm, row.credential(&crm, &holds));
        let crm = Arc::clone(&crm);
        running.spawn(async move {
            crm.bench.run(&confirmed, link, StopSignal::new(), |_| {}).await.unwrap()
        });
    }
    for report in running.join_all().await {
        assert!(report.ok(), "a refresh token was shown twice: {report:?}");
    }
    assert_eq!(crm.simulator.world().tokens_issued, RUNS as u64);
}

#[tokio::test]
async fn a_revoked_refresh_token_says_where_the_new_one_goes() {
    let crm = Crm::with(Provider::HubSpot, without_tokens(3), json!({})).await;
    crm.simulator.world().hubspot.refresh_token = "another-refresh-token".to_owned();
    let report = run(&crm, 3, Row::of(&refreshing()).credential(&crm, &Holds::default())).await;
    let said = format!("{:?}", report.stopped);
    assert!(
        said.contains("invalid_grant")
            && said.contains("PATCH /sources/src_1")
            && !said.contains(REFRESH_TOKEN),
        "{said}"
    );
}
