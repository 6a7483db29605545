//! Destinations, and the types that there are.

use super::{
    auth::{Admin, Viewer},
    body::{JsonBody, List, PathId, Query, keys},
    destination_body::{judged, properties, read, schema_of, source_of},
    fields::{EntityType, Name, present},
    paging::Paging,
    problem::{Answer, Problem, ProblemJson},
};
use crate::{
    app::App,
    store::{Changed, DestinationRow, time_text},
};
use axum::{Json, extract::State, http::StatusCode};
use reverse_sync::{
    destination::{Destination, OnDuplicateId},
    guards::{self, Guards},
    records::CsvForm,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::{
    ToSchema,
    openapi::schema::{self, ObjectBuilder, Type},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(super) fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(types))
        .routes(routes!(list, create))
        .routes(routes!(show, change, remove))
}

/// A destination.
#[derive(Serialize, ToSchema)]
#[schema(as = Destination)]
pub(super) struct DestinationJson {
    /// Its id.
    id: String,
    /// The name people use.
    name: String,
    /// Such as `hubspot_dest`.
    destination_type: String,
    /// What the golden records are, such as `person`.
    entity_type: String,
    /// What `GET /destination-types` has a JSON Schema for.
    #[schema(value_type = Object)]
    config_json: Map<String, Value>,
    /// What happens when several golden records claim one CRM record.
    #[schema(schema_with = duplicates_schema)]
    on_duplicate_id: OnDuplicateId,
    /// What keeps a plan from being confirmed without a second look.
    #[schema(schema_with = guards_schema)]
    guards: Guards,
    /// When it was made.
    created_at: String,
    /// When it was last changed.
    updated_at: String,
}

/// A destination that is about to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDestination)]
pub(super) struct NewDestinationJson {
    /// The name people use.
    #[schema(value_type = String, min_length = 1, max_length = 100, example = "HubSpot reverse")]
    name: Name,
    /// One of `GET /destination-types`.
    #[schema(example = "hubspot_dest")]
    destination_type: String,
    /// What the golden records are.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,100}$", example = "person")]
    entity_type: EntityType,
    /// What `GET /destination-types` has a JSON Schema for.
    #[schema(value_type = Object, example = json!({"provider_id_field": "hs_object_id", "source_id": "src_1"}))]
    config_json: Map<String, Value>,
    /// What happens when several golden records claim one CRM record.
    #[schema(schema_with = duplicates_schema, required = false)]
    on_duplicate_id: Option<OnDuplicateId>,
    /// What keeps a plan from being confirmed without a second look.
    #[schema(schema_with = guards_schema, required = false)]
    guards: Option<Guards>,
}

/// Changes of a destination: the keys that are there are replaced, `config_json` as a whole.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DestinationChanges)]
pub(super) struct DestinationChangesJson {
    /// The name people use.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, min_length = 1, max_length = 100, required = false)]
    name: Option<Name>,
    /// One of `GET /destination-types`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, required = false)]
    destination_type: Option<String>,
    /// What the golden records are.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{1,100}$", required = false)]
    entity_type: Option<EntityType>,
    /// What `GET /destination-types` has a JSON Schema for.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Object, required = false)]
    config_json: Option<Map<String, Value>>,
    /// What happens when several golden records claim one CRM record.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = duplicates_schema, required = false)]
    on_duplicate_id: Option<Option<OnDuplicateId>>,
    /// What keeps a plan from being confirmed without a second look.
    #[serde(default, deserialize_with = "present")]
    #[schema(schema_with = guards_schema, required = false)]
    pub(super) guards: Option<Option<Guards>>,
}

impl NewDestinationJson {
    fn destination(self) -> Destination {
        Destination {
            name: self.name.0,
            destination_type: self.destination_type,
            entity_type: self.entity_type.0,
            config_json: self.config_json,
            on_duplicate_id: self.on_duplicate_id.unwrap_or_default(),
            guards: self.guards.unwrap_or_default(),
            csv: CsvForm::default(),
        }
    }
}

impl DestinationChangesJson {
    fn of(self, before: Destination) -> Destination {
        Destination {
            name: self.name.map_or(before.name, |Name(name)| name),
            destination_type: self.destination_type.unwrap_or(before.destination_type),
            entity_type: self.entity_type.map_or(before.entity_type, |EntityType(name)| name),
            config_json: self.config_json.unwrap_or(before.config_json),
            on_duplicate_id: self
                .on_duplicate_id
                .map_or(before.on_duplicate_id, Option::unwrap_or_default),
            guards: self.guards.map_or(before.guards, Option::unwrap_or_default),
            csv: before.csv,
        }
    }
}

