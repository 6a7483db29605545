//! Access tokens that end during a run, and token endpoints that do not do what they should.

use crm_simulator::{Config, Fault, Rule, World};
use reverse_sync::{
    egress::credential::{
        assertion::SigningKey,
        endpoint::TokenEndpoint,
        grants::Grant,
        refresh_tokens::{Held, RefreshTokens, TokenFile},
    },
    run::{Report, StopReason, StopSignal, Stopped},
};
use reverse_sync_tests::{
    crm::{Crm, Provider},
    oauth::{
        REFRESH_TOKEN, credential, link, quick, refreshing, run, secret, token_file,
        token_requests, token_url, without_tokens,
    },
};
use secrecy::SecretString;
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};

/// Why a run stopped that wrote nothing and lost nothing.
fn stopped(report: &Report) -> Stopped {
    let counts = report.counts;
    assert_eq!((counts.failed, counts.unknown), (0, 0), "{report:?}");
    assert!(report.pending > 0, "{report:?}");
    report.stopped.clone().unwrap()
}

/// What the log says about tokens.
#[derive(Debug)]
struct Seen {
    /// When each was asked for, in milliseconds.
    asked: Vec<u64>,
    /// The tokens that requests carried.
    used: BTreeSet<String>,
    /// How many requests each of the dead ones met with 401.
    dead: BTreeMap<String, usize>,
}

impl Seen {
    fn of(world: &World) -> Seen {
        let mut seen = Seen { asked: Vec::new(), used: BTreeSet::new(), dead: BTreeMap::new() };
        for request in &world.requests {
            match request.header("authorization") {
                None => seen.asked.push(request.at_ms),
                Some(token) => {
                    seen.used.insert(token.to_owned());
                    if request.status == Some(401) {
                        *seen.dead.entry(token.to_owned()).or_default() += 1;
                    }
                }
            }
        }
        seen
    }
}

/// Many calls instead of a few jobs, and no more at a time than the run's length is meant for.
fn in_collections(provider: Provider) -> serde_json::Value {
    match provider {
        Provider::Salesforce => json!({"bulk_above": 1_000_000, "in_flight": 8}),
        Provider::HubSpot => json!({"in_flight": 8}),
    }
}

/// A run of some eight seconds, eight requests at a time, while access tokens live for two, and
/// each renewal replaces the refresh token.
async fn tokens_that_end_every_two_seconds(provider: Provider) -> (Crm, Seen) {
    const RECORDS: usize = 40_000;
    let crm = Crm::with(
        provider,
        Config { hubspot_token_ms: 2_000, salesforce_session_ms: 2_000, ..without_tokens(RECORDS) },
        in_collections(provider),
    )
    .await;
    {
        let mut world = crm.simulator.world();
        world.hubspot.rotate_refresh_token = true;
        world.salesforce.rotate_refresh_token = true;
        let latency = if provider == Provider::HubSpot { 150 } else { 300 };
        world.fault(Rule::always(Fault::Latency(latency)).on(provider.api_path()));
    }
    let report = run(&crm, RECORDS, refreshing(&crm, provider, TokenEndpoint::limits())).await;
    assert!(report.ok(), "{report:?}");
    assert_eq!((report.counts.updated, crm.renamed(RECORDS)), (RECORDS as u64, RECORDS));
    let seen = {
        let world = crm.simulator.world();
        assert_eq!((world.writes.len(), world.written_twice()), (RECORDS, vec![]));
        let seen = Seen::of(&world);
        assert!(seen.asked.len() >= 4, "too short to prove anything: {seen:?}");
        assert_eq!(
            (world.token_requests, world.tokens_issued),
            (seen.asked.len() as u64, seen.asked.len() as u64),
            "{seen:?}"
        );
        // None was asked for in vain; the last one may have come when nothing was left to do.
        let issued: Vec<String> =
            world.config.tokens.iter().map(|token| format!("Bearer {}", token.text)).collect();
        assert!(
            issued[..issued.len() - 1].iter().all(|token| seen.used.contains(token)),
            "{seen:?}"
        );
        seen
    };
    (crm, seen)
}

