//! One pass over the golden records, memory for one batch. What the CRM says about its fields, if
//! it was asked, comes in as [`Metadata`]; comparing with its records is the sink's business
//! ([`super::compare`]).
//!
//! A change's JSON is written as it will be sent, value by value into one buffer that is used again
//! for the next batch. So a record costs a few copies and no allocation.

use super::columns::{Appended, Values, View};
use super::confidence::Confidence;
use super::fields::{self, Said};
use super::host::PlanHost;
use super::writable::Writable;
use crate::config::Config;
use crate::contract::packed::{clear, close, empty_strings};
use crate::contract::types::{ChangeBatch, Error, RecordBatch, SkippedBatch};
use crate::provider_id::{self, Flaw};
use crate::values::encode;
use crate::values::field::Metadata;

/// Most records in a batch. Measured with 8 columns, in million records a second: 2.4 with 64, 2.9
/// with 256, 3.1 from 1,024 to 4,096, and 2.5 with 16,384, which no longer fit the caches.
const MAX_RECORDS: u32 = 2048;
/// Records in the first batch, before their size is known.
const FIRST_RECORDS: u32 = 512;
/// How many bytes of values a batch should have at most, about.
const BATCH_BYTES: usize = 2 << 20;
/// Changes are handed over when their JSON reaches this size.
const PUSH_BYTES: usize = 1 << 20;

/// Turns golden records into changes.
///
/// # Errors
/// Two columns that are one field to the CRM; whatever the host's cursor and sink fail with.
pub(crate) async fn plan<H: PlanHost>(
    config: &Config,
    metadata: Option<&Metadata>,
    host: &mut H,
) -> Result<(), Error> {
    let mut said = Said::default();
    let mut confidence = Confidence::default();
    let mut buffers = Buffers::default();
    let mut max = FIRST_RECORDS;
    let mut any_record = false;
    while let Some(batch) = host.next(max)? {
        any_record |= batch.length > 0;
        let views = fields::views(config, &batch)?;
        let mut written = fields::writable(config, metadata, &views, &mut said, host)?;
        let id = fields::id_column(config, &views)?;
        let sure = confidence.column(config, &views);
        plan_batch(
            config,
            &batch,
            id,
            &mut written,
            (&mut confidence, sure.as_ref()),
            &mut buffers,
            host,
        )
        .await?;
        said.remember(&written, host);
        confidence.flush(config, host)?;
        buffers.flush(host).await?;
        max = next_max(&batch, &views);
    }
    said.finish(config, any_record, host);
    confidence.finish(config, any_record, host);
    Ok(())
}

