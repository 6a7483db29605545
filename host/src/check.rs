//! What a credential may do, found out before anything is planned.
//!
//! Asked are the CRM and the token endpoint, never the person: a plan of no records reads the CRM's
//! metadata with the credential and keeps nothing. What it may *write* only a write could prove,
//! and nothing is written here. So it is known only where the token endpoint lists the token's
//! scopes, and is otherwise said to be open.
//!
//! ```no_run
//! use reverse_sync::Target;
//! use std::time::Duration;
//!
//! # async fn check(people: &Target) -> Result<(), Box<dyn std::error::Error>> {
//! let found = people.check(Duration::from_secs(30)).await?;
//! println!("{} (missing: {:?})", found.detail, found.scopes.missing);
//! # Ok(())
//! # }
//! ```

use crate::{
    ErrorKind,
    account::{self, Account, Told},
    component::{Component, DestinationType, Grant, GrantError},
    config_values::ConfigValues,
    contract::capabilities::{RequiredScope, RequiredScopes},
    destination::Destination,
    egress::{Link, Traffic, credential::CredentialError},
    planner::{self, PlanningError},
    stop::StopSignal,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// What to check.
pub struct Checking<'a> {
    /// Such as `hubspot_dest`.
    pub destination_type: &'a str,
    /// What is known of a destination's configuration, such as `source_id` and `object`. What it
    /// needs besides is taken from the examples in the type's JSON Schema.
    pub config_json: Map<String, Value>,
    /// What the operator allows the component.
    pub grant: &'a Grant,
    /// The CRM, and the credential in question.
    pub link: Link,
    /// How long an answer may take, repetitions and all.
    pub patience: Duration,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Check {
    /// Nothing was found that would keep a run from updating the object.
    pub ok: bool,
    /// The CRM answered, or its token endpoint did.
    pub reachable: bool,
    /// The CRM took the credential. It may still lack rights.
    pub authorized: bool,
    /// What the credential may do.
    pub scopes: Scopes,
    /// The account that it opens, in the CRM's own name; null if the CRM did not say.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub account: Option<Account>,
    /// What that means, and what to do.
    pub detail: String,
}

/// The scopes of a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Scopes {
    /// Those that its token endpoint lists.
    pub present: Vec<String>,
    /// Those that it needs and does not have, as far as that can be known.
    pub missing: Vec<String>,
    /// Whether its token endpoint lists scopes. Otherwise only what the CRM itself calls missing
    /// is.
    pub known: bool,
}

impl Scopes {
    /// The scopes that are there are those that are listed; those that are missing are needed and
    /// not listed, or the CRM itself says so.
    fn of(
        listed: Option<Vec<String>>,
        required: &[RequiredScope],
        named_by_crm: &[String],
    ) -> Scopes {
        let is_one = |scope: &RequiredScope, name: &String| {
            scope.name == *name || scope.alternatives.contains(name)
        };
        let is_listed = |scope: &RequiredScope| {
            listed.as_ref().is_none_or(|listed| listed.iter().any(|name| is_one(scope, name)))
        };
        // The CRM may name several that would do: then it is the one that is needed anyway.
        let is_named = |scope: &RequiredScope| named_by_crm.iter().any(|name| is_one(scope, name));
        let mut missing: Vec<String> = required
            .iter()
            .filter(|scope| !is_listed(scope) || is_named(scope))
            .map(|scope| scope.name.clone())
            .collect();
        if !required.iter().any(is_named) {
            missing.extend(
                named_by_crm
                    .iter()
                    .filter(|name| !missing.contains(name))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        Scopes { known: listed.is_some(), present: listed.unwrap_or_default(), missing }
    }
}

/// The scopes by their names, with those that do instead.
pub fn names(scopes: &[RequiredScope]) -> Vec<String> {
    let or =
        |scope: &RequiredScope| format!("{} (or {})", scope.name, scope.alternatives.join(", "));
    scopes
        .iter()
        .map(|scope| if scope.alternatives.is_empty() { scope.name.clone() } else { or(scope) })
        .collect()
}

/// The scopes that a destination of this type needs for an object.
pub fn required<'d>(served: &'d DestinationType, object: &str) -> &'d [RequiredScope] {
    let entries = &served.required_scopes;
    let of = |object: Option<&str>| {
        entries.iter().find(|entry: &&RequiredScopes| entry.object.as_deref() == object)
    };
    of(Some(object)).or_else(|| of(None)).map_or(&[], |entry| &entry.scopes)
}

