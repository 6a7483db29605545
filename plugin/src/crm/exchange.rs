//! One request until it has an answer that means something. What is safe to repeat is repeated
//! here, with growing pauses; a write whose fate is open is not, but handed back.

use super::error::CrmError;
use super::network::{Answer, Lost, Network, Request};
use super::verdict::{Verdict, judge};
use crate::config::Config;
use crate::contract::types::{Error, ErrorKind};
use std::cell::Cell;

/// Failed attempts before a run gives up on the CRM.
const MAX_ATTEMPTS: u32 = 6;
/// "Slow down" answers in a row before a run gives up. The host keeps the pace; this is for a CRM
/// that never yields.
const MAX_THROTTLES: u32 = 100;

/// Writes in a row that something in between answers before a run gives up: more than it takes to
/// find one record in each of a dozen batches.
const MAX_BLOCKED: u32 = 100;

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// 2xx.
    Accepted(Answer),
    /// The CRM refused it; nothing was applied.
    Refused(u16, CrmError),
    /// Nobody knows whether the write was applied. The text says why.
    Doubtful(String),
}

/// Pause before attempt `attempt` (from 1), in milliseconds: 0.2 s, doubling to 10 s, spread by
/// half.
pub(crate) fn backoff(attempt: u32, random: u64) -> u64 {
    let full = (200u64 << attempt.saturating_sub(1).min(6)).min(10_000);
    full / 2 + random % (full / 2 + 1)
}

/// Sends a request. `stopped` tells whether another part of the run has ended it; `slowed` is set
/// where the CRM asks for less.
///
/// # Errors
/// What ends the whole run.
pub(crate) async fn exchange<W: Network>(
    config: &Config,
    world: &W,
    request: &Request,
    stopped: &Cell<bool>,
    slowed: &Cell<bool>,
) -> Result<Exchange, Error> {
    let crm = config.provider.name();
    let (mut attempts, mut throttles) = (0, 0);
    loop {
        if stopped.get() {
            return Err(Error::new(ErrorKind::Other, None, "the run has ended".to_owned()));
        }
        let (pause, why, locked) = match world.send(request).await {
            Ok(answer) => match judge(config, request, &answer) {
                Verdict::Accepted => return Ok(Exchange::Accepted(answer)),
                Verdict::Refused(error) => return Ok(Exchange::Refused(answer.status, error)),
                Verdict::Stop(error) => return Err(error),
                Verdict::Throttled(error) => {
                    slowed.set(true);
                    throttles += 1;
                    if throttles >= MAX_THROTTLES {
                        let message = format!(
                            "{crm} asked {throttles} times in a row to slow down ({}); try again later",
                            error.told()
                        );
                        return Err(Error::new(ErrorKind::RateLimited, error.code, message));
                    }
                    world.pause(250 * u64::from(throttles.min(8)) + world.random() % 250).await;
                    continue;
                }
                Verdict::NotNow(pause, error) => {
                    slowed.set(true);
                    let why = format!("HTTP {}, {}", answer.status, error.told());
                    (pause + world.random() % 500, why, (answer.status == 423).then_some(error))
                }
                Verdict::Doubtful(error) => {
                    slowed.set(true);
                    let why = format!("HTTP {}, {}", answer.status, error.told());
                    if request.writes {
                        return Ok(Exchange::Doubtful(why));
                    }
                    (backoff(attempts + 1, world.random()), why, None)
                }
            },
            Err(Lost::NotSent(why)) => (backoff(attempts + 1, world.random()), why, None),
            Err(Lost::Broken(why)) => {
                if request.writes {
                    return Ok(Exchange::Doubtful(why));
                }
                (backoff(attempts + 1, world.random()), why, None)
            }
            Err(Lost::TooLarge(why)) => {
                return Ok(Exchange::Refused(
                    413,
                    CrmError {
                        code: Some("too_large".to_owned()),
                        message: why,
                        ..CrmError::default()
                    },
                ));
            }
            Err(Lost::LimitReached(why)) => {
                let message = format!(
                    "no request may leave before {crm} resets a limit ({why}); try again then"
                );
                return Err(Error::new(ErrorKind::RateLimited, None, message));
            }
            Err(Lost::Denied(why)) => {
                let message = format!(
                    "the host refused to let `{} {}` out ({why}); the operator's log says why",
                    request.method, request.path
                );
                return Err(Error::new(
                    ErrorKind::Rejected,
                    Some("request_denied".to_owned()),
                    message,
                ));
            }
        };
        attempts += 1;
        if attempts >= MAX_ATTEMPTS {
            if let Some(error) = locked {
                return Ok(Exchange::Refused(423, error));
            }
            return Err(unavailable(config, attempts, &why));
        }
        world.pause(pause).await;
    }
}

/// Counts the writes in a row that something in between has answered. One of them may be about a
/// value, all of them are about the way.
///
/// # Errors
/// When there were too many.
pub(crate) fn count_blocked(
    config: &Config,
    blocked: &Cell<u32>,
    exchanged: &Exchange,
) -> Result<(), Error> {
    match exchanged {
        Exchange::Accepted(_) => blocked.set(0),
        Exchange::Refused(_, error) if error.is_blocked() => {
            blocked.set(blocked.get() + 1);
            if blocked.get() >= MAX_BLOCKED {
                let message = format!(
                    "{MAX_BLOCKED} updates in a row did not get through to {}. The last answer: {}. Change what blocks them, then run the same plan again: it continues where it stopped",
                    config.provider.name(),
                    error.message
                );
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    error.code.clone(),
                    crate::contract::changes::cap(&message, 2000),
                ));
            }
        }
        Exchange::Refused(..) | Exchange::Doubtful(_) => {}
    }
    Ok(())
}

/// The CRM cannot be reached, or keeps failing.
pub(crate) fn unavailable(config: &Config, attempts: u32, why: &str) -> Error {
    let message = format!(
        "{} cannot be used: {attempts} attempts failed, the last with: {why}; try again later",
        config.provider.name()
    );
    Error::new(ErrorKind::Unavailable, None, crate::contract::changes::cap(&message, 2000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_ten_seconds_and_are_spread() {
        for (attempt, least, most) in
            [(1, 100, 200), (2, 200, 400), (3, 400, 800), (7, 5_000, 10_000), (40, 5_000, 10_000)]
        {
            assert_eq!(backoff(attempt, 0), least);
            for random in [1, 77, u64::MAX] {
                assert!((least..=most).contains(&backoff(attempt, random)));
            }
        }
    }
}
