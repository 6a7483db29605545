//! What an answer means before anybody looks at its records: was anything applied, may it be
//! repeated, must the run stop? Pure policy over status and body. (crm-apis A7, A9, B5, B8)

use super::error::CrmError;
use super::network::{Answer, Request};
use super::rights::required_rights;
use crate::config::Config;
use crate::contract::changes::cap;
use crate::contract::types::{Error, ErrorKind};
use crate::provider::Provider;

/// What to do about an answer.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// 2xx.
    Accepted,
    /// The CRM refused the request; nothing was applied. Its body says why.
    Refused(CrmError),
    /// "Slow down": nothing was applied. Does not count as a failed attempt.
    Throttled(CrmError),
    /// Not now: nothing was applied. Repeat after so many milliseconds.
    NotNow(u64, CrmError),
    /// Nobody knows whether it was applied.
    Doubtful(CrmError),
    /// No request of this run will do better.
    Stop(Error),
}

/// Longest `Retry-After` that a run waits for.
const LONGEST_RETRY_AFTER: u64 = 60;

/// Judges an answer.
pub(crate) fn judge(config: &Config, request: &Request, answer: &Answer) -> Verdict {
    let status = answer.status;
    if (200..300).contains(&status) {
        return Verdict::Accepted;
    }
    let error = CrmError::of_body(config.provider, &answer.body);
    if status < 400 {
        let message = format!(
            "{} answered with a redirect (HTTP {status}), which is never followed; check the base URL of the source",
            config.provider.name()
        );
        return Verdict::Stop(Error::new(ErrorKind::Rejected, None, message));
    }
    if status == 401 {
        return Verdict::Stop(unauthorized(config, status, &error));
    }
    // No missing right: the CRM would say so in its own form. A batch is split, until the record
    // that is to blame stands alone.
    if matches!(status, 403 | 405) && error.foreign {
        return Verdict::Refused(error.blocked(config.provider, status, request.writes));
    }
    match config.provider {
        Provider::HubSpot => judge_hubspot(config, request, answer, error),
        Provider::Salesforce => judge_salesforce(config, request, answer, error),
    }
}

fn judge_hubspot(config: &Config, request: &Request, answer: &Answer, error: CrmError) -> Verdict {
    match answer.status {
        403 => Verdict::Stop(unauthorized(config, 403, &error)),
        429 if error.is("DAILY")
            || contains(&answer.body, "\"DAILY\"")
            || error.message.to_ascii_lowercase().contains("daily limit") =>
        {
            Verdict::Stop(exhausted(config, &error, "at midnight in the account's time zone"))
        }
        429 => Verdict::Throttled(error),
        423 => Verdict::NotNow(2_000, error),
        477 => match answer.retry_after {
            Some(seconds) if seconds <= LONGEST_RETRY_AFTER => {
                Verdict::NotNow(seconds * 1000, error)
            }
            later => {
                let when = later.map_or(String::new(), |seconds| {
                    format!(" in {} minutes at the earliest", seconds.div_ceil(60))
                });
                let message = format!(
                    "HubSpot is moving this account's data (HTTP 477): {}; try again{when}",
                    error.told()
                );
                Verdict::Stop(Error::new(ErrorKind::Unavailable, error.code, cap(&message, 2000)))
            }
        },
        // A batch route that is not there, as opposed to a record that is not: the path or the
        // object is wrong.
        404 | 405 | 410 | 415 if is_many(request) && !error.is("OBJECT_NOT_FOUND") => {
            Verdict::Stop(rejected(config, answer.status, error))
        }
        400 if error.message.starts_with("Unable to infer object type") => {
            Verdict::Stop(rejected(config, 400, error))
        }
        408 | 500.. => Verdict::Doubtful(error),
        420 | 425 => Verdict::NotNow(1_000, error),
        _ => Verdict::Refused(error),
    }
}

