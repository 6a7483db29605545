//! Another account's token: the CRM takes it, its record ids exist, and still nothing is written.

mod renewed;

use crm_simulator::{Config, Fault, Rule, Token};
use reverse_sync::{
    account::Account,
    check::{self, Check, Checking},
    component::{Allowed, Grant},
    egress::Link,
    gate::ConfirmedPlan,
    journal::{self, Journal},
    plan::{Plan, PlanMode},
    planner::{Asking, PlanningError},
    run::{self, Part, Report, StopReason, StopSignal},
    verify::{self, VerifyError},
};
use reverse_sync_tests::{
    Bench,
    crm::{Crm, Provider, TOKEN, config, impatient},
    oauth::{self, quick, refreshing, without_tokens},
};
use serde_json::{Map, json};
use std::time::Duration;

/// The token of another account.
const SECOND: &str = "second-token";

const BOTH: [Provider; 2] = [Provider::HubSpot, Provider::Salesforce];

fn two_accounts(contacts: usize) -> Config {
    Config { tokens: vec![Token::new(TOKEN), Token::new(SECOND).of_account(2)], ..config(contacts) }
}

async fn crm(provider: Provider) -> Crm {
    Crm::with(provider, two_accounts(3), json!({})).await
}

/// The way to the CRM with this token, of a source that is for this account.
fn link(crm: &Crm, token: &str, account: Option<&str>) -> Link {
    let pacer = crm.bench.link(token).unwrap().pacer;
    Link {
        account: account.map(|name| name.parse().unwrap()),
        ..crm.bench.link_with(token, pacer, impatient()).unwrap()
    }
}

/// Says yes to a plan and runs it, or takes its run up again.
async fn run(crm: &Crm, plan: &Plan, link: Link) -> Report {
    run_part(crm, plan, link, Part::Whole).await
}

async fn run_part(crm: &Crm, plan: &Plan, link: Link, part: Part) -> Report {
    run_confirmed(crm, &crm.bench.confirm(plan.clone()).unwrap(), link, part).await
}

async fn run_confirmed(crm: &Crm, confirmed: &ConfirmedPlan, link: Link, part: Part) -> Report {
    let journal = Journal::open(&crm.bench.runs_dir(), confirmed.plan().id()).unwrap();
    let Bench { component, grant, .. } = &crm.bench;
    run::run(component, grant, confirmed, part, link, journal, StopSignal::new(), |_| {})
        .await
        .unwrap()
}

/// It was refused with this code, and nothing was sent but the question and, beside it, the read of
/// the metadata.
#[track_caller]
fn refused(crm: &Crm, report: &Report, code: &str, words: &[&str]) {
    let stopped = report.stopped.as_ref().unwrap_or_else(|| panic!("it ran: {report:?}"));
    assert_eq!(
        (stopped.reason, stopped.code.as_deref()),
        (StopReason::Refused, Some(code)),
        "{stopped:?}"
    );
    assert!(words.iter().all(|word| stopped.message.contains(word)), "{words:?} in {stopped:?}");
    let asked: Vec<String> = crm.requests();
    assert!(asked.len() <= 2 && asked.iter().all(|line| line.starts_with("GET ")), "{asked:?}");
    assert_eq!(crm.writes(), 0);
}

#[tokio::test]
async fn a_plan_that_was_made_with_one_account_is_refused_by_another() {
    for provider in BOTH {
        for mode in [PlanMode::Online, PlanMode::Compare] {
            let crm = crm(provider).await;
            let [first, second] = provider.accounts();
            let asking = if mode == PlanMode::Online { Asking::Metadata } else { Asking::Records };
            let plan = crm
                .try_plan_asking(asking(link(&crm, TOKEN, None)), &crm.new_names(3))
                .await
                .unwrap();
            assert_eq!(
                (plan.header().mode, plan.header().account.as_ref().map(Account::as_str)),
                (mode, Some(first.as_str()))
            );

            crm.simulator.world().clear_log();
            let report = run(&crm, &plan, link(&crm, SECOND, None)).await;
            refused(
                &crm,
                &report,
                "other_account",
                &[&first, &second, "the plan was made for", "dry-run again"],
            );
            assert_eq!(
                (report.counts.done(), report.pending, crm.renamed(3)),
                (0, 3, 0),
                "{provider:?} {mode:?}"
            );

            // With its own token the same run continues.
            let went_on = run(&crm, &plan, link(&crm, TOKEN, None)).await;
            assert_eq!(
                (&went_on.run_id, went_on.ok(), went_on.counts.updated),
                (&report.run_id, true, 3),
                "{went_on:?}"
            );
            assert_eq!(crm.renamed(3), 3);
            // Compared with the other account it is another plan, so that nobody continues with the
            // run of the first.
            let other = crm
                .try_plan_asking(asking(link(&crm, SECOND, None)), &crm.new_names(3))
                .await
                .unwrap();
            assert_ne!(other.id(), plan.id());
            assert_eq!(other.header().account.as_ref().map(Account::as_str), Some(second.as_str()));
        }
    }
}

