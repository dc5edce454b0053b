//! Times as people read them.

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
}
