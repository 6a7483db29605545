//! The gate: the one way from a plan to a run.
//!
//! [`run`](crate::run::run) takes a [`ConfirmedPlan`], and only [`Plan::confirm`] makes one, from a [`Confirmation`] that names the
//! plan it is for. What somebody saw under one id cannot be used to confirm another.

use crate::{
    component::Component,
    destination::Destination,
    egress::base_url::BaseUrl,
    plan::{Plan, PlanError, PlanId},
};

/// Somebody looked at a plan and said yes to it.
#[derive(Clone, Debug)]
pub struct Confirmation {
    plan_id: PlanId,
}

impl Confirmation {
    /// An explicit yes to this plan: typed at a prompt, given by a flag, or sent as `{"confirm": true}`.
    pub fn explicit(plan_id: PlanId) -> Confirmation {
        Confirmation { plan_id }
    }
}

/// A plan that somebody confirmed, for the destination and the component it was made with.
#[derive(Debug)]
pub struct ConfirmedPlan {
    plan: Plan,
}

/// Why the gate stays shut.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The confirmation is for another plan.
    #[error("the confirmation is for plan {confirmed}, not for {plan}")]
    OtherPlan {
        /// What was confirmed.
        confirmed: PlanId,
        /// What should run.
        plan: PlanId,
    },
    /// The plan, or what it was made from, is not what it was.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Plan {
    /// Opens the gate for this plan, if it is still the plan for this destination and this component.
    ///
    /// # Errors
    /// If the confirmation is for another plan, or the destination, the component or the golden records have changed.
    pub fn confirm(
        self,
        confirmation: Confirmation,
        destination: &Destination,
        base_url: &BaseUrl,
        component: &Component,
    ) -> Result<ConfirmedPlan, Refused> {
        if confirmation.plan_id != *self.id() {
            return Err(Refused::OtherPlan { confirmed: confirmation.plan_id, plan: self.id().clone() });
        }
        let stale = |what: String| PlanError::Stale { id: self.id().clone(), what };
        let header = self.header();
        if header.destination != *destination {
            return Err(stale(format!("the destination `{}` is configured differently now", destination.name)).into());
        }
        if header.base_url != base_url.as_str() {
            return Err(stale(format!("the source's base_url was {} and is {base_url} now", header.base_url)).into());
        }
        if header.component.digest != component.digest() {
            return Err(stale(format!("it was made by component {} and this is {}", header.component.digest, component.digest())).into());
        }
        self.check_records()?;
        Ok(ConfirmedPlan { plan: self })
    }
}

impl ConfirmedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