/// Checks a credential: what it may do, and which account it opens. Reads leave; nothing is
/// written, neither to the CRM nor to disk.
///
/// # Errors
/// What is wrong with the question: a grant, a configuration that the component refuses before it
/// asks anybody, or a component that broke off. What is wrong with the credential is in the answer.
pub async fn check(component: &Component, checking: Checking<'_>) -> Result<Check, PlanningError> {
    let question = component.question(checking.destination_type)?;
    // What is to be found out is which account it opens: another one is an answer here, and no
    // reason to stop.
    let (expected, patience) = (checking.link.account.clone(), checking.patience);
    let link = Link { account: None, ..checking.link.clone() };
    let mut found = rights(component, Checking { link: link.clone(), ..checking }).await?;
    if !found.authorized {
        return Ok(found);
    }
    let stop = StopSignal::new();
    let traffic = Traffic::default();
    let asking =
        tokio::time::timeout(patience, account::ask(question.as_ref(), &link, &traffic, &stop));
    let told = match asking.await {
        Ok(Ok(told)) => told,
        Ok(Err(error)) => Told::Unknown(error.to_string()),
        Err(_) => Told::Unknown(format!("no answer within {} s", patience.as_secs_f32())),
    };
    match (told, &expected) {
        (Told::Account(account), Some(expected)) if account != *expected => {
            found.ok = false;
            found.detail = format!(
                "the credential opens account {account}, but the source is for account {expected}: nothing is planned or written with it. Use a credential of account {expected}, or change the source's `account`. Apart from that, {}",
                found.detail
            );
            found.account = Some(account);
        }
        (Told::Account(account), _) => found.account = Some(account),
        (Told::Unknown(reason), Some(expected)) => {
            found.ok = false;
            found.detail = format!(
                "the source is for account {expected}, and which one the credential opens is not known ({reason}): nothing is planned or written with it. Apart from that, {}",
                found.detail
            );
        }
        (Told::Unknown(reason), None) => {
            found.detail.push_str(&format!(" Which account it opens is not known ({reason})."))
        }
    }
    Ok(found)
}

/// What a credential may do.
async fn rights(component: &Component, checking: Checking<'_>) -> Result<Check, PlanningError> {
    let served = component.destination_type(checking.destination_type)?;
    let schema: Value = serde_json::from_str(&served.config_schema)
        .map_err(|_| GrantError::Schema(served.name.clone()))?;
    let config_json = completed(checking.config_json, &schema);
    let object = ConfigValues::new(Value::Object(config_json.clone()), schema)
        .plain("object")
        .unwrap_or_default();
    let destination =
        Destination { config_json, ..Destination::new("check", &served.name, "record") };
    let (credential, base_url) = (checking.link.credential.clone(), checking.link.base_url.clone());
    let asking = planner::plan_nothing(component, &destination, checking.grant, checking.link);
    let (ended, answered) = match tokio::time::timeout(checking.patience, asking).await {
        Ok((ended, traffic)) => (Some(ended), traffic.requests() > traffic.failed()),
        Err(_) => (None, false),
    };
    let required = required(served, &object);
    let scopes = |named: &[String]| Scopes::of(credential.scopes(), required, named);
    let found = |reachable, authorized, scopes: Scopes, detail| {
        Ok(Check { ok: false, reachable, authorized, scopes, account: None, detail })
    };
    match ended {
        Some(Ok(())) => Ok(readable(served, &object, required, scopes(&[]))),
        None => {
            let detail = format!(
                "{base_url} gave no answer within {} s; check `base_url`, and try again later",
                checking.patience.as_secs_f32()
            );
            found(false, false, scopes(&[]), detail)
        }
        Some(Err(PlanningError::NoAccess(error))) => found(
            !matches!(error, CredentialError::Unavailable(_)),
            false,
            scopes(&[]),
            error.to_string(),
        ),
        Some(Err(PlanningError::Refused(error)))
            if answered || error.kind == ErrorKind::Unavailable =>
        {
            let authorized = answered
                && !matches!(
                    error.kind,
                    ErrorKind::Unauthorized | ErrorKind::Unavailable | ErrorKind::RateLimited
                );
            found(answered, authorized, scopes(&error.missing_scopes), error.message)
        }
        Some(Err(error)) => Err(error),
    }
}

