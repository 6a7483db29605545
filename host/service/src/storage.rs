//! How much an org keeps on disk, and whether it may keep more.
//!
//! An org's folder is measured by walking it, which takes the longer the more plans there are. So
//! that no request waits for that, a walk is done on a thread of its own, and what this service
//! adds and removes meanwhile is counted on top of the last one. A walk is repeated behind the
//! requests' back now and then (what runs write is seen by walks alone), and waited for only by a
//! request that would otherwise be refused.

use super::golden::STAGED;
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// A walk is done again after this, or after so many times what it took: measuring takes a
/// twentieth of one thread at most.
const OLD: Duration = Duration::from_secs(10);
const REST: u32 = 20;
/// A request that would be refused has the folder measured anew if the last walk is older than
/// this, or than so many times what it took.
const OLD_WHEN_FULL: Duration = Duration::from_secs(1);
const REST_WHEN_FULL: u32 = 4;
/// A file takes up whole blocks of the disk.
const BLOCK: u64 = 4_096;

/// What all orgs keep.
#[derive(Debug)]
pub struct Storage {
    orgs_dir: PathBuf,
    orgs: Mutex<HashMap<String, Arc<Org>>>,
}

/// Why there is no room for an org.
#[derive(Debug, thiserror::Error)]
pub enum NoRoom {
    /// It keeps as much as it may.
    #[error(
        "this org keeps {used} bytes of plans, runs and golden records, and may keep {allowed}; plans that nobody runs go by themselves after some days \
         (`serve --keep-plans-days`), and the operator can allow more (`reverse-sync orgs quota --stored-bytes`)"
    )]
    Full {
        /// Bytes that it keeps, with what is just coming in.
        used: u64,
        /// Bytes that it may keep.
        allowed: u64,
    },
    /// Its folder cannot be measured.
    #[error("cannot measure what an org keeps: {0}")]
    Io(#[from] io::Error),
}

/// Room for what is coming in. Once its length is known it is [held](Room::hold), until this is
/// dropped.
#[derive(Debug)]
pub struct Room {
    org: Arc<Org>,
    /// How many bytes may come: what was left when this was made, or what is held.
    pub bytes: u64,
    /// Bytes that the org may keep in all.
    pub allowed: u64,
    held: u64,
}

#[derive(Debug)]
struct Org {
    dir: PathBuf,
    known: Mutex<Known>,
    /// Held by the walk itself, which continues when nobody waits for it any more.
    measuring: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Known {
    /// The last walk.
    walk: Option<Walk>,
    /// Bytes that came and went since that walk began.
    since: i64,
    /// Bytes of all [`Room`]s.
    held: u64,
}

#[derive(Clone, Copy, Debug)]
struct Walk {
    bytes: u64,
    ended: Instant,
    took: Duration,
}

impl Storage {
    /// Measures the folders below this one, each of which is an org's.
    pub fn new(orgs_dir: PathBuf) -> Storage {
        Storage { orgs_dir, orgs: Mutex::default() }
    }

    /// Bytes that an org keeps. What it does itself is counted at once, what its runs write within
    /// seconds.
    ///
    /// # Errors
    /// If its folder cannot be read.
    pub async fn used(&self, org_id: &str) -> io::Result<u64> {
        let org = self.org(org_id);
        if org.known().walk.is_none() {
            org.measure(OLD, REST).await?;
        } else if org.is_old(OLD, REST) && org.measuring.try_lock().is_ok() {
            let org = Arc::clone(&org);
            tokio::spawn(async move {
                if let Err(error) = org.measure(OLD, REST).await {
                    tracing::warn!(%error, "what an org keeps cannot be measured");
                }
            });
        }
        Ok(org.known().used())
    }

    /// All the room that is left, for what comes without saying how long it is. Nothing is held: it
    /// stands in nobody's way.
    ///
    /// # Errors
    /// If nothing is left.
    pub async fn room(&self, org_id: &str, allowed: u64) -> Result<Room, NoRoom> {
        self.used(org_id).await?;
        let org = self.org(org_id);
        if org.known().taken() >= allowed {
            org.measure(OLD_WHEN_FULL, REST_WHEN_FULL).await?;
        }
        let taken = org.known().taken();
        if taken >= allowed {
            return Err(NoRoom::Full { used: taken, allowed });
        }
        Ok(Room { org, bytes: allowed - taken, allowed, held: 0 })
    }

