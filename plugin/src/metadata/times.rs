//! Dates and instants as people's tools write them, read strictly: what could mean two things is not guessed.

/// `YYYY-MM-DD`, of a day that exists.
pub(super) fn date(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let number = |range: std::ops::Range<usize>| {
        let part = text.get(range)?;
        if part.bytes().all(|b| b.is_ascii_digit()) { part.parse::<u32>().ok() } else { None }
    };
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    (year > 0 && (1..=days).contains(&day)).then_some(text)
}

/// The day of an instant that is exactly midnight UTC, as ISO text or in milliseconds since 1970.
pub(super) fn midnight(text: &str, zone: Option<i64>) -> Option<String> {
    const DAY: i64 = 86_400_000;
    let millis = milliseconds(text, zone)?;
    let mut out = String::new();
    (millis.rem_euclid(DAY) == 0 && crate::encode::push_date(&mut out, millis.div_euclid(DAY))).then_some(out)
}

/// An instant as ISO text in UTC; the text itself where it has that form already.
pub(super) fn instant(text: &str, zone: Option<i64>) -> Option<String> {
    let mut out = String::new();
    crate::encode::push_timestamp(&mut out, milliseconds(text, zone)?.checked_mul(1_000)?).then_some(out)
}

/// Milliseconds since 1970 of an ISO text with a zone, or of at least twelve digits. Fewer may be seconds, and that is not guessed.
fn milliseconds(text: &str, zone: Option<i64>) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() >= 12 && digits.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    // With a blank instead of `T`, as databases print it.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b' ' | b't')) {
        return None;
    }
    let iso = format!("{}T{}", date(text.get(..10)?)?, text.get(11..)?);
    let local = || Some(crate::normal::instant(&format!("{iso}Z"))? - zone? * 60_000);
    crate::normal::instant(&iso).or_else(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_that_exist_are_dates() {
        for good in ["2024-02-29", "1815-12-10", "2000-02-29", "9999-12-31"] {
            assert_eq!(date(good), Some(good));
        }
        for bad in [
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-13-01",
            "2024-00-10",
            "24-01-01",
            "2024/01/01",
            "2024-1-1",
            "0000-01-01",
            "10.12.1815",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn instants_need_a_zone_and_midnight_is_a_day() {
        for (text, iso) in [
            ("2026-10-02T08:15:30Z", "2026-10-02T08:15:30.000Z"),
            ("2026-10-02 08:15:30.5+02:00", "2026-10-02T06:15:30.500Z"),
            ("1790899200000", "2026-10-02T00:00:00.000Z"),
            ("2026-10-02 08:15:30+02", "2026-10-02T06:15:30.000Z"),
            ("2026-10-02t08:15z", "2026-10-02T08:15:00.000Z"),
        ] {
            assert_eq!(instant(text, None).as_deref(), Some(iso), "{text}");
        }
        for bad in [
            "2026-10-02",
            "2026-10-02T08:15:30",
            "2026-02-30T00:00:00Z",
            "yesterday",
            "123",
            "1790899200",
            "17908992000",
            "2026-10-02T25:61:61Z",
            "2026-10-02T08:15:30+99:99",
        ] {
            assert_eq!(instant(bad, None), None, "{bad}");
        }
        assert_eq!(midnight("2026-10-02T02:00:00+02:00", None).as_deref(), Some("2026-10-02"));
        assert_eq!(midnight("1790899200000", None).as_deref(), Some("2026-10-02"));
        assert_eq!(midnight("1790899200001", None), None);
        assert_eq!(instant("2026-10-02 08:15:30", Some(120)).as_deref(), Some("2026-10-02T06:15:30.000Z"), "by the zone that was said");
        assert_eq!(instant("2026-10-02T08:15:30Z", Some(120)).as_deref(), Some("2026-10-02T08:15:30.000Z"), "its own zone counts");
    }
}
