//! The `reverse-sync` command.
//!
//! `main` parses arguments and turns errors into exit codes; each command has its module.
//! [`project`] is the file people write, [`workspace`] what it comes to, [`render`] what people
//! read.

#![warn(clippy::print_stderr)]

mod apply;
mod bundled;
mod check;
mod conformance;
mod exit;
mod global_args;
mod init;
mod inspect;
mod logging;
mod metadata;
mod plan;
mod progress;
mod project;
mod rejects;
mod render;
mod run;
mod runs;
#[cfg(all(feature = "service", unix))]
mod serve;
mod shell;
mod show;
#[cfg(all(feature = "service", unix))]
mod state;
mod terminal;
mod undo;
mod workspace;

use clap::{CommandFactory, Parser, Subcommand};
use exit::{Exit, Failure};
use global_args::GlobalArgs;
use logging::Logging;
use tracing_subscriber::filter::LevelFilter;

/// Writes golden records back to HubSpot and Salesforce: UPDATE only, behind a dry run and a
/// confirmation.
///
/// Exit codes: 0 all updated or nothing to do, 1 some records failed or hold something else, 2
/// usage or configuration, 3 refused by the gate, 4 CRM or credential unavailable, 10 a plan has
/// changes (`plan --detailed-exitcode`), 130 stopped by Ctrl-C (run the same command again to
/// continue).
#[derive(Parser)]
#[command(name = "reverse-sync", version)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a project file for golden records that are there already
    Init(init::InitArgs),
    /// Look whether the project's destinations can be planned and run: settings, golden records,
    /// credential. Writes nothing
    Check(check::CheckArgs),
    /// Dry run: show what would be written, and keep it as a plan. Writes nothing; without a
    /// credential it plans offline, and says so
    Plan(plan::PlanArgs),
    /// Show a plan that is kept here, change by change
    Show(show::ShowArgs),
    /// Write a confirmed plan: plan and run a destination in one go, or run a stored plan
    Run(run::RunArgs),
    /// Plan the way back from a run that was planned with --compare, and write it once confirmed
    Undo(undo::UndoArgs),
    /// List the runs that were made here, and which of them can be undone
    Runs(runs::RunsArgs),
    /// Look at plugins
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Print the script with which a shell completes this command
    Completions(shell::CompletionsArgs),
    /// Write the man pages into a folder
    Man(shell::ManArgs),
    /// The service: the API, and the page people use
    #[cfg(all(feature = "service", unix))]
    Serve(serve::ServeArgs),
    /// Orgs of a service
    #[cfg(all(feature = "service", unix))]
    #[command(subcommand)]
    Orgs(state::OrgsCommand),
    /// API keys of a service's orgs
    #[cfg(all(feature = "service", unix))]
    #[command(subcommand)]
    ApiKeys(state::ApiKeysCommand),
    /// Keys that a service seals credentials with
    #[cfg(all(feature = "service", unix))]
    #[command(subcommand)]
    Keys(state::KeysCommand),
    /// The audit log of a service
    #[cfg(all(feature = "service", unix))]
    #[command(subcommand)]
    Audit(state::AuditCommand),
}

impl Command {
    /// Whether standard output belongs to a program.
    fn wants_json(&self) -> bool {
        match self {
            Command::Check(args) => args.json,
            Command::Plan(args) => args.json,
            Command::Show(args) => args.json,
            Command::Run(args) => args.apply.json,
            Command::Undo(args) => args.apply.json,
            Command::Runs(args) => args.json,
            Command::Plugin(PluginCommand::Test(args)) => args.json,
            _ => false,
        }
    }

    /// The level of the log without `-v`.
    fn quiet(&self) -> LevelFilter {
        match self {
            #[cfg(all(feature = "service", unix))]
            Command::Serve(_) => LevelFilter::INFO,
            // It makes the trouble that would be logged.
            Command::Plugin(PluginCommand::Test(_)) => LevelFilter::OFF,
            _ => LevelFilter::WARN,
        }
    }
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Say in words what a plugin is and asks for
    Inspect(inspect::InspectArgs),
    /// Test whether a plugin keeps the contract: against a CRM of this command, which answers as a
    /// fixture says
    Test(conformance::TestArgs),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    cli.global.remember();
    // What a crash leaves on disk would have keys and tokens in it. Where the system refuses, there
    // is nothing to be done about it.
    #[cfg(unix)]
    let _ = rustix::process::setrlimit(
        rustix::process::Resource::Core,
        rustix::process::Rlimit { current: Some(0), maximum: Some(0) },
    );
    let exit = match runtime().and_then(|runtime| run_in(runtime, &cli)) {
        Ok(exit) => exit,
        Err(failure) => {
            if cli.command.wants_json() {
                render::error_json(&failure);
            }
            render::error(&failure);
            failure.exit
        }
    };
    exit.into()
}

