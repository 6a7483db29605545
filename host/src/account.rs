//! Which of a CRM's accounts a credential opens, and that it is the one that was meant.
//!
//! A base URL does not tell: HubSpot has one for all its customers, and an org's sandbox has the
//! record ids of the org. So a token that was mistaken for another writes confirmed values to
//! another company's records, or to another stage's, and every answer says that all is well. The
//! component says how the CRM names the account; the host asks, keeps the name with the plan, and
//! holds each attempt of a run to it.
//!
//! What is expected is said by a plan that was made with the CRM's help, by the source
//! ([`Link::account`]), and by earlier attempts of a run. Where nobody expects an account, nobody
//! asks.
//!
//! An embedder names the account of a source, and reads the account of a plan:
//!
//! ```
//! use reverse_sync::{Account, Plan};
//!
//! fn is_of(plan: &Plan, account: &Account) -> bool {
//!     plan.header().account.as_ref() == Some(account)
//! }
//!
//! let account: Account = "12345678".parse().unwrap();
//! assert_eq!(account.as_str(), "12345678");
//! assert!("pat-na1-token".parse::<Account>().is_err());
//! ```

pub use crate::ids::{Account, BadAccount};
use crate::{
    capability::Unacceptable,
    contract::capabilities as wit,
    egress::{
        Link, Traffic, Unanswered,
        credential::{CredentialError, OTHER_ACCOUNT},
        question,
    },
    stop::StopSignal,
};
use serde_json::Value;

/// Longest path and pointer of the question, in bytes.
const MAX_TEXT: usize = 256;

/// How a component's CRM names the account, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    path: String,
    pointer: String,
}

impl Question {
    /// # Errors
    /// If it could be anything but a read of one fixed path, or the pointer is invalid.
    pub(crate) fn compile(asked: &wit::Account) -> Result<Question, Unacceptable> {
        let fail = |reason: &str| Unacceptable {
            label: format!("account GET {}", asked.path),
            reason: reason.to_owned(),
        };
        let is_segment = |text: &str| {
            !matches!(text, "" | "." | "..")
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
        };
        let path = asked
            .path
            .strip_prefix('/')
            .filter(|path| path.len() < MAX_TEXT && path.split('/').all(is_segment));
        if path.is_none() {
            return Err(fail(
                "an account is read from a path of fixed text, such as /account/details, without a query",
            ));
        }
        let pointer = asked.pointer.as_str();
        let escapes = pointer.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        if pointer.len() > MAX_TEXT || !(pointer.is_empty() || pointer.starts_with('/')) || !escapes
        {
            return Err(fail("its pointer is not a JSON Pointer, such as /account/id"));
        }
        Ok(Question { path: asked.path.clone(), pointer: asked.pointer.clone() })
    }

    /// The account that an answer names, or why it names none.
    fn read(&self, answer: &[u8]) -> Result<Account, String> {
        let answer: Value =
            serde_json::from_slice(answer).map_err(|_| "the answer is not JSON".to_owned())?;
        let unfit = || format!("the answer names no account at {}", self.pointer);
        match answer.pointer(&self.pointer) {
            Some(Value::String(name)) => name.parse().map_err(|_| unfit()),
            Some(Value::Number(number)) if number.is_u64() => Ok(Account(number.to_string())),
            _ => Err(unfit()),
        }
    }
}

/// What the CRM says to the question which account it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// This one.
    Account(Account),
    /// Nothing of use, and why.
    Unknown(String),
}

/// Asks the CRM which account a credential opens.
pub(crate) async fn ask(
    question: Option<&Question>,
    link: &Link,
    traffic: &Traffic,
    stop: &StopSignal,
) -> Result<Told, Unanswered> {
    let Some(question) = question else {
        return Ok(Told::Unknown("the plugin has no way to ask the CRM".to_owned()));
    };
    let answer = question::ask(link, &question.path, traffic, stop).await?;
    let told = answer.and_then(|answer| question.read(&answer));
    let told = told.map_or_else(
        |reason| Told::Unknown(format!("GET {}: {reason}", question.path)),
        Told::Account,
    );
    tracing::debug!(?told, "asked which account the credential opens");
    Ok(told)
}

/// Who expects an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expecting {
    /// The plan, which was made with this account's answers.
    Plan,
    /// The run, an earlier attempt of which has written there.
    Run,
    /// The source.
    Source,
}

