//! Expressions tried out without a configuration: one line of JSON in, one answer out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Schedule, Syntax};

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
    let question: CronQuestion = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let CronQuestion { expr, tz, after, count, syntax } = question;
    if count > COUNT_MAX {
        return Err(format!("count: {count} is over {COUNT_MAX}"));
    }
    let after: Timestamp = after.parse().map_err(|_| {
        format!("after: `{}` is no time as RFC 3339 has them", after.escape_debug())
    })?;
    let schedule = Schedule::new(&expr, syntax, tz.as_deref().unwrap_or("UTC"));
    let schedule = schedule.map_err(|fault| fault.to_string())?;
    let times = schedule.next(after.as_millisecond(), count).into_iter();
    Ok(CronAnswer { next: times.map(utc).collect() })
}

/// A moment in UTC, as RFC 3339 has it.
pub fn utc(wall_ms: i64) -> String {
    Timestamp::from_millisecond(wall_ms)
        .map_or_else(|_| format!("{wall_ms} ms"), |at| at.to_string())
}
