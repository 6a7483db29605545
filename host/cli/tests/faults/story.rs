//! A person runs the command in a project folder, against a CRM. The disk fails them; they run it
//! again.

use crate::tracer::{Fault, Running, Step, Traced};
use crm_simulator::{Config, Simulator, record_id};
use reverse_sync_tests::component_file;
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};
use tokio::runtime::Runtime;

/// Records that the CRM has, and that are written.
pub(crate) const GOOD: u64 = 6;
/// With one that the CRM does not have.
pub(crate) const ALL: u64 = GOOD + 1;

const TOKEN: &str = "test-token";
const CLIENT_SECRET: &str = "test-client-secret";
const REFRESH_TOKEN: &str = "test-refresh-token";

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// HubSpot: planned and run at once, a request for each record.
    Run,
    /// Salesforce: compared, a canary first, all of it read back.
    Canary,
    /// The way back from such a run.
    Undo,
    /// HubSpot, with a refresh token in a file, which rotates.
    TokenInFile,
    /// The same with one from the environment, whose successors are kept.
    TokenInEnvironment,
    /// A component is compiled and kept.
    Compile,
}

/// A project folder, the CRM, and what the command is asked.
pub(crate) struct Story {
    pub(crate) kind: Kind,
    pub(crate) simulator: Simulator,
    dir: tempfile::TempDir,
    /// What the CRM held before.
    before: BTreeMap<String, String>,
    /// The run that is undone.
    undone: String,
}

