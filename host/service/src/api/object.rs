//! A JSON object, read key by key: each error has the pointer of its key, and none repeats a value, which may be a secret that
//! was pasted into the wrong place. And what the parameters of a list are.

use super::{
    body,
    problem::{Answer, Problem},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

/// Longest name of anything.
const MAX_NAME: usize = 100;

/// A JSON object while it is read: keys are taken out one by one.
pub struct Object {
    entries: Map<String, Value>,
    /// JSON Pointer to it.
    place: String,
}

impl Object {
    /// The body of a request, which may have these keys and no others.
    ///
    /// # Errors
    /// 422 for another key.
    pub fn body(entries: Map<String, Value>, keys: &[&str]) -> Answer<Object> {
        Object { entries, place: String::new() }.only(keys)
    }

    /// An object within a body, which may have these keys and no others.
    ///
    /// # Errors
    /// 422 if it is none, or has another key.
    pub fn within(value: Value, pointer: &str, keys: &[&str]) -> Answer<Object> {
        match value {
            Value::Object(entries) => Object { entries, place: pointer.to_owned() }.only(keys),
            other => {
                let key = pointer.rsplit('/').next().unwrap_or_default();
                let detail = format!("`{key}` is {}; it has to be an object with the keys {}", kind(&other), listed(keys));
                Err(Problem::invalid("invalid", pointer, detail))
            }
        }
    }

    fn only(self, keys: &[&str]) -> Answer<Object> {
        match self.entries.keys().find(|key| !keys.contains(&key.as_str())) {
            None => Ok(self),
            Some(key) => {
                let detail = format!("`{}` is no key {}; the keys are {}", shown(key), self.here(), listed(keys));
                Err(Problem::invalid("unknown_key", self.pointer(key), detail))
            }
        }
    }

    fn here(&self) -> String {
        if self.place.is_empty() { "here".to_owned() } else { format!("of `{}`", self.place.trim_start_matches('/')) }
    }

    /// The names of the keys that are there.
    pub fn keys(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Whether a key is there, be it null.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Takes a value out. Null is as good as not there.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.entries.remove(key).filter(|value| !value.is_null())
    }

    /// Takes a text out.
    ///
    /// # Errors
    /// 422 if it is none.
    pub fn text(&mut self, key: &str) -> Answer<Option<String>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, &format!("{}; it has to be a text", kind(&other)))),
        }
    }

    /// Takes a name for people out, without the blanks around it.
    ///
    /// # Errors
    /// 422 if it is none.
    pub fn name(&mut self, key: &str) -> Answer<Option<String>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        let name = text.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
            return Err(self.wrong(key, &format!("no name; it has to be 1 to {MAX_NAME} characters on one line")));
        }
        Ok(Some(name.to_owned()))
    }

    /// Takes yes or no out.
    ///
    /// # Errors
    /// 422 if it is neither.
    pub fn flag(&mut self, key: &str) -> Answer<Option<bool>> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(other) => Err(self.wrong(key, &format!("{}; it has to be true or false", kind(&other)))),
        }
    }

    /// Takes a number out.
    ///
    /// # Errors
    /// 422 if it is none, or `fits` says no to it. `right` says what would be right.
    pub fn number(&mut self, key: &str, right: &str, fits: impl Fn(f64) -> bool) -> Answer<Option<f64>> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|number| fits(*number)) {
                Some(number) => Ok(Some(number)),
                None if value.is_number() => Err(self.wrong(key, &format!("out of range; it has to be {right}"))),
                None => Err(self.wrong(key, &format!("{}; it has to be {right}", kind(&value)))),
            },
        }
    }

    /// What a key that has to be there is refused with when it is not.
    pub fn missing(&self, key: &str, what: &str) -> Problem {
        Problem::invalid("missing_key", self.pointer(key), format!("`{key}` is missing; {what}"))
    }

    /// What a wrong value is refused with. `what` says what it is and what would be right.
    pub fn wrong(&self, key: &str, what: &str) -> Problem {
        Problem::invalid("invalid", self.pointer(key), format!("`{}` is {what}", shown(key)))
    }

    /// JSON Pointer to a key.
    pub fn pointer(&self, key: &str) -> String {
        format!("{}/{}", self.place, step(key))
    }
}

