//! A source whose credential is mistaken for another: its CRM takes it, and nothing is written to
//! another company's records.

use super::{
    status_codes::{ready, reverse_run},
    world::{Tenant, hubspot_source, id, new_names, salesforce_source},
};
use crm_simulator::{Simulator, Token, record_id};
use reverse_sync_tests::service::{Database, Service};
use serde_json::{Value, json};

/// The token of another account.
const SECOND: &str = "pat-na1-of-another-account";
const ACCOUNTS: [&str; 2] = ["2222222", "2222223"];

/// A CRM with three contacts in two accounts, and an org that can rename them.
async fn two_accounts(database: Database) -> (Service, Simulator, Tenant, String) {
    let (service, simulator, tenant, destination) = ready(database).await;
    simulator.world().config.tokens.push(Token::new(SECOND).of_account(2));
    (service, simulator, tenant, destination)
}

impl Tenant {
    fn source_path(&self) -> String {
        format!("/sources/{}", self.source)
    }

    async fn check(&self) -> Value {
        self.admin.post(&format!("{}/check", self.source_path()), &json!({})).await.is(200)
    }

    async fn change_source(&self, changes: &Value) -> Value {
        self.admin.patch(&self.source_path(), changes).await.is(200)
    }

    /// Puts another token in its place.
    async fn swap(&self, token: &str) -> Value {
        self.change_source(&json!({"credential": {"access_token": token}})).await
    }
}

/// It ended before anything was written, with this code and these words.
#[track_caller]
fn refused(run: &Value, simulator: &Simulator, code: &str, words: &[&str]) {
    let stopped = &run["stopped"];
    assert_eq!(
        (&run["status"], &run["ok"], &run["updated"]),
        (&json!("stopped"), &json!(false), &json!(0)),
        "{run}"
    );
    assert_eq!((&stopped["reason"], &stopped["code"]), (&json!("refused"), &json!(code)), "{run}");
    assert!(
        words.iter().all(|word| stopped["message"].as_str().unwrap().contains(word)),
        "{words:?} in {stopped}"
    );
    assert_eq!(simulator.world().writes.len(), 0);
}

async fn an_account_is_learned_and_another_token_is_refused_until_the_right_one_is_back(
    database: Database,
) {
    let (_service, simulator, tenant, destination) = two_accounts(database).await;
    let token = super::world::TOKEN;
    assert_eq!(tenant.admin.get(&tenant.source_path()).await.is(200)["account"], json!(null));
    // Who may check is who may run.
    let operator = tenant.member("operator").await;
    let check = operator.post(&format!("{}/check", tenant.source_path()), &json!({})).await.is(200);
    assert_eq!((&check["ok"], &check["account"]), (&json!(true), &json!(ACCOUNTS[0])), "{check}");
    let source = tenant.admin.get(&tenant.source_path()).await.is(200);
    assert_eq!(source["account"], ACCOUNTS[0], "{source}");
    assert_eq!(source["last_check"]["found"], check, "what was found is kept");
    let log = tenant.list("/audit-log").await;
    let learned: Vec<&Value> = log.iter().filter(|row| row["action"] == "source.update").collect();
    assert_eq!(learned.len(), 1, "{log:?}");
    assert_eq!(
        (&learned[0]["detail"]["changed"], &learned[0]["detail"]["account"]),
        (&json!(["account"]), &json!(ACCOUNTS[0]))
    );

    let swapped = tenant.swap(SECOND).await;
    assert_eq!(swapped["account"], ACCOUNTS[0]);
    assert_eq!(swapped["last_check"], json!(null), "it was found with another credential");
    let check = tenant.check().await;
    assert_eq!(
        (&check["ok"], &check["authorized"], &check["account"]),
        (&json!(false), &json!(true), &json!(ACCOUNTS[1])),
        "{check}"
    );
    assert_eq!(
        tenant.admin.get(&tenant.source_path()).await.is(200)["account"],
        ACCOUNTS[0],
        "the first stays"
    );
    let run = tenant.run(&destination).await.is(200);
    refused(&run, &simulator, "other_account", &ACCOUNTS);
    let log = tenant.list("/audit-log").await;
    assert!(
        log.iter().any(|row| row["action"] == "destination.reverse_run.failed"
            && row["run_id"] == run["run_id"]),
        "{log:?}"
    );
    // As often as it is tried.
    let run_id = run["run_id"].as_str().unwrap();
    let resume = format!("/runs/{run_id}/resume");
    tenant.admin.post(&resume, &json!({})).await.is(202);
    refused(&tenant.ended(run_id).await, &simulator, "other_account", &ACCOUNTS);

    tenant.swap(token).await;
    tenant.admin.post(&resume, &json!({})).await.is(202);
    let ended = tenant.ended(run_id).await;
    assert_eq!(
        (&ended["status"], &ended["updated"], &ended["stopped"]),
        (&json!("succeeded"), &json!(3), &json!(null)),
        "{ended}"
    );
}

