//! Times as people read them.

use super::CliError;

/// RFC 3339 in UTC, to the millisecond: `2026-11-21T08:00:00.5Z`.
pub(super) fn rfc3339(wall_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| format!("{wall_ms} ms"), |time| time.to_string())
}

/// The same of a time that need not be.
pub(super) fn rfc3339_or_dash(wall_ms: Option<i64>) -> String {
    wall_ms.map_or_else(|| "-".to_owned(), rfc3339)
}

/// How long ago: `now`, `5s`, `3m`, `2h`, `4d`. A time of a clock that goes before ours is now.
pub(super) fn age(now_ms: i64, then_ms: i64) -> String {
    span(now_ms.saturating_sub(then_ms))
}

/// How long: `now`, `5s`, `3m`, `2h`, `4d`.
pub(super) fn span(ms: i64) -> String {
    match ms / 1_000 {
        ..1 => "now".to_owned(),
        seconds @ 1..120 => format!("{seconds}s"),
        seconds @ 120..7_200 => format!("{}m", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

/// A duration to two or three digits: `12ms`, `1.5s`, `61s`, `90m`.
pub(super) fn precise(ms: u64) -> String {
    match ms {
        ..1_000 => format!("{ms}ms"),
        1_000..10_000 => format!("{:.1}s", ms as f64 / 1_000.0),
        _ => span(i64::try_from(ms).unwrap_or(i64::MAX)),
    }
}

/// A moment in the past, written as how long ago it was (`90m`, `24h`, `7d`) or as RFC 3339.
fn ago_or_at(text: &str, now_ms: i64) -> Option<i64> {
    let days = text.strip_suffix('d').filter(|days| days.bytes().all(|b| b.is_ascii_digit()));
    let ago_ms = match days {
        Some(days) => Some(days.parse::<i64>().ok()?.checked_mul(86_400_000)?),
        None => crate::ask::millis(text),
    };
    match ago_ms {
        Some(ago_ms) => now_ms.checked_sub(ago_ms),
        None => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
    }
}

/// The same of an argument.
///
/// # Errors
/// It is neither.
pub(super) fn moment(argument: &str, text: &str, now_ms: i64) -> Result<i64, CliError> {
    ago_or_at(text, now_ms).ok_or_else(|| CliError::Usage {
        message: format!("{argument} `{text}` is neither a span like 7d nor a time"),
        hint: "write it as 90m, 24h, 7d, or 2026-11-21T08:00:00Z".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_one_unit_and_is_never_negative() {
        let at = |ms: i64| age(1_000_000_000, 1_000_000_000 - ms);
        assert_eq!(at(-5_000), "now");
        assert_eq!(at(999), "now");
        assert_eq!(at(119_999), "119s");
        assert_eq!(at(120_000), "2m");
        assert_eq!(at(7_200_000), "2h");
        assert_eq!(at(172_800_000), "2d");
        assert_eq!(age(i64::MIN, i64::MAX), "now");
    }

    #[test]
    fn a_time_is_rfc_3339_and_an_impossible_one_a_number() {
        assert_eq!(rfc3339(1_763_712_000_500), "2025-11-21T08:00:00.5Z");
        assert_eq!(rfc3339(i64::MAX), "9223372036854775807 ms");
    }

    #[test]
    fn a_moment_is_so_long_ago_or_a_time() {
        let at = |text| ago_or_at(text, 1_000_000_000_000);
        assert_eq!(at("7d"), Some(1_000_000_000_000 - 604_800_000));
        assert_eq!(at("90m"), Some(1_000_000_000_000 - 5_400_000));
        assert_eq!(at("1970-01-01T00:00:01Z"), Some(1_000));
        for wrong in ["banana", "", "d", "-7d", "1.5d", "7", "99999999999999999999d", "7D"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_precise_duration_keeps_what_matters() {
        let shown = [12, 1_500, 61_000, 5_400_000].map(precise);
        assert_eq!(shown, ["12ms", "1.5s", "61s", "90m"]);
    }
}