    /// Whether an org may keep more than it does. What is just coming in does not count: it may
    /// come to nothing.
    ///
    /// # Errors
    /// If it may not.
    pub async fn has_room(&self, org_id: &str, allowed: u64) -> Result<(), NoRoom> {
        let mut used = self.used(org_id).await?;
        if used >= allowed {
            let org = self.org(org_id);
            org.measure(OLD_WHEN_FULL, REST_WHEN_FULL).await?;
            used = org.known().used();
        }
        if used < allowed { Ok(()) } else { Err(NoRoom::Full { used, allowed }) }
    }

    /// Counts what an org keeps from now on.
    pub fn added(&self, org_id: &str, bytes: u64) {
        self.org(org_id).known().since += signed(bytes);
    }

    /// Counts what an org keeps no longer.
    pub fn removed(&self, org_id: &str, bytes: u64) {
        self.org(org_id).known().since -= signed(bytes);
    }

    fn org(&self, org_id: &str) -> Arc<Org> {
        let mut orgs = lock(&self.orgs);
        if let Some(org) = orgs.get(org_id) {
            return Arc::clone(org);
        }
        let org = Arc::new(Org {
            dir: self.orgs_dir.join(org_id),
            known: Mutex::default(),
            measuring: Arc::default(),
        });
        orgs.insert(org_id.to_owned(), Arc::clone(&org));
        org
    }
}

impl Org {
    fn known(&self) -> MutexGuard<'_, Known> {
        lock(&self.known)
    }

    fn is_old(&self, age: Duration, rest: u32) -> bool {
        self.known().walk.is_none_or(|walk| walk.ended.elapsed() > age.max(walk.took * rest))
    }

    /// Walks the folder, unless somebody has just done so.
    async fn measure(self: &Arc<Self>, age: Duration, rest: u32) -> io::Result<()> {
        let alone = Arc::clone(&self.measuring).lock_owned().await;
        if !self.is_old(age, rest) {
            return Ok(());
        }
        let org = Arc::clone(self);
        let walking = tokio::task::spawn_blocking(move || {
            let _alone = alone;
            let (before, began) = (org.known().since, Instant::now());
            let bytes = size(&org.dir)?;
            let mut known = org.known();
            known.walk = Some(Walk { bytes, ended: Instant::now(), took: began.elapsed() });
            known.since -= before;
            Ok(())
        });
        walking.await.map_err(io::Error::other)?
    }
}

impl Known {
    fn used(&self) -> u64 {
        self.walk.map_or(0, |walk| walk.bytes).saturating_add_signed(self.since)
    }

    /// With what is just coming in.
    fn taken(&self) -> u64 {
        self.used().saturating_add(self.held)
    }
}

impl Room {
    /// Holds so many bytes against whatever else comes in, if they are left now.
    ///
    /// # Errors
    /// If they are not.
    pub async fn hold(&mut self, bytes: u64) -> Result<(), NoRoom> {
        if self.try_hold(bytes) {
            return Ok(());
        }
        self.org.measure(OLD_WHEN_FULL, REST_WHEN_FULL).await?;
        if self.try_hold(bytes) { Ok(()) } else { Err(self.full()) }
    }

    fn try_hold(&mut self, bytes: u64) -> bool {
        let mut known = self.org.known();
        let fits = bytes <= self.held
            || known.taken().saturating_sub(self.held).saturating_add(bytes) <= self.allowed;
        if fits {
            known.held = known.held - self.held + bytes;
            (self.held, self.bytes) = (bytes, bytes);
        }
        fits
    }

