//! Which account a token opens. HubSpot's reference, "Account information API", `GET
//! /account-info/v3/details` (developers.hubspot.com/docs/api-reference, account-account-info-v3):
//! every member but `portalName` and `createdAt` is required, `portalId` is an integer, and the
//! only scope is `oauth`, which every token has.

use crate::{World, message::Answer};
use serde_json::json;

pub(super) fn details(portal_id: u64) -> Answer {
    let body = json!({
        "portalId": portal_id, "accountType": "STANDARD", "timeZone": "US/Eastern", "companyCurrency": "USD", "additionalCurrencies": [],
        "utcOffset": "-05:00", "utcOffsetMilliseconds": -18_000_000, "uiDomain": "app.hubspot.com", "dataHostingLocation": "na1",
    });
    Answer::json(200, &body)
}

/// Such as `/account-info/v3/details`, or with a date for its version.
pub(super) fn is_asked(path: &str) -> bool {
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    matches!(segments.as_slice(), ["account-info", version, "details"] if *version == "v3" || super::is_dated(version))
}

/// By a switch the app has no right to ask.
pub(super) fn is_forbidden(world: &World) -> bool {
    world.config.switches.account_is_forbidden
}