#[tokio::test]
async fn hubspot_tokens_that_end_every_two_seconds_fail_no_record_and_are_renewed_ahead() {
    let (_crm, seen) = tokens_that_end_every_two_seconds(Provider::HubSpot).await;
    // A tenth of two seconds ahead, and no sooner.
    let gaps: Vec<u64> = seen.asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(
        gaps.iter().all(|gap| *gap >= 1_600) && gaps.iter().any(|gap| *gap < 1_980),
        "{gaps:?}"
    );
    // On a busy machine one may end on its way; as a rule none does.
    assert!(seen.dead.len() <= 1, "{seen:?}");
}

#[tokio::test]
async fn salesforce_tokens_that_end_every_two_seconds_fail_no_record_and_are_renewed_once_each() {
    let (_crm, seen) = tokens_that_end_every_two_seconds(Provider::Salesforce).await;
    // Nobody says when they end: the first 401 of each tells, and the others that died with it
    // cause nothing.
    assert_eq!(seen.asked.len(), 1 + seen.dead.len(), "{seen:?}");
    assert!(
        seen.dead.values().any(|requests| *requests >= 4),
        "no requests were in flight: {seen:?}"
    );
    assert!(seen.asked.windows(2).all(|pair| pair[1] - pair[0] >= 1_900), "{seen:?}");
}

#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_is_replaced_by_the_401_alone() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, without_tokens(8_000), json!({})).await;
        crm.simulator.world().fault(Rule::always(Fault::Latency(30)).on(provider.api_path()));
        let confirmed = crm.confirm(&crm.new_names(8_000)).await;
        let running = crm.bench.run(
            &confirmed,
            link(&crm, refreshing(&crm, provider, quick())),
            StopSignal::new(),
            |_| {},
        );
        let revoking = async {
            while crm.writes() < 2_000 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            crm.simulator.world().config.tokens[0].expired = true;
        };
        let (report, ()) = tokio::join!(running, revoking);
        let report = report.unwrap();
        assert!(report.ok(), "{provider:?} {report:?}");
        assert_eq!(crm.renamed(8_000), 8_000);
        let world = crm.simulator.world();
        assert_eq!((world.token_requests, world.written_twice()), (2, vec![]), "{provider:?}");
        assert_eq!(Seen::of(&world).dead.len(), 1, "{provider:?}");
    }
}

#[tokio::test]
async fn a_401_that_no_new_token_cures_reaches_the_component_after_one_renewal() {
    // From the beginning, or from some point on.
    for after in [0, 5] {
        let provider = Provider::Salesforce;
        let crm = Crm::with(provider, without_tokens(5_000), json!({})).await;
        crm.simulator
            .world()
            .fault(Rule::always(Fault::Status(401)).on(provider.api_path()).after(after));
        let report = run(&crm, 5_000, refreshing(&crm, provider, quick())).await;
        let stopped = stopped(&report);
        assert_eq!(stopped.reason, StopReason::Unauthorized);
        assert!(
            stopped.message.contains("HTTP 401"),
            "the CRM's own words, as the plugin tells them: {stopped:?}"
        );
        assert_eq!(token_requests(&crm), 2);
        // Each of the eight in flight was repeated once at most.
        let requests = crm.requests().len() as u64;
        assert!(requests <= 2 + after + 16, "{requests}");
    }
}

#[tokio::test]
async fn runs_that_share_a_credential_share_its_token() {
    let provider = Provider::HubSpot;
    let crm = Crm::with(provider, without_tokens(2_000), json!({})).await;
    let names = crm.new_names(2_000);
    let (first, rest) = names.split_at(names.match_indices('\n').nth(1_000).unwrap().0 + 1);
    let one = crm.confirm(first).await;
    let two = crm.confirm(&format!("hs_object_id,firstname\n{rest}")).await;
    let credential = refreshing(&crm, provider, quick());
    // The endpoint is slow, so that everybody is waiting by the time it answers.
    crm.simulator.world().fault(Rule::always(Fault::Latency(200)).on("token"));
    let go = |confirmed| {
        crm.bench.run(confirmed, link(&crm, credential.clone()), StopSignal::new(), |_| {})
    };
    let (one, two) = tokio::join!(go(&one), go(&two));
    assert!(one.unwrap().ok() && two.unwrap().ok());
    assert_eq!((token_requests(&crm), crm.renamed(2_000)), (1, 2_000));
}

