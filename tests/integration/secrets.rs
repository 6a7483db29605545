//! The token is where it must be, and nowhere else.

use crm_simulator::{Config, Fault, Rule, Token};
use reverse_sync::run::{StopReason, StopSignal};
use reverse_sync_tests::{
    crm::{Crm, Provider, config},
    oauth::{self},
};
use serde_json::json;

const TOKEN: &str = "pat-na1-5e5a3e-open-sesame-2718281828";

fn secret_config(contacts: usize) -> Config {
    Config { tokens: vec![Token::new(TOKEN)], ..config(contacts) }
}

#[tokio::test]
async fn an_answer_that_repeats_the_token_does_not_reach_the_guest() {
    let crm = Crm::with(Provider::HubSpot, secret_config(3), json!({})).await;
    let confirmed = crm.confirm(&crm.new_names(3)).await;
    crm.simulator
        .world()
        .fault(Rule::always(Fault::WrongBody(format!("{{\"message\":\"bad token {TOKEN}\"}}"))));
    let link = crm.bench.link(TOKEN).unwrap();
    let report = crm.bench.run(&confirmed, link, Default::default(), |_| {}).await.unwrap();
    // The guest got no answer at all, so it can neither report nor repeat it.
    let stopped = report.stopped.clone().unwrap();
    assert_eq!(stopped.reason, StopReason::Unavailable, "{stopped:?}");
    assert!(!format!("{report:?}").contains("open-sesame"));
}

#[tokio::test]
async fn an_answer_that_repeats_any_secret_of_oauth_does_not_reach_the_guest() {
    let crm = Crm::with(Provider::HubSpot, oauth::without_tokens(30), json!({})).await;
    crm.simulator.world().hubspot.rotate_refresh_token = true;
    let credential = oauth::refreshing(&crm, Provider::HubSpot, oauth::quick());
    // Two access tokens: the second is in force, the first was replaced.
    assert!(oauth::run(&crm, 10, credential.clone()).await.ok());
    crm.simulator.world().config.tokens[0].expired = true;
    assert!(oauth::run(&crm, 20, credential.clone()).await.ok());
    let mut secrets = oauth::secrets(&crm.simulator);
    assert_eq!(
        secrets.len(),
        2 + 3 + 1,
        "two access tokens, three refresh tokens, the client's secret: {secrets:?}"
    );
    secrets.push("nothing secret".to_owned());
    let confirmed = crm.confirm(&crm.new_names(30)).await;
    for secret in secrets {
        crm.simulator.world().faults.clear();
        crm.simulator.world().fault(
            Rule::always(Fault::WrongBody(format!("{{\"message\":\"no {secret}\"}}"))).on("/crm/"),
        );
        let link = oauth::link(&crm, credential.clone());
        let report = crm.bench.run(&confirmed, link, StopSignal::new(), |_| {}).await.unwrap();
        // What is withheld is an answer that never came.
        let withheld = report
            .stopped
            .as_ref()
            .is_some_and(|stopped| stopped.message.contains("repeats the credential"));
        assert_eq!(withheld, secret != "nothing secret", "{secret}: {report:?}");
        assert!(!format!("{report:?}").contains(&secret));
    }
}
