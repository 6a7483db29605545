//! The exchange with a token endpoint: over the same transport as everything else (filtered
//! addresses, deadlines, size limits, no redirects, https but for this machine), and what its
//! answer means.
//!
//! The module above has an example ([`credential`](super)).

use super::{grants::TokenRequest, well_known::AccountInAnswer};
use crate::{
    egress::{
        addresses::Reach,
        base_url::{BadBaseUrl, BaseUrl},
        transport::{BadAuthorities, Transport, TransportLimits},
    },
    ids::Account,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::{fmt, path::Path, time::Duration};

/// Longest lifetime that is believed; past it the CRM's 401 tells.
const LONGEST_LIFETIME: u64 = 365 * 24 * 3600;
/// Most scopes that are kept of an answer.
const MAX_SCOPES: usize = 500;
/// Longest text of an endpoint that a message repeats, in characters.
const MAX_SAID: usize = 300;

/// Where access tokens come from.
pub struct TokenEndpoint {
    uri: Uri,
    transport: Transport,
    pub(super) account: Option<AccountInAnswer>,
}

/// A token endpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadEndpoint {
    /// Its URL.
    #[error(transparent)]
    Url(#[from] BadBaseUrl),
    /// On this machine, and the CRM is not.
    #[error("token_url is on this machine, and the CRM is not; use the token endpoint of the CRM")]
    OnThisMachine,
    /// The additional certificate authorities.
    #[error(transparent)]
    Authorities(#[from] BadAuthorities),
}

impl TokenEndpoint {
    /// Limits that fit a token endpoint: an answer of 64 KiB within 20 s.
    pub fn limits() -> TransportLimits {
        TransportLimits {
            answer_timeout: Duration::from_secs(20),
            max_answer: 64 << 10,
            ..TransportLimits::default()
        }
    }

    /// The endpoint at a URL, such as `https://api.hubapi.com/oauth/v3/token`. The same rules hold
    /// as for a base URL.
    ///
    /// # Errors
    /// Anything but `https`, or `http` to this machine; a CA file that cannot be used.
    pub fn new(
        url: &str,
        private_network: bool,
        ca_file: Option<&Path>,
        limits: TransportLimits,
    ) -> Result<TokenEndpoint, BadEndpoint> {
        let (base, uri) = parse(url, private_network)?;
        Ok(TokenEndpoint { uri, transport: Transport::new(&base, ca_file, limits)?, account: None })
    }

    /// The same for a source: its endpoint is not nearer to this host than its CRM, and trusts the
    /// same authorities.
    ///
    /// # Errors
    /// As [`TokenEndpoint::new`], and an endpoint on this machine for a CRM that is elsewhere.
    pub fn beside(
        crm: &BaseUrl,
        url: &str,
        ca_pem: Option<&[u8]>,
        limits: TransportLimits,
    ) -> Result<TokenEndpoint, BadEndpoint> {
        let (base, uri) = parse(url, crm.reach() == Reach::PrivateToo)?;
        if base.reach() == Reach::Loopback && crm.reach() != Reach::Loopback {
            return Err(BadEndpoint::OnThisMachine);
        }
        Ok(TokenEndpoint {
            uri,
            transport: Transport::trusting(&base, ca_pem, limits)?,
            account: None,
        })
    }

    /// Its answers name the account that a token opens, there.
    #[must_use]
    pub fn naming(self, account: Option<AccountInAnswer>) -> TokenEndpoint {
        TokenEndpoint { account, ..self }
    }

    /// Posts a form. Whatever comes back that is not a token is an [`Unanswered`].
    pub(super) async fn ask(&self, request: TokenRequest) -> Result<Granted, Unanswered> {
        let form = Bytes::copy_from_slice(request.form.expose_secret().as_bytes());
        let mut post = Request::post(self.uri.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("reverse-sync/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = request.authorization {
            post = post.header(header::AUTHORIZATION, authorization);
        }
        let broken = |said: String| Unanswered::Broken { said, again: true };
        let post: Request<Full<Bytes>> =
            post.body(Full::new(form)).map_err(|error| broken(error.to_string()))?;
        let answer = self
            .transport
            .send(post)
            .await
            .map_err(|error| broken(error.to_string().replace("the CRM", "it")))?;
        let mut granted = read(&answer)?;
        granted.account = self
            .account
            .and_then(|account| account.read(&serde_json::from_slice(answer.body()).ok()?));
        Ok(granted)
    }
}

fn parse(url: &str, private_network: bool) -> Result<(BaseUrl, Uri), BadBaseUrl> {
    let base = BaseUrl::parse_as("token_url", url, private_network)?;
    // A base URL has no slash at its end; an endpoint may have one.
    let uri = url.parse().map_err(|_| BadBaseUrl::unparsable("token_url", url))?;
    Ok((base, uri))
}

impl fmt::Display for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uri)
    }
}

