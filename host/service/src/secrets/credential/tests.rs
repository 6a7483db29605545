use super::*;
use crate::secrets::refreshing::{Holds, SecretCell, Stored};
use reverse_sync::egress::credential::refresh_tokens::RefreshTokens;
use serde_json::{Value, json};
use std::{
    io,
    sync::{Arc, Mutex, mpsc},
};

fn read(json: &Value) -> Result<CredentialDocument, String> {
    serde_json::from_str(&json.to_string()).map_err(|error| error.to_string())
}

fn refreshing() -> Value {
    json!({"oauth": {"grant": "refresh_token", "client_id": "app", "client_secret": "client-sesame", "refresh_token": "refresh-sesame"}})
}

fn pem() -> String {
    let key = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/simulator/keys/app.key.pem");
    std::fs::read_to_string(key).unwrap()
}

fn signing() -> Value {
    json!({"oauth": {"grant": "jwt_bearer", "client_id": "app", "private_key": pem(), "subject": "me@example.com"}})
}

fn keyring() -> Keyring {
    Keyring::from_environment(&SecretString::from(
        "k1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
    ))
    .unwrap()
}

#[test]
fn the_three_grants_and_a_token_are_read_and_summed_up() {
    for (written, summary) in [
        (json!({"access_token": "pat-sesame"}), json!({"kind": "access_token"})),
        (json!({"access_token": "pat-sesame", "oauth": null}), json!({"kind": "access_token"})),
        (refreshing(), json!({"kind": "oauth", "grant": "refresh_token"})),
        (
            json!({"oauth": {"grant": "client_credentials", "client_id": "app", "client_secret": "client-sesame", "client_auth": "basic"}}),
            json!({"kind": "oauth", "grant": "client_credentials"}),
        ),
        (signing(), json!({"kind": "oauth", "grant": "jwt_bearer"})),
    ] {
        let document = read(&written).unwrap();
        assert_eq!(serde_json::to_value(document.summary()).unwrap(), summary);
        assert_eq!(format!("{document:?}"), "CredentialDocument(…)");
    }
}

#[test]
fn it_comes_out_of_the_seal_as_it_went_in() {
    let keyring = keyring();
    let whole = json!({"oauth": {"grant": "jwt_bearer", "client_id": "app", "private_key": pem(), "subject": "me@example.com",
        "audience": "https://login.example", "token_url": "https://login.example/token", "client_auth": "body"}});
    for written in [json!({"access_token": "pat-\"sesame\\"}), refreshing(), whole] {
        let document = read(&written).unwrap();
        let stored = document.seal(&keyring, "org_a/src_1/credential").to_string();
        assert!(!stored.contains("sesame"));
        let sealed = stored.parse().unwrap();
        let opened = CredentialDocument::from_plain(
            &keyring.open("org_a/src_1/credential", &sealed).unwrap(),
        )
        .unwrap();
        assert_eq!(opened.plain().expose_secret(), document.plain().expose_secret());
        let mut plain: Value = serde_json::from_str(opened.plain().expose_secret()).unwrap();
        plain.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        if let Some(oauth) = plain.get_mut("oauth").and_then(Value::as_object_mut) {
            oauth.retain(|key, value| {
                !value.is_null() && (key != "client_auth" || !written["oauth"][key].is_null())
            });
            if let Some(key) = oauth.get_mut("private_key") {
                *key = json!(format!("{}\n", key.as_str().unwrap()));
            }
        }
        assert_eq!(plain, written);
        assert!(keyring.open("org_b/src_1/credential", &sealed).is_err());
    }
}

#[test]
fn what_was_sealed_and_makes_no_sense_is_not_repeated() {
    for (plain, place) in [
        (json!("pat-sesame"), "."),
        (json!({"access_token": ["pat-sesame"]}), "access_token"),
        (json!({"oauth": {"grant": "sesame", "client_id": "sesame"}}), "oauth.grant"),
        (json!({"oauth": {"grant": "refresh_token", "client_id": "sesame"}}), "oauth"),
    ] {
        let plain = SecretString::from(plain.to_string());
        let error = CredentialDocument::from_plain(&plain).unwrap_err().to_string();
        assert!(error.contains(&format!("(at `{place}`)")) && !error.contains("sesame"), "{error}");
    }
}

