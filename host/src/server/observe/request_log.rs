//! The request log of a run: which requests it made, when, and what they came to. No query string, no header, no body.
//!
//! One file of JSON lines per run. A request is put into a queue and is on its way; a task writes what has gathered each
//! second. When the disk is too slow the queue is full, and lines are dropped and counted rather than a run held up. A line
//! that a crash has torn is ended when the run is taken up again, and passed over by those who read.
//!
//! [`RequestLog`] writes; [`page`], [`rate`] and [`sweep`] read and remove. The latter three wait for the disk:
//! they are for a thread that may.

use super::metrics::Metrics;
use crate::{
    egress::{Exchange, Fate, Observer, transport::TransportError},
    journal::RunId,
};
use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
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
/// Points of a [`Rate`], at the most.
pub const MAX_POINTS: usize = 1_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
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
    /// Why there was no answer: `resolve`, `connect`, `tls`, `broken`, `timeout`, `too_large`, or `abandoned` by the component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The stage of egress that refused it; it did not leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

/// The log of a run that is under way, as an [`Observer`] of its link.
pub struct RequestLog {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl RequestLog {
    /// Opens the log of a run, or goes on with it. `dir` is that of the run's org. To be called within a runtime.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(dir: &Path, run_id: &RunId, metrics: Arc<Metrics>) -> io::Result<Arc<RequestLog>> {
        let file = open(dir, run_id)?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let (counted, counting) = (Arc::clone(&dropped), Arc::clone(&metrics));
        let writer = Writer { file: Some(file), buffer: Vec::new(), lines: 0, torn: false, dropped: counted, metrics: counting };
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

fn open(dir: &Path, run_id: &RunId) -> io::Result<File> {
    fs::create_dir_all(dir)?;
    let mut options = OpenOptions::new();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file(dir, run_id))?;
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

struct Writer {
    /// Away while a thread writes to it.
    file: Option<File>,
    buffer: Vec<u8>,
    lines: u64,
    /// The last write has failed, perhaps in the middle of a line.
    torn: bool,
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
        let (mut buffer, lines) = (std::mem::take(&mut self.buffer), std::mem::take(&mut self.lines));
        let (file, torn) = (self.file.take(), self.torn);
        let writing = tokio::task::spawn_blocking(move || {
            let mut file = file.ok_or_else(|| io::Error::other("the thread that wrote to it has failed"))?;
            let written = if torn { file.write_all(b"\n") } else { Ok(()) };
            let written = written.and_then(|()| file.write_all(&buffer));
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
            if !self.torn {
                tracing::warn!(%error, "a request log cannot be written; its lines are dropped and counted");
            }
            self.metrics.request_log_dropped(lines);
            self.dropped.fetch_add(lines + dropped, Relaxed);
        }
        self.torn = written.is_err();
    }
}

/// A part of a log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Requests in the order in which they ended.
    pub items: Vec<Entry>,
    /// Where to go on, if there is more.
    pub next: Option<u64>,
    /// Requests that the log lacks in this part, because the disk was too slow.
    pub dropped: u64,
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The cursor is not one of this log.
    #[error("`after` is no cursor of this request log; take `next` of the page before")]
    Cursor,
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Requests of a run from a cursor on, or `None` if there is no log of it (any more).
///
/// # Errors
/// If the cursor was made up, or the disk refuses.
pub fn page(dir: &Path, run_id: &RunId, after: Option<u64>, limit: usize) -> Result<Option<Page>, ReadError> {
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
    /// How many seconds a point stands for: 1, and twice that as often as it takes to stay below [`MAX_POINTS`].
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

/// Reads a whole log for its rate, in memory that does not grow with it. `None` if there is no log (any more).
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
    let seconds = points.into_iter().map(|(number, calls)| Calls { at: at(number), calls }).collect();
    Ok(Some(Rate { bucket_seconds: width as u64, seconds }))
}

/// Removes logs whose last line is older than this, of every org below `orgs_dir`; returns how many.
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
            let age = log.metadata().and_then(|data| data.modified()).map(|at| now.duration_since(at).unwrap_or_default());
            if is_log && age.is_ok_and(|age| age > older_than) {
                match fs::remove_file(log.path()) {
                    Ok(()) => swept += 1,
                    Err(error) => tracing::warn!(path = %log.path().display(), %error, "an old request log cannot be removed"),
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
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
        Err(error) => return Err(error),
    };
    Ok(found.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::Stage;
    use http::StatusCode;

    fn run_id() -> RunId {
        "run_0123456789ab_1".parse().unwrap()
    }

    fn exchange(second: i64, fate: Fate<'_>) -> Exchange<'_> {
        Exchange {
            began: Timestamp::from_second(1_700_000_000 + second).unwrap(),
            method: &Method::PATCH,
            path: "/crm/v3/objects/contacts/17",
            fate,
            duration: Duration::from_millis(12),
            waited: Duration::ZERO,
            bytes_out: 3,
            bytes_in: 4,
            throttled: false,
            repeated: false,
        }
    }

    async fn log(dir: &Path, exchanges: &[Exchange<'_>]) {
        let log = RequestLog::open(dir, &run_id(), Metrics::new()).unwrap();
        for exchange in exchanges {
            log.exchanged(exchange);
        }
        log.close().await;
    }

    fn text(dir: &Path) -> String {
        fs::read_to_string(file(dir, &run_id())).unwrap()
    }

    fn second(entry: &Entry) -> i64 {
        entry.at.parse::<Timestamp>().unwrap().as_second() - 1_700_000_000
    }

    const OK: Fate<'static> = Fate::Answered(StatusCode::OK);

    #[tokio::test]
    async fn a_line_says_what_a_request_came_to() {
        let dir = tempfile::tempdir().unwrap();
        let timeout = TransportError::Timeout(Duration::from_secs(1));
        let refused = Fate::Refused { stage: Stage::Witness, reason: "the values are not the confirmed ones" };
        log(dir.path(), &[exchange(0, OK), exchange(1, Fate::Unanswered(&timeout)), exchange(2, refused)]).await;
        let rest = r#""ms":12,"bytes_out":3,"bytes_in":4"#;
        let line = |second: u8, status: &str, more: &str| {
            format!(
                r#"{{"at":"2023-11-14T22:13:2{second}Z","method":"PATCH","path":"/crm/v3/objects/contacts/17","status":{status},{rest}{more}}}"#
            )
        };
        let lines = [line(0, "200", ""), line(1, "null", r#","error":"timeout""#), line(2, "null", r#","refused":"witness""#)];
        assert_eq!(text(dir.path()), format!("{}\n", lines.join("\n")));
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(file(dir.path(), &run_id())).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_gathered_is_written_after_a_second() {
        let dir = tempfile::tempdir().unwrap();
        let log = RequestLog::open(dir.path(), &run_id(), Metrics::new()).unwrap();
        log.exchanged(&exchange(0, OK));
        let began = Instant::now();
        while text(dir.path()).is_empty() {
            assert!(began.elapsed() < Duration::from_secs(5), "nothing was written");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(began.elapsed() >= FLUSH, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_full_queue_drops_lines_and_says_how_many() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = Metrics::new();
        let log = RequestLog::open(dir.path(), &run_id(), Arc::clone(&metrics)).unwrap();
        // The task shares this thread, so that it cannot take any of them meanwhile.
        for _ in 0..QUEUE + 7 {
            log.exchanged(&exchange(0, OK));
        }
        log.close().await;
        let lines = text(dir.path());
        assert_eq!(lines.lines().count(), QUEUE + 1);
        assert!(lines.contains("{\"dropped\":7}\n"), "{lines}");
        assert!(metrics.encode().unwrap().contains("reverse_sync_request_log_dropped_total 7\n"));
        let page = page(dir.path(), &run_id(), None, usize::MAX).unwrap().unwrap();
        assert_eq!((page.items.len(), page.dropped, page.next), (QUEUE, 7, None));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_full_disk_costs_lines_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", file(dir.path(), &run_id())).unwrap();
        let metrics = Metrics::new();
        let log = RequestLog::open(dir.path(), &run_id(), Arc::clone(&metrics)).unwrap();
        log.exchanged(&exchange(0, OK));
        log.exchanged(&exchange(1, OK));
        log.close().await;
        assert!(metrics.encode().unwrap().contains("reverse_sync_request_log_dropped_total 2\n"));
    }

    #[tokio::test]
    async fn a_run_that_is_taken_up_again_goes_on_after_a_torn_line() {
        let dir = tempfile::tempdir().unwrap();
        log(dir.path(), &[exchange(0, OK)]).await;
        OpenOptions::new().append(true).open(file(dir.path(), &run_id())).unwrap().write_all(br#"{"at":"2023-11-"#).unwrap();
        // As long as it is torn, it is not read.
        assert_eq!(page(dir.path(), &run_id(), None, 10).unwrap().unwrap().items.len(), 1);
        log(dir.path(), &[exchange(1, OK), exchange(2, OK)]).await;
        let page = page(dir.path(), &run_id(), None, 10).unwrap().unwrap();
        assert_eq!(page.items.iter().map(second).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(rate(dir.path(), &run_id()).unwrap().unwrap().seconds.len(), 3);
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_made_up_cursors_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let exchanges: Vec<_> = (0..5).map(|second| exchange(second, OK)).collect();
        log(dir.path(), &exchanges).await;
        let (mut after, mut seen, mut pages) = (None, Vec::new(), 0);
        loop {
            let page = page(dir.path(), &run_id(), after, 2).unwrap().unwrap();
            seen.extend(page.items.iter().map(second));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((seen, pages), (vec![0, 1, 2, 3, 4], 3));
        for made_up in [1, 7, 1 << 40] {
            assert!(matches!(page(dir.path(), &run_id(), Some(made_up), 2), Err(ReadError::Cursor)), "{made_up}");
        }
        assert_eq!(page(dir.path(), &"run_0123456789ab_2".parse().unwrap(), None, 2).unwrap(), None);
    }

    #[tokio::test]
    async fn the_rate_of_a_long_run_has_wider_points_and_loses_no_call() {
        let dir = tempfile::tempdir().unwrap();
        let refused = Fate::Refused { stage: Stage::Pacing, reason: "" };
        log(dir.path(), &[exchange(1, OK), exchange(0, OK), exchange(1, OK), exchange(1, refused)]).await;
        let at = |second: i64| Timestamp::from_second(1_700_000_000 + second).unwrap().to_string();
        let short = rate(dir.path(), &run_id()).unwrap().unwrap();
        assert_eq!(short, Rate { bucket_seconds: 1, seconds: vec![Calls { at: at(0), calls: 1 }, Calls { at: at(1), calls: 2 }] });

        let dir = tempfile::tempdir().unwrap();
        let exchanges: Vec<_> = (0..3_500).map(|second| exchange(second, OK)).collect();
        log(dir.path(), &exchanges).await;
        let long = rate(dir.path(), &run_id()).unwrap().unwrap();
        assert_eq!(long.bucket_seconds, 4);
        assert!(long.seconds.len() <= MAX_POINTS && long.seconds.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert_eq!(long.seconds.iter().map(|point| point.calls).sum::<u64>(), 3_500);
    }

    #[tokio::test]
    async fn a_path_that_a_component_made_up_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = "ä".repeat(10_000);
        log(dir.path(), &[Exchange { path: &path, ..exchange(0, OK) }]).await;
        assert_eq!(page(dir.path(), &run_id(), None, 1).unwrap().unwrap().items[0].path.len(), MAX_PATH);
    }

    #[tokio::test]
    async fn logs_go_a_week_after_their_last_line() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(sweep(state.path(), KEPT).unwrap(), 0, "there is no org yet");
        let (old, new) = (state.path().join("org_1/requests"), state.path().join("org_2/requests"));
        fs::create_dir_all(state.path().join("org_3")).unwrap();
        log(&old, &[exchange(0, OK)]).await;
        log(&new, &[exchange(0, OK)]).await;
        let days = |count: u64| SystemTime::now() - Duration::from_secs(count * 24 * 3600);
        let age = |dir: &Path, at| File::options().append(true).open(file(dir, &run_id())).unwrap().set_modified(at).unwrap();
        age(&old, days(8));
        age(&new, days(6));
        assert_eq!(sweep(state.path(), KEPT).unwrap(), 1);
        assert!(page(&old, &run_id(), None, 1).unwrap().is_none() && page(&new, &run_id(), None, 1).unwrap().is_some());
    }
}