/// An access token, and what came with it.
pub(super) struct Granted {
    pub(super) access_token: SecretString,
    /// How long it is good, if the endpoint says so. HubSpot does, Salesforce does not (crm-apis
    /// A10, B10).
    pub(super) expires_in: Option<Duration>,
    pub(super) refresh_token: Option<SecretString>,
    /// What it may do, if the endpoint says so: HubSpot in a list, Salesforce in a text (crm-apis
    /// A10, B10).
    pub(super) scopes: Option<Vec<String>>,
    /// The account that it opens, if the endpoint says so.
    pub(super) account: Option<Account>,
}

/// Why there is no access token. What the endpoint said is in it, and may repeat a secret: the
/// caller looks.
pub(super) enum Unanswered {
    /// It says no.
    Refused { code: String, said: String },
    /// It does not say anything that counts. `again`: a later attempt may do better.
    Broken { said: String, again: bool },
}

/// Fields that are not there, or not of the type that they should have, are as good as missing: a
/// type error would repeat the value.
#[derive(Deserialize)]
struct Members {
    access_token: Option<serde_json::Value>,
    expires_in: Option<serde_json::Value>,
    refresh_token: Option<serde_json::Value>,
    token_type: Option<serde_json::Value>,
    scope: Option<serde_json::Value>,
    scopes: Option<serde_json::Value>,
    error: Option<serde_json::Value>,
    error_description: Option<serde_json::Value>,
    message: Option<serde_json::Value>,
}

fn read(answer: &Response<Bytes>) -> Result<Granted, Unanswered> {
    let status = answer.status();
    let members = serde_json::from_slice::<Members>(answer.body());
    if status.is_success() {
        let no_token = |why: &str| Unanswered::Broken {
            said: format!("HTTP {} without an access token: {why}", status.as_u16()),
            again: true,
        };
        let members = members.map_err(|_| no_token("the answer is not a JSON object"))?;
        let access_token =
            text(members.access_token).ok_or_else(|| no_token("`access_token` is missing"))?;
        if let Some(kind) =
            text(members.token_type).filter(|kind| !kind.eq_ignore_ascii_case("bearer"))
        {
            return Err(Unanswered::Broken {
                said: format!("a token of type `{}`, which is not bearer", plain(&kind)),
                again: false,
            });
        }
        return Ok(Granted {
            access_token: SecretString::from(access_token),
            expires_in: lifetime(members.expires_in.as_ref()),
            refresh_token: text(members.refresh_token)
                .filter(|token| !token.is_empty())
                .map(SecretString::from),
            scopes: scopes(members.scopes).or_else(|| scopes(members.scope)),
            account: None,
        });
    }
    if status.is_redirection() {
        let said = format!(
            "a redirect (HTTP {}), which is never followed; check token_url",
            status.as_u16()
        );
        return Err(Unanswered::Broken { said, again: false });
    }
    let (code, said) = match members {
        Ok(members) => {
            let description = text(members.error_description).or(text(members.message));
            (
                text(members.error).map(|code| plain(&code)).filter(|code| !code.is_empty()),
                description.map(|said| plain(&said)),
            )
        }
        Err(_) => (None, None),
    };
    match code {
        Some(code)
            if status.is_client_error()
                && !matches!(code.as_str(), "temporarily_unavailable" | "server_error") =>
        {
            let said = said.map(|said| format!(": {said}")).unwrap_or_default();
            Err(Unanswered::Refused {
                said: format!("HTTP {}, `{code}`{said}", status.as_u16()),
                code,
            })
        }
        code => {
            let again = status.is_server_error()
                || code.is_some()
                || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
            let said = match code {
                Some(code) => format!("HTTP {}, `{code}`", status.as_u16()),
                None => format!(
                    "HTTP {} with {}, and no OAuth error; check token_url",
                    status.as_u16(),
                    kind(answer)
                ),
            };
            Err(Unanswered::Broken { said, again })
        }
    }
}

fn kind(answer: &Response<Bytes>) -> String {
    let kind = answer
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind: &HeaderValue| kind.to_str().ok());
    kind.map_or_else(
        || "a body of no type".to_owned(),
        |kind| format!("a body of type {}", plain(kind)),
    )
}

fn text(value: Option<serde_json::Value>) -> Option<String> {
    match value {
        Some(serde_json::Value::String(text)) => Some(text),
        _ => None,
    }
}

/// Seconds, as a number or as text. Zero says nothing: a token that is never good would be renewed
/// for ever.
fn lifetime(value: Option<&serde_json::Value>) -> Option<Duration> {
    let seconds = match value? {
        serde_json::Value::String(text) => text.trim().parse().ok()?,
        number => number.as_f64()?,
    };
    (seconds >= 1.0).then(|| Duration::from_secs((seconds as u64).min(LONGEST_LIFETIME)))
}

