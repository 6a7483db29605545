//! A CRM's error body, read leniently: every member may be absent or of another type, and the body
//! may be HTML.

use crate::contract::changes::Failure;
use crate::provider::Provider;
use serde_json::Value;

/// What the CRM says went wrong with a request or a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CrmError {
    /// HubSpot's `category`, `policyName` or first item's code; Salesforce's first `errorCode`.
    pub(crate) code: Option<String>,
    pub(crate) message: String,
    pub(crate) items: Vec<Item>,
    /// HubSpot's ids that an item of a 207 speaks of.
    pub(crate) ids: Vec<String>,
    /// HubSpot's scopes that the credential lacks.
    pub(crate) scopes: Vec<String>,
    /// HubSpot's page about them.
    pub(crate) link: Option<String>,
    /// The body has not the CRM's form: something in between may have answered.
    pub(crate) foreign: bool,
}

/// The code of an answer that came from something between the host and the CRM.
const BLOCKED: &str = "blocked";

/// One finding about a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) properties: Vec<String>,
}

impl CrmError {
    /// Reads the body of an answer that is not 2xx.
    pub(crate) fn of_body(provider: Provider, body: &[u8]) -> CrmError {
        match (serde_json::from_slice::<Value>(body), provider) {
            (Ok(value), Provider::HubSpot) => {
                CrmError { foreign: !is_hubspots(&value), ..CrmError::hubspot(&value) }
            }
            (Ok(value), Provider::Salesforce) => {
                CrmError { foreign: !is_salesforces(&value), ..CrmError::salesforce(&value) }
            }
            (Err(_), _) => {
                CrmError { message: plain_text(body), foreign: true, ..CrmError::default() }
            }
        }
    }

    /// The answer was given by something between the host and the CRM, such as a firewall. It says
    /// nothing about rights, but may be about what was sent.
    pub(crate) fn blocked(self, provider: Provider, status: u16, writes: bool) -> CrmError {
        let crm = provider.name();
        let seen = if self.message.is_empty() {
            "without a word".to_owned()
        } else {
            format!("with `{}`", self.message)
        };
        let what = if writes { "a value of this record" } else { "this request" };
        let advice = if writes { "change the value, or have" } else { "have" };
        let message = format!(
            "HTTP {status} {seen} is not an answer of {crm}'s, so something between this host and {crm} gave it (a firewall, a proxy), which may take {what} for an attack: {advice} it let requests to {crm} through"
        );
        CrmError { code: Some(BLOCKED.to_owned()), message, foreign: true, ..CrmError::default() }
    }

    pub(crate) fn is_blocked(&self) -> bool {
        self.foreign && self.is(BLOCKED)
    }

    /// HubSpot's error object, of a whole answer or of one group in a 207.
    pub(crate) fn hubspot(value: &Value) -> CrmError {
        let message = text(value, "message");
        let mut items: Vec<Item> = list(value, "errors").iter().map(hubspot_item).collect();
        if items.is_empty() {
            items = items_in_message(&message);
        }
        let category = some_text(value, "category")
            .or_else(|| some_text(value, "policyName"))
            .or_else(|| some_text(value, "errorType"));
        let contexts = || {
            std::iter::once(value)
                .chain(list(value, "errors"))
                .filter_map(|part| part.get("context"))
        };
        let gather = |key: &str| {
            contexts().flat_map(|context| strings(context.get(key))).collect::<Vec<_>>()
        };
        let mut ids = gather("ids");
        ids.extend(gather("id"));
        let link = |part: &Value| part.get("links").and_then(|links| some_text(links, "scopes"));
        CrmError {
            code: items
                .iter()
                .map(|item| item.code.clone())
                .find(|code| !code.is_empty())
                .or(category),
            message: match items.first() {
                Some(item) if !item.message.is_empty() => item.message.clone(),
                _ => message,
            },
            items,
            ids,
            scopes: gather("requiredGranularScopes"),
            link: link(value).or_else(|| value.get("context").and_then(link)),
            foreign: false,
        }
    }

