//! Whom a session belongs to. Salesforce Help, "Query for User Information": `/services/oauth2/userinfo` on the org's own host,
//! by `GET` or `POST`, answers with what OpenID Connect calls a profile and with `organization_id`, the org's id in 18 characters.
//!
//! It is not a resource of the REST API: a token that is missing or has ended is 403 with one word as its body, where the REST API answers 401
//! with a list. Whether a session with the scope `api` alone may ask is not among the facts; it may, unless a switch says otherwise.

use crate::{
    World,
    faults::Fault,
    message::{Answer, Incoming},
};
use serde_json::json;

pub(super) fn answer(world: &World, request: &Incoming, fault: Option<&Fault>) -> Answer {
    let refused = |word: &str| Answer::text(403, "text/html;charset=UTF-8", word.to_owned());
    let Some(bearer) = request.bearer() else { return refused("Missing_OAuth_Token") };
    let organization = match world.token(bearer) {
        Some((token, false)) if fault != Some(&Fault::ExpiredToken) && !world.config.switches.account_is_forbidden => {
            &token.organization_id
        }
        _ => return refused("Bad_OAuth_Token"),
    };
    let host = format!("http://{}", request.header("host").unwrap_or_default());
    let (user, username) = (super::record_id("005", 0), &world.config.salesforce_user);
    let urls = json!({
        "enterprise": format!("{host}/services/Soap/c/{{version}}/{organization}"), "metadata": format!("{host}/services/Soap/m/{{version}}/{organization}"),
        "partner": format!("{host}/services/Soap/u/{{version}}/{organization}"), "rest": format!("{host}/services/data/v{{version}}/"),
        "sobjects": format!("{host}/services/data/v{{version}}/sobjects/"), "search": format!("{host}/services/data/v{{version}}/search/"),
        "query": format!("{host}/services/data/v{{version}}/query/"), "recent": format!("{host}/services/data/v{{version}}/recent/"),
        "tooling_soap": format!("{host}/services/Soap/T/{{version}}/{organization}"), "tooling_rest": format!("{host}/services/data/v{{version}}/tooling/"),
        "profile": format!("{host}/{user}"), "feeds": format!("{host}/services/data/v{{version}}/chatter/feeds"),
        "groups": format!("{host}/services/data/v{{version}}/chatter/groups"), "users": format!("{host}/services/data/v{{version}}/chatter/users"),
        "feed_items": format!("{host}/services/data/v{{version}}/chatter/feed-items"),
        "feed_elements": format!("{host}/services/data/v{{version}}/chatter/feed-elements"), "custom_domain": host,
    });
    let body = json!({
        "sub": format!("https://login.salesforce.com/id/{organization}/{user}"), "user_id": user, "organization_id": organization,
        "preferred_username": username, "nickname": "integration", "name": "Integration User", "email": username, "email_verified": true,
        "given_name": "Integration", "family_name": "User", "zoneinfo": "America/Los_Angeles",
        "photos": {"picture": format!("{host}/profilephoto/005/F"), "thumbnail": format!("{host}/profilephoto/005/T")},
        "profile": format!("{host}/{user}"), "picture": format!("{host}/profilephoto/005/F"), "address": {"country": "US"},
        "is_salesforce_integration_user": false, "urls": urls, "active": true, "user_type": "STANDARD", "language": "en_US", "locale": "en_US",
        "utcOffset": -28_800_000, "updated_at": "2026-10-02T08:15:30Z", "is_app_installed": true,
    });
    Answer::json(200, &body)
}