fn judge_salesforce(
    config: &Config,
    request: &Request,
    answer: &Answer,
    error: CrmError,
) -> Verdict {
    if error.is("UNABLE_TO_LOCK_ROW") {
        // 400 in some captures, 500 in others: the code decides.
        return Verdict::Refused(error);
    }
    match answer.status {
        403 | 429 | 503 if error.is("REQUEST_LIMIT_EXCEEDED") => {
            if is_daily(&error.message) {
                Verdict::Stop(exhausted(config, &error, "within the next 24 hours"))
            } else {
                Verdict::Throttled(error)
            }
        }
        403 if !is_many(request)
            && error
                .code
                .as_deref()
                .is_some_and(|code| code.starts_with("INSUFFICIENT_ACCESS")) =>
        {
            Verdict::Refused(error)
        }
        403 => Verdict::Stop(unauthorized(config, 403, &error)),
        429 => Verdict::Throttled(error),
        404 | 405 | 410 | 415 if is_many(request) => {
            Verdict::Stop(rejected(config, answer.status, error))
        }
        400 if is_many(request)
            && (error.is("INVALID_TYPE") || error.is("UNSUPPORTED_API_VERSION")) =>
        {
            Verdict::Stop(rejected(config, 400, error))
        }
        408 | 500.. => Verdict::Doubtful(error),
        420 | 425 => Verdict::NotNow(1_000, error),
        _ => Verdict::Refused(error),
    }
}

/// Whether a Salesforce limit is the one that lasts a day.
pub(crate) fn is_daily(message: &str) -> bool {
    message.contains("TotalRequests")
}

/// The request names its records in the body, so its path names a route and no record.
fn is_many(request: &Request) -> bool {
    request.path.ends_with("/batch/update")
        || request.path.ends_with("/batch/read")
        || request.path.contains("/composite/sobjects")
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}

fn unauthorized(config: &Config, status: u16, error: &CrmError) -> Error {
    let crm = config.provider.name();
    let source = &config.source_id;
    let mut message = if status == 401 {
        format!("{crm} refused the credential of source `{source}` (HTTP 401, {}). ", error.told())
    } else {
        format!("the credential of source `{source}` lacks a right (HTTP 403, {}). ", error.told())
    };
    if !error.scopes.is_empty() {
        message.push_str(&format!("Missing: {}. ", error.scopes.join(", ")));
    }
    message.push_str(&format!("It needs {}. ", required_rights(config.provider)));
    message.push_str(match (config.provider, status) {
        (Provider::HubSpot, 401) => {
            "Make or renew it in HubSpot under Settings > Integrations (service key, private app or connected app)"
        }
        (Provider::HubSpot, _) => {
            "Add it in HubSpot under Settings > Integrations (the scopes of the service key, private app or connected app)"
        }
        (Provider::Salesforce, 401) => {
            "Connect the source to Salesforce again, or renew its session in Setup > Connected Apps / External Client Apps"
        }
        (Provider::Salesforce, _) => {
            "Grant it in Salesforce under Setup > Users (profile and permission sets) and in the app's OAuth scopes"
        }
    });
    if let Some(link) = &error.link {
        message.push_str(&format!(" ({link})"));
    }
    if status == 401 {
        message.push_str(", and store it in the source");
    }
    let missing_scopes = error.scopes.clone();
    Error {
        missing_scopes,
        ..Error::new(ErrorKind::Unauthorized, error.code.clone(), cap(&message, 2000))
    }
}

/// A limit that no waiting within the run cures.
pub(crate) fn exhausted(config: &Config, error: &CrmError, reset: &str) -> Error {
    let message = format!(
        "{}'s daily limit of API calls is used up ({}). Nothing of the last request was applied. It is reset {reset}; try again then",
        config.provider.name(),
        error.told()
    );
    Error::new(ErrorKind::RateLimited, error.code.clone(), cap(&message, 2000))
}

