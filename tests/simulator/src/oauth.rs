//! What the token endpoints of both CRMs have in common: forms, clients, assertions, and tokens
//! that end by themselves (crm-apis A10, B10).

use crate::{Token, World, message::Request};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};
use webpki::{EndEntityCert, ring::RSA_PKCS1_2048_8192_SHA256};

/// Longest time until an assertion ends, in seconds (B10: about three minutes).
const LONGEST_ASSERTION: u64 = 180;

/// Whether a request is one for a token.
pub(crate) fn is_token_request(request: &Request) -> bool {
    let segments: Vec<&str> = request.path().trim_matches('/').split('/').collect();
    request.method == http::Method::POST
        && matches!(segments.as_slice(), ["oauth", _, "token"] | ["services", "oauth2", "token"])
}

/// A form, or `None` if the body is not sent as one.
pub(crate) struct Form {
    fields: Vec<(String, String)>,
    /// Client and secret, if they are in the header instead (RFC 6749, 2.3.1).
    basic: Option<(String, String)>,
}

impl Form {
    pub(crate) fn of(request: &Request) -> Option<Form> {
        request
            .header("content-type")
            .filter(|kind| kind.starts_with("application/x-www-form-urlencoded"))?;
        let body = String::from_utf8_lossy(&request.body);
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        let fields = pairs
            .map(|(name, value)| (crate::message::decode(name), crate::message::decode(value)))
            .collect();
        let encoded =
            request.header("authorization").and_then(|header| header.strip_prefix("Basic "));
        let basic =
            encoded.and_then(|encoded| String::from_utf8(STANDARD.decode(encoded).ok()?).ok());
        let basic = basic.and_then(|pair| {
            pair.split_once(':').map(|(client, secret)| (client.to_owned(), secret.to_owned()))
        });
        Some(Form { fields, basic })
    }

    /// A field, empty if it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Whether it comes from the client that the simulator knows, by what the form says.
    pub(crate) fn is_from_the_client(&self, world: &World) -> bool {
        self.field("client_id") == world.config.client_id
            && self.field("client_secret") == world.config.client_secret
    }

    /// The same, by what the header says: Salesforce takes either (help, "OAuth 2.0 Client
    /// Credentials Flow"); simple-salesforce 1.12 sends it there.
    pub(crate) fn header_is_from_the_client(&self, world: &World) -> bool {
        self.basic.as_ref().is_some_and(|(client, secret)| {
            *client == world.config.client_id && *secret == world.config.client_secret
        })
    }
}

/// Makes an access token that ends after so many milliseconds.
pub(crate) fn issue(
    world: &mut World,
    prefix: &str,
    lives_ms: u64,
    scopes: Option<Vec<String>>,
) -> Token {
    let text = format!("{prefix}{:016x}", world.random.next());
    let since_ms = world.started.elapsed().as_millis() as u64;
    let token = Token {
        lives_ms: Some(lives_ms),
        since_ms,
        scopes,
        ..Token::new(&text).of_account(world.config.oauth_account)
    };
    world.config.tokens.push(token.clone());
    world.tokens_issued += 1;
    token
}

/// A refresh token that nobody has seen.
pub(crate) fn successor(world: &mut World, prefix: &str) -> String {
    format!("{prefix}{:016x}", world.random.next())
}

/// Holds a signed assertion against the app's certificate and what it has to say (B10).
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_assertion(
    world: &World,
    assertion: &str,
    own_url: &str,
) -> Result<(), &'static str> {
    let pem = world.config.salesforce_certificate.as_deref().ok_or("the app has no certificate")?;
    let der =
        CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| "the certificate is invalid")?;
    let certificate = EndEntityCert::try_from(&der).map_err(|_| "the certificate is invalid")?;
    let (signed, signature) = assertion.rsplit_once('.').ok_or("invalid assertion")?;
    let (header, claims) = signed.split_once('.').ok_or("invalid assertion")?;
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| "invalid assertion");
    let json = |text: &str| {
        serde_json::from_slice::<Value>(&decode(text)?).map_err(|_| "invalid assertion")
    };
    if json(header)?["alg"] != "RS256" {
        return Err("invalid assertion");
    }
    let signature = decode(signature)?;
    certificate
        .verify_signature(RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
        .map_err(|_| "invalid assertion")?;
    let claims = json(claims)?;
    let audiences = ["https://login.salesforce.com", "https://test.salesforce.com", own_url];
    if claims["iss"] != world.config.client_id.as_str() {
        return Err("client identifier invalid");
    }
    if claims["sub"] != world.config.salesforce_user.as_str() {
        return Err("user hasn't approved this consumer");
    }
    if !audiences.iter().any(|known| claims["aud"] == *known) {
        return Err("audience is invalid");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match claims["exp"].as_u64() {
        Some(end) if end > now && end <= now + LONGEST_ASSERTION => Ok(()),
        _ => Err("assertion has expired"),
    }
}