/// A key as a step of a JSON Pointer.
pub fn step(key: &str) -> String {
    shown(key).replace('~', "~0").replace('/', "~1")
}

/// As much of a text as a message repeats.
pub fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// Names as a message lists them.
pub fn listed<'n>(names: impl IntoIterator<Item = impl AsRef<str> + 'n>) -> String {
    names.into_iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// What a value is, without the value.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether this can be the name of a type of golden records. It is part of URLs.
pub fn is_entity_type(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// Which part of a list to show.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Most entries of the page.
    #[param(minimum = 1, maximum = 500, default = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

#[cfg(fuzzing)]
impl From<&str> for Paging {
    fn from(after: &str) -> Paging {
        Paging { limit: None, after: Some(after.to_owned()) }
    }
}

impl Paging {
    /// How many entries the page has.
    ///
    /// # Errors
    /// 400 if there are none, or too many.
    pub fn limit(&self) -> Answer<usize> {
        body::limit(self.limit)
    }

    /// The cursor; empty at the beginning.
    ///
    /// # Errors
    /// 400 if it is no cursor.
    pub fn after(&self) -> Answer<&str> {
        match self.after.as_deref() {
            None => Ok(""),
            Some(after) if body::is_id(after) => Ok(after),
            Some(_) => Err(body::bad_cursor()),
        }
    }

    /// The cursor, where it is a number.
    ///
    /// # Errors
    /// 400 if it is none.
    pub fn number(&self) -> Answer<Option<i64>> {
        match self.after()? {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| body::bad_cursor()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(problem: &Problem) -> (String, String) {
        let problem = serde_json::to_value(problem).unwrap();
        assert!(!problem.to_string().contains("sesame"), "{problem}");
        (problem["code"].as_str().unwrap().to_owned(), problem["pointer"].as_str().unwrap().to_owned())
    }

    #[test]
    fn what_is_wrong_is_said_with_its_pointer_and_without_its_value() {
        let body = json!({"text": ["sesame"], "flag": "sesame", "number": "sesame", "name": "sesame\0", "empty": " ", "null": null});
        let keys = ["text", "flag", "number", "name", "empty", "null"];
        let mut object = Object::body(body.as_object().unwrap().clone(), &keys).ok().unwrap();
        assert!(object.has("null") && object.take("null").is_none());
        let at = |key: &str| ("invalid".to_owned(), format!("/{key}"));
        assert_eq!(refused(&object.text("text").unwrap_err()), at("text"));
        assert_eq!(refused(&object.flag("flag").unwrap_err()), at("flag"));
        assert_eq!(refused(&object.number("number", "a number", |_| true).unwrap_err()), at("number"));
        assert_eq!(refused(&object.name("name").unwrap_err()), at("name"));
        assert_eq!(refused(&object.name("empty").unwrap_err()), at("empty"));
        let unknown = Object::within(json!({"a/b": "sesame"}), "/in", &["c"]).err().unwrap();
        assert_eq!(refused(&unknown), ("unknown_key".to_owned(), "/in/a~1b".to_owned()));
        assert_eq!(refused(&Object::within(json!("sesame"), "/in", &["c"]).err().unwrap()), at("in"));
    }

    #[test]
    fn a_cursor_is_what_came_before() {
        let paging = |after: &str| Paging { limit: None, after: Some(after.to_owned()) };
        assert_eq!(paging("src_1").after().ok(), Some("src_1"));
        assert_eq!((Paging::default().number().ok(), paging("7").number().ok()), (Some(None), Some(Some(7))));
        assert!(paging("\0").after().is_err() && paging(&"x".repeat(300)).after().is_err() && paging("x").number().is_err());
    }
}
