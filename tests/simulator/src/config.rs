//! What a simulator starts with.

use crate::salesforce::record_id;
use serde::{Deserialize, Serialize};

/// The HubSpot account of tokens that say no other.
const PORTAL_ID: u64 = 2_222_222;

/// What a simulator starts with. Everything has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seed of everything that looks random.
    pub seed: u64,
    /// HubSpot contacts to begin with.
    pub hubspot_contacts: usize,
    /// Salesforce contacts to begin with.
    pub salesforce_contacts: usize,
    /// Tokens that are accepted.
    pub tokens: Vec<Token>,
    /// HubSpot: calls in a rolling window (crm-apis A9: 190 per 10 s for a private app).
    pub hubspot_limit: u32,
    /// HubSpot: length of the window in milliseconds.
    pub hubspot_window_ms: u32,
    /// HubSpot: calls a day.
    pub hubspot_daily: u64,
    /// HubSpot: searches a second, which have a budget of their own (A9).
    pub hubspot_search_limit: u32,
    /// Salesforce: calls a day (B8).
    pub salesforce_daily: u64,
    /// HubSpot: how long an access token lives that its endpoint gives out, in milliseconds;
    /// `expires_in` says it in whole seconds (A10).
    pub hubspot_token_ms: u64,
    /// Salesforce: how long a session lives, in milliseconds. Its endpoint does not say it (B10:
    /// the org's timeout policy).
    pub salesforce_session_ms: u64,
    /// The OAuth client of both.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Which account the tokens open that the token endpoints give out: the n-th, counted from 1.
    pub oauth_account: u64,
    /// Salesforce: the user for whom assertions are accepted.
    pub salesforce_user: String,
    /// Salesforce: the certificate that assertions are checked with, in PEM form; without one none
    /// is accepted.
    pub salesforce_certificate: Option<String>,
    /// What the facts leave open.
    pub switches: Switches,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            seed: 1,
            hubspot_contacts: 0,
            salesforce_contacts: 0,
            tokens: vec![Token::new("test-token")],
            hubspot_limit: 190,
            hubspot_window_ms: 10_000,
            hubspot_daily: 625_000,
            hubspot_search_limit: 5,
            salesforce_daily: 100_000,
            hubspot_token_ms: 1_800_000,
            salesforce_session_ms: 7_200_000,
            client_id: "test-client".to_owned(),
            client_secret: "test-client-secret".to_owned(),
            oauth_account: 1,
            salesforce_user: "integration@example.com".to_owned(),
            salesforce_certificate: None,
            switches: Switches::default(),
        }
    }
}

/// An access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Token {
    /// Its text.
    pub text: String,
    /// Whether it has the write scopes.
    #[serde(default = "yes")]
    pub can_write: bool,
    /// HubSpot: its scopes, each call needs one of them (crm-apis A2, A8); left out: all of them.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Whether it has expired.
    #[serde(default)]
    pub expired: bool,
    /// It expires by itself after so many milliseconds.
    #[serde(default)]
    pub lives_ms: Option<u64>,
    /// When they began to count, in milliseconds since the simulator started.
    #[serde(default)]
    pub since_ms: u64,
    /// HubSpot: the account that it opens. All accounts hold the same records here, as far as ids
    /// go: that is the danger.
    #[serde(default = "portal_id")]
    pub portal_id: u64,
    /// Salesforce: the org that it opens.
    #[serde(default = "organization_id")]
    pub organization_id: String,
}

fn portal_id() -> u64 {
    PORTAL_ID
}

fn organization_id() -> String {
    record_id("00D", 0)
}

fn yes() -> bool {
    true
}

impl Token {
    /// A token that may read and write.
    pub fn new(text: &str) -> Token {
        let (portal_id, organization_id) = (portal_id(), organization_id());
        Token {
            text: text.to_owned(),
            can_write: true,
            scopes: None,
            expired: false,
            lives_ms: None,
            since_ms: 0,
            portal_id,
            organization_id,
        }
    }

    /// The same of another account: the n-th, counted from 1, which is the one that tokens have
    /// otherwise.
    pub fn of_account(self, number: u64) -> Token {
        let before = number.saturating_sub(1);
        Token { portal_id: PORTAL_ID + before, organization_id: record_id("00D", before), ..self }
    }

    /// Both times are rounded down: a difference of its lifetime may still be less than that.
    pub(crate) fn is_expired(&self, now_ms: u64) -> bool {
        self.expired || self.lives_ms.is_some_and(|lives| now_ms > self.since_ms + lives)
    }
}

/// What the facts leave open ("unverified" or "inferred" in crm-apis), each with the likelier
/// answer as its default.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// HubSpot: a write that changes nothing leaves `lastmodifieddate` alone (A11, inferred).
    pub hubspot_unchanged_keeps_date: bool,
    /// HubSpot: 429 answers carry `Retry-After` (A9: documented for 477 only).
    pub hubspot_retry_after: bool,
    /// HubSpot: the missing-scopes body in its older shape (A7).
    pub hubspot_old_scope_shape: bool,
    /// HubSpot: 404 bodies carry a category (A7: often missing).
    pub hubspot_404_category: bool,
    /// HubSpot: a lifecycle stage that moves backwards is an error; otherwise it is ignored (A8,
    /// unverified).
    pub hubspot_backwards_is_error: bool,
    /// HubSpot: the errors of a 207 have `links` and `errors`. Its OpenAPI documents demand them
    /// (`StandardError`), recorded traffic has neither (A5).
    pub hubspot_207_has_links: bool,
    /// HubSpot: a search with a negation (`NEQ`, `NOT_IN`, `NOT_CONTAINS_TOKEN`) finds records
    /// without a value, too (not documented).
    pub hubspot_negation_finds_empty: bool,
    /// Both: who asks which account a token opens is answered 403.
    pub account_is_forbidden: bool,
    /// Salesforce: a locked row answers 500 on single records; otherwise 400 (B5: captures differ).
    pub salesforce_lock_is_500: bool,
    /// Salesforce: one value that cannot be parsed refuses the whole collection; otherwise that
    /// record (B4, unverified).
    pub salesforce_parse_error_refuses_all: bool,
    /// Salesforce: one locked row fails every record of its collection; otherwise only itself (B5,
    /// a note whose reach is not clear).
    pub salesforce_lock_fails_all: bool,
    /// Salesforce: texts of a Bulk upload are trimmed as those of rows are (B9: the upload is not
    /// trimmed; what the field does is open).
    pub salesforce_bulk_trims: bool,
    /// Salesforce: a trigger puts `Title` in upper case after every write (B12).
    pub salesforce_trigger: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Switches {
            hubspot_unchanged_keeps_date: true,
            hubspot_retry_after: false,
            hubspot_old_scope_shape: false,
            hubspot_404_category: false,
            hubspot_backwards_is_error: true,
            hubspot_207_has_links: false,
            hubspot_negation_finds_empty: true,
            account_is_forbidden: false,
            salesforce_lock_is_500: false,
            salesforce_parse_error_refuses_all: true,
            salesforce_lock_fails_all: false,
            salesforce_bulk_trims: false,
            salesforce_trigger: false,
        }
    }
}