#[tokio::test]
async fn an_offline_plan_of_a_source_for_any_account_asks_nobody() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let plan = crm.plan(&crm.new_names(3)).await;
        assert_eq!((&plan.header().account, crm.simulator.connections()), (&None, 0));
        let report = run(&crm, &plan, link(&crm, TOKEN, None)).await;
        assert!(report.ok(), "{report:?}");
        // The metadata and the update.
        assert_eq!((report.requests, crm.requests().len()), (2, 2), "{:?}", crm.requests());
        assert!(journal::read(&report.journal, |_, _| {}).unwrap().account.is_none());
    }
}

#[tokio::test]
async fn a_source_for_one_account_writes_to_no_other() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, second] = provider.accounts();
        let plan = crm.plan(&crm.new_names(3)).await;
        let report = run(&crm, &plan, link(&crm, SECOND, Some(&first))).await;
        refused(
            &crm,
            &report,
            "other_account",
            &[&first, &second, "the source is for", "`account`"],
        );
        crm.simulator.world().clear_log();
        let report = run(&crm, &plan, link(&crm, TOKEN, Some(&first))).await;
        assert_eq!((report.ok(), crm.requests().len()), (true, 3), "{report:?}");
        assert!(crm.requests()[..2].contains(&format!("GET {}", provider.question())));
    }
}

#[tokio::test]
async fn the_metadata_is_read_beside_the_question_and_nothing_is_written_before_its_answer() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, _] = provider.accounts();
        let plan = crm.plan(&crm.new_names(3)).await;
        crm.simulator.world().fault(Rule::always(Fault::Latency(300)).on(provider.question()));
        let report = run(&crm, &plan, link(&crm, TOKEN, Some(&first))).await;
        assert!(report.ok(), "{report:?}");
        let world = crm.simulator.world();
        let at: Vec<u64> = world.requests.iter().map(|request| request.at_ms).collect();
        assert!(at.len() == 3 && at[1] < at[0] + 300 && at[2] >= at[0] + 300, "{at:?}");
    }
}

#[tokio::test]
async fn no_job_is_opened_before_the_account_is_known() {
    let more = json!({"write_mode": "bulk"});
    let crm = Crm::with(Provider::Salesforce, two_accounts(3), more).await;
    let [first, second] = Provider::Salesforce.accounts();
    let plan = crm.plan(&crm.new_names(3)).await;
    let question = Provider::Salesforce.question();
    crm.simulator.world().fault(Rule::always(Fault::Latency(300)).on(question));
    let report = run(&crm, &plan, link(&crm, SECOND, Some(&first))).await;
    refused(&crm, &report, "other_account", &[&first, &second]);
    let report = run(&crm, &plan, link(&crm, TOKEN, Some(&first))).await;
    assert!(report.ok(), "{report:?}");
    assert_eq!(crm.simulator.world().salesforce.bulk.states(), ["JobComplete"]);
}

#[tokio::test]
async fn a_question_without_a_clear_answer_is_no_yes() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, _] = provider.accounts();
        let offline = crm.confirm(&crm.new_names(3)).await;
        let online = crm.bench.confirm(crm.plan_online(&crm.new_names(3)).await).unwrap();
        let unclear = [
            (None, "HTTP 403"),
            (Some(Fault::Status(404)), "HTTP 404"),
            (Some(Fault::WrongBody("<html>".to_owned())), "not JSON"),
            (Some(Fault::WrongBody("{}".to_owned())), "names no account"),
            (
                Some(Fault::WrongBody(json!({"portalId": null, "orgId": ["x"]}).to_string())),
                "names no account",
            ),
            (Some(Fault::WrongBody("x".repeat(70_000))), "larger than"),
        ];
        for (fault, why) in unclear {
            crm.simulator.world().config.switches.account_is_forbidden = fault.is_none();
            if let Some(fault) = fault {
                crm.simulator.world().fault(Rule::always(fault).on(provider.question()));
            }
            // Whether the plan says which account it is, or the source.
            for (plan, expected) in [(&offline, Some(first.as_str())), (&online, None)] {
                crm.simulator.world().clear_log();
                let report =
                    run_confirmed(&crm, plan, link(&crm, TOKEN, expected), Part::Whole).await;
                refused(&crm, &report, "account_unknown", &[&first, why]);
            }
            // Where nobody expects an account, the plan says that it is not held to one.
            let plan = crm.plan_online(&crm.new_names(2)).await;
            let warned = plan
                .header()
                .warnings
                .iter()
                .any(|warning| warning.contains("not held to one") && warning.contains(why));
            assert!(plan.header().account.is_none() && warned, "{:?}", plan.header().warnings);
            crm.simulator.world().faults.clear();
        }
        crm.simulator.world().config.switches.account_is_forbidden = false;
        assert!(run_confirmed(&crm, &online, link(&crm, TOKEN, None), Part::Whole).await.ok());
    }
}

