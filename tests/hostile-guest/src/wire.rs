//! Requests that are made by hand, by the types of `wasi:http` alone.

use crate::{
    Batch,
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::{
            streams::OutcomeSink,
            types::{Error, Status},
        },
    },
    http::said,
    other, report,
};
use hostile_attacks::Wire;
use wasip2::{
    clocks::monotonic_clock::subscribe_duration,
    http::{
        outgoing_handler::handle,
        types::{Fields, FutureIncomingResponse, Method, OutgoingBody, OutgoingRequest, Scheme},
    },
};

/// A request that nobody has checked.
struct Raw<'a> {
    method: Method,
    scheme: Scheme,
    authority: String,
    path: String,
    headers: Vec<(&'a str, Vec<u8>)>,
    body: String,
    trailers: bool,
}

impl Raw<'_> {
    fn make(&self) -> Result<OutgoingRequest, String> {
        let fields = Fields::new();
        for (name, value) in &self.headers {
            fields.append(name, value).map_err(|error| format!("no header: {error:?}"))?;
        }
        let request = OutgoingRequest::new(fields);
        request.set_method(&self.method).map_err(|()| "no method")?;
        request.set_scheme(Some(&self.scheme)).map_err(|()| "no scheme")?;
        request.set_authority(Some(&self.authority)).map_err(|()| "no host")?;
        request.set_path_with_query(Some(&self.path)).map_err(|()| "no path")?;
        Ok(request)
    }

    fn send(&self) -> Result<String, String> {
        let request = self.make()?;
        let body = request.body().map_err(|()| "no body")?;
        let coming = handle(request, None).map_err(|error| format!("{error:?}"))?;
        write(&body, &self.body)?;
        self.end(body)?;
        answer(&coming)
    }

    fn end(&self, body: OutgoingBody) -> Result<(), String> {
        let trailers = self.trailers.then(|| {
            let fields = Fields::new();
            fields.append("x-http-method-override", b"DELETE").map(|()| fields)
        });
        let trailers = trailers.transpose().map_err(|error| format!("no trailer: {error:?}"))?;
        OutgoingBody::finish(body, trailers).map_err(|error| format!("no end: {error:?}"))
    }
}

fn write(body: &OutgoingBody, text: &str) -> Result<(), String> {
    let stream = body.write().map_err(|()| "no stream")?;
    for part in text.as_bytes().chunks(4096) {
        stream.blocking_write_and_flush(part).map_err(|error| format!("no room: {error:?}"))?;
    }
    Ok(())
}

fn answer(coming: &FutureIncomingResponse) -> Result<String, String> {
    coming.subscribe().block();
    match coming.get() {
        Some(Ok(Ok(answer))) => Ok(answer.status().to_string()),
        Some(Ok(Err(error))) => Err(format!("{error:?}")),
        none => Err(format!("no answer: {}", none.is_some())),
    }
}

