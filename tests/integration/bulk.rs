//! Salesforce's Bulk API 2.0: jobs instead of collections. (crm-apis B9)

use crm_simulator::{Fault, Field, Rule};
use reverse_sync::{
    component::Allowed,
    engine::EngineConfig,
    journal::Counts,
    run::{StopReason, StopSignal},
};
use reverse_sync_tests::{
    bulk::{calls, golden, one_percent_failed, until},
    component_file,
    crm::{Crm, Provider, config, problem, problems},
    load,
};
use serde_json::{Value, json};
use std::sync::Arc;

async fn crm(contacts: usize) -> Crm {
    Crm::with(Provider::Salesforce, config(contacts), json!({"write_mode": "bulk"})).await
}

fn counts(updated: u64, failed: u64) -> Counts {
    Counts { updated, failed, ..Counts::default() }
}

fn stored(crm: &Crm, n: usize, field: &str) -> Option<Value> {
    crm.simulator.world().salesforce.value("Contact", &Provider::Salesforce.id(n), field).cloned()
}

#[tokio::test]
async fn fifty_thousand_records_take_seven_calls_and_polls() {
    let crm = Crm::salesforce(50_000).await;
    let report = crm.run(&golden(&crm.simulator, 50_000)).await;
    assert_eq!((report.counts, report.pending, &report.stopped), (counts(49_500, 500), 0, &None));
    let world = crm.simulator.world();
    let (calls, polls) = calls(&world);
    assert!(calls <= 7, "{calls} calls and {polls} polls");
    assert_eq!(world.salesforce.bulk.states(), ["JobComplete"]);
    one_percent_failed(&world, 50_000, &problems(&report));
}

#[tokio::test]
async fn what_need_not_wait_for_another_goes_out_together() {
    let crm = crm(5_000).await;
    let confirmed = crm.confirm(&golden(&crm.simulator, 5_000)).await;
    for slow in ["/describe", "/failedResults", "/successfulResults"] {
        crm.simulator.world().fault(Rule::always(Fault::Latency(300)).on(slow));
    }
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!(report.counts, counts(4_950, 50));
    let world = crm.simulator.world();
    let at = |method: &str, end: &str| {
        let mut found = world.requests.iter().filter(|request| {
            request.method == method && request.target.trim_end_matches('/').ends_with(end)
        });
        let (one, more) = (found.next().map(|request| request.at_ms), found.next());
        assert!(more.is_none(), "{method} {end} twice");
        one.unwrap_or_else(|| panic!("no {method} {end}"))
    };
    // The job with the metadata, one set of results with the other.
    assert!(at("POST", "/ingest") < at("GET", "/describe") + 300);
    assert!(at("PUT", "/batches") >= at("GET", "/describe") + 300);
    assert!(at("GET", "/failedResults").abs_diff(at("GET", "/successfulResults")) < 300);
    assert_eq!(calls(&world).0, 6);
}

#[tokio::test]
async fn results_that_the_counts_rule_out_are_not_read() {
    let crm = crm(50).await;
    assert_eq!(crm.run(&crm.new_names(50)).await.counts, counts(50, 0));
    assert!(!crm.requests().iter().any(|line| line.contains("/failedResults")));
    for n in 0..50 {
        crm.simulator.world().salesforce.delete("Contact", &Provider::Salesforce.id(n));
    }
    crm.simulator.world().clear_log();
    assert_eq!(crm.run(&crm.new_names(50).replace("New", "Newer")).await.counts, counts(0, 50));
    assert!(!crm.requests().iter().any(|line| line.contains("/successfulResults")));
}

#[tokio::test]
async fn few_changes_go_in_collections_unless_jobs_are_asked_for() {
    let above = json!({"bulk_above": 300});
    for (more, count, jobs) in [
        (json!({}), 1_000, 0),
        (above.clone(), 300, 0),
        (above, 301, 1),
        (json!({"write_mode": "bulk"}), 1, 1),
    ] {
        let crm = Crm::with(Provider::Salesforce, config(count), more).await;
        let report = crm.run(&crm.new_names(count)).await;
        assert_eq!(report.counts, counts(count as u64, 0));
        assert_eq!(crm.simulator.world().salesforce.bulk.states().len(), jobs, "{count}");
        assert_eq!(crm.renamed(count), count);
    }
}

