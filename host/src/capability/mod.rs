//! Which requests may leave: the templates a component asks for, compiled for one destination and
//! compared with each request byte for byte.
//!
//! This is pure policy. It knows no HTTP client, no runtime and no CRM: a CRM's routes and bodies
//! are text templates in the component's descriptor (see `wit/capabilities.wit`), and what the
//! operator granted is a subset of them. Matching a body against a template needs no JSON parser: a
//! template allows exactly one spelling, so everything between the literal text must be an id and
//! that id's confirmed values. What a template does not say (an `idProperty`, a second `inputs`, an
//! `allOrNone`) therefore cannot be in the body either.
//!
//! What a plugin asks for, as a grant names it:
//!
//! ```
//! use reverse_sync::{Component, capability};
//!
//! fn asked_for(component: &Component) -> impl Iterator<Item = String> {
//!     let types = component.descriptor().destinations.iter();
//!     types.flat_map(|served| served.capabilities.iter().map(capability::label))
//! }
//! ```

pub(crate) mod csv;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod jobs;
mod template;
#[cfg(test)]
mod tests;

use crate::config_values::ConfigValues;
use crate::contract::capabilities as wit;
use csv::CsvForm;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use std::fmt;
use template::{Cursor, Piece, Segment, Template, compile_body, compile_path};

pub(crate) use jobs::{check_jobs, names as job_names};
pub use wit::{Effect, Phase};

/// A capability that was asked for and cannot be granted to anyone, whatever the operator says.
#[derive(Debug, thiserror::Error)]
#[error("the plugin asks for `{label}`, which no host grants: {reason}")]
pub struct Unacceptable {
    /// The capability, as [`label`] writes it.
    pub label: String,
    /// What is wrong with it.
    pub reason: String,
}

/// One granted kind of request, compiled for one destination.
#[derive(Debug)]
pub struct Capability {
    label: String,
    phase: Phase,
    effect: Effect,
    method: Method,
    path: Vec<Segment>,
    query: Vec<String>,
    headers: Vec<(HeaderName, HeaderForm)>,
    body: Body,
}

/// What a header's value must be.
#[derive(Debug)]
enum HeaderForm {
    Exactly(HeaderValue),
    HttpDate,
}

impl HeaderForm {
    fn fits(&self, value: &HeaderValue) -> bool {
        match self {
            HeaderForm::Exactly(wanted) => wanted == value,
            HeaderForm::HttpDate => value.to_str().is_ok_and(is_http_date),
        }
    }
}

#[derive(Debug)]
enum Body {
    None,
    One(Template),
    Many { open: Template, item: Template, close: Template, max: usize },
    Csv(CsvForm),
}

/// The form of RFC 9110, such as `Mon, 30 Nov 2026 08:34:54 GMT`.
fn is_http_date(text: &str) -> bool {
    jiff::fmt::strtime::parse("%a, %d %b %Y %H:%M:%S GMT", text).is_ok()
}

/// The witness of reads while planning: nothing is confirmed yet, and a read of any record changes
/// none.
pub(crate) struct AnyRecord;

impl Witness for AnyRecord {
    fn claim(&mut self, _id: &str) -> Result<&[u8], String> {
        Ok(b"")
    }
}

/// What the witness knows about the confirmed plan, for one request.
pub trait Witness {
    /// The confirmed JSON object of the change with this id, if it was handed out, has no outcome
    /// yet, and was not named by this request before.
    fn claim(&mut self, id: &str) -> Result<&[u8], String>;

    /// Whether this run has opened this job.
    fn knows_job(&self, _job: &str) -> bool {
        false
    }
}

/// Phase, method and path: how people and grants name a capability.
pub fn label(capability: &wit::Capability) -> String {
    format!("{} {} {}", phase_name(capability.phase), capability.method, capability.path)
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Plan => "plan",
        Phase::Run => "run",
    }
}

