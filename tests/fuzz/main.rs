//! libFuzzer's program. All targets are in it; the environment says which one is meant.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reverse_sync_fuzz::{TARGETS, Target, target};
use rustix::process::{Resource, Rlimit, setrlimit};
use std::{
    panic::{catch_unwind, set_hook},
    process::{abort, exit},
    sync::{Mutex, OnceLock},
};

static TARGET: OnceLock<Target> = OnceLock::new();

/// What the last panic said. A panic that is caught is not a finding.
static SAID: Mutex<String> = Mutex::new(String::new());

/// Address space of the process. libFuzzer looks at memory once a second, and an allocation that is
/// too large is there for less.
const MEMORY: u64 = 2 << 30;

fn chosen() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    set_hook(Box::new(|panic| {
        if let Ok(mut said) = SAID.lock() {
            *said = panic.to_string();
        }
    }));
    let _ = setrlimit(Resource::As, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) });
    target(&name).unwrap_or_else(|| {
        let names = TARGETS.map(|(name, _)| name).join(" ");
        eprintln!("FUZZ_TARGET must be one of: {names}");
        exit(2)
    })
}

fuzz_target!(|bytes: &[u8]| {
    let target = TARGET.get_or_init(chosen);
    if catch_unwind(|| target(bytes)).is_err() {
        eprintln!("{}", SAID.lock().map(|said| said.clone()).unwrap_or_default());
        abort();
    }
});