#[tokio::test]
async fn client_credentials_and_assertions_are_asked_for_again_and_again() {
    let key = include_str!("../simulator/keys/app.key.pem");
    let certificate = include_str!("../simulator/keys/app.cert.pem");
    let audience = "https://login.salesforce.com".to_owned();
    let jwt = Grant::JwtBearer {
        key: SigningKey::from_pem(&secret(key)).unwrap(),
        subject: "integration@example.com".to_owned(),
        audience,
    };
    for grant in [Grant::ClientCredentials, jwt] {
        let name = grant.kind().name();
        let provider = Provider::Salesforce;
        let sessions = Config {
            salesforce_session_ms: 700,
            salesforce_certificate: Some(certificate.to_owned()),
            ..without_tokens(20_000)
        };
        let crm = Crm::with(provider, sessions, in_collections(provider)).await;
        crm.simulator.world().fault(Rule::always(Fault::Latency(200)).on(provider.api_path()));
        let report =
            run(&crm, 20_000, credential(&token_url(&crm, provider), quick(), grant)).await;
        assert!(report.ok(), "{name} {report:?}");
        let world = crm.simulator.world();
        let seen = Seen::of(&world);
        assert!(seen.asked.len() >= 3, "{name} {seen:?}");
        assert_eq!(
            (seen.asked.len(), world.tokens_issued),
            (1 + seen.dead.len(), world.token_requests),
            "{name} {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_grant_ends_the_run_and_the_report_says_what_the_endpoint_said() {
    for provider in [Provider::HubSpot, Provider::Salesforce] {
        let crm = Crm::with(provider, without_tokens(2_000), json!({})).await;
        crm.simulator.world().hubspot.refresh_token = "another".to_owned();
        crm.simulator.world().salesforce.refresh_token = "another".to_owned();
        let report = run(&crm, 2_000, refreshing(&crm, provider, quick())).await;
        let stopped = stopped(&report);
        assert_eq!(
            (stopped.reason, stopped.code.as_deref()),
            (StopReason::Unauthorized, Some("invalid_grant")),
            "{stopped:?}"
        );
        let description = if provider == Provider::HubSpot {
            "refresh token is invalid, expired or revoked"
        } else {
            "expired access/refresh token"
        };
        for says in [
            description,
            provider.token_path(),
            "authorise the app again",
            &token_file(&crm).display().to_string(),
        ] {
            assert!(stopped.message.contains(says), "{says}: {stopped:?}");
        }
        assert_eq!((report.requests, report.refused), (0, 0));
        // Eight requests were waiting; they share the answer.
        assert_eq!((token_requests(&crm), crm.writes()), (1, 0));
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_revoked_in_the_middle_ends_the_run_and_another_goes_on() {
    let provider = Provider::Salesforce;
    let crm = Crm::with(
        provider,
        Config { salesforce_session_ms: 500, ..without_tokens(20_000) },
        in_collections(provider),
    )
    .await;
    crm.simulator.world().fault(Rule::always(Fault::Latency(100)).on(provider.api_path()));
    let confirmed = crm.confirm(&crm.new_names(20_000)).await;
    let running = crm.bench.run(
        &confirmed,
        link(&crm, refreshing(&crm, provider, quick())),
        StopSignal::new(),
        |_| {},
    );
    let revoking = async {
        while crm.writes() == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        crm.simulator.world().salesforce.refresh_token = "another".to_owned();
    };
    let (report, ()) = tokio::join!(running, revoking);
    let report = report.unwrap();
    let stopped = stopped(&report);
    assert_eq!(
        (stopped.reason, stopped.code.as_deref()),
        (StopReason::Unauthorized, Some("invalid_grant")),
        "{stopped:?}"
    );
    assert_eq!((report.counts.updated, token_requests(&crm)), (crm.writes() as u64, 2));

    // Somebody authorises the app again.
    std::fs::write(token_file(&crm), "another").unwrap();
    crm.simulator.world().config.salesforce_session_ms = 60_000;
    let report = crm
        .bench
        .run(&confirmed, link(&crm, refreshing(&crm, provider, quick())), StopSignal::new(), |_| {})
        .await
        .unwrap();
    assert!(report.ok(), "{report:?}");
    assert_eq!((report.counts.updated, crm.simulator.world().written_twice()), (20_000, vec![]));
}

/// A run of 500 records whose token endpoint has this fault on so many requests.
async fn with_fault(fault: Fault, times: u64) -> (Crm, Report) {
    let provider = Provider::HubSpot;
    let crm = Crm::with(provider, without_tokens(500), json!({})).await;
    crm.simulator.world().fault(Rule::next(times, fault).on("token"));
    let report = run(&crm, 500, refreshing(&crm, provider, quick())).await;
    (crm, report)
}

#[tokio::test]
async fn an_endpoint_that_is_out_of_order_for_a_while_is_asked_again() {
    for fault in [
        Fault::Html(502),
        Fault::Status(503),
        Fault::DropBefore,
        Fault::WrongBody("<html>Log in</html>".to_owned()),
        Fault::NeverEnding,
    ] {
        let (crm, report) = with_fault(fault.clone(), 2).await;
        assert!(report.ok(), "{fault:?} {report:?}");
        assert_eq!((token_requests(&crm), crm.renamed(500)), (3, 500), "{fault:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_stays_out_of_order_makes_the_run_unavailable() {
    let (html, report) = with_fault(Fault::Html(502), u64::MAX).await;
    let (slow, late) = with_fault(Fault::Latency(5_000), u64::MAX).await;
    for (crm, report, says) in [
        (&html, &report, "HTTP 502 with a body of type text/html"),
        (&slow, &late, "no complete answer within 400ms"),
    ] {
        let stopped = stopped(report);
        assert_eq!(stopped.reason, StopReason::Unavailable, "{stopped:?}");
        assert!(
            stopped.message.contains(says)
                && stopped.message.contains(Provider::HubSpot.token_path()),
            "{stopped:?}"
        );
        // So often, and not so often for each request that waits or that the component would
        // repeat.
        assert_eq!((token_requests(crm), report.requests), (5, 0));
    }
}

#[tokio::test]
async fn an_endpoint_that_is_not_there_or_is_something_else_makes_the_run_unavailable() {
    let provider = Provider::HubSpot;
    let crm = Crm::with(provider, without_tokens(500), json!({})).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let somewhere_else = format!("{}/crm/v3/objects", crm.simulator.base_url());
    for (url, says, requests) in [
        (format!("http://{nobody}/token"), "cannot connect to it", 0),
        // Its answer is an error of the API, and no OAuth error: no second question.
        (somewhere_else, "check token_url", 1),
    ] {
        crm.simulator.world().clear_log();
        let grant = Grant::RefreshToken(Arc::new(TokenFile::new(token_file(&crm))));
        let report = run(&crm, 500, credential(&url, quick(), grant)).await;
        let stopped = stopped(&report);
        assert_eq!(stopped.reason, StopReason::Unavailable, "{stopped:?}");
        assert!(stopped.message.contains(says) && stopped.message.contains(&url), "{stopped:?}");
        assert_eq!(crm.simulator.world().requests.len(), requests, "{url}");
    }
}

#[tokio::test]
async fn a_token_that_is_still_good_is_used_while_its_endpoint_is_out_of_order() {
    let provider = Provider::HubSpot;
    let crm = Crm::with(
        provider,
        Config { hubspot_token_ms: 4_000, ..without_tokens(30_000) },
        json!({"in_flight": 8}),
    )
    .await;
    crm.simulator.world().fault(Rule::always(Fault::Latency(150)).on(provider.api_path()));
    // The renewal begins at 3.6 s, and ends some 0.75 s later, when the token has
    // ended.
    crm.simulator.world().fault(Rule { after: 1, ..Rule::next(2, Fault::Html(502)).on("token") });
    let report = run(&crm, 30_000, refreshing(&crm, provider, TokenEndpoint::limits())).await;
    assert!(report.ok(), "{report:?}");
    let world = crm.simulator.world();
    let seen = Seen::of(&world);
    let began = seen.asked[1];
    let during = |from: u64, to: u64| {
        world
            .requests
            .iter()
            .filter(|request| {
                request.header("authorization").is_some() && (from..to).contains(&request.at_ms)
            })
            .count()
    };
    assert!(during(began, began + 350) >= 8, "requests waited for no reason: {seen:?}");
    assert_eq!(seen.asked.len() as u64 - world.tokens_issued, 2, "two went wrong: {seen:?}");
    assert!(world.tokens_issued >= 2, "it ended too early to prove anything: {seen:?}");
    assert_eq!(world.written_twice(), []);
}

/// A refresh token that cannot be replaced.
struct ReadOnly(SecretString);

impl RefreshTokens for ReadOnly {
    fn hold(&self) -> io::Result<Box<dyn Held>> {
        Ok(Box::new(ReadOnly(self.0.clone())))
    }

    fn place(&self) -> String {
        "a place that cannot be written to".to_owned()
    }
}

impl Held for ReadOnly {
    fn token(&self) -> &SecretString {
        &self.0
    }

    fn replace(&mut self, _: &SecretString) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }
}

#[tokio::test]
async fn an_access_token_is_not_used_before_the_new_refresh_token_is_kept() {
    let provider = Provider::Salesforce;
    for rotates in [false, true] {
        let crm = Crm::with(provider, without_tokens(300), json!({})).await;
        crm.simulator.world().salesforce.rotate_refresh_token = rotates;
        let grant = Grant::RefreshToken(Arc::new(ReadOnly(secret(REFRESH_TOKEN))));
        let report = run(&crm, 300, credential(&token_url(&crm, provider), quick(), grant)).await;
        assert_eq!(report.ok(), !rotates, "{report:?}");
        if rotates {
            let stopped = stopped(&report);
            assert_eq!(stopped.reason, StopReason::Unauthorized, "{stopped:?}");
            assert!(
                stopped
                    .message
                    .contains("cannot be kept in place of a place that cannot be written to"),
                "{stopped:?}"
            );
            assert!(
                crm.requests().iter().all(|request| request.ends_with("/token")),
                "{:?}",
                crm.requests()
            );
        }
    }
}

#[tokio::test]
async fn a_run_that_is_given_up_does_not_lose_a_new_refresh_token() {
    let provider = Provider::Salesforce;
    let crm = Arc::new(Crm::with(provider, without_tokens(300), json!({})).await);
    crm.simulator.world().salesforce.rotate_refresh_token = true;
    crm.simulator.world().fault(Rule::always(Fault::Latency(300)).on("token"));
    let running = tokio::spawn({
        let crm = Arc::clone(&crm);
        async move { run(&crm, 300, refreshing(&crm, provider, TokenEndpoint::limits())).await.ok() }
    });
    let at_the_latest = |what: &'static str, condition: Box<dyn Fn() -> bool>| async move {
        let wait = async {
            while !condition() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap_or_else(|_| panic!("{what}"));
    };
    let issued = Arc::clone(&crm);
    at_the_latest(
        "no token was asked for",
        Box::new(move || issued.simulator.world().tokens_issued == 1),
    )
    .await;
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let kept = Arc::clone(&crm);
    at_the_latest(
        "the new refresh token is lost",
        Box::new(move || {
            std::fs::read_to_string(token_file(&kept)).unwrap().trim()
                == kept.simulator.world().salesforce.refresh_token
        }),
    )
    .await;
    assert_ne!(crm.simulator.world().salesforce.refresh_token, REFRESH_TOKEN);
}