#[tokio::test]
async fn a_crm_that_cannot_answer_is_no_other_account() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, _] = provider.accounts();
        let (expected, question) = (Some(first.as_str()), provider.question());
        let plan = crm.plan(&crm.new_names(3)).await;
        for (fault, reason) in [
            (Fault::ExpiredToken, StopReason::Unauthorized),
            (Fault::DailyLimit, StopReason::RateLimited),
            (Fault::Status(503), StopReason::Unavailable),
            (Fault::DropBefore, StopReason::Unavailable),
        ] {
            crm.simulator.world().fault(Rule::always(fault.clone()).on(question));
            let report = run(&crm, &plan, link(&crm, TOKEN, expected)).await;
            let stopped = report.stopped.clone().unwrap();
            assert_eq!(
                (stopped.reason, &stopped.code, report.pending),
                (reason, &None, 3),
                "{provider:?} {fault:?} {stopped:?}"
            );
            assert_eq!(crm.writes(), 0);
            crm.simulator.world().faults.clear();
        }
        // What passes by itself is waited for.
        for fault in [
            Fault::Throttle,
            Fault::Status(503),
            Fault::DropBefore,
            Fault::Truncate,
            Fault::Html(502),
        ] {
            crm.simulator.world().fault(Rule::next(1, fault).on(question));
        }
        let stop = StopSignal::new();
        stop.stop();
        let confirmed = crm.bench.confirm(plan.clone()).unwrap();
        let report =
            crm.bench.run(&confirmed, link(&crm, TOKEN, expected), stop, |_| {}).await.unwrap();
        assert_eq!((report.stopped.unwrap().reason, report.requests), (StopReason::Cancelled, 0));
        assert!(run(&crm, &plan, link(&crm, TOKEN, expected)).await.ok());
    }
}

#[tokio::test]
async fn another_account_is_refused_before_anything_of_it_is_read() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, second] = provider.accounts();
        for asking in [Asking::Metadata, Asking::Records] {
            let error = crm
                .try_plan_asking(asking(link(&crm, SECOND, Some(&first))), &crm.new_names(3))
                .await
                .unwrap_err();
            assert!(
                matches!(&error, PlanningError::Account(error) if error.code() == Some("other_account")),
                "{error:?}"
            );
            assert!(
                error.to_string().contains(&first) && error.to_string().contains(&second),
                "{error}"
            );
        }
        let question = format!("GET {}", provider.question());
        assert_eq!(crm.requests(), [question.clone(), question]);
        assert!(!crm.bench.plans_dir().exists(), "a plan was kept");
        let plan = crm
            .try_plan_asking(Asking::Records(link(&crm, TOKEN, Some(&first))), &crm.new_names(3))
            .await
            .unwrap();
        assert_eq!(plan.header().account.as_ref().map(Account::as_str), Some(first.as_str()));
    }
}

#[tokio::test]
async fn a_run_stays_in_the_account_that_it_has_begun_in() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, second] = provider.accounts();
        let plan = crm.plan(&crm.new_names(3)).await;
        let begun = run_part(&crm, &plan, link(&crm, TOKEN, Some(&first)), Part::First(1)).await;
        assert_eq!((begun.counts.updated, begun.pending), (1, 2));
        crm.simulator.world().clear_log();
        // Whatever the source says by now.
        let report = run(&crm, &plan, link(&crm, SECOND, None)).await;
        refused(&crm, &report, "other_account", &[&first, &second, "this run has begun in"]);
        crm.simulator.world().clear_log();
        let report = run(&crm, &plan, link(&crm, SECOND, Some(&second))).await;
        refused(&crm, &report, "other_account", &[&first, &second]);
        let report = run(&crm, &plan, link(&crm, TOKEN, None)).await;
        assert_eq!(
            (&report.run_id, report.ok(), crm.renamed(3)),
            (&begun.run_id, true, 3),
            "{report:?}"
        );
    }
}

