//! `cargo xtask`: builds the component for its own target, and everything that needs it.

#![expect(clippy::print_stdout, reason = "it is a command")]

mod apt;
mod component;
mod fuzz;
mod packages;
mod process;
mod supply_chain;
mod toolchain;
mod tools;

use anyhow::{Result, bail};
use process::{cargo, run};
use std::{env, path::PathBuf, process::ExitCode};

const HELP: &str = "\
cargo xtask COMMAND [ARGUMENTS]

  demo       plan and run golden records against a local CRM simulator, and show before and after
  test       build what the tests need and run every test; arguments go to `cargo test`
             --long: 1,000 histories with new seeds instead of 50 with fixed ones
  fuzz       fuzz the parsers of untrusted input, a minute each; --help says more
  bench      build in release and run the benchmarks; --help says more
  build      build the command: target/release/reverse-sync
  component  build the component: target/component/reverse_sync.wasm
             --guests: also the component that breaks the rules, for the tests
             --record: put its digest on record, in plugin/component.digest
  tools      install what the tests need beside Rust: PostgreSQL, Chromium, Node.js, Python, libfaketime, and packages for them
  lint       rustfmt, clippy, the types of the page's scripts, the component's digest, and deny.toml: licences, sources, advisories
  sbom       write the SBOMs (CycloneDX) of the command and the component to target/sbom

The component is built for wasm32-wasip2. A toolchain for it is found, or installed, or what to install is explained.
So is what the tests of the service need beside it: PostgreSQL, Chromium, Node.js, Python and libfaketime; lint needs Node.js and Python.
";

fn main() -> ExitCode {
    let done = if env::var_os(fuzz::WRAPPER).is_some() { fuzz::rustc(env::args_os().skip(1)) } else { dispatch() };
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
        "component" => {
            if let Some(unknown) = rest.iter().find(|argument| !["--guests", "--record"].contains(&argument.as_str())) {
                bail!("component takes --guests and --record, not `{unknown}`");
            }
            let given = |wanted: &str| rest.iter().any(|argument| argument == wanted);
            component::build(given("--guests"))?;
            if given("--record") { component::keep() } else { Ok(()) }
        }
        "build" => {
            component::build(false)?;
            run(cargo().args(["build", "--release", "--locked", "--package", "reverse-sync-cli"]).args(&rest))
        }
        "test" => {
            component::build(true)?;
            tools::prepare()?;
            // Tests of programs run the programs. What is built is chosen in the same words for both: with others, features would differ,
            // and much of what was built would be built again.
            let all = ["--locked", "--workspace", "--exclude", "reverse-sync-hostile-guest"];
            run(cargo().arg("build").args(all).arg("--all-targets"))?;
            let (long, rest): (Vec<_>, Vec<_>) = rest.iter().partition(|argument| *argument == "--long");
            let mut test = cargo();
            if !long.is_empty() {
                test.env("REVERSE_SYNC_HISTORIES", "1000");
            }
            run(test.arg("test").args(all).args(rest))
        }
        "tools" => tools::prepare(),
        "fuzz" => fuzz::fuzz(&rest),
        "demo" => {
            component::build(false)?;
            // The demo runs the command, as a person would.
            run(cargo().args(["build", "--locked", "--package", "reverse-sync-cli"]))?;
            run(cargo().args(["run", "--locked", "--quiet", "--package", "reverse-sync-demo", "--bin", "demo", "--"]).args(&rest))
        }
        "bench" => {
            component::build(false)?;
            run(cargo().args(["build", "--release", "--locked", "--package", "reverse-sync-cli"]))?;
            run(cargo().args(["run", "--release", "--locked", "--package", "reverse-sync-tests", "--bin", "bench", "--"]).args(&rest))
        }
        "lint" => {
            component::build(false)?;
            component::check()?;
            run(cargo().args(["fmt", "--all", "--check"]))?;
            tools::check_types()?;
            supply_chain::check()?;
            let clippy =
                |what: &[&str]| run(cargo().args(["clippy", "--locked"]).args(what).args(["--all-targets", "--", "-D", "warnings"]));
            clippy(&["--workspace", "--exclude", "reverse-sync-hostile-guest"])?;
            // Alone, so that the library is built without the features that the command needs.
            clippy(&["--package", "embed"])
        }
        "sbom" => supply_chain::list(),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => bail!("`{unknown}` is no command of xtask\n\n{HELP}"),
    }
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