/// A destination type.
#[derive(Serialize, ToSchema)]
#[schema(as = DestinationType)]
pub(super) struct DestinationTypeJson {
    /// Such as `hubspot_dest`.
    name: String,
    /// The CRM of the sources that it can use.
    provider: String,
    /// One sentence for people.
    title: String,
    /// The rights that a credential needs, in the CRM's own words.
    required_rights: String,
    /// JSON Schema of `config_json`.
    #[schema(value_type = Object)]
    config_schema: Map<String, Value>,
    /// The CRM object that is updated unless another is named, or null.
    default_object: Option<String>,
}

fn duplicates_schema() -> schema::Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["skip", "first", "last"]))
        .default(Some(json!("skip")))
        .description(Some("Which of several golden records that claim one CRM record is written: none, the first, the last"))
        .build()
}

fn guards_schema() -> schema::Object {
    let builder = ObjectBuilder::new().description(Some(
        "The limits of a plan; past one of them it needs an override by that name",
    ));
    let limits = guards::NAMES.iter().fold(builder, |builder, name| {
        let limit = if *name == "max_changes" {
            ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0))
        } else {
            ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(100))
        };
        builder.property(*name, limit)
    });
    limits.build()
}

fn shown(row: DestinationRow) -> DestinationJson {
    let Destination {
        name,
        destination_type,
        entity_type,
        config_json,
        on_duplicate_id,
        guards,
        csv: _,
    } = row.destination;
    DestinationJson {
        id: row.destination_id,
        name,
        destination_type,
        entity_type,
        config_json,
        on_duplicate_id,
        guards,
        created_at: time_text(row.created_at),
        updated_at: time_text(row.updated_at),
    }
}

/// The destination of this id, or 404.
pub(super) async fn found(app: &App, org_id: &str, destination_id: &str) -> Answer<DestinationRow> {
    app.store
        .destination(org_id, destination_id)
        .await?
        .ok_or_else(|| Problem::missing("destination", destination_id))
}

/// Whether a destination could be changed, as an answer.
fn done(changed: Changed, destination_id: &str) -> Answer<()> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Missing => Err(Problem::missing("destination", destination_id)),
        Changed::Unfinished(run_id) => {
            let detail = format!(
                "the run {run_id} of this destination is running; wait until it has ended, or cancel it with POST /runs/{run_id}/cancel"
            );
            Err(Problem::conflict("run_under_way", detail))
        }
    }
}

/// The destination types that there are.
#[utoipa::path(get, path = "/destination-types", operation_id = "listDestinationTypes", tag = "destinations", params(Paging),
    responses((status = 200, description = "A page of them, by their names", body = List<DestinationTypeJson>)),
    extensions(("x-role" = json!("viewer"))))]
async fn types(
    State(app): State<Arc<App>>,
    Viewer(_member): Viewer,
    Query(paging): Query<Paging>,
) -> Answer<Json<List<DestinationTypeJson>>> {
    let (limit, after) = (paging.limit()?, paging.after()?);
    let all = app.component.descriptor().destinations.iter().filter(|served| *served.name > *after);
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|served| &served.name);
    let next = all.get(limit).and_then(|_| all.get(limit - 1)).map(|last| last.name.clone());
    let all = all.into_iter().take(limit).map(|served| {
        let schema = schema_of(served)?;
        let default = properties(&schema)
            .and_then(|properties| properties.get("object")?.get("default")?.as_str());
        Ok(DestinationTypeJson {
            name: served.name.clone(),
            provider: served.provider.clone(),
            title: served.description.clone(),
            required_rights: served.required_rights.clone(),
            default_object: default.map(str::to_owned),
            config_schema: match schema {
                Value::Object(schema) => schema,
                _ => Map::new(),
            },
        })
    });
    Ok(Json(List::new(all.collect::<Answer<_>>()?, next)))
}

/// The destinations of the org.
#[utoipa::path(get, path = "/destinations", operation_id = "listDestinations", tag = "destinations", params(Paging),
    responses((status = 200, description = "A page of them, in the order of their ids", body = List<DestinationJson>)),
    extensions(("x-role" = json!("viewer"))))]
