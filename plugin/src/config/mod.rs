//! A destination's `config_json`. The JSON Schema that `describe` publishes is the truth; this
//! parser accepts and refuses the same configurations (a test compares the two with each other) and
//! says more about what is wrong.

pub(crate) mod hint;
pub mod policy;
mod reader;

use crate::contract::types::{Error, ErrorKind};
use crate::provider::Provider;
use hint::closest;
use policy::Policy;
use reader::{Reader, kind};
use serde_json::Value;

/// What a destination is configured to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The CRM.
    pub provider: Provider,
    /// Golden column that holds the CRM record id.
    pub provider_id_field: String,
    /// The source whose credential the host uses. Nothing but a name here.
    pub source_id: String,
    /// CRM object to update.
    pub object: String,
    /// Allowlist of columns, and the CRM field that each of them is written to.
    pub fields: Option<Vec<FieldRule>>,
    /// One call for many records, or one for each.
    pub write_mode: WriteMode,
    /// In batch mode: how many changes are too many for collections, and go by jobs. Salesforce
    /// only.
    pub bulk_above: u64,
    /// Requests on their way at the same time.
    pub in_flight: usize,
    /// As many may become of them where that makes a run faster: what is set, or 32.
    pub most_in_flight: usize,
    /// The CRM's API version: the value of `objects_path` or `api_version`.
    pub api: String,
    /// HubSpot's path of property definitions; empty for Salesforce.
    pub properties_path: String,
    /// What is said about values.
    pub policy: Policy,
}

/// A golden column and the CRM field that it is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRule {
    /// The golden column.
    pub column: String,
    /// The CRM's field.
    pub field: String,
}

/// How changes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteMode {
    /// HubSpot `batch/update`, Salesforce sObject Collections.
    Batch,
    /// One PATCH for each record.
    Record,
    /// Jobs of Salesforce's Bulk API 2.0, however few the changes.
    Bulk,
}

const OBJECT_FORM: &str = "letters, digits, `_`, `-` and `.`, without a slash";

/// The JSON Schema (draft 2020-12) of a provider's configuration.
pub fn schema(provider: Provider) -> &'static str {
    match provider {
        Provider::HubSpot => include_str!("schema/hubspot_dest.json"),
        Provider::Salesforce => include_str!("schema/salesforce_dest.json"),
    }
}

/// The key that selects the CRM's API version, and its default.
pub fn api_key(provider: Provider) -> (&'static str, &'static str) {
    match provider {
        Provider::HubSpot => ("objects_path", "/crm/v3/objects"),
        Provider::Salesforce => ("api_version", "v67.0"),
    }
}

/// Reads the configuration of a destination.
///
/// # Errors
/// `invalid-config`, with everything that is wrong: which key, what is wrong with it, what would be
/// right.
pub fn parse(destination_type: &str, config: &str) -> Result<Config, Error> {
    let Some(provider) = Provider::of_destination(destination_type) else {
        let served = Provider::ALL
            .map(|provider| format!("`{}`", provider.destination_type()))
            .join(" and ");
        return Err(invalid(format!(
            "`{destination_type}` is not a destination type of this component; it serves {served}"
        )));
    };
    let value: Value = serde_json::from_str(config)
        .map_err(|error| invalid(format!("config_json is not JSON: {error}")))?;
    let Value::Object(map) = value else {
        return Err(invalid(format!(
            "config_json is {}, it must be an object such as {}",
            kind(&value),
            example(provider)
        )));
    };
    let mut reader = Reader { provider, map, problems: Vec::new() };
    let config = reader.config();
    let Some((key, _)) = reader.problems.first() else { return Ok(config) };
    let messages: Vec<&str> = reader.problems.iter().map(|(_, text)| text.as_str()).collect();
    Err(invalid_key(key, messages.join("; ")))
}

/// An error about the configuration.
pub(crate) fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, None, message)
}

/// An error about one key of the configuration.
pub(crate) fn invalid_key(key: &str, message: String) -> Error {
    let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    Error { pointer: Some(pointer), ..invalid(message) }
}