#[tokio::test]
async fn long_records_take_more_jobs_in_memory_that_does_not_grow() {
    let engine = EngineConfig { max_memory: 36 << 20, ..EngineConfig::default() };
    let component = Arc::new(load(component_file(), engine).await.unwrap());
    let crm =
        Crm::of(component, Provider::Salesforce, config(5_000), json!({"write_mode": "bulk"}))
            .await;
    crm.simulator.world().salesforce.objects.get_mut("Contact").unwrap().fields.insert(
        "Notes__c".to_owned(),
        Field { length: 100_000, ..Field::new("Notes__c", "Notes", "textarea") },
    );
    let mut csv = "Id,FirstName,Notes__c\n".to_owned();
    for n in 0..5_000 {
        csv.push_str(&format!("{},New {n},{}\n", Provider::Salesforce.id(n), "x".repeat(8_000)));
    }
    let report = crm.run(&csv).await;
    assert_eq!(report.counts, counts(5_000, 0), "{:?}", report.stopped);
    let world = crm.simulator.world();
    let states = world.salesforce.bulk.states();
    assert!(
        (5..=6).contains(&states.len()) && states.iter().all(|state| *state == "JobComplete"),
        "{states:?}"
    );
    assert!(world.requests.iter().all(|request| request.body.len() < 11 << 20));
    assert_eq!(world.written_twice(), []);
}

#[tokio::test]
async fn texts_arrive_as_they_were_confirmed() {
    let texts = [
        "say \"so\"",
        "two\nlines",
        "a\r\nb",
        "a,b;c",
        "Zürich Łódź 北京",
        "\"",
        "#N/A?",
        "=1+1",
        "'",
        " lead and trail ",
    ];
    let crm = crm(texts.len()).await;
    let mut jsonl = String::new();
    for (n, text) in texts.iter().enumerate() {
        jsonl.push_str(&format!(
            "{}\n",
            json!({"Id": Provider::Salesforce.id(n), "Department": text, "DoNotCall": n % 2 == 0, "Discount__c": 1.5})
        ));
    }
    let report = crm.run_jsonl(&jsonl).await;
    assert_eq!(report.counts, counts(texts.len() as u64, 0), "{:?}", problems(&report));
    assert_eq!(crm.simulator.world().salesforce.bulk.states(), ["JobComplete"]);
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(stored(&crm, n, "Department"), Some(json!(text)));
        assert_eq!(
            (stored(&crm, n, "DoNotCall"), stored(&crm, n, "Discount__c")),
            (Some(json!(n % 2 == 0)), Some(json!(1.5)))
        );
        assert_eq!(stored(&crm, n, "Title"), Some(json!("Buyer")), "a column of another record's");
    }
}

#[tokio::test]
async fn a_null_clears_where_the_policy_says_so_and_an_absent_value_leaves_alone() {
    let config_json =
        json!({"write_mode": "bulk", "null_policy": {"Title": "clear", "Email": "skip"}});
    let crm = Crm::with(Provider::Salesforce, config(2), config_json).await;
    let ids = [0, 1].map(|n| Provider::Salesforce.id(n));
    let report = crm
        .run(&format!(
            "Id,FirstName,Title,Email\n{},New 0,,\n{},New 1,Director,x@example.com\n",
            ids[0], ids[1]
        ))
        .await;
    assert_eq!(report.counts, counts(2, 0), "{:?}", problems(&report));
    assert_eq!(crm.simulator.world().salesforce.bulk.states(), ["JobComplete"]);
    assert_eq!(
        (stored(&crm, 0, "Title"), stored(&crm, 0, "Email")),
        (None, Some(json!("person0@example.com")))
    );
    assert_eq!(
        (stored(&crm, 1, "Title"), stored(&crm, 1, "Email")),
        (Some(json!("Director")), Some(json!("x@example.com")))
    );
}

