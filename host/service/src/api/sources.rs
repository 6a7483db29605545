//! Sources: connected CRM accounts. Their credential goes in and never comes out.

use super::{
    auth::{Admin, Viewer},
    body::{JsonBody, List, PathId, Query, keys, read},
    fields::{Name, Parsed, present},
    paging::Paging,
    problem::{Answer, Problem, ProblemJson},
};
use crate::{
    app::App,
    links::{self, LinkError},
    secrets::{
        CredentialDocument,
        credential::{CredentialKind, site},
    },
    store::{
        Changed, NewSource, SourceLimit, SourceRow, SourceSettings, Store, Stored, Unreadable,
        time_text,
    },
};
use axum::{Json, extract::State, http::StatusCode};
use reverse_sync::{
    account::Account,
    check::Check,
    egress::{
        base_url::BaseUrl,
        credential::grants::GrantKind,
        transport::{Transport, TransportLimits},
    },
    mistakes::listed,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show, change, remove))
}

/// A source.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
pub(super) struct SourceJson {
    /// Its id.
    id: String,
    /// The name people use.
    name: String,
    /// The CRM, such as `hubspot`.
    provider: String,
    /// The CRM's base URL; null where all its customers share one.
    base_url: Option<String>,
    /// Whether the base URL's name may resolve to addresses of a private network.
    allow_private_network: bool,
    /// The limit that is kept to, whatever the CRM allows; null if there is none.
    limit: Option<SourceLimit>,
    /// Additional certificate authorities in PEM form, or null.
    ca_pem: Option<String>,
    /// The account that its credential has to open, in the CRM's own name; null until somebody says
    /// so, or a check finds it out.
    account: Option<String>,
    /// What may be said about its credential.
    credential: CredentialJson,
    /// What its last check found; null if it was not checked since it was changed.
    last_check: Option<LastCheckJson>,
    /// When it was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

/// The last check of a source.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = LastCheck)]
pub(super) struct LastCheckJson {
    /// When it was.
    pub(super) at: String,
    /// What it found.
    pub(super) found: Check,
}

/// What may be said about a credential.
#[derive(Serialize, ToSchema)]
#[schema(as = Credential)]
pub(super) struct CredentialJson {
    /// Which of the two kinds it is.
    #[schema(value_type = CredentialKind)]
    kind: String,
    /// Of OAuth: how the client gets access tokens.
    #[schema(value_type = Option<GrantKind>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    grant: Option<String>,
    /// When it was set.
    set_at: String,
}

/// A source that is about to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSource)]
pub(super) struct NewSourceJson {
    /// The name people use.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    name: Name,
    /// The CRM, such as `hubspot`.
    provider: String,
    /// The CRM's base URL; Salesforce needs it, HubSpot has one for all its customers.
    base_url: Option<String>,
    /// Whether the base URL's name may resolve to addresses of a private network.
    allow_private_network: Option<bool>,
    /// Stay below this, whatever the CRM allows.
    #[schema(value_type = Option<SourceLimit>)]
    limit: Option<SourceLimit>,
    /// Additional certificate authorities in PEM form.
    ca_pem: Option<String>,
    /// The account that the credential has to open, in the CRM's own name, such as HubSpot's number
    /// or Salesforce's org id: with another one nothing is planned or written. If it is not named,
    /// the first check finds it out.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    account: Option<Parsed<Account>>,
    /// The credential, such as `{"access_token": "…"}` or `{"oauth": {…}}`. It is sealed, and
    /// nothing shows it again.
    credential: CredentialDocument,
}

/// Changes of a source: the keys that are there are replaced, and null takes a key away that need
/// not be there.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SourceChanges)]
pub(super) struct SourceChangesJson {
    /// The name people use.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 100)]
    name: Option<Name>,
    /// The CRM, which stays what it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false)]
    provider: Option<String>,
    /// The CRM's base URL. The credential has to come along: the stored one is for the CRM where it
    /// was.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    base_url: Option<Option<String>>,
    /// Whether the base URL's name may resolve to addresses of a private network.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<bool>)]
    allow_private_network: Option<Option<bool>>,
    /// Stay below this, whatever the CRM allows.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<SourceLimit>)]
    limit: Option<Option<SourceLimit>>,
    /// Additional certificate authorities in PEM form.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    ca_pem: Option<Option<String>>,
    /// The account that the credential has to open; null takes it away, and so does another
    /// `base_url`. Another credential leaves it as it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 128)]
    account: Option<Option<Parsed<Account>>>,
    /// The credential. It is sealed, and nothing shows it again.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = CredentialDocument, required = false)]
    credential: Option<CredentialDocument>,
}

fn shown(row: SourceRow) -> Stored<SourceJson> {
    /// A [`CredentialSummary`](crate::secrets::credential::CredentialSummary) as it is stored.
    #[derive(Deserialize)]
    struct Summary {
        kind: String,
        grant: Option<String>,
    }
    let bad = |error: serde_json::Error| {
        Unreadable::new("sources.credential_summary", &row.source_id, error)
    };
    let settings = row.settings;
    let Summary { kind, grant } = serde_json::from_str(&row.credential_summary).map_err(bad)?;
    // One of another version is as good as none.
    let last_check = row.last_check.as_deref().and_then(|check| serde_json::from_str(check).ok());
    Ok(SourceJson {
        id: row.source_id,
        name: row.name,
        provider: row.provider,
        base_url: settings.base_url,
        allow_private_network: settings.allow_private_network,
        limit: settings.limit,
        ca_pem: settings.ca_pem,
        account: settings.account.map(|account| account.to_string()),
        credential: CredentialJson { kind, grant, set_at: time_text(row.credential_set_at) },
        last_check,
        created_at: time_text(row.created_at),
        updated_at: time_text(row.updated_at),
    })
}

/// The source of this id, or 404.
pub(super) async fn found(app: &App, org_id: &str, source_id: &str) -> Answer<SourceRow> {
    app.store.source(org_id, source_id).await?.ok_or_else(|| Problem::missing("source", source_id))
}

fn trimmed(url: Option<String>) -> Option<String> {
    url.map(|url| url.trim().to_owned())
}

/// Whether a source can be reached so. No request leaves.
async fn reachable(
    app: &App,
    org_id: &str,
    provider: &str,
    settings: &SourceSettings,
) -> Answer<BaseUrl> {
    let wrong = |key: &str, code, detail: String| Problem::invalid(code, format!("/{key}"), detail);
    // What does not even look like a URL may be a secret that was pasted into the wrong place.
    if settings.base_url.as_deref().is_some_and(|url| !url.contains("://")) {
        return Err(wrong(
            "base_url",
            "invalid",
            "`base_url` is not a URL that begins with https://".to_owned(),
        ));
    }
    let code = if settings.base_url.is_none() { "missing_key" } else { "invalid" };
    let base_url = app
        .base_url(org_id, provider, settings)
        .await
        .map_err(|error| wrong("base_url", code, error.to_string()))?;
    if let Some(pem) = &settings.ca_pem {
        if pem.contains("PRIVATE KEY") {
            return Err(wrong(
                "ca_pem",
                "invalid",
                "`ca_pem` has a private key in it; it takes certificates alone".to_owned(),
            ));
        }
        Transport::trusting(&base_url, Some(pem.as_bytes()), TransportLimits::default())
            .map_err(|error| wrong("ca_pem", "invalid", error.to_string()))?;
    }
    Ok(base_url)
}

/// A credential that was checked and sealed, and what may be said about it.
struct SealedCredential {
    sealed: String,
    summary: String,
}

fn seal(
    app: &App,
    context: &str,
    document: &CredentialDocument,
    provider: &str,
    base_url: &BaseUrl,
    ca_pem: Option<&str>,
) -> Answer<SealedCredential> {
    document.0.check(&site(provider, base_url, ca_pem)).map_err(|error| {
        let pointer = format!("/credential{}", error.pointer);
        let named = pointer[1..].replace('/', ".");
        let code = if error.missing { "missing_key" } else { "invalid" };
        Problem::invalid(code, pointer, format!("`{named}` cannot be used: {error}"))
    })?;
    let summary =
        serde_json::to_string(&document.summary()).map_err(|error| Problem::internal(&error))?;
    Ok(SealedCredential {
        sealed: document.seal(&app.keyring.current(), context).to_string(),
        summary,
    })
}

/// The sources of the org.
#[utoipa::path(get, path = "/sources", operation_id = "listSources", tag = "sources", params(Paging),
    responses((status = 200, description = "A page of them, in the order of their ids", body = List<SourceJson>)),
    extensions(("x-role" = json!("viewer"))))]
