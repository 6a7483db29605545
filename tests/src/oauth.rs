//! Credentials of OAuth against the simulator's token endpoints.

#![expect(
    missing_docs,
    clippy::unwrap_used,
    reason = "helpers of tests: their names say it, and one that panics has failed"
)]

use crate::crm::{Crm, Provider, config, impatient};
use crm_simulator::{Config, Simulator};
use reverse_sync::{
    egress::{
        Link,
        credential::{
            Credential,
            endpoint::TokenEndpoint,
            grants::{Client, ClientAuthentication, Grant},
            refresh_tokens::TokenFile,
            well_known,
        },
        transport::TransportLimits,
    },
    run::{Report, StopSignal},
};
use secrecy::SecretString;
use std::{path::PathBuf, sync::Arc, time::Duration};

pub const CLIENT_SECRET: &str = "test-client-secret";
pub const REFRESH_TOKEN: &str = "test-refresh-token";

/// Nothing but the token endpoint's own tokens is accepted.
pub fn without_tokens(contacts: usize) -> Config {
    Config { tokens: vec![], ..config(contacts) }
}

pub fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

pub fn quick() -> TransportLimits {
    TransportLimits { answer_timeout: Duration::from_millis(400), ..TokenEndpoint::limits() }
}

pub fn credential(url: &str, limits: TransportLimits, grant: Grant) -> Credential {
    let provider = if url.contains("/services/") { "salesforce" } else { "hubspot" };
    let endpoint = TokenEndpoint::new(url, false, None, limits)
        .unwrap()
        .naming(well_known::account_in_answer(provider));
    let client =
        Client::new("test-client", Some(&secret(CLIENT_SECRET)), ClientAuthentication::Body)
            .unwrap();
    Credential::oauth(endpoint, client, grant)
}

pub fn token_url(crm: &Crm, provider: Provider) -> String {
    format!("{}{}", crm.simulator.base_url(), provider.token_path())
}

pub fn token_file(crm: &Crm) -> PathBuf {
    let file = crm.bench.state.path().join("refresh-token");
    if !file.exists() {
        std::fs::write(&file, REFRESH_TOKEN).unwrap();
    }
    file
}

pub fn refreshing(crm: &Crm, provider: Provider, limits: TransportLimits) -> Credential {
    credential(
        &token_url(crm, provider),
        limits,
        Grant::RefreshToken(Arc::new(TokenFile::new(token_file(crm)))),
    )
}

pub fn link(crm: &Crm, credential: Credential) -> Link {
    crm.bench.link_by(credential, crm.link().pacer, impatient()).unwrap()
}

pub fn token_requests(crm: &Crm) -> u64 {
    crm.simulator.world().token_requests
}

/// Plans and runs so many records.
pub async fn run(crm: &Crm, count: usize, credential: Credential) -> Report {
    let confirmed = crm.confirm(&crm.new_names(count)).await;
    crm.bench.run(&confirmed, link(crm, credential), StopSignal::new(), |_| {}).await.unwrap()
}

/// What the log of the simulator knows of OAuth's secrets: access tokens, refresh tokens,
/// assertions.
pub fn secrets(simulator: &Simulator) -> Vec<String> {
    let world = simulator.world();
    let mut secrets = vec![
        CLIENT_SECRET.to_owned(),
        REFRESH_TOKEN.to_owned(),
        world.hubspot.refresh_token.clone(),
    ];
    secrets.extend(world.config.tokens.iter().map(|token| token.text.clone()));
    for request in &world.requests {
        let text = request.text();
        let fields = text.split('&').filter_map(|pair| pair.split_once('='));
        secrets.extend(
            fields
                .filter(|(name, _)| ["refresh_token", "assertion"].contains(name))
                .map(|(_, value)| value.to_owned()),
        );
    }
    secrets.sort();
    secrets.dedup();
    secrets
}
