//! hubspot-api-client in both languages.

use super::{BOTH, Judge, Language, Verdict, sorted};
use crm_simulator::{Config, Fault, Rule, Switches};
use serde_json::{Value, json};

const ADA: &str = "31200004411";
const BOB: &str = "31200004412";
const MISSING: &str = "31200009998";

/// What the documents demand and recorded answers do not have: named here, so that nothing else
/// passes.
const NO_LINKS: [&str; 2] = [
    "BatchResponseSimplePublicObjectWithErrors $.errors[0].errors: StandardError demands it",
    "BatchResponseSimplePublicObjectWithErrors $.errors[0].links: StandardError demands it",
];
const NO_CATEGORY: &str = "Error $.category: Error demands it";

async fn judge(language: Language) -> Judge {
    let judge = Judge::of("hubspot", language, Config::default()).await;
    let mut world = judge.simulator.world();
    world.hubspot.put("contacts", ADA, &json!({"firstname": "Ada", "city": "London"}));
    world.hubspot.put("contacts", BOB, &json!({"firstname": "Bob", "email": "bob@example.com"}));
    drop(world);
    judge
}

async fn many(language: Language, count: usize) -> Judge {
    Judge::of("hubspot", language, Config { hubspot_contacts: count, ..Config::default() }).await
}

impl Judge {
    fn stored(&self, id: &str, property: &str) -> Value {
        json!(self.simulator.world().hubspot.value("contacts", id, property))
    }

