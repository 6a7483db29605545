//! How fast the CRM may be called with one credential.
//!
//! A [`Pacer`] is shared by every instance that uses the credential, so that they share its budget.
//! It keeps a log of the calls of the last window and lets the next one go when it cannot be one
//! too many, wherever the CRM draws its windows: a call counts from when it leaves until one window
//! after its *answer* arrived, since the CRM counted it somewhere in between. So the limit is used
//! to the last call, and no 429 is drawn for want of synchronised clocks. The answers' headers
//! correct the limit, and show what others on the same credential have used.
//!
//! ```
//! use reverse_sync::{component::Pacing, egress::pacing::Pacer};
//! use std::time::Duration;
//!
//! let rules = Pacing { limit: None, headers: None, throttles: vec![] };
//! let pacer = Pacer::new(&rules, Some((100, Duration::from_secs(10))));
//! assert_eq!(pacer.pace().limit, Some((100, Duration::from_secs(10))));
//! ```

use crate::contract::capabilities::{self as wit, Rate};
use http::{HeaderMap, HeaderName, StatusCode, header};
use parking_lot::{Mutex, MutexGuard};
use std::{collections::VecDeque, sync::Arc, time::Duration};
use tokio::{
    sync::{Notify, Semaphore},
    time::Instant,
};

/// Longest window that a header may announce; a daily limit is a throttle, not a window.
const LONGEST_WINDOW: Duration = Duration::from_secs(120);
/// Longest pause that a `Retry-After` is followed for; past it the limit counts as exhausted.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// How long no call passes once a limit is exhausted that the CRM resets in its own time. HubSpot's
/// is reset at midnight where its account is, Salesforce's is one of any 24 hours: neither says so
/// in the answer.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(3600);
/// A limit is reset within a day.
const LONGEST_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// The budget of one credential.
pub struct Pacer {
    rules: Rules,
    state: Mutex<State>,
    changed: Notify,
    /// First come, first served.
    turnstile: Semaphore,
    /// How long no call passes once a limit is exhausted, if the CRM does not say when it resets
    /// it.
    look_again: Duration,
}

struct Rules {
    headers: Option<(HeaderName, HeaderName, HeaderName)>,
    throttles: Vec<wit::Throttle>,
}

struct State {
    limit: Option<Rate>,
    /// A limit that the operator set stands, whatever the headers say; they can only lower it.
    ceiling: Option<Rate>,
    /// When the calls of the last window were answered, oldest first.
    answered: VecDeque<Instant>,
    in_flight: usize,
    closed_until: Option<Instant>,
    exhausted: Option<(String, Instant)>,
    calls: u64,
    throttled: u64,
    waited: Duration,
}

/// No call will pass before the CRM resets its limit.
#[derive(Debug, thiserror::Error)]
#[error("the CRM's limit for this credential is exhausted: {0}")]
pub struct Exhausted(String);

/// What a pacer has seen, for progress and reports.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Calls made.
    pub calls: u64,
    /// Answers that said "slow down".
    pub throttled: u64,
    /// The limit in force: calls, and the window they are counted in.
    pub limit: Option<(u32, Duration)>,
    /// Time that calls spent waiting for their turn, summed.
    pub waited: Duration,
    /// Why no call passes any more, if none does.
    pub exhausted: Option<String>,
}

impl Pacer {
    /// A pacer that keeps to a destination type's rules. `ceiling` is the operator's own limit, if
    /// lower.
    pub fn new(pacing: &wit::Pacing, ceiling: Option<(u32, Duration)>) -> Arc<Pacer> {
        Pacer::looking_again(pacing, ceiling, LOOK_AGAIN)
    }

