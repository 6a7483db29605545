use super::*;
use serde_json::{Value, json};
use std::fs;

fn referring(json: Value) -> Result<CredentialSpec<Reference>, String> {
    serde_json::from_value(json).map_err(|error| error.to_string())
}

#[test]
fn keys_have_to_make_up_a_grant() {
    let here = json!({ "env": "S" });
    for (keys, says) in [
        (json!({"grant": "refresh_token"}), Some("needs `client_id`")),
        (json!({"grant": "refresh_token", "client_id": "a"}), Some("needs `refresh_token`")),
        (json!({"grant": "refresh_token", "client_id": "a", "refresh_token": here}), None),
        (
            json!({"grant": "refresh_token", "client_id": here, "client_secret": here, "refresh_token": here, "client_auth": "basic"}),
            None,
        ),
        (json!({"grant": "client_credentials", "client_id": "a"}), Some("needs `client_secret`")),
        (
            json!({"grant": "client_credentials", "client_id": "a", "client_secret": here, "refresh_token": here}),
            Some("no use for `refresh_token`"),
        ),
        (
            json!({"grant": "jwt_bearer", "client_id": "a", "client_secret": here}),
            Some("no use for `client_secret`"),
        ),
        (
            json!({"grant": "jwt_bearer", "client_id": "a", "private_key": {"file": "k"}}),
            Some("needs `subject`"),
        ),
        (
            json!({"grant": "jwt_bearer", "client_id": "a", "private_key": {"file": "k"}, "subject": "u"}),
            None,
        ),
    ] {
        let said = referring(json!({ "oauth": keys })).err();
        assert_eq!(said.is_some(), says.is_some(), "{keys}: {said:?}");
        assert!(said.unwrap_or_default().contains(says.unwrap_or_default()), "{keys}");
    }
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_refused_and_not_repeated() {
    for written in [
        json!({"access_token": "pat-sesame"}),
        json!({"access_token": ["pat-sesame"]}),
        json!({"access_token": {"env": "X", "token": "pat-sesame"}}),
        json!({"access_token": {"literal": "pat-sesame"}}),
        json!({"oauth": "pat-sesame"}),
        json!({"oauth": {"grant": "pat-sesame"}}),
        json!({"oauth": {"grant": "refresh_token", "client_id": {"literal": "pat-sesame"}}}),
        json!({"oauth": {"grant": "refresh_token", "refresh_token": "pat-sesame"}}),
        json!({"oauth": {"grant": "refresh_token", "client_auth": "pat-sesame"}}),
        json!({"access_token": {"env": "X"}, "oauth": {"grant": "refresh_token", "client_id": "a", "refresh_token": {"env": "Y"}}}),
        json!({}),
    ] {
        let error = referring(written.clone()).unwrap_err();
        assert!(!error.contains("sesame"), "{written}: {error}");
    }
}

#[test]
#[cfg(unix)]
fn a_token_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, "pat-sesame\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let secret = Reference::File("token".into());
    let error = secret.read(dir.path(), "access_token").unwrap_err().to_string();
    assert!(error.contains("chmod 600") && !error.contains("sesame"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    secret.read(dir.path(), "access_token").unwrap();
}
