//! What is answered when something cannot be done: `application/problem+json` (RFC 9457).

use crate::{
    observe::request_id,
    storage::NoRoom,
    store::{StoreError, Unreadable},
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use reverse_sync::{
    failure::{Failure, Hint, Kind},
    plan::{Guard, PlanId},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// An answer that says what happened, where, and what to do.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub struct Problem(Box<ProblemJson>);

/// The JSON of a problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemJson {
    /// Always `about:blank`: `code` says which problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What the status means.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do.
    detail: String,
    /// A word for programs, such as `missing_key`.
    code: &'static str,
    /// JSON Pointer to what is wrong in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
    /// The plan that is refused, which is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<String>,
    /// The guards that hold it back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    guards: Vec<Guard>,
    /// The request, as the log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// Seconds to wait.
    #[serde(skip)]
    retry_after: Option<u64>,
}

/// The result of a request.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// A problem.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem(Box::new(ProblemJson {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or_default().to_owned(),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            pointer: None,
            plan_id: None,
            guards: Vec::new(),
            request_id: None,
            retry_after: None,
        }))
    }

    /// Its status and its code.
    pub fn what(&self) -> (StatusCode, &'static str) {
        (
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            self.0.code,
        )
    }

    /// The pointer of a key that is unknown, and the key.
    pub fn unknown_key(&self) -> Option<(&str, &str)> {
        let pointer = self.0.pointer.as_deref().filter(|_| self.0.code == "unknown_key")?;
        Some((pointer, pointer.rsplit('/').next().unwrap_or_default()))
    }

    /// 400.
    pub fn bad(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 404, for what is not there and for what is another org's alike.
    pub fn missing(what: &str, id: &str) -> Problem {
        let id: String = id.chars().take(100).collect();
        Problem::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("there is no {what} `{id}` in this org"),
        )
    }

    /// 409.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, code, detail)
    }

    /// Of a plan that these guards hold back.
    pub fn guarded(mut self, plan_id: &PlanId, guards: Vec<Guard>) -> Problem {
        (self.0.plan_id, self.0.guards) = (Some(plan_id.to_string()), guards);
        self
    }

    /// 422, with a JSON Pointer to what is wrong.
    pub fn invalid(
        code: &'static str,
        pointer: impl Into<String>,
        detail: impl Into<String>,
    ) -> Problem {
        let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail);
        problem.0.pointer = Some(pointer.into());
        problem
    }

    /// 429.
    pub fn too_many(detail: impl Into<String>, seconds: u64) -> Problem {
        Problem::too_many_of("too_many_requests", detail, seconds)
    }

    /// 429, of one kind of requests.
    pub fn too_many_of(code: &'static str, detail: impl Into<String>, seconds: u64) -> Problem {
        let mut problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail);
        problem.0.retry_after = Some(seconds);
        problem
    }

    /// 500. What went wrong is in the log, under the request's id.
    pub fn internal(error: &dyn std::fmt::Display) -> Problem {
        tracing::error!(%error, "a request failed");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong in the service; its log says what, under this request_id",
        )
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        let status = match failure.kind {
            Kind::Config | Kind::Grant | Kind::Input | Kind::TooLong => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Kind::Conflict | Kind::Refused => StatusCode::CONFLICT,
            Kind::Account | Kind::Crm(_) => StatusCode::FAILED_DEPENDENCY,
            Kind::Internal => return Problem::internal(&failure.message),
        };
        let advice = failure.hint.as_ref().map_or_else(String::new, advice);
        Problem::new(status, failure.code, format!("{}{advice}", failure.message))
    }
}

/// A hint as a client of the API uses it, to follow a message.
fn advice(hint: &Hint) -> String {
    match hint {
        Hint::Override(names) => format!(
            ". Look at the plan, then continue despite it with \"override\": {}",
            json!(names)
        ),
        Hint::Compare => "; plan with \"mode\": \"compare\" to be able to undo".to_owned(),
        Hint::Less => "; plan fewer golden records, or have the limit raised".to_owned(),
        Hint::SetBack => "; set that back first".to_owned(),
        Hint::Rights(rights) => format!("\nThe credential needs: {rights}"),
        // What these are about, a client of the API does not decide.
        Hint::NameRecords | Hint::ListRuns | Hint::Grant => String::new(),
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        match error {
            StoreError::Unreadable(unreadable) => (*unreadable).into(),
            error => Problem::internal(&error),
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(error: Unreadable) -> Problem {
        tracing::error!(%error, "a request failed");
        let Unreadable { place, id, .. } = error;
        let detail = format!(
            "the service cannot read what it has stored of {id} ({place}), and does nothing with it until its operator has repaired it; its log says what is wrong, under this request_id"
        );
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unreadable", detail)
    }
}

impl From<NoRoom> for Problem {
    fn from(error: NoRoom) -> Problem {
        match error {
            NoRoom::Full { .. } => {
                Problem::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", error.to_string())
            }
            NoRoom::Io(error) => Problem::internal(&error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.0.request_id = request_id::current().map(|id| id.as_str().to_owned());
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.0.retry_after;
        let mut response = (status, Json(&self)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The code and the pointer of a problem that has both.
    pub(in crate::api) fn refused(problem: &Problem) -> (String, String) {
        let problem = serde_json::to_value(problem).unwrap();
        (
            problem["code"].as_str().unwrap().to_owned(),
            problem["pointer"].as_str().unwrap().to_owned(),
        )
    }

    #[test]
    fn a_problem_says_so_in_its_headers_and_hides_what_went_wrong_inside() {
        let response = Problem::too_many("30 runs an hour", 120).into_response();
        assert_eq!(
            (response.status(), &response.headers()[header::RETRY_AFTER]),
            (StatusCode::TOO_MANY_REQUESTS, &HeaderValue::from(120))
        );
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let hidden = serde_json::to_string(&Problem::internal(&"password sesame")).unwrap();
        assert!(hidden.contains("internal") && !hidden.contains("sesame"), "{hidden}");
    }
}
