//! System calls on files, as they are entered: which file, and what is to become of it.

use crate::ptrace::{self, Pid};
use libc::{c_long, user_regs_struct};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
};

/// Memory is read up to the end of a page: the next one may not be there.
const PAGE: u64 = 4_096;

/// A call on a file or folder below the folder that is watched. Paths are relative to that.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Open { path: PathBuf, writes: bool, creates: bool, truncates: bool },
    Read { path: PathBuf },
    Write { path: PathBuf, inode: u64, at: u64, bytes: Vec<u8>, length: Length },
    Sync { path: PathBuf, inode: u64 },
    Resize { path: PathBuf, inode: u64, length: u64, only_grows: bool },
    Rename { from: PathBuf, to: PathBuf },
    Link { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    MakeDir { path: PathBuf },
}

/// Which register says how much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// The third argument, in bytes.
    Bytes,
    /// The third argument, in parts.
    Parts,
}

impl Call {
    /// What it is about.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Call::Open { path, .. }
            | Call::Read { path }
            | Call::Write { path, .. }
            | Call::Sync { path, .. }
            | Call::Resize { path, .. }
            | Call::Remove { path }
            | Call::MakeDir { path } => path,
            Call::Rename { to, .. } | Call::Link { to, .. } => to,
        }
    }

    /// Its name, for messages.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Call::Open { writes: true, .. } => "open to write",
            Call::Open { .. } => "open",
            Call::Read { .. } => "read",
            Call::Write { .. } => "write",
            Call::Sync { .. } => "sync",
            Call::Resize { .. } => "resize",
            Call::Rename { .. } => "rename",
            Call::Link { .. } => "link",
            Call::Remove { .. } => "remove",
            Call::MakeDir { .. } => "make folder",
        }
    }

    /// Whether the file or folder may be another one after it.
    pub(crate) fn changes(&self) -> bool {
        !matches!(self, Call::Read { .. } | Call::Open { writes: false, .. })
    }

    /// Whether a full disk can refuse it.
    pub(crate) fn needs_space(&self) -> bool {
        match self {
            Call::Open { creates, .. } => *creates,
            Call::Write { .. }
            | Call::Sync { .. }
            | Call::Rename { .. }
            | Call::Link { .. }
            | Call::MakeDir { .. } => true,
            Call::Resize { only_grows, .. } => *only_grows,
            Call::Read { .. } | Call::Remove { .. } => false,
        }
    }
}

/// The call that a thread is about to make, if it is one on something below `root`.
pub(crate) fn entered(tid: Pid, regs: &user_regs_struct, root: &Path) -> Option<Call> {
    let seen = Seen { tid, root };
    let arguments = [regs.rdi, regs.rsi, regs.rdx, regs.r10];
    let [first, second, third, fourth] = arguments;
    let here = libc::AT_FDCWD as u64;
    let open = |dir: u64, path: u64, flags: u64| {
        let path = seen.path(dir, path)?;
        let flags = flags as i32;
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY || flags & libc::O_CREAT != 0;
        let creates = flags & libc::O_CREAT != 0 || flags & libc::O_TMPFILE == libc::O_TMPFILE;
        Some(Call::Open { path, writes, creates, truncates: flags & libc::O_TRUNC != 0 })
    };
    match regs.orig_rax as c_long {
        libc::SYS_open => open(here, first, second),
        libc::SYS_creat => {
            open(here, first, (libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC) as u64)
        }
        libc::SYS_openat => open(first, second, third),
        libc::SYS_read | libc::SYS_pread64 | libc::SYS_readv | libc::SYS_preadv => {
            Some(Call::Read { path: seen.file(first)?.0 })
        }
        libc::SYS_write => seen.write(first, None, &[(second, third)], Length::Bytes),
        libc::SYS_pwrite64 => seen.write(first, Some(fourth), &[(second, third)], Length::Bytes),
        libc::SYS_writev => seen.write(first, None, &seen.parts(second, third), Length::Parts),
        libc::SYS_pwritev | libc::SYS_pwritev2 => {
            seen.write(first, Some(fourth), &seen.parts(second, third), Length::Parts)
        }
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_sync_file_range => {
            let (path, inode) = seen.file(first)?;
            Some(Call::Sync { path, inode })
        }
        libc::SYS_ftruncate => {
            let (path, inode) = seen.file(first)?;
            Some(Call::Resize { path, inode, length: second, only_grows: false })
        }
        libc::SYS_fallocate => {
            let (path, inode) = seen.file(first)?;
            Some(Call::Resize { path, inode, length: third + fourth, only_grows: true })
        }
        libc::SYS_rename => {
            Some(Call::Rename { from: seen.path(here, first)?, to: seen.path(here, second)? })
        }
        libc::SYS_renameat | libc::SYS_renameat2 => {
            Some(Call::Rename { from: seen.path(first, second)?, to: seen.path(third, fourth)? })
        }
        libc::SYS_link => {
            Some(Call::Link { from: seen.path(here, first)?, to: seen.path(here, second)? })
        }
        libc::SYS_linkat => {
            Some(Call::Link { from: seen.path(first, second)?, to: seen.path(third, fourth)? })
        }
        libc::SYS_unlink | libc::SYS_rmdir => Some(Call::Remove { path: seen.path(here, first)? }),
        libc::SYS_unlinkat => Some(Call::Remove { path: seen.path(first, second)? }),
        libc::SYS_mkdir => Some(Call::MakeDir { path: seen.path(here, first)? }),
        libc::SYS_mkdirat => Some(Call::MakeDir { path: seen.path(first, second)? }),
        // What the model of the disk does not know must not go by unseen.
        libc::SYS_truncate | libc::SYS_copy_file_range | libc::SYS_sendfile => {
            let (path, _) = seen.file(if regs.orig_rax as c_long == libc::SYS_copy_file_range {
                third
            } else {
                first
            })?;
            panic!("a call on {} that is not modelled: {}", path.display(), regs.orig_rax)
        }
        _ => None,
    }
}

