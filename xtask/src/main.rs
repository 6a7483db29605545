//! `cargo xtask`: what takes more than one call of cargo.

#![expect(clippy::print_stdout, reason = "it is a command")]

mod digest;
mod dist;
mod fuzz;
mod lint;
mod notices;
mod process;
mod wheel;

use anyhow::{Result, bail};
use process::{cargo, run};
use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

const HELP: &str = "\
cargo xtask COMMAND [ARGUMENTS]

  demo    plan and run golden records against a local CRM simulator, and show before and after
  test    every test, also those that need PostgreSQL, Chromium, Node.js, Python or libfaketime (.ci/install test); arguments go to cargo test
          --long: 1,000 histories with new seeds instead of 50 with fixed ones
  bench   build in release and run the benchmarks; --help says more
  fuzz    fuzz the parsers of untrusted input, a minute each; --help says more
  lint    rustfmt, clippy, rustdoc, the types of the page's scripts, the component's digest, and deny.toml: licences, sources, advisories
  record  record the plugin's digest in plugin/component.digest
  dist    make the release in target/dist: archive, wheel, npm package, container image, crates, component, SBOMs, checksums;
          --check: then install each into an empty place and use it; --debug: from a debug build, in target/dist-debug
  wheel   pack the Python module and the command as a wheel, in target/wheel; --release: built in release

Everything else is plain cargo: cargo build, test, clippy, doc.
";

fn main() -> ExitCode {
    let done = if env::var_os(fuzz::WRAPPER).is_some() {
        fuzz::rustc(env::args_os().skip(1))
    } else {
        dispatch()
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let command = arguments.next().unwrap_or_else(|| "help".to_owned());
    let rest: Vec<String> = arguments.collect();
    env::set_current_dir(root())?;
    match command.as_str() {
        "demo" => {
            // Without the service: a demonstration needs neither a database nor a web server.
            let packages = ["--package", "reverse-sync-cli", "--package", "reverse-sync-demo"];
            run(cargo().args(["build", "--locked", "--no-default-features"]).args(packages))?;
            // Not by cargo, which would build it once more, with the features of the demo alone.
            run(Command::new(target_dir().join("debug/demo")).args(&rest))
        }
        "test" => test(&rest),
        "bench" => {
            run(cargo().args([
                "build",
                "--release",
                "--locked",
                "--bin",
                "reverse-sync",
                "--bin",
                "bench",
            ]))?;
            run(cargo().args(["run", "--release", "--locked", "--bin", "bench", "--"]).args(&rest))
        }
        "fuzz" => fuzz::fuzz(&rest),
        "lint" => lint::lint(),
        "record" => digest::record(),
        "dist" => dist::dist(&rest),
        "wheel" => wheel::wheel(&rest),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => bail!("`{unknown}` is not a command of xtask\n\n{HELP}"),
    }
}

fn test(arguments: &[String]) -> Result<()> {
    // What is still missing was said; the tests that need it fail, and say so again.
    if let Err(error) = run(Command::new(".ci/install").arg("test")) {
        eprintln!("{error:#}; the tests that need it will fail");
    }
    let (long, rest): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| *argument == "--long");
    let (for_cargo, for_tests) =
        rest.split_at(rest.iter().position(|argument| *argument == "--").unwrap_or(rest.len()));
    let mut test = cargo();
    if !long.is_empty() {
        test.env("REVERSE_SYNC_HISTORIES", "1000");
    }
    test.args(["test", "--locked"])
        .args(for_cargo)
        .args(["--", "--include-ignored"])
        .args(for_tests.iter().skip(1));
    run(&mut test)
}

/// The repository.
fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().map_or(manifest.clone(), PathBuf::from)
}

/// Cargo's target folder.
fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}
