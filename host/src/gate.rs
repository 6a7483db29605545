//! The gate: the one way from a plan to a run.
//!
//! [`run`](crate::run::run) takes a [`ConfirmedPlan`], and only [`Plan::confirm`] makes one, from a
//! [`Confirmation`] that names the plan it is for. What somebody saw under one id cannot be used to
//! confirm another.
//!
//! ```
//! use reverse_sync::{Confirmation, ConfirmedPlan, Plan, PlanId, Refused, Target};
//!
//! /// `yes` is the id that somebody was shown and sent back.
//! fn confirm(people: &Target, plan: Plan, yes: PlanId) -> Result<ConfirmedPlan, Refused> {
//!     match people.confirm(plan.clone(), Confirmation::explicit(yes.clone())) {
//!         // Somebody looked at what the guards have found, and said yes in spite of one.
//!         Err(Refused::Guarded { guards, .. }) if guards.iter().all(|it| it.name == "max_changes") => {
//!             let names = guards.into_iter().map(|guard| guard.name);
//!             people.confirm(plan, Confirmation::explicit(yes).overriding(names))
//!         }
//!         answer => answer,
//!     }
//! }
//! ```

use crate::{
    component::Component,
    destination::Destination,
    egress::base_url::BaseUrl,
    guards,
    plan::{Guard, Plan, PlanError, PlanId},
};
use std::collections::BTreeSet;

/// Somebody looked at a plan and said yes to it.
#[derive(Clone, Debug)]
pub struct Confirmation {
    plan_id: PlanId,
    overridden: BTreeSet<String>,
}

impl Confirmation {
    /// An explicit yes to this plan: typed at a prompt, given by a flag, or sent as `{"confirm":
    /// true}`.
    pub fn explicit(plan_id: PlanId) -> Confirmation {
        Confirmation { plan_id, overridden: BTreeSet::new() }
    }

    /// And yes despite the guards with these names.
    pub fn overriding(mut self, names: impl IntoIterator<Item = String>) -> Confirmation {
        self.overridden.extend(names);
        self
    }
}

/// A plan that somebody confirmed, for the destination and the component it was made with.
#[derive(Debug)]
pub struct ConfirmedPlan {
    plan: Plan,
    overridden: Vec<String>,
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
    /// Guards have tripped and nobody has overridden them.
    #[error("nothing was written: {} of plan {plan}", held_back(.guards))]
    Guarded {
        /// The plan.
        plan: PlanId,
        /// The guards.
        guards: Vec<Guard>,
    },
    /// What should be overridden is not a guard.
    #[error("there is no guard `{name}` to override; {}", if .guards.is_empty() { "no guard holds this plan back".to_owned() } else { format!("this plan is held back by {}", guards::name_list(.guards).join(", ")) })]
    NoSuchGuard {
        /// What was overridden.
        name: String,
        /// The guards of the plan.
        guards: Vec<Guard>,
    },
    /// The plan, or what it was made from, is not what it was.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

fn held_back(guards: &[Guard]) -> String {
    // The plan says it all; a sentence should still end.
    let found: Vec<String> = match guards {
        few if few.len() <= 3 => {
            few.iter().map(|guard| format!("{} ({})", guard.name, guard.message)).collect()
        }
        many => guards::name_list(many).into_iter().map(str::to_owned).collect(),
    };
    format!(
        "{} {} back the confirmation",
        found.join(", "),
        if guards.len() == 1 { "holds" } else { "hold" }
    )
}

impl Plan {
    /// Whether a guard holds this plan back that these names do not override.
    ///
    /// # Errors
    /// Says which, or which of the names is not a guard.
    pub fn check_guards(&self, overridden: &BTreeSet<String>) -> Result<(), Refused> {
        let guards = &self.header().guards;
        let is_guard = |name: &str| {
            guards::NAMES.contains(&name) || guards.iter().any(|guard| guard.name == name)
        };
        if let Some(name) = overridden.iter().find(|name| !is_guard(name)) {
            return Err(Refused::NoSuchGuard { name: name.clone(), guards: guards.clone() });
        }
        let held: Vec<Guard> =
            guards.iter().filter(|guard| !overridden.contains(&guard.name)).cloned().collect();
        if held.is_empty() {
            Ok(())
        } else {
            Err(Refused::Guarded { plan: self.id().clone(), guards: held })
        }
    }

    /// Whether this is where it would be written.
    fn check_target(&self, destination: &Destination, base_url: &BaseUrl) -> Result<(), PlanError> {
        let (header, id) = (self.header(), self.id().clone());
        if header.destination != *destination {
            return Err(PlanError::Stale {
                id,
                what: format!(
                    "the destination `{}` is configured differently now",
                    destination.name
                ),
            });
        }
        if header.base_url != base_url.as_str() {
            return Err(PlanError::Stale {
                id,
                what: format!(
                    "the source's base_url was {} and is {base_url} now",
                    header.base_url
                ),
            });
        }
        Ok(())
    }

    /// Whether this is the component that made it.
    fn check_component(&self, component: &Component) -> Result<(), PlanError> {
        let (made_by, this) = (self.header().component.digest, component.digest());
        if made_by != this {
            let what = format!("it was made by plugin {made_by} and this is {this}");
            return Err(PlanError::Stale { id: self.id().clone(), what });
        }
        Ok(())
    }

    /// Opens the gate for this plan, if it is still the plan for this destination and this
    /// component.
    ///
    /// # Errors
    /// If the confirmation is for another plan, a guard has tripped that it does not override, or
    /// the destination, the component or the golden records have changed.
    pub fn confirm(
        self,
        confirmation: Confirmation,
        destination: &Destination,
        base_url: &BaseUrl,
        component: &Component,
    ) -> Result<ConfirmedPlan, Refused> {
        if confirmation.plan_id != *self.id() {
            return Err(Refused::OtherPlan {
                confirmed: confirmation.plan_id,
                plan: self.id().clone(),
            });
        }
        self.check_target(destination, base_url)?;
        self.check_component(component)?;
        self.check_records()?;
        self.check_guards(&confirmation.overridden)?;
        let header = self.header();
        // All that have tripped, or the gate would be shut now.
        let overridden = guards::name_list(&header.guards).into_iter().map(str::to_owned).collect();
        Ok(ConfirmedPlan { plan: self, overridden })
    }
}

impl ConfirmedPlan {
    /// Whether this is still where it was confirmed to be written, for what was confirmed a while
    /// ago.
    ///
    /// # Errors
    /// If the destination or the base URL has changed since.
    pub fn check_target(
        &self,
        destination: &Destination,
        base_url: &BaseUrl,
    ) -> Result<(), PlanError> {
        self.plan.check_target(destination, base_url)
    }

    /// Whether this is the component that it was confirmed for.
    pub(crate) fn check_component(&self, component: &Component) -> Result<(), PlanError> {
        self.plan.check_component(component)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Names of guards that had tripped and were overridden.
    pub fn overridden(&self) -> &[String] {
        &self.overridden
    }
}