async fn list(
    State(app): State<Arc<App>>,
    Viewer(member): Viewer,
    Query(paging): Query<Paging>,
) -> Answer<Json<List<SourceJson>>> {
    let limit = paging.limit()?;
    let rows = app.store.sources(&member.org_id, paging.after()?, limit as i64 + 1).await?;
    Ok(Json(List::page(rows, limit, |row| row.source_id.clone(), shown)))
}

/// Makes a source.
#[utoipa::path(post, path = "/sources", operation_id = "createSource", tag = "sources",
    request_body(content = NewSourceJson,
        example = json!({"name": "HubSpot", "provider": "hubspot", "credential": {"access_token": "pat-na1-00000000"}})),
    responses((status = 201, description = "The source", body = SourceJson)),
    extensions(("x-role" = json!("admin"))))]
async fn create(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    JsonBody(source): JsonBody<NewSourceJson>,
) -> Answer<(StatusCode, Json<SourceJson>)> {
    let NewSourceJson {
        name: Name(name),
        provider,
        base_url,
        allow_private_network,
        limit,
        ca_pem,
        account,
        credential: document,
    } = source;
    if app.served(&provider).is_none() {
        let providers =
            listed(app.component.descriptor().destinations.iter().map(|served| &served.provider));
        return Err(Problem::invalid(
            "invalid",
            "/provider",
            format!("`provider` must be one of {providers}"),
        ));
    }
    let settings = SourceSettings {
        base_url: trimmed(base_url),
        allow_private_network: allow_private_network.unwrap_or_default(),
        limit,
        ca_pem,
        account: account.map(|Parsed(account)| account),
    };
    let base_url = reachable(&app, &member.org_id, &provider, &settings).await?;

    let source_id = Store::new_source_id();
    let context = links::context(&member.org_id, &source_id);
    let credential =
        seal(&app, &context, &document, &provider, &base_url, settings.ca_pem.as_deref())?;
    let new = NewSource {
        name: &name,
        provider: &provider,
        settings: &settings,
        credential: &credential.sealed,
        credential_summary: &credential.summary,
    };
    app.store.add_source(&member.org_id, &source_id, new, &member.who()).await?;
    Ok((StatusCode::CREATED, Json(shown(found(&app, &member.org_id, &source_id).await?)?)))
}