fn example(provider: Provider) -> String {
    format!(r#"{{"provider_id_field": "{}", "source_id": "src_1"}}"#, provider.usual_id_column())
}

/// The path of HubSpot's property definitions.
const PROPERTIES_PATH: (&str, &str) = ("properties_path", "/crm/v3/properties");

impl Reader {
    fn config(&mut self) -> Config {
        let provider = self.provider;
        let (api_name, api_default) = api_key(provider);
        let mut keys = vec![
            "provider_id_field",
            "source_id",
            "object",
            "fields",
            "write_mode",
            "in_flight",
            api_name,
        ];
        if provider == Provider::Salesforce {
            keys.push("bulk_above");
        }
        if provider == Provider::HubSpot {
            keys.push(PROPERTIES_PATH.0);
        }
        keys.extend(policy::KEYS);
        let unknown: Vec<String> =
            self.map.keys().filter(|name| !keys.contains(&name.as_str())).cloned().collect();
        for name in unknown {
            let meant = match closest(&name, keys.iter().copied()) {
                Some(key) => format!("did you mean `{key}`?"),
                None => format!(
                    "the keys are {}",
                    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
                ),
            };
            let of = provider.destination_type();
            let text = format!("unknown key `{name}` of {of} ({meant})");
            self.problems.push((name, text));
        }
        let provider_id_field = self.required(
            "provider_id_field",
            "the golden column that holds the CRM record id",
            provider.usual_id_column(),
        );
        let source_id =
            self.required("source_id", "the source whose stored credential is used", "src_1");
        let (object_default, object_example) = match provider {
            Provider::HubSpot => ("contacts", "companies"),
            Provider::Salesforce => ("Contact", "Account"),
        };
        let mut config = Config {
            provider,
            provider_id_field,
            source_id,
            object: self.text("object", object_default, OBJECT_FORM, object_example, is_segment),
            fields: self.fields(),
            write_mode: self.write_mode(),
            bulk_above: self.whole("bulk_above", 2_000, 1, 1_000_000_000),
            in_flight: self.whole("in_flight", 8, 1, 32) as usize,
            most_in_flight: 32,
            api: match provider {
                Provider::HubSpot => self.text(
                    api_name,
                    api_default,
                    "a path such as HubSpot documents it, beginning with `/`",
                    "/crm/objects/2026-03",
                    is_path,
                ),
                Provider::Salesforce => self.text(
                    api_name,
                    api_default,
                    "`v`, the version and one decimal",
                    "v67.0",
                    is_version,
                ),
            },
            properties_path: match provider {
                Provider::HubSpot => self.text(
                    PROPERTIES_PATH.0,
                    PROPERTIES_PATH.1,
                    "a path such as HubSpot documents it, beginning with `/`",
                    "/crm/properties/2026-03",
                    is_path,
                ),
                Provider::Salesforce => String::new(),
            },
            policy: self.policy(),
        };
        if self.map.contains_key("in_flight") {
            config.most_in_flight = config.in_flight;
        }
        self.unwritten(&config);
        config
    }

    /// What is said of a field that is never written protects nothing.
    fn unwritten(&mut self, config: &Config) {
        let Some(rules) = &config.fields else { return };
        for (key, name) in config.policy.names() {
            if rules.iter().any(|rule| config.provider.same_field(&rule.field, name)) {
                continue;
            }
            let fields = rules.iter().map(|rule| rule.field.as_str());
            let meant = match rules.iter().find(|rule| rule.column == name) {
                Some(rule) => Some(rule.field.as_str()),
                None => closest(name, fields),
            };
            let meant =
                meant.map_or_else(String::new, |field| format!("; did you mean `{field}`?"));
            let text = format!(
                "`{key}` names `{name}`, which is not a CRM field that `fields` writes{meant}"
            );
            self.problems.push((key.to_owned(), text));
        }
    }

    fn fields(&mut self) -> Option<Vec<FieldRule>> {
        let example = format!(
            "[\"{}\"]",
            match self.provider {
                Provider::HubSpot => "firstname\", \"lastname",
                Provider::Salesforce => "FirstName\", \"LastName",
            }
        );
        let names = match self.map.get("fields")? {
            Value::Array(items) if items.is_empty() => {
                self.wrong(
                    "fields",
                    "empty",
                    "a list of at least one column, or absent for all writable columns",
                    &example,
                );
                return None;
            }
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().filter(|name| !name.is_empty()).map(str::to_owned))
                .collect::<Option<Vec<_>>>(),
            Value::Object(fields) if !fields.is_empty() => {
                let rule = |(column, field): (&String, &Value)| {
                    let field =
                        field.as_str().filter(|field| !field.is_empty() && !column.is_empty())?;
                    Some(FieldRule { column: column.clone(), field: field.to_owned() })
                };
                let rules: Option<Vec<FieldRule>> = fields.iter().map(rule).collect();
                if rules.is_none() {
                    let right = "a list of columns, or an object of golden column and CRM field";
                    self.wrong(
                        "fields",
                        "not of its form",
                        right,
                        r#"{"company_name": "company"}"#,
                    );
                }
                return rules;
            }
            _ => None,
        };
        let Some(names) = names else {
            self.wrong(
                "fields",
                "not a list of column names",
                "a list of non-empty strings",
                &example,
            );
            return None;
        };
        if let Some((_, twice)) =
            names.iter().enumerate().find(|(at, name)| names[..*at].contains(name))
        {
            let text = format!("`fields` lists `{twice}` twice; list each column once");
            self.problems.push(("fields".to_owned(), text));
        }
        Some(
            names.into_iter().map(|name| FieldRule { field: name.clone(), column: name }).collect(),
        )
    }

    fn write_mode(&mut self) -> WriteMode {
        match self.map.get("write_mode") {
            None => WriteMode::Batch,
            Some(Value::String(mode)) if mode == "batch" => WriteMode::Batch,
            Some(Value::String(mode)) if mode == "record" => WriteMode::Record,
            Some(Value::String(mode))
                if mode == "bulk" && self.provider == Provider::Salesforce =>
            {
                WriteMode::Bulk
            }
            Some(_) => {
                let found = match self.provider {
                    Provider::HubSpot => "neither `batch` nor `record`",
                    Provider::Salesforce => "none of `batch`, `record` and `bulk`",
                };
                self.wrong("write_mode", found, "one of these", "\"batch\"");
                WriteMode::Batch
            }
        }
    }
}

