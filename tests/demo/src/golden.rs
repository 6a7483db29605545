//! The demo's project and golden records: what a resolver leaves of a CRM's contacts, the usual
//! trouble included.

use anyhow::Result;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use crm_simulator::{World, record_id};
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::{self, File},
    path::Path,
    sync::Arc,
};

/// Rows without an id at the end: people that the resolver knows and the CRM does not.
const WITHOUT_ID: usize = 47;
/// The contact that was merged away since.
const MERGED: usize = 17;
/// The one that was deleted since.
const DELETED: usize = 29;
/// The one whose golden value the CRM refuses.
const INVALID: usize = 41;
/// Two golden records claim this one.
const CLAIMED_TWICE: usize = 53;

/// Which CRM.
#[derive(Clone, Copy)]
pub(crate) enum Crm {
    HubSpot,
    Salesforce,
}

impl Crm {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Crm::HubSpot => "HubSpot",
            Crm::Salesforce => "Salesforce",
        }
    }

    /// The destination in the project file.
    pub(crate) fn destination(self) -> &'static str {
        match self {
            Crm::HubSpot => "people",
            Crm::Salesforce => "people_sf",
        }
    }

    /// What `fields` allows.
    pub(crate) fn fields(self) -> &'static [&'static str] {
        match self {
            Crm::HubSpot => &["firstname", "email", "phone", "city"],
            Crm::Salesforce => &["FirstName", "Level__c", "Phone", "DoNotCall"],
        }
    }

    fn id(self, n: usize) -> String {
        match self {
            Crm::HubSpot => (492_564_112_121 + n as u64 * 3).to_string(),
            Crm::Salesforce => record_id("003", n as u64),
        }
    }

    /// Records that are shown before and after.
    pub(crate) fn shown(self) -> Vec<String> {
        [0, 1, INVALID, CLAIMED_TWICE].map(|n| self.id(n)).to_vec()
    }

    /// Golden values of contact `n`, as this CRM would store them. The first half of a name is new,
    /// so is the phone.
    fn values(self, n: usize) -> Map<String, Value> {
        let phone = format!("+1 406 555 {:04}", n % 10_000);
        let values = match self {
            Crm::HubSpot => {
                let email = if n == INVALID {
                    "nobody at example".to_owned()
                } else {
                    format!("person{n}@example.com")
                };
                json!({"firstname": format!("Golden {n}"), "email": email, "phone": phone, "city": "Bozeman"})
            }
            Crm::Salesforce => {
                let level = if n == INVALID { "Best" } else { "Primary" };
                json!({"FirstName": format!("Golden {n}"), "Level__c": level, "Phone": phone, "DoNotCall": n.is_multiple_of(2)})
            }
        };
        match values {
            Value::Object(values) => values,
            _ => Map::new(),
        }
    }

    /// What every record should hold after the run, by id: those that can be written.
    pub(crate) fn golden(self, records: usize) -> BTreeMap<String, Map<String, Value>> {
        let written = |n: &usize| ![MERGED, DELETED, INVALID, CLAIMED_TWICE].contains(n);
        (0..records).filter(written).map(|n| (self.id(n), self.values(n))).collect()
    }
}

/// The project file, and golden records as CSV for the one CRM and as Parquet for the other.
pub(crate) fn write_project(dir: &Path, base_url: &str, records: usize) -> Result<()> {
    fs::create_dir(dir.join("golden"))?;
    fs::write(dir.join("reverse-sync.toml"), project(base_url))?;
    fs::write(dir.join("golden/people.csv"), hubspot_csv(records)?)?;
    write_salesforce_parquet(&dir.join("golden/people.parquet"), records)
}

fn project(base_url: &str) -> String {
    format!(
        r#"[sources.hubspot]
provider = "hubspot"
base_url = "{base_url}"
access_token = {{ env = "CRM_TOKEN" }}

[sources.salesforce]
provider = "salesforce"
base_url = "{base_url}"
access_token = {{ env = "CRM_TOKEN" }}

[destinations.people]
destination_type = "hubspot_dest"
entity_type = "person"
records = "golden/people.csv"
config_json = {{ provider_id_field = "hs_object_id", source_id = "hubspot", fields = ["firstname", "email", "phone", "city"] }}

[destinations.people_sf]
destination_type = "salesforce_dest"
entity_type = "person"
records = "golden/people.parquet"
config_json = {{ provider_id_field = "Id", source_id = "salesforce", fields = ["FirstName", "Level__c", "Phone", "DoNotCall"] }}
"#
    )
}

/// The order of the rows: one for each contact, one more that claims a record twice, then those
/// without an id.
fn rows(records: usize) -> Vec<(Option<usize>, usize)> {
    let known = (0..records).map(|n| (Some(n), n));
    let unknown = (records..records + WITHOUT_ID).map(|n| (None, n));
    known.chain([(Some(CLAIMED_TWICE), records)]).chain(unknown).collect()
}

fn hubspot_csv(records: usize) -> Result<String> {
    let mut csv = "__cluster,hs_object_id,firstname,email,phone,city,createdate\n".to_owned();
    for (at, (id, n)) in rows(records).into_iter().enumerate() {
        let id = id.map(|n| Crm::HubSpot.id(n)).unwrap_or_default();
        let values = Crm::HubSpot.values(n);
        let value =
            |name: &str| values.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        writeln!(
            csv,
            "c{at},{id},{},{},{},{},2024-05-01",
            value("firstname"),
            value("email"),
            value("phone"),
            value("city")
        )?;
    }
    Ok(csv)
}

fn write_salesforce_parquet(path: &Path, records: usize) -> Result<()> {
    let rows = rows(records);
    let text = |name: &str| {
        let values = rows.iter().map(|(_, n)| {
            Crm::Salesforce.values(*n).get(name).and_then(Value::as_str).map(str::to_owned)
        });
        Arc::new(StringArray::from_iter(values)) as ArrayRef
    };
    // Half of the ids in their short form: they are the same records.
    let id = |n: usize| {
        let id = Crm::Salesforce.id(n);
        if n.is_multiple_of(2) { id } else { id.chars().take(15).collect() }
    };
    let ids = rows.iter().map(|(claims, _)| claims.map(id));
    let do_not_call = rows.iter().map(|(_, n)| Some(n.is_multiple_of(2)));
    let batch = RecordBatch::try_from_iter([
        ("Id", Arc::new(StringArray::from_iter(ids)) as ArrayRef),
        ("FirstName", text("FirstName")),
        ("Level__c", text("Level__c")),
        ("Phone", text("Phone")),
        ("DoNotCall", Arc::new(BooleanArray::from_iter(do_not_call)) as ArrayRef),
    ])?;
    let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(())
}

/// What happened in the CRMs since the golden records were read from them.
pub(crate) fn make_trouble(world: &mut World) {
    // Beyond the golden records, so that the one it is merged with is nobody's.
    let other = 1_250;
    world.hubspot.merge("contacts", &Crm::HubSpot.id(other), &Crm::HubSpot.id(MERGED));
    world.hubspot.archive("contacts", &Crm::HubSpot.id(DELETED));
    world.salesforce.merge("Contact", &Crm::Salesforce.id(other), &Crm::Salesforce.id(MERGED));
    world.salesforce.delete("Contact", &Crm::Salesforce.id(DELETED));
}