#[tokio::test]
async fn many_records_that_changed_since_the_plan_are_left_alone_by_jobs_too() {
    let crm = Crm::salesforce(3_000).await;
    let plan = crm.plan_comparing(&crm.new_names(3_000)).await;
    for n in (0..3_000).step_by(100) {
        crm.simulator.world().salesforce.edit(
            "Contact",
            &Provider::Salesforce.id(n),
            "FirstName",
            json!("Somebody's"),
        );
    }
    let confirmed = crm.bench.confirm_overriding(plan, &["max_changed_percent"]).unwrap();
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!((report.counts.updated, report.counts.drifted), (2_970, 30));
    assert_eq!(crm.simulator.world().salesforce.bulk.states(), ["JobComplete"]);
    assert!((0..3_000).step_by(100).all(|n| crm.first_name(n) == "Somebody's"));
}

#[tokio::test]
async fn what_an_upload_cannot_say_goes_in_a_collection_beside_it() {
    let crm = crm(3).await;
    let texts = ["fine", "#N/A", "also fine"];
    let mut jsonl = String::new();
    for (n, text) in texts.iter().enumerate() {
        jsonl.push_str(&format!(
            "{}\n",
            json!({"Id": Provider::Salesforce.id(n), "Department": text})
        ));
    }
    let report = crm.run_jsonl(&jsonl).await;
    assert_eq!(report.counts, counts(3, 0), "{:?}", problems(&report));
    assert_eq!(crm.simulator.world().salesforce.bulk.states(), ["JobComplete"]);
    assert_eq!(stored(&crm, 1, "Department"), Some(json!("#N/A")), "a text, and no order to clear");
    assert_eq!(stored(&crm, 2, "Department"), Some(json!("also fine")));
    let world = crm.simulator.world();
    assert_eq!(
        world
            .requests
            .iter()
            .filter(|request| request.target.ends_with("/composite/sobjects"))
            .count(),
        1
    );
}

#[tokio::test]
async fn each_row_has_its_own_outcome() {
    let crm = crm(20).await;
    {
        let mut world = crm.simulator.world();
        world.salesforce.delete("Contact", &Provider::Salesforce.id(3));
        world.salesforce.merge(
            "Contact",
            &Provider::Salesforce.id(15),
            &Provider::Salesforce.id(7),
        );
        world.salesforce.record_mut("Contact", &Provider::Salesforce.id(8)).unwrap().duplicate =
            true;
        // Locked when the job comes to it, and free when it is sent again.
        world.salesforce.record_mut("Contact", &Provider::Salesforce.id(9)).unwrap().locked = 1;
    }
    let report = crm.run(&crm.new_names(10)).await;
    assert_eq!(report.counts, counts(7, 3));
    let mut problems = problems(&report);
    problems.sort_by_key(|(_, problem)| problem.row);
    let codes: Vec<&str> = problems.iter().map(|(_, problem)| problem.code.as_str()).collect();
    assert_eq!(codes, ["ENTITY_IS_DELETED", "ENTITY_IS_DELETED", "DUPLICATES_DETECTED"]);
    assert_eq!(
        problems[0].1.message,
        "entity is deleted (the record was deleted, or merged into another record)"
    );
    assert_eq!((crm.renamed(10), crm.simulator.world().written_twice()), (7, vec![]));
}

#[tokio::test]
async fn an_unknown_column_fails_the_records_that_have_it_and_no_other() {
    let crm = crm(100).await;
    let mut csv = "Id,FirstName,Titel\n".to_owned();
    for n in 0..100 {
        csv.push_str(&format!(
            "{},New {n},{}\n",
            Provider::Salesforce.id(n),
            if n == 41 { "x" } else { "" }
        ));
    }
    let report = crm.run(&csv).await;
    assert_eq!(report.counts, counts(99, 1));
    let (_, problem) = problem(&report);
    assert_eq!((problem.row, problem.code.as_str()), (42, "InvalidBatch"));
    assert!(problem.message.ends_with("Field name not found : Titel"), "{}", problem.message);
    assert_eq!(crm.simulator.world().salesforce.bulk.states(), ["Failed", "JobComplete"]);
}