/// The file that a descriptor of a thread stands for: its inode and its mode.
pub(crate) fn opened(tid: Pid, descriptor: u64) -> Option<(u64, u32)> {
    let file = fs::metadata(format!("/proc/{tid}/fd/{descriptor}")).ok()?;
    Some((file.ino(), file.mode() & 0o7777))
}

/// What a thread sees.
struct Seen<'a> {
    tid: Pid,
    root: &'a Path,
}

impl Seen<'_> {
    fn below(&self, path: &Path) -> Option<PathBuf> {
        let mut plain = PathBuf::new();
        for part in path.components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        plain.strip_prefix(self.root).ok().map(Path::to_owned)
    }

    /// A path argument, and the folder that it is relative to.
    fn path(&self, dir: u64, address: u64) -> Option<PathBuf> {
        let text = PathBuf::from(self.text(address)?);
        if text.is_absolute() {
            return self.below(&text);
        }
        let dir = match dir as i32 {
            libc::AT_FDCWD => fs::read_link(format!("/proc/{}/cwd", self.tid)),
            descriptor => fs::read_link(format!("/proc/{}/fd/{descriptor}", self.tid)),
        };
        self.below(&dir.ok()?.join(text))
    }

    /// What a descriptor stands for, and its inode.
    fn file(&self, descriptor: u64) -> Option<(PathBuf, u64)> {
        let link = format!("/proc/{}/fd/{}", self.tid, descriptor as i32);
        let path = fs::read_link(&link).ok().filter(|path| path.starts_with(self.root))?;
        let text = path.to_str()?;
        let path = self.below(Path::new(text.strip_suffix(" (deleted)").unwrap_or(text)))?;
        Some((path, fs::metadata(link).ok()?.ino()))
    }

    fn write(
        &self,
        descriptor: u64,
        at: Option<u64>,
        parts: &[(u64, u64)],
        length: Length,
    ) -> Option<Call> {
        let (path, inode) = self.file(descriptor)?;
        let at = match at {
            Some(at) => at,
            None => self.position(descriptor)?,
        };
        let mut bytes = Vec::new();
        for (address, length) in parts {
            bytes.extend(self.memory(*address, *length as usize)?);
        }
        Some(Call::Write { path, inode, at, bytes, length })
    }

    /// Where the next write goes.
    fn position(&self, descriptor: u64) -> Option<u64> {
        let info = fs::read_to_string(format!("/proc/{}/fdinfo/{descriptor}", self.tid)).ok()?;
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let flags = i32::from_str_radix(field("flags:")?, 8).ok()?;
        if flags & libc::O_APPEND != 0 {
            return fs::metadata(format!("/proc/{}/fd/{descriptor}", self.tid))
                .ok()
                .map(|file| file.len());
        }
        field("pos:")?.parse().ok()
    }

    /// The parts of a `writev`.
    fn parts(&self, address: u64, count: u64) -> Vec<(u64, u64)> {
        let words = self.memory(address, count as usize * 16).unwrap_or_default();
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().unwrap());
        words.chunks_exact(16).map(|part| (word(&part[..8]), word(&part[8..]))).collect()
    }

    fn memory(&self, address: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        (length == 0 || ptrace::read(self.tid, address, &mut bytes)).then_some(bytes)
    }

    fn text(&self, address: u64) -> Option<String> {
        let mut text = Vec::new();
        while text.len() < libc::PATH_MAX as usize {
            let from = address + text.len() as u64;
            let piece = self.memory(from, (PAGE - from % PAGE) as usize)?;
            match piece.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend_from_slice(&piece[..end]);
                    return String::from_utf8(text).ok();
                }
                None => text.extend(piece),
            }
        }
        None
    }
}
