//! `reverse-sync show`: a plan that is kept here, change by change.

use crate::{
    exit::{Exit, Failure, OrExit},
    global_args::GlobalArgs,
    render, terminal,
    workspace::Workspace,
};
use clap::Args;
use reverse_sync::plan::{self, ChangeFilter, Cursor, Page, PlanError, PlanId};
use serde::Serialize;
use std::{fmt::Write as _, io::Write as _, path::Path};

/// Entries that a person is shown unless they ask for more.
const SHOWN: u64 = 50;

#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The plan: its id, or the beginning of one
    plan: String,
    /// Only the change of this record
    #[arg(long, value_name = "RECORD_ID")]
    id: Option<String>,
    /// Only changes that write this field, by its CRM name
    #[arg(long, value_name = "FIELD")]
    field: Option<String>,
    /// The skipped rows and their reasons instead of the changes
    #[arg(long, conflicts_with_all = ["id", "field"])]
    skipped: bool,
    /// Show at most so many [default: 50; with --json all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// Print JSON Lines, a change or skipped rows in each, with the whole values
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) async fn show(global: &GlobalArgs, args: &ShowArgs) -> Result<Exit, Failure> {
    let workspace = Workspace::open(global).await?;
    let plan = workspace.plan_id(&args.plan)?;
    let plans_dir = workspace.plans_dir();
    let limit = args.limit.unwrap_or(if args.json { u64::MAX } else { SHOWN });
    let more = if args.skipped {
        let page = |after, limit| plan::skipped_page(&plans_dir, &plan, after, limit);
        pages(limit, page, |rows| entry(args.json, rows, render::skipped))?
    } else {
        let filter = ChangeFilter { field: args.field.clone(), provider_id: args.id.clone() };
        let page = |after, limit| plan::changes_page(&plans_dir, &plan, after, limit, &filter);
        let shown = pages(limit, page, |change| entry(args.json, change, render::change))?;
        known(&plans_dir, &plan, &filter, &shown)?;
        shown
    };
    if !args.json {
        say(args, &more);
    }
    Ok(Exit::Ok)
}

/// What was shown, and whether that was all.
struct Shown {
    entries: u64,
    more: bool,
}

/// Goes through the pages until `limit` entries are printed.
fn pages<T>(
    limit: u64,
    page: impl Fn(Option<Cursor>, usize) -> Result<Page<T>, PlanError>,
    print: impl Fn(&T) -> std::io::Result<()>,
) -> Result<Shown, Failure> {
    let (mut entries, mut after) = (0, None);
    loop {
        let left = limit - entries;
        let found = page(after, left.min(plan::MAX_LIMIT as u64) as usize).or_exit(Exit::Usage)?;
        for item in &found.items {
            print(item).or_exit(Exit::Usage)?;
        }
        entries += found.items.len() as u64;
        match found.next {
            None => return Ok(Shown { entries, more: false }),
            Some(_) if entries == limit => return Ok(Shown { entries, more: true }),
            next => after = next,
        }
    }
}

fn entry<T: Serialize>(
    json: bool,
    entry: &T,
    text: impl Fn(&mut String, &T) -> std::fmt::Result,
) -> std::io::Result<()> {
    let mut line = String::new();
    if json {
        line = serde_json::to_string(entry)?;
        line.push('\n');
    } else {
        // Writing to a string cannot fail.
        let _ = text(&mut line, entry);
    }
    terminal::out().write_all(line.as_bytes())
}

/// A filter that nothing fits is most often misspelled: says what there is.
fn known(
    plans_dir: &Path,
    plan: &PlanId,
    filter: &ChangeFilter,
    shown: &Shown,
) -> Result<(), Failure> {
    if shown.entries > 0 || *filter == ChangeFilter::default() {
        return Ok(());
    }
    let header = plan::Header::read(plans_dir, plan).or_exit(Exit::Usage)?;
    let mut text = format!("no change of {plan} fits");
    if let Some(id) = &filter.provider_id {
        let _ = write!(text, "; record {id} is not changed by it, or not in these fields");
    }
    if let Some(field) = filter.field.as_ref().filter(|field| !header.fields.contains_key(*field)) {
        let fields: Vec<&str> = header.fields.keys().map(String::as_str).collect();
        let _ = write!(text, "; it does not write `{field}`, but {}", fields.join(", "));
    }
    terminal::say(text);
    Ok(())
}

fn say(args: &ShowArgs, shown: &Shown) {
    if shown.more {
        terminal::say(format_args!(
            "There are more than these {}: --limit N shows more, --json all",
            shown.entries
        ));
    } else if shown.entries == 0 && args.skipped {
        terminal::say("No row is skipped.");
    } else if shown.entries == 0 && args.id.is_none() && args.field.is_none() {
        terminal::say("No record would be updated; --skipped shows why.");
    }
}
