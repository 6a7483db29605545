//! What the checks found, for people and programs.

use super::{Found, Stop};
use crate::exit::{Exit, Failure};
use reverse_sync::{Component, visible::one_line};
use serde_json::{Value, json};

/// The checks so far, in their order.
pub(super) struct Checks<'a> {
    component: &'a Component,
    done: Vec<Check>,
}

struct Check {
    name: &'static str,
    state: State,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Failed,
    NotChecked,
}

impl State {
    fn for_people(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Failed => "FAILED",
            State::NotChecked => "NOT CHECKED",
        }
    }

    fn for_programs(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Failed => "failed",
            State::NotChecked => "not_checked",
        }
    }
}

impl Checks<'_> {
    pub(super) fn new(component: &Component) -> Checks<'_> {
        Checks { component, done: Vec::new() }
    }

    /// One more check.
    ///
    /// # Errors
    /// If the kit itself could not go on.
    pub(super) fn add(&mut self, name: &'static str, found: Found) -> Result<(), Failure> {
        let (state, detail) = match found {
            Ok(detail) => (State::Ok, detail),
            Err(Stop::Failed(detail)) => (State::Failed, detail),
            Err(Stop::NotChecked(detail)) => (State::NotChecked, detail),
            Err(Stop::Broken(error)) => {
                return Err(Failure::new(
                    Exit::Usage,
                    error.context(format!("the check `{name}`")),
                ));
            }
        };
        self.done.push(Check { name, state, detail });
        Ok(())
    }

    fn count(&self, state: State) -> usize {
        self.done.iter().filter(|check| check.state == state).count()
    }

    pub(super) fn failed(&self) -> usize {
        self.count(State::Failed)
    }

    pub(super) fn to_json(&self) -> Value {
        let checks = self.done.iter().map(|check| {
            json!({"name": check.name, "result": check.state.for_programs(), "detail": check.detail})
        });
        json!({
            "plugin": self.component.descriptor().name,
            "digest": self.component.digest().to_string(),
            "ok": self.failed() == 0,
            "complete": self.count(State::NotChecked) == 0,
            "checks": checks.collect::<Vec<_>>(),
        })
    }

    pub(super) fn to_text(&self) -> String {
        let descriptor = self.component.descriptor();
        let (name, version) = (one_line(&descriptor.name), one_line(&descriptor.version));
        let mut out = format!("{name} {version}\n{}\n\n", self.component.digest());
        for check in &self.done {
            let (state, name) = (check.state.for_people(), check.name.replace('_', " "));
            out.push_str(&format!("  {state:<11}  {name:<12}  {}\n", one_line(&check.detail)));
        }
        let of =
            |count: usize| if count == 1 { "1 check".into() } else { format!("{count} checks") };
        let (failed, left) = (self.failed(), self.count(State::NotChecked));
        let left = if left > 0 { format!(", {} not made", of(left)) } else { String::new() };
        out + &match failed {
            0 => format!("\nNothing failed: {}{left}.\n", of(self.count(State::Ok)) + " passed"),
            _ => format!("\nIt does not keep the contract: {} failed{left}.\n", of(failed)),
        }
    }
}