    /// And one that lets a call pass again so long after a limit was exhausted.
    pub fn looking_again(
        pacing: &wit::Pacing,
        ceiling: Option<(u32, Duration)>,
        look_again: Duration,
    ) -> Arc<Pacer> {
        let name = |text: &str| HeaderName::try_from(text).ok();
        let headers = pacing
            .headers
            .as_ref()
            .and_then(|h| Some((name(&h.max)?, name(&h.remaining)?, name(&h.interval_ms)?)));
        let ceiling = ceiling.map(|(requests, window)| Rate {
            requests: requests.max(1),
            window_ms: window.as_millis().clamp(1, LONGEST_WINDOW.as_millis()) as u32,
        });
        let state = State {
            limit: ceiling.or(pacing.limit),
            ceiling,
            answered: VecDeque::new(),
            in_flight: 0,
            closed_until: None,
            exhausted: None,
            calls: 0,
            throttled: 0,
            waited: Duration::ZERO,
        };
        Arc::new(Pacer {
            rules: Rules { headers, throttles: pacing.throttles.clone() },
            state: Mutex::new(state),
            changed: Notify::new(),
            turnstile: Semaphore::new(1),
            look_again,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each statement leaves the state consistent, so it is good after a panic, too.
        self.state.lock()
    }

    /// What was seen so far.
    pub fn pace(&self) -> Pace {
        let state = self.state();
        Pace {
            calls: state.calls,
            throttled: state.throttled,
            limit: state.limit.map(|rate| (rate.requests, window(rate))),
            waited: state.waited,
            exhausted: state.exhausted().map(|(reason, _)| reason.clone()),
        }
    }

    /// How long it is until a call passes again, if a limit is exhausted.
    pub fn exhausted_for(&self) -> Option<Duration> {
        self.state().exhausted().map(|(_, until)| until.saturating_duration_since(Instant::now()))
    }

    /// Waits for the turn of one call.
    ///
    /// # Errors
    /// When no call will pass before the CRM resets its limit.
    pub(crate) async fn turn(self: &Arc<Pacer>) -> Result<Turn, Exhausted> {
        let came = Instant::now();
        // The semaphore is never closed.
        let _first_in_line =
            self.turnstile.acquire().await.map_err(|_| Exhausted("pacing has ended".to_owned()))?;
        loop {
            let changed = self.changed.notified();
            let wait = {
                let mut state = self.state();
                if let Some((reason, _)) = state.exhausted() {
                    return Err(Exhausted(reason.clone()));
                }
                let now = Instant::now();
                match state.wait(now) {
                    Wait::Go => {
                        state.in_flight += 1;
                        state.calls += 1;
                        let waited = now - came;
                        state.waited += waited;
                        let counted = state.answered.len() + state.in_flight;
                        return Ok(Turn {
                            pacer: Arc::clone(self),
                            counted,
                            number: state.calls,
                            waited,
                            answered: false,
                        });
                    }
                    wait => wait,
                }
            };
            match wait {
                Wait::Until(when) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(when) => {}
                        () = changed => {}
                    }
                }
                _ => changed.await,
            }
        }
    }
}

enum Wait {
    Go,
    Until(Instant),
    ForAnAnswer,
}

impl State {
    /// Why no call passes, and until when.
    fn exhausted(&self) -> Option<&(String, Instant)> {
        self.exhausted.as_ref().filter(|(_, until)| *until > Instant::now())
    }

    fn wait(&mut self, now: Instant) -> Wait {
        if let Some(when) = self.closed_until {
            if when > now {
                return Wait::Until(when);
            }
            self.closed_until = None;
        }
        let Some(rate) = self.limit else { return Wait::Go };
        let window = window(rate);
        while self.answered.front().is_some_and(|oldest| now.duration_since(*oldest) >= window) {
            self.answered.pop_front();
        }
        if self.answered.len() + self.in_flight < rate.requests as usize {
            return Wait::Go;
        }
        match self.answered.front() {
            Some(oldest) => Wait::Until(*oldest + window),
            None => Wait::ForAnAnswer,
        }
    }

    fn learn(
        &mut self,
        max: u32,
        remaining: Option<u32>,
        interval: Duration,
        ours: usize,
        now: Instant,
    ) {
        let told = Rate { requests: max.max(1), window_ms: interval.as_millis() as u32 };
        let rate = match self.ceiling {
            Some(ceiling) if per_second(ceiling) <= per_second(told) => ceiling,
            _ => told,
        };
        self.limit = Some(rate);
        // What the CRM has counted beyond ours, others have used. Unknown when, so it is taken to
        // have been just now.
        if let (Some(remaining), None) = (remaining, self.ceiling) {
            let used = max.saturating_sub(remaining) as usize;
            for _ in ours..used {
                self.answered.push_back(now);
            }
        }
    }
}

