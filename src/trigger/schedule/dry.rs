//! Expressions tried out without a configuration: one line of JSON in, one answer out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Schedule, Syntax};
use crate::model::question;

/// The most times of one answer.
pub const COUNT_MAX: usize = 1_000;

/// An expression, and from when on its times are asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CronQuestion {
    expr: String,
    #[serde(default)]
    tz: Option<String>,
    after: String,
    #[serde(default = "five")]
    count: usize,
    #[serde(default)]
    syntax: Syntax,
}

fn five() -> usize {
    5
}

/// The times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CronAnswer {
    /// In their order, in UTC (RFC 3339); fewer than were asked for where there are no more.
    pub next: Vec<String>,
}

/// The next times of an expression.
///
/// `{"expr": "30 2 * * 1-5", "tz": "Europe/Berlin", "after": "2026-03-27T00:00:00Z", "count": 5, "syntax": "unix"}`
///
/// # Errors
/// The line is no such question, or the expression or zone is none.
pub fn cron(line: &str) -> Result<CronAnswer, String> {
    let question: CronQuestion = question(line)?;
    let CronQuestion { expr, tz, after, count, syntax } = question;
    if count > COUNT_MAX {
        return Err(format!("count: {count} is over {COUNT_MAX}"));
    }
    let after = rfc3339(&after).ok_or_else(|| {
        format!("after: `{}` is no time as RFC 3339 has them", after.escape_debug())
    })?;
    let schedule = Schedule::new(&expr, syntax, tz.as_deref().unwrap_or("UTC"));
    let schedule = schedule.map_err(|fault| fault.to_string())?;
    let times = schedule.next(after.as_millisecond(), count).into_iter();
    Ok(CronAnswer { next: times.map(utc).collect() })
}

/// Reads a time as <https://www.rfc-editor.org/rfc/rfc3339#section-5.6> has it, and in no other form that ISO 8601 or
/// the library knows. Digits of the fraction beyond the ninth say nothing here.
fn rfc3339(text: &str) -> Option<Timestamp> {
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'd' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                wanted => byte == wanted,
            })
    };
    let (time, rest) = text.split_at_checked("dddd-dd-ddTdd:dd:dd".len())?;
    let zone = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (fraction, zone) = rest.split_at(zone);
    let digits = match fraction.strip_prefix('.') {
        Some(digits) => Some(digits).filter(|it| !it.is_empty() && !it.contains('.'))?,
        None => Some("").filter(|_| fraction.is_empty())?,
    };
    let is_offset = matches!(zone, "Z" | "z")
        || ((shape(zone, "+dd:dd") || shape(zone, "-dd:dd")) && &zone[1..3] < "24");
    if !shape(time, "dddd-dd-ddTdd:dd:dd") || !is_offset {
        return None;
    }
    let digits = &digits[..digits.len().min(9)];
    let point = if digits.is_empty() { "" } else { "." };
    format!("{time}{point}{digits}{zone}").parse().ok()
}

/// A moment in UTC, as RFC 3339 has it.
pub fn utc(wall_ms: i64) -> String {
    Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| format!("{wall_ms} ms"), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://www.rfc-editor.org/rfc/rfc3339#section-5.6>
    #[test]
    fn a_time_is_one_of_rfc_3339_and_nothing_else() {
        let next = |after: &str| {
            let line = serde_json::json!({ "expr": "* * * * *", "after": after, "count": 1 });
            cron(&line.to_string()).ok().map(|answer| answer.next[0].clone())
        };
        let noon = Some("2026-10-24T12:01:00Z".to_owned());
        for good in [
            "2026-10-24T12:00:00Z",
            "2026-10-24t12:00:00.5z",
            "2026-10-24 12:00:00+00:00",
            "2026-10-24T12:00:00.123456789012345Z",
            "2026-10-24T14:30:10.9+02:30",
            "2026-10-24T10:00:00-02:00",
        ] {
            assert_eq!(next(good), noon, "{good}");
        }
        for bad in [
            "2026-10-24T12:00Z",
            "2026-10-24T12:00:00",
            "2026-10-24T12:00:00+24:00",
            "2026-10-24T12:00:00+0200",
            "2026-10-24T12:00:00+02",
            "2026-10-24T12:00:00,5Z",
            "2026-10-24T12:00:00.Z",
            "2026-10-24T12:00:00.1.2Z",
            "2026-10-24T12:00:00Z[UTC]",
            "20261024T120000Z",
            "+002026-10-24T12:00:00Z",
            "2026-13-24T12:00:00Z",
            "2026-10-24T25:00:00Z",
            "2026-10-24T12:00:0\u{660}Z",
            "",
        ] {
            assert_eq!(next(bad), None, "{bad}");
        }
    }
}
