//! What a disk holds of the files of a folder, and what it could hold after the power has gone.
//!
//! The model is as hard as POSIX allows. Of what was written to a file since its last sync, any
//! part may be there, in sectors, in any order; the length may be there without the content. A name
//! is there for good once its folder was synced, whether its file was synced or not. What a sync
//! has covered is there.

use crate::{calls::Call, seeded::Seeded};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// What a disk writes whole.
const SECTOR: usize = 512;
/// The folder itself.
const ROOT: usize = 0;

/// What is in each folder.
type Names = HashMap<usize, BTreeMap<OsString, usize>>;

/// Files and folders, as the system shows them and as they are on disk.
pub(crate) struct Disk {
    nodes: Vec<Node>,
    inodes: HashMap<u64, usize>,
    now: Names,
    /// As they are on disk.
    synced: Names,
    /// Changes of names that are not on disk yet, oldest first.
    renames: Vec<(u64, NameChange)>,
    time: u64,
}

enum Node {
    File { mode: u32, synced: Vec<u8>, unsynced: Vec<(u64, Change)> },
    Dir { mode: u32 },
}

#[derive(Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    Resize { length: u64, only_grows: bool },
}

/// One change of one or two names, which is there whole or not at all.
#[derive(Clone)]
struct NameChange {
    removed: Option<(usize, OsString)>,
    added: Option<(usize, OsString, usize)>,
}

impl NameChange {
    fn touches(&self, dir: usize) -> bool {
        self.removed.as_ref().is_some_and(|(at, _)| *at == dir)
            || self.added.as_ref().is_some_and(|(at, ..)| *at == dir)
    }

    fn apply(&self, names: &mut Names) {
        if let Some((dir, name)) = &self.removed {
            names.entry(*dir).or_default().remove(name);
        }
        if let Some((dir, name, id)) = &self.added {
            names.entry(*dir).or_default().insert(name.clone(), *id);
        }
    }
}

/// What became of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing of it is there.
    Nothing,
    /// All of it is.
    All,
    /// Files are as they were synced, under the new names.
    Names,
    /// Files are as they were written, under the old names.
    Content,
    /// Each file and each name has its own fate.
    Mixed,
}

/// A state of the folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Image(BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>);

impl Image {
    /// Makes the folder what this is. What is so already is not touched: the golden records have
    /// not changed.
    pub(crate) fn put(&self, root: &Path) {
        for path in self.differs(root) {
            let (place, there) = (root.join(&path), self.0.get(&path));
            if !matches!(there, Some((_, Some(_)))) && place.is_file() {
                fs::remove_file(&place).unwrap();
            }
            if there.is_none() && place.is_dir() {
                fs::remove_dir_all(&place).unwrap();
            }
            // Folders come before what is in them.
            if let Some((mode, content)) = there {
                match content {
                    None => fs::create_dir(&place).unwrap(),
                    Some(bytes) => fs::write(&place, bytes).unwrap(),
                }
                fs::set_permissions(&place, fs::Permissions::from_mode(*mode)).unwrap();
            }
        }
    }

    /// How it differs from a folder, but for files that are never read after a crash.
    pub(crate) fn differs(&self, root: &Path) -> Vec<PathBuf> {
        let there = Disk::of(root).state(Kept::All, &mut Seeded::new(0));
        let mut paths: Vec<_> = self.0.keys().chain(there.0.keys()).cloned().collect();
        paths.sort();
        paths.dedup();
        paths.retain(|path| {
            self.0.get(path).map(|(_, content)| content)
                != there.0.get(path).map(|(_, content)| content)
        });
        // SQLite's index of its log is shared memory.
        paths.retain(|path| !path.to_string_lossy().ends_with("-shm"));
        paths
    }
}

impl Disk {
    /// A folder all of which is on disk.
    pub(crate) fn of(root: &Path) -> Disk {
        let mut disk = Disk {
            nodes: Vec::new(),
            inodes: HashMap::new(),
            now: Names::new(),
            synced: Names::new(),
            renames: Vec::new(),
            time: 0,
        };
        disk.load(root);
        disk.synced = disk.now.clone();
        disk
    }