async fn without_a_check_a_compared_plan_stays_in_its_account(database: Database) {
    let (_service, simulator, tenant, destination) = two_accounts(database).await;
    let dry_run = format!("/destinations/{destination}/reverse-dry-run");
    let offline = tenant.dry_run(&destination).await;
    assert_eq!(offline["account"], json!(null), "{offline}");
    let plan = tenant.admin.post(&dry_run, &json!({"mode": "compare"})).await.is(200);
    assert_eq!(plan["account"], ACCOUNTS[0], "{plan}");
    tenant.swap(SECOND).await;
    let confirmed = json!({"confirm": true, "plan_id": plan["plan_id"]});
    let run = tenant.admin.post(&reverse_run(&destination), &confirmed).await.is(200);
    refused(&run, &simulator, "other_account", &ACCOUNTS);
    // And nobody undoes in another account what was written in this one.
    tenant.swap(super::world::TOKEN).await;
    let run_id = run["run_id"].as_str().unwrap();
    tenant.admin.post(&format!("/runs/{run_id}/resume"), &json!({})).await.is(202);
    assert_eq!(tenant.ended(run_id).await["status"], "succeeded");
    tenant.swap(SECOND).await;
    let problem = tenant
        .admin
        .post(&format!("/runs/{run_id}/undo"), &json!({}))
        .await
        .problem(424, &ACCOUNTS);
    assert_eq!(problem["code"], "other_account", "{problem}");
}

async fn what_is_expected_and_not_known_is_refused(database: Database) {
    let (_service, simulator, tenant, destination) = two_accounts(database).await;
    simulator.world().config.switches.account_is_forbidden = true;
    let check = tenant.check().await;
    assert_eq!((&check["ok"], &check["account"]), (&json!(true), &json!(null)), "{check}");
    assert_eq!(
        tenant.change_source(&json!({"account": ACCOUNTS[0]})).await["account"],
        ACCOUNTS[0]
    );
    assert_eq!(tenant.check().await["ok"], false);
    let run = tenant.run(&destination).await.is(200);
    refused(&run, &simulator, "account_unknown", &[ACCOUNTS[0], "HTTP 403"]);
    // Before anything is read.
    let compare = json!({"mode": "compare"});
    let dry_run = format!("/destinations/{destination}/reverse-dry-run");
    let problem = tenant.admin.post(&dry_run, &compare).await.problem(424, &[ACCOUNTS[0]]);
    assert_eq!(problem["code"], "account_unknown", "{problem}");
    simulator.world().config.switches.account_is_forbidden = false;
    tenant.swap(SECOND).await;
    let problem = tenant.admin.post(&dry_run, &compare).await.problem(424, &ACCOUNTS);
    assert_eq!(problem["code"], "other_account", "{problem}");
    // A run that is planned as it is confirmed is on record all the same.
    let comparing = tenant.destination("person", &json!({"compare": true})).await;
    tenant
        .admin
        .post(&reverse_run(&comparing), &json!({"confirm": true}))
        .await
        .problem(424, &ACCOUNTS);
    let failed = tenant
        .list("/audit-log")
        .await
        .into_iter()
        .filter(|row| row["action"] == "destination.reverse_run.failed")
        .count();
    assert_eq!((failed, simulator.world().writes.len()), (2, 0));
    assert!(
        !simulator.world().requests.iter().any(|request| request.target.contains("/batch/")),
        "something was read"
    );
}

