//! A plan as a notebook shows it: counts, what holds it back, and before and after. Every text is
//! escaped: values of records are anybody's.

use reverse_sync::{
    PlanSummary,
    values::{members, shown},
};
use std::fmt::{self, Display, Write};

/// A text between tags.
struct Escaped<T>(T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A plan.
pub(crate) fn plan(plan: &PlanSummary) -> String {
    let mut out = String::new();
    // Writing to a text cannot fail.
    let _ = write(&mut out, plan);
    out
}

fn write(out: &mut String, plan: &PlanSummary) -> fmt::Result {
    let place = plan.base_url.as_deref().unwrap_or_default();
    write!(
        out,
        "<div><p><strong>{} of {} records would be updated</strong> for {} ({} at {})<br><code>{}</code></p>",
        plan.writable,
        plan.total,
        Escaped(&plan.destination.name),
        Escaped(&plan.destination.destination_type),
        Escaped(place),
        Escaped(&plan.plan_id),
    )?;
    for guard in &plan.guards {
        write!(
            out,
            "<p><strong>Held back by {}</strong>: {}</p>",
            Escaped(&guard.name),
            Escaped(&guard.message)
        )?;
    }
    for warning in plan.warnings.iter().chain(&plan.hint) {
        write!(out, "<p>{}</p>", Escaped(warning))?;
    }
    counts(out, "Records of each field", &plan.fields)?;
    counts(out, "Skipped", &plan.skipped_by_reason)?;
    sample(out, plan)?;
    out.write_str("</div>")
}

fn counts<'n>(
    out: &mut String,
    title: &str,
    counts: impl IntoIterator<Item = (&'n String, &'n u64)>,
) -> fmt::Result {
    let mut counts = counts.into_iter().peekable();
    if counts.peek().is_none() {
        return Ok(());
    }
    write!(out, "<table><thead><tr><th>{title}</th><th></th></tr></thead><tbody>")?;
    for (name, count) in counts {
        write!(out, "<tr><td>{}</td><td>{count}</td></tr>", Escaped(name))?;
    }
    out.write_str("</tbody></table>")
}

/// Before and after, a row for each value.
fn sample(out: &mut String, plan: &PlanSummary) -> fmt::Result {
    let Some(sample) = plan.sample.as_deref().filter(|sample| !sample.is_empty()) else {
        return Ok(());
    };
    write!(
        out,
        "<table><caption>The first {} of {}</caption><thead><tr><th>Record</th><th>Field</th><th>Before</th><th>After</th></tr></thead><tbody>",
        sample.len(),
        plan.writable
    )?;
    for change in sample {
        let before = change.before.as_ref().map(|before| members(before.get()));
        for (field, after) in &members(change.fields.get()) {
            let before = match &before {
                Some(before) => shown(before.get(field)),
                None => "(not read)".to_owned(),
            };
            write!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                Escaped(&change.provider_id),
                Escaped(field),
                Escaped(before),
                Escaped(shown(Some(after)))
            )?;
        }
    }
    out.write_str("</tbody></table>")
}
