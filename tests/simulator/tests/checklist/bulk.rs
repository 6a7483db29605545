//! Salesforce's Bulk API 2.0: checklist item 13.

use super::{Api, contact};
use crm_simulator::{Config, Switches};
use http::Method;
use serde_json::{Value, json};

const JOBS: &str = "/services/data/v67.0/jobs/ingest";

async fn contacts(count: u64) -> Api {
    let api = Api::new().await;
    for n in 0..count {
        api.simulator.world().salesforce.put(
            "Contact",
            &contact(n),
            &json!({"LastName": "Lovelace", "Title": "Buyer", "Department": "Sales"}),
        );
    }
    api
}

async fn open(api: &Api, more: Value) -> String {
    let mut body = json!({"object": "Contact", "operation": "update", "contentType": "CSV", "lineEnding": "LF"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let got = api.post(JOBS, &body).await;
    let job = got.json();
    assert_eq!(
        (got.status, &job["state"], &job["object"]),
        (200, &json!("Open"), &json!("Contact")),
        "{job}"
    );
    assert_eq!(
        job["contentUrl"],
        format!("services/data/v67.0/jobs/ingest/{}/batches", job["id"].as_str().unwrap())
    );
    job["id"].as_str().unwrap().to_owned()
}

async fn upload(api: &Api, id: &str, csv: &str) -> u16 {
    let got = api
        .send(
            Method::PUT,
            &format!("{JOBS}/{id}/batches"),
            &[("content-type", "text/csv")],
            csv.to_owned(),
        )
        .await
        .unwrap();
    assert!(got.status != 201 || got.text.is_empty());
    got.status
}

async fn close(api: &Api, id: &str) -> u16 {
    api.patch(&format!("{JOBS}/{id}"), &json!({"state": "UploadComplete"})).await.status
}

/// The job when it has ended.
async fn ended(api: &Api, id: &str) -> Value {
    for _ in 0..10 {
        let job = api.get(&format!("{JOBS}/{id}")).await.json();
        if !["UploadComplete", "InProgress"].contains(&job["state"].as_str().unwrap()) {
            return job;
        }
    }
    panic!("the job does not end");
}

/// The job when it has ended, and the lines of its three result sets.
async fn run(api: &Api, more: Value, csv: &str) -> (Value, [Vec<String>; 3]) {
    let id = open(api, more).await;
    assert_eq!(upload(api, &id, csv).await, 201);
    assert_eq!(close(api, &id).await, 200);
    let job = ended(api, &id).await;
    let lines = async |set: &str| -> Vec<String> {
        let got = api.get(&format!("{JOBS}/{id}/{set}/")).await;
        assert_eq!(got.header("content-type"), Some("text/csv"));
        got.text.lines().map(str::to_owned).collect()
    };
    (
        job,
        [
            lines("successfulResults").await,
            lines("failedResults").await,
            lines("unprocessedrecords").await,
        ],
    )
}

#[tokio::test]
async fn item_13_a_job_goes_from_open_to_complete() {
    let api = contacts(1).await;
    let id = open(&api, json!({})).await;
    let path = format!("{JOBS}/{id}");
    assert_eq!(close(&api, &id).await, 400, "nothing was uploaded");
    assert_eq!(upload(&api, &id, &format!("Id,Title\n{},Director\n", contact(0))).await, 201);
    assert_eq!(upload(&api, &id, "Id,Title\n").await, 400, "one upload per job");
    assert_eq!(api.get(&path).await.json()["state"], "Open", "it does not start by itself");
    let closed = api.patch(&path, &json!({"state": "UploadComplete"})).await;
    assert_eq!((closed.status, &closed.json()["state"]), (200, &json!("UploadComplete")));
    assert_eq!(api.get(&path).await.json()["state"], "InProgress");
    assert_eq!(api.field("Title"), Some(json!("Buyer")));
    let job = ended(&api, &id).await;
    assert_eq!(
        (&job["state"], &job["numberRecordsProcessed"], &job["numberRecordsFailed"]),
        (&json!("JobComplete"), &json!(1), &json!(0))
    );
    for time in ["totalProcessingTime", "apiActiveProcessingTime", "apexProcessingTime"] {
        assert!(job[time].is_u64(), "{job}");
    }
    assert_eq!(api.field("Title"), Some(json!("Director")));
}

#[tokio::test]
async fn item_13_a_job_can_be_aborted() {
    let api = contacts(1).await;
    let id = open(&api, json!({})).await;
    assert_eq!(upload(&api, &id, &format!("Id,Title\n{},Director\n", contact(0))).await, 201);
    assert_eq!(
        api.patch(&format!("{JOBS}/{id}"), &json!({"state": "Aborted"})).await.json()["state"],
        "Aborted"
    );
    assert_eq!((ended(&api, &id).await["state"].as_str(), api.writes()), (Some("Aborted"), 0));
}

#[tokio::test]
async fn item_13_a_job_is_worked_on_in_pieces_and_can_be_aborted_in_between() {
    let api = contacts(5).await;
    api.simulator.world().salesforce.bulk.rows_per_poll = Some(2);
    let id = open(&api, json!({})).await;
    let csv: String = (0..5).map(|n| format!("{},Director\n", contact(n))).collect();
    assert_eq!(upload(&api, &id, &format!("Id,Title\n{csv}")).await, 201);
    assert_eq!(close(&api, &id).await, 200);
    assert_eq!(close(&api, &id).await, 400, "it is closed");
    let path = format!("{JOBS}/{id}");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let job = api.get(&path).await.json();
        seen.push((
            job["state"].as_str().unwrap().to_owned(),
            job["numberRecordsProcessed"].as_u64().unwrap(),
        ));
    }
    assert_eq!(
        seen,
        [("InProgress".to_owned(), 0), ("InProgress".to_owned(), 2), ("InProgress".to_owned(), 4)]
    );
    assert_eq!(api.patch(&path, &json!({"state": "Aborted"})).await.json()["state"], "Aborted");
    assert_eq!(api.patch(&path, &json!({"state": "Aborted"})).await.status, 400, "it has ended");
    assert_eq!(ended(&api, &id).await["numberRecordsProcessed"], 4);
    assert_eq!(api.get(&format!("{path}/successfulResults/")).await.text.lines().count(), 5);
    let left = api.get(&format!("{path}/unprocessedrecords/")).await.text;
    assert_eq!(
        (left.lines().collect::<Vec<_>>(), api.writes()),
        (vec!["Id,Title", &format!("{},Director", contact(4))], 4)
    );
}

#[tokio::test]
async fn item_13_a_job_goes_on_when_nobody_asks() {
    let api = contacts(1).await;
    let id = open(&api, json!({})).await;
    assert_eq!(upload(&api, &id, &format!("Id,Title\n{},Director\n", contact(0))).await, 201);
    open(&api, json!({})).await;
    assert_eq!(api.writes(), 0, "it is not closed");
    assert_eq!(close(&api, &id).await, 200);
    open(&api, json!({})).await;
    assert_eq!(
        (api.field("Title"), ended(&api, &id).await["state"].as_str()),
        (Some(json!("Director")), Some("JobComplete"))
    );
}

#[tokio::test]
async fn item_13_a_job_may_fail_in_the_middle_and_is_gone_after_a_week() {
    let api = contacts(5).await;
    api.simulator.world().salesforce.bulk.fails_after = Some((3, "InternalServerError".to_owned()));
    let csv: String = (0..5).map(|n| format!("{},Director\n", contact(n))).collect();
    let (job, [done, failed, unprocessed]) =
        run(&api, json!({}), &format!("Id,Title\n{csv}")).await;
    assert_eq!(
        (&job["state"], &job["errorMessage"]),
        (&json!("Failed"), &json!("InternalServerError"))
    );
    assert_eq!((done.len(), failed.len(), unprocessed.len(), api.writes()), (4, 1, 3, 3));
    api.simulator.world().salesforce.bulk.expire();
    let id = job["id"].as_str().unwrap();
    assert_eq!(api.get(&format!("{JOBS}/{id}")).await.status, 404);
    assert_eq!(api.get(&format!("{JOBS}/{id}/successfulResults/")).await.status, 404);
}

#[tokio::test]
async fn item_13_na_clears_and_an_empty_cell_is_ignored() {
    let api = contacts(1).await;
    let (job, [done, ..]) =
        run(&api, json!({}), &format!("Id,Title,Department\n{},#N/A,\n", contact(0))).await;
    assert_eq!(
        (&job["state"], api.field("Title"), api.field("Department")),
        (&json!("JobComplete"), None, Some(json!("Sales")))
    );
    assert_eq!(
        done,
        [
            "sf__Id,sf__Created,Id,Title,Department".to_owned(),
            format!("{0},false,{0},#N/A,", contact(0))
        ]
    );
}

#[tokio::test]
async fn item_13_a_complete_job_may_have_failed_rows() {
    let api = contacts(4).await;
    api.simulator.world().salesforce.delete("Contact", &contact(1));
    let csv = format!(
        "Id,Title,Birthdate\n{},Director,1815-12-10\n{},Director,\n{},Director,2026-13-01\n,Director,\n",
        contact(0),
        contact(1),
        contact(2)
    );
    let (job, [done, failed, unprocessed]) = run(&api, json!({}), &csv).await;
    assert_eq!(
        (&job["state"], &job["numberRecordsProcessed"], &job["numberRecordsFailed"]),
        (&json!("JobComplete"), &json!(4), &json!(3))
    );
    assert_eq!(done[1..], [format!("{0},false,{0},Director,1815-12-10", contact(0))]);
    assert_eq!(failed[0], "sf__Id,sf__Error,Id,Title,Birthdate");
    let mut rest = failed[1..].to_vec();
    rest.sort_unstable();
    let wrong = "INVALID_FIELD:Failed to deserialize field at col 3. Due to, '2026-13-01' is not a valid value for the type xsd:date:Birthdate --";
    assert_eq!(
        rest,
        [
            ",MISSING_ARGUMENT:Id not specified in an update call:Id --,,Director,".to_owned(),
            format!("{0},ENTITY_IS_DELETED:entity is deleted: --,{0},Director,", contact(1)),
            format!("{0},\"{wrong}\",{0},Director,2026-13-01", contact(2)),
        ]
    );
    assert_eq!((unprocessed, api.writes()), (vec!["Id,Title,Birthdate".to_owned()], 1));
}

#[tokio::test]
async fn item_13_an_unknown_column_fails_the_job_and_nothing_is_processed() {
    let api = contacts(1).await;
    for column in ["Titel", "Secret__c"] {
        let (job, [done, failed, unprocessed]) =
            run(&api, json!({}), &format!("Id,{column}\n{},x\n", contact(0))).await;
        assert_eq!((&job["state"], &job["numberRecordsProcessed"]), (&json!("Failed"), &json!(0)));
        assert_eq!(job["errorMessage"], format!("InvalidBatch : Field name not found : {column}"));
        assert_eq!((done.len(), failed.len()), (1, 1));
        assert_eq!(unprocessed, [format!("Id,{column}"), format!("{},x", contact(0))]);
    }
    assert_eq!(api.writes(), 0);
}

#[tokio::test]
async fn item_13_results_are_not_in_the_order_of_the_rows() {
    let api = contacts(60).await;
    let ids: Vec<String> = (0..60).map(contact).collect();
    let csv: String = std::iter::once("Id,Title".to_owned())
        .chain(ids.iter().map(|id| format!("{id},x")))
        .map(|line| line + "\n")
        .collect();
    let (_, [done, ..]) = run(&api, json!({}), &csv).await;
    let mut answered: Vec<&str> =
        done[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_ne!(answered, ids);
    answered.sort_unstable();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    assert_eq!(answered, sorted);
}

#[tokio::test]
async fn item_13_quotes_are_doubled_and_blanks_beside_them_are_errors() {
    let api = contacts(3).await;
    let csv = format!(
        "Id,Title\n{},\"a \"\"b\"\",\nc\"\n{}, \"x\"\n{},\"x\" \n",
        contact(0),
        contact(1),
        contact(2)
    );
    let (job, [done, failed, _]) = run(&api, json!({}), &csv).await;
    assert_eq!((&job["numberRecordsFailed"], failed.len()), (&json!(2), 3));
    assert_eq!(api.field("Title"), Some(json!("a \"b\",\nc")));
    assert_eq!(done[1..], [format!("{0},false,{0},\"a \"\"b\"\",", contact(0)), "c\"".to_owned()]);
}

#[tokio::test]
async fn item_13_texts_are_not_trimmed_unless_by_switch() {
    for (salesforce_bulk_trims, stored) in [(false, " x "), (true, "x")] {
        let api = Api::start(Config {
            switches: Switches { salesforce_bulk_trims, ..Switches::default() },
            ..Config::default()
        })
        .await;
        api.simulator.world().salesforce.put("Contact", &contact(0), &json!({}));
        run(&api, json!({}), &format!("Id,Title\n{}, x \n", contact(0))).await;
        assert_eq!(api.field("Title"), Some(json!(stored)));
    }
}

#[tokio::test]
async fn item_13_ids_are_answered_with_18_characters_and_values_typed_by_their_field() {
    let api = contacts(1).await;
    let csv = format!("Id,DoNotCall,Discount__c\n{},true,12.349\n", &contact(0)[..15]);
    let (_, [done, ..]) = run(&api, json!({}), &csv).await;
    assert_eq!(done[1], format!("{},false,{},true,12.349", contact(0), &contact(0)[..15]));
    assert_eq!(
        (api.field("DoNotCall"), api.field("Discount__c")),
        (Some(json!(true)), Some(json!(12.34)))
    );
}

#[tokio::test]
async fn item_13_delimiter_and_line_ending_are_those_of_the_job() {
    let api = contacts(1).await;
    let choice = json!({"columnDelimiter": "SEMICOLON", "lineEnding": "CRLF"});
    let (job, [done, ..]) = run(&api, choice, &format!("Id;Title\r\n{};a,b\r\n", contact(0))).await;
    assert_eq!(
        (&job["columnDelimiter"], &job["lineEnding"]),
        (&json!("SEMICOLON"), &json!("CRLF"))
    );
    assert_eq!(
        done,
        ["sf__Id;sf__Created;Id;Title".to_owned(), format!("{0};false;{0};a,b", contact(0))]
    );
    // The wrong ending becomes part of the last column's name.
    let (job, _) = run(&api, json!({}), &format!("Id,Title\r\n{},x\r\n", contact(0))).await;
    assert_eq!(job["state"], "Failed");
}

#[tokio::test]
async fn item_13_what_is_no_update_of_csv_is_refused() {
    let api = contacts(1).await;
    for (key, value) in [
        ("operation", "insert"),
        ("contentType", "JSON"),
        ("object", "Butterfly"),
        ("columnDelimiter", "DOT"),
    ] {
        let mut body = json!({"object": "Contact", "operation": "update", "contentType": "CSV"});
        body[key] = json!(value);
        assert_eq!(api.post(JOBS, &body).await.status, 400, "{key}");
    }
    let id = open(&api, json!({})).await;
    let got = api
        .send(
            Method::PUT,
            &format!("{JOBS}/{id}/batches"),
            &[("content-type", "text/plain")],
            "Id\n",
        )
        .await
        .unwrap();
    assert_eq!(got.status, 415);
    assert_eq!(api.get(&format!("{JOBS}/7505t0000000009AAA")).await.status, 404);
}
