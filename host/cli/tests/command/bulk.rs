//! The command is killed in the middle of a job, at every step of it, and continues.

use crate::project::{Ended, Project, killed_after, salesforce_toml};
use crm_simulator::{Fault, Field, Rule, Simulator, World};
use reverse_sync::journal::{self, Ending};
use reverse_sync_tests::{
    bulk::{calls, golden, one_percent_failed, until},
    crm::config,
};
use std::path::PathBuf;

fn project(simulator: &Simulator, csv: &str) -> Project {
    let project = Project::empty();
    project.write(
        "reverse-sync.toml",
        &salesforce_toml(&simulator.base_url(), &["FirstName", "Level__c", "Department"]),
    );
    project.write("golden.csv", csv);
    project
}

async fn killed(project: &Project, simulator: &Simulator, far: impl Fn(&World) -> bool) {
    killed_after(project, until(simulator, far)).await;
    let past = journal::read(&journal_of(project), |_, _| {}).unwrap();
    assert!(!past.finished, "it was killed too late to prove anything");
}

fn journal_of(project: &Project) -> PathBuf {
    let runs = std::fs::read_dir(project.path(".reverse-sync/runs")).unwrap();
    runs.map(|entry| entry.unwrap().path()).next().unwrap()
}

async fn goes_on(project: &Project) -> Vec<(Ending, journal::Problem)> {
    let ended: Ended = project.run(&["run", "people", "--confirm", "--json"]).await;
    // Some records have failed.
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.json()["stopped"].is_null());
    let mut found = Vec::new();
    let past = journal::read(&journal_of(project), |ending, problem| found.push((ending, problem)))
        .unwrap();
    assert!(past.finished);
    found
}

#[tokio::test]
async fn fifty_thousand_records_killed_while_the_job_is_worked_on() {
    let simulator = Simulator::start(config(50_000)).await.unwrap();
    simulator.world().salesforce.bulk.rows_per_poll = Some(15_000);
    let project = project(&simulator, &golden(&simulator, 50_000));
    killed(&project, &simulator, |world| world.writes.len() >= 14_000).await;
    assert!(simulator.world().writes.len() < 49_500, "it was killed too late to prove anything");
    let problems = goes_on(&project).await;
    let world = simulator.world();
    let (calls, polls) = calls(&world);
    assert!(calls <= 12, "{calls} calls and {polls} polls, over both attempts");
    assert_eq!(world.salesforce.bulk.states(), ["JobComplete"]);
    one_percent_failed(&world, 50_000, &problems);
}

#[tokio::test]
async fn killed_in_the_second_of_several_jobs() {
    const COUNT: usize = 5_000;
    let simulator = Simulator::start(config(COUNT)).await.unwrap();
    {
        let mut world = simulator.world();
        let contact = world.salesforce.objects.get_mut("Contact").unwrap();
        contact.fields.insert(
            "Department".to_owned(),
            Field { length: 100_000, ..Field::new("Department", "Department", "textarea") },
        );
        world.salesforce.bulk.rows_per_poll = Some(600);
    }
    let long = "x".repeat(8_000);
    let csv: String =
        golden(&simulator, COUNT).lines().map(|line| format!("{line},{long}\n")).collect();
    let csv = csv.replacen(&long, "Department", 1);
    let project = project(&simulator, &csv);
    // The first job has some thousand rows, the second one is in the middle of its own.
    killed(&project, &simulator, |world| {
        world.salesforce.bulk.states() == ["JobComplete", "InProgress"]
            && world.writes.len() > 1_200
    })
    .await;
    let problems = goes_on(&project).await;
    let world = simulator.world();
    let states = world.salesforce.bulk.states();
    // What is left for the last load is few enough for collections.
    assert!(states.len() == 3 && states.iter().all(|state| *state == "JobComplete"), "{states:?}");
    one_percent_failed(&world, COUNT, &problems);
}

#[tokio::test]
async fn kill_9_at_every_step_of_a_job() {
    const COUNT: usize = 3_000;
    type Far<'f> = &'f dyn Fn(&World) -> bool;
    let sent = |method: &'static str, part: &'static str| {
        move |world: &World| {
            world
                .requests
                .iter()
                .any(|request| request.method == method && request.target.contains(part))
        }
    };
    let (opened, uploaded, closed) =
        (sent("POST", "/jobs/ingest"), sent("PUT", "/batches"), sent("PATCH", "/jobs/ingest/"));
    let (results, failed) = (sent("GET", "/successfulResults"), sent("GET", "/failedResults"));
    let polled = |world: &World| calls(world).1 >= 2;
    let steps: [(&str, Far<'_>); 6] = [
        ("opened", &opened),
        ("uploaded", &uploaded),
        ("closed", &closed),
        ("polled", &polled),
        ("results", &results),
        ("failed", &failed),
    ];
    for (step, far) in steps {
        // With and without the answer to the step: the host is killed while it waits, or right
        // after. After the last steps the run would finish first.
        let latencies: &[u64] =
            if step == "results" || step == "failed" { &[300] } else { &[0, 300] };
        for latency in latencies.iter().copied() {
            let simulator = Simulator::start(config(COUNT)).await.unwrap();
            simulator.world().fault(Rule::always(Fault::Latency(latency)).on("/jobs/ingest"));
            simulator.world().salesforce.bulk.rows_per_poll = Some(2_000);
            let project = project(&simulator, &golden(&simulator, COUNT));
            killed(&project, &simulator, far).await;
            simulator.world().faults.clear();
            let problems = goes_on(&project).await;
            one_percent_failed(&simulator.world(), COUNT, &problems);
            let states = simulator.world().salesforce.bulk.states();
            assert_eq!(
                states.iter().filter(|state| **state == "JobComplete").count(),
                1,
                "{step}: {states:?}"
            );
        }
    }
}

#[tokio::test]
async fn killed_again_and_again_while_a_job_is_worked_on() {
    let simulator = Simulator::start(config(3_000)).await.unwrap();
    simulator.world().salesforce.bulk.rows_per_poll = Some(500);
    let project = project(&simulator, &golden(&simulator, 3_000));
    for round in 1..=4 {
        killed(&project, &simulator, |world| world.writes.len() >= round * 490).await;
    }
    let problems = goes_on(&project).await;
    let world = simulator.world();
    assert_eq!(world.salesforce.bulk.states(), ["JobComplete"]);
    one_percent_failed(&world, 3_000, &problems);
}
