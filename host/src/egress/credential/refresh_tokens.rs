//! Where a refresh token is kept, and how its successor replaces it.
//!
//! A token endpoint may answer with a new refresh token, and the old one dies with that (rotation).
//! So the new one is on disk before anything else happens, and whoever refreshes holds the token
//! meanwhile: two processes that share a file take turns, and each reads what the other has left.
//!
//! The module above has an example ([`credential`](super)).

use crate::{
    digest::Digest,
    private_file::{self, Locked},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::{
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
};

/// A place for a refresh token. Its methods are called on a thread that may block.
pub trait RefreshTokens: Send + Sync + 'static {
    /// Takes hold of the token: nobody else gets it until the returned value is dropped.
    ///
    /// # Errors
    /// If it cannot be read.
    fn hold(&self) -> io::Result<Box<dyn Held>>;

    /// Where the operator puts a new one, such as `the file /run/secrets/hubspot`.
    fn place(&self) -> String;
}

/// A refresh token that nobody else uses meanwhile.
pub trait Held: Send {
    /// The token.
    fn token(&self) -> &SecretString;

    /// Puts its successor in its place, for good: what is returned from is on disk.
    ///
    /// # Errors
    /// If it cannot be written.
    fn replace(&mut self, successor: &SecretString) -> io::Result<()>;
}

/// A file that holds the token and nothing else.
pub struct TokenFile {
    path: PathBuf,
}

impl TokenFile {
    /// The token in this file.
    pub fn new(path: impl Into<PathBuf>) -> TokenFile {
        TokenFile { path: path.into() }
    }
}

impl RefreshTokens for TokenFile {
    fn hold(&self) -> io::Result<Box<dyn Held>> {
        let mut locked = Locked::open(&self.path, OpenOptions::new().read(true))?;
        let token = SecretString::from(locked.text()?.expose_secret().trim());
        if token.expose_secret().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
        }
        Ok(Box::new(HeldFile { locked, token }))
    }

    fn place(&self) -> String {
        format!("the file {}", self.path.display())
    }
}

struct HeldFile {
    locked: Locked,
    token: SecretString,
}

impl Held for HeldFile {
    fn token(&self) -> &SecretString {
        &self.token
    }

    fn replace(&mut self, successor: &SecretString) -> io::Result<()> {
        self.locked.replace(format!("{}\n", successor.expose_secret()).as_bytes())
    }
}

/// A token that came from where nothing can be written (the environment). Its successors are kept
/// in a file, which counts for as long as the original is the one that they replaced: a new
/// original counts at once.
pub struct SuccessorFile {
    path: PathBuf,
    original: SecretString,
    place: String,
}

/// What is in the file.
#[derive(Default, Serialize, Deserialize)]
struct Successor {
    /// Digest of the original.
    replaces: Option<Digest>,
    refresh_token: Option<String>,
}

impl SuccessorFile {
    /// The token `original`, which came from `place`, and its successors in a file.
    pub fn new(
        path: impl Into<PathBuf>,
        original: &SecretString,
        place: impl Into<String>,
    ) -> SuccessorFile {
        SuccessorFile {
            path: path.into(),
            original: SecretString::from(original.expose_secret().trim()),
            place: place.into(),
        }
    }
}

impl RefreshTokens for SuccessorFile {
    fn hold(&self) -> io::Result<Box<dyn Held>> {
        if self.original.expose_secret().is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
        }
        let made = self.path.parent().map_or(Ok(()), private_file::create_dir);
        let opened = made.and_then(|()| {
            let mut locked = Locked::open(
                &self.path,
                private_file::private(OpenOptions::new().read(true).write(true).create(true)),
            )?;
            Ok((locked.text()?, locked))
        });
        let (text, locked) = opened.map_err(|error| of_file(&self.path, &error))?;
        let kept = match text.expose_secret() {
            "" => Successor::default(),
            // serde's own words could repeat a part of the token.
            text => serde_json::from_str(text).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!(
                        "{} is damaged; remove it and authorise the app again",
                        self.path.display()
                    ),
                )
            })?,
        };
        let replaces = Digest::of(self.original.expose_secret().as_bytes());
        let token = match kept.refresh_token {
            Some(token) if kept.replaces == Some(replaces) => SecretString::from(token),
            _ => self.original.clone(),
        };
        Ok(Box::new(HeldSuccessor { locked, token, replaces }))
    }

    fn place(&self) -> String {
        self.place.clone()
    }
}

