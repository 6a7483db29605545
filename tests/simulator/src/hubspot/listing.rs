//! `GET /crm/v3/objects/{object}`: all records, page by page.
//!
//! HubSpot's OpenAPI document of the objects API (v3; `limit` is 10 if left out, a page has
//! `paging.next.after` and `.link`), the guide "Using object APIs" (100 records a page, 50 with
//! history), and recorded pages (amp-labs/connectors): by id, `paging` left out at the end.

use super::{errors, objects::shown};
use crate::{
    World,
    message::{Answer, Request},
};
use serde_json::{Value, json};

const DEFAULT_PAGE: usize = 10;
const MAX_PAGE: usize = 100;
/// With property history.
const MAX_HISTORY_PAGE: usize = 50;

pub(super) fn list(world: &World, object: &str, request: &Request) -> Answer {
    let history = request.query_list("propertiesWithHistory");
    let most = if history.is_empty() { MAX_PAGE } else { MAX_HISTORY_PAGE };
    let limit = match request.query("limit").map(|text| text.parse::<usize>()) {
        None => DEFAULT_PAGE,
        Some(Ok(limit)) if (1..=most).contains(&limit) => limit,
        // That it is refused is documented, not the text.
        Some(_) => {
            return errors::whole(
                400,
                &format!("limit must be between 1 and {most}"),
                Some("VALIDATION_ERROR"),
            );
        }
    };
    // A token that nobody but HubSpot can make; what another one does is not known.
    let Ok(after) = request.query("after").map_or(Ok(0), |text| text.parse::<u64>()) else {
        return errors::whole(400, "after is not a token of this list", Some("VALIDATION_ERROR"));
    };
    let archived = request.query("archived").as_deref() == Some("true");
    let records = &world.hubspot.objects[object].records;
    let mut ids: Vec<u64> = records
        .iter()
        .filter(|(_, record)| record.archived == archived)
        .filter_map(|(id, _)| id.parse().ok())
        .collect();
    ids.retain(|id| *id >= after);
    ids.sort_unstable();
    let wanted = shown(world, object, &request.query_list("properties"), &history);
    let page = ids.iter().take(limit).map(ToString::to_string);
    let results: Vec<Value> =
        page.filter_map(|id| Some(records.get(&id)?.json(&id, &wanted, &history))).collect();
    let mut body = json!({"results": results});
    if ids.len() > limit {
        let next = (ids[limit - 1] + 1).to_string();
        body["paging"] = json!({"next": {"after": next, "link": link(request, &next)}});
    }
    Answer::json(200, &body)
}

/// The same request for what comes after.
fn link(request: &Request, after: &str) -> String {
    let query = request.target.split_once('?').map_or("", |(_, query)| query);
    let kept = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("after="))
        .map(str::to_owned);
    let query: Vec<String> = kept.chain([format!("after={after}")]).collect();
    format!(
        "http://{}{}?{}",
        request.header("host").unwrap_or_default(),
        request.path(),
        query.join("&")
    )
}