#[tokio::test]
async fn the_records_of_a_job_that_fails_as_such_have_an_answer_each() {
    for reason in [
        "InvalidBatch : the file is not to our liking",
        "ExceededQuota : no more batches today",
        "",
    ] {
        let crm = crm(5).await;
        crm.simulator.world().salesforce.bulk.fails_after = Some((0, reason.to_owned()));
        let report = crm.run(&crm.new_names(5)).await;
        assert_eq!((report.counts, crm.writes()), (counts(5, 0), 5), "{reason}");
    }
    // Where collections have no room either, nothing has failed.
    let crm = crm(5).await;
    crm.simulator.world().salesforce.bulk.fails_after =
        Some((0, "ExceededQuota : no more batches today".to_owned()));
    crm.simulator.world().fault(Rule::always(Fault::DailyLimit).on("/composite/sobjects"));
    let report = crm.run(&crm.new_names(5)).await;
    assert_eq!(
        (report.stopped.unwrap().reason, report.pending, report.counts),
        (StopReason::RateLimited, 5, counts(0, 0))
    );
}

#[tokio::test]
async fn what_a_failed_job_has_not_come_to_is_sent_again() {
    let crm = crm(50).await;
    crm.simulator.world().salesforce.bulk.fails_after =
        Some((20, "InternalServerError".to_owned()));
    let report = crm.run(&crm.new_names(50)).await;
    assert_eq!((report.counts, crm.renamed(50)), (counts(50, 0), 50));
    let world = crm.simulator.world();
    assert_eq!((world.salesforce.bulk.states(), world.written_twice()), (vec!["Failed"], vec![]));
}

#[tokio::test]
async fn a_job_that_somebody_aborts_ends_there() {
    let crm = crm(60).await;
    crm.simulator.world().salesforce.bulk.rows_per_poll = Some(20);
    let confirmed = crm.confirm(&crm.new_names(60)).await;
    let aborting = async {
        until(&crm.simulator, |world| world.writes.len() >= 20).await;
        crm.simulator.world().salesforce.bulk.abort_all();
    };
    let (report, ()) = tokio::join!(crm.run_confirmed(&confirmed), aborting);
    let written = crm.writes();
    assert!((20..60).contains(&written));
    assert_eq!(report.counts, counts(written as u64, 60 - written as u64));
    assert!(
        problems(&report).iter().all(|(_, problem)| problem.code == "job_aborted"),
        "{:?}",
        problems(&report)
    );
    assert_eq!(crm.renamed(60), written);
}

#[tokio::test]
async fn lost_answers_write_nothing_twice() {
    // Each step of a job, and its results: applied and unanswered, or never arrived.
    for (method, path) in [
        ("POST", "/jobs/ingest"),
        ("PUT", "/batches"),
        ("PATCH", "/jobs/ingest/"),
        ("GET", "/jobs/ingest/"),
        ("GET", "/successfulResults"),
        ("GET", "/failedResults"),
    ] {
        for fault in [
            Fault::DropAfter,
            Fault::DropBefore,
            Fault::StatusAfter(503),
            Fault::Truncate,
            Fault::Html(502),
            Fault::WrongBody("{}".to_owned()),
        ] {
            let crm = crm(120).await;
            crm.simulator.world().salesforce.bulk.polls = 1;
            crm.simulator.world().fault(Rule {
                method: Some(method.to_owned()),
                ..Rule::next(1, fault.clone()).on(path)
            });
            let report = crm.run(&golden(&crm.simulator, 120)).await;
            assert_eq!(
                (report.counts, &report.stopped),
                (counts(119, 1), &None),
                "{method} {path} {fault:?}"
            );
            one_percent_failed(&crm.simulator.world(), 120, &problems(&report));
        }
    }
}