/// One source.
#[utoipa::path(get, path = "/sources/{source_id}", operation_id = "getSource", tag = "sources", params(("source_id" = String, Path, description = "The source")),
    responses((status = 200, description = "The source", body = SourceJson)),
    extensions(("x-role" = json!("viewer"))))]
async fn show(
    State(app): State<Arc<App>>,
    Viewer(member): Viewer,
    PathId(source_id): PathId,
) -> Answer<Json<SourceJson>> {
    Ok(Json(shown(found(&app, &member.org_id, &source_id).await?)?))
}

/// Changes a source: the keys that are there are replaced.
#[utoipa::path(patch, path = "/sources/{source_id}", operation_id = "updateSource", tag = "sources", params(("source_id" = String, Path, description = "The source")),
    request_body = SourceChangesJson,
    responses(
        (status = 200, description = "The source as it is now", body = SourceJson),
        (status = 409, description = "A run uses the credential that would be replaced", body = ProblemJson,
            content_type = "application/problem+json")),
    extensions(("x-role" = json!("admin"))))]
async fn change(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    PathId(source_id): PathId,
    JsonBody(body): JsonBody<Value>,
) -> Answer<Json<SourceJson>> {
    let changes: SourceChangesJson = read(&body)?;
    let changed = keys(&body);
    // Before its hold is taken: nobody holds another org's.
    found(&app, &member.org_id, &source_id).await?;
    let hold = app.holds.of(&source_id);
    let held = hold.lock().await;
    let row = found(&app, &member.org_id, &source_id).await?;
    if changed.is_empty() {
        return Ok(Json(shown(row)?));
    }

    let name = changes.name.map_or_else(|| row.name.clone(), |Name(name)| name);
    if changes.provider.is_some_and(|provider| provider != row.provider) {
        let detail = format!(
            "`provider` stays `{}`: a source stays with its CRM. Make a new source",
            row.provider
        );
        return Err(Problem::invalid("invalid", "/provider", detail));
    }
    let before = &row.settings;
    let named = changes.account.is_some();
    let mut settings = SourceSettings {
        base_url: changes.base_url.map_or_else(|| before.base_url.clone(), trimmed),
        allow_private_network: changes
            .allow_private_network
            .map_or(before.allow_private_network, Option::unwrap_or_default),
        limit: changes.limit.unwrap_or(before.limit),
        ca_pem: changes.ca_pem.unwrap_or_else(|| before.ca_pem.clone()),
        account: changes.account.map_or_else(
            || before.account.clone(),
            |account| account.map(|Parsed(account)| account),
        ),
    };
    let document = changes.credential;
    let base_url = reachable(&app, &member.org_id, &row.provider, &settings).await?;
    let moved = app
        .base_url(&member.org_id, &row.provider, &row.settings)
        .await
        .ok()
        .is_none_or(|before| before != base_url);
    if moved && document.is_none() {
        let detail = "Required: `credential`. With a new `base_url` it has to come along: the stored one is for the CRM where it was";
        return Err(Problem::invalid("missing_key", "/credential", detail));
    }
    if moved && !named {
        settings.account = None;
    }
    let context = links::context(&member.org_id, &source_id);
    let sealed = match &document {
        Some(document) => Some(seal(
            &app,
            &context,
            document,
            &row.provider,
            &base_url,
            settings.ca_pem.as_deref(),
        )?),
        None => None,
    };
    let (credential, credential_summary) = sealed
        .as_ref()
        .map_or((&row.credential, &row.credential_summary), |new| (&new.sealed, &new.summary));
    let new = NewSource {
        name: &name,
        provider: &row.provider,
        settings: &settings,
        credential,
        credential_summary,
    };
    match app
        .store
        .change_source(&member.org_id, &source_id, new, sealed.is_some(), &changed, &member.who())
        .await?
    {
        Changed::Done => {}
        Changed::Missing => return Err(Problem::missing("source", &source_id)),
        Changed::Unfinished(run_id) => {
            let detail = format!(
                "run {run_id} uses this source's credential; wait for its end, or stop it with POST /runs/{run_id}/cancel"
            );
            return Err(Problem::conflict("run_under_way", detail));
        }
    }
    drop(held);
    app.links.forget(&member.org_id, &source_id);
    Ok(Json(shown(found(&app, &member.org_id, &source_id).await?)?))
}

