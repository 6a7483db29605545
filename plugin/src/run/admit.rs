//! Before a change is written: is it still what was confirmed?
//!
//! A change that was planned with the previous values is not written over what somebody has changed
//! since (drift). One that was planned offline is compared with the CRM's metadata: a value that the
//! CRM would need in another form fails here, with the advice to plan online, rather than being
//! sent as something else than was confirmed.

use super::doubt::{changed_in_doubt, gone_in_doubt, unreadable};
use super::runner::Runner;
use crate::config::policy::OnDrift;
use crate::contract::changes::{Changes, Failure, Outcomes};
use crate::contract::types::Error;
use crate::crm::held::{Held, confirmed, restorable};
use crate::crm::network::Network;
use crate::provider::Provider;
use crate::provider_id::shown;
use crate::values::field::{Kind, Metadata};
use crate::values::members::Members;
use crate::values::normal::{Likeness, NOTHING, Rules, Values, likeness, member};
use crate::values::{
    coerce::{self, Refusal},
    encode, json, times,
};
use serde_json::Value;
use serde_json::value::RawValue;

/// A member that may be written, and when its record was last modified, if that was asked for.
pub(super) type Admitted = Vec<(usize, Option<String>)>;

/// The field that tells when a Salesforce record was last modified.
const MODIFIED: &str = "LastModifiedDate";

impl<N: Network> Runner<'_, N> {
    /// The members that may be written; the others get their outcome here. Those in doubt may have
    /// been written before.
    pub(super) async fn admit(
        &self,
        changes: &Changes,
        members: Vec<usize>,
        doubtful: bool,
    ) -> Result<Admitted, Error> {
        let mut outcomes = Outcomes::new();
        let mut rest = members;
        if let Some(metadata) = self.crm.metadata().filter(|_| self.offline) {
            rest.retain(|member| match unfit(self.crm.config.provider, self.crm.config.policy.time_zone, metadata, &self.joined, changes.fields(*member)) {
                None => true,
                Some(why) => {
                    let message = format!("{why}. The plan was made offline: plan with --online, which brings values into the CRM's form");
                    outcomes.failed(changes.row(*member), &Failure::ours("plan_online", message));
                    false
                }
            });
        }
        let compares = self.crm.config.policy.on_drift == OnDrift::Skip
            && rest.first().is_some_and(|first| changes.before(*first).is_some());
        let admitted = if compares {
            self.undrifted(changes, &rest, doubtful, &mut outcomes).await?
        } else {
            rest.into_iter().map(|member| (member, None)).collect()
        };
        self.push(&outcomes)?;
        Ok(admitted)
    }

    async fn undrifted(
        &self,
        changes: &Changes,
        members: &[usize],
        doubtful: bool,
        outcomes: &mut Outcomes,
    ) -> Result<Admitted, Error> {
        let mut wanted = confirmed(changes, members);
        let conditional = self.crm.requests.update_one_unmodified.is_some() && self.one_by_one();
        if conditional {
            // Asked for in the same read; it is not part of the change.
            wanted.values_mut().for_each(|fields| {
                drop(fields.insert(MODIFIED.to_owned(), RawValue::NULL.to_owned()))
            });
        }
        let held = self.crm.held(changes, members, &wanted).await?;
        let rules = self.crm.rules().await?;
        let mut admitted = Vec::with_capacity(members.len());
        for (at, held) in held {
            let row = changes.row(at);
            match held {
                Held::Values(held) => match self.drift(&rules, changes, at, doubtful, &held) {
                    Drift::None => {
                        let modified = held
                            .get(MODIFIED)
                            .filter(|_| conditional)
                            .and_then(|value| json::text(value.get()));
                        admitted.push((
                            at,
                            modified.and_then(|date| times::instant(&date)).map(http_date),
                        ));
                    }
                    Drift::Already if doubtful => outcomes.updated(row),
                    Drift::Already => outcomes.unchanged(row),
                    Drift::Changed(what) if doubtful => {
                        outcomes.unknown(row, &changed_in_doubt(changes.id(at), &what))
                    }
                    Drift::Changed(what) => {
                        let message = format!(
                            "record {} has changed since: {what}; plan again to see it",
                            changes.id(at)
                        );
                        outcomes.drifted(row, &Failure::ours("drifted", message));
                    }
                },
                Held::Gone(failure) if doubtful => outcomes.unknown(row, &gone_in_doubt(failure)),
                Held::Gone(failure) => outcomes.failed(row, &failure),
                Held::Unreadable(why) => {
                    let message = format!(
                        "record {} was not written, because {} would not show whether it has changed since it was planned ({why})",
                        changes.id(at),
                        self.crm.config.provider.name()
                    );
                    match doubtful {
                        true => outcomes.unknown(row, &unreadable(changes.id(at), &why)),
                        false => outcomes.failed(row, &Failure::ours("unreadable", message)),
                    }
                }
            }
        }
        Ok(admitted)
    }

    fn drift(
        &self,
        rules: &Rules<'_>,
        changes: &Changes,
        at: usize,
        doubtful: bool,
        held: &Values,
    ) -> Drift {
        let before: Values =
            changes.before(at).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut changed = rules.differing(&before, held);
        if changed.is_empty() {
            return Drift::None;
        }
        let fields: Values = serde_json::from_str(changes.fields(at)).unwrap_or_default();
        if !fields.is_empty() && rules.all(&fields, held).is_ok_and(|least| least >= Likeness::Same)
        {
            return Drift::Already;
        }
        if doubtful {
            // What holds the confirmed value may be our own write.
            let differing = rules.differing(&fields, held);
            changed.retain(|name| differing.contains(name));
            if changed.is_empty() {
                return Drift::None;
            }
        }
        let now: Values = serde_json::from_str(&restorable(
            self.crm.config.provider,
            rules.metadata,
            &before,
            held,
        ))
        .unwrap_or_default();
        let told = changed.into_iter().map(|name| {
            let (was, is) =
                (member(&before, name).unwrap_or(NOTHING), member(&now, name).unwrap_or(NOTHING));
            format!("`{name}` was {was} when planned and is {is} now")
        });
        Drift::Changed(told.collect::<Vec<_>>().join(", "))
    }
}

