//! `reverse-sync init`: a project file for golden records that are there already.
//!
//! What the file's columns mean is proposed by their names alone: those that a CRM's own export or
//! its API has. A column that is not known is not guessed at; it stays in the file as a comment.

use crate::{
    exit::{Exit, Failure, OrExit},
    global_args::GlobalArgs,
    terminal,
};
use anyhow::{Context, anyhow, bail};
use arrow_array::{RecordBatch, cast::AsArray};
use clap::{Args, ValueEnum};
use reverse_sync::{
    records::{RecordOptions, RecordSource, Records},
    visible::{acts, one_line},
};
use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    path::Path,
};

/// Records that are looked at.
const ROWS: usize = 1_000;

#[derive(Args)]
pub(crate) struct InitArgs {
    /// The CRM
    #[arg(long, value_enum)]
    provider: Provider,
    /// The golden records: a file or a pattern, relative to the project file
    #[arg(long, value_name = "FILES")]
    records: String,
    /// The object that is updated [default: contacts or Contact]
    #[arg(long, value_name = "OBJECT")]
    object: Option<String>,
    /// The column with the CRM's record ids, where its name does not say so
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    /// Where the CRM's API is; for Salesforce the org's address, such as
    /// https://acme.my.salesforce.com
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Provider {
    Hubspot,
    Salesforce,
}

impl Provider {
    fn name(self) -> &'static str {
        match self {
            Provider::Hubspot => "HubSpot",
            Provider::Salesforce => "Salesforce",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Provider::Hubspot => "hubspot",
            Provider::Salesforce => "salesforce",
        }
    }

    fn object(self) -> &'static str {
        match self {
            Provider::Hubspot => "contacts",
            Provider::Salesforce => "Contact",
        }
    }

    fn token(self) -> &'static str {
        match self {
            Provider::Hubspot => "HUBSPOT_TOKEN",
            Provider::Salesforce => "SALESFORCE_TOKEN",
        }
    }

    /// What columns of record ids are called, in plain letters and digits, the surest name first.
    fn id_names(self) -> &'static [&'static str] {
        match self {
            Provider::Hubspot => {
                &["hsobjectid", "recordid", "hubspotid", "contactid", "companyid", "vid", "id"]
            }
            Provider::Salesforce => {
                &["salesforceid", "sfid", "recordid", "contactid", "accountid", "leadid", "id"]
            }
        }
    }

    /// Whether a text may be a record id.
    fn is_id(self, text: &str) -> bool {
        match self {
            Provider::Hubspot => {
                (1..=19).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
            }
            Provider::Salesforce => {
                matches!(text.len(), 15 | 18)
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
            }
        }
    }

    /// Fields by what columns for them are called, in plain letters and digits: the field's own
    /// name, then its label.
    fn fields(self, object: &str) -> &'static [(&'static str, &'static [&'static str])] {
        match (self, object.to_ascii_lowercase().as_str()) {
            (Provider::Hubspot, "contacts") => &[
                ("salutation", &[]),
                ("firstname", &[]),
                ("lastname", &[]),
                ("email", &[]),
                ("phone", &["phonenumber"]),
                ("mobilephone", &["mobilephonenumber"]),
                ("company", &["companyname"]),
                ("jobtitle", &[]),
                ("address", &["streetaddress"]),
                ("city", &[]),
                ("state", &["stateregion"]),
                ("zip", &["postalcode"]),
                ("country", &["countryregion"]),
                ("website", &["websiteurl"]),
                ("fax", &["faxnumber"]),
            ],
            (Provider::Hubspot, "companies") => &[
                ("name", &["companyname"]),
                ("domain", &["companydomainname"]),
                ("phone", &["phonenumber"]),
                ("address", &["streetaddress"]),
                ("address2", &["streetaddress2"]),
                ("city", &[]),
                ("state", &["stateregion"]),
                ("zip", &["postalcode"]),
                ("country", &["countryregion"]),
                ("website", &["websiteurl"]),
                ("industry", &[]),
                ("description", &[]),
                ("numberofemployees", &[]),
                ("annualrevenue", &[]),
            ],
            (Provider::Salesforce, "contact") => &[
                ("Salutation", &[]),
                ("FirstName", &[]),
                ("LastName", &[]),
                ("Email", &[]),
                ("Phone", &["businessphone"]),
                ("MobilePhone", &["mobile"]),
                ("HomePhone", &[]),
                ("Fax", &["businessfax"]),
                ("Title", &[]),
                ("Department", &[]),
                ("Birthdate", &[]),
                ("MailingStreet", &[]),
                ("MailingCity", &[]),
                ("MailingState", &["mailingstateprovince"]),
                ("MailingPostalCode", &["mailingzippostalcode"]),
                ("MailingCountry", &[]),
            ],
            (Provider::Salesforce, "account") => &[
                ("Name", &["accountname"]),
                ("Phone", &["accountphone"]),
                ("Fax", &["accountfax"]),
                ("Website", &[]),
                ("Industry", &[]),
                ("Description", &["accountdescription"]),
                ("NumberOfEmployees", &["employees"]),
                ("AnnualRevenue", &[]),
                ("BillingStreet", &[]),
                ("BillingCity", &[]),
                ("BillingState", &["billingstateprovince"]),
                ("BillingPostalCode", &["billingzippostalcode"]),
                ("BillingCountry", &[]),
            ],
            _ => &[],
        }
    }
}