fn rejected(config: &Config, status: u16, error: CrmError) -> Error {
    let crm = config.provider.name();
    let (key, _) = crate::config::api_key(config.provider);
    let message = format!(
        "{crm} refused the request as such (HTTP {status}, {}). Check `object` (`{}`) and `{key}` (`{}`) of the destination",
        error.told(),
        config.object,
        config.api
    );
    Error::new(ErrorKind::Rejected, error.code, cap(&message, 2000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    fn judged(
        provider: &str,
        path: &str,
        status: u16,
        retry_after: Option<u64>,
        body: &str,
    ) -> (String, String) {
        let config = parse(provider, r#"{"provider_id_field":"x","source_id":"src_1"}"#).unwrap();
        let request = Request {
            writes: true,
            method: "POST",
            path: path.to_owned(),
            headers: vec![],
            body: String::new(),
            media: Default::default(),
        };
        match judge(
            &config,
            &request,
            &Answer { status, retry_after, body: body.as_bytes().to_vec() },
        ) {
            Verdict::Accepted => ("accepted".to_owned(), String::new()),
            Verdict::Refused(error) => ("refused".to_owned(), error.told()),
            Verdict::Throttled(error) => ("throttled".to_owned(), error.told()),
            Verdict::NotNow(pause, _) => (format!("not now {pause}"), String::new()),
            Verdict::Doubtful(error) => ("doubtful".to_owned(), error.told()),
            Verdict::Stop(error) => (format!("{:?}", error.kind), error.message),
        }
    }

    #[test]
    fn hubspots_answers() {
        let many = "/crm/v3/objects/contacts/batch/update";
        let one = "/crm/v3/objects/contacts/1";
        for (path, status, retry_after, body, expected, tells) in [
            (many, 200, None, "", "accepted", ""),
            (many, 207, None, "", "accepted", ""),
            (
                many,
                400,
                None,
                r#"{"message":"m","category":"VALIDATION_ERROR"}"#,
                "refused",
                "VALIDATION_ERROR: m",
            ),
            (
                many,
                400,
                None,
                r#"{"message":"Unable to infer object type from: butterflies"}"#,
                "ErrorKind::Rejected",
                "butterflies",
            ),
            (many, 409, None, r#"{"category":"CONFLICT","message":"taken"}"#, "refused", "taken"),
            (many, 413, None, "", "refused", ""),
            (
                many,
                401,
                None,
                r#"{"category":"EXPIRED_AUTHENTICATION","message":"expired"}"#,
                "ErrorKind::Unauthorized",
                "src_1",
            ),
            (
                many,
                403,
                None,
                "<html><h1>Request blocked</h1></html>",
                "refused",
                "`Request blocked` is not an answer of HubSpot's",
            ),
            (
                one,
                403,
                None,
                "<html><h1>Request blocked</h1></html>",
                "refused",
                "a value of this record",
            ),
            (many, 403, None, "", "refused", "HTTP 403 without a word"),
            (many, 403, None, r#"{"message":"Forbidden"}"#, "refused", "blocked: "),
            (many, 405, None, "<html>Not allowed</html>", "refused", "HTTP 405"),
            (
                many,
                405,
                None,
                r#"{"status":"error","message":"HTTP 405 Method Not Allowed","correlationId":"x"}"#,
                "ErrorKind::Rejected",
                "objects_path",
            ),
            (
                many,
                403,
                None,
                r#"{"category":"MISSING_SCOPES","message":"no","context":{"requiredGranularScopes":["crm.objects.contacts.write"]}}"#,
                "ErrorKind::Unauthorized",
                "Missing: crm.objects.contacts.write",
            ),
            (many, 404, None, "<html>Not found</html>", "ErrorKind::Rejected", "objects_path"),
            (
                one,
                404,
                None,
                r#"{"message":"resource not found"}"#,
                "refused",
                "resource not found",
            ),
            (many, 423, None, "", "not now 2000", ""),
            (
                many,
                429,
                None,
                r#"{"message":"You have reached your ten_secondly_rolling limit.","policyName":"TEN_SECONDLY_ROLLING"}"#,
                "throttled",
                "TEN_SECONDLY",
            ),
            (
                many,
                429,
                None,
                r#"{"message":"You have reached your daily limit.","policyName":"DAILY"}"#,
                "ErrorKind::RateLimited",
                "midnight",
            ),
            (
                many,
                429,
                None,
                r#"{"message":"You have reached your daily limit."}"#,
                "ErrorKind::RateLimited",
                "try again then",
            ),
            (many, 429, None, "", "throttled", ""),
            (many, 477, Some(60), "", "not now 60000", ""),
            (many, 477, Some(61), "", "ErrorKind::Unavailable", "2 minutes"),
            (many, 477, None, "", "ErrorKind::Unavailable", "moving"),
            (many, 500, None, "", "doubtful", ""),
            (many, 502, None, "<h1>Bad Gateway</h1>", "doubtful", "Bad Gateway"),
            (many, 524, None, "", "doubtful", ""),
            (many, 301, None, "", "ErrorKind::Rejected", "redirect"),
        ] {
            let (found, told) = judged("hubspot_dest", path, status, retry_after, body);
            assert_eq!(found, expected, "{status} {body}");
            assert!(told.contains(tells), "{status} {body}: {told}");
        }
    }

    #[test]
    fn salesforces_answers() {
        let many = "/services/data/v67.0/composite/sobjects";
        let one = "/services/data/v67.0/sobjects/Contact/1";
        for (path, status, body, expected, tells) in [
            (one, 204, "", "accepted", ""),
            (many, 400, r#"[{"errorCode":"JSON_PARSER_ERROR","message":"m"}]"#, "refused", "m"),
            (
                many,
                401,
                r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#,
                "ErrorKind::Unauthorized",
                "Session expired",
            ),
            (
                many,
                403,
                r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#,
                "ErrorKind::RateLimited",
                "24 hours",
            ),
            (
                many,
                403,
                r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"ConcurrentRequests (Concurrent API Requests) Limit exceeded."}]"#,
                "throttled",
                "",
            ),
            (
                many,
                403,
                r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"a new wording"}]"#,
                "throttled",
                "",
            ),
            (
                many,
                403,
                r#"[{"errorCode":"API_DISABLED_FOR_ORG","message":"no API"}]"#,
                "ErrorKind::Unauthorized",
                "no API",
            ),
            (
                many,
                403,
                "<html><h1>Request blocked</h1></html>",
                "refused",
                "`Request blocked` is not an answer of Salesforce's",
            ),
            (one, 403, "<html><h1>Request blocked</h1></html>", "refused", "a firewall, a proxy"),
            (many, 403, r#"{"message":"Forbidden"}"#, "refused", "blocked: "),
            (many, 405, "<html>Not allowed</html>", "refused", "HTTP 405"),
            (
                many,
                405,
                r#"[{"errorCode":"METHOD_NOT_ALLOWED","message":"no"}]"#,
                "ErrorKind::Rejected",
                "api_version",
            ),
            (
                one,
                403,
                r#"[{"errorCode":"INSUFFICIENT_ACCESS_OR_READONLY","message":"no"}]"#,
                "refused",
                "no",
            ),
            (
                many,
                404,
                r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#,
                "ErrorKind::Rejected",
                "api_version",
            ),
            (
                one,
                404,
                r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#,
                "refused",
                "NOT_FOUND",
            ),
            (
                one,
                400,
                r#"[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"locked"}]"#,
                "refused",
                "locked",
            ),
            (
                one,
                500,
                r#"[{"errorCode":"UNABLE_TO_LOCK_ROW","message":"locked"}]"#,
                "refused",
                "locked",
            ),
            (many, 500, r#"[{"errorCode":"UNKNOWN_EXCEPTION","message":"?"}]"#, "doubtful", ""),
            (many, 503, r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"?"}]"#, "doubtful", ""),
            (many, 410, "gone", "ErrorKind::Rejected", "v67.0"),
        ] {
            let (found, told) = judged("salesforce_dest", path, status, None, body);
            assert_eq!(found, expected, "{status} {body}");
            assert!(told.contains(tells), "{status} {body}: {told}");
        }
    }
}
