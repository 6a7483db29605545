//! The names of plans, runs and accounts.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::{fmt, str::FromStr};

/// Longest name of an account, in bytes.
pub(crate) const MAX_NAME: usize = 64;

/// The name of a plan: `plan_` and 32 hexadecimal digits of its digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(pub(crate) String);

impl PlanId {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PlanId {
    type Err = String;

    fn from_str(text: &str) -> Result<PlanId, String> {
        let digits = text.strip_prefix("plan_").unwrap_or_default();
        if digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            Ok(PlanId(text.to_owned()))
        } else {
            Err(format!(
                "`{text}` is not a plan id; one looks like plan_0f3a… with 32 hexadecimal digits"
            ))
        }
    }
}

impl TryFrom<String> for PlanId {
    type Error = String;
    fn try_from(text: String) -> Result<PlanId, String> {
        text.parse()
    }
}

impl From<PlanId> for String {
    fn from(id: PlanId) -> String {
        id.0
    }
}

/// The name of a run: `run_`, the first digits of its plan, and a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub(crate) String);

impl RunId {
    /// The run of this number of a plan.
    pub fn new(plan: &PlanId, number: u64) -> RunId {
        RunId(format!("{}_{number}", RunId::prefix(plan)))
    }

    /// The first digits of its plan's id.
    pub fn plan_digits(&self) -> &str {
        self.0["run_".len()..].split_once('_').map_or("", |(digits, _)| digits)
    }

    /// Its number among the runs of its plan.
    pub fn number(&self) -> u64 {
        self.0.rsplit_once('_').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
    }

    /// What the names of all runs of a plan begin with.
    pub(crate) fn prefix(plan: &PlanId) -> String {
        format!("run_{}", &plan.as_str()["plan_".len()..][..12])
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<RunId, String> {
        let parts = text.strip_prefix("run_").and_then(|rest| rest.split_once('_'));
        let fits = parts.is_some_and(|(plan, number)| {
            let hex =
                plan.len() == 12 && plan.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            hex && !number.is_empty()
                && number.len() <= 10
                && number.bytes().all(|b| b.is_ascii_digit())
        });
        if fits {
            Ok(RunId(text.to_owned()))
        } else {
            Err(format!("`{text}` is not a run id; one looks like run_0f3a0f3a0f3a_1"))
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an account, as its CRM spells it: a number of HubSpot's, an org id of Salesforce's.
/// It is not a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account(pub(crate) String);

/// What cannot be the name of an account.
#[derive(Debug, thiserror::Error)]
#[error(
    "it must be what the CRM calls the account, such as \"12345678\": 1 to {MAX_NAME} letters, digits, `_` and `.`"
)]
pub struct BadAccount;

impl Account {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Account {
    type Err = BadAccount;

    fn from_str(text: &str) -> Result<Account, BadAccount> {
        let text = text.trim();
        // No token fits, so that one which was pasted here is neither kept nor shown: HubSpot's
        // have a `-`, Salesforce's a `!`.
        let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
        if text.is_empty() || text.len() > MAX_NAME || !fits {
            Err(BadAccount)
        } else {
            Ok(Account(text.to_owned()))
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text, or a whole number, as people write numbers without quotation marks.
impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Account, D::Error> {
        struct Named;
        impl de::Visitor<'_> for Named {
            type Value = Account;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of an account, a string or a whole number")
            }
            // The text is not repeated: it may be a token that was pasted into the wrong place.
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Account, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Account, E> {
                Ok(Account(number.to_string()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Account, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Named)
    }
}