/// What a column is for.
struct Proposal<'a> {
    column: &'a str,
    /// Known by its name.
    field: Option<&'static str>,
}

pub(crate) fn init(global: &GlobalArgs, args: &InitArgs) -> Result<Exit, Failure> {
    let path = &global.new_project();
    let dir = path.parent().unwrap_or(Path::new(""));
    let first = first(dir, &args.records).or_exit(Exit::Usage)?;
    let (file, told) = project(args, &first).or_exit(Exit::Usage)?;
    let made = OpenOptions::new().write(true).create_new(true).open(path).and_then(|mut made| {
        made.write_all(file.as_bytes())?;
        made.sync_all()
    });
    made.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => anyhow!(
            "{} is there already, and was not changed; name another file with --project FILE",
            path.display()
        ),
        _ => anyhow!("cannot write {}: {error}", path.display()),
    })
    .or_exit(Exit::Usage)?;
    let token = args.provider.token();
    terminal::print(format_args!(
        "Wrote {}.\n{told}\nNext:\n\n  export {token}=…\n  reverse-sync check\n  reverse-sync plan golden --compare\n",
        path.display()
    ));
    Ok(Exit::Ok)
}

/// The first golden records.
fn first(dir: &Path, pattern: &str) -> anyhow::Result<RecordBatch> {
    let mut source = RecordSource::open(pattern, dir, RecordOptions::default())?;
    source.next_batch(ROWS)?.with_context(|| format!("{pattern} has no records"))
}

/// The project file, and what to tell about it.
fn project(args: &InitArgs, first: &RecordBatch) -> anyhow::Result<(String, String)> {
    let provider = args.provider;
    if provider == Provider::Salesforce && args.base_url.is_none() {
        bail!(
            "Required: --base-url, the address of the org, such as https://acme.my.salesforce.com"
        );
    }
    let object = args.object.as_deref().unwrap_or(provider.object());
    let schema = first.schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let id_column = id_column(args, &columns)?;
    let proposals = proposals(provider, object, &columns, id_column);

    let known = proposals.iter().filter(|proposal| proposal.field.is_some()).count();
    let mut told = format!(
        "{known} of {} columns are known as fields of {}'s {object}; `{}` is the record id.\n",
        proposals.len(),
        provider.name(),
        one_line(id_column)
    );
    let unknown: Vec<&str> = proposals
        .iter()
        .filter(|proposal| proposal.field.is_none())
        .map(|proposal| proposal.column)
        .collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(", ");
        told.push_str(&format!("Not mapped, and not written: {}.\n", one_line(&unknown)));
    }
    if let Some(odd) = odd_id(provider, first, id_column) {
        told.push_str(&format!(
            "`{}` holds `{}`, which does not look like a record id of {}: it must be as the CRM issued it.\n",
            one_line(id_column),
            one_line(&odd),
            provider.name()
        ));
    }
    Ok((written(args, object, id_column, &proposals), told))
}

