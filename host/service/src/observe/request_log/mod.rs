//! The request log of a run: which requests it made, when, and what they came to. No query string,
//! no header, no body.
//!
//! One file of JSON lines per run. A request is put into a queue and is on its way; a task writes
//! what has gathered each second. When the disk is too slow the queue is full, and lines are
//! dropped and counted rather than a run held up. A line that a crash has torn is ended when the
//! run is taken up again, and passed over by those who read.
//!
//! [`RequestLog`] writes; [`page`], [`rate`] and [`sweep`] read and remove. The latter three wait
//! for the disk: they are for a thread that may.

#[cfg(fuzzing)]
pub mod fuzzing;

use super::metrics::Metrics;
use http::Method;
use jiff::Timestamp;
use reverse_sync::{
    append_only::AppendOnly,
    egress::{Exchange, Fate, Observer, transport::TransportError},
    journal::RunId,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tracing::Instrument;

/// How long request logs are kept after their last line.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Lines that wait to be written. A run without a limit makes some thousands of requests a second.
const QUEUE: usize = 8_192;
/// What has gathered is written after this time at the latest.
const FLUSH: Duration = Duration::from_secs(1);
/// Bytes that are written at once.
const BUFFER: usize = 64 << 10;
/// Longest path that is kept; those of refused requests can be anything.
const MAX_PATH: usize = 512;
/// Points of a [`Rate`], at most.
pub const MAX_POINTS: usize = 1_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = CrmRequest)]
pub struct Entry {
    /// When it left, or was refused, as RFC 3339 has it.
    pub at: String,
    /// Its method.
    pub method: String,
    /// Its path, without the query string.
    pub path: String,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// Milliseconds until the answer was complete.
    pub ms: u64,
    /// Bytes of its body.
    pub bytes_out: u64,
    /// Bytes of the answer's body.
    pub bytes_in: u64,
    /// Why there was no answer: `resolve`, `connect`, `tls`, `broken`, `timeout`, `too_large`, or
    /// `abandoned` by the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
    /// The stage of egress that refused it; it did not leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub refused: Option<String>,
}

/// What the file has beside entries.
#[derive(Serialize, Deserialize)]
struct Dropped {
    dropped: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Entry(Entry),
    Dropped(Dropped),
}

/// What a request is until it is written.
struct Waiting {
    at: Timestamp,
    method: Method,
    path: Box<str>,
    status: Option<u16>,
    ms: u64,
    bytes_out: u64,
    bytes_in: u64,
    error: Option<&'static str>,
    refused: Option<&'static str>,
}

enum Message {
    Exchange(Waiting),
    Close(oneshot::Sender<()>),
}

/// The log of a run that is running, as an [`Observer`] of its link.
pub struct RequestLog {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl RequestLog {
    /// Opens the log of a run, or continues with it. `dir` is that of the run's org. To be called
    /// within a runtime.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(dir: &Path, run_id: &RunId, metrics: Arc<Metrics>) -> io::Result<Arc<RequestLog>> {
        let file = open(dir, run_id)?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let (counted, counting) = (Arc::clone(&dropped), Arc::clone(&metrics));
        let writer = Writer {
            file: Some(file),
            buffer: Vec::new(),
            lines: 0,
            failed: false,
            dropped: counted,
            metrics: counting,
        };
        tokio::spawn(keep(writer, messages).in_current_span());
        Ok(Arc::new(RequestLog { queue, dropped, metrics }))
    }

    /// Returns once everything is written. What comes after that is lost.
    pub async fn close(&self) {
        let (written, done) = oneshot::channel();
        if self.queue.send(Message::Close(written)).await.is_ok() {
            // An error says that the task is gone, with the runtime.
            let _ = done.await;
        }
    }
}

impl Observer for RequestLog {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        let (status, error, refused) = match exchange.fate {
            Fate::Answered(status) => (Some(status.as_u16()), None, None),
            Fate::Unanswered(error) => (None, Some(kind(error)), None),
            Fate::Abandoned => (None, Some("abandoned"), None),
            Fate::Refused { stage, .. } => (None, None, Some(stage.as_str())),
        };
        let waiting = Waiting {
            at: exchange.began,
            method: exchange.method.clone(),
            path: Box::from(&exchange.path[..exchange.path.floor_char_boundary(MAX_PATH)]),
            status,
            ms: exchange.duration.as_millis() as u64,
            bytes_out: exchange.bytes_out,
            bytes_in: exchange.bytes_in,
            error,
            refused,
        };
        if self.queue.try_send(Message::Exchange(waiting)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
            self.metrics.request_log_dropped(1);
        }
    }
}