/// One path segment: never empty, never `.` or `..`, nothing that would need escaping.
fn is_segment(text: &str) -> bool {
    text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn is_path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment))
}

fn is_version(text: &str) -> bool {
    let Some((major, minor)) = text.strip_prefix('v').and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !major.is_empty() && digits(major) && minor.len() == 1 && digits(minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(provider: Provider, config: &Value) -> Option<String> {
        parse(provider.destination_type(), &config.to_string()).err().map(|error| {
            assert_eq!(error.kind, ErrorKind::InvalidConfig);
            error.message
        })
    }

    fn validator(provider: Provider) -> jsonschema::Validator {
        jsonschema::draft202012::new(&serde_json::from_str(schema(provider)).unwrap()).unwrap()
    }

    /// A good configuration with some keys replaced; `null` removes a key.
    fn with(provider: Provider, changes: &Value) -> Value {
        let mut config =
            json!({"provider_id_field": provider.usual_id_column(), "source_id": "src_1"});
        for (key, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => config.as_object_mut().unwrap().remove(key),
                value => config.as_object_mut().unwrap().insert(key.clone(), value.clone()),
            };
        }
        config
    }

    #[test]
    fn fields_may_name_the_crm_field_of_a_column() {
        let config = with(Provider::HubSpot, &json!({"fields": {"company_name": "company"}}));
        let rule = FieldRule { column: "company_name".to_owned(), field: "company".to_owned() };
        assert_eq!(parse("hubspot_dest", &config.to_string()).unwrap().fields, Some(vec![rule]));
    }

    #[test]
    fn the_least_configuration_gets_the_documented_defaults() {
        let hubspot =
            parse("hubspot_dest", r#"{"provider_id_field":"hs_object_id","source_id":"src_1"}"#)
                .unwrap();
        assert_eq!(
            (hubspot.object.as_str(), hubspot.api.as_str()),
            ("contacts", "/crm/v3/objects")
        );
        assert_eq!(
            (hubspot.fields, hubspot.write_mode, hubspot.in_flight, hubspot.most_in_flight),
            (None, WriteMode::Batch, 8, 32)
        );
        let salesforce =
            parse("salesforce_dest", r#"{"provider_id_field":"Id","source_id":"src_2"}"#).unwrap();
        assert_eq!((salesforce.object.as_str(), salesforce.api.as_str()), ("Contact", "v67.0"));
    }

    #[test]
    fn a_message_names_the_key_what_is_wrong_and_what_would_be_right() {
        for (changes, told) in [
            (
                json!({"provider_id_field": null}),
                r#"`provider_id_field` is missing; it names the golden column that holds the CRM record id, for example `"provider_id_field": "hs_object_id"`"#,
            ),
            (json!({"source_id": null}), "`source_id` is missing"),
            (json!({"source_id": 7}), "`source_id` is a number"),
            (json!({"source_id": ""}), "`source_id` is empty"),
            (
                json!({"feilds": ["a"]}),
                "unknown key `feilds` of hubspot_dest (did you mean `fields`?)",
            ),
            (json!({"token": "x"}), "the keys are `provider_id_field`"),
            (json!({"api_version": "v67.0"}), "unknown key `api_version` of hubspot_dest"),
            (json!({"object": "contacts/1"}), "`object` is `contacts/1`"),
            (json!({"object": ".."}), "`object` is `..`"),
            (json!({"object": "c\"x"}), "letters, digits"),
            (json!({"fields": []}), "`fields` is empty"),
            (json!({"fields": "email"}), "`fields` is not a list of column names"),
            (json!({"fields": ["a", 1]}), "`fields` is not a list of column names"),
            (json!({"fields": ["a", "b", "a"]}), "`fields` lists `a` twice"),
            (json!({"write_mode": "bulk"}), "neither `batch` nor `record`"),
            (json!({"in_flight": 0}), "a whole number from 1 to 32"),
            (json!({"in_flight": 33}), "from 1 to 32"),
            (json!({"in_flight": 2.5}), "`in_flight` is 2.5"),
            (json!({"in_flight": "8"}), "from 1 to 32"),
            (json!({"objects_path": "crm"}), "beginning with `/`"),
            (json!({"objects_path": "/crm/../x"}), "`objects_path`"),
            (json!({"objects_path": "/crm/"}), "`objects_path`"),
            (
                json!({"fields": {"first_name": "firstname"}, "fill_only": ["first_name"]}),
                "`fill_only` names `first_name`, which is not a CRM field that `fields` writes; did you mean `firstname`?",
            ),
            (
                json!({"fields": ["phone"], "fill_only": ["phone"], "on_drift": "overwrite"}),
                "would overwrite a field of `fill_only`",
            ),
            (
                json!({"fields": ["city"], "null_policy": {"citty": "clear", "city": "clear"}}),
                "`null_policy` names `citty`, which is not a CRM field that `fields` writes; did you mean `city`?",
            ),
            (
                json!({"fields": ["city"], "value_map": {"stage": {"a": "b"}}}),
                "`value_map` names `stage`, which is not a CRM field that `fields` writes",
            ),
        ] {
            let message = refused(Provider::HubSpot, &with(Provider::HubSpot, &changes)).unwrap();
            assert!(message.contains(told), "{changes}: {message}");
        }
        let twice = json!({"fields": ["Fax"], "null_policy": {"Fax": "skip", "fax": "clear"}});
        let message = refused(Provider::Salesforce, &with(Provider::Salesforce, &twice)).unwrap();
        assert!(
            message.contains("`null_policy` names one field twice, `Fax` and `fax`"),
            "{message}"
        );
        for (changes, pointer) in [
            (json!({"source_id": null}), "/source_id"),
            (json!({"feilds": ["a"], "object": 1}), "/feilds"),
            (json!({"a/b~c": 1}), "/a~1b~0c"),
            (json!({"fields": ["a", "a"], "in_flight": 0}), "/fields"),
        ] {
            let config = with(Provider::HubSpot, &changes).to_string();
            let error = parse("hubspot_dest", &config).unwrap_err();
            assert_eq!(error.pointer.as_deref(), Some(pointer), "{changes}: {error:?}");
        }
        let everything = refused(Provider::HubSpot, &json!({"object": 1, "x": 2})).unwrap();
        for key in ["provider_id_field", "source_id", "object", "`x`"] {
            assert!(everything.contains(key), "{everything}");
        }
    }

    #[test]
    fn what_is_no_object_or_no_type_is_refused() {
        assert!(parse("hubspot_dest", "{").unwrap_err().message.contains("not JSON"));
        assert!(parse("hubspot_dest", "[]").unwrap_err().message.contains("a list"));
        assert!(
            parse("pipedrive_dest", "{}")
                .unwrap_err()
                .message
                .contains("`hubspot_dest` and `salesforce_dest`")
        );
    }

    #[test]
    fn parser_and_schema_agree() {
        let values = [
            json!(null),
            json!(true),
            json!(0),
            json!(1),
            json!(8.0),
            json!(32),
            json!(33),
            json!(-1),
            json!(1.5),
            json!(1e1),
            json!(1e300),
            json!(""),
            json!(" "),
            json!("x"),
            json!("contacts"),
            json!("2-123"),
            json!("a/b"),
            json!(".."),
            json!(".a"),
            json!("a b"),
            json!("a\n"),
            json!("ü"),
            json!("batch"),
            json!("record"),
            json!("bulk"),
            json!(1_000_000_001),
            json!("v67.0"),
            json!("v67"),
            json!("v67.00"),
            json!("67.0"),
            json!("v6٧.0"),
            json!("/crm/v3/objects"),
            json!("/"),
            json!("//"),
            json!("/crm/objects/2026-03"),
            json!([]),
            json!(["a"]),
            json!(["a", "a"]),
            json!(["a", ""]),
            json!(["a", 1]),
            json!([["a"]]),
            json!({}),
            json!({"a": "b"}),
            json!({"": "b"}),
            json!({"a": ""}),
            json!({"a": "skip"}),
            json!({"a": {"b": "c"}}),
            json!({"a": {"b": 1}}),
            json!(false),
            json!(0.75),
            json!("skip"),
            json!("clear"),
            json!("overwrite"),
            json!("follow"),
        ];
        for provider in Provider::ALL {
            let validator = validator(provider);
            let keys = [
                "provider_id_field",
                "source_id",
                "object",
                "fields",
                "write_mode",
                "in_flight",
                "objects_path",
                "api_version",
                "bulk_above",
                "other",
            ];
            for key in keys.into_iter().chain(["properties_path"]).chain(policy::KEYS) {
                for value in &values {
                    let mut config = with(provider, &json!({}));
                    config.as_object_mut().unwrap().insert(key.to_owned(), value.clone());
                    let told = refused(provider, &config);
                    assert_eq!(
                        validator.is_valid(&config),
                        told.is_none(),
                        "{key}: {value}: {told:?}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn parser_and_schema_agree_on_any_text(text in ".{0,12}|/?[a-z./_-]{0,12}|v[0-9.]{0,5}", key in 0usize..5) {
            for provider in Provider::ALL {
                let key = ["provider_id_field", "source_id", "object", "write_mode", api_key(provider).0][key];
                let mut config = with(provider, &json!({}));
                config.as_object_mut().unwrap().insert(key.to_owned(), json!(text));
                prop_assert_eq!(validator(provider).is_valid(&config), refused(provider, &config).is_none(), "{} {:?}", key, text);
            }
        }
    }
}
