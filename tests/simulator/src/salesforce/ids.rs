//! Record ids: 15 characters, or 18 with a checksum of their case (B6).

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const CHECKSUM: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";

/// The 18-character id of the n-th record with this key prefix.
pub fn record_id(prefix: &str, number: u64) -> String {
    let mut tail = [b'0'; 12];
    let mut rest = number + 1;
    for place in tail.iter_mut().rev() {
        *place = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    tail[..2].copy_from_slice(b"5t");
    with_checksum(&format!("{prefix}{}", String::from_utf8_lossy(&tail)))
}

pub(super) fn with_checksum(id: &str) -> String {
    let mut text = id.to_owned();
    for group in id.as_bytes().chunks(5) {
        let mut bits = 0;
        for (at, character) in group.iter().enumerate() {
            if character.is_ascii_uppercase() {
                bits |= 1 << at;
            }
        }
        text.push(char::from(CHECKSUM[bits]));
    }
    text
}

/// The 18-character form, if it is an id at all.
pub(super) fn canonical(id: &str) -> Option<String> {
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    match id.len() {
        15 => Some(with_checksum(id)),
        18 => Some(with_checksum(&id[..15])).filter(|expected| expected == id),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_fact_sheet() {
        for (id, checksum) in [
            ("a0RE000000IJmcN", "MAT"),
            ("001M000000qfPyS", "IAU"),
            ("0F9E000000092w2", "KAA"),
            ("aBcDEfgHIJKLMNO", "025"),
            ("001D000000IqhSL", "IAZ"),
            ("003xx000004TmiQ", "AAS"),
        ] {
            assert_eq!(with_checksum(id), format!("{id}{checksum}"));
            assert_eq!(canonical(id), canonical(&format!("{id}{checksum}")));
        }
        assert_eq!(canonical("003xx000004TmiQAAA"), None);
        assert_eq!(canonical("003xx000004TmiqAAS"), None);
    }
}