    /// Every property that a client shows of a record is as it is stored.
    #[track_caller]
    fn as_stored(&self, record: &Value) {
        let properties = record["properties"].as_object().unwrap();
        assert!(!properties.is_empty(), "{record}");
        for (name, value) in properties {
            assert_eq!(
                *value,
                self.stored(record["id"].as_str().unwrap(), name),
                "{name} of {record}"
            );
        }
        let time = |text: &Value| {
            text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_millisecond()
        };
        let world = self.simulator.world();
        let held = world.hubspot.record("contacts", record["id"].as_str().unwrap()).unwrap();
        assert_eq!(
            (time(&record["created_at"]), time(&record["updated_at"])),
            (held.created, held.updated),
            "{record}"
        );
        assert_eq!(record["archived"], held.archived);
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_reads_a_record_and_its_history() {
    for language in BOTH {
        let judge = judge(language).await;
        judge.simulator.world().hubspot.edit("contacts", ADA, "city", "Ghent");
        let record = judge.fitting("read", &[ADA]).await;
        judge.as_stored(&record);
        let properties = &record["properties"];
        assert_eq!(
            (&properties["firstname"], &properties["city"], &properties["jobtitle"]),
            (&json!("Ada"), &json!("Ghent"), &Value::Null)
        );
        assert_eq!(record["history"], json!(["Ghent", "London"]));
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_reads_all_records_by_its_own_paging() {
    for language in BOTH {
        let judge = many(language, 230).await;
        let all = judge.fitting("all_records", &[]).await;
        let requests = judge.simulator.world().requests.len();
        assert_eq!(requests, 3, "pages");
        assert_eq!(all.as_array().unwrap().len(), 230);
        all.as_array().unwrap().iter().for_each(|record| judge.as_stored(record));
        let mut ids = sorted(&all, "id");
        ids.dedup();
        assert_eq!(ids.len(), 230);
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_page_and_the_one_after_it_fit_the_types() {
    for language in BOTH {
        let judge = many(language, 102).await;
        let pages = judge.fitting("page", &[]).await;
        assert_eq!(
            (pages["first"].as_array().unwrap().len(), &pages["rest"], &pages["ends"]),
            (2, &json!(100), &json!(true))
        );
        pages["first"].as_array().unwrap().iter().for_each(|record| judge.as_stored(record));
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_searches_page_by_page() {
    for language in BOTH {
        let judge = many(language, 50).await;
        let found = judge.fitting("search", &["lyon"]).await;
        let stored = |world: &crm_simulator::World| {
            let records = world.hubspot.objects["contacts"].records.iter();
            records
                .filter(|(_, record)| record.properties["city"] == "Lyon")
                .map(|(id, _)| id.clone())
                .collect::<Vec<_>>()
        };
        let mut wanted = stored(&judge.simulator.world());
        wanted.sort();
        assert!(wanted.len() > 5, "more than a page");
        assert_eq!(
            (&found["total"], sorted(&found["results"], "id")),
            (&json!(wanted.len()), wanted)
        );
        let emails: Vec<&str> = found["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| record["properties"]["email"].as_str().unwrap())
            .collect();
        assert!(emails.is_sorted_by(|left, right| left >= right), "{emails:?}");
        found["results"].as_array().unwrap().iter().for_each(|record| judge.as_stored(record));
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_updates_a_record() {
    for language in BOTH {
        let judge = judge(language).await;
        let record = judge.fitting("update", &[ADA]).await;
        judge.as_stored(&record);
        assert_eq!(
            (judge.stored(ADA, "jobtitle"), judge.stored(ADA, "city")),
            (json!("Director"), Value::Null)
        );
        assert_eq!(judge.simulator.world().writes.len(), 1);
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_updates_and_reads_a_batch_whole() {
    for language in BOTH {
        let judge = judge(language).await;
        for step in ["batch_update", "batch_read"] {
            let answer = judge.fitting(step, &[ADA, BOB]).await;
            assert_eq!(
                (&answer["http_status"], &answer["status"], &answer["num_errors"]),
                (&json!(200), &json!("COMPLETE"), &Value::Null)
            );
            assert_eq!(sorted(&answer["results"], "id"), [ADA, BOB]);
            answer["results"].as_array().unwrap().iter().for_each(|record| judge.as_stored(record));
        }
        assert_eq!(
            (judge.stored(ADA, "jobtitle"), judge.stored(BOB, "jobtitle")),
            (json!("Director 0"), json!("Director 1"))
        );
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_sees_which_part_of_a_batch_failed() {
    for language in BOTH {
        let judge = judge(language).await;
        for step in ["batch_update", "batch_read"] {
            for has_links in [false, true] {
                judge.simulator.world().config.switches =
                    Switches { hubspot_207_has_links: has_links, ..Switches::default() };
                let Verdict { value: answer, findings } = judge.step(step, &[MISSING, ADA]).await;
                assert_eq!(
                    findings,
                    if has_links { &[][..] } else { &NO_LINKS[..] },
                    "{language:?} {step}"
                );
                assert_eq!(
                    (&answer["http_status"], &answer["num_errors"]),
                    (&json!(207), &json!(1))
                );
                assert_eq!(sorted(&answer["results"], "id"), [ADA]);
                let message = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid.";
                assert_eq!(
                    answer["errors"],
                    json!([{"category": "OBJECT_NOT_FOUND", "context": {"ids": [MISSING]}, "message": message}])
                );
                judge.as_stored(&answer["results"][0]);
            }
        }
        assert_eq!(judge.stored(ADA, "jobtitle"), "Director 1");
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_reads_the_definitions() {
    for language in BOTH {
        let judge = judge(language).await;
        let read = judge.fitting("definitions", &[]).await;
        let world = judge.simulator.world();
        let known = &world.hubspot.objects["contacts"].properties;
        assert_eq!(read["names"], json!(known.keys().collect::<Vec<_>>()));
        let read_only: Vec<_> = known
            .values()
            .filter(|property| property.read_only)
            .map(|property| &property.name)
            .collect();
        assert_eq!(read["read_only"], json!(read_only));
        let options: Vec<_> =
            known["lifecyclestage"].options.iter().map(|(_, value)| value).collect();
        assert_eq!((&read["options"], &read["some"]), (&json!(options), &json!(["city"])));
    }
}

/// What a client raises: in Python some statuses have classes of their own, in Node.js none has.
#[track_caller]
fn raised(error: &Value, language: Language, class: &str, status: u16) {
    let class = if language == Language::Python { class } else { "ApiException" };
    assert_eq!(
        (&error["class"], &error["status"]),
        (&json!(class), &json!(status)),
        "{language:?}: {error}"
    );
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_raises_what_the_documents_say_of_errors() {
    for language in BOTH {
        let judge = judge(language).await;
        let error = judge.fitting("no_such_token", &[ADA]).await;
        raised(&error, language, "UnauthorizedException", 401);
        assert_eq!(error["category"], "INVALID_AUTHENTICATION");

        let error = judge.fitting("update_error", &[ADA]).await;
        raised(&error, language, "ApiException", 400);
        assert_eq!(error["category"], "VALIDATION_ERROR");
        assert!(
            error["message"].as_str().unwrap().starts_with("Property values were not valid: "),
            "{error}"
        );

        for has_category in [false, true] {
            judge.simulator.world().config.switches =
                Switches { hubspot_404_category: has_category, ..Switches::default() };
            let Verdict { value: error, findings } = judge.step("read_error", &[MISSING]).await;
            raised(&error, language, "NotFoundException", 404);
            assert_eq!(findings, if has_category { &[][..] } else { &[NO_CATEGORY][..] });
        }
        let Verdict { value: error, findings } = judge.step("search_error", &[]).await;
        raised(&error, language, "ApiException", 400);
        assert_eq!(findings, [NO_CATEGORY]);
        assert_eq!(judge.simulator.world().writes.len(), 0);
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_raises_that_a_limit_is_reached() {
    for language in BOTH {
        let judge = judge(language).await;
        for (fault, policy) in
            [(Fault::DailyLimit, "DAILY"), (Fault::Throttle, "TEN_SECONDLY_ROLLING")]
        {
            judge.simulator.world().fault(Rule::next(1, fault));
            let Verdict { value: error, findings } = judge.step("read_error", &[ADA]).await;
            raised(&error, language, "ApiException", 429);
            assert_eq!(error["policy"], policy);
            // The guide on limits has a body of its own for these.
            let own = |name: &str| format!("Error $.{name}: Error has no such member");
            let mut wanted = vec![NO_CATEGORY.to_owned(), own("errorType"), own("policyName")];
            wanted.extend((policy != "DAILY").then(|| own("groupName")));
            wanted.sort();
            assert_eq!(findings, wanted);
        }
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn the_client_for_node_knows_the_limit_of_searches_by_its_words_and_repeats() {
    let judge = judge(Language::Node).await;
    judge.simulator.world().fault(Rule::next(1, Fault::Throttle));
    assert_eq!(judge.fitting("throttled_search", &[]).await, 2);
    let statuses: Vec<_> =
        judge.simulator.world().requests.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(429), Some(200)]);
}
