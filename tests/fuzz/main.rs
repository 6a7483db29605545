//! libFuzzer's program. All targets are in it; the environment says which one is meant.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reverse_sync_fuzz::{TARGETS, Target, target};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::sync::OnceLock;

static TARGET: OnceLock<Target> = OnceLock::new();

/// Address space of the process. libFuzzer looks at memory once a second, and an allocation that is too large is there for less.
const MEMORY: u64 = 2 << 30;

fn chosen() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let _ = setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) });
    target(&name).unwrap_or_else(|| {
        let names = TARGETS.map(|(name, _)| name).join(" ");
        eprintln!("FUZZ_TARGET has to be one of: {names}");
        std::process::exit(2)
    })
}

fuzz_target!(|bytes: &[u8]| TARGET.get_or_init(chosen)(bytes));
