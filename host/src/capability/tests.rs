//! The policy as a table: what leaves and what does not.

use super::*;
use crate::contract::capabilities::Many;
use serde_json::json;
use std::collections::HashMap;

fn many(open: &str, item: &str, close: &str) -> wit::Body {
    wit::Body::Many(Many { open: open.into(), item: item.into(), close: close.into(), max: 3 })
}

fn asked(effect: Effect, method: &str, path: &str, body: wit::Body) -> wit::Capability {
    wit::Capability {
        phase: Phase::Run,
        effect,
        method: method.into(),
        path: path.into(),
        query: vec![],
        headers: vec![],
        body,
    }
}

fn one(text: &str) -> wit::Body {
    wit::Body::One(text.into())
}

const ITEM: &str = r#"{"id":"${id}","properties":${fields}}"#;

fn config() -> ConfigValues {
    let schema = json!({"properties": {"object": {"default": "contacts"}, "path": {"default": "/crm/v3/objects"}}});
    ConfigValues::new(json!({"weird": "a b", "up": "../x"}), schema)
}

fn hubspot() -> Vec<Capability> {
    let batch = asked(
        Effect::Write,
        "POST",
        "${path}/${object}/batch/update",
        many(r#"{"inputs":["#, ITEM, "]}"),
    );
    let single = asked(
        Effect::Write,
        "PATCH",
        "${path}/${object}/${id}",
        one(r#"{"properties":${fields}}"#),
    );
    let read = asked(
        Effect::Read,
        "POST",
        "${path}/${object}/batch/read",
        many(r#"{"properties":${names},"inputs":["#, r#"{"id":"${id}"}"#, "]}"),
    );
    let mut get = asked(Effect::Read, "GET", "${path}/${object}/${id}", wit::Body::None);
    get.query = vec!["properties".into()];
    let mut collection = asked(
        Effect::Write,
        "PATCH",
        "/composite/sobjects",
        many(r#"{"records":["#, r#"{"type":"${object}","id":"${id}",${members}}"#, "]}"),
    );
    collection.headers =
        vec![wit::Header { name: "sforce-auto-assign".into(), value: "FALSE".into() }];
    [batch, single, read, get, collection]
        .iter()
        .map(|asked| Capability::compile(asked, &config()).unwrap())
        .collect()
}

/// Confirmed changes; each may be named once.
struct Plan(HashMap<&'static str, &'static str>);

impl Witness for Plan {
    fn claim(&mut self, id: &str) -> Result<&[u8], String> {
        self.0
            .remove(id)
            .map(str::as_bytes)
            .ok_or_else(|| format!("{id} is not confirmed, or named twice"))
    }
}

fn plan() -> Plan {
    Plan(HashMap::from([
        ("1", r#"{"a":"x"}"#),
        ("2", r#"{"a":"y","b":"]}"}"#),
        ("3", r#"{"c":1}"#),
        ("4", r#"{"d":1}"#),
    ]))
}

fn send(method: &str, uri: &str, headers: &[(&str, &str)], body: &str) -> Result<String, String> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    admit(
        &hubspot(),
        Phase::Run,
        &method,
        &uri.parse().unwrap(),
        &map,
        body.as_bytes(),
        &mut plan(),
    )
    .map(ToString::to_string)
}

const UPDATE: &str = "/crm/v3/objects/contacts/batch/update";

#[test]
fn what_is_granted_and_confirmed_leaves() {
    let json = [("content-type", "application/json")];
    send("POST", UPDATE, &json, r#"{"inputs":[{"id":"1","properties":{"a":"x"}},{"id":"2","properties":{"a":"y","b":"]}"}}]}"#).unwrap();
    send("PATCH", "/crm/v3/objects/contacts/3", &json, r#"{"properties":{"c":1}}"#).unwrap();
    send(
        "POST",
        "/crm/v3/objects/contacts/batch/read",
        &json,
        r#"{"properties":["a","b"],"inputs":[{"id":"1"},{"id":"4"}]}"#,
    )
    .unwrap();
    send("GET", "/crm/v3/objects/contacts/1?properties=a", &[], "").unwrap();
    send(
        "PATCH",
        "/composite/sobjects",
        &[("sforce-auto-assign", "FALSE")],
        r#"{"records":[{"type":"contacts","id":"1","a":"x"}]}"#,
    )
    .unwrap();
}

#[test]
fn bodies_that_are_not_exactly_the_confirmed_changes_stay() {
    for (body, why) in [
        (r#"{"inputs":[{"id":"9","properties":{"a":"x"}}]}"#, "an id outside the plan"),
        (r#"{"inputs":[{"id":"1","properties":{"a":"z"}}]}"#, "another value"),
        (r#"{"inputs":[{"id":"1","properties":{"a":"x","b":"y"}}]}"#, "a field outside the plan"),
        (r#"{"inputs":[{"id":"1","properties":{}}]}"#, "a field less"),
        (r#"{"inputs":[{"id":"1","properties":{"a":"y","b":"]}"}}]}"#, "another record's values"),
        (
            r#"{"inputs":[{"id":"1","properties":{"a":"x"}},{"id":"1","properties":{"a":"x"}}]}"#,
            "an id twice",
        ),
        (r#"{"inputs":[{"id":"1","idProperty":"email","properties":{"a":"x"}}]}"#, "another key"),
        (
            r#"{"inputs":[{"id":"1","properties":{"a":"x"}}],"inputs":[{"id":"9","properties":{}}]}"#,
            "a second list",
        ),
        (r#"{"inputs":[{"id":"1","properties":{"a":"x"}}]} "#, "text after the end"),
        (r#"{"inputs":[]}"#, "nothing"),
        (r#"{"inputs":[{"id":"1\"","properties":{"a":"x"}}]}"#, "an escaped id"),
        (r#"{"inputs": [{"id":"1","properties":{"a":"x"}}]}"#, "another spelling"),
        ("", "no body"),
    ] {
        assert!(send("POST", UPDATE, &[], body).is_err(), "{why}: {body}");
    }
    let four = r#"{"inputs":[{"id":"1","properties":{"a":"x"}},{"id":"2","properties":{"a":"y","b":"]}"}},{"id":"3","properties":{"c":1}},{"id":"4","properties":{"d":1}}]}"#;
    assert!(send("POST", UPDATE, &[], four).unwrap_err().contains("more than 3"));
}

#[test]
fn request_lines_and_headers_outside_the_grant_stay() {
    let body = r#"{"inputs":[{"id":"1","properties":{"a":"x"}}]}"#;
    for (method, uri) in [
        ("POST", "/crm/v3/objects/contacts"),
        ("POST", "/crm/v3/objects/contacts/batch/create"),
        ("POST", "/crm/v3/objects/contacts/batch/archive"),
        ("DELETE", "/crm/v3/objects/contacts/1"),
        ("PUT", UPDATE),
        ("POST", "/crm/v3/objects/companies/batch/update"),
        ("POST", "/crm/v3/objects/contacts/batch/update/"),
        ("POST", "/crm/v3/objects/contacts/./batch/update"),
        ("POST", "/crm/v3/objects//contacts/batch/update"),
        ("POST", "/crm/v3/objects/contacts/batch%2fupdate"),
        ("POST", "/crm/v3/objects/contacts/batch/update?idProperty=email"),
        ("PATCH", "/crm/v3/objects/contacts/9"),
        ("GET", "/crm/v3/objects/contacts/1?archived=true"),
    ] {
        assert!(send(method, uri, &[], body).is_err(), "{method} {uri}");
    }
    for headers in [
        [("authorization", "Bearer x")].as_slice(),
        &[("cookie", "a=b")],
        &[("proxy-authorization", "x")],
        &[("x-http-method-override", "DELETE")],
    ] {
        assert!(send("POST", UPDATE, headers, body).is_err(), "{headers:?}");
    }
    let record = r#"{"records":[{"type":"contacts","id":"1","a":"x"}]}"#;
    for headers in [
        [].as_slice(),
        &[("sforce-auto-assign", "TRUE")],
        &[("sforce-auto-assign", "FALSE"), ("sforce-auto-assign", "FALSE")],
    ] {
        assert!(send("PATCH", "/composite/sobjects", headers, record).is_err(), "{headers:?}");
    }
}

fn upload() -> wit::Body {
    wit::Body::Csv(wit::CsvForm { id_column: "Id".into(), null: "#N/A".into(), max: 3 })
}

fn bulk() -> Vec<wit::Capability> {
    vec![
        asked(Effect::Job, "POST", "/jobs", one(r#"{"object":"${object}","operation":"update"}"#)),
        asked(Effect::Write, "PUT", "/jobs/${job}/batches", upload()),
        asked(Effect::Job, "PATCH", "/jobs/${job}", one(r#"{"state":"UploadComplete"}"#)),
        asked(Effect::Job, "PATCH", "/jobs/${job}", one(r#"{"state":"Aborted"}"#)),
        asked(Effect::Read, "GET", "/jobs/${job}", wit::Body::None),
        asked(Effect::Read, "GET", "/jobs/${job}/failedResults/", wit::Body::None),
    ]
}

/// The run has opened job `7a`.
struct WithJob(Plan);

impl Witness for WithJob {
    fn claim(&mut self, id: &str) -> Result<&[u8], String> {
        self.0.claim(id)
    }
    fn knows_job(&self, job: &str) -> bool {
        job == "7a"
    }
}

#[test]
fn a_job_says_its_fixed_words_about_itself_and_is_filled_with_confirmed_values() {
    let granted: Vec<Capability> =
        bulk().iter().map(|asked| Capability::compile(asked, &config()).unwrap()).collect();
    check_jobs(&granted).unwrap();
    let send = |method: &str, uri: &str, body: &str| {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let sent = admit(
            &granted,
            Phase::Run,
            &method,
            &uri.parse().unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            &mut WithJob(plan()),
        );
        sent.map(|capability| capability.effect())
    };
    for (method, uri, body, effect) in [
        ("POST", "/jobs", r#"{"object":"contacts","operation":"update"}"#, Effect::Job),
        ("PUT", "/jobs/7a/batches", "\"Id\",\"a\"\n\"1\",\"x\"\n", Effect::Write),
        ("PATCH", "/jobs/7a", r#"{"state":"UploadComplete"}"#, Effect::Job),
        ("PATCH", "/jobs/7a", r#"{"state":"Aborted"}"#, Effect::Job),
        ("GET", "/jobs/7a", "", Effect::Read),
        ("GET", "/jobs/7a/failedResults/", "", Effect::Read),
    ] {
        assert_eq!(send(method, uri, body), Ok(effect), "{method} {uri} {body}");
    }
    for (method, uri, body, why) in [
        ("POST", "/jobs", r#"{"object":"contacts","operation":"delete"}"#, "other words"),
        ("POST", "/jobs", r#"{"object":"contacts","operation":"update"} "#, "a word more"),
        ("PATCH", "/jobs/7b", r#"{"state":"Aborted"}"#, "a job of somebody else"),
        ("PATCH", "/jobs/7a", r#"{"state":"Open"}"#, "another state"),
        (
            "PUT",
            "/jobs/7b/batches",
            "\"Id\",\"a\"\n\"1\",\"x\"\n",
            "an upload to a job of somebody else",
        ),
        ("PUT", "/jobs/7a/batches", "\"Id\",\"a\"\n\"1\",\"z\"\n", "another value"),
        ("GET", "/jobs/7b/failedResults/", "", "results of somebody else"),
        ("GET", "/jobs/7a/failedResults", "", "another path"),
        ("GET", "/jobs/7-a", "", "not a name of a job"),
        ("DELETE", "/jobs/7a", "", "a DELETE"),
    ] {
        assert!(send(method, uri, body).is_err(), "{why}");
    }
}

#[test]
fn a_job_that_could_do_anything_else_is_not_granted_to_anyone() {
    let job = |method: &str, path: &str, body| asked(Effect::Job, method, path, body);
    let mut planned = job("POST", "/jobs", one(r#"{"a":"b"}"#));
    planned.phase = Phase::Plan;
    for (asked, why) in [
        (job("POST", "/jobs", one(r#"{"inputs":[{"id":"1"}]}"#)), "a list"),
        (job("POST", "/jobs", one(r#"{"properties":{"a":"b"}}"#)), "an object"),
        (job("POST", "/jobs", one(r#"{"id":"${id}"}"#)), "an id"),
        (job("POST", "/jobs", one("${fields}")), "values"),
        (job("POST", "/jobs", one("x")), "no object"),
        (job("POST", "/jobs", wit::Body::None), "nothing"),
        (job("POST", "/jobs", upload()), "an upload"),
        (job("POST", "/jobs/${job}", one(r#"{"a":"b"}"#)), "a POST to a job"),
        (job("PATCH", "/jobs", one(r#"{"a":"b"}"#)), "a PATCH of no job"),
        (job("PATCH", "/jobs/${id}", one(r#"{"a":"b"}"#)), "a PATCH of a record"),
        (job("PATCH", "/jobs/${job}/x", one(r#"{"a":"b"}"#)), "a PATCH of something in a job"),
        (job("PUT", "/jobs/${job}", one(r#"{"a":"b"}"#)), "a PUT"),
        (planned, "while planning"),
        (asked(Effect::Write, "PUT", "/jobs/batches", upload()), "an upload to no job"),
        (asked(Effect::Write, "PUT", "/jobs/${job}/${id}", upload()), "an upload to a record"),
        (
            asked(Effect::Write, "PATCH", "/jobs/${job}/${id}", one("${fields}")),
            "a write to a job that is not an upload",
        ),
        (
            asked(Effect::Read, "GET", "/jobs/${job}/${id}", wit::Body::None),
            "a read of a record in a job",
        ),
        (
            asked(Effect::Read, "GET", "/jobs/x${job}", wit::Body::None),
            "a job that is part of a segment",
        ),
        (asked(Effect::Read, "POST", "/jobs", upload()), "a read with an upload"),
        (
            asked(
                Effect::Write,
                "POST",
                "/x",
                many("[", r#"{"j":"${job}","id":"${id}","p":${fields}}"#, "]"),
            ),
            "a job in a body",
        ),
    ] {
        assert!(Capability::compile(&asked, &config()).is_err(), "{why}");
    }
    let compiled = |asked: &[wit::Capability]| -> Vec<Capability> {
        asked.iter().map(|asked| Capability::compile(asked, &config()).unwrap()).collect()
    };
    let mut elsewhere = bulk();
    elsewhere[1].path = "/other/${job}/batches".into();
    let mut alone = bulk();
    alone.remove(1);
    for asked in [elsewhere, alone] {
        assert!(
            check_jobs(&compiled(&asked))
                .unwrap_err()
                .to_string()
                .contains("a job without an upload")
        );
    }
}

#[test]
fn nothing_of_a_run_leaves_while_planning() {
    let body = r#"{"properties":["a"],"inputs":[{"id":"1"}]}"#;
    let granted = hubspot();
    let refused = admit(
        &granted,
        Phase::Plan,
        &Method::POST,
        &"/crm/v3/objects/contacts/batch/read".parse().unwrap(),
        &HeaderMap::new(),
        body.as_bytes(),
        &mut plan(),
    );
    assert!(refused.unwrap_err().contains("while planning"));
}

#[test]
fn a_component_cannot_ask_for_more_than_reads_and_updates() {
    let write = |method: &str, path: &str, body| asked(Effect::Write, method, path, body);
    let read = |method: &str, path: &str, body| asked(Effect::Read, method, path, body);
    let mut planned = write("PATCH", "/x/${id}", one("${fields}"));
    planned.phase = Phase::Plan;
    let mut with_query = write("PATCH", "/x/${id}", one("${fields}"));
    with_query.query = vec!["idProperty".into()];
    let mut with_credential = write("PATCH", "/x/${id}", one("${fields}"));
    with_credential.headers = vec![wit::Header { name: "Authorization".into(), value: "x".into() }];
    for (asked, why) in [
        (write("DELETE", "/x/${id}", one("${fields}")), "a DELETE"),
        (write("POST", "/x", one("${fields}")), "a create"),
        (write("POST", "/x/${id}", one("${fields}")), "a POST to a record"),
        (write("PATCH", "/x/${id}", wit::Body::None), "a write without values"),
        (write("PATCH", "/x/${id}", one("{}")), "a write without confirmed values"),
        (write("POST", "/x/archive", many("[", r#"{"id":"${id}"}"#, "]")), "an archive"),
        (write("POST", "/x/create", many("[", "${fields}", "]")), "a create of many"),
        (
            write("POST", "/x", many("[", r#"{"p":${fields},"id":"${id}"}"#, "]")),
            "values before their id",
        ),
        (write("POST", "/x", many(r#"["${id}","#, ITEM, "]")), "an id outside the items"),
        (write("GET", "/x/${id}", one("${fields}")), "a write by GET"),
        (planned, "a write while planning"),
        (with_query, "a write with a query"),
        (with_credential, "a header that carries a credential"),
        (read("POST", "/x", many("[", ITEM, "]")), "a read with values"),
        (read("PATCH", "/x/${id}", wit::Body::None), "a read by PATCH"),
        (read("POST", "/x/${id}", wit::Body::None), "a POST without a body"),
        (read("GET", "/x/${weird}", wit::Body::None), "a configured value that is not a path"),
        (read("GET", "/x/${up}", wit::Body::None), "a configured value that climbs"),
        (read("GET", "/x/${unknown}", wit::Body::None), "a placeholder that nothing fills"),
        (read("GET", "/x/a${id}", wit::Body::None), "an id that is part of a segment"),
        (read("GET", "/x/${id", wit::Body::None), "a placeholder without an end"),
    ] {
        assert!(Capability::compile(&asked, &config()).is_err(), "{why}");
    }
}

#[test]
fn reads_by_text_take_one_json_string_and_nothing_more() {
    let body = many(r#"{"idProperty":"email","inputs":["#, r#"{"id":${text}}"#, "]}");
    let by_email =
        Capability::compile(&asked(Effect::Read, "POST", "/x/batch/read", body), &config())
            .unwrap();
    let plain = asked(
        Effect::Read,
        "POST",
        "/x/batch/read",
        many(r#"{"inputs":["#, r#"{"id":"${id}"}"#, "]}"),
    );
    // Two capabilities for one path are told apart by how the body begins.
    let granted = [Capability::compile(&plain, &config()).unwrap(), by_email];
    let send = |body: &str| {
        admit(
            &granted,
            Phase::Run,
            &Method::POST,
            &"/x/batch/read".parse().unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
            &mut plan(),
        )
    };
    send(r#"{"idProperty":"email","inputs":[{"id":"a@b.c"},{"id":"\"\\\u00fc"}]}"#).unwrap();
    send(r#"{"inputs":[{"id":"1"}]}"#).unwrap();
    for bad in [
        r#"{"idProperty":"email","inputs":[{"id":7}]}"#,
        r#"{"idProperty":"email","inputs":[{"id":"a","properties":{}}]}"#,
        r#"{"idProperty":"email","inputs":[{"id":"a}]}"#,
        r#"{"idProperty":"email","inputs":[{"id":["a"]}]}"#,
        r#"{"inputs":[{"id":"9"}]}"#,
    ] {
        assert!(send(bad).is_err(), "{bad}");
    }
    let long = format!(r#"{{"idProperty":"email","inputs":[{{"id":"{}"}}]}}"#, "x".repeat(1_001));
    assert!(send(&long).unwrap_err().contains("more than 1000 bytes"));
    let write = asked(
        Effect::Write,
        "POST",
        "/x",
        many("[", r#"{"id":"${id}","p":${fields},"x":${text}}"#, "]"),
    );
    assert!(Capability::compile(&write, &config()).is_err());
}

#[test]
fn a_header_that_is_a_date_takes_dates_only() {
    let mut update = asked(Effect::Write, "PATCH", "/x/${id}", one("${fields}"));
    let plain = Capability::compile(&update, &config()).unwrap();
    update.headers =
        vec![wit::Header { name: "if-unmodified-since".into(), value: "${http-date}".into() }];
    let granted = [plain, Capability::compile(&update, &config()).unwrap()];
    let send = |value: Option<&str>| {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert("if-unmodified-since", value.parse().unwrap());
        }
        admit(
            &granted,
            Phase::Run,
            &Method::PATCH,
            &"/x/1".parse().unwrap(),
            &headers,
            br#"{"a":"x"}"#,
            &mut plan(),
        )
        .map(drop)
    };
    send(None).unwrap();
    send(Some("Mon, 30 Nov 2026 08:34:54 GMT")).unwrap();
    for bad in [
        "",
        "now",
        "2026-11-30",
        "Mon, 30 Nov 2026 08:34:54 GMT; x",
        "Mon, 30 Nonember 2026 08:34:54 GMT",
    ] {
        assert!(send(Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_path_that_stands_for_itself_comes_before_an_id() {
    let record = asked(Effect::Read, "GET", "/sobjects/${object}/${id}", wit::Body::None);
    let describe = asked(Effect::Read, "GET", "/sobjects/${object}/describe", wit::Body::None);
    let granted = [record, describe].map(|asked| Capability::compile(&asked, &config()).unwrap());
    let uri = "/sobjects/contacts/describe".parse().unwrap();
    let admitted =
        admit(&granted, Phase::Run, &Method::GET, &uri, &HeaderMap::new(), b"", &mut plan())
            .unwrap();
    assert!(admitted.label().ends_with("/describe"));
}

#[test]
fn nothing_makes_another_method_of_a_request() {
    let patch = asked(
        Effect::Write,
        "PATCH",
        "${path}/${object}/${id}",
        one(r#"{"properties":${fields}}"#),
    );
    for name in ["X-HTTP-Method-Override", "x-http-method", "X-Method-Override"] {
        let headers = vec![wit::Header { name: name.into(), value: "DELETE".into() }];
        assert!(
            Capability::compile(&wit::Capability { headers, ..patch.clone() }, &config()).is_err(),
            "{name}"
        );
    }
    let get = asked(Effect::Read, "GET", "${path}/${object}/${id}", wit::Body::None);
    for key in ["_HttpMethod", "_method", "%5fHttp%4dethod"] {
        let query = vec![key.to_owned()];
        assert!(
            Capability::compile(&wit::Capability { query, ..get.clone() }, &config()).is_err(),
            "{key}"
        );
    }
}

#[test]
fn a_body_is_sent_as_what_it_is() {
    let body = r#"{"inputs":[{"id":"1","properties":{"a":"x"}}]}"#;
    for (media, leaves) in [
        ("application/json", true),
        ("application/json; charset=utf-8", true),
        ("Application/JSON;charset=UTF-8", true),
        ("application/x-www-form-urlencoded", false),
        ("text/csv", false),
        ("application/json; charset=utf-7", false),
        ("application/json, text/plain", false),
    ] {
        assert_eq!(
            send("POST", UPDATE, &[("content-type", media)], body).is_ok(),
            leaves,
            "{media}"
        );
    }
    let read = "/crm/v3/objects/contacts/1?properties=a";
    assert!(
        send("GET", read, &[("content-type", "application/json")], "").is_err(),
        "there is no body"
    );
}

#[test]
fn only_a_get_is_certain_to_read() {
    let path = "${path}/${object}/${id}";
    for (effect, method, body, certain) in [
        (Effect::Read, "GET", wit::Body::None, true),
        (Effect::Read, "POST", one("{}"), false),
        (Effect::Write, "PATCH", one("{\"properties\":${fields}}"), false),
    ] {
        let asked = asked(effect, method, path, body);
        let capability = Capability::compile(&asked, &config()).unwrap();
        assert_eq!(capability.is_plain_read(), certain, "{method}");
    }
}

#[test]
fn a_read_by_post_is_known_by_its_path() {
    let read = |path: &str| {
        Capability::compile(&asked(Effect::Read, "POST", path, one("{}")), &config()).unwrap()
    };
    for (provider, path, known) in [
        ("hubspot", "${path}/${object}/batch/read", true),
        ("hubspot", "${path}/${object}/batch/create", false),
        ("hubspot", "${path}/${object}", false),
        ("hubspot", "${path}/${object}/batch/${id}", false),
        ("salesforce", "/services/data/v67.0/composite/sobjects/Contact", true),
        ("salesforce", "/services/data/v67.0/composite/sobjects", false),
        ("salesforce", "/services/data/v67.0/composite/tree/Contact", false),
        ("other", "${path}/${object}/batch/read", false),
    ] {
        let capability = read(path);
        assert_eq!(
            (capability.reads_by_post(), capability.is_known_read(provider)),
            (true, known),
            "{provider} {path}"
        );
    }
}