fn kind(error: &TransportError) -> &'static str {
    match error {
        TransportError::Resolve(_) => "resolve",
        TransportError::Connect(_) => "connect",
        TransportError::Tls(_) => "tls",
        TransportError::Broken(_) => "broken",
        TransportError::Timeout(_) => "timeout",
        TransportError::TooLarge(_) => "too_large",
    }
}

fn file(dir: &Path, run_id: &RunId) -> PathBuf {
    dir.join(format!("{run_id}.jsonl"))
}

fn open(dir: &Path, run_id: &RunId) -> io::Result<AppendOnly> {
    fs::create_dir_all(dir)?;
    AppendOnly::open(&file(dir, run_id))
}

struct Writer {
    /// Away while a thread writes to it.
    file: Option<AppendOnly>,
    buffer: Vec<u8>,
    lines: u64,
    /// The last write has failed.
    failed: bool,
    dropped: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

async fn keep(mut writer: Writer, mut messages: mpsc::Receiver<Message>) {
    let mut due: Option<Instant> = None;
    let closed = loop {
        let message = match due {
            Some(due) => tokio::time::timeout_at(due, messages.recv()).await,
            None => Ok(messages.recv().await),
        };
        match message {
            Ok(Some(Message::Exchange(waiting))) => {
                writer.take(&waiting);
                due.get_or_insert_with(|| Instant::now() + FLUSH);
                if writer.buffer.len() < BUFFER {
                    continue;
                }
            }
            Ok(Some(Message::Close(written))) => break Some(written),
            Ok(None) => break None,
            Err(_) => {}
        }
        due = None;
        writer.flush().await;
    };
    writer.flush().await;
    if let Some(written) = closed {
        // Whoever asked may be gone.
        let _ = written.send(());
    }
}

impl Writer {
    fn take(&mut self, waiting: &Waiting) {
        let entry = Entry {
            at: waiting.at.to_string(),
            method: waiting.method.as_str().to_owned(),
            path: waiting.path.as_ref().to_owned(),
            status: waiting.status,
            ms: waiting.ms,
            bytes_out: waiting.bytes_out,
            bytes_in: waiting.bytes_in,
            error: waiting.error.map(str::to_owned),
            refused: waiting.refused.map(str::to_owned),
        };
        self.line(&entry);
        self.lines += 1;
    }

    fn line(&mut self, line: &impl Serialize) {
        // Writing JSON of numbers and texts to memory cannot fail.
        if serde_json::to_writer(&mut self.buffer, line).is_ok() {
            self.buffer.push(b'\n');
        }
    }

    async fn flush(&mut self) {
        let dropped = self.dropped.swap(0, Relaxed);
        if dropped > 0 {
            self.line(&Dropped { dropped });
        }
        if self.buffer.is_empty() {
            return;
        }
        let (mut buffer, lines) =
            (std::mem::take(&mut self.buffer), std::mem::take(&mut self.lines));
        let file = self.file.take();
        let writing = tokio::task::spawn_blocking(move || {
            let mut file =
                file.ok_or_else(|| io::Error::other("the thread that wrote to it has failed"))?;
            let written = file.append(&buffer);
            buffer.clear();
            io::Result::Ok((file, buffer, written))
        });
        let written = match writing.await.map_err(io::Error::other).flatten() {
            Ok((file, buffer, written)) => {
                (self.file, self.buffer) = (Some(file), buffer);
                written
            }
            Err(error) => Err(error),
        };
        if let Err(error) = &written {
            if !self.failed {
                tracing::warn!(%error, "a request log cannot be written; its lines are dropped and counted");
            }
            self.metrics.request_log_dropped(lines);
            self.dropped.fetch_add(lines + dropped, Relaxed);
        }
        self.failed = written.is_err();
    }
}

/// A part of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Requests in the order in which they ended.
    pub items: Vec<Entry>,
    /// Where to continue, if there is more.
    pub next: Option<u64>,
    /// Requests that the log lacks in this part, because the disk was too slow.
    pub dropped: u64,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The cursor is not one of this log.
    #[error("invalid cursor of this request log: take `after` from `next` of the page before")]
    Cursor,
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Requests of a run from a cursor on, or `None` if there is no log of it (any more).
///
/// # Errors
/// If the cursor was made up, or the disk refuses.
pub fn page(
    dir: &Path,
    run_id: &RunId,
    after: Option<u64>,
    limit: usize,
) -> Result<Option<Page>, ReadError> {
    let Some(mut file) = existing(dir, run_id)? else { return Ok(None) };
    let mut offset = after.unwrap_or(0);
    if offset > 0 {
        let mut before = [0];
        if offset > file.metadata()?.len() {
            return Err(ReadError::Cursor);
        }
        file.seek(SeekFrom::Start(offset - 1))?;
        file.read_exact(&mut before)?;
        if before != *b"\n" {
            return Err(ReadError::Cursor);
        }
    }
    let mut lines = Lines::new(file);
    let mut page = Page::default();
    while page.items.len() < limit {
        let Some(line) = lines.next()? else { return Ok(Some(page)) };
        offset += line.len() as u64;
        match serde_json::from_slice(line) {
            Ok(Line::Entry(entry)) => page.items.push(entry),
            Ok(Line::Dropped(Dropped { dropped })) => page.dropped += dropped,
            // Torn by a crash.
            Err(_) => {}
        }
    }
    page.next = lines.next()?.is_some().then_some(offset);
    Ok(Some(page))
}

fn existing(dir: &Path, run_id: &RunId) -> io::Result<Option<File>> {
    match File::open(file(dir, run_id)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whole lines of a file, with their ends. What follows the last end is still being written.
struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    fn new(file: File) -> Lines {
        Lines { reader: BufReader::with_capacity(BUFFER, file), line: Vec::new() }
    }

    fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        Ok(self.line.ends_with(b"\n").then_some(self.line.as_slice()))
    }
}

/// How many requests left, over time.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Rate {
    /// How many seconds a point stands for: 1, and twice that as often as it takes to stay below
    /// [`MAX_POINTS`].
    pub bucket_seconds: u64,
    /// In the order of time. Where there is no point there was no request.
    pub seconds: Vec<Calls>,
}