/// How the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Story {
    pub(crate) fn begin(kind: Kind, runtime: &Runtime) -> Story {
        let oauth = matches!(kind, Kind::TokenInFile | Kind::TokenInEnvironment);
        let defaults = Config::default();
        let config = Config {
            hubspot_contacts: GOOD as usize,
            salesforce_contacts: GOOD as usize,
            hubspot_limit: 1_000_000,
            tokens: if oauth { Vec::new() } else { defaults.tokens.clone() },
            ..defaults
        };
        let simulator = runtime.block_on(Simulator::start(config)).unwrap();
        simulator.world().hubspot.rotate_refresh_token = oauth;
        let dir = tempfile::Builder::new().prefix("reverse-sync-faults-").tempdir().unwrap();
        let story = Story { kind, simulator, dir, before: BTreeMap::new(), undone: String::new() };
        fs::create_dir(story.root()).unwrap();
        fs::write(story.root().join("reverse-sync.toml"), story.toml()).unwrap();
        fs::write(story.root().join("golden.csv"), story.golden()).unwrap();
        if oauth {
            fs::create_dir(story.root().join("secrets")).unwrap();
            fs::write(story.root().join("secrets/refresh-token"), REFRESH_TOKEN).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(story.root().join("secrets/refresh-token"), private).unwrap();
        }
        let before = (0..GOOD).map(|n| (story.id(n), story.held(n))).collect();
        let mut story = Story { before, ..story };
        if kind == Kind::Undo {
            let ended = story.command(&["run", "people", "--compare", "--confirm", "--json"]);
            assert_eq!(
                (ended.code, &ended.json()["updated"]),
                (Some(0), &GOOD.into()),
                "{ended:?}"
            );
            story.undone = ended.json()["run_id"].as_str().unwrap().to_owned();
            story.simulator.world().clear_log();
        }
        story
    }

    /// The folder whose files are watched.
    pub(crate) fn root(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    fn hubspot(&self) -> bool {
        !matches!(self.kind, Kind::Canary | Kind::Undo)
    }

    fn toml(&self) -> String {
        let (provider, id, name, more) = match self.hubspot() {
            true => ("hubspot", "hs_object_id", "firstname", ", write_mode = \"record\""),
            false => ("salesforce", "Id", "FirstName", ""),
        };
        let secret = match self.kind {
            Kind::TokenInFile => "refresh_token = { file = \"secrets/refresh-token\" }",
            _ => "refresh_token = { env = \"REFRESH_TOKEN\" }",
        };
        let credential = match self.kind {
            Kind::TokenInFile | Kind::TokenInEnvironment => format!(
                "oauth = {{ grant = \"refresh_token\", client_id = \"test-client\", client_secret = {{ env = \"CLIENT_SECRET\" }}, {secret} }}"
            ),
            _ => "access_token = { env = \"TOKEN\" }".to_owned(),
        };
        format!(
            "[sources.src_1]\nprovider = \"{provider}\"\nbase_url = \"{}\"\n{credential}\n\n\
             [destinations.people]\ndestination_type = \"{provider}_dest\"\nentity_type = \"person\"\nrecords = \"golden.csv\"\n\
             config_json = {{ provider_id_field = \"{id}\", source_id = \"src_1\", fields = [\"{name}\"]{more} }}\n",
            self.simulator.base_url()
        )
    }

    fn golden(&self) -> String {
        let mut csv =
            if self.hubspot() { "hs_object_id,firstname\n" } else { "Id,FirstName\n" }.to_owned();
        for n in 0..ALL {
            csv.push_str(&format!("{},New {n}\n", self.id(n)));
        }
        csv
    }

    /// The id of a record; that of number [`GOOD`] is nobody's.
    pub(crate) fn id(&self, n: u64) -> String {
        if self.hubspot() { (492_564_112_121 + n * 3).to_string() } else { record_id("003", n) }
    }

    /// Changes that are confirmed: who compares leaves out what the CRM does not have.
    pub(crate) fn changes(&self) -> u64 {
        if matches!(self.kind, Kind::Canary | Kind::Undo) { GOOD } else { ALL }
    }

    /// The first name that the CRM holds.
    pub(crate) fn held(&self, n: u64) -> String {
        let (id, world) = (self.id(n), self.simulator.world());
        match self.hubspot() {
            true => {
                world.hubspot.value("contacts", &id, "firstname").unwrap_or_default().to_owned()
            }
            false => world
                .salesforce
                .value("Contact", &id, "FirstName")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// The first name that was confirmed to be written.
    pub(crate) fn wanted(&self, n: u64) -> String {
        if self.kind == Kind::Undo { self.before[&self.id(n)].clone() } else { format!("New {n}") }
    }

    /// What the command is asked.
    fn arguments(&self) -> Vec<String> {
        let words: &[&str] = match self.kind {
            Kind::Run | Kind::TokenInFile | Kind::TokenInEnvironment => {
                &["run", "people", "--confirm", "--json"]
            }
            Kind::Canary => &[
                "run",
                "people",
                "--compare",
                "--canary",
                "2",
                "--verify=all",
                "--confirm",
                "--json",
            ],
            Kind::Undo => &["undo", &self.undone, "--confirm", "--json"],
            Kind::Compile => &["plan", "people", "--offline", "--json"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// The run that is undone, if one is.
    pub(crate) fn undone(&self) -> &str {
        &self.undone
    }

    fn build(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.root());
        command
            .env("TOKEN", TOKEN)
            .env("CLIENT_SECRET", CLIENT_SECRET)
            .env("REFRESH_TOKEN", REFRESH_TOKEN);
        match self.kind {
            Kind::Compile => command.env("REVERSE_SYNC_CACHE_DIR", self.root().join("cache")),
            // What is compiled once is compiled for all.
            _ => command.env("REVERSE_SYNC_CACHE_DIR", component_file().with_file_name("cache")),
        };
        command
    }

    /// Runs the command, and nothing goes wrong.
    pub(crate) fn command(&self, arguments: &[&str]) -> Ended {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let output = self.build(&arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Runs it for the first time, with a fault or without.
    pub(crate) fn first(&self, fault: Option<(Step, Fault)>) -> (Ended, Traced) {
        let traced = Running::start(&self.build(&self.arguments()), &self.root(), fault).ended();
        let read = |extension| fs::read_to_string(self.root().with_extension(extension)).unwrap();
        (Ended { code: traced.code, stdout: read("out"), stderr: read("err") }, traced)
    }

    /// Goes on as a person would, until the run has ended.
    pub(crate) fn go_on(&self) -> Ended {
        if self.kind == Kind::Compile {
            return self.command(&["plan", "people", "--offline", "--json"]);
        }
        let runs = self.command(&["runs", "--json"]);
        assert_eq!(runs.code, Some(0), "{runs:?}");
        let runs = runs.json();
        let begun = runs
            .as_array()
            .unwrap()
            .iter()
            .filter(|run| run["run_id"] != self.undone.as_str())
            .find_map(|run| run["plan_id"].as_str());
        if let Some(plan) = begun {
            let ended = self.command(&["run", plan, "--confirm", "--json"]);
            if !ended.stderr.contains("plan again") {
                return ended;
            }
            // A plan is on disk before anything of it is written.
            assert_eq!(
                self.simulator.world().writes.len(),
                0,
                "the plan of a run that has written is gone: {ended:?}"
            );
        }
        let arguments = self.arguments();
        self.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// The command.
pub(crate) fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_reverse-sync"))
}