impl Capability {
    /// Checks and compiles a capability. `config` fills the `${key}` placeholders.
    ///
    /// # Errors
    /// A capability that could do anything but read, or update a confirmed record, is unacceptable.
    pub fn compile(
        asked: &wit::Capability,
        config: &ConfigValues,
    ) -> Result<Capability, Unacceptable> {
        let label = label(asked);
        let fail = |reason: String| Unacceptable { label: label.clone(), reason };
        let method = match asked.method.as_str() {
            "GET" => Method::GET,
            "POST" => Method::POST,
            "PATCH" => Method::PATCH,
            "PUT" => Method::PUT,
            other => return Err(fail(format!("the method {other} is never allowed"))),
        };
        let path = compile_path(&asked.path, config).map_err(fail)?;
        let body = match &asked.body {
            wit::Body::None => Body::None,
            wit::Body::One(text) => Body::One(compile_body(text, config).map_err(fail)?),
            wit::Body::Many(many) => Body::Many {
                open: compile_body(&many.open, config).map_err(fail)?,
                item: compile_body(&many.item, config).map_err(fail)?,
                close: compile_body(&many.close, config).map_err(fail)?,
                max: many.max as usize,
            },
            wit::Body::Csv(asked) => Body::Csv(CsvForm::compile(asked).map_err(fail)?),
        };
        let mut headers = Vec::with_capacity(asked.headers.len());
        for wanted in &asked.headers {
            let name = HeaderName::try_from(wanted.name.as_str())
                .map_err(|_| fail(format!("`{}` is not a header name", wanted.name)))?;
            if FORBIDDEN_HEADERS.contains(&name) || overrides_method(name.as_str()) {
                return Err(fail(format!("a guest may not set the header `{name}`")));
            }
            let form =
                match wanted.value.as_str() {
                    "${http-date}" => HeaderForm::HttpDate,
                    value => HeaderForm::Exactly(HeaderValue::try_from(value).map_err(|_| {
                        fail(format!("the value of header `{name}` is not printable"))
                    })?),
                };
            headers.push((name, form));
        }
        // As they stand in a request: a key that is encoded might be any other.
        if let Some(key) =
            asked.query.iter().find(|key| overrides_method(key) || key.contains(['%', '+']))
        {
            return Err(fail(format!("a guest may not set the query key `{key}`")));
        }
        let capability = Capability {
            label: label.clone(),
            phase: asked.phase,
            effect: asked.effect,
            method,
            path,
            query: asked.query.clone(),
            headers,
            body,
        };
        capability.check_effect().map_err(fail)?;
        Ok(capability)
    }

    /// A write updates one or several confirmed records and can do nothing else; a read carries no
    /// values.
    fn check_effect(&self) -> Result<(), String> {
        let job_in_path = self.path.iter().filter(|segment| **segment == Segment::Job).count();
        let id_in_path = self.path.iter().filter(|segment| **segment == Segment::Id).count();
        let count = |template: &Template, wanted: &[Piece]| {
            template.iter().filter(|piece| wanted.contains(piece)).count()
        };
        let values = |template: &Template| count(template, &[Piece::Fields, Piece::Members]);
        match (&self.effect, &self.body) {
            (Effect::Write, _) if self.phase != Phase::Run => {
                Err("a write while planning".to_owned())
            }
            (Effect::Write, _) if self.method == Method::GET => Err("a write by GET".to_owned()),
            (Effect::Write, _) if !self.query.is_empty() => Err("a write with a query".to_owned()),
            (Effect::Write, Body::Csv(_)) if job_in_path != 1 || id_in_path != 0 => {
                Err("an upload names its job once, by `${job}` in its path, and no record there"
                    .to_owned())
            }
            (Effect::Write, Body::Csv(_)) => Ok(()),
            (Effect::Write, _) if job_in_path != 0 => {
                Err("a write to a job that is not an upload".to_owned())
            }
            (Effect::Job, _) => self.check_job(),
            (Effect::Read, Body::Csv(_)) => Err("a read that carries values".to_owned()),
            (Effect::Write, Body::None) => {
                Err("a write that carries no confirmed values".to_owned())
            }
            (Effect::Write, Body::One(template)) => {
                if id_in_path != 1
                    || count(template, &[Piece::Id, Piece::Names, Piece::Text]) != 0
                    || values(template) != 1
                {
                    return Err(
                        "a write of one record names it once, by `${id}` in its path, and carries `${fields}` or `${members}` once"
                            .to_owned(),
                    );
                }
                if self.method == Method::POST {
                    return Err("a POST to a record is not an update".to_owned());
                }
                Ok(())
            }
            (Effect::Write, Body::Many { open, item, close, max }) => {
                let elsewhere = [open, close]
                    .iter()
                    .map(|t| t.iter().filter(|p| !matches!(p, Piece::Literal(_))).count())
                    .sum::<usize>();
                let id_at = item.iter().position(|piece| *piece == Piece::Id);
                let values_at =
                    item.iter().position(|piece| matches!(piece, Piece::Fields | Piece::Members));
                let once = count(item, &[Piece::Id]) == 1
                    && values(item) == 1
                    && count(item, &[Piece::Names, Piece::Text]) == 0;
                if !once || id_at > values_at || id_in_path != 0 || elsewhere != 0 || *max == 0 {
                    return Err("a write of several records names each once by `${id}`, then carries `${fields}` or `${members}` once, in each item and nowhere else".to_owned());
                }
                Ok(())
            }
            (Effect::Read, body) => {
                let templates: Vec<&Template> = match body {
                    Body::None => vec![],
                    Body::One(template) => vec![template],
                    Body::Many { open, item, close, .. } => vec![open, item, close],
                    Body::Csv(_) => vec![],
                };
                if job_in_path > 1
                    || (job_in_path == 1 && (id_in_path != 0 || !matches!(body, Body::None)))
                {
                    return Err("a read of a job names it once, and nothing else".to_owned());
                }
                if templates.iter().any(|template| values(template) != 0) {
                    return Err("a read that carries values".to_owned());
                }
                if !matches!(self.method, Method::GET | Method::POST) {
                    return Err(format!("a read by {}", self.method));
                }
                if matches!(body, Body::None) && self.method != Method::GET {
                    return Err("a POST without a body is not a read".to_owned());
                }
                Ok(())
            }
        }
    }