/// A point of a [`Rate`].
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Calls {
    /// When it begins, as RFC 3339 has it.
    pub at: String,
    /// Requests that left in it.
    pub calls: u64,
}

/// Reads a whole log for its rate, in memory that does not grow with it. `None` if there is no log
/// (any more).
///
/// # Errors
/// If the disk refuses.
pub fn rate(dir: &Path, run_id: &RunId) -> io::Result<Option<Rate>> {
    #[derive(Deserialize)]
    struct Left<'a> {
        at: &'a str,
        refused: Option<&'a str>,
    }
    let Some(file) = existing(dir, run_id)? else { return Ok(None) };
    let mut lines = Lines::new(file);
    let (mut width, mut points) = (1, BTreeMap::<i64, u64>::new());
    while let Some(line) = lines.next()? {
        if let Ok(Left { at, refused: None }) = serde_json::from_slice(line)
            && let Ok(at) = at.parse::<Timestamp>()
        {
            *points.entry(at.as_second().div_euclid(width)).or_default() += 1;
            while points.len() > MAX_POINTS {
                width *= 2;
                let narrow = std::mem::take(&mut points);
                for (number, calls) in narrow {
                    *points.entry(number.div_euclid(2)).or_default() += calls;
                }
            }
        }
    }
    let at = |number: i64| Timestamp::from_second(number * width).unwrap_or_default().to_string();
    let seconds =
        points.into_iter().map(|(number, calls)| Calls { at: at(number), calls }).collect();
    Ok(Some(Rate { bucket_seconds: width as u64, seconds }))
}

/// Removes logs whose last line is older than this, of every org below `orgs_dir`; returns how
/// many.
///
/// # Errors
/// If a folder cannot be read. What could not be removed is tried again the next time.
pub fn sweep(orgs_dir: &Path, older_than: Duration) -> io::Result<u64> {
    let now = SystemTime::now();
    let mut swept = 0;
    for org in entries(orgs_dir)? {
        for log in entries(&org?.path().join("requests"))? {
            let log = log?;
            let is_log = log.path().extension().is_some_and(|extension| extension == "jsonl");
            let age = log
                .metadata()
                .and_then(|data| data.modified())
                .map(|at| now.duration_since(at).unwrap_or_default());
            if is_log && age.is_ok_and(|age| age > older_than) {
                match fs::remove_file(log.path()) {
                    Ok(()) => swept += 1,
                    Err(error) => {
                        tracing::warn!(path = %log.path().display(), %error, "an old request log cannot be removed")
                    }
                }
            }
        }
    }
    Ok(swept)
}

/// What is in a folder; nothing if there is no such folder.
fn entries(dir: &Path) -> io::Result<impl Iterator<Item = io::Result<fs::DirEntry>>> {
    let found = match fs::read_dir(dir) {
        Ok(found) => Some(found),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            None
        }
        Err(error) => return Err(error),
    };
    Ok(found.into_iter().flatten())
}

#[cfg(test)]
mod tests;