/// What a credential comes to that the CRM has shown its metadata to.
fn readable(
    served: &DestinationType,
    object: &str,
    required: &[RequiredScope],
    scopes: Scopes,
) -> Check {
    let (provider, rights) = (&served.provider, &served.required_rights);
    let needs = names(required).join(", ");
    let detail = match (scopes.known, required.is_empty()) {
        (_, true) => format!(
            "{provider} takes the credential and shows the fields of `{object}`. Which scopes that object needs is not known here; in general: {rights}"
        ),
        (true, false) if scopes.missing.is_empty() => format!(
            "{provider} takes the credential, shows the fields of `{object}`, and lists every scope that is needed ({needs}). Rights that are not scopes show only when something is written. Needed are {rights}"
        ),
        (true, false) => format!(
            "{provider} takes the credential, but the token lacks {}. Add it to the app, authorise the app again, and store the new credential in the source. Needed are {rights}",
            scopes.missing.join(", ")
        ),
        (false, false) => format!(
            "{provider} takes the credential and shows the fields of `{object}`. Whether it may write cannot be proved without writing: this token does not list its scopes. Needed are {rights}"
        ),
    };
    Check {
        ok: scopes.missing.is_empty(),
        reachable: true,
        authorized: true,
        scopes,
        account: None,
        detail,
    }
}

/// With an example for every key that is needed and not there. It only has to be accepted: no
/// record is planned.
fn completed(mut config: Map<String, Value>, schema: &Value) -> Map<String, Value> {
    for key in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if config.contains_key(key) {
            continue;
        }
        let property = schema.get("properties").and_then(|properties| properties.get(key));
        let example = property.and_then(|property| {
            property.get("default").or_else(|| property.get("examples")?.get(0))
        });
        if let Some(example) = example {
            config.insert(key.to_owned(), example.clone());
        }
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope(name: &str, alternatives: &[&str]) -> RequiredScope {
        RequiredScope {
            name: name.to_owned(),
            alternatives: alternatives.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn missing_is_what_is_needed_and_neither_listed_nor_stood_in_for() {
        let required = [scope("o.read", &[]), scope("o.write", &["everything"])];
        for (listed, named, missing) in [
            (None, &[][..], &[][..]),
            (None, &["o.write"], &["o.write"]),
            (None, &["s.read", "o.read"], &["o.read"]),
            (None, &["s.read"], &["s.read"]),
            (Some(&["o.read", "o.write", "more"][..]), &[], &[]),
            (Some(&["o.read", "everything"]), &[], &[]),
            (Some(&["o.read"]), &[], &["o.write"]),
            (Some(&["o.write"]), &["s.read", "o.read"], &["o.read"]),
            (Some(&["other"]), &["s.read"], &["o.read", "o.write", "s.read"]),
        ] {
            let scopes = Scopes::of(listed.map(texts), &required, &texts(named));
            assert_eq!(scopes.missing, texts(missing), "{listed:?} {named:?}");
            assert_eq!(
                (scopes.known, scopes.present),
                (listed.is_some(), listed.map(texts).unwrap_or_default())
            );
        }
    }

    #[test]
    fn a_configuration_is_completed_by_examples() {
        let schema = json!({"required": ["id_field", "source_id", "mode", "odd"], "properties": {
            "id_field": {"examples": ["Id"]}, "source_id": {"examples": ["src_1"]}, "mode": {"default": "a", "examples": ["b"]},
            "object": {"default": "x"}, "odd": {}}});
        let known = json!({"source_id": "src_9", "object": "y"}).as_object().unwrap().clone();
        assert_eq!(
            Value::Object(completed(known, &schema)),
            json!({"source_id": "src_9", "object": "y", "id_field": "Id", "mode": "a"})
        );
    }
}