async fn list(
    State(app): State<Arc<App>>,
    Viewer(member): Viewer,
    Query(paging): Query<Paging>,
) -> Answer<Json<List<DestinationJson>>> {
    let limit = paging.limit()?;
    let rows = app.store.destinations(&member.org_id, paging.after()?, limit as i64 + 1).await?;
    Ok(Json(List::page(rows, limit, |row| row.destination_id.clone(), |row| Ok(shown(row)))))
}

/// Makes a destination.
#[utoipa::path(post, path = "/destinations", operation_id = "createDestination", tag = "destinations", request_body = NewDestinationJson,
    responses((status = 201, description = "The destination", body = DestinationJson)),
    extensions(("x-role" = json!("admin"))))]
async fn create(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    JsonBody(body): JsonBody<Value>,
) -> Answer<(StatusCode, Json<DestinationJson>)> {
    let destination = read::<NewDestinationJson>(&body)?.destination();
    let source_id = judged(&app, &member.org_id, &destination).await?;
    let row = match app
        .store
        .add_destination(&member.org_id, &source_id, &destination, &member.who())
        .await
    {
        Ok(row) => row,
        Err(error) => {
            return Err(source_gone(&app, &member.org_id, &destination)
                .await
                .unwrap_or_else(|| error.into()));
        }
    };
    Ok((StatusCode::CREATED, Json(shown(row))))
}

/// What to say if a destination's source was removed while the destination was judged: the database
/// takes none without a source.
async fn source_gone(app: &App, org_id: &str, destination: &Destination) -> Option<Problem> {
    let served = app.component.destination_type(&destination.destination_type).ok()?;
    source_of(app, org_id, served, &destination.config_json).await.err()
}

/// One destination.
#[utoipa::path(get, path = "/destinations/{destination_id}", operation_id = "getDestination", tag = "destinations",
    params(("destination_id" = String, Path, description = "The destination")),
    responses((status = 200, description = "The destination", body = DestinationJson)),
    extensions(("x-role" = json!("viewer"))))]
async fn show(
    State(app): State<Arc<App>>,
    Viewer(member): Viewer,
    PathId(destination_id): PathId,
) -> Answer<Json<DestinationJson>> {
    Ok(Json(shown(found(&app, &member.org_id, &destination_id).await?)))
}

/// Changes a destination: the keys that are there are replaced, `config_json` as a whole.
#[utoipa::path(patch, path = "/destinations/{destination_id}", operation_id = "updateDestination", tag = "destinations",
    params(("destination_id" = String, Path, description = "The destination")), request_body = DestinationChangesJson,
    responses(
        (status = 200, description = "The destination as it is now", body = DestinationJson),
        (status = 409, description = "A run of it is running", body = ProblemJson, content_type = "application/problem+json")),
    extensions(("x-role" = json!("admin"))))]
async fn change(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    PathId(destination_id): PathId,
    JsonBody(body): JsonBody<Value>,
) -> Answer<Json<DestinationJson>> {
    let before = found(&app, &member.org_id, &destination_id).await?;
    let changes: DestinationChangesJson = read(&body)?;
    let changed = keys(&body);
    if changed.is_empty() {
        return Ok(Json(shown(before)));
    }
    let destination = changes.of(before.destination);
    let source_id = judged(&app, &member.org_id, &destination).await?;
    match app
        .store
        .change_destination(
            &member.org_id,
            &destination_id,
            &source_id,
            &destination,
            &changed,
            &member.who(),
        )
        .await
    {
        Ok(change) => done(change, &destination_id)?,
        Err(error) => {
            return Err(source_gone(&app, &member.org_id, &destination)
                .await
                .unwrap_or_else(|| error.into()));
        }
    }
    Ok(Json(shown(found(&app, &member.org_id, &destination_id).await?)))
}

/// Removes a destination. Its plans and runs can be looked up on.
#[utoipa::path(delete, path = "/destinations/{destination_id}", operation_id = "deleteDestination", tag = "destinations",
    params(("destination_id" = String, Path, description = "The destination")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 409, description = "A run of it is running", body = ProblemJson, content_type = "application/problem+json")),
    extensions(("x-role" = json!("admin"))))]
async fn remove(
    State(app): State<Arc<App>>,
    Admin(member): Admin,
    PathId(destination_id): PathId,
) -> Answer<StatusCode> {
    done(
        app.store.remove_destination(&member.org_id, &destination_id, &member.who()).await?,
        &destination_id,
    )?;
    Ok(StatusCode::NO_CONTENT)
}
