//! Dates and instants as people's tools write them, read strictly: what could mean two things is
//! not guessed.

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
    (millis.rem_euclid(DAY) == 0 && super::encode::push_date(&mut out, millis.div_euclid(DAY)))
        .then_some(out)
}

/// An instant as ISO text in UTC; the text itself where it has that form already.
pub(super) fn in_utc(text: &str, zone: Option<i64>) -> Option<String> {
    let mut out = String::new();
    super::encode::push_timestamp(&mut out, milliseconds(text, zone)?.checked_mul(1_000)?)
        .then_some(out)
}

/// Whether digits may be a time that is written without separators, as YYYYMMDDHHMM with or without
/// seconds and milliseconds.
pub(super) fn is_compact(text: &str) -> bool {
    if !matches!(text.len(), 12 | 14 | 17) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    let day = format!("{}-{}-{}", part(0, 4), part(4, 6), part(6, 8));
    let seconds = if text.len() == 12 { "00" } else { part(12, 14) };
    matches!(part(0, 2), "19" | "20" | "21")
        && date(&day).is_some()
        && part(8, 10) < "24"
        && part(10, 12) < "60"
        && seconds < "60"
}

/// Milliseconds since 1970 of an ISO text with a zone, or of at least twelve digits. Fewer may be
/// seconds, and others a time without separators: that is not guessed.
fn milliseconds(text: &str, zone: Option<i64>) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() >= 12 && digits.bytes().all(|b| b.is_ascii_digit()) {
        return if is_compact(text) { None } else { text.parse().ok() };
    }
    // With a blank instead of `T`, as databases print it.
    if !matches!(text.as_bytes().get(10), Some(b'T' | b' ' | b't')) {
        return None;
    }
    let iso = format!("{}T{}", date(text.get(..10)?)?, text.get(11..)?);
    let local = || Some(instant(&format!("{iso}Z"))? - zone? * 60_000);
    instant(&iso).or_else(local)
}

/// Milliseconds since 1970 of `YYYY-MM-DD` (midnight UTC) or
/// `YYYY-MM-DDTHH:MM[:SS[.fff]](Z|±HH[[:]MM])`, of a time that there is.
pub(crate) fn instant(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    let byte = |at: usize| text.as_bytes().get(at).copied();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    if byte(4)? != b'-'
        || byte(7)? != b'-'
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
    {
        return None;
    }
    let midnight = days_of(year, month, day) * 86_400_000;
    if text.len() == 10 {
        return Some(midnight);
    }
    let (hour, minute) = (number(11..13)?, number(14..16)?);
    if byte(10)? != b'T' || byte(13)? != b':' || hour > 23 || minute > 59 {
        return None;
    }
    let (second, mut rest) = if byte(16) == Some(b':') {
        (number(17..19)?, text.get(19..)?)
    } else {
        (0, text.get(16..)?)
    };
    if second > 59 {
        return None;
    }
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.').filter(|_| byte(16) == Some(b':')) {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        for at in 0..3 {
            millis = millis * 10
                + fraction
                    .as_bytes()
                    .get(at)
                    .filter(|_| at < digits)
                    .map_or(0, |b| i64::from(b - b'0'));
        }
        rest = fraction.get(digits..)?;
    }
    let local = midnight + ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    Some(local - offset(rest)? * 60_000)
}

/// Minutes east of UTC of `Z`, `±HH`, `±HHMM` or `±HH:MM`; no clock is more than 14 hours ahead or
/// 12 behind.
pub(crate) fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return None,
    };
    let (hours, minutes) = match rest.len() {
        2 => (rest, "00"),
        4 => rest.split_at_checked(2)?,
        5 => rest.split_once(':')?,
        _ => return None,
    };
    let two = |text: &str| {
        (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse::<i64>().ok())?
    };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 14 * 60).then_some(sign * total)
}

/// Days since 1970, after Howard Hinnant's `days_from_civil`.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
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
            assert_eq!(in_utc(text, None).as_deref(), Some(iso), "{text}");
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
            assert_eq!(in_utc(bad, None), None, "{bad}");
        }
        assert_eq!(midnight("2026-10-02T02:00:00+02:00", None).as_deref(), Some("2026-10-02"));
        assert_eq!(midnight("1790899200000", None).as_deref(), Some("2026-10-02"));
        assert_eq!(midnight("1790899200001", None), None);
        assert_eq!(
            in_utc("2026-10-02 08:15:30", Some(120)).as_deref(),
            Some("2026-10-02T06:15:30.000Z"),
            "by the zone that was said"
        );
        assert_eq!(
            in_utc("2026-10-02T08:15:30Z", Some(120)).as_deref(),
            Some("2026-10-02T08:15:30.000Z"),
            "its own zone counts"
        );
    }
}