async fn an_account_is_said_changed_and_taken_away(database: Database) {
    let (_service, simulator, tenant, _) = two_accounts(database).await;
    let mut named = salesforce_source(&simulator);
    named["account"] = json!(format!(" {} ", record_id("00D", 0)));
    let created = tenant.admin.post("/sources", &named).await.is(201);
    assert_eq!(created["account"], record_id("00D", 0), "{created}");
    let check =
        tenant.admin.post(&format!("/sources/{}/check", id(&created)), &json!({})).await.is(200);
    assert_eq!((&check["ok"], &check["account"]), (&json!(true), &created["account"]), "{check}");

    let long = "1".repeat(65);
    // A token in the wrong field is neither kept nor repeated.
    for answer in [
        tenant.admin.patch(&tenant.source_path(), &json!({"account": SECOND})).await,
        tenant
            .admin
            .post("/sources", &json!({"name": "x", "provider": "hubspot", "account": SECOND}))
            .await,
    ] {
        let problem = answer.problem(422, &["12345678", "letters, digits"]);
        assert!(
            problem["pointer"] == "/account" && !problem.to_string().contains(SECOND),
            "{problem}"
        );
    }
    for wrong in [
        json!(""),
        json!("\n"),
        json!("a\u{7}b"),
        json!("\u{202e}1"),
        json!(2_222_222),
        json!(["2222222"]),
        json!(long),
    ] {
        let mut source = hubspot_source(&simulator);
        source["account"] = wrong.clone();
        for answer in [
            tenant.admin.post("/sources", &source).await,
            tenant.admin.patch(&tenant.source_path(), &json!({"account": wrong})).await,
        ] {
            assert_eq!(answer.problem(422, &["account"])["pointer"], "/account", "{wrong}");
        }
    }

    let account = |source: &Value| source["account"].clone();
    assert_eq!(account(&tenant.change_source(&json!({"account": "1"})).await), "1");
    assert_eq!(account(&tenant.change_source(&json!({"name": "other", "limit": null})).await), "1");
    assert_eq!(
        account(&tenant.change_source(&json!({"base_url": simulator.base_url()})).await),
        "1",
        "it is where it was"
    );
    let moved = |account: Option<&str>, path: &str| {
        let credential = json!({"access_token": super::world::TOKEN});
        let mut body = json!({"base_url": format!("{}{path}", simulator.base_url()), "credential": credential});
        if let Some(account) = account {
            body["account"] = json!(account);
        }
        body
    };
    assert_eq!(account(&tenant.change_source(&moved(Some("2"), "/a")).await), "2");
    assert_eq!(
        account(&tenant.change_source(&moved(None, "/b")).await),
        json!(null),
        "another CRM has other accounts"
    );
    assert_eq!(account(&tenant.change_source(&json!({"account": "3"})).await), "3");
    assert_eq!(account(&tenant.change_source(&json!({"account": null})).await), json!(null));
}

async fn a_check_takes_nothing_away_from_runs_under_way(database: Database) {
    // What is learned does not make another source of it: all runs of it share one budget.
    let (_service, simulator, tenant, destination) = two_accounts(database).await;
    tenant.golden("person", &new_names(0..3)).await;
    simulator.world().fault(
        crm_simulator::Rule::next(1, crm_simulator::Fault::Latency(1_000)).on("/batch/update"),
    );
    let run = tenant.start(&destination).await;
    super::world::received(&simulator, 2).await;
    assert_eq!(tenant.check().await["account"], ACCOUNTS[0]);
    assert_eq!(tenant.admin.get(&tenant.source_path()).await.is(200)["account"], ACCOUNTS[0]);
    let ended = tenant.ended(&run).await;
    assert_eq!((&ended["status"], &ended["updated"]), (&json!("succeeded"), &json!(3)), "{ended}");
    let asked = simulator
        .world()
        .requests
        .iter()
        .filter(|request| request.target.starts_with("/account-info/"))
        .count();
    assert_eq!(asked, 1, "the check's");
    // The next run is held to it.
    assert_eq!(tenant.run(&destination).await.is(200)["requests"], 3);
}

reverse_sync_tests::on_both!(
    an_account_is_learned_and_another_token_is_refused_until_the_right_one_is_back,
    without_a_check_a_compared_plan_stays_in_its_account,
    what_is_expected_and_not_known_is_refused,
    an_account_is_said_changed_and_taken_away,
    a_check_takes_nothing_away_from_runs_under_way,
);
