//! The calls of a component into the host: each finds its stream, and notes whether a record went
//! in or out.

use super::Guest;
use crate::{
    bindings::streams,
    contract::{
        capabilities,
        types::{self as wit, Error as GuestError},
    },
    streams::{
        ConfirmedResource, OutcomeSinkResource, PlanSinkResource, RecordsResource,
        VerifySinkResource,
    },
};
use wasmtime::component::Resource;

/// What a call that cannot fail in the contract's own words answers.
type Answer<T> = wasmtime::Result<Result<T, GuestError>>;

impl Guest {
    fn progressed_by(&mut self, records: usize) {
        if records > 0 {
            self.progressed();
        }
    }
}

impl streams::HostRecords for Guest {
    async fn next(
        &mut self,
        this: Resource<RecordsResource>,
        max: u32,
    ) -> Answer<Option<wit::RecordBatch>> {
        let batch = self.table.get_mut(&this)?.next(max).await?;
        self.progressed_by(batch.as_ref().map_or(0, |batch| batch.length as usize));
        Ok(Ok(batch))
    }

    fn drop(&mut self, this: Resource<RecordsResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::HostPlanSink for Guest {
    async fn push(
        &mut self,
        this: Resource<PlanSinkResource>,
        changes: wit::ChangeBatch,
    ) -> Answer<()> {
        let count = self.table.get(&this)?.push(changes).await?;
        self.progressed_by(count);
        Ok(Ok(()))
    }

    async fn skip(
        &mut self,
        this: Resource<PlanSinkResource>,
        skipped: wit::SkippedBatch,
    ) -> Answer<()> {
        let count = self.table.get(&this)?.skip(skipped).await?;
        self.progressed_by(count);
        Ok(Ok(()))
    }

    fn drop_column(
        &mut self,
        this: Resource<PlanSinkResource>,
        name: String,
        reason: String,
    ) -> wasmtime::Result<()> {
        self.table.get(&this)?.drop_column(name, reason)
    }

    fn warn(&mut self, this: Resource<PlanSinkResource>, message: String) -> wasmtime::Result<()> {
        self.table.get(&this)?.warn(message)
    }

    fn guard(
        &mut self,
        this: Resource<PlanSinkResource>,
        name: String,
        message: String,
    ) -> wasmtime::Result<()> {
        self.table.get(&this)?.guard(name, message)
    }

    async fn flag(
        &mut self,
        this: Resource<PlanSinkResource>,
        flagged: wit::FlaggedBatch,
    ) -> Answer<()> {
        Ok(Ok(self.table.get(&this)?.flag(flagged).await?))
    }

    fn joined(&mut self, this: Resource<PlanSinkResource>, field: String) -> wasmtime::Result<()> {
        self.table.get(&this)?.joined(field)
    }

    fn drop(&mut self, this: Resource<PlanSinkResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::HostConfirmed for Guest {
    async fn next(
        &mut self,
        this: Resource<ConfirmedResource>,
        max: u32,
    ) -> Answer<Option<wit::ChangeBatch>> {
        let handed = self.table.get_mut(&this)?.next(max).await?;
        self.progressed_by(usize::from(matches!(handed, Ok(Some(_)))));
        Ok(handed)
    }

    fn joined(&mut self, this: Resource<ConfirmedResource>) -> wasmtime::Result<Vec<String>> {
        Ok(self.table.get(&this)?.joined())
    }

    fn remaining(&mut self, this: Resource<ConfirmedResource>) -> wasmtime::Result<u64> {
        Ok(self.table.get(&this)?.remaining())
    }

    fn recall(&mut self, this: Resource<ConfirmedResource>) -> wasmtime::Result<Vec<String>> {
        Ok(self.table.get(&this)?.recall())
    }

    fn stopping(&mut self, this: Resource<ConfirmedResource>) -> wasmtime::Result<bool> {
        self.waited();
        Ok(self.table.get(&this)?.stopping())
    }

    fn drop(&mut self, this: Resource<ConfirmedResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::HostOutcomeSink for Guest {
    async fn push(
        &mut self,
        this: Resource<OutcomeSinkResource>,
        batch: wit::OutcomeBatch,
    ) -> Answer<()> {
        let count = self.table.get_mut(&this)?.push(batch).await?;
        self.progressed_by(count);
        Ok(Ok(()))
    }

    async fn remember(&mut self, this: Resource<OutcomeSinkResource>, note: String) -> Answer<()> {
        Ok(Ok(self.table.get_mut(&this)?.remember(note).await?))
    }

    fn drop(&mut self, this: Resource<OutcomeSinkResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::HostVerifySink for Guest {
    async fn push(
        &mut self,
        this: Resource<VerifySinkResource>,
        batch: wit::ReadingBatch,
    ) -> Answer<()> {
        let count = self.table.get_mut(&this)?.push(batch)?;
        self.progressed_by(count);
        Ok(Ok(()))
    }

    fn drop(&mut self, this: Resource<VerifySinkResource>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl streams::Host for Guest {}
impl wit::Host for Guest {}
impl capabilities::Host for Guest {}