/// How long threads have to come back when the command has ended.
const STUCK: std::time::Duration = std::time::Duration::from_secs(5);

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    // Each run of the service has a thread that mostly waits.
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(2_048)
        .build()
        .map_err(|error| Failure::new(Exit::Usage, error))
}

fn run_in(runtime: tokio::runtime::Runtime, cli: &Cli) -> Result<Exit, Failure> {
    let within = runtime.enter();
    let logging = Logging::start(&cli.global.log, cli.command.quiet())?;
    drop(within);
    let exit = runtime.block_on(dispatch(cli));
    logging.end();
    // A thread that is stuck, as on a disk that does not answer, keeps nobody here.
    runtime.shutdown_timeout(STUCK);
    exit
}

async fn dispatch(cli: &Cli) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Init(args) => init::init(&cli.global, args),
        Command::Check(args) => check::check(&cli.global, args).await,
        Command::Plan(args) => plan::plan(&cli.global, args).await,
        Command::Show(args) => show::show(&cli.global, args).await,
        Command::Completions(args) => shell::completions(Cli::command(), args),
        Command::Man(args) => shell::man(Cli::command(), args),
        Command::Run(args) => run::run(&cli.global, args).await,
        Command::Undo(args) => undo::undo(&cli.global, args).await,
        Command::Runs(args) => runs::runs(&cli.global, args).await,
        Command::Plugin(PluginCommand::Inspect(args)) => inspect::inspect(args).await,
        Command::Plugin(PluginCommand::Test(args)) => conformance::test(args).await,
        #[cfg(all(feature = "service", unix))]
        Command::Serve(args) => serve::serve(args).await,
        #[cfg(all(feature = "service", unix))]
        Command::Orgs(command) => state::orgs(command).await,
        #[cfg(all(feature = "service", unix))]
        Command::ApiKeys(command) => state::api_keys(command).await,
        #[cfg(all(feature = "service", unix))]
        Command::Keys(command) => state::keys(command).await,
        #[cfg(all(feature = "service", unix))]
        Command::Audit(command) => state::audit(command).await,
    }
}

#[cfg(all(test, feature = "service", unix))]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::fs;

    const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/command-line.md");
    const BEGIN: &str = "<!-- begin: what -h prints -->\n";
    const END: &str = "<!-- end -->";
    const REGENERATE: &str = "REVERSE_SYNC_BLESS=1 cargo test --bin reverse-sync documentation";

    /// What `-h` prints of a command without subcommands, and of those below it. Options of every
    /// command are those of the first.
    fn sections(command: &mut clap::Command, out: &mut String) {
        let is_root = out.is_empty();
        if is_root || !command.has_subcommands() {
            let help = command.render_help().to_string();
            let own = help.find("Global options:").filter(|_| !is_root).unwrap_or(help.len());
            let help = &help[..own];
            let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
            out.push_str(&format!("\n### {name}\n\n```text\n{}\n```\n", help.trim_end()));
        }
        let shown =
            |command: &&mut clap::Command| command.get_name() != "help" && !command.is_hide_set();
        command.get_subcommands_mut().filter(shown).for_each(|command| sections(command, out));
    }

    fn options(command: &clap::Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(|argument| argument.get_long());
        let own = own.map(|name| format!("--{name}"));
        own.chain(command.get_subcommands().flat_map(options)).collect()
    }

    #[test]
    fn the_documentation_is_what_the_command_says_of_itself() {
        let mut cli = Cli::command().name("reverse-sync");
        cli.build();
        let page = fs::read_to_string(PAGE).unwrap();
        let (written, rest) = page.split_once(BEGIN).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        let mut right = String::new();
        sections(&mut cli, &mut right);
        right.push('\n');
        if std::env::var_os("REVERSE_SYNC_BLESS").is_some() {
            fs::write(PAGE, [written, BEGIN, &right, END, after].concat()).unwrap();
            return;
        }
        for (found, right) in found.lines().zip(right.lines()) {
            assert_eq!(found, right, "docs/command-line.md differs; {REGENERATE}");
        }
        assert!(found == right, "docs/command-line.md differs in length; {REGENERATE}");
        let known = options(&cli);
        for word in written.split(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            let is_option = word.len() > 3 && word.starts_with("--");
            assert!(!is_option || known.iter().any(|known| known == word), "no option {word}");
        }
    }
}
