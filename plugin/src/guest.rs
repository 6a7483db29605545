//! The component's exports: the contract's functions, handed on to the modules that do the work.

use crate::contract::bindings::{self, exports::reverse_sync::destination::destination::Guest};
use crate::contract::capabilities::Descriptor;
use crate::contract::streams::{Confirmed, OutcomeSink, PlanSink, Records, VerifySink};
use crate::contract::types::{
    ChangeBatch, Error, FlaggedBatch, OutcomeBatch, PlanMode, RecordBatch, SkippedBatch, Target,
};
use crate::crm::http::{Outside, block_on};
use crate::plan::host::PlanHost;
use crate::run::stream::Stream;
use crate::{config, descriptor, plan, run};

struct Component;

#[expect(
    unsafe_code,
    unreachable_pub,
    reason = "generated: functions of the canonical ABI, exported by name"
)]
mod exported {
    use super::{Component, bindings};
    bindings::export!(Component with_types_in bindings);
}

impl Guest for Component {
    fn describe() -> Descriptor {
        descriptor::describe()
    }

    fn plan(
        target: Target,
        mode: PlanMode,
        records: &Records,
        sink: &PlanSink,
    ) -> Result<(), Error> {
        let config = config::parse(&target.destination_type, &target.config)?;
        let outside = Outside::new(&target.base_url)?;
        block_on(plan::plan_in(
            mode,
            &config,
            &target.entity_type,
            &outside,
            &mut Planning { records, sink },
        ))
    }

    fn run(
        target: Target,
        mode: PlanMode,
        confirmed: &Confirmed,
        sink: &OutcomeSink,
    ) -> Result<(), Error> {
        let config = config::parse(&target.destination_type, &target.config)?;
        let outside = Outside::new(&target.base_url)?;
        block_on(run::run(mode, &config, &outside, &Running { confirmed, sink }))
    }

    fn verify(target: Target, written: &Confirmed, sink: &VerifySink) -> Result<(), Error> {
        let config = config::parse(&target.destination_type, &target.config)?;
        let outside = Outside::new(&target.base_url)?;
        block_on(run::verify::verify(
            &config,
            &outside,
            |max| written.next(max),
            |readings| sink.push(readings),
        ))
    }
}

struct Planning<'a> {
    records: &'a Records,
    sink: &'a PlanSink,
}

impl PlanHost for Planning<'_> {
    fn next(&mut self, max: u32) -> Result<Option<RecordBatch>, Error> {
        self.records.next(max)
    }

    async fn push(&mut self, changes: &ChangeBatch) -> Result<(), Error> {
        self.sink.push(changes)
    }

    fn skip(&mut self, skipped: &SkippedBatch) -> Result<(), Error> {
        self.sink.skip(skipped)
    }

    fn drop_column(&mut self, name: &str, reason: &str) {
        self.sink.drop_column(name, reason);
    }

    fn warn(&mut self, message: &str) {
        self.sink.warn(message);
    }

    fn guard(&mut self, name: &str, message: &str) {
        self.sink.guard(name, message);
    }

    fn flag(&mut self, flagged: &FlaggedBatch) -> Result<(), Error> {
        self.sink.flag(flagged)
    }

    fn joined(&mut self, field: &str) {
        self.sink.joined(field);
    }
}

struct Running<'a> {
    confirmed: &'a Confirmed,
    sink: &'a OutcomeSink,
}

impl Stream for Running<'_> {
    fn next(&self, max: u32) -> Result<Option<ChangeBatch>, Error> {
        self.confirmed.next(max)
    }

    fn push(&self, outcomes: &OutcomeBatch) -> Result<(), Error> {
        self.sink.push(outcomes)
    }

    fn remaining(&self) -> u64 {
        self.confirmed.remaining()
    }

    fn joined(&self) -> Vec<String> {
        self.confirmed.joined()
    }

    fn recall(&self) -> Vec<String> {
        self.confirmed.recall()
    }

    fn remember(&self, note: &str) -> Result<(), Error> {
        self.sink.remember(note)
    }

    fn stopping(&self) -> bool {
        self.confirmed.stopping()
    }
}
