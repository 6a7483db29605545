//! The system's own calls that a tracer needs, each as a safe function. The one module here with
//! unsafe code.
#![expect(
    unsafe_code,
    reason = "there is no crate for ptrace with safe calls that would not have all others built again"
)]

use std::{io, mem::MaybeUninit, ptr};

/// Of a process or a thread.
pub(crate) type Pid = libc::pid_t;

/// What has become of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is at the entry or the exit of a system call.
    Syscall(Pid),
    /// It has stopped for the tracer, as a new one does.
    Stopped(Pid),
    /// A signal is about to reach it.
    Signal(Pid, i32),
    Exited(Pid, i32),
    Killed,
}

fn checked(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Traces a child of this thread from now on: its calls, its threads and its children. It is killed
/// if this thread ends.
pub(crate) fn seize(pid: Pid) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    // SAFETY: no memory of this process is named.
    checked(unsafe {
        libc::ptrace(
            libc::PTRACE_SEIZE,
            pid,
            ptr::null_mut::<libc::c_void>(),
            libc::c_long::from(options),
        )
    })
}

/// Lets a thread continue to its next call, with this signal or 0.
pub(crate) fn go_on(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: no memory of this process is named.
    checked(unsafe {
        libc::ptrace(
            libc::PTRACE_SYSCALL,
            pid,
            ptr::null_mut::<libc::c_void>(),
            libc::c_long::from(signal),
        )
    })
}

/// The registers of a thread that has stopped.
pub(crate) fn registers(pid: Pid) -> io::Result<libc::user_regs_struct> {
    let mut registers = MaybeUninit::<libc::user_regs_struct>::uninit();
    // SAFETY: it writes one such struct to where there is room for it.
    checked(unsafe {
        libc::ptrace(
            libc::PTRACE_GETREGS,
            pid,
            ptr::null_mut::<libc::c_void>(),
            registers.as_mut_ptr(),
        )
    })?;
    // SAFETY: it has succeeded, so it has written all of it.
    Ok(unsafe { registers.assume_init() })
}

/// Gives a thread that has stopped other registers.
pub(crate) fn set_registers(pid: Pid, registers: &libc::user_regs_struct) -> io::Result<()> {
    // SAFETY: it reads one such struct, which is there.
    checked(unsafe {
        libc::ptrace(
            libc::PTRACE_SETREGS,
            pid,
            ptr::null_mut::<libc::c_void>(),
            ptr::from_ref(registers),
        )
    })
}

/// What happens next to what this thread traces, or to its children; `None` if there are none left.
/// Other threads' children are theirs.
pub(crate) fn next() -> io::Result<Option<Event>> {
    wait(-1, libc::__WALL | libc::__WNOTHREAD)
}

/// Waits until a child has stopped or ended.
pub(crate) fn until_stopped(pid: Pid) -> io::Result<Option<Event>> {
    wait(pid, libc::WUNTRACED)
}

fn wait(pid: Pid, options: i32) -> io::Result<Option<Event>> {
    let mut status = 0;
    let pid = loop {
        // SAFETY: it writes to `status` alone.
        match unsafe { libc::waitpid(pid, &raw mut status, options) } {
            -1 => match io::Error::last_os_error() {
                error if error.raw_os_error() == Some(libc::EINTR) => {}
                error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                error => return Err(error),
            },
            pid => break pid,
        }
    };
    Ok(Some(if libc::WIFEXITED(status) {
        Event::Exited(pid, libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Event::Killed
    } else if status >> 16 != 0 {
        Event::Stopped(pid)
    } else if libc::WSTOPSIG(status) == libc::SIGTRAP | 0x80 {
        Event::Syscall(pid)
    } else {
        Event::Signal(pid, libc::WSTOPSIG(status))
    }))
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: no memory is named.
    checked(libc::c_long::from(unsafe { libc::kill(pid, signal) }))
}

/// Fills `bytes` from another process's memory; whether all of it was there.
pub(crate) fn read(pid: Pid, address: u64, bytes: &mut [u8]) -> bool {
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let remote = libc::iovec {
        iov_base: ptr::without_provenance_mut(address as usize),
        iov_len: bytes.len(),
    };
    // SAFETY: it writes to `bytes`, and no further; the other address is the other process's, and
    // is not followed here.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    read == bytes.len() as isize
}