fn written(args: &InitArgs, object: &str, id_column: &str, proposals: &[Proposal<'_>]) -> String {
    let provider = args.provider;
    let base_url = match &args.base_url {
        Some(url) => format!("base_url = {}\n", quoted(url)),
        None => String::new(),
    };
    let entity_type = match object.to_ascii_lowercase().as_str() {
        "contacts" | "contact" | "leads" | "lead" => "person".to_owned(),
        "companies" | "account" => "company".to_owned(),
        other => other.to_owned(),
    };
    let mut fields = String::new();
    for Proposal { column, field } in proposals {
        fields.push_str(&match field {
            Some(field) => format!("{} = {}\n", quoted(column), quoted(field)),
            None => format!("# {} = \"\"\n", quoted(column)),
        });
    }
    format!(
        "\
# Which account the golden records are written to, and where its token is: never the token itself.
[sources.crm]
provider = \"{}\"
{base_url}access_token = {{ env = \"{}\" }}

[destinations.golden]
destination_type = \"{}_dest\"
entity_type = {}   # what a golden record is
records = {}

[destinations.golden.config_json]
source_id = \"crm\"
object = {}
provider_id_field = {}   # the column with the CRM's record id

# Column = field of the CRM. Only these are written; write the name of a field to add one.
[destinations.golden.config_json.fields]
{fields}",
        provider.key(),
        provider.token(),
        provider.key(),
        quoted(&entity_type),
        quoted(&args.records),
        quoted(object),
        quoted(id_column),
    )
}

/// The column of the record ids: the one that was named, or the one whose name says so.
fn id_column<'a>(args: &InitArgs, columns: &[&'a str]) -> anyhow::Result<&'a str> {
    let listed = columns.join(", ");
    let listed = one_line(&listed);
    if let Some(name) = &args.id_column {
        let found = columns.iter().find(|column| *column == name);
        return found.copied().ok_or_else(|| {
            anyhow!("the golden records have no column `{name}`; the columns are {listed}")
        });
    }
    for name in args.provider.id_names() {
        let named: Vec<&str> =
            columns.iter().copied().filter(|column| plain(column) == *name).collect();
        match named.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => bail!(
                "each of {} may be the record id; say which with --id-column",
                one_line(&several.join(", "))
            ),
        }
    }
    bail!(
        "no column is called what {}'s record id is mostly called (such as {}); say which it is with --id-column: {listed}",
        args.provider.name(),
        if args.provider == Provider::Hubspot { "hs_object_id or Record ID" } else { "Id" },
    )
}

fn proposals<'a>(
    provider: Provider,
    object: &str,
    columns: &[&'a str],
    id_column: &str,
) -> Vec<Proposal<'a>> {
    let fields = provider.fields(object);
    let mut taken: Vec<&str> = Vec::new();
    let mut proposals = Vec::new();
    for column in columns.iter().filter(|column| **column != id_column && !column.starts_with("__"))
    {
        let name = plain(column);
        let field = fields
            .iter()
            .find(|(field, labels)| plain(field) == name || labels.contains(&name.as_str()))
            .map(|(field, _)| *field)
            // A field that two columns may mean is the first one's; nobody knows about the other.
            .filter(|field| !taken.contains(field));
        taken.extend(field);
        proposals.push(Proposal { column, field });
    }
    proposals
}

/// An id that is not one, if there is one in the first records.
fn odd_id(provider: Provider, first: &RecordBatch, column: &str) -> Option<String> {
    let ids = first.column_by_name(column)?;
    let ids = ids.as_string_opt::<i32>()?;
    let odd = ids.iter().flatten().find(|id| !id.is_empty() && !provider.is_id(id))?;
    Some(odd.chars().take(40).collect())
}