pub(crate) fn run(
    attack: Wire,
    target: &Target,
    batch: &Batch,
    sink: &OutcomeSink,
) -> Result<(), Error> {
    let host = target.base_url.trim_start_matches("http://").to_owned();
    let (id, mine) = (&batch.ids[0], &batch.fields[0]);
    let path = "/crm/v3/objects/contacts/batch/update".to_owned();
    let body = format!("{{\"inputs\":[{{\"id\":\"{id}\",\"properties\":{mine}}}]}}");
    let mut raw = Raw {
        method: Method::Post,
        scheme: Scheme::Http,
        authority: host.clone(),
        path,
        headers: vec![("content-type", b"application/json".to_vec())],
        body,
        trailers: false,
    };
    let mut with = |name: &'static str, value: &[u8]| raw.headers.push((name, value.to_vec()));
    match attack {
        Wire::HostHeader => with("host", b"elsewhere.example"),
        Wire::TransferEncoding => with("transfer-encoding", b"chunked"),
        Wire::Connection => with("connection", b"authorization, close"),
        Wire::Upgrade => with("upgrade", b"websocket"),
        Wire::LineInHeader => with("accept", b"*/*\r\nauthorization: Bearer mine"),
        Wire::HugeHeader => with("accept", &vec![b'x'; 1 << 20]),
        Wire::ManyHeaders => (0..10_000).for_each(|_| with("accept", b"*/*")),
        Wire::UserAgent => with("user-agent", b"Mozilla/5.0"),
        Wire::ShortLength => with("content-length", b"10"),
        Wire::LongLength => with("content-length", b"100000"),
        Wire::TwoLengths => {
            with("content-length", raw.body.len().to_string().as_bytes());
            raw.headers.push(("content-length", b"10".to_vec()));
        }
        Wire::Userinfo => raw.authority = format!("{host}@elsewhere.example"),
        Wire::UserOfHost => raw.authority = format!("user:password@{host}"),
        Wire::OtherPort => raw.authority = "127.0.0.1:1".to_owned(),
        Wire::OtherScheme => raw.scheme = Scheme::Other("gopher".to_owned()),
        Wire::AbsoluteForm => raw.path = format!("http://elsewhere.example{}", raw.path),
        Wire::LineInPath => {
            raw.path = format!("{} HTTP/1.1\r\nauthorization: Bearer mine\r\n", raw.path)
        }
        Wire::LineInMethod => {
            raw.method = Method::Other("POST / HTTP/1.1\r\n\r\nDELETE".to_owned())
        }
        Wire::Connect => raw.method = Method::Connect,
        Wire::Trailers => raw.trailers = true,
        Wire::LateBody | Wire::SettledMeanwhile | Wire::LateHeaders => {}
    }
    Err(said(match attack {
        Wire::LateBody => late_body(&raw),
        Wire::SettledMeanwhile => settled_meanwhile(&raw, batch, sink),
        Wire::LateHeaders => late_headers(&raw),
        _ => raw.send(),
    }))
}

/// Half of a good body, and another half once the request is on its way.
fn late_body(raw: &Raw<'_>) -> Result<String, String> {
    let request = raw.make()?;
    let body = request.body().map_err(|()| "no body")?;
    let coming = handle(request, None).map_err(|error| format!("{error:?}"))?;
    let stream = body.write().map_err(|()| "no stream")?;
    let (half, rest) = raw.body.split_at(raw.body.len() / 2);
    stream.blocking_write_and_flush(half.as_bytes()).map_err(|error| format!("{error:?}"))?;
    subscribe_duration(20_000_000).block();
    stream
        .blocking_write_and_flush(rest.replace("new", "old").as_bytes())
        .map_err(|error| format!("{error:?}"))?;
    drop(stream);
    raw.end(body)?;
    answer(&coming)
}

/// A good body of a change whose outcome comes while it is on its way.
fn settled_meanwhile(raw: &Raw<'_>, batch: &Batch, sink: &OutcomeSink) -> Result<String, String> {
    let request = raw.make()?;
    let body = request.body().map_err(|()| "no body")?;
    let coming = handle(request, None).map_err(|error| format!("{error:?}"))?;
    write(&body, &raw.body)?;
    report(sink, &batch.rows[..1], Status::Failed).map_err(|error| error.message)?;
    raw.end(body)?;
    answer(&coming)
}

/// Headers that are put in after the request was made of them.
fn late_headers(raw: &Raw<'_>) -> Result<String, String> {
    let request = raw.make()?;
    request
        .headers()
        .append("authorization", b"Bearer mine")
        .map_err(|error| format!("no header: {error:?}"))?;
    Ok("changed".to_owned())
}

/// As many requests as the host keeps, each with something long in it; how many it kept.
pub(crate) fn hoard(fill: impl Fn(&OutgoingRequest) -> Result<(), ()>) -> Error {
    let mut kept = Vec::new();
    for _ in 0..100 {
        let request = OutgoingRequest::new(Fields::new());
        if fill(&request).is_err() {
            return other(&format!("{} kept", kept.len()));
        }
        kept.push(request);
    }
    other("all kept")
}
