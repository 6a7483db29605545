//! The access token in force, and its renewal.
//!
//! ```text
//!  access ──▶ is it good? ── yes ──▶ header (near its end, one begins to renew it)
//!                 │ no                ▲
//!                 ▼                   │
//!     one renews, all wait: ask the endpoint ── keep the new refresh token ── put in force
//! ```
//!
//! - A token is renewed *before* it ends where the endpoint says when that is (HubSpot asks for
//!   this, crm-apis A10), so that requests do not meet a dead one. Where it does not say
//!   (Salesforce, B10), and for what ends early, the CRM's 401 tells.
//! - Tokens are numbered. A 401 counts against the token that the request carried: if another one
//!   is in force by then, nothing is renewed. So eight requests that die together cause one
//!   renewal.
//! - There are refusals that no new token cures (B5). So a token that was made because of a 401,
//!   and is refused before it was ever accepted, is not replaced: the component gets that 401.
//! - After a failed renewal nobody asks again for a while; who needs a token meanwhile gets the
//!   same error.
//! - A renewal runs to its end whoever waits for it, in a task of its own: a request that is given
//!   up must not lose a refresh token between the endpoint's answer and the disk.
//!
//! The module above has an example ([`credential`](super)).

use super::{
    Access, Bearer, CredentialError, SHORTEST_SECRET,
    echo::Answer,
    endpoint::{TokenEndpoint, Unanswered},
    grants::{Client, Grant, Shown, TokenRequest},
    refresh_tokens::Held,
};
use crate::ids::Account;
use parking_lot::{Mutex, MutexGuard};
use secrecy::{ExposeSecret, SecretString};
use std::{
    collections::VecDeque,
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{sync::OwnedMutexGuard, task::JoinHandle, time::Instant};
use tracing::Instrument;

/// A token is renewed so long before its end, or a tenth of its life, whichever is less.
const MARGIN: Duration = Duration::from_secs(60);
/// From this age on, a 401 may always mean that a token has died.
const MAY_HAVE_DIED: Duration = Duration::from_secs(30);
/// Questions to a token endpoint that gives no answer, before those who wait are told.
const MAX_ATTEMPTS: u32 = 5;
/// Pause after the first of them; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// After a failed renewal, the next one begins this much later. A token that is still good is used
/// meanwhile.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often a request waits for a token and finds that it has ended meanwhile.
const MAX_LOOKS: u32 = 5;
/// Secrets that are looked for in answers: those of the last ten renewals or so.
const REMEMBERED: usize = 32;

/// An OAuth client and its access token.
pub(super) struct OAuth {
    endpoint: TokenEndpoint,
    client: Client,
    grant: Grant,
    state: Mutex<State>,
    /// Held by the one that renews.
    renewing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Renewals that came to an end, good or bad.
    renewals: u64,
    /// When the last of them ended and with what, if it was bad.
    failure: Option<(Instant, CredentialError)>,
    /// Those of the newest token, if its endpoint names them.
    scopes: Option<Vec<String>>,
    /// Newest last.
    secrets: VecDeque<SecretString>,
}

struct Token {
    bearer: Bearer,
    /// The one that it opens, if its endpoint says so.
    account: Option<Account>,
    /// Counted from 1.
    generation: u64,
    since: Instant,
    /// When it is to be renewed, and when it ends, if that is known.
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
    /// It was made because the one before was refused with 401.
    after_401: bool,
    /// The CRM took it at least once.
    accepted: bool,
    /// The CRM says that it is dead.
    dead: bool,
}

impl Token {
    fn access(&self) -> Access {
        Access {
            header: self.bearer.header.clone(),
            generation: self.generation,
            account: self.account.clone(),
        }
    }

    /// Whether a request may carry it.
    fn is_good(&self, now: Instant) -> bool {
        !self.dead && self.ends_at.is_none_or(|end| now < end)
    }

    /// Whether nothing needs to be done about it.
    fn is_fresh(&self, now: Instant) -> bool {
        self.is_good(now) && self.renew_at.is_none_or(|when| now < when)
    }

    /// Whether a new token could do better where this one was refused.
    fn may_have_died(&self, now: Instant) -> bool {
        self.accepted || !self.after_401 || now.duration_since(self.since) >= MAY_HAVE_DIED
    }
}

/// Why one question led to no token.
enum Failure {
    Final(CredentialError),
    Again(String),
}

impl OAuth {
    pub(super) fn new(endpoint: TokenEndpoint, client: Client, grant: Grant) -> Arc<OAuth> {
        let oauth =
            OAuth { endpoint, client, grant, state: Mutex::default(), renewing: Arc::default() };
        if let Some(secret) = oauth.client.secret() {
            oauth.remember(secret);
        }
        Arc::new(oauth)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each statement leaves the state consistent, so it is good after a panic, too.
        self.state.lock()
    }

    /// The token in force. Near its end it is renewed while requests continue with it; past its end
    /// they wait.
    pub(super) async fn access(self: &Arc<OAuth>) -> Result<Access, CredentialError> {
        for _ in 0..MAX_LOOKS {
            if let Some(access) = self.look().await? {
                return Ok(access);
            }
        }
        Err(CredentialError::Unavailable(format!(
            "the access tokens of {} end before they can be used",
            self.endpoint
        )))
    }

    /// `None`: one was made, but has ended by the time that this request had its turn to look.
    async fn look(self: &Arc<OAuth>) -> Result<Option<Access>, CredentialError> {
        let renewals = {
            let state = self.state();
            if let Some(token) = state.token.as_ref().filter(|token| token.is_good(Instant::now()))
            {
                if !token.is_fresh(Instant::now())
                    && let Ok(renewing) = Arc::clone(&self.renewing).try_lock_owned()
                {
                    self.start_renewal(renewing);
                }
                return Ok(Some(token.access()));
            }
            match &state.failure {
                Some((at, failure)) if at.elapsed() < TRY_AGAIN_AFTER => {
                    return Err(failure.clone());
                }
                _ => state.renewals,
            }
        };
        let renewing = Arc::clone(&self.renewing).lock_owned().await;
        // Whoever waited gets what the other one got, the error too.
        if self.state().renewals == renewals && self.start_renewal(renewing).await.is_err() {
            return Err(CredentialError::Unavailable(
                "the renewal of the access token broke off".to_owned(),
            ));
        }
        let state = self.state();
        match (&state.token, &state.failure) {
            (Some(token), _) if token.is_good(Instant::now()) => Ok(Some(token.access())),
            (_, Some((_, failure))) => Err(failure.clone()),
            _ => Ok(None),
        }
    }

    /// Renews in a task of its own, which holds the lock until it is done.
    fn start_renewal(self: &Arc<OAuth>, renewing: OwnedMutexGuard<()>) -> JoinHandle<()> {
        let this = Arc::clone(self);
        let renewal = async move {
            this.renew().await;
            drop(renewing);
        };
        // Its lines are those of the run that found the token near its end.
        tokio::spawn(renewal.in_current_span())
    }

    /// Whether two names are those of one account.
    pub(super) fn same(&self, one: &Account, other: &Account) -> bool {
        self.endpoint.account.map_or(one == other, |account| account.same(one, other))
    }

    /// A request was refused with this token. Whether there is another one now.
    pub(super) async fn renewed(
        self: &Arc<OAuth>,
        generation: u64,
    ) -> Result<bool, CredentialError> {
        {
            let mut state = self.state();
            if let Some(token) = state.token.as_mut().filter(|token| token.generation == generation)
            {
                if !token.may_have_died(Instant::now()) {
                    return Ok(false);
                }
                token.dead = true;
            }
        }
        Ok(self.access().await?.generation != generation)
    }

    /// What the newest token may do, if there was one and its endpoint said so.
    pub(super) fn scopes(&self) -> Option<Vec<String>> {
        self.state().scopes.clone()
    }

    pub(super) fn accepted(&self, generation: u64) {
        if let Some(token) =
            self.state().token.as_mut().filter(|token| token.generation == generation)
        {
            token.accepted = true;
        }
    }

    pub(super) fn appears_in(&self, answer: &Answer<'_>) -> bool {
        let state = self.state();
        state.secrets.iter().chain(self.client.secret()).any(|secret| answer.repeats(secret))
    }

    /// Looks for this secret in answers from now on.
    fn remember(&self, secret: &SecretString) {
        if secret.expose_secret().len() < SHORTEST_SECRET {
            return;
        }
        let mut state = self.state();
        state.secrets.retain(|known| known.expose_secret() != secret.expose_secret());
        if state.secrets.len() >= REMEMBERED {
            state.secrets.pop_front();
        }
        state.secrets.push_back(secret.clone());
    }

    /// Asks until there is a token, or no hope for one.
    async fn renew(&self) {
        let mut attempt = 0;
        let failure = loop {
            attempt += 1;
            match self.ask().await {
                Ok(()) => break None,
                Err(Failure::Final(error)) => break Some(error),
                Err(Failure::Again(said)) if attempt >= MAX_ATTEMPTS => {
                    let message = format!(
                        "no access token from {}: {attempt} attempts failed, the last with: {said}. Try again when it can be used again",
                        self.endpoint
                    );
                    break Some(CredentialError::Unavailable(message));
                }
                Err(Failure::Again(said)) => {
                    tracing::warn!(endpoint = %self.endpoint, attempt, said, "no access token yet");
                    tokio::time::sleep(FIRST_PAUSE * 2u32.pow(attempt - 1)).await;
                }
            }
        };
        let mut state = self.state();
        state.renewals += 1;
        if let Some(failure) = &failure {
            tracing::warn!(endpoint = %self.endpoint, grant = self.grant.kind().name(), %failure, "the access token was not renewed");
            if let Some(token) = &mut state.token {
                token.renew_at = token.renew_at.map(|_| Instant::now() + TRY_AGAIN_AFTER);
            }
        }
        state.failure = failure.map(|failure| (Instant::now(), failure));
    }

    /// One question, and all that follows from its answer.
    async fn ask(&self) -> Result<(), Failure> {
        let (asked, held, granted) = match &self.grant {
            Grant::RefreshToken(tokens) => {
                let place = tokens.place();
                let tokens = Arc::clone(tokens);
                let held = blocking(move || tokens.hold()).await;
                let held = held.map_err(|error| {
                    not_kept(format!("cannot read the refresh token from {place}: {error}"))
                })?;
                self.remember(held.token());
                let asked = Instant::now();
                let granted = self.post(&Shown::RefreshToken(held.token())).await?;
                (asked, Some(held), granted)
            }
            Grant::ClientCredentials => (Instant::now(), None, self.post(&Shown::Nothing).await?),
            Grant::JwtBearer { key, subject, audience } => {
                let now =
                    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
                let assertion = key.assertion(self.client.id(), subject, audience, now);
                let assertion = assertion
                    .map_err(|error| not_kept(format!("cannot sign with private_key: {error}")))?;
                self.remember(&assertion);
                (Instant::now(), None, self.post(&Shown::Assertion(&assertion)).await?)
            }
        };
        // From here on these are secrets, whatever comes of them.
        self.remember(&granted.access_token);
        if let (Some(held), Some(successor)) = (held, granted.refresh_token) {
            self.remember(&successor);
            self.keep(held, successor).await?;
        }
        let bearer = Bearer::new(granted.access_token.expose_secret()).map_err(|error| {
            Failure::Final(CredentialError::Unavailable(format!(
                "{} gave no usable access token: {error}",
                self.endpoint
            )))
        })?;
        let life = granted.expires_in;
        let scopes = granted.scopes.filter(|scopes| {
            !scopes.iter().any(|scope| self.appears_in(&Answer::new(scope.as_bytes())))
        });
        let mut state = self.state();
        state.scopes = scopes;
        let (generation, after_401) =
            state.token.as_ref().map_or((1, false), |token| (token.generation + 1, token.dead));
        state.token = Some(Token {
            bearer,
            account: granted.account,
            generation,
            since: asked,
            renew_at: life.map(|life| asked + life - MARGIN.min(life / 10)),
            ends_at: life.map(|life| asked + life),
            after_401,
            accepted: false,
            dead: false,
        });
        tracing::info!(endpoint = %self.endpoint, grant = self.grant.kind().name(), number = generation, expires_in = ?life, "a new access token");
        Ok(())
    }

    /// A new refresh token is on disk before the access token that came with it is used.
    async fn keep(&self, mut held: Box<dyn Held>, successor: SecretString) -> Result<(), Failure> {
        if held.token().expose_secret() == successor.expose_secret() {
            return Ok(());
        }
        let kept = blocking(move || held.replace(&successor)).await;
        let place = match &self.grant {
            Grant::RefreshToken(tokens) => tokens.place(),
            _ => String::new(),
        };
        kept.map_err(|error| {
            not_kept(format!(
                "{} gave a new refresh token and the old one is void, but the new one cannot be kept in place of {place}: {error}. Make it writable, authorise the app again and put the new refresh token there",
                self.endpoint
            ))
        })?;
        tracing::info!(endpoint = %self.endpoint, "the refresh token was replaced and its successor is kept");
        Ok(())
    }

    async fn post(&self, shown: &Shown<'_>) -> Result<super::endpoint::Granted, Failure> {
        self.endpoint.ask(TokenRequest::new(&self.client, shown)).await.map_err(|unanswered| {
            match unanswered {
                Unanswered::Refused { code, said } => {
                    let (code, said) = (self.without_secrets(code), self.without_secrets(said));
                    let message = format!(
                        "{} gives no access token ({said}). {}",
                        self.endpoint,
                        self.advice(&code)
                    );
                    Failure::Final(CredentialError::Refused { code, message })
                }
                Unanswered::Broken { said, again } => match self.without_secrets(said) {
                    said if again => Failure::Again(said),
                    said => Failure::Final(CredentialError::Unavailable(format!(
                        "no access token from {}: {said}",
                        self.endpoint
                    ))),
                },
            }
        })
    }

    /// What an endpoint said may end in a log.
    fn without_secrets(&self, said: String) -> String {
        if self.appears_in(&Answer::new(said.as_bytes())) {
            "its answer repeats a secret and is not shown".to_owned()
        } else {
            said
        }
    }

    fn advice(&self, code: &str) -> String {
        match (&self.grant, code) {
            (Grant::RefreshToken(tokens), "invalid_grant") => {
                format!(
                    "The refresh token is expired, revoked or replaced: authorise the app again and put the new one into {}",
                    tokens.place()
                )
            }
            (Grant::JwtBearer { .. }, "invalid_grant") => {
                "Check subject, audience, this machine's clock, that private_key belongs to the app's certificate, and that the user has approved the app".to_owned()
            }
            (_, "unsupported_grant_type") => "Check grant and token_url".to_owned(),
            (_, code) if code.starts_with("invalid_client") || code == "unauthorized_client" => {
                "Check client_id and client_secret, and that the app is allowed this grant".to_owned()
            }
            _ => "Check the oauth settings of the source".to_owned(),
        }
    }
}

fn not_kept(message: String) -> Failure {
    Failure::Final(CredentialError::NotKept(message))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(now: Instant, life: Option<u64>) -> Token {
        let life = life.map(Duration::from_secs);
        Token {
            bearer: Bearer::new("a-token").unwrap(),
            account: None,
            generation: 1,
            since: now,
            renew_at: life.map(|life| now + life - MARGIN.min(life / 10)),
            ends_at: life.map(|life| now + life),
            after_401: false,
            accepted: false,
            dead: false,
        }
    }

    #[test]
    fn a_token_is_renewed_before_it_ends() {
        let now = Instant::now();
        let after = |ms: u64| now + Duration::from_millis(ms);
        for (life, ms, fresh, good) in [
            (Some(1800), 1_739_999, true, true),
            (Some(1800), 1_740_000, false, true),
            (Some(1800), 1_800_000, false, false),
            (Some(2), 1_799, true, true),
            (Some(2), 1_800, false, true),
            (Some(2), 2_000, false, false),
            (None, 1_000_000_000, true, true),
        ] {
            let token = token(now, life);
            assert_eq!(
                (token.is_fresh(after(ms)), token.is_good(after(ms))),
                (fresh, good),
                "{life:?} after {ms} ms"
            );
        }
        assert!(!Token { dead: true, ..token(now, None) }.is_good(now));
    }

    #[test]
    fn a_token_that_was_made_for_a_401_and_is_refused_at_once_did_not_die_of_age() {
        let now = Instant::now();
        let second = |accepted| Token { after_401: true, accepted, ..token(now, None) };
        assert!(token(now, None).may_have_died(now));
        assert!(!second(false).may_have_died(now + Duration::from_secs(1)));
        assert!(second(false).may_have_died(now + MAY_HAVE_DIED));
        assert!(second(true).may_have_died(now));
    }
}