/// An error of the file, which has another place than the token that it is about.
fn of_file(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("its successors' file {}: {error}", path.display()))
}

struct HeldSuccessor {
    locked: Locked,
    token: SecretString,
    replaces: Digest,
}

impl Held for HeldSuccessor {
    fn token(&self) -> &SecretString {
        &self.token
    }

    fn replace(&mut self, successor: &SecretString) -> io::Result<()> {
        let kept = Successor {
            replaces: Some(self.replaces),
            refresh_token: Some(successor.expose_secret().to_owned()),
        };
        let kept = serde_json::to_vec(&kept)?;
        self.locked.replace(&kept).map_err(|error| of_file(self.locked.path(), &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn token(held: &dyn Held) -> String {
        held.token().expose_secret().to_owned()
    }

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o7777
    }

    #[test]
    #[cfg(unix)]
    fn a_successor_replaces_the_file_and_not_a_link_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("token"), dir.path().join("link"));
        fs::write(&file, "first-token\n").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let tokens = TokenFile::new(&link);
        let mut held = tokens.hold().unwrap();
        assert_eq!(token(&*held), "first-token");
        held.replace(&secret("second-token")).unwrap();
        drop(held);
        assert_eq!(fs::read_to_string(&file).unwrap(), "second-token\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(mode(&file), 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn who_waited_for_a_token_gets_its_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        fs::write(&path, "first-token").unwrap();
        let mut held = TokenFile::new(&path).hold().unwrap();
        assert!(File::open(&path).unwrap().try_lock().is_err(), "it is not locked");
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || token(&*TokenFile::new(&path).hold().unwrap())
        });
        held.replace(&secret("second-token")).unwrap();
        drop(held);
        assert_eq!(waiting.join().unwrap(), "second-token");
    }

    #[test]
    fn a_file_counts_while_its_original_does() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials/src_1.json");
        let tokens =
            |original| SuccessorFile::new(&path, &secret(original), "the environment variable X");
        let mut held = tokens("first-token\n").hold().unwrap();
        assert_eq!(token(&*held), "first-token");
        held.replace(&secret("second-token")).unwrap();
        drop(held);
        assert_eq!(token(&*tokens("first-token").hold().unwrap()), "second-token");
        let mut held = tokens("another-token").hold().unwrap();
        assert_eq!(token(&*held), "another-token", "the operator has put a new one there");
        held.replace(&secret("its-successor")).unwrap();
        drop(held);
        assert_eq!(token(&*tokens("another-token").hold().unwrap()), "its-successor");
        assert!(
            !fs::read_to_string(&path).unwrap().contains("another-token"),
            "the original is kept as a digest"
        );
        #[cfg(unix)]
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn what_is_no_token_is_an_error_that_does_not_repeat_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        assert_eq!(TokenFile::new(&path).hold().err().unwrap().kind(), io::ErrorKind::NotFound);
        fs::write(&path, " \n").unwrap();
        assert!(TokenFile::new(&path).hold().err().unwrap().to_string().contains("empty"));
        fs::write(&path, "{\"refresh_token\": sesame}").unwrap();
        let error =
            SuccessorFile::new(&path, &secret("original"), "X").hold().err().unwrap().to_string();
        assert!(error.contains("damaged") && !error.contains("sesame"), "{error}");
    }
}