#[test]
fn what_cannot_be_used_is_found_before_it_is_stored() {
    let crm = BaseUrl::parse("https://acme.my.salesforce.com", false).unwrap();
    let local = BaseUrl::parse("http://127.0.0.1:7001", false).unwrap();
    let with = |mut document: Value, key: &str, value: &str| {
        document["oauth"][key] = json!(value);
        document
    };
    for document in [json!({"access_token": "pat-sesame"}), refreshing(), signing()] {
        read(&document).unwrap().0.check(&site("salesforce", &crm, None)).unwrap();
    }
    for (document, says) in [
        (json!({"access_token": "pat sesame"}), "the access token has characters"),
        (with(refreshing(), "client_secret", "sesame"), "fewer than 8 characters"),
        (with(refreshing(), "token_url", "sesame"), "is not a URL that begins with https://"),
        (with(refreshing(), "token_url", "http://login.example/token"), "plain http"),
        (
            with(refreshing(), "token_url", "http://127.0.0.1:7001/token"),
            "on this machine, and the CRM is not",
        ),
        (with(refreshing(), "token_url", "https://10.0.0.1/token"), "private"),
        (
            with(signing(), "private_key", "sesame"),
            "the private key has no private key in PEM form",
        ),
    ] {
        let error = read(&document)
            .unwrap()
            .0
            .check(&site("salesforce", &crm, None))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says) && !error.contains("sesame"), "{error}");
    }
    read(&with(refreshing(), "token_url", "http://127.0.0.1:7001/token"))
        .unwrap()
        .0
        .check(&site("salesforce", &local, None))
        .unwrap();
    let error = read(&refreshing()).unwrap().0.check(&site("another", &crm, None)).unwrap_err();
    assert_eq!(error.pointer, "/oauth/token_url");
    assert!(error.to_string().contains("`token_url` is missing"), "{error}");
    let error = read(&refreshing())
        .unwrap()
        .0
        .check(&site("salesforce", &crm, Some("sesame")))
        .unwrap_err()
        .to_string();
    assert!(error.contains("ca_pem: has no certificate in PEM form"), "{error}");
}

/// A store of one credential.
struct Cell(Mutex<SecretString>);

impl Cell {
    fn of(document: &Value) -> Arc<Cell> {
        Arc::new(Cell(Mutex::new(read(document).unwrap().plain())))
    }

    fn document(&self) -> Value {
        serde_json::from_str(self.0.lock().unwrap().expose_secret()).unwrap()
    }
}

impl SecretCell for Cell {
    fn read(&self) -> io::Result<SecretString> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn write(&self, secret: &SecretString) -> io::Result<()> {
        *self.0.lock().unwrap() = secret.clone();
        Ok(())
    }
}

fn stored(cell: &Arc<Cell>, holds: &Holds) -> Stored {
    let cell: Arc<Cell> = Arc::clone(cell);
    Stored { source_id: "src_1".to_owned(), cell, holds: holds.clone() }
}

#[test]
fn who_waited_for_a_refresh_token_shows_its_successor() {
    let (cell, holds) = (Cell::of(&refreshing()), Holds::default());
    let mut held = stored(&cell, &holds).hold().unwrap();
    assert_eq!(held.token().expose_secret(), "refresh-sesame");
    assert!(holds.of("src_1").try_lock().is_err(), "it is not held");
    assert!(holds.of("src_2").try_lock().is_ok(), "another source waits for it");
    let (asking, asked) = mpsc::channel();
    let waiting = std::thread::spawn({
        let stored = stored(&cell, &holds);
        move || {
            asking.send(()).unwrap();
            stored.hold().unwrap().token().expose_secret().to_owned()
        }
    });
    asked.recv().unwrap();
    held.replace(&SecretString::from("second-sesame")).unwrap();
    drop(held);
    assert_eq!(waiting.join().unwrap(), "second-sesame");
    let document = cell.document();
    assert_eq!(document["oauth"]["refresh_token"], "second-sesame");
    assert_eq!(document["oauth"]["client_secret"], "client-sesame", "the rest of it stays");
    assert!(holds.of("src_1").try_lock().is_ok());
}

#[test]
fn a_credential_that_was_written_during_a_renewal_stays() {
    let (cell, holds) = (Cell::of(&refreshing()), Holds::default());
    let mut held = stored(&cell, &holds).hold().unwrap();
    let mut other = refreshing();
    other["oauth"]["refresh_token"] = json!("another-sesame");
    cell.write(&read(&other).unwrap().plain()).unwrap();
    held.replace(&SecretString::from("second-sesame")).unwrap();
    drop(held);
    assert_eq!(cell.document()["oauth"]["refresh_token"], "another-sesame");

    cell.write(&read(&json!({"access_token": "pat-sesame"})).unwrap().plain()).unwrap();
    let error = stored(&cell, &holds).hold().err().unwrap().to_string();
    assert!(error.contains("another kind of credential") && !error.contains("sesame"), "{error}");
}
