//! Runs a program and sees every call that it makes on the files of a folder (`ptrace`); lets
//! chosen calls fail, tears writes, and kills it.
//!
//! What is traced is the real program, so nothing that writes is passed over: neither SQLite nor
//! what a library writes by system calls of its own.

use crate::{
    calls::{self, Call, Length},
    disk::{Disk, Kept},
    ptrace::{self, Event, Pid},
    subsystems::{Subsystem, subsystem},
};
use libc::user_regs_struct;
use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    thread::JoinHandle,
};

/// A call of a subsystem on its files: the n-th of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) subsystem: Subsystem,
    /// Whether it is one of those that change something; others are counted apart.
    pub(crate) changes: bool,
    /// From 0.
    pub(crate) number: usize,
}

/// What happens at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The device fails, this once.
    Eio,
    /// There is no space, this once.
    Enospc,
    /// Half of it is written; after that there is no space for this file.
    TornFull,
    /// Half of it is written, and the process is killed.
    TornKilled,
    /// The process is killed before it.
    Killed,
}

impl Fault {
    /// Whether it can strike such a call.
    pub(crate) fn fits(self, call: &Call) -> bool {
        match self {
            Fault::Eio | Fault::Killed => true,
            Fault::Enospc => call.needs_space(),
            Fault::TornFull | Fault::TornKilled => {
                matches!(call, Call::Write { bytes, length, .. } if half(bytes.len(), *length) > 0)
            }
        }
    }
}

/// How much of a write is done: half of its bytes, or its first part.
fn half(bytes: usize, length: Length) -> u64 {
    match length {
        Length::Bytes => bytes as u64 / 2,
        Length::Parts => 1,
    }
}

/// One call, as it was made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) step: Step,
    pub(crate) call: Call,
}

impl Made {
    /// A fault that strikes it, in words.
    pub(crate) fn struck_by(&self, fault: Fault) -> String {
        let Made { step, call } = self;
        format!("{fault:?} at {step:?} ({} {})", call.name(), call.path().display())
    }
}

/// The loss of power at one of these calls, in words.
pub(crate) fn power_lost(made: &[Made], at: Option<Step>, kept: Kept, seed: u64) -> String {
    let call = made
        .iter()
        .find(|made| Some(made.step) == at)
        .map(|made| format!("{} {}", made.call.name(), made.call.path().display()));
    format!("power lost at {at:?} ({call:?}), {kept:?} kept, seed {seed}")
}

/// What was seen of a program.
pub(crate) struct Traced {
    /// How it ended; `None` if it was killed.
    pub(crate) code: Option<i32>,
    /// Its calls, in order.
    pub(crate) made: Vec<Made>,
    /// The call that the fault struck.
    pub(crate) struck: Option<Call>,
    /// The disk as it was when the program ended.
    pub(crate) disk: Disk,
}

/// A program that is being traced.
pub(crate) struct Running {
    pid: Pid,
    thread: JoinHandle<Traced>,
}

