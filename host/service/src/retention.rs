//! What is not kept for ever: plans that nobody has run, the golden sets that they were made from,
//! and request logs.
//!
//! A plan that was run stays, and so does its journal: they are what its run was, and what it takes
//! to undo it. Whether it was run is for the journals to say too: the database may have been put
//! back to an older one. What no row knows is set aside, not removed.

use super::{
    app::{App, OrgFolder},
    observe::request_log,
    store::{StoreError, now_ms},
};
use reverse_sync::{
    journal::{self, RunId},
    plan::PlanId,
    private_file,
};
use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

/// How long a folder that no row knows is left alone: somebody may be about to make the row.
const STRAY: Duration = Duration::from_secs(24 * 3600);

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Plans that nobody has run.
    pub plans: u64,
    /// What lay among them and was set aside, because no row knows it.
    pub set_aside: u64,
    /// Golden sets that were replaced and that no plan needs any more.
    pub golden_sets: u64,
    /// Request logs.
    pub request_logs: u64,
}

/// Removes what is older than it is kept.
///
/// # Errors
/// If the store or the disk refuses; what is left is tried again the next time.
pub async fn sweep(app: &Arc<App>, keep_plans: Duration) -> Result<Swept, SweepError> {
    let before = now_ms().saturating_sub(i64::try_from(keep_plans.as_millis()).unwrap_or(i64::MAX));
    let mut swept = Swept::default();
    let mut run = HashMap::new();
    for (org_id, _, _) in app.store.orgs().await? {
        let journals = journals(&app.folder(&org_id))?;
        run.insert(org_id, journals);
    }
    let was_run =
        |org_id: &str, plan: &str| run.get(org_id).is_none_or(|journals| is_run(journals, plan));
    for (org_id, plan_id) in app.store.remove_old_plans(before, was_run).await? {
        remove_dir(&app.folder(&org_id).plans().join(plan_id))?;
        swept.plans += 1;
    }
    for (org_id, file_name) in app.store.remove_unneeded_golden().await? {
        remove_file(&app.folder(&org_id).golden().join(file_name))?;
        swept.golden_sets += 1;
    }
    for (org_id, _, _) in app.store.orgs().await? {
        let folder = app.folder(&org_id);
        for name in strays(&folder.plans())? {
            if !was_run(&org_id, &name) && app.store.plan(&org_id, &name).await?.is_none() {
                set_aside(&folder, &name)?;
                swept.set_aside += 1;
            }
        }
    }
    let orgs_dir = app.orgs_dir();
    swept.request_logs =
        tokio::task::spawn_blocking(move || request_log::sweep(&orgs_dir, request_log::KEPT))
            .await
            .map_err(io::Error::other)??;
    Ok(swept)
}

/// Why not everything was removed.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Names of what has lain in a folder for a while.
fn strays(dir: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let age =
            SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if let (true, Ok(name)) = (age > STRAY, entry.file_name().into_string()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The first digits of the plans that the journals of an org name.
fn journals(folder: &OrgFolder) -> io::Result<HashSet<String>> {
    Ok(journal::runs(&folder.runs())?
        .into_iter()
        .map(|(run_id, _)| run_id.plan_digits().to_owned())
        .collect())
}

fn is_run(journals: &HashSet<String>, plan: &str) -> bool {
    plan.parse::<PlanId>().is_ok_and(|plan| journals.contains(RunId::new(&plan, 1).plan_digits()))
}

/// Puts what no row knows where nobody looks for plans.
fn set_aside(folder: &OrgFolder, name: &str) -> io::Result<()> {
    private_file::create_dir(&folder.strays())?;
    let from = folder.plans().join(name);
    let mut to = folder.strays().join(name);
    for number in 2.. {
        if !to.exists() {
            break;
        }
        to = folder.strays().join(format!("{name}.{number}"));
    }
    tracing::warn!(from = %from.display(), to = %to.display(), "no row of the database knows this: it was set aside");
    gone(fs::rename(from, to))
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    gone(fs::remove_dir_all(dir))
}

fn remove_file(file: &Path) -> io::Result<()> {
    gone(fs::remove_file(file))
}

fn gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