    /// Salesforce's list of errors: `errorCode` on a whole answer, `statusCode` on a record of a
    /// collection.
    pub(crate) fn salesforce(value: &Value) -> CrmError {
        let one = std::slice::from_ref(value);
        let items: Vec<Item> = value
            .as_array()
            .map_or(one, Vec::as_slice)
            .iter()
            .map(|error| Item {
                code: some_text(error, "errorCode")
                    .or_else(|| some_text(error, "statusCode"))
                    .or_else(|| some_text(error, "error"))
                    .unwrap_or_default(),
                message: some_text(error, "message")
                    .or_else(|| some_text(error, "error_description"))
                    .unwrap_or_default(),
                properties: strings(error.get("fields")),
            })
            .collect();
        let messages: Vec<&str> = items
            .iter()
            .map(|item| item.message.as_str())
            .filter(|message| !message.is_empty())
            .collect();
        CrmError {
            code: items.iter().map(|item| item.code.clone()).find(|code| !code.is_empty()),
            message: messages.join("; "),
            items,
            ..CrmError::default()
        }
    }

    pub(crate) fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// As the reason why a record failed.
    pub(crate) fn failure(&self, status: u16) -> Failure {
        let code = match (&self.code, status) {
            (Some(code), _) => code.clone(),
            (None, 404) => "not_found".to_owned(),
            (None, status) => format!("http_{status}"),
        };
        let message = if self.message.is_empty() {
            format!("the CRM answered with HTTP {status} and no message")
        } else {
            self.message.clone()
        };
        Failure { http_status: Some(status), code, message }
    }

    /// For people, in one line: code and message.
    pub(crate) fn told(&self) -> String {
        let message = if self.message.is_empty() { "no message" } else { &self.message };
        match &self.code {
            Some(code) => format!("{code}: {message}"),
            None => message.to_owned(),
        }
    }
}

/// Errors have a message, and beside it what no gateway thinks of (crm-apis A7).
fn is_hubspots(value: &Value) -> bool {
    let beside = ["category", "correlationId", "errorType", "policyName", "errors", "context"];
    value.get("message").is_some_and(Value::is_string)
        && (value.get("status").and_then(Value::as_str) == Some("error")
            || beside.iter().any(|key| value.get(key).is_some()))
}

/// A list of errors with codes; where tokens are concerned, an object (crm-apis B5, B10).
fn is_salesforces(value: &Value) -> bool {
    let has_code = |error: &Value| some_text(error, "errorCode").is_some();
    match value {
        Value::Array(errors) => errors.iter().any(has_code),
        object => {
            has_code(object)
                || (some_text(object, "error").is_some()
                    && some_text(object, "error_description").is_some())
        }
    }
}

fn hubspot_item(error: &Value) -> Item {
    Item {
        code: some_text(error, "code").or_else(|| some_text(error, "error")).unwrap_or_default(),
        message: text(error, "message"),
        properties: error
            .get("context")
            .map(|context| strings(context.get("propertyName")))
            .unwrap_or_default(),
    }
}

/// Some answers carry the items only inside the message: `Property values were not valid: [{…}]`.
fn items_in_message(message: &str) -> Vec<Item> {
    let Some(Ok(Value::Array(found))) =
        message.find("[{").map(|at| serde_json::from_str(&message[at..]))
    else {
        return Vec::new();
    };
    found
        .iter()
        .map(|item| Item {
            code: text(item, "error"),
            message: text(item, "message"),
            properties: some_text(item, "name").into_iter().collect(),
        })
        .filter(|item| !item.code.is_empty())
        .collect()
}

