use super::*;
use std::fs;

const CONTEXT: &str = "org_a/src_1/credential";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn keyring() -> Keyring {
    Keyring::from_environment(&keys_text::text(&[Key::random().unwrap()])).unwrap()
}

fn opened(keyring: &Keyring, sealed: &Sealed) -> String {
    keyring.open(CONTEXT, sealed).unwrap().expose_secret().to_owned()
}

#[test]
fn what_is_sealed_opens_where_it_was_sealed_for() {
    let keyring = keyring();
    for text in ["", "sesame", "ünïcode ☃", &"x".repeat(100_000)] {
        let stored = keyring.seal(CONTEXT, &secret(text)).to_string();
        assert!(text.is_empty() || !stored.contains(text));
        assert_eq!(opened(&keyring, &stored.parse().unwrap()), text);
    }
    let twice = [0, 1].map(|_| keyring.seal(CONTEXT, &secret("sesame")));
    assert_ne!(twice[0], twice[1], "nonces are drawn anew");
}

#[test]
fn what_is_moved_to_another_row_does_not_open() {
    let keyring = keyring();
    let sealed = keyring.seal(CONTEXT, &secret("sesame"));
    for context in
        ["org_b/src_1/credential", "org_a/src_2/credential", "", "org_a/src_1/credential "]
    {
        let error = keyring.open(context, &sealed).unwrap_err();
        assert!(
            matches!(&error, OpenError::Tampered { context: said, .. } if said == context),
            "{error}"
        );
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let keyring = keyring();
    let sealed = keyring.seal(CONTEXT, &secret("sesame"));
    let (nonce, ciphertext) = sealed.parts().unwrap();
    let bytes = [nonce, ciphertext].concat();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (nonce, ciphertext) = flipped.split_first_chunk().unwrap();
        let error =
            keyring.open(CONTEXT, &Sealed::new(sealed.key_id(), nonce, ciphertext)).unwrap_err();
        assert!(error.to_string().contains("it was changed"), "bit {bit}: {error}");
    }
}

#[test]
fn a_key_of_the_same_id_is_not_the_same_key() {
    let (mine, mut other) = (keyring(), keyring());
    other.active.id.clone_from(&mine.active.id);
    let error = other.open(CONTEXT, &mine.seal(CONTEXT, &secret("sesame"))).unwrap_err();
    assert!(matches!(error, OpenError::Tampered { .. }), "{error}");
}

#[test]
fn a_missing_key_is_named_with_the_place_where_it_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let (mine, file) = (keyring(), dir.path().join("keys"));
    let other = Keyring::from_file(&file).unwrap();
    let said = other.open(CONTEXT, &mine.seal(CONTEXT, &secret("sesame"))).unwrap_err().to_string();
    for part in [mine.active_id(), other.active_id(), &format!("the keys file {}", file.display())]
    {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn nothing_prints_a_key_or_a_secret() {
    let keyring = keyring();
    let sealed = keyring.seal(CONTEXT, &secret("sesame"));
    assert_eq!(format!("{keyring:?}"), "Keyring(…)");
    let text = keys_text::text(std::slice::from_ref(&keyring.active));
    let encoded =
        text.expose_secret().lines().last().unwrap().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(encoded.len(), 44);
    let printed = format!(
        "{keyring:?} {keyring:#?} {sealed:?} {sealed} {text:?} {:?}",
        keyring.open("", &sealed).unwrap_err()
    );
    assert!(!printed.contains(&encoded) && !printed.contains("sesame"), "{printed}");
}

#[test]
fn keys_of_the_environment_are_its_own() {
    let keyring = keyring();
    for error in [keyring.rotated().unwrap_err(), keyring.without(&["k1"]).unwrap_err()] {
        let said = error.to_string();
        assert!(
            said.contains("REVERSE_SYNC_KEYS") && said.contains("openssl rand -base64 32"),
            "{said}"
        );
    }
    let said = Keyring::from_environment(&secret("k1 sesame")).unwrap_err().to_string();
    assert!(
        said.starts_with("the environment variable REVERSE_SYNC_KEYS: line 1")
            && !said.contains("sesame"),
        "{said}"
    );
}

#[test]
fn a_file_is_made_once_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/keys");
    let first = Keyring::from_file(&path).unwrap();
    let sealed = first.seal(CONTEXT, &secret("sesame"));
    assert_eq!(opened(&Keyring::from_file(&path).unwrap(), &sealed), "sesame");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn who_starts_at_the_same_time_gets_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let ids: Vec<String> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| Keyring::from_file(&path).unwrap().active_id().to_owned()))
            .collect();
        starting.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o7777
}

#[test]
#[cfg(unix)]
fn a_file_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let keyring = Keyring::from_file(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    keyring.rotated().unwrap();
    assert_eq!(mode(&path), 0o600);
    for open in [0o640, 0o604, 0o620] {
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(open)).unwrap();
        for error in [Keyring::from_file(&path).unwrap_err(), keyring.rotated().unwrap_err()] {
            let said = error.to_string();
            assert!(said.contains("chmod 600") && said.contains(&format!("{open:04o}")), "{said}");
        }
    }
}

#[test]
fn a_rotation_opens_the_old_and_seals_with_the_new() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let first = Keyring::from_file(&path).unwrap();
    let old = first.seal(CONTEXT, &secret("sesame"));
    let rotated = first.rotated().unwrap();
    assert_ne!(rotated.active_id(), first.active_id());
    assert_eq!(rotated.ids().collect::<Vec<_>>(), [rotated.active_id(), first.active_id()]);
    let new = rotated.seal(CONTEXT, &rotated.open(CONTEXT, &old).unwrap());
    assert_eq!(new.key_id(), rotated.active_id());

    // Whoever still has the old keys in memory reads them again.
    assert!(matches!(first.open(CONTEXT, &new), Err(OpenError::UnknownKey { .. })));
    assert_eq!(opened(&first.read_again().unwrap(), &new), "sesame");

    assert!(
        matches!(rotated.without(&[rotated.active_id()]), Err(KeysError::Active(id)) if id == rotated.active_id())
    );
    let last = rotated.without(&[first.active_id(), "k-unknown"]).unwrap();
    assert_eq!(last.ids().collect::<Vec<_>>(), [rotated.active_id()]);
    for keyring in [last, Keyring::from_file(&path).unwrap()] {
        assert_eq!(opened(&keyring, &new), "sesame");
        assert!(matches!(keyring.open(CONTEXT, &old), Err(OpenError::UnknownKey { .. })));
    }
}

#[test]
fn rotations_at_the_same_time_lose_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let first = Keyring::from_file(&path).unwrap();
    let sealed: Vec<Sealed> = std::thread::scope(|scope| {
        let rotating: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| first.rotated().unwrap().seal(CONTEXT, &secret("sesame"))))
            .collect();
        rotating.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let all = Keyring::from_file(&path).unwrap();
    assert_eq!(all.ids().count(), 9);
    assert!(sealed.iter().all(|sealed| opened(&all, sealed) == "sesame"));
}
