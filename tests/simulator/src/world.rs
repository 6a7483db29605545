//! Everything the simulator knows.

use crate::{
    config::{Config, Token},
    faults::{self, Fault, Rule},
    hubspot::HubSpot,
    log::{LoggedRequest, Write},
    message::{Answer, Delivery, Request, Response},
    salesforce::Salesforce,
    seed::{self, Random},
};
use std::time::Instant;

/// Records of both CRMs, the request log, and the faults that are switched on.
pub struct World {
    /// What it started with; switches and tokens may be changed while it runs.
    pub config: Config,
    /// The one CRM.
    pub hubspot: HubSpot,
    /// The other.
    pub salesforce: Salesforce,
    /// Every request received, in order.
    pub requests: Vec<LoggedRequest>,
    /// Every record written, in order.
    pub writes: Vec<Write>,
    /// Faults; the first rule that strikes counts, but latency adds to any other.
    pub faults: Vec<Rule>,
    /// Answers that said "too many requests".
    pub throttled: u64,
    /// Requests to the token endpoints, whatever became of them.
    pub token_requests: u64,
    /// Access tokens that they gave out.
    pub tokens_issued: u64,
    pub(crate) random: Random,
    pub(crate) started: Instant,
    /// Number of the request at hand.
    pub(crate) current: u64,
}

impl World {
    /// What a configuration says it starts with.
    pub fn new(config: Config) -> World {
        let mut random = Random::new(config.seed);
        let mut hubspot = HubSpot::new();
        let mut salesforce = Salesforce::new();
        seed::contacts(&mut hubspot, &mut salesforce, &config, &mut random);
        World {
            config,
            hubspot,
            salesforce,
            requests: Vec::new(),
            writes: Vec::new(),
            faults: Vec::new(),
            throttled: 0,
            token_requests: 0,
            tokens_issued: 0,
            random,
            started: Instant::now(),
            current: 0,
        }
    }

    /// Switches a fault on.
    pub fn fault(&mut self, rule: Rule) {
        self.faults.push(rule);
    }

    /// Forgets requests and writes, not the records.
    pub fn clear_log(&mut self) {
        self.requests.clear();
        self.writes.clear();
    }

    /// How often each record was written: record id and count, for those written more than once.
    pub fn written_twice(&self) -> Vec<(String, usize)> {
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        for write in &self.writes {
            *counts.entry(&write.id).or_default() += 1;
        }
        counts
            .into_iter()
            .filter(|(_, count)| *count > 1)
            .map(|(id, count)| (id.to_owned(), count))
            .collect()
    }

    /// A token by its text, and whether it has expired.
    pub(crate) fn token(&self, bearer: &str) -> Option<(&Token, bool)> {
        let token = self.config.tokens.iter().find(|token| token.text == bearer)?;
        Some((token, token.is_expired(self.started.elapsed().as_millis() as u64)))
    }

    /// Takes a request: it is logged, applied as far as its fault lets it, and answered.
    pub fn respond(&mut self, request: &Request) -> Response {
        let number = self.receive(request);
        let (latency_ms, fault) = self.strike(request);
        let unapplied = match &fault {
            Some(Fault::DropBefore) => {
                return Response { number, latency_ms, status: None, delivery: Delivery::Cut };
            }
            Some(Fault::Status(status)) => Some(faults::gateway(request, *status, false)),
            Some(Fault::Html(status)) => Some(faults::gateway(request, *status, true)),
            Some(Fault::Migration(seconds)) => {
                Some(faults::gateway(request, 477, false).with("retry-after", seconds))
            }
            _ => None,
        };
        let answer = unapplied.unwrap_or_else(|| self.answer(request, number, fault.as_ref()));
        let status = Some(answer.status);
        match fault {
            Some(Fault::DropAfter) => {
                Response { number, latency_ms, status, delivery: Delivery::Cut }
            }
            Some(Fault::StatusAfter(status)) => {
                let answer = faults::gateway(request, status, false);
                Response {
                    number,
                    latency_ms,
                    status: Some(status),
                    delivery: Delivery::Whole(answer),
                }
            }
            Some(Fault::Truncate) => {
                Response { number, latency_ms, status, delivery: Delivery::Half(answer) }
            }
            Some(Fault::NeverEnding) => {
                Response { number, latency_ms, status, delivery: Delivery::Hanging(answer) }
            }
            Some(Fault::WrongBody(text)) => Response {
                number,
                latency_ms,
                status,
                delivery: Delivery::Whole(Answer { body: text.into(), ..answer }),
            },
            _ => Response { number, latency_ms, status, delivery: Delivery::Whole(answer) },
        }
    }

    /// Logs that a response went out, once its latency has passed.
    pub fn delivered(&mut self, response: &Response) {
        if let Some(logged) =
            self.requests.iter_mut().rev().find(|logged| logged.number == response.number)
        {
            logged.status = response.status;
            logged.answered = matches!(response.delivery, Delivery::Whole(_));
        }
    }

    fn receive(&mut self, request: &Request) -> u64 {
        self.token_requests += u64::from(crate::oauth::is_token_request(request));
        let number = self.requests.len() as u64 + 1;
        let headers = request.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        self.requests.push(LoggedRequest {
            number,
            at_ms: self.started.elapsed().as_millis() as u64,
            method: request.method.to_string(),
            target: request.target.clone(),
            headers: headers.collect(),
            body: request.body.clone(),
            status: None,
            answered: false,
        });
        number
    }

    /// The faults that strike a request: milliseconds of latency, and what else goes wrong.
    fn strike(&mut self, request: &Request) -> (u64, Option<Fault>) {
        let mut latency = 0;
        let mut fault = None;
        for rule in &mut self.faults {
            let chance = self.random.unit();
            if (fault.is_none() || matches!(rule.fault, Fault::Latency(_)))
                && rule.strikes(request, chance)
            {
                match &rule.fault {
                    Fault::Latency(ms) => latency += ms,
                    other => fault = Some(other.clone()),
                }
            }
        }
        (latency, fault)
    }

    /// Answers a request as the CRM it is for would.
    fn answer(&mut self, request: &Request, number: u64, fault: Option<&Fault>) -> Answer {
        self.current = number;
        if request.path().starts_with("/services/") {
            crate::salesforce::answer(self, request, fault)
        } else {
            crate::hubspot::answer(self, request, fault)
        }
    }

    pub(crate) fn wrote(
        &mut self,
        object: &str,
        id: &str,
        fields: serde_json::Map<String, serde_json::Value>,
    ) {
        self.writes.push(Write {
            request: self.current,
            object: object.to_owned(),
            id: id.to_owned(),
            fields,
        });
    }
}