/// Removes a source that no destination uses.
#[utoipa::path(delete, path = "/sources/{source_id}", operation_id = "deleteSource", tag = "sources", params(("source_id" = String, Path, description = "The source")),
    responses(
        (status = 204, description = "It is gone, and its credential with it"),
        (status = 409, description = "A destination uses it", body = ProblemJson, content_type = "application/problem+json")),
    extensions(("x-role" = json!("admin"))))]
async fn remove(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    PathId(source_id): PathId,
) -> Answer<StatusCode> {
    in_use(&app, &member.org_id, &source_id).await?;
    match app.store.remove_source(&member.org_id, &source_id, &member.who()).await {
        Ok(true) => {}
        Ok(false) => return Err(Problem::missing("source", &source_id)),
        // A destination that was made meanwhile: the database lets no source go that one refers to.
        Err(error) => {
            in_use(&app, &member.org_id, &source_id).await?;
            return Err(error.into());
        }
    }
    app.links.forget(&member.org_id, &source_id);
    Ok(StatusCode::NO_CONTENT)
}

/// 409 if destinations use the source.
async fn in_use(app: &App, org_id: &str, source_id: &str) -> Answer<()> {
    let users = app.store.users_of_source(org_id, source_id).await?;
    if users.is_empty() {
        return Ok(());
    }
    let some = listed(users.iter().take(10));
    let more =
        if users.len() > 10 { format!(" and {} more", users.len() - 10) } else { String::new() };
    let detail = format!(
        "the source is used by the destinations {some}{more}; give them another source or delete them first"
    );
    Err(Problem::conflict("source_in_use", detail))
}

