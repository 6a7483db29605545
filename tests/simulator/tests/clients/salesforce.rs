//! simple-salesforce and jsforce.

use super::{BOTH, Judge, Language, only, sorted};
use crm_simulator::{Config, Fault, Rule, record_id};
use serde_json::{Value, json};

fn contact(number: u64) -> String {
    record_id("003", number)
}

async fn judge(language: Language) -> Judge {
    many(language, 0).await
}

/// Ada, Bob, and so many others.
async fn many(language: Language, others: u64) -> Judge {
    let judge = Judge::of("salesforce", language, Config::default()).await;
    let mut world = judge.simulator.world();
    world.salesforce.put(
        "Contact",
        &contact(0),
        &json!({"LastName": "Ada", "Title": "Buyer", "Email": "ada@example.com", "Discount__c": 9.5}),
    );
    world.salesforce.put("Contact", &contact(1), &json!({"LastName": "Bob", "DoNotCall": true}));
    for n in 0..others {
        world.salesforce.put(
            "Contact",
            &contact(2 + n),
            &json!({"LastName": format!("Person {n}")}),
        );
    }
    drop(world);
    judge
}

impl Judge {
    fn field(&self, id: &str, name: &str) -> Value {
        self.simulator.world().salesforce.value("Contact", id, name).cloned().unwrap_or_default()
    }