#[tokio::test]
async fn a_canary_that_is_done_is_not_read_back_with_another_accounts_token() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, second] = provider.accounts();
        let plan = crm
            .try_plan_asking(Asking::Metadata(link(&crm, TOKEN, None)), &crm.new_names(3))
            .await
            .unwrap();
        let report = run_part(&crm, &plan, link(&crm, TOKEN, None), Part::First(1)).await;
        assert_eq!(
            (report.counts.updated, report.pending, &report.stopped),
            (1, 2, &None),
            "{report:?}"
        );

        // Nothing is left of this part; what was written in it would be read next.
        crm.simulator.world().clear_log();
        let report = run_part(&crm, &plan, link(&crm, SECOND, None), Part::First(1)).await;
        refused(&crm, &report, "other_account", &[&first, &second]);
    }
}

#[tokio::test]
async fn an_attempt_that_is_refused_leaves_what_was_in_doubt_in_doubt() {
    let crm = Crm::with(Provider::HubSpot, two_accounts(300), json!({})).await;
    let plan = crm.plan(&crm.new_names(300)).await;
    let with = |token| link(&crm, token, Some("2222222"));
    // Everything is applied, no answer arrives, and then the network is gone.
    crm.simulator.world().fault(Rule::next(3, Fault::DropAfter).on("batch/update"));
    crm.simulator.world().fault(Rule::always(Fault::DropBefore).on("/objects/"));
    assert_eq!(run(&crm, &plan, with(TOKEN)).await.pending, 300);
    assert_eq!(crm.writes(), 300);
    crm.simulator.world().faults.clear();
    crm.simulator.world().clear_log();
    refused(&crm, &run(&crm, &plan, with(SECOND)).await, "other_account", &[]);
    let report = run(&crm, &plan, with(TOKEN)).await;
    assert_eq!(
        (report.counts.updated, crm.writes()),
        (300, 0),
        "proved by reads alone: {report:?}"
    );
}

#[tokio::test]
async fn a_session_that_has_ended_is_renewed_and_asked_again() {
    for provider in BOTH {
        let crm = Crm::with(provider, without_tokens(3), json!({})).await;
        let [first, _] = provider.accounts();
        let plan = crm.plan(&crm.new_names(3)).await;
        let credential = refreshing(&crm, provider, quick());
        let with = |credential| Link {
            account: Some(first.parse().unwrap()),
            ..oauth::link(&crm, credential)
        };
        run_part(&crm, &plan, with(credential.clone()), Part::First(1)).await;
        crm.simulator.world().config.tokens.iter_mut().for_each(|token| token.expired = true);
        let report = run(&crm, &plan, with(credential.clone())).await;
        assert!(report.ok(), "{provider:?}: {report:?}");
        assert_eq!(crm.simulator.world().token_requests, 2);
        // One that may not ask is not a dead one.
        crm.simulator.world().config.switches.account_is_forbidden = true;
        let plan = crm.plan(&crm.new_names(2)).await;
        let stopped = run(&crm, &plan, with(credential)).await.stopped.unwrap();
        assert_eq!(stopped.code.as_deref(), Some("account_unknown"), "{stopped:?}");
        assert_eq!(crm.simulator.world().token_requests, 2);
    }
}

async fn checked(crm: &Crm, provider: Provider, link: Link) -> Check {
    let grant = Grant { component: crm.bench.component.digest(), allowed: Allowed::Everything };
    let config_json = Map::from_iter([("source_id".to_owned(), json!("src_1"))]);
    let destination_type = provider.destination_type();
    let checking = Checking {
        destination_type,
        config_json,
        grant: &grant,
        link,
        patience: Duration::from_secs(30),
    };
    check::check(&crm.bench.component, checking).await.unwrap()
}

#[tokio::test]
async fn a_check_says_which_account_it_is_and_whether_it_is_the_right_one() {
    for provider in BOTH {
        let crm = crm(provider).await;
        let [first, second] = provider.accounts();
        for (token, expected, ok, found) in [
            (TOKEN, None, true, &first),
            (SECOND, None, true, &second),
            (TOKEN, Some(&first), true, &first),
            (SECOND, Some(&first), false, &second),
        ] {
            let check =
                checked(&crm, provider, link(&crm, token, expected.map(String::as_str))).await;
            assert_eq!(
                (check.ok, check.authorized, check.account.as_ref().map(Account::as_str)),
                (ok, true, Some(found.as_str())),
                "{check:?}"
            );
            assert!(
                ok || (check.detail.contains(&first) && check.detail.contains(&second)),
                "{check:?}"
            );
        }
        crm.simulator.world().config.switches.account_is_forbidden = true;
        let unknown = checked(&crm, provider, link(&crm, TOKEN, None)).await;
        assert_eq!((unknown.ok, &unknown.account), (true, &None), "{unknown:?}");
        let unknown = checked(&crm, provider, link(&crm, TOKEN, Some(&first))).await;
        assert!(
            !unknown.ok && unknown.account.is_none() && unknown.detail.contains("HTTP 403"),
            "{unknown:?}"
        );
        assert_eq!(crm.writes(), 0);
    }
}
