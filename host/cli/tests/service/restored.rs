//! A folder or a database that was put back to an older state: nothing is taken for what it is not,
//! and no way back is lost.

use super::world::{Tenant, crm, half_written, new_names, service, service_with, until, written};
use crm_simulator::{Fault, Rule, Simulator};
use reverse_sync_tests::{
    postgres::programs,
    service::{Database, Service},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

/// A copy of a folder.
/// Copies what is in a folder, with its times: a golden set is known by them.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    assert!(Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap().success());
}

/// The files of the SQLite database.
fn database(service: &Service) -> Vec<PathBuf> {
    let files = fs::read_dir(service.state()).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("reverse-sync.db"))
        .collect()
}

fn back_up_database(service: &Service, to: &Path) {
    for file in database(service) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

fn restore_database(service: &Service, from: &Path) {
    for file in database(service) {
        fs::remove_file(file).unwrap();
    }
    copy(from, &service.state());
}

/// What a start says that comes to nothing.
async fn refused(service: &mut Service) -> String {
    let said = service.start_again().await.unwrap_err().to_string();
    assert!(said.contains("--restored") && said.contains("Nothing was changed"), "{said}");
    said
}

async fn three(service: &Service) -> (Simulator, Tenant, String) {
    let simulator = crm(3).await;
    let tenant = Tenant::hubspot(service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3)).await;
    (simulator, tenant, destination)
}

fn requests(simulator: &Simulator) -> usize {
    simulator
        .world()
        .requests
        .iter()
        .filter(|request| request.target.contains("/batch/update"))
        .count()
}

#[tokio::test]
async fn a_run_after_an_older_database_is_a_new_run() {
    let mut service = service(Database::Sqlite).await;
    let (simulator, tenant, destination) = three(&service).await;
    assert!(service.stop().await.unwrap());
    let backup = tempfile::tempdir().unwrap();
    back_up_database(&service, backup.path());
    service.start_again().await.unwrap();
    let first = tenant.run(&destination).await.is(200);
    assert_eq!((&first["updated"], requests(&simulator)), (&json!(3), 1));
    let plan = service
        .state()
        .join("orgs")
        .join(&tenant.org.id)
        .join("plans")
        .join(first["plan_id"].as_str().unwrap());
    assert!(service.stop().await.unwrap());

    restore_database(&service, backup.path());
    let said = refused(&mut service).await;
    assert!(said.contains("the database is older than the folder"), "{said}");
    // It would be swept away as something that nobody knows.
    let long_ago = SystemTime::now() - Duration::from_secs(90 * 24 * 3600);
    fs::File::open(&plan).unwrap().set_modified(long_ago).unwrap();
    service.start_with(&["--restored"]).await.unwrap();
    let again = tenant.run(&destination).await.is(200);
    assert_eq!(
        again["plan_id"], first["plan_id"],
        "the same plan, whose old journal says that all is done"
    );
    assert_ne!(again["run_id"], first["run_id"]);
    assert_eq!(
        (&again["updated"], &again["ok"], requests(&simulator)),
        (&json!(3), &json!(true), 2),
        "{again}"
    );
    assert!(plan.is_dir(), "the plan of a run that only its journal knows");
    let verified = service.run(&["audit", "verify"]).await.unwrap();
    assert!(verified.status.success(), "{verified:?}");
    // From now on they are of one time.
    assert!(service.stop().await.unwrap());
    service.start_again().await.unwrap();
}

#[tokio::test]
async fn a_run_whose_journal_was_put_back_reads_what_it_has_written() {
    let mut service = service(Database::Sqlite).await;
    let simulator = crm(3_000).await;
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3_000)).await;
    simulator.world().fault(Rule::always(Fault::Latency(100)).on("/batch/update"));
    let run = tenant.start(&destination).await;
    let orgs = service.state().join("orgs");
    let stop_after = async |service: &mut Service, count: usize| {
        written(&simulator, count).await;
        assert!(service.stop().await.unwrap());
        assert!(
            simulator.world().writes.len() < 3_000,
            "it was stopped too late to prove anything"
        );
    };
    stop_after(&mut service, 100).await;
    let backup = tempfile::tempdir().unwrap();
    copy(&orgs, &backup.path().join("orgs"));
    fs::copy(service.state().join("state.json"), backup.path().join("state.json")).unwrap();
    service.start_again().await.unwrap();
    let before = simulator.world().writes.len();
    stop_after(&mut service, before + 100).await;
    let before = simulator.world().writes.len();

    fs::remove_dir_all(&orgs).unwrap();
    copy(backup.path(), &service.state());
    let said = refused(&mut service).await;
    assert!(said.contains("the folder is older than the database"), "{said}");
    simulator.world().faults.clear();
    // A run whose plan is not known cannot be put in doubt, and is no reason to forget that.
    let set = async |service: &Service, from: &str, to: &str| {
        let sql = format!("UPDATE runs SET plan_id = replace(plan_id, '{from}', '{to}')");
        service.execute(&sql).await.unwrap();
    };
    set(&service, "plan_", "plan-").await;
    let said = service.start_with(&["--restored"]).await.unwrap_err().to_string();
    assert!(said.contains(&format!("runs.plan_id of {run} cannot be read")), "{said}");
    set(&service, "plan-", "plan_").await;
    service.start_with(&["--restored"]).await.unwrap();
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["ok"], &ended["pending"]), (&json!(true), &json!(0)), "{ended}");
    assert_eq!(simulator.world().written_twice(), []);
    assert_eq!(simulator.world().writes.len(), 3_000, "{before} were written before");
}

