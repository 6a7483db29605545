//! Whose session it is. Connect REST API Developer Guide, "Organization" (`GET
//! /services/data/vXX.X/connect/organization`, since 24.0) and its response body "Organization":
//! `accessTimeout`, `features`, `name`, `orgId` (18 characters) and `userSettings`.
//!
//! A resource of the REST API like any other: a dead session is 401 with a list, and it counts as a
//! call. 403 for "the request has been refused" is in the guide's table of status codes; with which
//! code is not among the facts.

use super::errors;
use crate::{
    World,
    message::{Answer, Request},
};
use serde_json::json;

pub(super) fn answer(world: &World, request: &Request) -> Answer {
    if world.config.switches.account_is_forbidden {
        return errors::one(403, "INSUFFICIENT_ACCESS", "You don't have access to this resource");
    }
    let token = request.bearer().and_then(|bearer| world.token(bearer));
    let organization = token.map_or("", |(token, _)| token.organization_id.as_str());
    let features = json!({
        "activityReminderNotificationsEnabled": true, "chatter": true, "chatterActivity": true, "chatterAnswers": false, "chatterGlobalInfluence": false,
        "chatterGroupRecordSharing": true, "chatterGroupRecords": true, "chatterMessages": true, "chatterTopics": true, "communitiesEnabled": false,
        "communityModeration": false, "communityReputation": false, "dashboardComponentSnapshots": true, "defaultCurrencyIsoCode": "USD",
        "feedPolls": true, "files": true, "filesOnComments": true, "groupsCanFollow": false, "ideas": false, "maxEntitySubscriptionsPerStream": 25,
        "maxFilesPerFeedItem": 10, "maxStreamsPerPerson": 5, "mobileNotificationsEnabled": true, "multiCurrency": false, "offlineEditEnabled": false,
        "publisherActions": true, "storeDataOnDevicesEnabled": true, "thanksAllowed": false, "trendingTopics": false, "viralInvitesAllowed": true,
        "wave": false,
    });
    let settings = json!({
        "approvalPosts": true, "canAccessPersonalStreams": true, "canFollow": true, "canModifyAllData": false, "canOwnGroups": true,
        "canViewAllData": false, "canViewAllGroups": false, "canViewAllUsers": true, "canViewCommunitySwitcher": false, "canViewFullUserProfile": true,
        "canViewPublicFiles": true, "currencySymbol": "$", "externalUser": false, "hasAccessToInternalOrg": true, "hasChatter": true,
        "hasFileSync": false, "hasRestDataApiAccess": true, "timeZone": {"gmtOffset": -8.0, "name": "America/Los_Angeles"}, "userDefaultCurrencyIsoCode": null,
        "userId": super::record_id("005", 0), "userLocale": "en_US",
    });
    let body = json!({
        "accessTimeout": null, "features": features, "maintenanceInfo": [], "name": "Acme", "orgId": organization, "userSettings": settings,
    });
    Answer::json(200, &body)
}