fn window(rate: Rate) -> Duration {
    Duration::from_millis(u64::from(rate.window_ms))
}

fn per_second(rate: Rate) -> f64 {
    f64::from(rate.requests) / f64::from(rate.window_ms.max(1))
}

/// One call's turn. Dropping it says that the call is over without an answer; the CRM may still
/// have counted it.
pub(crate) struct Turn {
    pacer: Arc<Pacer>,
    /// Calls of ours that the CRM may have had in its window when this one left, itself included.
    counted: usize,
    /// Which call this is, counted from 1.
    number: u64,
    waited: Duration,
    answered: bool,
}

impl Turn {
    /// How long the call waited for it.
    pub(crate) fn waited(&self) -> Duration {
        self.waited
    }

    /// Learns from the answer; whether it said "slow down".
    pub(crate) fn answered(mut self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> bool {
        self.answered = true;
        let pacer = Arc::clone(&self.pacer);
        let now = Instant::now();
        let mut state = pacer.state();
        state.in_flight -= 1;
        state.answered.push_back(now);
        if let Some((max, remaining, interval)) = &pacer.rules.headers {
            let number =
                |name: &HeaderName| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
            let interval = number(interval)
                .map(|ms| Duration::from_millis(u64::from(ms)))
                .filter(|w| !w.is_zero() && *w <= LONGEST_WINDOW);
            if let (Some(max), Some(interval)) = (number(max), interval) {
                // Those that left while this one was running may have been counted before it.
                let ours = self.counted + (state.calls - self.number) as usize;
                state.learn(max, number(remaining), interval, ours, now);
            }
        }
        let throttled = (status.is_client_error() || status.is_server_error())
            && pacer.throttle(&mut state, status, headers, body, now);
        drop(state);
        pacer.changed.notify_waiters();
        throttled
    }
}

impl Pacer {
    fn throttle(
        &self,
        state: &mut State,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        now: Instant,
    ) -> bool {
        let says = |text: &str| memchr::memmem::find(body, text.as_bytes()).is_some();
        let Some(throttle) = self.rules.throttles.iter().find(|throttle| {
            throttle.http_status == status.as_u16() && throttle.contains.as_deref().is_none_or(says)
        }) else {
            return false;
        };
        state.throttled += 1;
        let asked = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let pause = asked.or(throttle.pause_ms.map(|ms| Duration::from_millis(u64::from(ms))));
        match pause {
            Some(pause) if throttle.pause_ms.is_some() && pause <= LONGEST_PAUSE => {
                // A window that the headers announced is at most as long as the one the rules
                // assume.
                let pause = match state.limit {
                    Some(rate) if asked.is_none() => pause.min(window(rate)),
                    _ => pause,
                };
                let until = now + pause;
                state.closed_until =
                    Some(state.closed_until.map_or(until, |earlier| earlier.max(until)));
                tracing::info!(
                    status = status.as_u16(),
                    pause_ms = pause.as_millis() as u64,
                    "the CRM asks to slow down; all calls with this credential pause"
                );
            }
            _ => {
                let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
                tracing::warn!(
                    status = status.as_u16(),
                    "the CRM's limit for this credential is exhausted"
                );
                let until = now + pause.map_or(self.look_again, |pause| pause.min(LONGEST_LIMIT));
                state.exhausted = Some((format!("HTTP {} {text}", status.as_u16()), until));
            }
        }
        true
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.answered {
            let mut state = self.pacer.state();
            state.in_flight -= 1;
            state.answered.push_back(Instant::now());
            drop(state);
            self.pacer.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pacing(requests: u32, window_ms: u32) -> wit::Pacing {
        let throttle = |http_status, contains: Option<&str>, pause_ms| wit::Throttle {
            http_status,
            contains: contains.map(str::to_owned),
            pause_ms,
        };
        wit::Pacing {
            limit: Some(Rate { requests, window_ms }),
            headers: Some(wit::RateHeaders {
                max: "x-max".into(),
                remaining: "x-remaining".into(),
                interval_ms: "x-interval".into(),
            }),
            throttles: vec![throttle(429, Some("DAILY"), None), throttle(429, None, Some(1_000))],
        }
    }

    fn headers(max: &str, remaining: &str, interval: &str) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in [("x-max", max), ("x-remaining", remaining), ("x-interval", interval)]
        {
            map.insert(name, value.parse().unwrap());
        }
        map
    }

    /// Makes `calls` calls that are answered `latency` later; returns when they left and when they
    /// were answered.
    async fn drive(pacer: &Arc<Pacer>, calls: usize, latency: Duration) -> Vec<(Instant, Instant)> {
        let mut times = Vec::new();
        for _ in 0..calls {
            let turn = pacer.turn().await.unwrap();
            let left = Instant::now();
            tokio::time::sleep(latency).await;
            turn.answered(StatusCode::OK, &HeaderMap::new(), b"");
            times.push((left, Instant::now()));
        }
        times
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_calls_than_the_limit_wherever_it_begins() {
        let pacer = Pacer::new(&pacing(5, 1_000), None);
        let times = drive(&pacer, 30, Duration::from_millis(7)).await;
        for pair in times.windows(6) {
            // The CRM counts a call between its leaving and its answer: worst case late for the
            // first, early for the sixth.
            assert!(pair[5].0 - pair[0].1 >= Duration::from_millis(1_000));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn headers_correct_the_limit_and_show_what_others_use() {
        let pacer = Pacer::new(&pacing(100, 10_000), None);
        let turn = pacer.turn().await.unwrap();
        turn.answered(StatusCode::OK, &headers("10", "3", "1000"), b"");
        assert_eq!(pacer.pace().limit, Some((10, Duration::from_secs(1))));
        let start = Instant::now();
        drive(&pacer, 3, Duration::ZERO).await;
        assert!(start.elapsed() < Duration::from_millis(10), "three were left");
        drive(&pacer, 1, Duration::ZERO).await;
        assert!(start.elapsed() >= Duration::from_millis(990), "the fourth has to wait");
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttle_closes_the_budget_for_everybody() {
        let pacer = Pacer::new(&pacing(100, 10_000), None);
        pacer.turn().await.unwrap().answered(
            StatusCode::TOO_MANY_REQUESTS,
            &HeaderMap::new(),
            b"slow",
        );
        let start = Instant::now();
        let other = Arc::clone(&pacer);
        tokio::spawn(async move { drive(&other, 1, Duration::ZERO).await }).await.unwrap();
        assert!(start.elapsed() >= Duration::from_secs(1));
        assert_eq!(pacer.pace().throttled, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_daily_limit_lets_nobody_pass_until_it_is_time_to_look_again() {
        let pacer = Pacer::new(&pacing(100, 10_000), None);
        pacer.turn().await.unwrap().answered(
            StatusCode::TOO_MANY_REQUESTS,
            &HeaderMap::new(),
            b"policyName DAILY",
        );
        assert!(pacer.turn().await.is_err());
        assert_eq!(pacer.exhausted_for(), Some(LOOK_AGAIN));
        tokio::time::advance(LOOK_AGAIN - Duration::from_millis(1)).await;
        assert!(pacer.turn().await.is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!((pacer.exhausted_for(), pacer.pace().exhausted), (None, None));
        let turn = pacer.turn().await.unwrap();
        // Still exhausted, and now the CRM says for how long.
        let two_hours = HeaderMap::from_iter([(header::RETRY_AFTER, "7200".parse().unwrap())]);
        turn.answered(StatusCode::TOO_MANY_REQUESTS, &two_hours, b"policyName DAILY");
        assert_eq!(pacer.exhausted_for(), Some(Duration::from_secs(7_200)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_still_counts() {
        let pacer = Pacer::new(&pacing(1, 1_000), None);
        drop(pacer.turn().await.unwrap());
        let start = Instant::now();
        drop(pacer.turn().await.unwrap());
        assert!(start.elapsed() >= Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn the_operators_ceiling_holds_against_a_higher_limit_in_the_headers() {
        let pacer = Pacer::new(&pacing(100, 10_000), Some((2, Duration::from_secs(1))));
        pacer.turn().await.unwrap().answered(StatusCode::OK, &headers("190", "189", "10000"), b"");
        assert_eq!(pacer.pace().limit, Some((2, Duration::from_secs(1))));
    }
}