#[tokio::test]
async fn both_of_one_time_go_on_as_if_nothing_had_been() {
    let mut service = service(Database::Sqlite).await;
    let (_simulator, tenant, destination) = three(&service).await;
    assert!(service.stop().await.unwrap());
    let backup = tempfile::tempdir().unwrap();
    copy(&service.state(), backup.path());
    service.start_again().await.unwrap();
    tenant.run(&destination).await.is(200);
    assert!(service.stop().await.unwrap());
    fs::remove_dir_all(service.state()).unwrap();
    copy(backup.path(), &service.state());
    service.start_again().await.unwrap();
    // As of that time, nothing has run. The CRM knows better, and the run says so.
    let run = tenant.run(&destination).await.is(200);
    assert_eq!((&run["ok"], &run["updated"]), (&json!(true), &json!(3)), "{run}");
}

#[tokio::test]
async fn a_folder_and_a_database_that_never_belonged_together_are_refused() {
    let (mut one, mut other) = (service(Database::Sqlite).await, service(Database::Sqlite).await);
    assert!(one.stop().await.unwrap() && other.stop().await.unwrap());
    let backup = tempfile::tempdir().unwrap();
    back_up_database(&other, backup.path());
    restore_database(&one, backup.path());
    let said = refused(&mut one).await;
    assert!(
        said.contains("the folder is of state_") && said.contains("the database is of state_"),
        "{said}"
    );
}

/// The documented commands for a backup and its restore, as they stand there.
#[tokio::test]
#[ignore = "needs PostgreSQL: .ci/install test"]
async fn the_documented_backup_puts_both_back() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/service.md"))
            .unwrap();
    let commands: Vec<&str> =
        page.lines().map(|line| line.split("  #").next().unwrap().trim_end()).collect();
    let mut service = service(Database::Postgres).await;
    let (simulator, tenant, destination) = three(&service).await;
    let first = tenant.run(&destination).await.is(200);
    let backup = service.state().with_file_name("backup");
    fs::create_dir(&backup).unwrap();
    let (dir, url) = (service.state().parent().unwrap().to_owned(), service.database_url());
    let shell = |wanted: &str| {
        let command = commands
            .iter()
            .find(|line| line.starts_with(wanted))
            .unwrap_or_else(|| panic!("docs/service.md has no `{wanted}`"));
        // The restored folder is at the same path.
        let done = Command::new("sh")
            .args(["-ec", &command.replace("DIR", "state")])
            .current_dir(&dir)
            .env("DATABASE", &url)
            .env(
                "PATH",
                format!("{}:{}", programs().unwrap().display(), std::env::var("PATH").unwrap()),
            )
            .output()
            .unwrap();
        assert!(done.status.success(), "{command}: {done:?}");
    };
    shell("pg_dump ");
    shell("cp -a DIR backup/");
    tenant.golden("person", &new_names(3..6)).await;
    tenant.golden("person", &new_names(0..2)).await;
    let lost = tenant.run(&destination).await.is(200);
    assert!(service.stop().await.unwrap());
    shell("rm -r DIR && cp -a backup/DIR DIR");
    shell("pg_restore ");

    service.start_with(&["--restored"]).await.unwrap();
    let runs = tenant.list("/runs").await;
    assert_eq!(
        (runs.len(), &runs[0]["run_id"], &runs[0]["updated"]),
        (1, &first["run_id"], &json!(3)),
        "{runs:?}"
    );
    let before = requests(&simulator);
    let again = tenant.run(&destination).await.is(200);
    assert_eq!((&again["updated"], requests(&simulator)), (&json!(3), before + 1), "{again}");
    assert_ne!(again["run_id"], lost["run_id"]);
    let verified = service.run(&["audit", "verify"]).await.unwrap();
    assert!(verified.status.success(), "{verified:?}");
}