    /// What to say when more came than there is room for.
    pub fn full(&self) -> NoRoom {
        // Without the room itself: what came into it is thrown away.
        NoRoom::Full {
            used: self.org.known().taken().saturating_sub(self.held),
            allowed: self.allowed,
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.org.known().held -= self.held;
    }
}

/// Bytes that a file of this length takes up.
pub fn on_disk(length: u64) -> u64 {
    length.div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// Bytes of all files below a folder, which need not be there. What is removed meanwhile is not
/// counted, and neither are uploads that have not ended: there is a [`Room`] for those.
///
/// # Errors
/// If it cannot be read.
pub fn size(dir: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        let Some(entries) = there(fs::read_dir(&dir))? else { continue };
        for entry in entries {
            let Some(entry) = there(entry)? else { continue };
            // Of the entry itself: no link leads out of the folder.
            let Some(metadata) = there(entry.metadata())? else { continue };
            if metadata.is_dir() {
                dirs.push(entry.path());
            } else if !entry.file_name().as_encoded_bytes().starts_with(STAGED.as_bytes()) {
                bytes += on_disk(metadata.len());
            }
        }
    }
    Ok(bytes)
}

fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each statement leaves it consistent, so it is good after a panic, too.
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(dir: &Path, name: &str, bytes: usize) {
        let path = dir.join("org_1").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![0; bytes]).unwrap();
    }

    #[tokio::test]
    async fn what_is_there_comes_in_and_goes_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::new(dir.path().to_owned());
        assert_eq!(
            storage.used("org_2").await.unwrap(),
            0,
            "an org that keeps nothing has no folder"
        );
        file(dir.path(), "golden/set_1.csv", 5_000);
        file(dir.path(), "plans/plan_1/changes.arrow", 1);
        file(dir.path(), "golden/.upload-abc.csv", 100_000);
        assert_eq!(storage.used("org_1").await.unwrap(), 3 * BLOCK);
        storage.added("org_1", BLOCK);
        assert_eq!(storage.used("org_1").await.unwrap(), 4 * BLOCK);
        storage.removed("org_1", 2 * BLOCK);
        assert_eq!(storage.used("org_1").await.unwrap(), 2 * BLOCK);
    }

    #[tokio::test]
    async fn room_is_held_once_and_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::new(dir.path().to_owned());
        file(dir.path(), "runs/run_1.jsonl", 4_096);
        let left = 10_000 - 4_096;
        let mut first = storage.room("org_1", 10_000).await.unwrap();
        let mut second = storage.room("org_1", 10_000).await.unwrap();
        assert_eq!(
            (first.bytes, second.bytes),
            (left, left),
            "what has no length yet takes nothing away"
        );
        first.hold(4_000).await.unwrap();
        let full = second.hold(4_000).await.unwrap_err().to_string();
        assert!(full.contains("keeps 8096 bytes"), "{full}");
        second.hold(left - 4_000).await.unwrap();
        second.hold(1).await.unwrap();
        second.hold(left - 4_000).await.unwrap();
        let full = storage.room("org_1", 10_000).await.unwrap_err().to_string();
        assert!(full.contains("10000 bytes") && full.contains("may keep 10000"), "{full}");
        // What is coming in stands in nobody's way but that of what comes in too.
        storage.has_room("org_1", 10_000).await.unwrap();
        let full = storage.has_room("org_1", 4_096).await.unwrap_err().to_string();
        assert!(full.contains("keeps 4096 bytes"), "{full}");
        assert!(first.full().to_string().contains(&format!("keeps {} bytes", 10_000 - 4_000)));
        drop(first);
        assert_eq!(storage.room("org_1", 10_000).await.unwrap().bytes, 4_000);
        drop(second);
        assert_eq!(storage.used("org_1").await.unwrap(), 4_096);
    }

    #[tokio::test]
    async fn what_was_added_twice_or_removed_behind_its_back_refuses_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::new(dir.path().to_owned());
        assert_eq!(storage.used("org_1").await.unwrap(), 0);
        // Such as a plan that was made again.
        storage.added("org_1", 1_000_000);
        // A walk that is just over is not done again.
        let org = storage.org("org_1");
        assert!(matches!(
            storage.room("org_1", 10_000).await,
            Err(NoRoom::Full { used: 1_000_000, allowed: 10_000 })
        ));
        if let Some(walk) = &mut org.known().walk {
            walk.ended -= 2 * OLD_WHEN_FULL;
        }
        // The walk sees what was added before it, so that counts no longer.
        assert_eq!(storage.room("org_1", 10_000).await.unwrap().bytes, 10_000);
    }

    #[test]
    fn a_walk_that_nobody_waits_for_is_done_once() {
        let dir = tempfile::tempdir().unwrap();
        let storage = Storage::new(dir.path().to_owned());
        file(dir.path(), "golden/set_1.csv", 1);
        storage.added("org_1", BLOCK);
        let org = storage.org("org_1");
        // With one thread for what blocks, which is busy, a walk does not end before it may.
        let runtime =
            tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (go, waiting) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || waiting.recv().is_err());
            let mut gone = Box::pin(org.measure(OLD, REST));
            assert!(futures_util::poll!(&mut gone).is_pending());
            drop(gone);
            assert!(
                org.measuring.try_lock().is_err(),
                "a second walk would begin beside the first"
            );
            let mut second = Box::pin(org.measure(OLD, REST));
            assert!(futures_util::poll!(&mut second).is_pending());
            drop(go);
            assert!(busy.await.unwrap());
            second.await.unwrap();
            let known = org.known();
            assert_eq!((known.used(), known.since), (BLOCK, 0));
        });
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn no_link_leads_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        file(dir.path(), "plans/plan_1/skipped.arrow", 1);
        fs::write(dir.path().join("large"), vec![0; 100_000]).unwrap();
        std::os::unix::fs::symlink(dir.path(), dir.path().join("org_1/plans/link")).unwrap();
        assert!(size(&dir.path().join("org_1")).unwrap() <= 2 * BLOCK);
    }
}