impl Running {
    /// Starts a program, whose calls below `root` are seen. The fault strikes at its step, if there
    /// is one.
    pub(crate) fn start(command: &Command, root: &Path, fault: Option<(Step, Fault)>) -> Running {
        // It stops itself before it becomes the program, so that not a single call is missed.
        let mut stopped = Command::new("/bin/sh");
        stopped
            .args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => stopped.env(name, value),
                None => stopped.env_remove(name),
            };
        }
        if let Some(dir) = command.get_current_dir() {
            stopped.current_dir(dir);
        }
        Running::of(stopped, root, fault)
    }

    fn of(mut stopped: Command, root: &Path, fault: Option<(Step, Fault)>) -> Running {
        let root = root.canonicalize().unwrap();
        let (said, pid) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let out = File::create(root.with_extension("out")).unwrap();
            let err = File::create(root.with_extension("err")).unwrap();
            stopped.stdin(Stdio::null()).stdout(out).stderr(err);
            let disk = Disk::of(&root);
            // All calls of ptrace have to come from the thread that traces, and a child of this
            // thread is waited for here alone.
            let pid = stopped.spawn().unwrap().id() as Pid;
            assert_eq!(
                ptrace::until_stopped(pid).unwrap(),
                Some(Event::Signal(pid, libc::SIGSTOP)),
                "it has not stopped itself"
            );
            ptrace::seize(pid).unwrap();
            ptrace::signal(pid, libc::SIGCONT).unwrap();
            said.send(pid).unwrap();
            let tracer = Tracer {
                pid,
                root,
                fault,
                full: None,
                under_way: HashMap::new(),
                counts: HashMap::new(),
                killed: false,
            };
            tracer.follow(Traced { code: None, made: Vec::new(), struck: None, disk })
        });
        Running { pid: pid.recv().expect("the program did not start"), thread }
    }

    /// Asks it to stop, if it is still there.
    pub(crate) fn stop(&self) {
        // It may have ended by itself.
        let _ = ptrace::signal(self.pid, libc::SIGTERM);
    }

    /// Whether it has.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it has ended.
    pub(crate) fn ended(self) -> Traced {
        match self.thread.join() {
            Ok(traced) => traced,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// What is to become of a call between its entry and its exit.
enum UnderWay {
    /// It is not one of the watched ones.
    Other,
    /// It is done, and the disk learns of it.
    Done(Call, u64),
    /// It fails.
    Fails(i32),
}

struct Tracer {
    pid: Pid,
    root: PathBuf,
    fault: Option<(Step, Fault)>,
    /// The file for which there is no more space.
    full: Option<u64>,
    under_way: HashMap<Pid, UnderWay>,
    counts: HashMap<(Subsystem, bool), usize>,
    killed: bool,
}

impl Tracer {
    fn follow(mut self, mut traced: Traced) -> Traced {
        loop {
            let Some(event) = ptrace::next().unwrap() else { return traced };
            let gone = match event {
                Event::Syscall(tid) => {
                    self.stopped(tid, &mut traced).and_then(|()| ptrace::go_on(tid, 0))
                }
                Event::Stopped(tid) => ptrace::go_on(tid, 0),
                Event::Signal(tid, signal) => ptrace::go_on(tid, signal),
                Event::Exited(pid, code) if pid == self.pid && !self.killed => {
                    traced.code = Some(code);
                    Ok(())
                }
                Event::Exited(..) | Event::Killed => Ok(()),
            };
            // A thread that was killed meanwhile is gone.
            assert!(
                gone.as_ref()
                    .map_or_else(|error| error.raw_os_error() == Some(libc::ESRCH), |()| true),
                "{gone:?}"
            );
        }
    }

    fn stopped(&mut self, tid: Pid, traced: &mut Traced) -> io::Result<()> {
        let regs = ptrace::registers(tid)?;
        match self.under_way.remove(&tid) {
            Some(under_way) => self.left(tid, under_way, regs, traced),
            // At its entry, a call seems to have failed already.
            None if regs.rax as i64 == -i64::from(libc::ENOSYS) => {
                let under_way = self.entered(tid, regs, traced)?;
                self.under_way.insert(tid, under_way);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn entered(
        &mut self,
        tid: Pid,
        mut regs: user_regs_struct,
        traced: &mut Traced,
    ) -> io::Result<UnderWay> {
        let Some(call) = calls::entered(tid, &regs, &self.root).filter(|_| !self.killed) else {
            return Ok(UnderWay::Other);
        };
        let Some(subsystem) = subsystem(call.path()) else {
            return Ok(UnderWay::Done(call, traced.disk.now()));
        };
        let count = self.counts.entry((subsystem, call.changes())).or_default();
        let step = Step { subsystem, changes: call.changes(), number: *count };
        *count += 1;
        traced.made.push(Made { step, call: call.clone() });
        let full = matches!(&call, Call::Write { inode, .. } if self.full == Some(*inode));
        let fault = self
            .fault
            .filter(|(at, fault)| *at == step && fault.fits(&call))
            .map(|(_, fault)| fault);
        if fault.is_some() {
            traced.struck = Some(call.clone());
        }
        let failed = match fault {
            _ if full => Some(libc::ENOSPC),
            Some(Fault::Eio) => Some(libc::EIO),
            Some(Fault::Enospc) => Some(libc::ENOSPC),
            Some(Fault::TornFull | Fault::TornKilled) => {
                if let Call::Write { inode, bytes, length, .. } = &call {
                    self.full = Some(*inode);
                    regs.rdx = half(bytes.len(), *length);
                    ptrace::set_registers(tid, &regs)?;
                }
                None
            }
            Some(Fault::Killed) => {
                self.kill();
                None
            }
            None => None,
        };
        if let Some(errno) = failed {
            // No such call: nothing is done.
            regs.orig_rax = u64::MAX;
            ptrace::set_registers(tid, &regs)?;
            return Ok(UnderWay::Fails(errno));
        }
        Ok(UnderWay::Done(call, traced.disk.now()))
    }

    fn left(
        &mut self,
        tid: Pid,
        under_way: UnderWay,
        mut regs: user_regs_struct,
        traced: &mut Traced,
    ) -> io::Result<()> {
        match under_way {
            UnderWay::Other => Ok(()),
            UnderWay::Fails(errno) => {
                regs.rax = -i64::from(errno) as u64;
                ptrace::set_registers(tid, &regs)
            }
            UnderWay::Done(call, since) => {
                let result = regs.rax as i64;
                if result >= 0 && !self.killed {
                    traced.disk.see(&call, result as u64, since, |descriptor| {
                        calls::opened(tid, descriptor)
                    });
                }
                let torn = self.fault.is_some_and(|(_, fault)| fault == Fault::TornKilled);
                if torn && matches!(&call, Call::Write { inode, .. } if self.full == Some(*inode)) {
                    self.kill();
                }
                Ok(())
            }
        }
    }

    fn kill(&mut self) {
        self.killed = true;
        // It may have ended by itself.
        let _ = ptrace::signal(self.pid, libc::SIGKILL);
    }
}
