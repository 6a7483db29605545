//! Faults: what goes wrong between a client and a CRM, each on the requests that a rule picks.

use crate::message::{Answer, Request};
use serde::{Deserialize, Serialize};

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The answer comes this many milliseconds later; the request is applied at once.
    Latency(u64),
    /// HubSpot's 429 for its window (crm-apis A9), or Salesforce's 403 for too many at once (B5).
    Throttle,
    /// HubSpot's daily 429, or Salesforce's 403 for its day.
    DailyLimit,
    /// This status with a JSON body; nothing is applied.
    Status(u16),
    /// This status with a JSON body, after the request was applied.
    StatusAfter(u16),
    /// This status with an HTML body (A7, B5); nothing is applied.
    Html(u16),
    /// 477 with `Retry-After` in seconds (A7).
    Migration(u32),
    /// The connection is cut before the request is applied.
    DropBefore,
    /// The request is applied, then the connection is cut: the answer is lost (C14).
    DropAfter,
    /// Applied; the answer's body ends in the middle.
    Truncate,
    /// Applied; the answer's body is this text instead.
    WrongBody(String),
    /// Applied; the answer's body begins and never ends.
    NeverEnding,
    /// The token counts as expired.
    ExpiredToken,
}

/// A fault, and the requests it happens to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// Only this method.
    pub method: Option<String>,
    /// Only paths that contain this.
    pub path: Option<String>,
    /// Only bodies that contain this.
    pub body: Option<String>,
    /// This many fitting requests are let through first.
    pub after: u64,
    /// Then it happens so often.
    pub times: u64,
    /// And then to each fitting request with this probability, by the simulator's seed.
    pub probability: f64,
}

impl Default for Rule {
    fn default() -> Self {
        Rule {
            fault: Fault::Throttle,
            method: None,
            path: None,
            body: None,
            after: 0,
            times: u64::MAX,
            probability: 1.0,
        }
    }
}

impl Rule {
    /// This fault on every request, from now on.
    pub fn always(fault: Fault) -> Rule {
        Rule { fault, ..Rule::default() }
    }

    /// This fault on the next `times` requests.
    pub fn next(times: u64, fault: Fault) -> Rule {
        Rule { fault, times, ..Rule::default() }
    }

    /// Only on paths that contain this.
    #[must_use]
    pub fn on(mut self, path: &str) -> Rule {
        self.path = Some(path.to_owned());
        self
    }

    /// Only after this many fitting requests.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Rule {
        self.after = requests;
        self
    }

    /// Only with this probability.
    #[must_use]
    pub fn with_probability(mut self, probability: f64) -> Rule {
        self.probability = probability;
        self
    }

    /// Whether it happens to this request; counts it.
    pub(crate) fn strikes(&mut self, request: &Request, chance: f64) -> bool {
        let fits = self.method.as_ref().is_none_or(|method| method == request.method.as_str())
            && self.path.as_ref().is_none_or(|path| request.target.contains(path.as_str()))
            && self
                .body
                .as_ref()
                .is_none_or(|text| String::from_utf8_lossy(&request.body).contains(text.as_str()));
        if !fits {
            return false;
        }
        if self.after > 0 {
            self.after -= 1;
            return false;
        }
        if self.times == 0 || chance >= self.probability {
            return false;
        }
        self.times -= 1;
        true
    }
}

/// A whole-request answer that needs no CRM to make.
pub(crate) fn gateway(request: &Request, status: u16, html: bool) -> Answer {
    if html {
        return Answer::text(
            status,
            "text/html",
            format!("<html><head><title>{status}</title></head><body>Bad gateway</body></html>"),
        );
    }
    if request.path().starts_with("/services/") {
        let code = if status == 503 { "SERVER_UNAVAILABLE" } else { "UNKNOWN_EXCEPTION" };
        return Answer::json(
            status,
            &serde_json::json!([{"message": "internal error", "errorCode": code}]),
        );
    }
    Answer::json(
        status,
        &serde_json::json!({"status": "error", "message": "internal error", "correlationId": "5d1b1c0e-5a0e-4f6e-9a11-0c2a4c7fffff"}),
    )
}