    fn load(&mut self, path: &Path) -> usize {
        let metadata = fs::symlink_metadata(path).unwrap();
        let (id, mode) = (self.nodes.len(), metadata.mode() & 0o7777);
        self.inodes.insert(metadata.ino(), id);
        if !metadata.is_dir() {
            self.nodes.push(Node::File {
                mode,
                synced: fs::read(path).unwrap(),
                unsynced: Vec::new(),
            });
            return id;
        }
        self.nodes.push(Node::Dir { mode });
        self.now.insert(id, BTreeMap::new());
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let child = self.load(&entry.path());
            self.now.entry(id).or_default().insert(entry.file_name(), child);
        }
        id
    }

    /// A moment: what comes later is not covered by a sync that began before.
    pub(crate) fn now(&self) -> u64 {
        self.time
    }

    /// A call was made, which began at `since` and gave `result`. `opened` tells inode and mode of
    /// a descriptor.
    pub(crate) fn see(
        &mut self,
        call: &Call,
        result: u64,
        since: u64,
        opened: impl Fn(u64) -> Option<(u64, u32)>,
    ) {
        self.time += 1;
        match call {
            Call::Read { .. } => {}
            Call::Open { path, creates, truncates, .. } => {
                let Some((inode, mode)) = opened(result) else { return };
                let id = match self.find(path) {
                    Some(id) => id,
                    None if *creates => {
                        self.nodes.push(Node::File {
                            mode,
                            synced: Vec::new(),
                            unsynced: Vec::new(),
                        });
                        let id = self.nodes.len() - 1;
                        self.add(path, id);
                        id
                    }
                    None => return,
                };
                self.inodes.insert(inode, id);
                if *truncates {
                    self.change(inode, Change::Resize { length: 0, only_grows: false });
                }
            }
            Call::Write { inode, at, bytes, .. } => {
                self.change(
                    *inode,
                    Change::Write {
                        at: *at,
                        bytes: bytes[..(result as usize).min(bytes.len())].to_vec(),
                    },
                );
            }
            Call::Resize { inode, length, only_grows, .. } => {
                self.change(*inode, Change::Resize { length: *length, only_grows: *only_grows });
            }
            Call::Sync { inode, .. } => self.sync(*inode, since),
            Call::Rename { from, to } => {
                let Some(id) = self.find(from) else { return };
                let (removed, added) = (self.place(from), self.place(to));
                if let (Some(removed), Some((dir, name))) = (removed, added) {
                    self.rename(NameChange {
                        removed: Some(removed),
                        added: Some((dir, name, id)),
                    });
                }
            }
            Call::Link { from, to } => {
                if let Some(id) = self.find(from) {
                    self.add(to, id);
                }
            }
            Call::Remove { path } => {
                if let Some(removed) = self.place(path) {
                    self.rename(NameChange { removed: Some(removed), added: None });
                }
            }
            Call::MakeDir { path } => {
                self.nodes.push(Node::Dir { mode: 0o700 });
                let id = self.nodes.len() - 1;
                self.now.insert(id, BTreeMap::new());
                self.synced.insert(id, BTreeMap::new());
                self.add(path, id);
            }
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        path.iter().try_fold(ROOT, |at, name| self.now.get(&at)?.get(name).copied())
    }

    /// The folder of a path, and its name there.
    fn place(&self, path: &Path) -> Option<(usize, OsString)> {
        Some((self.find(path.parent()?)?, path.file_name()?.to_owned()))
    }

    fn add(&mut self, path: &Path, id: usize) {
        if let Some((dir, name)) = self.place(path) {
            self.rename(NameChange { removed: None, added: Some((dir, name, id)) });
        }
    }

    fn rename(&mut self, change: NameChange) {
        change.apply(&mut self.now);
        self.renames.push((self.time, change));
    }

    fn change(&mut self, inode: u64, change: Change) {
        let time = self.time;
        if let Some(Node::File { unsynced, .. }) =
            self.inodes.get(&inode).and_then(|id| self.nodes.get_mut(*id))
        {
            unsynced.push((time, change));
        }
    }

    fn sync(&mut self, inode: u64, since: u64) {
        let Some(&id) = self.inodes.get(&inode) else { return };
        match &mut self.nodes[id] {
            Node::File { synced, unsynced, .. } => {
                let later =
                    unsynced.iter().position(|(time, _)| *time > since).unwrap_or(unsynced.len());
                for (_, change) in unsynced.drain(..later) {
                    change.apply(synced);
                }
            }
            Node::Dir { .. } => {
                let renames = std::mem::take(&mut self.renames);
                let (covered, left): (Vec<_>, Vec<_>) = renames
                    .into_iter()
                    .partition(|(time, change)| *time <= since && change.touches(id));
                self.renames = left;
                for (_, change) in covered {
                    change.apply(&mut self.synced);
                }
            }
        }
    }

    /// A state that the disk could be in if the power went now.
    pub(crate) fn state(&self, kept: Kept, seeded: &mut Seeded) -> Image {
        let mut names = self.synced.clone();
        // Most file systems keep the order of names, some do not.
        let ordered = seeded.one_in(2).then(|| seeded.below(self.renames.len() + 1));
        for (number, (_, change)) in self.renames.iter().enumerate() {
            let there = match kept {
                Kept::Nothing | Kept::Content => false,
                Kept::All | Kept::Names => true,
                Kept::Mixed => ordered.map_or_else(|| seeded.one_in(2), |first| number < first),
            };
            if there {
                change.apply(&mut names);
            }
        }
        let mut image = BTreeMap::new();
        self.collect(ROOT, Path::new(""), &names, kept, seeded, &mut image);
        Image(image)
    }

    fn collect(
        &self,
        dir: usize,
        path: &Path,
        names: &Names,
        kept: Kept,
        seeded: &mut Seeded,
        image: &mut BTreeMap<PathBuf, (u32, Option<Vec<u8>>)>,
    ) {
        for (name, id) in names.get(&dir).into_iter().flatten() {
            let path = path.join(name);
            match &self.nodes[*id] {
                Node::Dir { mode } => {
                    image.insert(path.clone(), (*mode, None));
                    self.collect(*id, &path, names, kept, seeded, image);
                }
                Node::File { mode, synced, unsynced } => {
                    image.insert(path, (*mode, Some(content(synced, unsynced, kept, seeded))));
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            Change::Write { at, bytes } => put(to, *at as usize, bytes),
            Change::Resize { length, only_grows: true } => {
                to.resize(to.len().max(*length as usize), 0)
            }
            Change::Resize { length, only_grows: false } => to.resize(*length as usize, 0),
        }
    }
}

fn put(to: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if to.len() < at + bytes.len() {
        to.resize(at + bytes.len(), 0);
    }
    to[at..at + bytes.len()].copy_from_slice(bytes);
}

/// What is in a file after the power has gone.
fn content(synced: &[u8], unsynced: &[(u64, Change)], kept: Kept, seeded: &mut Seeded) -> Vec<u8> {
    let mut content = synced.to_vec();
    let fate = match kept {
        Kept::Nothing | Kept::Names => 0,
        Kept::All | Kept::Content => 1,
        Kept::Mixed => seeded.below(5),
    };
    let first = seeded.below(unsynced.len() + 1);
    for (number, (_, change)) in unsynced.iter().enumerate() {
        match (fate, change) {
            (0, _) => {}
            (1, change) => change.apply(&mut content),
            // Some of the writes, whatever their order was.
            (2, change) if seeded.one_in(2) => change.apply(&mut content),
            (2, _) => {}
            // The length alone, as of what was to be written later.
            (3, Change::Write { at, bytes }) => {
                content.resize(content.len().max(*at as usize + bytes.len()), 0)
            }
            (3, change) => change.apply(&mut content),
            // The first ones, and some sectors of the next.
            (_, change) if number < first => change.apply(&mut content),
            (_, Change::Write { at, bytes }) if number == first => {
                let mut from = 0;
                while from < bytes.len() {
                    let place = *at as usize + from;
                    let to = (from + SECTOR - place % SECTOR).min(bytes.len());
                    if seeded.one_in(2) {
                        put(&mut content, place, &bytes[from..to]);
                    }
                    from = to;
                }
            }
            _ => {}
        }
    }
    content
}
