//! The routes of HubSpot.

use super::*;

impl Fake {
    pub(super) fn hubspot(&self, request: &Request) -> (u16, String) {
        let body: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let rest = request.path.strip_prefix("/crm/v3/objects/contacts/").unwrap();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let inputs = body["inputs"].as_array().cloned().unwrap_or_default();
        match (request.method, rest) {
            ("POST", "batch/update") => {
                assert!((1..=100).contains(&inputs.len()));
                inputs.iter().for_each(|input| self.witness(input["id"].as_str().unwrap(), &input["properties"]));
                if let Some(refusal) = inputs.iter().find_map(|input| self.hubspot_refusal(&input["properties"])) {
                    return (400, refusal);
                }
                let (mut results, mut missing) = (Vec::new(), Vec::new());
                for input in inputs.iter().rev() {
                    let id = input["id"].as_str().unwrap();
                    match self.records.borrow_mut().get_mut(id) {
                        Some(record) => {
                            record.extend(input["properties"].as_object().unwrap().clone());
                            *self.applied.borrow_mut().entry(id.to_owned()).or_default() += 1;
                            results.push(json!({"id": id, "properties": {"x": "y"}, "archived": false}));
                        }
                        None if self.merged.borrow().contains_key(id) => {}
                        None => missing.push(id.to_owned()),
                    }
                }
                let mut answer = json!({"status": "COMPLETE", "results": results});
                if missing.is_empty() {
                    return (200, answer.to_string());
                }
                answer["errors"] = json!([{"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some CONTACT objects", "context": {"ids": missing}}]);
                answer["numErrors"] = json!(1);
                (207, answer.to_string())
            }
            ("POST", "batch/read") => {
                let records = self.records.borrow();
                let results: Vec<Value> = inputs
                    .iter()
                    .filter_map(|input| {
                        let id = input["id"].as_str()?;
                        let names = body["properties"].as_array().into_iter().flatten().filter_map(Value::as_str);
                        Some(hubspot_record(id, &self.shown(records.get(id)?, names)))
                    })
                    .collect();
                let answer = json!({"status": "COMPLETE", "results": results}).to_string();
                drop(records);
                if let Some((old, new)) = self.merge_after_read.borrow_mut().take() {
                    self.records.borrow_mut().remove(&old);
                    self.merged.borrow_mut().insert(old, new);
                }
                (207, answer)
            }
            (method, id) => {
                let survivor = self.merged.borrow().get(id).cloned().unwrap_or_else(|| id.to_owned());
                let mut records = self.records.borrow_mut();
                let Some(record) = records.get_mut(&survivor) else {
                    return (404, json!({"status": "error", "message": "resource not found"}).to_string());
                };
                if method == "PATCH" {
                    self.witness(id, &body["properties"]);
                    if let Some(refusal) = self.hubspot_refusal(&body["properties"]) {
                        return (400, refusal);
                    }
                    record.extend(body["properties"].as_object().unwrap().clone());
                    *self.applied.borrow_mut().entry(survivor.clone()).or_default() += 1;
                } else {
                    assert!(query.is_empty() || query.starts_with("properties="), "{query}");
                }
                let names = query.trim_start_matches("properties=").split("%2C");
                let shown = self.shown(record, names);
                (200, hubspot_record(&survivor, &shown).to_string())
            }
        }
    }

    /// A record with what was asked for: null where a property is empty, nothing where there is no such property (crm-apis A4).
    fn shown<'n>(&self, record: &Map<String, Value>, names: impl Iterator<Item = &'n str>) -> Map<String, Value> {
        let mut shown = record.clone();
        for name in names.filter(|name| !name.is_empty() && !self.unknown_fields.contains(name) && !self.hidden.borrow().contains(*name)) {
            shown.entry(name).or_insert(Value::Null);
        }
        shown.retain(|name, _| !self.hidden.borrow().contains(name));
        shown
    }

    fn hubspot_refusal(&self, properties: &Value) -> Option<String> {
        let refusal = |code: &str, name: &str| {
            json!({"status": "error", "category": "VALIDATION_ERROR", "message": "Property values were not valid: …",
                "errors": [{"message": format!("{name}: {code}"), "code": code, "context": {"propertyName": [name]}}]})
            .to_string()
        };
        let properties = properties.as_object().unwrap();
        if let Some(name) = properties.keys().find(|name| self.unknown_fields.contains(name.as_str())) {
            return Some(refusal("PROPERTY_DOESNT_EXIST", name));
        }
        let (name, _) = properties.iter().find(|(_, value)| value.as_str().unwrap() == "bad")?;
        Some(refusal("INVALID_OPTION", name))
    }
}

fn hubspot_record(id: &str, properties: &Map<String, Value>) -> Value {
    json!({"id": id, "properties": properties, "createdAt": "2025-02-03T09:00:00.120Z", "archived": false})
}