/// Why something is not sent: the account may not be the one that was meant.
#[derive(Debug, thiserror::Error)]
pub enum NotHeld {
    /// It is another one.
    #[error("nothing was written: the credential opens account {found}, but {}. {}", whose(*.by, .expected), remedy(*.by, .expected, .found))]
    Other {
        /// The account that the credential opens.
        found: Account,
        /// The one that it should open.
        expected: Account,
        /// Who says so.
        by: Expecting,
    },
    /// Nobody knows.
    #[error("nothing was written: {}, and which account the credential opens is not known ({reason}). Use a credential that may ask for it{}", whose(*.by, .expected), if *.by == Expecting::Source { ", or take `account` out of the source" } else { "" })]
    Unknown {
        /// The one that it should open.
        expected: Account,
        /// Who says so.
        by: Expecting,
        /// Why it is not known.
        reason: String,
    },
    /// The CRM gave no answer.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
}

fn whose(by: Expecting, expected: &Account) -> String {
    match by {
        Expecting::Plan => format!("the plan was made for account {expected}"),
        Expecting::Run => format!("this run has begun in account {expected}"),
        Expecting::Source => format!("the source is for account {expected}"),
    }
}

fn remedy(by: Expecting, expected: &Account, found: &Account) -> String {
    let right = format!("Use a credential of account {expected}");
    match by {
        Expecting::Plan | Expecting::Run => {
            format!(
                "{right}; if account {found} is meant, dry-run again with this one and look at what would change there"
            )
        }
        Expecting::Source => format!(
            "{right}; if account {found} is meant, say so in the source's `account`, then dry-run again"
        ),
    }
}

impl NotHeld {
    /// The code of a refusal: `other_account` or `account_unknown`. `None` if the CRM gave no
    /// answer.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            NotHeld::Other { .. } => Some(OTHER_ACCOUNT),
            NotHeld::Unknown { .. } => Some("account_unknown"),
            NotHeld::Unanswered(_) => None,
        }
    }
}

/// Lets nothing pass but the account that is expected. Nobody asks where nobody expects one.
pub(crate) async fn hold(
    question: Option<&Question>,
    link: &Link,
    expected: &[(Expecting, Option<&Account>)],
    traffic: &Traffic,
    stop: &StopSignal,
) -> Result<Option<Account>, NotHeld> {
    let expected: Vec<(Expecting, &Account)> =
        expected.iter().filter_map(|(by, account)| Some((*by, (*account)?))).collect();
    let Some((by, first)) = expected.first() else { return Ok(None) };
    let told = match ask(question, &link.held_to(Some(first)), traffic, stop).await {
        // The token endpoint has told before anybody asked.
        Err(Unanswered::NoAccess(CredentialError::OtherAccount { found, .. })) => {
            Told::Account(found)
        }
        told => told?,
    };
    match told {
        Told::Unknown(reason) => {
            Err(NotHeld::Unknown { expected: (*first).clone(), by: *by, reason })
        }
        Told::Account(found) => {
            match expected.into_iter().find(|(_, account)| **account != found) {
                Some((by, account)) => Err(NotHeld::Other { found, expected: account.clone(), by }),
                None => Ok(Some(found)),
            }
        }
    }
}