/// The letters and digits of a name, in lower case.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A basic string of TOML, which is good as a key, too.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() || acts(c) => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, StringArray};
    use std::sync::Arc;

    fn args(provider: Provider, id_column: Option<&str>) -> InitArgs {
        InitArgs {
            provider,
            records: "golden \"x\".csv".to_owned(),
            object: None,
            id_column: id_column.map(str::to_owned),
            base_url: (provider == Provider::Salesforce).then(|| "https://a.example".to_owned()),
        }
    }

    fn batch(columns: &[&str], id: &str) -> RecordBatch {
        let column = |_: &&str| Arc::new(StringArray::from(vec![id])) as ArrayRef;
        RecordBatch::try_from_iter(columns.iter().map(|name| (*name, column(name)))).unwrap()
    }

    #[test]
    fn what_is_written_is_a_project_file_with_the_columns_that_are_known() {
        let columns =
            ["Record ID", "First Name", "E-Mail", "Last \"Name\"", "VIP\u{7f}\\", "__why"];
        let (file, told) = project(&args(Provider::Hubspot, None), &batch(&columns, "17")).unwrap();
        let read: toml::Table = file.parse().unwrap();
        let destination = &read["destinations"]["golden"];
        assert_eq!(destination["records"].as_str(), Some("golden \"x\".csv"));
        let config = &destination["config_json"];
        assert_eq!(config["provider_id_field"].as_str(), Some("Record ID"));
        let fields = config["fields"].as_table().unwrap();
        let fields: Vec<_> =
            fields.iter().map(|(column, field)| (column.as_str(), field.as_str())).collect();
        assert_eq!(
            fields,
            [
                ("First Name", Some("firstname")),
                ("E-Mail", Some("email")),
                ("Last \"Name\"", Some("lastname")),
            ]
            .into_iter()
            .collect::<std::collections::BTreeMap<_, _>>()
            .into_iter()
            .collect::<Vec<_>>()
        );
        assert!(told.starts_with("3 of 4 columns are known"), "{told}");
        assert!(told.contains("not written: VIP") && !told.contains("does not look"), "{told}");
        // Whoever removes the `#` and names a field has a valid file still.
        let opened = file.replace("# \"VIP", "\"VIP").replace("= \"\"", "= \"vip\"");
        assert_eq!(
            opened.parse::<toml::Table>().unwrap()["destinations"]["golden"]["config_json"]["fields"]
                ["VIP\u{7f}\\"]
                .as_str(),
            Some("vip")
        );
    }

    #[test]
    fn what_is_not_known_is_asked_for() {
        let error = |provider, id_column, columns: &[&str]| {
            project(&args(provider, id_column), &batch(columns, "x")).unwrap_err().to_string()
        };
        let none = error(Provider::Hubspot, None, &["key", "email"]);
        assert!(none.contains("--id-column: key, email"), "{none}");
        let two = error(Provider::Salesforce, None, &["Id", "ID", "Email"]);
        assert!(two.contains("each of Id, ID may be"), "{two}");
        let other = error(Provider::Hubspot, Some("ky"), &["key", "email"]);
        assert!(other.contains("no column `ky`; the columns are key, email"), "{other}");
        let mut salesforce = args(Provider::Salesforce, None);
        salesforce.base_url = None;
        let required = project(&salesforce, &batch(&["Id"], "x")).unwrap_err().to_string();
        assert!(required.starts_with("Required: --base-url"), "{required}");
    }

    #[test]
    fn ids_that_look_wrong_are_pointed_out_and_a_field_is_proposed_once() {
        for (provider, id, odd) in [
            (Provider::Hubspot, "492564112121", false),
            (Provider::Hubspot, "4.92564E+11", true),
            (Provider::Salesforce, "0035t0000000001AAA", false),
            (Provider::Salesforce, "17", true),
        ] {
            let columns = ["id", "phone", "Phone Number"];
            let (file, told) = project(&args(provider, None), &batch(&columns, id)).unwrap();
            assert_eq!(told.contains("does not look like"), odd, "{told}");
            assert!(file.contains("# \"Phone Number\" = \"\""), "{file}");
        }
    }
}
