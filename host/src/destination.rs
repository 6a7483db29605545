//! A destination: a configured reverse target that reuses a source's credential.
//!
//! See [`Destination::new`] for an example.

use crate::{
    contract::types::Target,
    guards::Guards,
    records::{CsvForm, RecordOptions},
};
use serde::{Deserialize, Serialize};

/// A configured destination. What `config_json` may hold is the component's business: its JSON
/// Schema says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// The name people use.
    pub name: String,
    /// Such as `hubspot_dest`.
    pub destination_type: String,
    /// What the golden records are, such as `person`.
    pub entity_type: String,
    /// Configuration for the component.
    pub config_json: serde_json::Map<String, serde_json::Value>,
    /// What happens when several golden records claim one CRM record.
    #[serde(default)]
    pub on_duplicate_id: OnDuplicateId,
    /// What keeps a plan from being confirmed without a second look.
    #[serde(default)]
    pub guards: Guards,
    /// How its golden records are written, where they are CSV.
    #[serde(default, skip_serializing_if = "CsvForm::is_default")]
    pub csv: CsvForm,
}

impl Destination {
    /// A destination with the usual guards and nothing in its `config_json` yet.
    ///
    /// ```
    /// use reverse_sync::Destination;
    ///
    /// let people = Destination::new("people", "hubspot_dest", "person")
    ///     .config("provider_id_field", "hs_object_id")
    ///     .config("source_id", "src_1")
    ///     .config("fields", ["firstname", "lastname"]);
    /// assert_eq!(people.config_json["source_id"], "src_1");
    /// ```
    pub fn new(name: &str, destination_type: &str, entity_type: &str) -> Destination {
        Destination {
            name: name.to_owned(),
            destination_type: destination_type.to_owned(),
            entity_type: entity_type.to_owned(),
            config_json: serde_json::Map::new(),
            on_duplicate_id: OnDuplicateId::default(),
            guards: Guards::default(),
            csv: CsvForm::default(),
        }
    }

    /// Sets a key of its `config_json`. The plugin's JSON Schema has the keys.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl Into<serde_json::Value>) -> Destination {
        self.config_json.insert(key.to_owned(), value.into());
        self
    }

    /// How its golden records are read.
    pub fn record_options(&self) -> RecordOptions {
        let field = self.config_json.get("provider_id_field").and_then(|field| field.as_str());
        RecordOptions { id_column: field.map(str::to_owned), csv: self.csv, allow_empty: false }
    }

    /// As the component is told of it.
    pub(crate) fn target(&self, base_url: &str) -> Target {
        Target {
            destination_type: self.destination_type.clone(),
            entity_type: self.entity_type.clone(),
            config: serde_json::Value::Object(self.config_json.clone()).to_string(),
            base_url: base_url.to_owned(),
        }
    }
}

/// Two golden records that claim one CRM record mean that resolution went wrong. Which of them is
/// written?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDuplicateId {
    /// None of them.
    #[default]
    Skip,
    /// The one with the lowest row number.
    First,
    /// The one with the highest row number.
    Last,
}