/// For the record of a plan that nobody has held to an account: the one that it was made with, or a
/// warning that it is not known.
pub(crate) async fn note(
    question: Option<&Question>,
    link: &Link,
    warnings: &mut Vec<String>,
) -> Option<Account> {
    let question = question?;
    let reason = match ask(Some(question), link, &Traffic::default(), &StopSignal::new()).await {
        Ok(Told::Account(account)) => return Some(account),
        Ok(Told::Unknown(reason)) => reason,
        Err(error) => error.to_string(),
    };
    warnings.push(format!(
        "which account the credential opens is not known ({reason}), so a run of this plan is not held to one: make sure that it is run with the same credential"
    ));
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MAX_NAME;

    fn question(path: &str, pointer: &str) -> Result<Question, Unacceptable> {
        Question::compile(&wit::Account { path: path.to_owned(), pointer: pointer.to_owned() })
    }

    #[test]
    fn only_a_read_of_fixed_text_can_be_asked() {
        for (path, pointer) in
            [("/a", ""), ("/account-info/v3/details", "/portalId"), ("/a/b.c_d~e", "/a~1b/0/~0")]
        {
            assert!(question(path, pointer).is_ok(), "{path} {pointer}");
        }
        let long = format!("/{}", "a".repeat(MAX_TEXT));
        for path in [
            "",
            "a",
            "/",
            "/a/",
            "//a",
            "/a//b",
            "/a?b=c",
            "/a#b",
            "/a/../b",
            "/./a",
            "/a/${id}",
            "/a/${object}",
            "/a b",
            "/a%2fb",
            "/ä",
            "http://evil/a",
            "/a:b",
            "/a;b",
            "/a@b",
            &long,
        ] {
            let refused = question(path, "/id").unwrap_err();
            assert!(refused.reason.contains("without a query"), "{path}");
        }
        for pointer in ["id", "/~", "/a~2b", "/a~", &long] {
            assert!(
                question("/a", pointer).unwrap_err().reason.contains("JSON Pointer"),
                "{pointer}"
            );
        }
    }

    #[test]
    fn an_account_is_a_short_text_or_a_whole_number() {
        let read = |answer: &str| {
            question("/a", "/b/id")
                .unwrap()
                .read(answer.as_bytes())
                .map(|account| account.to_string())
        };
        assert_eq!(read(r#"{"b":{"id":12345678}}"#), Ok("12345678".to_owned()));
        assert_eq!(
            read(r#"{"b":{"id":18446744073709551615}}"#),
            Ok("18446744073709551615".to_owned())
        );
        assert_eq!(
            read(r#"{"b":{"id":" 00D5t0000000001EAA"}}"#),
            Ok("00D5t0000000001EAA".to_owned())
        );
        let long = format!(r#"{{"b":{{"id":"{}"}}}}"#, "a".repeat(MAX_NAME + 1));
        for unfit in [
            r#"{"b":{"id":1.5}}"#,
            r#"{"b":{"id":1e30}}"#,
            r#"{"b":{"id":-1}}"#,
            r#"{"b":{"id":"a b"}}"#,
            r#"{"b":{"id":null}}"#,
            r#"{"b":{"id":""}}"#,
            r#"{"b":{"id":"a\nb"}}"#,
            r#"{"b":{"id":"\u202eb"}}"#,
            r#"{"b":{"id":["1"]}}"#,
            r#"{"b":{}}"#,
            "[]",
            "",
            "<html>",
            &long,
        ] {
            assert!(read(unfit).is_err(), "{unfit}");
        }
    }

    #[test]
    fn people_may_write_a_number() {
        let read = |json: &str| serde_json::from_str::<Account>(json);
        assert_eq!(read("12345678").unwrap(), read(r#""12345678""#).unwrap());
        for unfit in ["1.5", "-1", "true", "{}", r#""""#, r#""pat-sesame\n2""#] {
            let error = read(unfit).unwrap_err().to_string();
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn no_token_is_the_name_of_an_account() {
        for name in [
            "12345678",
            "00D5t0000000001",
            "00D5t0000000001EAA",
            "acme_eu.prod",
            &"1".repeat(MAX_NAME),
        ] {
            assert_eq!(name.parse::<Account>().unwrap().as_str(), name);
        }
        for token in
            ["pat-na1-sesame", "00D5t0000000001!AQsesame", "Bearer sesame", &"sesame".repeat(11)]
        {
            let error = token.parse::<Account>().unwrap_err().to_string();
            assert!(
                error.contains("12345678")
                    && error.contains("64 letters")
                    && !error.contains("sesame"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_refusal_names_both_accounts_and_what_to_do() {
        let account = |text: &str| text.parse::<Account>().unwrap();
        for by in [Expecting::Plan, Expecting::Run, Expecting::Source] {
            let other = NotHeld::Other { found: account("2"), expected: account("1"), by };
            let text = other.to_string();
            assert!(
                text.contains("account 2")
                    && text.contains("account 1")
                    && text.contains("dry-run again"),
                "{text}"
            );
            assert_eq!(other.code(), Some("other_account"));
            let unknown =
                NotHeld::Unknown { expected: account("1"), by, reason: "HTTP 403".to_owned() };
            assert!(
                unknown.to_string().contains("account 1")
                    && unknown.to_string().contains("HTTP 403"),
                "{unknown}"
            );
            assert_eq!(unknown.code(), Some("account_unknown"));
        }
    }
}
