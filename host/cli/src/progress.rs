//! Progress of a run on standard error: a bar on a terminal, plain lines elsewhere.

use crate::terminal;
use indicatif::{ProgressBar, ProgressFinish, ProgressState, ProgressStyle};
use reverse_sync::{
    Watch,
    egress::{Exchange, Fate, Observer, base_url::BaseUrl},
};
use std::{
    io::IsTerminal,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const BAR_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows progress until it is dropped or aborted.
pub(crate) async fn show(watch: Watch) {
    if std::io::stderr().is_terminal() { bar(watch).await } else { lines(watch).await }
}

async fn bar(watch: Watch) {
    let bar = ProgressBar::new(watch.writable);
    // The bar takes what a narrow terminal leaves it.
    let style = ProgressStyle::with_template(
        "{human_pos}/{human_len}  {rate}  {eta} left  {msg}  {wide_bar}",
    );
    let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
        // Writing to the line cannot fail.
        let _ = write!(out, "{:.0}/s", state.per_sec());
    };
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate));
    bar.set_position(watch.counts.borrow().done());
    bar.reset_eta();
    loop {
        let counts = *watch.counts.borrow();
        bar.set_position(counts.done());
        bar.set_message(message(&watch));
        tokio::time::sleep(BAR_EVERY).await;
    }
}

async fn lines(watch: Watch) {
    let (start, before) = (Instant::now(), watch.counts.borrow().done());
    loop {
        tokio::time::sleep(LINE_EVERY).await;
        let done = watch.counts.borrow().done();
        let rate = (done - before) as f64 / start.elapsed().as_secs_f64();
        let left = if rate > 0.0 {
            format!("{:.0} s left", (watch.writable - done) as f64 / rate)
        } else {
            "no record yet".to_owned()
        };
        terminal::say(format_args!(
            "{done}/{} records  {rate:.0}/s  {left}  {}",
            watch.writable,
            message(&watch)
        ));
    }
}

/// Problems so far and the CRM's pace.
fn message(watch: &Watch) -> String {
    let counts = *watch.counts.borrow();
    let pace = watch.pacer.pace();
    let mut parts = Vec::new();
    if counts.failed > 0 {
        parts.push(format!("{} failed", counts.failed));
    }
    if counts.unknown > 0 {
        parts.push(format!("{} unknown", counts.unknown));
    }
    parts.push(format!("{} calls", pace.calls));
    if let Some((calls, window)) = pace.limit {
        parts.push(format!("limit {calls} per {} s", window.as_secs_f64()));
    }
    if pace.throttled > 0 {
        parts.push(format!("slowed down {} times", pace.throttled));
    }
    parts.join(", ")
}

/// Says that the CRM does not answer, while it is asked again and again: on a terminal one line
/// that counts, elsewhere one line.
pub(crate) struct Unanswered {
    place: String,
    shown: Mutex<(u64, Option<ProgressBar>)>,
}

impl Unanswered {
    /// For requests to this place.
    pub(crate) fn new(base_url: &BaseUrl) -> Unanswered {
        Unanswered { place: base_url.to_string(), shown: Mutex::default() }
    }
}

impl Observer for Unanswered {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, line) = &mut *shown;
        match exchange.fate {
            Fate::Unanswered(_) => *times += 1,
            Fate::Answered(_) => {
                *times = 0;
                // It is cleared when it goes.
                *line = None;
            }
            Fate::Abandoned | Fate::Refused { .. } => {}
        }
        // A single answer that is lost is nobody's business.
        if *times < 2 {
            return;
        }
        let place = &self.place;
        if std::io::stderr().is_terminal() {
            let line = line.get_or_insert_with(|| {
                ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear)
            });
            line.set_message(format!("{place} does not answer; asked {times} times"));
            line.tick();
        } else if *times == 2 {
            terminal::say(format_args!("{place} does not answer; it is asked again"));
        }
    }
}