enum Drift {
    /// The record holds what it held.
    None,
    /// It holds what would be written.
    Already,
    /// Which fields hold what.
    Changed(String),
}

/// The form of RFC 9110. `If-Unmodified-Since` counts whole seconds (crm-apis B3).
fn http_date(milliseconds: i64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut iso = String::new();
    if !encode::push_timestamp(&mut iso, milliseconds.saturating_mul(1_000)) {
        return iso;
    }
    let weekday = DAYS[milliseconds.div_euclid(86_400_000).rem_euclid(7) as usize];
    let month = iso[5..7]
        .parse::<usize>()
        .ok()
        .and_then(|month| MONTHS.get(month - 1))
        .copied()
        .unwrap_or_default();
    format!("{weekday}, {} {month} {} {} GMT", &iso[8..10], &iso[..4], &iso[11..19])
}

/// Why a confirmed value is not in the form that its field takes, if it could be brought into it.
fn unfit(
    provider: Provider,
    zone: Option<i64>,
    metadata: &Metadata,
    joined: &[String],
    fields: &str,
) -> Option<String> {
    let fields = Members::parse(fields)?;
    fields.iter().find_map(|(name, value)| {
        // What cannot be written at all is refused by the CRM, in its own words; text goes as it
        // is.
        let field = metadata.field(provider, name).filter(|field| field.barred.is_none())?;
        let value: Value = serde_json::from_str(value).ok()?;
        let takes_one = !matches!(&field.kind, Kind::Choice(choice) if choice.multi);
        if takes_one
            && joined.iter().any(|joined| provider.same_field(joined, name))
            && value.as_str().is_some_and(|text| text.contains(';'))
        {
            return Some(format!(
                "`{name}` is a list, `{}`, and the field takes one value",
                shown(value.as_str().unwrap_or_default())
            ));
        }
        if matches!(
            field.kind,
            Kind::Text { .. }
                | Kind::Email { .. }
                | Kind::Other
                | Kind::Time
                | Kind::Reference
                | Kind::Masked
        ) {
            let is_text = value.is_string() || value.is_null() || matches!(field.kind, Kind::Other);
            return (!is_text).then(|| {
                format!("`{name}` is {value} without quotation marks, and the field takes text")
            });
        }
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => return None,
        };
        let (taken, remark) = match coerce::coerce(field, zone, &text) {
            Ok(taken) => taken?,
            Err(Refusal::Ambiguous(why)) => {
                return Some(format!("`{name}` is `{}`, which {why}", shown(&text)));
            }
            // The CRM refuses it, in its own words.
            Err(Refusal::Impossible(_)) => return None,
        };
        let mut json = String::new();
        coerce::push_json(provider, &field.kind, &taken, &mut json);
        let taken_value: Value = serde_json::from_str(&json).ok()?;
        // A `;` in front tells HubSpot to append (crm-apis A8), which is not what was confirmed.
        let appends = text.trim_start().starts_with(';');
        let trimmed = Value::from(text.trim()).to_string();
        let one = likeness(
            provider,
            Some(&field.kind),
            &trimmed,
            &Value::from(taken.as_ref()).to_string(),
        ) >= Likeness::Same;
        let same = taken_value == value
            || (taken_value.is_string() == value.is_string() && !remark.cut && !appends && one);
        (!same).then(|| {
            format!("`{name}` is `{}`, which the CRM takes as `{}`", shown(&text), shown(&taken))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::field::{Choice, CrmOption, Field};

    #[test]
    fn http_dates_have_their_form() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(1_796_027_694_999), "Mon, 30 Nov 2026 08:34:54 GMT");
    }

    #[test]
    fn only_values_that_would_need_another_form_are_unfit() {
        let field = |name: &str, kind| Field {
            name: name.to_owned(),
            kind,
            barred: None,
            may_be_empty: true,
        };
        let options = vec![CrmOption { value: "lead".to_owned(), label: "Lead".to_owned() }];
        let fields = [
            field(
                "stage",
                Kind::Choice(Choice { multi: false, open: false, options: options.clone() }),
            ),
            field("stages", Kind::Choice(Choice { multi: true, open: false, options })),
            field("amount", Kind::Number { scale: Some(2) }),
            field("day", Kind::Date),
            field("at", Kind::DateTime),
            field("name", Kind::Text { max: Some(5), trimmed: true }),
            field("yes", Kind::Bool),
            field("list", Kind::Text { max: None, trimmed: false }),
        ];
        for (provider, json, unfit_because) in [
            (
                Provider::HubSpot,
                r#"{"stage":"lead","amount":"12.50","day":"2026-10-02","name":"Ada","yes":"true"}"#,
                None,
            ),
            (
                Provider::HubSpot,
                r#"{"stage":"Lead"}"#,
                Some("`Lead`, which the CRM takes as `lead`"),
            ),
            (Provider::HubSpot, r#"{"stages":";lead"}"#, Some("`;lead`")),
            (Provider::HubSpot, r#"{"yes":"Yes"}"#, Some("takes as `true`")),
            (Provider::HubSpot, r#"{"day":"2026-10-02T00:00:00.000Z"}"#, None),
            (Provider::Salesforce, r#"{"amount":12.345}"#, Some("takes as `12.34`")),
            (Provider::Salesforce, r#"{"amount":12.34,"yes":true,"name":null}"#, None),
            // Not for us to say: the CRM refuses it in its own words.
            (Provider::Salesforce, r#"{"name":10115}"#, Some("takes text")),
            (Provider::Salesforce, r#"{"amount":"12.34"}"#, Some("takes as")),
            // The CRM would take one of two meanings.
            (Provider::HubSpot, r#"{"at":"1790899200"}"#, Some("seconds or milliseconds")),
            (Provider::HubSpot, r#"{"at":"20261002081530"}"#, Some("without separators")),
            (Provider::HubSpot, r#"{"at":"2026-10-02T08:15:30"}"#, Some("`time_zone`")),
            (Provider::HubSpot, r#"{"at":"yesterday"}"#, None),
            (Provider::HubSpot, r#"{"list":"+49 1;+49 2"}"#, Some("takes one value")),
            (Provider::HubSpot, r#"{"list":"+49 1","name":"a;b"}"#, None),
            (
                Provider::HubSpot,
                r#"{"stage":"Nope","name":"much too long","nickname":"x","amount":"x"}"#,
                None,
            ),
        ] {
            let metadata = Metadata::new(provider, fields.clone());
            let told = unfit(provider, None, &metadata, &["list".to_owned()], json);
            assert_eq!(told.is_some(), unfit_because.is_some(), "{json}: {told:?}");
            assert!(
                unfit_because.is_none_or(|why| told.as_deref().unwrap_or_default().contains(why)),
                "{told:?}"
            );
        }
    }
}
