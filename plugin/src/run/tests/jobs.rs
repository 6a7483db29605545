//! The Bulk API of the CRM in memory. (crm-apis B9)

use super::crm::Fake;
use crate::crm::network::{Media, Request};
use crate::crm::salesforce::bulk::csv::Rows;
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub(super) struct FakeJob {
    pub(super) state: &'static str,
    uploaded: bool,
    header: Vec<String>,
    /// Ids that are still to be worked on.
    rows: Vec<String>,
    /// Ids, and what is wrong with them.
    done: Vec<(String, Option<String>)>,
    error: String,
}

impl Fake {
    pub(super) fn states(&self) -> Vec<&'static str> {
        self.jobs.borrow().iter().map(|job| job.state).collect()
    }

    pub(super) fn bulk(&self, request: &Request, below: &str, body: &Value) -> (u16, String) {
        let refused = |code: &str| (400, json!([{"errorCode": code, "message": "not in this state"}]).to_string());
        let asked = below.split('/').find_map(|part| part.strip_prefix("750J")?.parse().ok());
        self.go_on_by_themselves(asked);
        if (request.method, below) == ("POST", "") {
            assert_eq!((&body["operation"], &body["object"], &body["lineEnding"]), (&json!("update"), &json!("Contact"), &json!("LF")));
            let job = FakeJob { state: "Open", uploaded: false, header: vec![], rows: vec![], done: vec![], error: String::new() };
            self.jobs.borrow_mut().push(job.clone());
            return (200, told(self.jobs.borrow().len() - 1, &job));
        }
        let (id, rest) = below.strip_prefix('/').unwrap().split_once('/').unwrap_or((&below[1..], ""));
        let number: usize = id.strip_prefix("750J").unwrap().parse().unwrap();
        let Some(mut job) = self.jobs.borrow().get(number).cloned() else {
            return (404, json!([{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]).to_string());
        };
        let answer = match (request.method, rest) {
            ("PUT", "batches") => {
                assert_eq!(request.media, Media::Csv);
                if job.uploaded || job.state != "Open" {
                    return refused("INVALIDJOBSTATE");
                }
                (job.uploaded, job.header, job.rows) = self.uploaded(&request.body);
                (201, String::new())
            }
            ("PATCH", "") => {
                match body["state"].as_str() {
                    Some("UploadComplete") if job.uploaded && job.state == "Open" => job.state = "UploadComplete",
                    Some("Aborted") if matches!(job.state, "Open" | "UploadComplete" | "InProgress") => job.state = "Aborted",
                    _ => return refused("INVALIDJOBSTATE"),
                }
                (200, told(number, &job))
            }
            ("GET", "") => {
                self.work(&mut job);
                (200, told(number, &job))
            }
            ("GET", _) if self.no_results.get() => (200, "<html>".to_owned()),
            ("GET", "successfulResults/") => {
                let lines = job.done.iter().filter(|(_, error)| error.is_none()).map(|(id, _)| format!("{id},false,{id}"));
                (200, lines.fold("sf__Id,sf__Created,Id\n".to_owned(), |text, line| text + &line + "\n"))
            }
            ("GET", "failedResults/") => {
                let lines = job.done.iter().filter_map(|(id, error)| Some(format!(",\"{}\",{id}", error.as_ref()?)));
                (200, lines.fold("sf__Id,sf__Error,Id\n".to_owned(), |text, line| text + &line + "\n"))
            }
            ("GET", "unprocessedrecords/") => (200, format!("Id\n{}\n", job.rows.join("\n"))),
            other => panic!("{other:?}"),
        };
        self.jobs.borrow_mut()[number] = job;
        answer
    }

    /// Holds each cell against what was confirmed, as egress does.
    fn uploaded(&self, text: &str) -> (bool, Vec<String>, Vec<String>) {
        let mut rows = Rows::new(text.as_bytes());
        assert!(rows.advance() && rows.cell(0) == "Id");
        let mut header = vec![];
        while header.len() < text.lines().next().unwrap().split(',').count() {
            header.push(rows.cell(header.len()).to_owned());
        }
        let mut ids = vec![];
        while rows.advance() {
            let fields = self.confirmed_fields(rows.cell(0));
            let mut cells = 0;
            for (at, name) in header.iter().enumerate().skip(1) {
                let expected = match fields.get(name) {
                    None => "",
                    Some(Value::Null) => "#N/A",
                    Some(Value::String(text)) => text,
                    Some(other) => &other.to_string(),
                };
                cells += usize::from(!expected.is_empty());
                assert_eq!(rows.cell(at), expected);
            }
            assert_eq!(cells, fields.len());
            ids.push(rows.cell(0).to_owned());
        }
        (true, header, ids)
    }

    /// A job that nobody asks about is worked on all the same.
    fn go_on_by_themselves(&self, asked: Option<usize>) {
        let count = self.jobs.borrow().len();
        for number in 0..count {
            let mut job = self.jobs.borrow()[number].clone();
            while Some(number) != asked && matches!(job.state, "UploadComplete" | "InProgress") {
                self.work(&mut job);
            }
            self.jobs.borrow_mut()[number] = job;
        }
    }

    /// Each look finds some rows more done.
    fn work(&self, job: &mut FakeJob) {
        if job.state == "UploadComplete" {
            job.state = "InProgress";
            return;
        }
        if job.state != "InProgress" {
            return;
        }
        if let Some(unknown) = job.header.iter().find(|name| self.unknown_fields.contains(name.as_str())) {
            (job.state, job.error) = ("Failed", format!("InvalidBatch : Field name not found : {unknown}"));
            return;
        }
        let piece = job.rows.len().min(7);
        for id in job.rows.drain(..piece) {
            let error = self.save(&id, self.confirmed_fields(&id)).err().map(|(_, code, message)| format!("{code}:{message}:Title --"));
            job.done.insert(0, (id, error));
        }
        if job.rows.is_empty() {
            job.state = "JobComplete";
        }
    }
}

fn told(number: usize, job: &FakeJob) -> String {
    json!({"id": format!("750J{number}"), "state": job.state, "numberRecordsProcessed": job.done.len(), "errorMessage": job.error})
        .to_string()
}
