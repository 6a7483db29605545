//! A project folder and the command that runs in it.

use crm_simulator::Simulator;
use reverse_sync_tests::crm::{TOKEN, hostile_guest};
use serde_json::Value;
use std::{
    path::PathBuf,
    process::{Output, Stdio},
};
use tokio::process::Command;

/// A folder with a project file and golden records.
pub(crate) struct Project {
    pub(crate) dir: tempfile::TempDir,
    /// The component, if it is not the bundled one.
    pub(crate) plugin: Option<PathBuf>,
}

impl Project {
    pub(crate) async fn hubspot(simulator: &Simulator, csv: &str) -> Project {
        let project = Project::empty();
        project.write("reverse-sync.toml", &hubspot_toml(&simulator.base_url()));
        project.write("golden.csv", csv);
        project
    }

    /// A project whose plans are compared with the CRM.
    pub(crate) async fn comparing(simulator: &Simulator, csv: &str) -> Project {
        let project = Project::hubspot(simulator, csv).await;
        project.write(
            "reverse-sync.toml",
            &hubspot_toml(&simulator.base_url())
                .replace("fields = [\"firstname\"]", "compare = true"),
        );
        project
    }

    /// The same with another component, as small as can be.
    pub(crate) async fn comparing_with_guest(simulator: &Simulator, csv: &str) -> Project {
        let mut project = Project::comparing(simulator, csv).await;
        let toml = std::fs::read_to_string(project.path("reverse-sync.toml")).unwrap();
        let digest = hostile_guest().await.digest();
        let objects = "/crm/v3/objects/${object}";
        let named = [
            "plan POST {}/batch/read",
            "run POST {}/batch/read",
            "run POST {}/batch/update",
            "run PATCH {}/${id}",
        ];
        let named = named.map(|label| label.replace("{}", objects));
        project.write(
            "reverse-sync.toml",
            &format!("{toml}\n[[grants]]\ncomponent = \"{digest}\"\ncapabilities = {named:?}\n"),
        );
        project.plugin = Some(hostile_guest_component::FILE.into());
        project
    }

    /// A folder without anything in it.
    pub(crate) fn empty() -> Project {
        Project { dir: tempfile::tempdir().unwrap(), plugin: None }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command with these arguments, in the project's folder, with the token in its variable.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reverse-sync"));
        let plugin =
            self.plugin.iter().flat_map(|plugin| ["--plugin".as_ref(), plugin.as_os_str()]);
        command
            .args(arguments)
            .args(plugin)
            .current_dir(self.dir.path())
            .env("HUBSPOT_TOKEN", TOKEN)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        Ended::from(self.command(arguments).output().await.unwrap())
    }
}

/// Runs what there is to run, and kills the command (SIGKILL) once this has happened.
pub(crate) async fn killed_after(project: &Project, happened: impl Future<Output = ()>) {
    let mut child = project
        .command(&["run", "people", "--confirm"])
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    happened.await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();
}

/// How the command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn hubspot_toml(base_url: &str) -> String {
    format!(
        r#"
[sources.src_1]
provider = "hubspot"
base_url = "{base_url}"
access_token = {{ env = "HUBSPOT_TOKEN" }}

[destinations.people]
destination_type = "hubspot_dest"
entity_type = "person"
records = "golden.csv"
config_json = {{ provider_id_field = "hs_object_id", source_id = "src_1", object = "contacts", fields = ["firstname"] }}
"#
    )
}

/// The same for Salesforce, with these fields.
pub(crate) fn salesforce_toml(base_url: &str, fields: &[&str]) -> String {
    hubspot_toml(base_url)
        .replace("\"hubspot\"", "\"salesforce\"")
        .replace("hubspot_dest", "salesforce_dest")
        .replace("hs_object_id", "Id")
        .replace("object = \"contacts\", fields = [\"firstname\"]", &format!("fields = {fields:?}"))
}
