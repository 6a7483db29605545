//! Time, as a clock on the wall shows it and as processors spend it.

use cpu_time::ProcessTime;
use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Seconds that something took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) wall: f64,
    pub(crate) processor: f64,
}

/// Measures this process, but for a server's thread in it.
pub(crate) struct Clock<'a> {
    started: Instant,
    process: ProcessTime,
    server: &'a AtomicU64,
    before: u64,
}

impl<'a> Clock<'a> {
    /// `server` counts the nanoseconds of the server's thread.
    pub(crate) fn start(server: &'a AtomicU64) -> Clock<'a> {
        let before = server.load(Relaxed);
        Clock { started: Instant::now(), process: ProcessTime::now(), server, before }
    }

    pub(crate) fn stop(self) -> Spent {
        let server = Duration::from_nanos(self.server.load(Relaxed) - self.before);
        Spent {
            wall: self.started.elapsed().as_secs_f64(),
            processor: self.process.elapsed().saturating_sub(server).as_secs_f64(),
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// If it cannot be started, or fails.
pub(crate) fn command(command: &mut Command) -> anyhow::Result<Spent> {
    let (started, before) = (Instant::now(), of_children());
    let status = command.stdout(Stdio::null()).status()?;
    anyhow::ensure!(status.success(), "{command:?} ended with {status}");
    let wall = started.elapsed().as_secs_f64();
    Ok(Spent { wall, processor: of_children() - before })
}

/// Processor time of the children that have ended, in seconds: fields 16 and 17 of `stat`, in
/// hundredths.
fn of_children() -> f64 {
    let stat = fs::read_to_string(Path::new("/proc/self/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    after_name.skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
