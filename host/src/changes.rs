//! Changes in memory: packed columns, as they cross the boundary and as Arrow stores them.

use crate::contract::types as wit;
use arrow_array::StringArray;
use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

/// Many strings in one buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    bytes: String,
    /// One more than there are strings.
    offsets: Vec<u32>,
}

/// Packed strings whose offsets do not fit their bytes.
#[derive(Debug, thiserror::Error)]
#[error("packed strings whose offsets do not fit their bytes")]
pub struct Malformed;

impl Packed {
    /// No strings yet.
    pub fn new() -> Packed {
        Packed { bytes: String::new(), offsets: vec![0] }
    }

    /// Checks what came over the boundary.
    pub(crate) fn from_wit(strings: wit::Strings) -> Result<Packed, Malformed> {
        let wit::Strings { bytes, mut offsets } = strings;
        if offsets.is_empty() {
            offsets.push(0);
        }
        let ascending = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let whole = offsets.first() == Some(&0)
            && offsets.last().is_some_and(|end| *end as usize == bytes.len());
        if !ascending || !whole || bytes.len() > i32::MAX as usize {
            return Err(Malformed);
        }
        if !bytes.is_ascii()
            && !offsets.iter().all(|offset| bytes.is_char_boundary(*offset as usize))
        {
            return Err(Malformed);
        }
        Ok(Packed { bytes, offsets })
    }

    pub(crate) fn to_wit(&self) -> wit::Strings {
        wit::Strings { bytes: self.bytes.clone(), offsets: self.offsets.clone() }
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// String `index`; empty past the end.
    pub fn get(&self, index: usize) -> &str {
        match (self.offsets.get(index), self.offsets.get(index + 1)) {
            (Some(start), Some(end)) => {
                self.bytes.get(*start as usize..*end as usize).unwrap_or_default()
            }
            _ => "",
        }
    }

    /// Appends a string.
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.offsets.push(self.bytes.len() as u32);
    }

    /// As an Arrow array, without copying.
    pub(crate) fn into_arrow(self) -> Result<StringArray, arrow_schema::ArrowError> {
        let offsets: Vec<i32> = self.offsets.into_iter().map(|offset| offset as i32).collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_vec(self.bytes.into_bytes()), None)
    }
}

/// Intended updates in ascending order of row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeBatch {
    rows: Vec<u64>,
    ids: Packed,
    fields: Packed,
    /// Values before, of all changes or of none.
    before: Option<Packed>,
}

impl ChangeBatch {
    /// No changes yet.
    pub fn new() -> ChangeBatch {
        ChangeBatch { rows: Vec::new(), ids: Packed::new(), fields: Packed::new(), before: None }
    }

    pub(crate) fn from_wit(batch: wit::ChangeBatch) -> Result<ChangeBatch, Malformed> {
        let length = batch.rows.len();
        let batch = ChangeBatch {
            rows: batch.rows,
            ids: Packed::from_wit(batch.ids)?,
            fields: Packed::from_wit(batch.fields)?,
            before: batch.before.map(Packed::from_wit).transpose()?,
        };
        if [Some(&batch.ids), Some(&batch.fields), batch.before.as_ref()]
            .into_iter()
            .flatten()
            .any(|packed| packed.len() != length)
        {
            return Err(Malformed);
        }
        Ok(batch)
    }

    pub(crate) fn to_wit(&self, doubtful: bool) -> wit::ChangeBatch {
        let before = self.before.as_ref().map(Packed::to_wit);
        wit::ChangeBatch {
            rows: self.rows.clone(),
            ids: self.ids.to_wit(),
            fields: self.fields.to_wit(),
            before,
            doubtful,
        }
    }

    /// Appends a change. The first one decides whether there are previous values.
    pub fn push(&mut self, row: u64, id: &str, fields: &str, before: Option<&str>) {
        if self.rows.is_empty() {
            self.before = before.map(|_| Packed::new());
        }
        self.rows.push(row);
        self.ids.push(id);
        self.fields.push(fields);
        if let Some(values) = &mut self.before {
            values.push(before.unwrap_or("{}"));
        }
    }

    /// Whether a change with or without previous values fits in.
    pub(crate) fn takes(&self, before: Option<&str>) -> bool {
        self.rows.is_empty() || self.before.is_some() == before.is_some()
    }

    /// Bytes of all texts.
    pub(crate) fn bytes(&self) -> usize {
        self.ids.bytes.len()
            + self.fields.bytes.len()
            + self.before.as_ref().map_or(0, |before| before.bytes.len())
    }

    /// Number of changes.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Rows, ascending.
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// The golden record's row.
    pub fn row(&self, index: usize) -> u64 {
        self.rows[index]
    }

    /// The CRM's record id.
    pub fn id(&self, index: usize) -> &str {
        self.ids.get(index)
    }

    /// The JSON object that will be written.
    pub fn fields(&self, index: usize) -> &str {
        self.fields.get(index)
    }

    /// The values that the CRM held while planning, as a JSON object.
    pub fn before(&self, index: usize) -> Option<&str> {
        self.before.as_ref().map(|before| before.get(index))
    }

    /// Where a row stands.
    pub(crate) fn find_row(&self, row: u64) -> Option<usize> {
        self.rows.binary_search(&row).ok()
    }

    pub(crate) fn into_parts(self) -> (Vec<u64>, Packed, Packed, Option<Packed>) {
        (self.rows, self.ids, self.fields, self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_do_not_fit_are_refused() {
        let strings = |bytes: &str, offsets: &[u32]| {
            Packed::from_wit(wit::Strings { bytes: bytes.to_owned(), offsets: offsets.to_vec() })
        };
        for bad in [
            strings("ab", &[0, 1]),
            strings("ab", &[1, 2]),
            strings("ab", &[0, 2, 1, 2]),
            strings("ab", &[0, 3]),
            strings("é", &[0, 1, 2]),
            strings("a", &[]),
        ] {
            assert!(bad.is_err());
        }
        let good = strings("aé", &[0, 1, 3]).unwrap();
        assert_eq!((good.len(), good.get(0), good.get(1), good.get(2)), (2, "a", "é", ""));
        assert_eq!(strings("", &[]).unwrap().len(), 0);
    }
}
