//! A destination: a configured reverse target that reuses a source's credential.

use crate::{guards::Guards, records::CsvForm};
use serde::{Deserialize, Serialize};

/// A configured destination. What `config_json` may hold is the component's business: its JSON Schema says.
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

/// Two golden records that claim one CRM record mean that resolution went wrong. Which of them is written?
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