    /// Phase, method and path template.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whether this request reads or writes.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether it is about one record, which its path names.
    pub(crate) fn is_of_one(&self) -> bool {
        matches!(self.body, Body::One(_)) && self.path.contains(&Segment::Id)
    }

    /// Whether what it names is worked on later, by a job.
    pub(crate) fn is_upload(&self) -> bool {
        matches!(self.body, Body::Csv(_))
    }

    /// Whether it reads what became of a job.
    pub(crate) fn reads_job(&self) -> bool {
        self.effect == Effect::Read && self.path.contains(&Segment::Job)
    }

    /// Whether the request line fits; what the path names, if the template has placeholders there.
    fn fits<'a>(&self, phase: Phase, method: &Method, path: &'a str) -> Option<Named<'a>> {
        if self.phase != phase || self.method != *method {
            return None;
        }
        let mut named = Named::default();
        let mut segments = path.strip_prefix('/')?.split('/');
        for wanted in &self.path {
            let segment = segments.next()?;
            match wanted {
                Segment::Text(text) if text == segment => {}
                Segment::Text(_) => return None,
                Segment::Id if is_id(segment) => named.id = Some(segment),
                Segment::Job if jobs::is_job(segment) => named.job = Some(segment),
                Segment::Id | Segment::Job => return None,
            }
        }
        segments.next().is_none().then_some(named)
    }

    /// Holds the headers against those that are granted.
    fn check_headers(&self, headers: &HeaderMap) -> Result<(), String> {
        for (name, value) in headers {
            match self.headers.iter().find(|(wanted, _)| wanted == name) {
                Some((_, wanted)) if wanted.fits(value) => {}
                Some(_) => {
                    return Err(format!(
                        "the header `{name}` has another value than the granted one"
                    ));
                }
                None if *name == header::CONTENT_TYPE => self.check_media(value)?,
                None if PLAIN_HEADERS.contains(name) => {}
                None => return Err(format!("the header `{name}` is not granted")),
            }
        }
        for (name, _) in &self.headers {
            if headers.get_all(name).iter().count() != 1 {
                return Err(format!("the header `{name}` must be there once"));
            }
        }
        Ok(())
    }

    /// A body is what its template says that it is: read as a form, the same bytes might say
    /// something else.
    fn check_media(&self, value: &HeaderValue) -> Result<(), String> {
        let fits = match &self.body {
            Body::None => false,
            Body::One(_) | Body::Many { .. } => is_media(value, "application/json"),
            Body::Csv(_) => is_media(value, "text/csv"),
        };
        if fits {
            Ok(())
        } else {
            Err("the header `content-type` is not that of the granted body".to_owned())
        }
    }

    /// Whether it is a read by POST that the host itself knows to be one.
    pub(crate) fn is_known_read(&self, provider: &str) -> bool {
        let path: Option<Vec<&str>> = self
            .path
            .iter()
            .map(
                |segment| {
                    if let Segment::Text(text) = segment { Some(text.as_str()) } else { None }
                },
            )
            .collect();
        matches!(
            (provider, path.as_deref()),
            ("hubspot", Some([.., _, "batch", "read"]))
                | ("salesforce", Some(["services", "data", _, "composite", "sobjects", _]))
        )
    }

    /// Whether it is called a read and sends a body, which only those who know the CRM can tell
    /// from a write.
    pub(crate) fn reads_by_post(&self) -> bool {
        self.effect == Effect::Read && self.method != Method::GET
    }

    /// Whether it is certain to only read.
    pub(crate) fn is_plain_read(&self) -> bool {
        self.effect == Effect::Read && !self.reads_by_post()
    }

    /// Whether a body begins as the template does.
    fn check_beginning(&self, body: &[u8]) -> Result<(), String> {
        let (Body::One(template) | Body::Many { open: template, .. }) = &self.body else {
            return Ok(());
        };
        match template.first() {
            Some(Piece::Literal(text)) => Cursor { rest: body }.literal(text.as_bytes()),
            _ => Ok(()),
        }
    }

    /// Holds query and body against the template. The witness is asked about every id.
    ///
    /// # Errors
    /// What does not fit, in words for a log line.
    fn check_rest(
        &self,
        uri: &Uri,
        named: Named<'_>,
        body: &[u8],
        witness: &mut dyn Witness,
    ) -> Result<(), String> {
        for pair in uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let key = pair.split('=').next().unwrap_or("");
            if !self.query.iter().any(|allowed| allowed == key) {
                return Err(format!("the query key `{key}` is not granted"));
            }
        }
        if let Some(job) = named.job
            && !witness.knows_job(job)
        {
            return Err(format!("{job} is not a job that this run has opened"));
        }
        let fields = match named.id {
            Some(id) => Some(witness.claim(id)?.to_vec()),
            None => None,
        };
        match &self.body {
            Body::None if body.is_empty() => Ok(()),
            Body::None => Err("a body where none is granted".to_owned()),
            Body::One(template) => {
                let mut cursor = Cursor { rest: body };
                cursor.template(template, fields.as_deref(), witness)?;
                cursor.end()
            }
            Body::Many { open, item, close, max } => {
                let mut cursor = Cursor { rest: body };
                cursor.template(open, None, witness)?;
                let mut items = 0;
                loop {
                    cursor.template(item, None, witness)?;
                    items += 1;
                    if items > *max {
                        return Err(format!("more than {max} records in one request"));
                    }
                    if !cursor.take(b",") {
                        break;
                    }
                }
                cursor.template(close, None, witness)?;
                cursor.end()
            }
            Body::Csv(form) => form.check(body, witness),
        }
    }
}