#[tokio::test]
async fn results_that_cannot_be_read_are_settled_by_reads() {
    let crm = crm(120).await;
    crm.simulator.world().fault(Rule::always(Fault::WrongBody("<html>".to_owned())).on("Results"));
    let report = crm.run(&golden(&crm.simulator, 120)).await;
    // One does not hold its value, and is refused when it is sent again. Nobody knows what it held
    // before: the job may have written it.
    assert_eq!(report.counts, Counts { updated: 119, unknown: 1, ..Counts::default() });
    assert_eq!(crm.simulator.world().written_twice(), []);
    assert_eq!(problem(&report).1.code, "DUPLICATES_DETECTED");
}

#[tokio::test]
async fn the_daily_limit_stops_the_run_and_the_next_one_picks_the_job_up() {
    for (path, times) in
        [("/batches", 0), ("/jobs/ingest/", 2), ("/successfulResults", 0), ("/failedResults", 0)]
    {
        let crm = crm(120).await;
        let confirmed = crm.confirm(&golden(&crm.simulator, 120)).await;
        crm.simulator.world().fault(Rule::always(Fault::DailyLimit).on(path).after(times));
        let report = crm.run_confirmed(&confirmed).await;
        assert_eq!(
            (report.stopped.unwrap().reason, report.pending),
            (StopReason::RateLimited, 120),
            "{path}"
        );
        crm.simulator.world().faults.clear();
        let report = crm.run_confirmed(&confirmed).await;
        assert_eq!((report.counts, &report.stopped), (counts(119, 1), &None), "{path}");
        one_percent_failed(&crm.simulator.world(), 120, &problems(&report));
    }
}

#[tokio::test]
async fn an_expired_job_is_settled_by_reads() {
    let crm = crm(120).await;
    let confirmed = crm.confirm(&golden(&crm.simulator, 120)).await;
    crm.simulator.world().fault(Rule::always(Fault::DailyLimit).on("Results"));
    crm.run_confirmed(&confirmed).await;
    crm.simulator.world().faults.clear();
    crm.simulator.world().salesforce.bulk.expire();
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!(report.counts, Counts { updated: 119, unknown: 1, ..Counts::default() });
    let world = crm.simulator.world();
    assert_eq!((world.written_twice(), world.writes.len()), (vec![], 119));
}

#[tokio::test]
async fn a_stopped_run_leaves_its_job_to_the_next_one() {
    let crm = crm(120).await;
    crm.simulator.world().salesforce.bulk.polls = 1_000;
    let confirmed = crm.confirm(&golden(&crm.simulator, 120)).await;
    let stop = StopSignal::new();
    let stopping = async {
        until(&crm.simulator, |world| calls(world).1 > 0).await;
        stop.stop();
    };
    let (report, ()) =
        tokio::join!(crm.bench.run(&confirmed, crm.link(), stop.clone(), |_| {}), stopping);
    let report = report.unwrap();
    let stopped = report.stopped.unwrap();
    assert_eq!((stopped.reason, report.pending, crm.writes()), (StopReason::Cancelled, 120, 0));
    assert!(stopped.message.contains("continues in Salesforce"), "{}", stopped.message);

    crm.simulator.world().salesforce.bulk.polls = 1;
    crm.simulator.world().clear_log();
    crm.simulator.world().salesforce.bulk.hurry();
    let report = crm.run_confirmed(&confirmed).await;
    assert_eq!(report.counts, counts(119, 1));
    let world = crm.simulator.world();
    assert!(world.requests.iter().all(|request| request.method == "GET"), "nothing was sent again");
}

#[tokio::test]
async fn without_a_grant_for_jobs_collections_do_it() {
    let mut crm = crm(120).await;
    crm.bench.grant.allowed = Allowed::ReadsAndUpdates;
    let report = crm.run(&golden(&crm.simulator, 120)).await;
    assert_eq!((report.counts, report.refused), (counts(119, 1), 1));
    assert_eq!(crm.simulator.world().salesforce.bulk.states(), [""; 0]);
}
