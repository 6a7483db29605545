//! A client of the service's API, as small as tests need it, which keeps all that it was ever
//! answered.

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy, client::legacy::connect::HttpConnector, rt::TokioExecutor};
use serde_json::Value;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Where a service is now, and all that it has answered: shared by its clients, since it changes
/// when the service is started again.
#[derive(Debug, Default)]
pub struct Place {
    address: Mutex<String>,
    answers: Mutex<Vec<String>>,
}

impl Place {
    /// From now on here, such as `http://127.0.0.1:40123`.
    pub fn moved_to(&self, address: &str) {
        address.clone_into(&mut self.address.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Such as `http://127.0.0.1:40123`.
    pub fn address(&self) -> String {
        self.address.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Status, headers and body of each answer so far.
    pub fn answers(&self) -> Vec<String> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Somebody who talks to the service: with a key, or without.
#[derive(Clone)]
pub struct Client {
    place: Arc<Place>,
    key: Option<String>,
    http: legacy::Client<HttpConnector, Full<Bytes>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Client")
            .field("address", &self.place.address())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Somebody with this key.
    pub fn new(place: Arc<Place>, key: Option<&str>) -> Client {
        // A connection of its own for each request: the server behind it may be killed at any time.
        let http =
            legacy::Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http();
        Client { place, key: key.map(str::to_owned), http }
    }

    /// The same service with another key, or none.
    #[must_use]
    pub fn with_key(&self, key: Option<&str>) -> Client {
        Client { key: key.map(str::to_owned), ..self.clone() }
    }

    /// The key.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// A request to be added to and sent.
    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        let mut headers = Vec::new();
        if let Some(key) = &self.key {
            headers.push(("authorization".to_owned(), format!("Bearer {key}")));
        }
        Call {
            client: self,
            method: method.to_owned(),
            path: path.to_owned(),
            headers,
            body: Bytes::new(),
        }
    }

    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send().await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path).json(body).send().await
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path).json(body).send().await
    }

    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path).send().await
    }

    /// `PUT` of a file.
    pub async fn put(&self, path: &str, kind: &str, body: impl Into<Bytes>) -> Answer {
        self.call("PUT", path).header("content-type", kind).body(body).send().await
    }
}

/// A request in the making.
#[derive(Debug)]
pub struct Call<'a> {
    client: &'a Client,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl Call<'_> {
    /// A header, in addition to those that are there.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// A body of any kind.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it and waits for the whole answer.
    ///
    /// # Panics
    /// If there is none.
    pub async fn send(self) -> Answer {
        let asked = format!("{} {}", self.method, self.path);
        match self.try_send().await {
            Ok(answer) => answer,
            Err(error) => panic!("{asked} was not answered: {error:#}"),
        }
    }

    /// Sends it, to a service that may be killed meanwhile.
    ///
    /// # Errors
    /// If there is no answer.
    pub async fn try_send(self) -> anyhow::Result<Answer> {
        let asked = format!("{} {}", self.method, self.path);
        let mut request = Request::builder().method(Method::from_bytes(self.method.as_bytes())?);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .uri(format!("{}{}", self.client.place.address(), self.path))
            .body(Full::new(self.body))?;
        let answer = self.client.http.request(request).await.context("no answer")?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.context("the answer broke off")?.to_bytes();
        let answer = Answer { asked, status: head.status, headers: head.headers, body };
        self.client
            .place
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(format!("{answer:?}"));
        Ok(answer)
    }
}

/// What the service said.
pub struct Answer {
    /// What it was asked, for messages.
    asked: String,
    /// Such as 200.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {} {:?} {}", self.asked, self.status, self.headers, self.text())
    }
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// If it is invalid.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The body as JSON, of an answer with this status.
    ///
    /// # Panics
    /// If it is another one.
    #[track_caller]
    pub fn is(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    /// The problem (RFC 9457) that an answer with this status holds, whose form is checked, and
    /// whose detail has to have these words.
    ///
    /// # Panics
    /// If it is anything else.
    #[track_caller]
    pub fn problem(&self, status: u16, words: &[&str]) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        for key in ["type", "title", "detail", "code", "request_id"] {
            assert!(
                problem[key].as_str().is_some_and(|text| !text.is_empty()),
                "no `{key}` in {self:?}"
            );
        }
        assert_eq!(problem["request_id"].as_str(), self.header("x-request-id"), "{self:?}");
        for word in words {
            let detail = problem["detail"].as_str().unwrap_or_default();
            assert!(detail.contains(word), "`{word}` is not in the detail of {self:?}");
        }
        problem
    }
}