/// Long texts make short batches, so that memory stays flat.
fn next_max(batch: &RecordBatch, views: &[View<'_>]) -> u32 {
    let bytes: usize = views.iter().map(View::size).sum();
    let each = bytes / (batch.length as usize).max(1) + 1;
    u32::try_from(BATCH_BYTES / each).unwrap_or(MAX_RECORDS).clamp(1, MAX_RECORDS)
}

async fn plan_batch<H: PlanHost>(
    config: &Config,
    batch: &RecordBatch,
    id: Option<&View<'_>>,
    written: &mut [Writable<'_>],
    (confidence, sure): (&mut Confidence, Option<&View<'_>>),
    buffers: &mut Buffers,
    host: &mut H,
) -> Result<(), Error> {
    for at in 0..batch.length as usize {
        let row = batch.first_row + at as u64;
        let ids = &mut buffers.changes.ids.bytes;
        let id_start = ids.len();
        if let Err(skip) = append_id(config, id, at, ids) {
            buffers.skip(row, skip);
            continue;
        }
        let out = &mut buffers.changes.fields.bytes;
        let start = out.len();
        match append_fields(written, at, &mut buffers.scratch, out) {
            Ok(true) => {
                confidence.judge(config, sure, at, row);
                buffers.changes.rows.push(row);
                close(&mut buffers.changes.ids);
                close(&mut buffers.changes.fields);
                if buffers.changes.fields.bytes.len() >= PUSH_BYTES {
                    buffers.push(host).await?;
                }
            }
            Ok(false) => {
                out.truncate(start);
                buffers.skip_claiming(row, Skip::NoWritableField, id_start);
            }
            Err(culprit) => {
                out.truncate(start);
                let detail = written
                    .get(culprit)
                    .map(|column| column.explain(at, config.provider))
                    .unwrap_or_default();
                buffers.skip_claiming(row, Skip::ValueNotEncodable(detail), id_start);
            }
        }
    }
    Ok(())
}

/// Appends one change's JSON object. `Ok(false)`: no value at all; `Err`: the column whose value
/// cannot be written.
#[inline]
fn append_fields(
    written: &mut [Writable<'_>],
    at: usize,
    scratch: &mut String,
    out: &mut String,
) -> Result<bool, usize> {
    out.push('{');
    let mut any = false;
    for (index, column) in written.iter_mut().enumerate() {
        match column.append(at, any, scratch, out) {
            Appended::Written => any = true,
            Appended::Null | Appended::Missing | Appended::Empty => {}
            Appended::Unencodable => return Err(index),
        }
    }
    out.push('}');
    Ok(any)
}

fn append_id(
    config: &Config,
    id: Option<&View<'_>>,
    at: usize,
    out: &mut String,
) -> Result<(), Skip> {
    let Some(view) = id else { return Err(Skip::IdMissing) };
    match view.absence(at) {
        Some(Appended::Missing) => return Err(Skip::IdMissing),
        Some(_) => return Err(Skip::IdNull),
        None => {}
    }
    let mut digits = itoa::Buffer::new();
    let unescaped;
    let text = match &view.values {
        Some(Values::Text { texts, .. } | Values::Decimal(texts)) => texts.get(at),
        Some(Values::Json(texts)) => match texts.get(at) {
            raw if raw.starts_with('"') => {
                unescaped = view.as_text(at).unwrap_or_default();
                &unescaped
            }
            // A number is judged by its digits, as the input has them.
            raw if raw.starts_with(|first: char| first.is_ascii_digit() || first == '-') => raw,
            raw => {
                let what = format!(
                    "`{}` is `{}`, which is not a record id",
                    view.name,
                    provider_id::shown(raw)
                );
                return Err(Skip::IdNotPristine(what));
            }
        },
        Some(Values::Integer(values)) => digits.format(values.get(at).copied().unwrap_or_default()),
        Some(Values::Number(values)) => {
            let value = values.get(at).copied().unwrap_or_default();
            return Err(Skip::IdNotPristine(format!(
                "`{}` is a floating-point number, which loses digits of an id; read the column as text",
                encode::shown_number(value)
            )));
        }
        _ => {
            return Err(Skip::IdNotPristine(format!(
                "the column `{}` holds no ids; read it as text",
                view.name
            )));
        }
    };
    provider_id::append_normal(config.provider, text, out).map_err(|flaw| match flaw {
        Flaw::Empty => Skip::IdEmpty,
        Flaw::NotPristine => Skip::IdNotPristine(provider_id::explain(config.provider, text)),
    })
}

/// Why a row is skipped.
enum Skip {
    IdMissing,
    IdNull,
    IdEmpty,
    IdNotPristine(String),
    NoWritableField,
    ValueNotEncodable(String),
}

impl Skip {
    /// Codes, in the order in which they are handed over.
    const REASONS: [&'static str; 6] = [
        "provider_id_missing",
        "provider_id_null",
        "provider_id_empty",
        "provider_id_not_pristine",
        "no_writable_field",
        "value_not_encodable",
    ];

    fn index(&self) -> usize {
        match self {
            Skip::IdMissing => 0,
            Skip::IdNull => 1,
            Skip::IdEmpty => 2,
            Skip::IdNotPristine(_) => 3,
            Skip::NoWritableField => 4,
            Skip::ValueNotEncodable(_) => 5,
        }
    }

    fn detail(&self) -> Option<&str> {
        match self {
            Skip::IdNotPristine(detail) | Skip::ValueNotEncodable(detail) => Some(detail),
            _ => None,
        }
    }
}

/// What is handed over next. Used again for every batch.
struct Buffers {
    changes: ChangeBatch,
    skipped: [SkippedBatch; 6],
    /// The text of one value.
    scratch: String,
}

impl Default for Buffers {
    fn default() -> Self {
        let changes = ChangeBatch {
            rows: Vec::new(),
            ids: empty_strings(),
            fields: empty_strings(),
            before: None,
            doubtful: false,
        };
        let skipped = Skip::REASONS.map(|reason| SkippedBatch {
            rows: Vec::new(),
            reason: reason.to_owned(),
            details: None,
            ids: None,
        });
        Buffers { changes, skipped, scratch: String::new() }
    }
}

impl Buffers {
    fn skip(&mut self, row: u64, skip: Skip) {
        let Some(batch) = self.skipped.get_mut(skip.index()) else { return };
        batch.rows.push(row);
        if let Some(detail) = skip.detail() {
            let details = batch.details.get_or_insert_with(empty_strings);
            details.bytes.push_str(detail);
            close(details);
        }
    }

    /// A row that is skipped for another reason than its id, which was appended last: it claims its
    /// record all the same.
    fn skip_claiming(&mut self, row: u64, skip: Skip, id_start: usize) {
        let ids = &mut self.changes.ids.bytes;
        if let Some(batch) = self.skipped.get_mut(skip.index()) {
            let claimed = batch.ids.get_or_insert_with(empty_strings);
            claimed.bytes.push_str(ids.get(id_start..).unwrap_or_default());
            close(claimed);
        }
        ids.truncate(id_start);
        self.skip(row, skip);
    }

    async fn push<H: PlanHost>(&mut self, host: &mut H) -> Result<(), Error> {
        if !self.changes.rows.is_empty() {
            host.push(&self.changes).await?;
            self.changes.rows.clear();
            clear(&mut self.changes.ids);
            clear(&mut self.changes.fields);
        }
        Ok(())
    }

    async fn flush<H: PlanHost>(&mut self, host: &mut H) -> Result<(), Error> {
        self.push(host).await?;
        for batch in self.skipped.iter_mut().filter(|batch| !batch.rows.is_empty()) {
            host.skip(batch)?;
            batch.rows.clear();
            [&mut batch.details, &mut batch.ids].into_iter().flatten().for_each(clear);
        }
        Ok(())
    }
}