/// Why there is no way to a source's CRM, as an answer.
pub(super) fn unusable(error: LinkError) -> Problem {
    match error {
        LinkError::Store(error) => error.into(),
        other => {
            Problem::conflict("source_unusable", format!("the source cannot be used: {other}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::tests::refused;
    use serde_json::json;

    #[test]
    fn what_is_wrong_with_a_credential_has_its_pointer() {
        for (credential, code, pointer) in [
            (json!("sesame"), "invalid", "/credential"),
            (json!(["sesame"]), "invalid", "/credential"),
            (json!({}), "invalid", "/credential"),
            (
                json!({"access_token": "sesame", "oauth": {}}),
                "missing_key",
                "/credential/oauth/grant",
            ),
            (json!({"access_token": 4_242}), "invalid", "/credential/access_token"),
            (json!({"access_token": " "}), "invalid", "/credential/access_token"),
            (json!({"sesame": "x"}), "unknown_key", "/credential"),
            (json!({"oauth": {"sesame": "x"}}), "unknown_key", "/credential/oauth"),
            (json!({"oauth": {"client_id": "sesame"}}), "missing_key", "/credential/oauth/grant"),
            (json!({"oauth": {"grant": "refresh_token"}}), "invalid", "/credential/oauth"),
        ] {
            let problem = read::<SourceChangesJson>(&json!({"credential": credential.clone()}));
            let problem = problem.err().unwrap();
            assert_eq!(
                refused(&problem),
                (code.to_owned(), pointer.to_owned()),
                "{credential}: {problem:?}"
            );
            assert!(!format!("{problem:?}").contains("sesame"), "{problem:?}");
        }
        let body = json!({"credential": {"oauth": {"grant": "sesame", "client_id": "x", "client_secret": "sesame"}}});
        let problem = read::<SourceChangesJson>(&body).err().unwrap();
        assert_eq!(refused(&problem), ("invalid".to_owned(), "/credential/oauth/grant".to_owned()));
        assert!(!format!("{problem:?}").contains("sesame"), "{problem:?}");
    }

    #[test]
    fn a_limit_is_one_that_can_be_kept() {
        let limit = |limit: Value| read::<SourceChangesJson>(&json!({ "limit": limit }));
        let good = limit(json!({"calls": 100_000.0, "per_seconds": 10}))
            .ok()
            .unwrap()
            .limit
            .unwrap()
            .unwrap();
        assert_eq!(good, SourceLimit { calls: 100_000, per_seconds: 10.0 });
        for (bad, pointer) in [
            (json!({"calls": 0, "per_seconds": 10}), "/limit/calls"),
            (json!({"calls": 1.5, "per_seconds": 10}), "/limit/calls"),
            (json!({"calls": 1, "per_seconds": 121}), "/limit/per_seconds"),
            (json!({"calls": 1, "per_seconds": 0}), "/limit/per_seconds"),
            (json!({"calls": 1}), "/limit/per_seconds"),
            (json!({"calls": 1, "per_seconds": 1, "per_minutes": 1}), "/limit/per_minutes"),
            (json!([1, 1]), "/limit"),
            (json!("much"), "/limit"),
        ] {
            assert_eq!(refused(&limit(bad.clone()).err().unwrap()).1, pointer, "{bad}");
        }
    }
}
