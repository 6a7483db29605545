//! The main job, against a CRM that runs on this machine: `cargo xtask demo`.
//!
//! It starts the simulator, writes a project with golden records for both CRMs into a folder, and
//! then does what a person would do there: it runs the `reverse-sync` command, first to plan, then
//! to write what was planned. What the CRM held before and holds afterwards is read from the
//! simulator, record by record, and compared with the golden records: the demo fails if anything
//! else has changed.

#![expect(clippy::print_stdout, reason = "it is a show")]

mod golden;
mod ledger;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use crm_simulator::{Config, Simulator};
use golden::Crm;
use ledger::Ledger;
use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};
use tokio::process::Command;

/// Golden records for each CRM.
const RECORDS: usize = 1_200;
const TOKEN: &str = "demo-token";

#[derive(Parser)]
struct Options {
    /// Where to put the project; a folder that is not there yet
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the simulator running afterwards, to continue by hand
    #[arg(long)]
    stay: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let config = Config {
        hubspot_contacts: RECORDS + 100,
        salesforce_contacts: RECORDS + 100,
        tokens: vec![crm_simulator::Token::new(TOKEN)],
        ..Config::default()
    };
    let simulator = Simulator::start(config).await?;
    let kept = match &options.dir {
        Some(dir) => {
            std::fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
            dir.clone()
        }
        None => tempfile::Builder::new().prefix("reverse-sync-demo-").tempdir()?.keep(),
    };
    golden::write_project(&kept, &simulator.base_url(), RECORDS)?;
    golden::make_trouble(&mut simulator.world());
    say(&format!(
        "A CRM simulator listens on {}. The project is in {}:\n\n{}",
        simulator.base_url(),
        kept.display(),
        std::fs::read_to_string(kept.join("reverse-sync.toml"))?
    ));

    for crm in [Crm::HubSpot, Crm::Salesforce] {
        act(&simulator, &kept, crm).await?;
    }
    say("Both CRMs hold the golden values, and nothing else was touched.");
    if options.stay {
        say(&format!(
            "The simulator stays up until Ctrl-C. In another terminal:\n\n  cd {}\n  export CRM_TOKEN={TOKEN}\n  {} plan people",
            kept.display(),
            binary()?.display()
        ));
        tokio::signal::ctrl_c().await?;
    }
    if options.dir.is_none() {
        std::fs::remove_dir_all(&kept)?;
    }
    Ok(())
}

/// One CRM: plan, look, confirm, run, compare.
async fn act(simulator: &Simulator, dir: &Path, crm: Crm) -> Result<()> {
    let name = crm.destination();
    say(&format!("--- {} ---", crm.name()));
    let before = Ledger::of(&simulator.world(), crm);
    let requests = simulator.world().requests.len();

    let planned = run(dir, &["plan", name, "--offline"]).await?;
    ensure!(planned.0.success(), "the plan ended with {}", planned.0);
    ensure!(simulator.world().requests.len() == requests, "an offline plan called the CRM");
    let plan_id = planned
        .1
        .split_whitespace()
        .rfind(|word| word.starts_with("plan_"))
        .context("the plan has no id")?
        .to_owned();

    let rejects = format!("rejects-{name}.csv");
    let ran = run(dir, &["run", &plan_id, "--confirm", "--rejects", &rejects]).await?;
    // 1: some records failed, as this CRM was prepared to make them.
    ensure!(ran.0.code() == Some(1), "the run ended with {}", ran.0);

    let world = simulator.world();
    let after = Ledger::of(&world, crm);
    println!("Before and after, as the CRM holds them:\n");
    for id in crm.shown() {
        println!("  {id}\n    before  {}\n    after   {}", before.show(&id), after.show(&id));
    }
    let verdict = ledger::compare(&before, &after, &crm.golden(RECORDS), crm.fields());
    println!(
        "\n  {} of {} records changed, each to its golden values; {} other records and all other fields are as they were.",
        verdict.changed,
        before.len(),
        before.len() - verdict.changed
    );
    println!("  The CRM received {} requests.\n", world.requests.len() - requests);
    ensure!(
        verdict.wrong.is_empty(),
        "these changed in a way nobody confirmed: {:?}",
        verdict.wrong
    );
    Ok(())
}

/// Runs the command in the project's folder and shows what it prints.
async fn run(dir: &Path, arguments: &[&str]) -> Result<(ExitStatus, String)> {
    println!("$ reverse-sync {}", arguments.join(" "));
    let output = Command::new(binary()?)
        .args(arguments)
        .current_dir(dir)
        .env("CRM_TOKEN", TOKEN)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cannot start the command")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{text}");
    Ok((output.status, text))
}

/// The command, beside this program.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?
        .with_file_name(format!("reverse-sync{}", std::env::consts::EXE_SUFFIX));
    ensure!(path.is_file(), "{} is not built; run `cargo xtask demo`", path.display());
    Ok(path)
}

fn say(text: &str) {
    println!("{text}\n");
}
