//! Planning: golden records in, changes and skipped rows out.
//!
//! ```text
//!  records ─▶ planner: id, fields, columns ─▶ writable: a value ─▶ changes ─▶ host
//!                          confidence                                 └──────▶ compare: what does the CRM hold? ─▶ host
//! ```

pub(crate) mod columns;
mod compare;
mod confidence;
mod fields;
pub mod host;
mod planner;
#[cfg(test)]
mod tests;
mod writable;

use crate::config::{Config, invalid_key};
use crate::contract::types::{Error, PlanMode};
use crate::crm::conversation::Conversation;
use crate::crm::metadata;
use crate::crm::network::Network;
use crate::provider_id::shown;
use compare::Comparing;
use compare::comparer::Comparer;
use host::PlanHost;
use planner::plan;

/// Plans in one of the modes: offline without a request, online with the CRM's metadata, or
/// comparing with its records.
///
/// # Errors
/// Two columns that are one field to the CRM; a CRM that cannot be read; whatever the host's cursor
/// and sink fail with.
pub async fn plan_in<H: PlanHost, N: Network>(
    mode: PlanMode,
    config: &Config,
    entity_type: &str,
    network: &N,
    host: &mut H,
) -> Result<(), Error> {
    if let Some(warning) = misfit(entity_type, &config.object) {
        host.warn(&warning);
    }
    if !config.policy.fill_only.is_empty() && mode != PlanMode::Compare {
        let text = "`fill_only` needs to know what the CRM holds: plan in the mode `compare`, or set `\"compare\": true`";
        return Err(invalid_key("fill_only", text.to_owned()));
    }
    match mode {
        PlanMode::Offline => plan(config, None, host).await,
        PlanMode::Online => plan(config, Some(&metadata::read(config, network).await?), host).await,
        PlanMode::Compare => {
            let metadata = metadata::read(config, network).await?;
            let crm = Conversation::new(config, network);
            let comparer = Comparer::new(&metadata, &crm);
            let mut comparing = Comparing::new(&comparer, host);
            plan(config, Some(&metadata), &mut comparing).await?;
            comparing.finish().await
        }
    }
}

/// What to say if an object holds other records than the golden ones, such as people instead of
/// companies. Ids of both may be the same numbers.
fn misfit(entity_type: &str, object: &str) -> Option<String> {
    const PEOPLE: [&[&str]; 2] =
        [&["person", "people", "contact", "lead"], &["contacts", "0-1", "Contact", "Lead"]];
    const COMPANIES: [&[&str]; 2] =
        [&["company", "organization", "organisation", "account"], &["companies", "0-2", "Account"]];
    let is = |[entities, _]: [&[&str]; 2]| {
        entities.iter().any(|name| name.eq_ignore_ascii_case(entity_type))
    };
    let holds =
        |[_, objects]: [&[&str]; 2]| objects.iter().any(|name| name.eq_ignore_ascii_case(object));
    let differ = (is(PEOPLE) && holds(COMPANIES)) || (is(COMPANIES) && holds(PEOPLE));
    differ.then(|| {
        format!(
            "the golden records are of entity type `{}`, and the CRM's object `{object}` holds something else; check `object`",
            shown(entity_type)
        )
    })
}
