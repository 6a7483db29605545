//! Requests of a confirmed run that are not what was confirmed. Each ends with an error that says
//! how the host answered.

use crate::{
    Batch,
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::{
            streams::OutcomeSink,
            types::{Error, Status},
        },
    },
    http::{said, send},
    other, report, wanted,
};
use hostile_attacks::Requests;

pub(crate) fn run(
    attack: Requests,
    target: &Target,
    batch: &Batch,
    sink: &OutcomeSink,
) -> Result<(), Error> {
    let base = &target.base_url;
    let objects = format!("{base}/crm/v3/objects/contacts");
    let update = format!("{objects}/batch/update");
    let (id, mine) = (&batch.ids[0], &batch.fields[0]);
    let item = |id: &str, fields: &str| format!("{{\"id\":\"{id}\",\"properties\":{fields}}}");
    let batch_of = |items: &[String]| format!("{{\"inputs\":[{}]}}", items.join(","));
    let one = batch_of(&[item(id, mine)]);
    let single = format!("{{\"properties\":{mine}}}");
    let read_of =
        |id: &str| format!("{{\"properties\":[\"firstname\"],\"inputs\":[{{\"id\":\"{id}\"}}]}}");
    let posted = |body: &str| send("POST", &update, &[], body);
    let with = |name: &str, value: &str| send("POST", &update, &[(name, value)], &one);
    let patched = |path: &str| send("PATCH", &format!("{base}{path}"), &[], &single);
    Err(said(match attack {
        Requests::Create => send("POST", &objects, &[], &single),
        Requests::Delete => send("DELETE", &format!("{objects}/{id}"), &[], ""),
        Requests::Archive => send(
            "POST",
            &format!("{objects}/batch/archive"),
            &[],
            &format!("{{\"inputs\":[{{\"id\":\"{id}\"}}]}}"),
        ),
        Requests::Upsert => send("POST", &format!("{objects}/batch/upsert"), &[], &one),
        Requests::Put => send("PUT", &format!("{objects}/{id}"), &[], &single),
        Requests::OtherHost => send("POST", &wanted(target, "url")?, &[], &one),
        Requests::OtherObject => {
            send("POST", &format!("{base}/crm/v3/objects/companies/batch/update"), &[], &one)
        }
        Requests::OtherId => {
            posted(&batch_of(&[item(id, mine), item(&wanted(target, "outside")?, mine)]))
        }
        Requests::OtherField => send(
            "PATCH",
            &format!("{objects}/{id}"),
            &[],
            "{\"properties\":{\"lifecyclestage\":\"lead\"}}",
        ),
        Requests::OtherValue => posted(&batch_of(&[item(id, "{\"firstname\":\"Mallory\"}")])),
        Requests::SwappedValues => posted(&batch_of(&[item(id, &batch.fields[1])])),
        Requests::IdProperty => posted(&format!(
            "{{\"inputs\":[{{\"id\":\"{id}\",\"idProperty\":\"email\",\"properties\":{mine}}}]}}"
        )),
        Requests::SameIdTwice => posted(&batch_of(&[item(id, mine), item(id, mine)])),
        Requests::EscapedId => posted(&one.replacen("\"id\":\"4", "\"id\":\"\\u0034", 1)),
        Requests::SecondDocument => posted(&format!("{one}{one}")),
        Requests::MoreMembers => posted(&one.replace("]}", "],\"inputs\":[]}")),
        Requests::Space => posted(&one.replacen(':', ": ", 1)),
        Requests::ByteOrderMark => posted(&format!("\u{feff}{one}")),
        Requests::NoRecord => posted("{\"inputs\":[]}"),
        Requests::SettledId => {
            // The outcome is in; the change is not in hand any more.
            report(sink, &batch.rows[..1], Status::Failed)?;
            posted(&one)
        }
        Requests::OwnAuthorization => with("authorization", "Bearer mine"),
        Requests::OwnCookie => with("cookie", "session=mine"),
        Requests::OwnProxyAuthorization => with("proxy-authorization", "Basic bWluZQ=="),
        Requests::MethodOverride => with("x-http-method-override", "DELETE"),
        Requests::MethodInQuery => send("POST", &format!("{update}?_HttpMethod=DELETE"), &[], &one),
        Requests::OtherMedia => with("content-type", "application/x-www-form-urlencoded"),
        Requests::Multipart => with("content-type", "multipart/form-data; boundary=inputs"),
        Requests::ContentEncoding => with("content-encoding", "gzip"),
        Requests::OriginalUrl => with("x-original-url", "/crm/v3/objects/contacts/batch/archive"),
        Requests::Expect => with("expect", "100-continue"),
        Requests::Query => {
            send("POST", &format!("{update}?archived=true&archived=false"), &[], &one)
        }
        Requests::DotSegments => patched(&format!("/crm/v3/objects/contacts/../companies/{id}")),
        Requests::EncodedDots => {
            patched(&format!("/crm/v3/objects/contacts/%2e%2e/companies/{id}"))
        }
        Requests::EncodedId => {
            patched(&format!("/crm/v3/objects/contacts/{}", id.replacen('4', "%34", 1)))
        }
        Requests::DoubleSlash => patched(&format!("/crm/v3/objects//contacts/{id}")),
        Requests::TrailingSlash => patched(&format!("/crm/v3/objects/contacts/{id}/")),
        Requests::UpperCase => patched(&format!("/crm/v3/objects/CONTACTS/{id}")),
        Requests::ReadOutside => send(
            "POST",
            &format!("{objects}/batch/read"),
            &[],
            &read_of(&wanted(target, "outside")?),
        ),
        Requests::ReadOtherObject => {
            send("POST", &format!("{base}/crm/v3/objects/companies/batch/read"), &[], &read_of(id))
        }
        Requests::ReadAll => send("GET", &format!("{objects}?limit=100"), &[], ""),
        Requests::ReadSearch => {
            let search = "{\"filterGroups\":[],\"properties\":[\"email\"],\"limit\":100}";
            send("POST", &format!("{objects}/search"), &[], search)
        }
        Requests::FollowRedirect => {
            let told = send("POST", &format!("{objects}/batch/read"), &[], &read_of(id))
                .map_err(|error| other(&error))?;
            if told != "307" {
                return Err(other(&format!("it was answered {told}")));
            }
            send("POST", &wanted(target, "url")?, &[], &one)
        }
    }))
}
