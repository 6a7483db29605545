//! What a CRM says about the fields of an object: which can be written, and which values they take.
//!
//! [`read`] asks for it once in a plan or run; `hubspot` and `salesforce` read the answers (crm-apis A8 and B6);
//! [`coerce`] brings a golden value into the form that a field takes, or says why it cannot.

pub mod coerce;
mod hubspot;
mod salesforce;
mod times;

use crate::bindings::reverse_sync::destination::types::{Error, ErrorKind};
use crate::config::{Config, invalid};
use crate::provider::Provider;
use crate::routes::Routes;
use crate::run::exchange::{Exchange, exchange, unavailable};
use crate::run::world::{Media, Network, Request};
use crate::template::Template;
use hashbrown::HashMap;

/// The fields of one object.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    fields: HashMap<String, Field>,
    /// For Salesforce, which ignores letter case: the spelling of each name, by the name in lower case.
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
        let fields: HashMap<String, Field> = fields.into_iter().map(|field| (field.name.clone(), field)).collect();
        let spellings = match provider {
            Provider::HubSpot => HashMap::new(),
            Provider::Salesforce => fields.keys().map(|name| (name.to_ascii_lowercase(), name.clone())).collect(),
        };
        Metadata { fields, spellings }
    }

    /// The field of this name, if this credential sees one.
    pub fn field(&self, provider: Provider, name: &str) -> Option<&Field> {
        // Names are mostly spelled as the CRM spells them, and then no other spelling has to be made.
        match (self.fields.get(name), provider) {
            (Some(field), _) => Some(field),
            (None, Provider::HubSpot) => None,
            (None, Provider::Salesforce) => self.fields.get(self.spellings.get(&name.to_ascii_lowercase())?),
        }
    }

    /// All names, for hints.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.fields.values().map(|field| field.name.as_str())
    }
}

/// Asks the CRM for the fields of the configured object.
///
/// # Errors
/// If it cannot be had: an object that does not exist, a missing right, a CRM that is down.
pub async fn read<N: Network>(config: &Config, network: &N) -> Result<Metadata, Error> {
    let route = &Routes::of(config.provider).describe;
    let mut path = String::new();
    Template::new(route.path, config).push(&mut path, "", "", "");
    let request = Request { writes: false, method: route.method, path, headers: Vec::new(), body: String::new(), media: Media::Json };
    let crm = config.provider.name();
    for _ in 0..3 {
        match exchange(config, network, &request, || false).await? {
            Exchange::Accepted(answer) => {
                if let Some(metadata) = parsed(config.provider, &answer.body) {
                    return Ok(metadata);
                }
            }
            Exchange::Refused(400 | 404, error) => {
                return Err(invalid(format!(
                    "{crm} knows no object `{}`, or this credential does not see it ({}); check `object`",
                    config.object,
                    error.told()
                )));
            }
            Exchange::Refused(status, error) => {
                let message = format!("{crm} does not show the fields of `{}`: HTTP {status}, {}", config.object, error.told());
                return Err(Error::new(ErrorKind::Rejected, error.code, message));
            }
            Exchange::Doubtful(_) => {}
        }
    }
    Err(unavailable(config, 3, "an answer to a read of its metadata that is not in the documented form"))
}

/// What an answer in the documented form tells of.
pub(crate) fn parsed(provider: Provider, body: &[u8]) -> Option<Metadata> {
    let fields = match provider {
        Provider::HubSpot => hubspot::parse(body),
        Provider::Salesforce => salesforce::parse(body),
    };
    fields.map(|fields| Metadata::new(provider, fields))
}