    /// What a client raises, the same in both but for the class; its status is among what Python
    /// shows only.
    async fn raises(
        &self,
        step: &str,
        arguments: &[&str],
        class: &str,
        status: u16,
        code: &str,
        message: &str,
    ) {
        let error = self.fitting(step, arguments).await;
        let class = if self.language == Language::Python { class } else { code };
        assert_eq!(error["class"], class, "{error}");
        assert_eq!(
            only(&error["content"], &["errorCode", "message"]),
            json!([{"errorCode": code, "message": message}])
        );
        if self.language == Language::Python {
            assert_eq!(error["status"], status);
        }
        assert_eq!(self.simulator.world().requests.last().unwrap().status, Some(status));
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_logs_in_with_its_own_credentials_and_asks() {
    for language in BOTH {
        let judge = judge(language).await;
        assert_eq!(judge.fitting("login", &["test-client", "test-client-secret"]).await, 2);
        assert_eq!(judge.simulator.world().tokens_issued, 1);
        let refused = judge.fitting("login", &["test-client", "another"]).await;
        assert_eq!(refused["code"], "invalid_client");
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_reads_a_record_with_all_that_describe_names() {
    for language in BOTH {
        let judge = judge(language).await;
        let read = judge.fitting("read", &[&contact(0)]).await;
        let record = read["record"].as_object().unwrap();
        assert_eq!((&read["type"], &record["Id"]), (&json!("Contact"), &json!(contact(0))));
        for name in ["LastName", "Title", "Email", "Discount__c", "DoNotCall", "Phone"] {
            assert_eq!(record[name], judge.field(&contact(0), name), "{name}");
        }
        assert!(!record.contains_key("Secret__c"));
        let described = judge.fitting("describe", &[]).await;
        assert_eq!(described["objects"], json!(["Account", "Contact", "Lead", "Opportunity"]));
        let world = judge.simulator.world();
        let fields = world.salesforce.objects["Contact"].fields.values();
        let updateable: Vec<_> = fields
            .filter(|field| field.updateable && field.visible)
            .map(|field| &field.name)
            .collect();
        assert_eq!(described["updateable"], json!(updateable));
        // Both clients read it from the header of each answer.
        assert_eq!(described["used"], world.salesforce.today);
        assert_eq!(described["remaining"], 100_000 - world.salesforce.today);
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_queries() {
    for language in BOTH {
        let judge = judge(language).await;
        let soql = "SELECT Id, LastName, Discount__c FROM Contact WHERE LastName LIKE '%a%' AND (Discount__c > 9 OR DoNotCall = true) ORDER BY LastName";
        let found = judge.fitting("query", &[soql]).await;
        let record = json!({"Id": contact(0), "LastName": "Ada", "Discount__c": 9.5});
        assert_eq!(found, json!({"total": 1, "done": true, "records": [record]}));
        judge.simulator.world().salesforce.delete("Contact", &contact(0));
        assert_eq!(judge.fitting("query", &[soql]).await["total"], 0);
        assert_eq!(judge.fitting("with_deleted", &[soql]).await, json!([record]));
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_reads_a_long_answer_to_its_end() {
    for language in BOTH {
        let judge = many(language, 4_100).await;
        let found = judge.fitting("query_all", &["SELECT Id, LastName FROM Contact"]).await;
        assert_eq!(found["total"], 4_102);
        let mut ids = sorted(&found["records"], "Id");
        ids.dedup();
        assert_eq!(ids.len(), 4_102);
        for record in found["records"].as_array().unwrap() {
            assert_eq!(record["LastName"], judge.field(record["Id"].as_str().unwrap(), "LastName"));
        }
        assert_eq!(judge.simulator.world().requests.len(), 3, "batches");
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_updates_a_record() {
    for language in BOTH {
        let judge = judge(language).await;
        assert_eq!(judge.fitting("update", &[&contact(0)]).await, 204);
        assert_eq!(
            (judge.field(&contact(0), "Title"), judge.field(&contact(0), "Email")),
            (json!("Director"), Value::Null)
        );
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_updates_a_collection_of_which_a_part_fails() {
    for language in BOTH {
        let judge = judge(language).await;
        let results = judge.fitting("collection", &[&contact(1), &contact(99), &contact(0)]).await;
        let missing = json!({"statusCode": "INVALID_CROSS_REFERENCE_KEY", "message": "invalid cross reference id", "fields": []});
        let done = |id: String| json!({"id": id, "success": true, "errors": []});
        assert_eq!(
            results,
            json!([done(contact(1)), {"success": false, "errors": [missing]}, done(contact(0))])
        );
        assert_eq!(
            (judge.field(&contact(0), "Title"), judge.field(&contact(1), "Title")),
            (json!("Director 2"), json!("Director 0"))
        );
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_reads_records_by_their_ids() {
    let judge = judge(Language::Node).await;
    let read = judge.fitting("retrieve", &[&contact(1), &contact(99), &contact(0)]).await;
    assert_eq!(
        (&read[0]["LastName"], &read[1], &read[2]["LastName"]),
        (&json!("Bob"), &Value::Null, &json!("Ada"))
    );
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_updates_in_bulk_and_reads_which_rows_failed() {
    for language in BOTH {
        let judge = judge(language).await;
        let result = judge.fitting("bulk", &[&contact(0), &contact(99), &contact(1)]).await;
        assert_eq!(
            result["job"],
            json!({"numberRecordsFailed": 1, "numberRecordsProcessed": 3, "numberRecordsTotal": 3})
        );
        assert_eq!(sorted(&result["successful"], "sf__Id"), [contact(0), contact(1)]);
        for row in result["successful"].as_array().unwrap() {
            assert_eq!(
                (&row["sf__Created"], &row["Title"]),
                (&json!("false"), &judge.field(row["Id"].as_str().unwrap(), "Title"))
            );
        }
        let failed = &result["failed"];
        // The columns that the guide names, before those of the upload.
        let columns = |row: &Value| row.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(columns(&result["successful"][0]), ["Id", "Title", "sf__Created", "sf__Id"]);
        assert_eq!(columns(&failed[0]), ["Id", "Title", "sf__Error", "sf__Id"]);
        assert_eq!(
            only(failed, &["Id", "Title"]),
            json!([{"Id": contact(99), "Title": "Director \"1\", Sales"}])
        );
        assert!(
            failed[0]["sf__Error"].as_str().unwrap().starts_with("INVALID_CROSS_REFERENCE_KEY:"),
            "{failed}"
        );
        assert_eq!(judge.field(&contact(0), "Title"), "Director \"0\", Sales");
        assert_eq!(judge.simulator.world().salesforce.bulk.states(), ["JobComplete"]);
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_raises_that_a_bulk_job_failed() {
    for language in BOTH {
        let judge = judge(language).await;
        let error = judge.fitting("failing_bulk", &[&contact(0)]).await;
        assert!(
            error["text"]
                .as_str()
                .unwrap()
                .ends_with("InvalidBatch : Field name not found : Titel"),
            "{error}"
        );
        assert_eq!(judge.simulator.world().writes.len(), 0);
        assert_eq!(judge.field(&contact(0), "Title"), "Buyer");
    }
}

#[tokio::test]
#[ignore = "needs Python and Node.js: .ci/install test"]
async fn a_client_raises_what_the_guide_says_of_errors() {
    for language in BOTH {
        let judge = judge(language).await;
        judge
            .raises(
                "no_such_token",
                &[],
                "SalesforceExpiredSession",
                401,
                "INVALID_SESSION_ID",
                "Session expired or invalid",
            )
            .await;
        let not_there = ("SalesforceResourceNotFound", "The requested resource does not exist");
        judge
            .raises("read_error", &[&contact(99)], not_there.0, 404, "NOT_FOUND", not_there.1)
            .await;
        let malformed = "SalesforceMalformedRequest";
        let message = "No such column 'Titel' on sobject of type Contact";
        judge
            .raises("update_error", &[&contact(0)], malformed, 400, "INVALID_FIELD", message)
            .await;
        let soql = "SELECT Id FROM Contact WHERE";
        let message = format!(
            "\n{soql}\n{}^\nERROR at Row:1:Column:29\nunexpected token: '<EOF>'",
            " ".repeat(28)
        );
        judge.raises("query_error", &[soql], malformed, 400, "MALFORMED_QUERY", &message).await;
        for (fault, message) in [
            (Fault::DailyLimit, "TotalRequests Limit exceeded."),
            (Fault::Throttle, "ConcurrentRequests (Concurrent API Requests) Limit exceeded."),
        ] {
            judge.simulator.world().fault(Rule::next(1, fault));
            judge
                .raises(
                    "read_error",
                    &[&contact(0)],
                    "SalesforceRefusedRequest",
                    403,
                    "REQUEST_LIMIT_EXCEEDED",
                    message,
                )
                .await;
        }
        assert_eq!(judge.simulator.world().writes.len(), 0);
    }
}
