//! The two CRMs, and the few facts about them that planning and running share.

/// A CRM that golden records can be written back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// HubSpot, destination type `hubspot_dest`.
    HubSpot,
    /// Salesforce, destination type `salesforce_dest`.
    Salesforce,
}

impl Provider {
    /// Both, in the order in which they are described.
    pub const ALL: [Provider; 2] = [Provider::HubSpot, Provider::Salesforce];

    /// The provider that serves a destination type.
    pub fn of_destination(destination_type: &str) -> Option<Provider> {
        Provider::ALL.into_iter().find(|provider| provider.destination_type() == destination_type)
    }

    /// The destination type.
    pub fn destination_type(self) -> &'static str {
        match self {
            Provider::HubSpot => "hubspot_dest",
            Provider::Salesforce => "salesforce_dest",
        }
    }

    /// The provider's name in a source.
    pub fn key(self) -> &'static str {
        match self {
            Provider::HubSpot => "hubspot",
            Provider::Salesforce => "salesforce",
        }
    }

    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Provider::HubSpot => "HubSpot",
            Provider::Salesforce => "Salesforce",
        }
    }

    /// The column that usually holds the record id.
    pub fn usual_id_column(self) -> &'static str {
        match self {
            Provider::HubSpot => "hs_object_id",
            Provider::Salesforce => "Id",
        }
    }

    /// Whether this is a field that the CRM alone sets. Letter case does not matter: Salesforce
    /// ignores it, and no HubSpot property differs from these by case only.
    pub fn is_system_field(self, name: &str) -> bool {
        let fields: &[&str] = match self {
            Provider::HubSpot => &["id", "createdate", "lastmodifieddate", "hs_object_id"],
            Provider::Salesforce => &[
                "Id",
                "CreatedDate",
                "LastModifiedDate",
                "SystemModstamp",
                "IsDeleted",
                "CreatedById",
                "LastModifiedById",
                // Of a record's JSON: it says which object it is.
                "attributes",
            ],
        };
        fields.iter().any(|field| field.eq_ignore_ascii_case(name))
    }

    /// Whether the CRM moves a field's value forward only: a step back is refused, or ignored
    /// without a word (crm-apis A8).
    pub fn is_one_way(self, field: &str) -> bool {
        self == Provider::HubSpot && field == "lifecyclestage"
    }

    /// Whether two column names are one field to the CRM.
    pub fn same_field(self, a: &str, b: &str) -> bool {
        match self {
            Provider::HubSpot => a == b,
            Provider::Salesforce => a.eq_ignore_ascii_case(b),
        }
    }

    /// Whether a field of the CRM can have this name: HubSpot's internal names are lower case,
    /// Salesforce's API names have letters of both cases; neither has blanks.
    pub fn may_name_a_field(self, name: &str) -> bool {
        name.bytes().all(|b| match b {
            b'a'..=b'z' | b'0'..=b'9' | b'_' => true,
            b'A'..=b'Z' => self == Provider::Salesforce,
            _ => false,
        })
    }

    /// What the CRM calls the name of a field that its API takes.
    pub fn field_name_term(self) -> &'static str {
        match self {
            Provider::HubSpot => "internal name of a property, such as `firstname`",
            Provider::Salesforce => "API name of a field, such as `FirstName` or `Rank__c`",
        }
    }
}
