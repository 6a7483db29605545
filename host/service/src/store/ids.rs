//! Ids and times.

use rand::{TryRngCore, rngs::OsRng};
use std::fmt::Write;

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// A time as people and programs read it: RFC 3339, UTC.
pub fn time_text(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map_or_else(|_| String::new(), |time| format!("{time:.3}"))
}

/// So many random bytes in hexadecimal digits, behind a prefix.
pub fn random_id(prefix: &str, bytes: usize) -> String {
    let mut random = vec![0; bytes];
    if let Err(error) = OsRng.try_fill_bytes(&mut random) {
        // Without randomness there are no keys, and nothing that follows could be trusted.
        panic!("the system has no random numbers: {error}");
    }
    let mut text = String::with_capacity(prefix.len() + bytes * 2);
    text.push_str(prefix);
    for byte in random {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_times_are_rfc_3339() {
        assert_ne!(random_id("src_", 8), random_id("src_", 8));
        assert_eq!(random_id("src_", 8).len(), 20);
        assert_eq!(time_text(1_764_046_800_123), "2025-11-25T05:00:00.123Z");
    }
}
