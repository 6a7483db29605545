//! The signed statement of the JWT bearer grant (RFC 7523): who the client is, for which user it
//! acts, and for how few minutes that may be believed.
//!
//! Signed with rustls' own RSA (ring): no further cryptography comes in, and the private key is
//! never seen by anything that could print it.
//!
//! The module above has an example ([`credential`](super)).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{
    SignatureScheme,
    pki_types::{PrivateKeyDer, pem::PemObject},
    sign::Signer,
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::{fmt, sync::Arc};

/// How long an assertion is good, in seconds. Salesforce takes about three minutes (crm-apis B10);
/// half a minute of them is left to clocks that differ.
const LIFETIME: u64 = 150;

/// An RSA private key that signs with SHA-256 (RS256).
#[derive(Clone)]
pub struct SigningKey(Arc<dyn Signer>);

/// A private key that cannot be used. The message does not repeat it.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// No key in it.
    #[error(
        "has no private key in PEM form (-----BEGIN PRIVATE KEY-----); an encrypted one must be decrypted first"
    )]
    NotPem,
    /// Not RSA, or not one that can be trusted.
    #[error("is not an RSA key of 2048 bits or more, which is what RS256 signs with")]
    NotRsa,
}

impl SigningKey {
    /// Takes the first private key of a PEM text.
    ///
    /// # Errors
    /// If there is none, or it is not for RSA.
    pub fn from_pem(pem: &SecretString) -> Result<SigningKey, BadKey> {
        let key = PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes())
            .map_err(|_| BadKey::NotPem)?;
        let key =
            rustls::crypto::ring::sign::any_supported_type(&key).map_err(|_| BadKey::NotRsa)?;
        key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .map(|signer| SigningKey(Arc::from(signer)))
            .ok_or(BadKey::NotRsa)
    }

    /// The statement, signed. `now` is in seconds since 1970.
    pub(super) fn assertion(
        &self,
        issuer: &str,
        subject: &str,
        audience: &str,
        now: u64,
    ) -> Result<SecretString, rustls::Error> {
        let claims = json!({"iss": issuer, "sub": subject, "aud": audience, "exp": now + LIFETIME});
        let mut token = format!(
            "{}.{}",
            encode(br#"{"alg":"RS256","typ":"JWT"}"#),
            encode(claims.to_string().as_bytes())
        );
        let signature = self.0.sign(token.as_bytes())?;
        token.push('.');
        token.push_str(&encode(&signature));
        Ok(SecretString::from(token))
    }
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_rsa_key_is_refused_and_not_repeated() {
        // An elliptic curve key: good for TLS, not for RS256.
        let elliptic = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgevZzL1gdAFr88hb2\nOF/2NxApJCzGCEDdfSp6VQO30hyhRANCAAQRWz+jn65BtOMvdyHKcvjBeBSDZH2r\n1RTwjmYSi9R/zpBnuQ4EiMnCqfMPWiZqB4QdbAd0E7oH50VpuZ1P087G\n-----END PRIVATE KEY-----\n";
        for (pem, error) in
            [("", "PEM form"), ("open sesame", "PEM form"), (elliptic, "not an RSA key")]
        {
            let said = SigningKey::from_pem(&SecretString::from(pem)).unwrap_err().to_string();
            assert!(said.contains(error) && !said.contains("sesame"), "{said}");
        }
    }
}