/// Whatever becomes of a journal of a run that has not ended, the run does not begin anew.
async fn a_run_whose_journal_is_gone_or_anothers_writes_nothing(database: Database) {
    for replaced in [false, true] {
        let mut service = service(database).await;
        let simulator = crm(3_000).await;
        let (tenant, _, run) = half_written(&service, &simulator, 3_000).await;
        service.kill().await.unwrap();
        let before = simulator.world().writes.len();
        let journal = service
            .state()
            .join("orgs")
            .join(&tenant.org.id)
            .join("runs")
            .join(format!("{run}.jsonl"));
        if replaced {
            // Another journal of the same plan.
            let text = fs::read_to_string(&journal).unwrap();
            let plan = text
                .split("\"plan_id\":\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            fs::remove_file(&journal).unwrap();
            let dir = journal.parent().unwrap();
            drop(
                reverse_sync::journal::Journal::open_run(dir, run.parse().unwrap(), &plan, None)
                    .unwrap(),
            );
            until("the journal to be written", async || journal.exists().then_some(())).await;
        } else {
            fs::remove_file(&journal).unwrap();
        }
        service.start_again().await.unwrap();
        let ended = tenant.ended(&run).await;
        assert_eq!(
            (&ended["status"], &ended["ok"], &ended["stopped"]["reason"]),
            (&json!("failed"), &json!(false), &json!("journal")),
            "{ended}"
        );
        assert_eq!(
            (&ended["updated"], &ended["pending"]),
            (&Value::Null, &Value::Null),
            "nobody knows"
        );
        assert_eq!(simulator.world().writes.len(), before);
        let rows = tenant.list("/audit-log").await;
        let row = rows
            .iter()
            .find(|row| {
                row["run_id"] == run.as_str() && row["action"] == "destination.reverse_run.failed"
            })
            .unwrap();
        assert_eq!(
            (&row["counts"]["updated"], &row["counts"]["writable"]),
            (&Value::Null, &json!(3_000)),
            "{row}"
        );
    }
}

/// A byte of its journal turns over while the service is down.
async fn a_damaged_journal_ends_with_what_the_crm_holds(database: Database) {
    let mut service = service(database).await;
    let simulator = crm(3_000).await;
    let (tenant, _, run) = half_written(&service, &simulator, 3_000).await;
    service.kill().await.unwrap();
    let journal =
        service.state().join("orgs").join(&tenant.org.id).join("runs").join(format!("{run}.jsonl"));
    let mut bytes = fs::read(&journal).unwrap();
    let at = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    bytes[at] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    simulator.world().faults.clear();
    service.start_again().await.unwrap();
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["status"], &ended["pending"]), (&json!("succeeded"), &json!(0)), "{ended}");
    assert_eq!(
        ended["updated"].as_u64().unwrap() + ended["unchanged"].as_u64().unwrap(),
        3_000,
        "{ended}"
    );
    assert_eq!(simulator.world().written_twice(), []);
    let kept = format!("{}.damaged-1", journal.display());
    assert_eq!(fs::read(kept).unwrap(), bytes);
}

/// The limit of a day is used up in the middle of a run.
async fn a_run_waits_for_a_daily_limit_and_goes_on_by_itself(database: Database) {
    let mut service = service_with(database, &["--runs-an-hour", "1"]).await;
    let simulator = crm(3_000).await;
    let tenant = Tenant::hubspot(&service, &simulator, "acme").await;
    let destination = tenant.destination("person", &json!({})).await;
    tenant.golden("person", &new_names(0..3_000)).await;
    simulator.world().fault(Rule::always(Fault::DailyLimit).after(10));
    let run = tenant.start(&destination).await;
    let waiting = until("the run to wait", async || {
        let run = tenant.run_state(&run).await;
        (run["status"] == "waiting").then_some(run)
    });
    let waiting = waiting.await;
    assert_eq!(
        (&waiting["ok"], &waiting["stopped"]["reason"]),
        (&Value::Null, &json!("rate_limited")),
        "{waiting}"
    );
    assert!(
        waiting["due_at"].as_str().is_some_and(|at| at > waiting["started_at"].as_str().unwrap()),
        "{waiting}"
    );
    assert!(
        waiting["pending"].as_u64().unwrap() > 0 && waiting["updated"].as_u64().unwrap() > 0,
        "{waiting}"
    );
    // Nothing else of the destination begins meanwhile, and a restart wakes nobody.
    let refused = tenant.run(&destination).await.is(409);
    assert_eq!(refused["code"], "run_under_way");
    let before = simulator.world().requests.len();
    service.kill().await.unwrap();
    service.start_again().await.unwrap();
    assert_eq!(tenant.run_state(&run).await["status"], "waiting");
    assert_eq!(simulator.world().requests.len(), before);
    // An hour later.
    simulator.world().faults.clear();
    service.execute(&format!("UPDATE runs SET due_at = 1 WHERE run_id = '{run}'")).await.unwrap();
    service.kill().await.unwrap();
    service.start_again().await.unwrap();
    let ended = tenant.ended(&run).await;
    assert_eq!(
        (&ended["status"], &ended["due_at"]),
        (&json!("succeeded"), &Value::Null),
        "{ended}"
    );
    assert_eq!(simulator.world().written_twice(), []);
    // It is the org's one run of the hour.
    let quota = tenant.admin.get("/me").await.is(200)["quota"].clone();
    assert_eq!(quota["used"], 1, "{quota}");
}

reverse_sync_tests::on_both!(
    a_run_whose_journal_is_gone_or_anothers_writes_nothing,
    a_damaged_journal_ends_with_what_the_crm_holds,
    a_run_waits_for_a_daily_limit_and_goes_on_by_itself,
);
