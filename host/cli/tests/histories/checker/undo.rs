//! An undo puts back what its run has written, and nothing else.

use super::{Found, Rule, view::View};

pub(super) fn check(view: &View<'_>, found: &mut Found) {
    let evidence = view.evidence;
    for (id, plan) in &evidence.plans {
        let Some(undone) = &plan.undoes else { continue };
        let Some(run) = evidence.runs.get(undone) else {
            found.add(Rule::Undo, format!("{id} undoes {undone}, which there is not"));
            continue;
        };
        let original = evidence.plans.get(&run.row.plan).map_or(&[][..], |plan| &plan.changes);
        for change in &plan.changes {
            let Some(of) = original.iter().find(|of| of.id == change.id) else {
                found.add(
                    Rule::Undo,
                    format!(
                        "{id} would write {}, which {undone} has nothing to do with",
                        change.id
                    ),
                );
                continue;
            };
            if of.before.as_ref() != Some(&change.fields) {
                found.add(
                    Rule::Undo,
                    format!(
                        "{id} would put {:?} back to {}, where {undone} found {:?}",
                        change.fields, change.id, of.before
                    ),
                );
            }
            if view.writes_of(undone, of).next().is_none() {
                found.add(
                    Rule::Undo,
                    format!("{id} would put {} back, which {undone} has not written", change.id),
                );
            }
        }
    }
}
