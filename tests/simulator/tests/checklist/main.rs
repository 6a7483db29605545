//! The simulator against the fact sheet's checklist (crm-apis part C), over real sockets. Each test
//! names its item.
#![expect(clippy::unwrap_used, reason = "a test")]

mod accounts;
mod bulk;
mod faults;
mod hubspot;
mod limits;
mod oauth;
mod queries;
mod reading;
mod salesforce;
mod values;

use bytes::Bytes;
use crm_simulator::{Config, Fault, Rule, Simulator, record_id};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};

/// A running simulator and a client for it.
struct Api {
    simulator: Simulator,
    client: Client<HttpConnector, Full<Bytes>>,
    token: String,
}

/// An answer.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: HeaderMap,
    text: String,
}

impl Api {
    async fn start(config: Config) -> Api {
        let client =
            Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
        Api {
            simulator: Simulator::start(config).await.unwrap(),
            client,
            token: "test-token".to_owned(),
        }
    }

    async fn new() -> Api {
        Api::start(Config::default()).await
    }

    /// With this HubSpot contact.
    async fn hubspot(properties: Value) -> Api {
        let api = Api::new().await;
        api.simulator.world().hubspot.put("contacts", ADA, &properties);
        api
    }

    /// With this Salesforce contact.
    async fn salesforce(fields: Value) -> Api {
        let api = Api::new().await;
        api.simulator.world().salesforce.put("Contact", &contact(0), &fields);
        api
    }

    fn fault(&self, rule: Rule) {
        self.simulator.world().fault(rule);
    }

    fn stored(&self, property: &str) -> Option<String> {
        self.simulator.world().hubspot.value("contacts", ADA, property).map(str::to_owned)
    }

    fn field(&self, name: &str) -> Option<Value> {
        self.simulator.world().salesforce.value("Contact", &contact(0), name).cloned()
    }

    fn writes(&self) -> usize {
        self.simulator.world().writes.len()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Got> {
        let mut request =
            Request::builder().method(method).uri(format!("{}{path}", self.simulator.base_url()));
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) =
            self.client.request(request.body(Full::new(body.into()))?).await?.into_parts();
        let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
        Ok(Got { status: head.status.as_u16(), headers: head.headers, text })
    }

    async fn with_json(&self, method: Method, path: &str, body: &Value) -> Got {
        self.send(method, path, &[("content-type", "application/json")], body.to_string())
            .await
            .unwrap()
    }

    async fn get(&self, path: &str) -> Got {
        self.send(Method::GET, path, &[], "").await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Got {
        self.with_json(Method::POST, path, body).await
    }

    async fn patch(&self, path: &str, body: &Value) -> Got {
        self.with_json(Method::PATCH, path, body).await
    }

    async fn form(&self, path: &str, body: &str) -> Got {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(Method::POST, path, &headers, body.to_owned()).await.unwrap()
    }

    /// One HubSpot contact's properties, updated.
    async fn update(&self, properties: Value) -> Got {
        self.patch(&format!("/crm/v3/objects/contacts/{ADA}"), &json!({"properties": properties}))
            .await
    }

    /// HubSpot contacts, updated together.
    async fn batch(&self, inputs: Value) -> Got {
        self.post("/crm/v3/objects/contacts/batch/update", &json!({"inputs": inputs})).await
    }

    /// One Salesforce contact, updated.
    async fn row(&self, fields: Value) -> Got {
        self.patch(&row_path(&contact(0)), &fields).await
    }

    /// Salesforce records, updated together.
    async fn collection(&self, records: Value) -> Got {
        self.patch(COLLECTIONS, &json!({"records": records})).await
    }
}

impl Got {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The status, and the body if it is the one Salesforce error that is expected.
    #[track_caller]
    fn refused(&self, status: u16, code: &str, message: &str) {
        let body = self.json();
        assert_eq!(
            (self.status, body[0]["errorCode"].as_str(), body[0]["message"].as_str()),
            (status, Some(code), Some(message)),
            "{body}"
        );
        assert_eq!(body.as_array().map(Vec::len), Some(1), "{body}");
    }

    /// A HubSpot 400 for values, with these codes.
    #[track_caller]
    fn invalid(&self, code: &str, message: &str) {
        let body = self.json();
        assert_eq!(
            (self.status, body["category"].as_str()),
            (400, Some("VALIDATION_ERROR")),
            "{body}"
        );
        assert_eq!(
            (body["errors"][0]["code"].as_str(), body["errors"][0]["message"].as_str()),
            (Some(code), Some(message)),
            "{body}"
        );
    }
}

/// A HubSpot id.
const ADA: &str = "31200004411";
/// Another.
const BOB: &str = "31200004412";
const COLLECTIONS: &str = "/services/data/v67.0/composite/sobjects";

/// The id of the n-th Salesforce contact.
fn contact(number: u64) -> String {
    record_id("003", number)
}

fn row_path(id: &str) -> String {
    format!("/services/data/v67.0/sobjects/Contact/{id}")
}

fn names(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .map(|members| members.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// This fault on the next request only.
fn once(fault: Fault) -> Rule {
    Rule::next(1, fault)
}
