//! What the operator sees of a running service: [`metrics`], the [`request_log`] of each run, and
//! [`telemetry`], which is log lines and traces. The [`request_id`] ties an answer to them.
//!
//! None of it may slow a run down or fail one: what cannot be written in time is dropped and
//! counted.

mod labels;
pub mod metrics;
pub mod request_id;
pub mod request_log;
pub mod telemetry;

use reverse_sync::egress::{Exchange, Observer};
use std::sync::Arc;

/// Several observers of one link, as one.
pub fn all(observers: Vec<Arc<dyn Observer>>) -> Arc<dyn Observer> {
    Arc::new(All(observers))
}

struct All(Vec<Arc<dyn Observer>>);

impl Observer for All {
    fn exchanged(&self, exchange: &Exchange<'_>) {
        for observer in &self.0 {
            observer.exchanged(exchange);
        }
    }
}