fn some_text(value: &Value, key: &str) -> Option<String> {
    value.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn text(value: &Value, key: &str) -> String {
    some_text(value, key).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A list of texts, or one text.
fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(items)) => {
            items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
        }
        Some(Value::String(text)) => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// The words of a page that a gateway or a login form answered with, without its tags.
fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..4096).unwrap_or(body));
    let mut words = String::new();
    let mut in_tag = false;
    for c in text.chars() {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                words.push(' ');
            }
            c if !in_tag => words.push(if c.is_control() { ' ' } else { c }),
            _ => {}
        }
    }
    let words: Vec<&str> = words.split_whitespace().take(40).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hubspot(body: &str) -> CrmError {
        CrmError::of_body(Provider::HubSpot, body.as_bytes())
    }

    #[test]
    fn hubspots_items_come_from_the_list_or_from_the_message() {
        let listed = hubspot(
            r#"{"status":"error","category":"VALIDATION_ERROR","message":"Property values were not valid: [..]","errors":[{"message":"no","code":"PROPERTY_DOESNT_EXIST","context":{"propertyName":["jobtitel"]}}]}"#,
        );
        let embedded = hubspot(
            r#"{"category":"VALIDATION_ERROR","message":"Property values were not valid: [{\"isValid\":false,\"message\":\"no\",\"error\":\"PROPERTY_DOESNT_EXIST\",\"name\":\"jobtitel\"}]"}"#,
        );
        for error in [listed, embedded] {
            assert!(error.is("PROPERTY_DOESNT_EXIST"), "{error:?}");
            assert_eq!(error.message, "no");
            assert_eq!(error.items[0].properties, ["jobtitel"]);
        }
    }

    #[test]
    fn missing_scopes_come_in_two_shapes() {
        let new = hubspot(
            r#"{"category":"MISSING_SCOPES","message":"This app","errors":[{"message":"One or more","context":{"requiredGranularScopes":["crm.objects.contacts.write"]}}],"links":{"scopes":"https://x"}}"#,
        );
        let old = hubspot(
            r#"{"category":"MISSING_SCOPES","message":"This app","context":{"requiredGranularScopes":["crm.objects.contacts.write"],"links":{"scopes":"https://x"}}}"#,
        );
        for error in [new, old] {
            assert_eq!(error.scopes, ["crm.objects.contacts.write"]);
            assert_eq!(error.link.as_deref(), Some("https://x"));
            assert!(error.is("MISSING_SCOPES"));
        }
    }

    #[test]
    fn salesforce_speaks_in_lists_and_sometimes_in_objects() {
        let rows = CrmError::of_body(
            Provider::Salesforce,
            br#"[{"message":"a","errorCode":"X"},{"message":"b","errorCode":"Y","fields":["F"]}]"#,
        );
        assert_eq!((rows.code.as_deref(), rows.message.as_str()), (Some("X"), "a; b"));
        let oauth = CrmError::of_body(
            Provider::Salesforce,
            br#"{"error":"invalid_grant","error_description":"expired"}"#,
        );
        assert_eq!(
            (oauth.code.as_deref(), oauth.message.as_str()),
            (Some("invalid_grant"), "expired")
        );
    }

    #[test]
    fn what_has_not_the_crms_form_is_foreign() {
        let page = "<html><body><h1>Request blocked</h1></body></html>";
        for (provider, body, foreign) in [
            (Provider::HubSpot, r#"{"category":"MISSING_SCOPES","message":"no"}"#, false),
            (Provider::HubSpot, r#"{"status":"error","message":"no","correlationId":"x"}"#, false),
            (Provider::HubSpot, r#"{"message":"Forbidden"}"#, true),
            (Provider::HubSpot, r#"{"status":403,"message":"Forbidden"}"#, true),
            (Provider::HubSpot, r#"[{"errorCode":"X","message":"no"}]"#, true),
            (Provider::HubSpot, r#"{"category":"MISSING_SCOPES"}"#, true),
            (
                Provider::Salesforce,
                r#"[{"errorCode":"API_DISABLED_FOR_ORG","message":"no"}]"#,
                false,
            ),
            (
                Provider::Salesforce,
                r#"{"error":"invalid_grant","error_description":"expired"}"#,
                false,
            ),
            (Provider::Salesforce, r#"{"error":"Forbidden"}"#, true),
            (Provider::Salesforce, r#"{"message":"Forbidden"}"#, true),
            (Provider::Salesforce, "[]", true),
            (Provider::Salesforce, "[17]", true),
        ] {
            assert_eq!(CrmError::of_body(provider, body.as_bytes()).foreign, foreign, "{body}");
        }
        for provider in Provider::ALL {
            for body in [page, "", "null", "17", "{", "Forbidden"] {
                assert!(CrmError::of_body(provider, body.as_bytes()).foreign, "{body}");
            }
        }
    }

    #[test]
    fn hostile_bodies_are_survived() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            "null",
            "17",
            "[]",
            "[null,1]",
            "{}",
            r#"{"errors":7,"message":[],"context":"x"}"#,
            r#"{"message":"[{"}"#,
            &deep,
        ] {
            for provider in Provider::ALL {
                let failure = CrmError::of_body(provider, body.as_bytes()).failure(400);
                assert_eq!(failure.http_status, Some(400));
                assert!(!failure.message.is_empty() && !failure.code.is_empty());
            }
        }
        let page = CrmError::of_body(
            Provider::HubSpot,
            b"<html><body><h1>502 Bad Gateway</h1>\n</body></html>",
        );
        assert_eq!(page.message, "502 Bad Gateway");
    }
}
