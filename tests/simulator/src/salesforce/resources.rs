//! What there is: versions, resources of a version, and all objects.
//!
//! REST API Developer Guide, "Versions", "Resources by Version", "Describe Global" and "sObject
//! Basic Information"; the members are those that jsforce 3.10 declares (`DescribeGlobalResult`).

use super::errors;
use crate::{World, message::Answer};
use serde_json::{Map, Value, json};

pub(super) fn versions() -> Answer {
    Answer::json(
        200,
        &json!([{"label": "Summer '26", "url": "/services/data/v67.0", "version": "67.0"}]),
    )
}

/// Those of a real org are many more.
pub(super) fn of_version(version: &str) -> Answer {
    let names = ["sobjects", "query", "queryAll", "limits", "composite", "jobs", "connect"];
    let resources: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!(format!("/services/data/{version}/{name}"))))
        .collect();
    Answer::json(200, &Value::Object(resources))
}

pub(super) fn describe_global(world: &World, version: &str) -> Answer {
    let names: Vec<Value> =
        world.salesforce.objects.keys().map(|name| summary(world, version, name)).collect();
    Answer::json(200, &json!({"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": names}))
}

pub(super) fn basic_information(world: &World, version: &str, object: &str) -> Answer {
    if !world.salesforce.objects.contains_key(object) {
        return errors::one(404, "NOT_FOUND", "The requested resource does not exist");
    }
    Answer::json(
        200,
        &json!({"objectDescribe": summary(world, version, object), "recentItems": []}),
    )
}

fn summary(world: &World, version: &str, name: &str) -> Value {
    let prefix = world.salesforce.objects.get(name).map_or("", |object| object.prefix.as_str());
    let url = format!("/services/data/{version}/sobjects/{name}");
    json!({
        "activateable": false, "createable": true, "custom": false, "customSetting": false, "deletable": true, "deprecatedAndHidden": false,
        "feedEnabled": true, "hasSubtypes": false, "isSubtype": false, "keyPrefix": prefix, "label": name, "labelPlural": format!("{name}s"),
        "layoutable": true, "mergeable": super::schema::is_mergeable(name), "mruEnabled": true, "name": name, "queryable": true,
        "replicateable": true, "retrieveable": true, "searchable": true, "triggerable": true, "undeletable": true, "updateable": true,
        "urls": {"sobject": url, "describe": format!("{url}/describe"), "rowTemplate": format!("{url}/{{ID}}")},
    })
}
