//! Checking a source: what its credential may do, and which account it opens. The first account
//! that is found is the source's from then on.

use super::{
    auth::Operator,
    body::{JsonBody, PathId},
    problem::{Answer, Problem, ProblemJson},
    sources::{self, LastCheckJson},
};
use crate::{
    app::App,
    store::{Member, SourceRow, SourceSettings, now_ms, time_text},
};
use axum::{Json, extract::State};
use reverse_sync::{
    account::Account,
    check::{self, Check, Checking},
    component::DestinationType,
    mistakes::listed,
    source::SourceError,
};
use serde::Deserialize;
use serde_json::{Map, json};
use std::{sync::Arc, time::Duration};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

/// How long a check waits for the CRM, repetitions and all.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(check_one))
}

/// What to check of a source.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CheckOptions)]
pub(super) struct CheckOptionsJson {
    /// The object that is to be updated; the destination type's usual one if it is not named.
    #[schema(example = "contacts")]
    object: Option<String>,
    /// The destination type; the one for the source's provider if it is not named.
    #[schema(example = "hubspot_dest")]
    destination_type: Option<String>,
}

/// Checks whether a source's credential will do, as far as that can be told without writing
/// anything, and finds out which account it opens. A source that is for no account yet is for this
/// one from now on.
#[utoipa::path(post, path = "/sources/{source_id}/check", operation_id = "checkSource", tag = "sources", params(("source_id" = String, Path, description = "The source")),
    request_body = CheckOptionsJson,
    responses(
        (status = 200, description = "What was found", body = Check),
        (status = 409, description = "The source cannot be used as it is stored", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 429, description = "Too many checks of this org wait already", body = ProblemJson,
            content_type = "application/problem+json")),
    extensions(("x-role" = json!("operator"))))]
async fn check_one(
    State(app): State<Arc<App>>,
    Operator(member): Operator,
    PathId(source_id): PathId,
    JsonBody(options): JsonBody<CheckOptionsJson>,
) -> Answer<Json<Check>> {
    let row = sources::found(&app, &member.org_id, &source_id).await?;
    let served = served(&app, &row, options.destination_type.as_deref())?;
    let mut config_json = Map::from_iter([("source_id".to_owned(), json!(source_id))]);
    if let Some(name) = options.object {
        config_json.insert("object".to_owned(), json!(name));
    }
    let link = app.link(&member.org_id, &row).await.map_err(sources::unusable)?;
    let _turn = app
        .jobs
        .checking(&member.org_id)
        .await
        .map_err(|error| Problem::too_many(error.to_string(), 5))?;
    let checking = Checking {
        destination_type: &served.name,
        config_json,
        grant: &app.grant,
        link,
        patience: PATIENCE,
    };
    match check::check(&app.component, checking).await {
        Ok(found) => {
            if let Some(account) = &found.account {
                learn(&app, &member, &row, account).await?;
            }
            let last = LastCheckJson { at: time_text(now_ms()), found: found.clone() };
            let last = serde_json::to_string(&last).map_err(|error| Problem::internal(&error))?;
            app.store.keep_check(&member.org_id, &source_id, row.version, &last).await?;
            Ok(Json(found))
        }
        Err(error) if error.is_config() => {
            Err(Problem::invalid("invalid", "/object", error.to_string()))
        }
        Err(error) => Err(Problem::internal(&error)),
    }
}

/// Keeps the account that was found, unless the source has one, or is not what was checked any
/// more.
async fn learn(app: &App, member: &Member, checked: &SourceRow, account: &Account) -> Answer<()> {
    let source_id = &checked.source_id;
    let hold = app.holds.of(source_id);
    let _held = hold.lock().await;
    let Some(row) = app.store.source(&member.org_id, source_id).await? else { return Ok(()) };
    if row.version != checked.version || row.settings.account.is_some() {
        return Ok(());
    }
    let settings = SourceSettings { account: Some(account.clone()), ..row.settings };
    app.store
        .learn_account(&member.org_id, source_id, row.version, &settings, &member.who())
        .await?;
    Ok(())
}

/// The destination type to check a source for.
fn served<'a>(app: &'a App, row: &SourceRow, name: Option<&str>) -> Answer<&'a DestinationType> {
    let Some(name) = name else {
        return app
            .served(&row.provider)
            .ok_or_else(|| sources::unusable(SourceError::Provider(row.provider.clone()).into()));
    };
    let mut fitting = app
        .component
        .descriptor()
        .destinations
        .iter()
        .filter(|served| served.provider == row.provider);
    let names = listed(fitting.clone().map(|served| &served.name));
    fitting.find(|served| served.name == name).ok_or_else(|| {
        let detail =
            format!("`destination_type` of a {} source must be one of {names}", row.provider);
        Problem::invalid("invalid", "/destination_type", detail)
    })
}
