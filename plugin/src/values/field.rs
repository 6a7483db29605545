//! The fields of a CRM's object: which can be written, and which values they take (crm-apis A8 and
//! B6).

use crate::provider::Provider;
use crate::values::json::text;
use hashbrown::HashMap;

/// The fields of one object.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    fields: HashMap<String, Field>,
    /// For Salesforce, which ignores letter case: the spelling of each name, by the name in lower
    /// case.
    spellings: HashMap<String, String>,
}

/// One field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name, as the CRM spells it.
    pub name: String,
    /// The values it takes.
    pub kind: Kind,
    /// Why it cannot be written, a snake_case code, if it cannot.
    pub barred: Option<&'static str>,
    /// Whether it may be emptied.
    pub may_be_empty: bool,
}

/// The values that a field takes.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text.
    Text {
        /// Characters, at most.
        max: Option<usize>,
        /// Whether the CRM trims it.
        trimmed: bool,
    },
    /// An e-mail address: text whose letter case means nothing.
    Email {
        /// Characters, at most.
        max: Option<usize>,
        /// Whether the CRM trims it.
        trimmed: bool,
    },
    /// A decimal number.
    Number {
        /// Decimals, at most.
        scale: Option<usize>,
    },
    /// True or false.
    Bool,
    /// A day.
    Date,
    /// An instant.
    DateTime,
    /// One of some options, or several of them.
    Choice(Choice),
    /// A time of the day.
    Time,
    /// The id of another record.
    Reference,
    /// Text that the CRM shows as a mask.
    Masked,
    /// Whatever else: left to the CRM.
    Other,
}

/// The options of a field.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Whether several may be chosen.
    pub multi: bool,
    /// Whether the CRM takes values that are not among the options.
    pub open: bool,
    /// In the CRM's order.
    pub options: Vec<CrmOption>,
}

/// One option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrmOption {
    /// What the API takes.
    pub value: String,
    /// What people see.
    pub label: String,
}

impl Metadata {
    pub(crate) fn new(provider: Provider, fields: impl IntoIterator<Item = Field>) -> Metadata {
        let fields: HashMap<String, Field> =
            fields.into_iter().map(|field| (field.name.clone(), field)).collect();
        let spellings = match provider {
            Provider::HubSpot => HashMap::new(),
            Provider::Salesforce => {
                fields.keys().map(|name| (name.to_ascii_lowercase(), name.clone())).collect()
            }
        };
        Metadata { fields, spellings }
    }

    /// The field of this name, if this credential sees one.
    pub fn field(&self, provider: Provider, name: &str) -> Option<&Field> {
        // Names are mostly spelled as the CRM spells them, and then no other spelling has to be
        // made.
        match (self.fields.get(name), provider) {
            (Some(field), _) => Some(field),
            (None, Provider::HubSpot) => None,
            (None, Provider::Salesforce) => {
                self.fields.get(self.spellings.get(&name.to_ascii_lowercase())?)
            }
        }
    }

    /// All names, for hints.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.values().map(|field| field.name.as_str())
    }

    /// Whether a write would move a lifecycle stage back. It moves forward only; to go back, it has
    /// to be cleared first (crm-apis A8).
    pub(crate) fn goes_back(
        &self,
        provider: Provider,
        name: &str,
        wanted: &str,
        held: &str,
    ) -> bool {
        if !provider.is_one_way(name) {
            return false;
        }
        let Some(Kind::Choice(choice)) = self.field(provider, name).map(|field| &field.kind) else {
            return false;
        };
        let place = |value: &str| {
            text(value)
                .and_then(|value| choice.options.iter().position(|option| option.value == value))
        };
        matches!((place(wanted), place(held)), (Some(wanted), Some(held)) if wanted < held)
    }
}
