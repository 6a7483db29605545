//! Rejects: records that were not written, as golden records with a reason, to be fixed and fed
//! back.

use crate::project::{Project, hubspot_toml};
use crm_simulator::Simulator;
use reverse_sync_tests::crm::{Provider, config};
use serde_json::{Value, json};
use std::fs;
use tokio::io::AsyncWriteExt;

async fn project(csv: &str) -> (Simulator, Project) {
    let simulator = Simulator::start(config(100)).await.unwrap();
    let project = Project::hubspot(&simulator, csv).await;
    (simulator, project)
}

fn id(n: usize) -> String {
    Provider::HubSpot.id(n)
}

/// The rows of a CSV file, as columns by name.
fn rows(project: &Project, name: &str) -> (Vec<String>, Vec<Value>) {
    let mut reader = csv::Reader::from_path(project.path(name)).unwrap();
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows = reader.records().map(|row| {
        let row = row.unwrap();
        names
            .iter()
            .zip(row.iter())
            .map(|(name, cell)| (name.clone(), json!(cell)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    });
    (names.clone(), rows.collect())
}

/// Rows 2 and 5 fail, 3 and 4 are skipped; the last row is written.
fn mixed() -> String {
    format!(
        "note,hs_object_id,firstname,zip\nfirst,{},A,01234\n\"a \"\"b\"\"\nc\",999,Nobody,00001\n,,No id,\n,4.9e11,Odd,2\nlast but one,998,Nobody,\nlast,{},B,\n",
        id(0),
        id(1)
    )
}

#[tokio::test]
async fn rejects_are_golden_records_with_a_reason_in_the_order_of_the_input() {
    let (_simulator, project) = project(&mixed()).await;
    let ended = project.run(&["run", "people", "--confirm", "--rejects", "rejects.csv"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("4 records that were not updated are in rejects.csv"),
        "{ended:?}"
    );
    let (names, rows) = rows(&project, "rejects.csv");
    let fate = ["__outcome", "__row", "__provider_id", "__http_status", "__code", "__message"];
    assert_eq!(names, [&["note", "hs_object_id", "firstname", "zip"][..], &fate].concat());
    let told: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row["__row"].as_str().unwrap(),
                row["__outcome"].as_str().unwrap(),
                row["__code"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("2", "failed", "OBJECT_NOT_FOUND"),
            ("3", "skipped", "provider_id_null"),
            ("4", "skipped", "provider_id_not_pristine"),
            ("5", "failed", "OBJECT_NOT_FOUND"),
        ]
    );
    assert_eq!(
        (rows[0]["note"].as_str(), rows[0]["zip"].as_str()),
        (Some("a \"b\"\nc"), Some("00001")),
        "values keep their spelling"
    );
    assert_eq!(
        (rows[0]["hs_object_id"].as_str(), rows[0]["__provider_id"].as_str()),
        (Some("999"), Some("999"))
    );
    assert_eq!(rows[2]["hs_object_id"], "4.9e11");
    assert!(
        rows[0]["__message"].as_str().unwrap().contains("Could not get some CONTACT objects"),
        "{}",
        rows[0]
    );
}

#[tokio::test]
async fn rejects_can_be_fed_back_as_they_are() {
    for file in ["rejects.csv", "rejects.jsonl"] {
        let (simulator, project) = project(&mixed()).await;
        project.run(&["run", "people", "--confirm", "--rejects", file]).await;
        // Somebody fixes one id, and feeds the whole file back.
        let fixed = fs::read_to_string(project.path(file)).unwrap().replace("998", &id(7));
        project.write(file, &fixed);
        let plan = project.run(&["plan", "people", "--json", "--records", file]).await.json();
        assert_eq!(
            (plan["total"].as_u64(), plan["writable"].as_u64(), plan["skipped"].as_u64()),
            (Some(4), Some(2), Some(2)),
            "{plan}"
        );
        let again = file.replace("rejects", "again");
        let run = project
            .run(&["run", plan["plan_id"].as_str().unwrap(), "--confirm", "--rejects", &again])
            .await;
        assert_eq!(run.code, Some(1), "{run:?}");
        assert_eq!(
            simulator.world().hubspot.value("contacts", &id(7), "firstname"),
            Some("Nobody")
        );
        let text = fs::read_to_string(project.path(&again)).unwrap();
        assert_eq!(
            text.matches("__outcome").count(),
            if file.ends_with("csv") { 1 } else { 3 },
            "old reasons make room for new ones: {text}"
        );
        assert_eq!(text.matches("999").count(), 2, "as the id and as the provider id: {text}");
    }
}

#[tokio::test]
async fn inputs_with_different_columns_come_together_and_ids_stay_text() {
    let (_simulator, project) = project("").await;
    fs::create_dir(project.path("golden")).unwrap();
    project.write("golden/a.csv", "hs_object_id,firstname\n,A\n");
    project.write(
        "golden/b.jsonl",
        "{\"hs_object_id\":4.92564112121e11,\"age\":7,\"account_id\":\"007\",\"active\":true,\"tags\":[\"x\",\"y\"]}\n{\"lastname\":\"B\",\"o\":{\"x\":1}}\n",
    );
    project.write("golden/c.csv", "hs_object_id,city\n,C\n");
    let plan =
        project.run(&["plan", "people", "--records", "golden/*", "--rejects", "rejects.csv"]).await;
    assert!(
        plan.code == Some(0)
            && plan.stderr.contains("4 records that would be skipped are in rejects.csv"),
        "{plan:?}"
    );
    let (names, rows) = rows(&project, "rejects.csv");
    assert_eq!(
        names[..9],
        [
            "hs_object_id",
            "firstname",
            "age",
            "account_id",
            "active",
            "tags",
            "lastname",
            "o",
            "city"
        ],
        "{names:?}"
    );
    assert_eq!(
        (rows[1]["hs_object_id"].as_str(), rows[1]["account_id"].as_str()),
        (Some("4.92564112121e11"), Some("007"))
    );
    assert_eq!(
        (rows[1]["age"].as_str(), rows[1]["active"].as_str(), rows[3]["city"].as_str()),
        (Some("7"), Some("true"), Some("C"))
    );
    assert_eq!(
        rows.iter().map(|row| row["__row"].as_str().unwrap()).collect::<Vec<_>>(),
        ["1", "2", "3", "4"]
    );

    project.run(&["plan", "people", "--records", "golden/*", "--rejects", "rejects.jsonl"]).await;
    let text = fs::read_to_string(project.path("rejects.jsonl")).unwrap();
    let second: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
    assert_eq!(
        (second["tags"].clone(), second["age"].clone(), second["__row"].clone()),
        (json!(["x", "y"]), json!(7), json!(2)),
        "{text}"
    );
}

#[tokio::test]
async fn csv_of_another_form_is_read_and_written_as_the_project_says() {
    let csv = format!(
        "hs_object_id;firstname;note\n{};\"Ada \\\"A\\\"; Lovelace\";x\n4.9e11;\"O\\\"Neill; P\";\n",
        id(0)
    );
    let (simulator, project) = project(&csv).await;
    let refused = project.run(&["plan", "people"]).await;
    assert!(
        refused.code == Some(2)
            && refused.stderr.contains(r#"records = { files = …, delimiter = ";" }"#),
        "{refused:?}"
    );
    let toml = fs::read_to_string(project.path("reverse-sync.toml")).unwrap();
    let form = r#"records = { files = "golden.csv", delimiter = ";", escape = "\\" }"#;
    project.write("reverse-sync.toml", &toml.replace(r#"records = "golden.csv""#, form));
    let run = project.run(&["run", "people", "--confirm", "--rejects", "rejects.csv"]).await;
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(
        simulator.world().hubspot.value("contacts", &id(0), "firstname"),
        Some(r#"Ada "A"; Lovelace"#)
    );
    let rejects = fs::read_to_string(project.path("rejects.csv")).unwrap();
    assert!(rejects.contains(r#"4.9e11;"O\"Neill; P";"#), "{rejects}");
    // Mended, they are read in the same form.
    project.write("rejects.csv", &rejects.replace("4.9e11", &id(1)));
    let again = project.run(&["run", "people", "--confirm", "--records", "rejects.csv"]).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(
        simulator.world().hubspot.value("contacts", &id(1), "firstname"),
        Some(r#"O"Neill; P"#)
    );

    project.write(
        "reverse-sync.toml",
        &toml.replace(
            r#"records = "golden.csv""#,
            r#"records = { files = "golden.csv", delimiter = "ab" }"#,
        ),
    );
    let refused = project.run(&["plan", "people"]).await;
    assert!(
        refused.code == Some(2)
            && refused.stderr.contains("`delimiter` must be one ASCII character"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn standard_input_cannot_be_read_again_and_that_is_said() {
    let (_simulator, project) = project("").await;
    let mut child = project
        .command(&["run", "people", "--confirm", "--records", "-", "--rejects", "rejects.csv"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all(format!("hs_object_id,firstname\n{},A\n999,B\n", id(0)).as_bytes())
        .await
        .unwrap();
    drop(stdin);
    let ended = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8(ended.stderr).unwrap();
    assert!(
        stderr.contains(
            "without the columns of the golden records: the golden records did not come from a file"
        ),
        "{stderr}"
    );
    let (names, rows) = rows(&project, "rejects.csv");
    assert_eq!(
        (
            names[0].as_str(),
            rows.len(),
            rows[0]["__provider_id"].as_str(),
            rows[0]["__row"].as_str()
        ),
        ("__outcome", 1, Some("999"), Some("2"))
    );
}

#[tokio::test]
async fn golden_records_are_never_overwritten() {
    let (_simulator, project) = project(&mixed()).await;
    for command in [
        &["plan", "people", "--rejects", "golden.csv"][..],
        &["run", "people", "--confirm", "--rejects", "./golden.csv"],
    ] {
        let ended = project.run(command).await;
        assert!(
            ended.code == Some(2) && ended.stderr.contains("holds golden records"),
            "{ended:?}"
        );
        assert_eq!(fs::read_to_string(project.path("golden.csv")).unwrap(), mixed());
    }
    let ended = project.run(&["run", "people", "--confirm", "--rejects", "rejects.xlsx"]).await;
    assert_eq!(ended.code, Some(2), "before anything is sent: {ended:?}");
}

#[tokio::test]
#[cfg(unix)]
async fn rejects_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let (_simulator, project) = project(&mixed()).await;
    project.run(&["plan", "people", "--rejects", "rejects.jsonl"]).await;
    let mode = fs::metadata(project.path("rejects.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(
        !project.path("").read_dir().unwrap().any(|entry| entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .starts_with(".rejects-"))
    );
}

#[tokio::test]
async fn a_few_rejects_among_many_records_of_many_batches() {
    let mut csv = "hs_object_id,firstname\n".to_owned();
    for n in 1..=20_000 {
        let reject = n % 4_096 == 0 || n == 1 || n == 20_000 || (5_000..5_010).contains(&n);
        csv.push_str(&format!(
            "{},Person {n}\n",
            if reject { String::new() } else { (600_000_000_000u64 + n).to_string() }
        ));
    }
    let simulator = Simulator::start(config(0)).await.unwrap();
    let project = Project::hubspot(&simulator, &csv).await;
    project.write("reverse-sync.toml", &hubspot_toml(&simulator.base_url()));
    project.run(&["plan", "people", "--rejects", "rejects.csv"]).await;
    let (_, rows) = rows(&project, "rejects.csv");
    assert_eq!(rows.len(), 16);
    for row in rows {
        assert_eq!(
            row["firstname"].as_str().unwrap(),
            format!("Person {}", row["__row"].as_str().unwrap())
        );
    }
}
