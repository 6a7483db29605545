//! The simulator on its own.

#![expect(clippy::print_stdout, reason = "the first line says where it listens")]

use clap::Parser;
use crm_simulator::{Config, Simulator, Token};
use std::net::SocketAddr;

/// HubSpot and Salesforce over real HTTP, for tests and demos. Prints its base URL as its first
/// line.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Where to listen; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8099")]
    listen: SocketAddr,
    /// Seed of everything that looks random
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// HubSpot contacts to begin with
    #[arg(long, default_value_t = 1_000)]
    hubspot_contacts: usize,
    /// Salesforce contacts to begin with
    #[arg(long, default_value_t = 1_000)]
    salesforce_contacts: usize,
    /// A token that is accepted; may be given several times
    #[arg(long = "token", default_value = "test-token")]
    tokens: Vec<String>,
    /// Access tokens that the token endpoints give out live so long, in milliseconds [default:
    /// HubSpot 30 minutes, Salesforce 2 hours]
    #[arg(long)]
    token_lifetime_ms: Option<u64>,
    /// HubSpot: calls in a rolling window
    #[arg(long, default_value_t = 190)]
    hubspot_limit: u32,
    /// HubSpot: length of the window in milliseconds
    #[arg(long, default_value_t = 10_000)]
    hubspot_window_ms: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let defaults = Config::default();
    let config = Config {
        hubspot_token_ms: options.token_lifetime_ms.unwrap_or(defaults.hubspot_token_ms),
        salesforce_session_ms: options.token_lifetime_ms.unwrap_or(defaults.salesforce_session_ms),
        seed: options.seed,
        hubspot_contacts: options.hubspot_contacts,
        salesforce_contacts: options.salesforce_contacts,
        tokens: options.tokens.iter().map(|token| Token::new(token)).collect(),
        hubspot_limit: options.hubspot_limit,
        hubspot_window_ms: options.hubspot_window_ms,
        ..defaults
    };
    let simulator = Simulator::start_at(options.listen, config).await?;
    println!("{}", simulator.base_url());
    simulator.forever().await;
    Ok(())
}