/// A list of texts, or one text with blanks between them (RFC 6749, 3.3).
fn scopes(value: Option<serde_json::Value>) -> Option<Vec<String>> {
    let mut scopes: Vec<String> = match value? {
        serde_json::Value::String(text) => text.split_whitespace().map(plain).collect(),
        serde_json::Value::Array(items) => {
            items.iter().filter_map(|item| item.as_str()).map(plain).collect()
        }
        _ => return None,
    };
    scopes.retain(|scope| !scope.is_empty());
    scopes.truncate(MAX_SCOPES);
    (!scopes.is_empty()).then_some(scopes)
}

/// On one line, without control characters, and not long.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Granted, Unanswered> {
        read(
            &Response::builder()
                .status(status)
                .header("content-type", "text/html")
                .body(Bytes::copy_from_slice(body.as_bytes()))
                .unwrap(),
        )
    }

    #[test]
    fn a_lifetime_is_believed_within_reason() {
        for (expires_in, seconds) in [
            ("1800", Some(1800)),
            ("\"1800\"", Some(1800)),
            ("1800.5", Some(1800)),
            ("1e300", Some(LONGEST_LIFETIME)),
            ("0", None),
            ("-5", None),
            ("null", None),
            ("\"soon\"", None),
            ("{}", None),
        ] {
            let granted = answer(
                200,
                &format!(
                    r#"{{"access_token":"t","token_type":"Bearer","expires_in":{expires_in}}}"#
                ),
            )
            .ok()
            .unwrap();
            assert_eq!(granted.expires_in, seconds.map(Duration::from_secs), "{expires_in}");
        }
        assert_eq!(
            answer(200, r#"{"access_token":"t","issued_at":"1790000000000"}"#)
                .ok()
                .unwrap()
                .expires_in,
            None
        );
    }

    #[test]
    fn scopes_are_a_list_or_a_text() {
        for (members, scopes) in [
            (r#""scopes":["a.read","a.write"]"#, Some(vec!["a.read", "a.write"])),
            (r#""scope":"api  refresh_token""#, Some(vec!["api", "refresh_token"])),
            (r#""scope":["api"],"scopes":null"#, Some(vec!["api"])),
            (r#""scopes":[7,"a",""]"#, Some(vec!["a"])),
            (r#""scopes":[]"#, None),
            (r#""scope":" ""#, None),
            (r#""scope":7"#, None),
            (r#""token_use":"x""#, None),
        ] {
            let granted =
                answer(200, &format!(r#"{{"access_token":"t",{members}}}"#)).ok().unwrap();
            assert_eq!(
                granted.scopes,
                scopes.map(|scopes| scopes.into_iter().map(str::to_owned).collect()),
                "{members}"
            );
        }
    }

    #[test]
    fn what_is_no_token_says_whether_asking_again_may_help() {
        let refused = |status, body| match answer(status, body) {
            Err(Unanswered::Refused { code, said }) => format!("{code} | {said}"),
            Err(Unanswered::Broken { said, again }) => format!("{again} | {said}"),
            Ok(_) => "a token".to_owned(),
        };
        let hubspot = r#"{"error":"invalid_grant","error_description":"refresh token is invalid","status":"BAD_REFRESH_TOKEN","message":"m"}"#;
        assert_eq!(
            refused(400, hubspot),
            "invalid_grant | HTTP 400, `invalid_grant`: refresh token is invalid"
        );
        assert_eq!(
            refused(401, r#"{"error":"invalid_client"}"#),
            "invalid_client | HTTP 401, `invalid_client`"
        );
        assert_eq!(
            refused(400, r#"{"error":"temporarily_unavailable"}"#),
            "true | HTTP 400, `temporarily_unavailable`"
        );
        for status in [500, 503, 429] {
            assert!(refused(status, "<html>").starts_with("true | "), "{status}");
        }
        for (status, body, says) in [
            (404, "<html>", "check token_url"),
            (302, "", "never followed"),
            (200, r#"{"access_token":"t","token_type":"mac"}"#, "type `mac`"),
        ] {
            let said = refused(status, body);
            assert!(said.starts_with("false | ") && said.contains(says), "{said}");
        }
        for body in ["", "<html>", "[]", "{}", r#"{"access_token":7}"#] {
            assert!(
                refused(200, body).starts_with("true | HTTP 200 without an access token"),
                "{body}"
            );
        }
        assert!(!refused(400, "{\"error\":\"a\\u001b[31mb\"}").contains('\u{1b}'));
    }

    #[test]
    fn an_endpoint_is_held_to_the_rules_of_a_base_url() {
        for (url, says) in [
            ("http://login.example/token", "plain http"),
            ("https://10.0.0.1/token", "private"),
            ("https://user:sesame@x/token", "user information"),
            ("token", "token_url"),
        ] {
            let error = TokenEndpoint::new(url, false, None, TokenEndpoint::limits())
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains(says) && error.contains("token_url") && !error.contains("sesame"),
                "{error}"
            );
        }
        assert!(
            TokenEndpoint::new(
                "https://api.hubapi.com/oauth/v3/token",
                false,
                None,
                TokenEndpoint::limits()
            )
            .is_ok()
        );
    }
}
