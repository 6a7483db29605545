//! Access tokens that are renewed, and then open another account.

use super::*;

/// Requests that carried an access token of the second account.
fn sent_with_a_token_of_the_second(crm: &Crm) -> usize {
    let world = crm.simulator.world();
    let second: Vec<String> = world
        .config
        .tokens
        .iter()
        .filter(|token| token.portal_id != 2_222_222)
        .map(|token| token.text.clone())
        .collect();
    assert!(!second.is_empty(), "no token of the second account was given out");
    let carries =
        |authorization: &str| second.iter().any(|token| authorization.ends_with(token.as_str()));
    world
        .requests
        .iter()
        .filter(|request| request.header("authorization").is_some_and(carries))
        .count()
}

#[tokio::test]
async fn an_access_token_that_is_renewed_for_another_account_is_never_sent() {
    for provider in BOTH {
        let [first, second] = provider.accounts();
        // Expected by the source, by the plan, by the run that has begun, or by nobody but the
        // token before.
        for expected_by in ["source", "plan", "run", "nobody"] {
            let crm = Crm::with(provider, without_tokens(300), json!({})).await;
            let credential = refreshing(&crm, provider, quick());
            let account =
                (expected_by == "source" || expected_by == "run").then(|| first.parse().unwrap());
            let with = |account| Link { account, ..oauth::link(&crm, credential.clone()) };
            let first_token = credential_is_in_force(&crm, &with(None)).await;
            let plan = match expected_by {
                "plan" => crm
                    .try_plan_asking(Asking::Metadata(with(None)), &crm.new_names(300))
                    .await
                    .unwrap(),
                _ => crm.plan(&crm.new_names(300)).await,
            };
            if expected_by == "run" {
                run_part(&crm, &plan, with(account.clone()), Part::First(100)).await;
            }
            let before = crm.writes();
            // The token that is in force meets 401 at its first write, and the endpoint opens
            // another account by then.
            crm.simulator.world().config.oauth_account = 2;
            let path =
                if provider == Provider::HubSpot { "batch/update" } else { "composite/sobjects" };
            crm.simulator.world().fault(Rule::always(Fault::ExpiredToken).on(path));
            let account = if expected_by == "run" { None } else { account };
            let report = run(&crm, &plan, with(account)).await;

            let stopped = report
                .stopped
                .as_ref()
                .unwrap_or_else(|| panic!("{provider:?} {expected_by}: {report:?}"));
            assert_eq!(
                (stopped.reason, stopped.code.as_deref()),
                (StopReason::Refused, Some("other_account")),
                "{expected_by} {stopped:?}"
            );
            assert!(
                stopped.message.contains(&first) && stopped.message.contains(&second),
                "{stopped:?}"
            );
            assert_eq!(
                (crm.writes(), report.counts.failed, report.counts.unknown),
                (before, 0, 0),
                "{provider:?} {expected_by}"
            );
            assert_eq!(sent_with_a_token_of_the_second(&crm), 0, "{provider:?} {expected_by}");
            assert!(first_token > 0 && report.pending >= 200, "{report:?}");
        }
    }
}

/// Has the credential get its first token, and counts the tokens that were given out.
async fn credential_is_in_force(crm: &Crm, link: &Link) -> u64 {
    crm.try_plan_asking(Asking::Metadata(link.clone()), &crm.new_names(1)).await.unwrap();
    crm.simulator.world().tokens_issued
}

#[tokio::test]
async fn a_first_access_token_of_another_account_is_not_sent_either() {
    for provider in BOTH {
        let [first, second] = provider.accounts();
        let crm =
            Crm::with(provider, Config { oauth_account: 2, ..without_tokens(3) }, json!({})).await;
        let link = || Link {
            account: Some(first.parse().unwrap()),
            ..oauth::link(&crm, refreshing(&crm, provider, quick()))
        };
        let plan = crm.plan(&crm.new_names(3)).await;
        let report = run(&crm, &plan, link()).await;
        let stopped = report.stopped.clone().unwrap();
        assert_eq!(
            (stopped.reason, stopped.code.as_deref(), report.requests),
            (StopReason::Refused, Some("other_account"), 0),
            "{stopped:?}"
        );
        assert!(
            [&first, &second].iter().all(|account| stopped.message.contains(account.as_str())),
            "{stopped:?}"
        );
        for asking in [Asking::Metadata, Asking::Records] {
            let error = crm.try_plan_asking(asking(link()), &crm.new_names(3)).await.unwrap_err();
            assert!(
                matches!(&error, PlanningError::Account(error) if error.code() == Some("other_account")),
                "{error:?}"
            );
        }
        assert_eq!(sent_with_a_token_of_the_second(&crm), 0);
        // Whoever only wants to know which account it is still learns it.
        let check = checked(&crm, provider, link()).await;
        assert_eq!(
            (check.ok, check.account.as_ref().map(Account::as_str)),
            (false, Some(second.as_str())),
            "{check:?}"
        );
    }
}

#[tokio::test]
async fn reading_back_with_a_renewed_token_of_another_account_is_refused() {
    for provider in BOTH {
        let crm = Crm::with(provider, without_tokens(3), json!({})).await;
        let credential = refreshing(&crm, provider, quick());
        let link = oauth::link(&crm, credential);
        let plan =
            crm.try_plan_asking(Asking::Records(link.clone()), &crm.new_names(3)).await.unwrap();
        let report = run(&crm, &plan, link.clone()).await;
        assert_eq!(report.counts.updated, 3);
        crm.simulator.world().config.oauth_account = 2;
        crm.simulator.world().config.tokens.iter_mut().for_each(|token| token.expired = true);
        let past = journal::read(&report.journal, |_, _| {}).unwrap();
        let Bench { component, grant, .. } = &crm.bench;
        let error = verify::check(component, grant, &plan, past.updated, link, StopSignal::new())
            .await
            .unwrap_err();
        assert!(
            matches!(&error, VerifyError::NoAccess(error) if error.is_other_account()),
            "{error:?}"
        );
        assert_eq!(sent_with_a_token_of_the_second(&crm), 0);
    }
}
