//! Columns as the contract packs them.

use crate::bindings::reverse_sync::destination::types::{StringLists, Strings};

pub(crate) fn pack(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Strings {
    let mut packed = Strings { bytes: String::new(), offsets: vec![0] };
    for text in texts {
        packed.bytes.push_str(text.as_ref());
        packed.offsets.push(packed.bytes.len() as u32);
    }
    packed
}

pub(crate) fn unpack(packed: &Strings) -> impl Iterator<Item = &str> {
    (1..packed.offsets.len()).map(|end| text_at(packed, end - 1))
}

pub(crate) fn text_at(packed: &Strings, at: usize) -> &str {
    &packed.bytes[packed.offsets[at] as usize..packed.offsets[at + 1] as usize]
}

pub(crate) fn pack_lists(lists: &[Vec<&str>]) -> StringLists {
    let mut offsets = vec![0];
    for list in lists {
        offsets.push(offsets.last().copied().unwrap_or_default() + list.len() as u32);
    }
    StringLists { items: pack(lists.iter().flatten()), offsets }
}
