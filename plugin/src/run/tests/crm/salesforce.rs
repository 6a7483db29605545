//! The routes of Salesforce.

use super::*;

impl Fake {
    pub(super) fn salesforce(&self, request: &Request) -> (u16, String) {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let below = request.path.strip_prefix("/services/data/v67.0/").unwrap();
        if let Some(below) = below.strip_prefix("jobs/ingest") {
            return self.bulk(request, below, &body);
        }
        if request.writes {
            assert_eq!(request.headers, [("Sforce-Auto-Assign", "FALSE".into())]);
        }
        let rows = |code: &str, message: &str| json!([{"errorCode": code, "message": message}]).to_string();
        match (request.method, below) {
            ("PATCH", "composite/sobjects") => {
                assert_eq!(body["allOrNone"], false);
                let records = body["records"].as_array().unwrap();
                assert!((1..=200).contains(&records.len()));
                if request.body.contains("unparsable") {
                    return (400, rows("JSON_PARSER_ERROR", "Cannot deserialize instance of datetime"));
                }
                let saved: Vec<Value> = records
                    .iter()
                    .map(|record| {
                        let mut fields = record.as_object().unwrap().clone();
                        assert_eq!(fields.remove("attributes").unwrap()["type"], "Contact");
                        let id = fields.remove("id").unwrap().as_str().unwrap().to_owned();
                        match self.save(&id, fields) {
                            Ok(()) => json!({"id": id, "success": true, "errors": []}),
                            Err((_, code, message)) => {
                                json!({"success": false, "errors": [{"statusCode": code, "message": message, "fields": []}]})
                            }
                        }
                    })
                    .collect();
                (200, Value::Array(saved).to_string())
            }
            ("POST", "composite/sobjects/Contact") => {
                let names: Vec<&str> = body["fields"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                if let Some(name) = names.iter().find(|name| self.unknown_fields.contains(**name)) {
                    return (400, rows("INVALID_FIELD", &format!("No such column '{name}' on sobject of type Contact")));
                }
                let records = self.records.borrow();
                let found: Vec<Value> = body["ids"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|id| {
                        let Some(record) = records.get(id.as_str().unwrap()) else { return Value::Null };
                        let mut shown = json!({"attributes": {"type": "Contact"}, "Id": id});
                        for name in names.iter().filter(|name| **name != "Id") {
                            let spelled = self.spelled.borrow().contains_key(*name);
                            shown[*name] = if spelled { format!("@{name}").into() } else { record.get(*name).cloned().unwrap_or_default() };
                        }
                        shown
                    })
                    .collect();
                let answer = Value::Array(found).to_string();
                (200, self.spelled.borrow().iter().fold(answer, |text, (name, value)| text.replace(&format!("\"@{name}\""), value)))
            }
            ("PATCH", path) => {
                let id = path.strip_prefix("sobjects/Contact/").unwrap();
                match self.save(id, body.as_object().unwrap().clone()) {
                    Ok(()) => (204, String::new()),
                    Err((status, code, message)) => (status, rows(&code, &message)),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    pub(in crate::run::tests) fn save(&self, id: &str, fields: Map<String, Value>) -> Result<(), (u16, String, String)> {
        self.witness(id, &Value::Object(fields.clone()));
        if let Some(left) = self.locks.borrow_mut().get_mut(id).filter(|left| **left > 0) {
            *left -= 1;
            return Err((self.lock_status, "UNABLE_TO_LOCK_ROW".to_owned(), "unable to obtain exclusive access".to_owned()));
        }
        if let Some(name) = fields.keys().find(|name| self.unknown_fields.contains(name.as_str())) {
            return Err((400, "INVALID_FIELD".to_owned(), format!("No such column '{name}' on sobject of type Contact")));
        }
        if fields.values().any(|value| value == "bad") {
            return Err((400, "STRING_TOO_LONG".to_owned(), "Title: data value too large".to_owned()));
        }
        match self.records.borrow_mut().get_mut(id) {
            Some(record) => {
                record.extend(fields);
                *self.applied.borrow_mut().entry(id.to_owned()).or_default() += 1;
                Ok(())
            }
            None => Err((404, "ENTITY_IS_DELETED".to_owned(), "entity is deleted".to_owned())),
        }
    }
}
