//! Salesforce's errors: a list, also when there is one (B1, B5).

use crate::message::Answer;
use serde_json::{Value, json};

/// Why a record is not updated.
#[derive(Clone, Debug)]
pub(super) struct RecordError {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) fields: Vec<String>,
}

impl RecordError {
    pub(super) fn new(status: u16, code: &'static str, message: impl Into<String>) -> RecordError {
        RecordError { status, code, message: message.into(), fields: vec![] }
    }

    pub(super) fn on(mut self, field: &str) -> RecordError {
        self.fields = vec![field.to_owned()];
        self
    }

    /// As single records answer: `errorCode`, and `fields` only where there are some.
    pub(super) fn answer(&self) -> Answer {
        let mut error = json!({"message": self.message, "errorCode": self.code});
        if !self.fields.is_empty() {
            error["fields"] = json!(self.fields);
        }
        Answer::json(self.status, &json!([error]))
    }

    /// As collections answer: `statusCode`, and no `id` (B4).
    pub(super) fn item(&self) -> Value {
        json!({"success": false, "errors": [{"statusCode": self.code, "message": self.message, "fields": self.fields}]})
    }
}

pub(super) fn one(status: u16, code: &'static str, message: &str) -> Answer {
    RecordError::new(status, code, message).answer()
}