/// What a request's path names.
#[derive(Clone, Copy, Default)]
struct Named<'a> {
    id: Option<&'a str>,
    job: Option<&'a str>,
}

/// The column in which answers about jobs name records: that of the uploads.
pub(crate) fn id_column(capabilities: &[Capability]) -> Option<&str> {
    capabilities.iter().find_map(|capability| match &capability.body {
        Body::Csv(form) => Some(form.id_column()),
        _ => None,
    })
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

/// Headers a guest may always set.
static PLAIN_HEADERS: [HeaderName; 5] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::HOST,
    header::USER_AGENT,
];

/// Headers no capability may ask for: they carry credentials or change what the request line means.
static FORBIDDEN_HEADERS: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
    header::HOST,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
];

/// Whether a header or a query key may make another method of a request: `X-HTTP-Method-Override`,
/// Salesforce's `_HttpMethod`.
fn overrides_method(name: &str) -> bool {
    name.to_ascii_lowercase().contains("method")
}

fn is_media(value: &HeaderValue, wanted: &str) -> bool {
    let Ok(value) = value.to_str() else { return false };
    match value.split_once(';') {
        None => value.eq_ignore_ascii_case(wanted),
        Some((media, rest)) => {
            media.trim_end().eq_ignore_ascii_case(wanted)
                && rest.trim().eq_ignore_ascii_case("charset=utf-8")
        }
    }
}

/// The capability that lets a request leave, or why it may not.
///
/// # Errors
/// The reason of the refusal, in words for a log line.
pub fn admit<'c>(
    capabilities: &'c [Capability],
    phase: Phase,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    witness: &mut dyn Witness,
) -> Result<&'c Capability, String> {
    if let Some(name) = headers.keys().find(|name| {
        **name == header::AUTHORIZATION
            || **name == header::COOKIE
            || **name == header::PROXY_AUTHORIZATION
    }) {
        return Err(format!("the guest set `{name}` itself; credentials are put in by the host"));
    }
    let path = uri.path();
    let fits =
        |capability: &'c Capability| Some((capability, capability.fits(phase, method, path)?));
    // A path that stands for itself comes before one in which the same segment would be an id.
    let named = capabilities.iter().filter_map(fits).filter(|(_, named)| named.id.is_none());
    let mut fitting =
        named.chain(capabilities.iter().filter_map(fits).filter(|(_, named)| named.id.is_some()));
    let Some((mut capability, mut named)) = fitting.next() else {
        return Err(format!(
            "no granted capability covers {method} {path} while {}",
            match phase {
                Phase::Plan => "planning",
                Phase::Run => "running",
            }
        ));
    };
    // Capabilities for one path may differ in their headers, and in how their bodies begin.
    let begins = |capability: &Capability| {
        capability.check_headers(headers).and_then(|()| capability.check_beginning(body))
    };
    if let Err(reason) = begins(capability) {
        (capability, named) = fitting.find(|(other, _)| begins(other).is_ok()).ok_or(reason)?;
    }
    capability.check_rest(uri, named, body, witness)?;
    Ok(capability)
}

/// Characters that an id may have in a path or a body: nothing that needs escaping anywhere.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}
