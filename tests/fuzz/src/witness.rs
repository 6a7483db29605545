//! What leaves is what was confirmed: the templates of both CRMs, and any body.

use crate::input::Input;
use http::{HeaderMap, Method, Uri};
use reverse_sync::{
    capability::{Capability, Witness, admit},
    contract::capabilities::{Body, Capability as Asked, CsvForm, Effect, Header, Many, Phase},
    fuzzing::ConfigValues,
};
use serde_json::{Value, json};
use std::{collections::HashSet, sync::OnceLock};

/// The plan of all targets of this module: ids that begin alike, values that look like what stands
/// around them.
pub(crate) const CONFIRMED: [(&str, &str); 6] = [
    ("1", r#"{"a":"x"}"#),
    ("12", r#"{"a":"y","b":"]}"}"#),
    ("123", r#"{"c":1,"d":null,"e":true,"f":-0.50}"#),
    ("003xx000004TmiQAAS", r#"{"Title":"a \"b\",\nc","Ä":"\u00e9"}"#),
    ("17", r#"{"a":"}},{\"id\":\"1\",\"properties\":{"}"#),
    ("18", r#"{"a":""}"#),
];

/// What was claimed, in order. A record can be claimed once.
#[derive(Default)]
pub(crate) struct Claims(pub(crate) Vec<String>);

impl Witness for Claims {
    fn claim(&mut self, id: &str) -> Result<&[u8], String> {
        let (known, fields) =
            CONFIRMED.iter().find(|(known, _)| *known == id).ok_or("not confirmed")?;
        if self.0.iter().any(|claimed| claimed == known) {
            return Err("claimed twice".to_owned());
        }
        self.0.push((*known).to_owned());
        Ok(fields.as_bytes())
    }

    fn knows_job(&self, job: &str) -> bool {
        job == "750A"
    }
}

pub(crate) fn asked(effect: Effect, method: &str, path: &str, body: Body) -> Asked {
    Asked {
        phase: Phase::Run,
        effect,
        method: method.to_owned(),
        path: path.to_owned(),
        query: vec![],
        headers: vec![],
        body,
    }
}

pub(crate) fn many(open: &str, item: &str, close: &str) -> Body {
    Body::Many(Many {
        open: open.to_owned(),
        item: item.to_owned(),
        close: close.to_owned(),
        max: 4,
    })
}

pub(crate) const HUBSPOT: [&str; 3] =
    [r#"{"inputs":["#, r#"{"id":"${id}","properties":${fields}}"#, "]}"];
pub(crate) const SALESFORCE: [&str; 3] = [
    r#"{"allOrNone":false,"records":["#,
    r#"{"attributes":{"type":"Contact"},"id":"${id}",${members}}"#,
    "]}",
];

/// What a component is granted: both CRMs at once, so that requests to one are also matched against
/// the capabilities of the other.
pub(crate) fn granted() -> &'static [Capability] {
    static GRANTED: OnceLock<Vec<Capability>> = OnceLock::new();
    GRANTED.get_or_init(|| {
        let config = ConfigValues::new(json!({"object": "contacts"}), json!({}));
        let [open, item, close] = HUBSPOT;
        let mut collection = asked(
            Effect::Write,
            "PATCH",
            "/composite/sobjects",
            many(SALESFORCE[0], SALESFORCE[1], SALESFORCE[2]),
        );
        collection.headers =
            vec![Header { name: "sforce-auto-assign".to_owned(), value: "FALSE".to_owned() }];
        let upload = CsvForm { id_column: "Id".to_owned(), null: "#N/A".to_owned(), max: 4 };
        let capabilities = [
            asked(
                Effect::Write,
                "POST",
                "/objects/${object}/batch/update",
                many(open, item, close),
            ),
            asked(
                Effect::Write,
                "PATCH",
                "/objects/${object}/${id}",
                Body::One(r#"{"properties":${fields}}"#.to_owned()),
            ),
            asked(
                Effect::Read,
                "POST",
                "/objects/${object}/batch/read",
                many(r#"{"properties":${names},"inputs":["#, r#"{"id":"${id}"}"#, "]}"),
            ),
            asked(
                Effect::Read,
                "POST",
                "/objects/${object}/search",
                Body::One(r#"{"query":${text}}"#.to_owned()),
            ),
            asked(Effect::Write, "PUT", "/jobs/ingest/${job}/batches", Body::Csv(upload)),
            asked(
                Effect::Job,
                "POST",
                "/jobs/ingest",
                Body::One(r#"{"operation":"update"}"#.to_owned()),
            ),
            collection,
        ];
        capabilities.iter().map(|asked| Capability::compile(asked, &config).unwrap()).collect()
    })
}

/// Sends a request; what it has claimed, if it may leave.
pub(crate) fn sent(
    capabilities: &[Capability],
    method: &str,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &[u8],
) -> Option<Vec<String>> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, value.parse().ok()?);
    }
    let (method, uri): (Method, Uri) = (method.parse().ok()?, path.parse().ok()?);
    let mut claims = Claims::default();
    admit(capabilities, Phase::Run, &method, &uri, &map, body, &mut claims).ok()?;
    Some(claims.0)
}

/// What a template says of a record. Nothing but this is looked for in a body, so no two readings
/// of it are possible.
pub(crate) fn filled(template: &str, id: &str, fields: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(before);
        text.push_str(match name {
            "id" => id,
            "fields" => fields,
            "members" => fields.get(1..fields.len() - 1).unwrap_or_default(),
            _ => "contacts",
        });
        rest = behind;
    }
    text + rest
}

/// Whether a body is the list of these records and nothing else.
pub(crate) fn is_list_of(ids: &[String], [open, item, close]: [&str; 3], body: &[u8]) -> bool {
    let fields = |id: &str| {
        CONFIRMED.iter().find(|(known, _)| *known == id).map(|(_, fields)| *fields).unwrap()
    };
    let items: Vec<String> = ids.iter().map(|id| filled(item, id, fields(id))).collect();
    format!("{}{}{}", filled(open, "", ""), items.join(","), filled(close, "", "")).as_bytes()
        == body
}

fn is_confirmed(id: &str, fields: &Value) -> bool {
    CONFIRMED.iter().any(|(known, confirmed)| {
        *known == id && serde_json::from_str::<Value>(confirmed).unwrap() == *fields
    })
}

/// A body of several records, or what libFuzzer makes of one.
pub(crate) fn witness(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (kind, raw) = (input.byte(), input.byte());
    let template = if kind % 2 == 0 { HUBSPOT } else { SALESFORCE };
    let one = (kind / 4).is_multiple_of(4);
    let picked = usize::from(kind / 16) % CONFIRMED.len();
    let body = if raw % 2 == 0 {
        input.0.to_vec()
    } else {
        let mask = input.byte();
        let ids = CONFIRMED.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1);
        let items: Vec<String> =
            ids.map(|(_, (id, fields))| filled(template[1], id, fields)).collect();
        let mut body = format!("{}{}{}", template[0], items.join(","), template[2]).into_bytes();
        if one {
            body = format!("{{\"properties\":{}}}", CONFIRMED[picked].1).into_bytes();
        }
        input.edit(&mut body);
        body
    };
    let parsed = || serde_json::from_slice::<Value>(&body).expect("what leaves is JSON");
    if one {
        let id = CONFIRMED[picked].0;
        if let Some(claimed) =
            sent(granted(), "PATCH", &format!("/objects/contacts/{id}"), &[], &body)
        {
            assert_eq!(claimed, [id]);
            let Value::Object(members) = parsed() else { panic!("no object") };
            assert!(members.len() == 1 && is_confirmed(id, &members["properties"]));
        }
        let read = sent(granted(), "POST", "/objects/contacts/batch/read", &[], &body);
        let search = sent(granted(), "POST", "/objects/contacts/search", &[], &body);
        if read.is_some() || search.is_some() {
            parsed();
        }
        return;
    }
    let (method, path, headers): (_, _, &[_]) = if kind % 2 == 0 {
        ("POST", "/objects/contacts/batch/update", &[])
    } else {
        ("PATCH", "/composite/sobjects", &[("sforce-auto-assign", "FALSE")])
    };
    let Some(claimed) = sent(granted(), method, path, headers, &body) else { return };
    assert!(is_list_of(&claimed, template, &body), "the body is not the records that were claimed");
    let mut whole = parsed();
    let mut found = HashSet::new();
    for record in whole[if kind % 2 == 0 { "inputs" } else { "records" }].as_array_mut().unwrap() {
        let id = record["id"].as_str().unwrap().to_owned();
        let fields = if kind % 2 == 0 {
            assert_eq!(record.as_object().unwrap().len(), 2);
            record["properties"].take()
        } else {
            let members = record.as_object_mut().unwrap();
            assert_eq!(members.remove("attributes"), Some(json!({"type": "Contact"})));
            members.remove("id");
            record.take()
        };
        assert!(is_confirmed(&id, &fields), "{id} is written with {fields}");
        assert!(found.insert(id), "a record is named twice");
    }
    assert!((1..=4).contains(&found.len()));
}
