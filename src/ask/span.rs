//! Spans and moments as people write them: `90s`, `2h`, `2026-11-21T08:00:00Z`.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use super::forms::wrong;

/// `60s` as milliseconds; the units are ms, s, m, h and d. The unit must be there.
pub fn millis(text: &str) -> Option<i64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(factor)
}

/// Milliseconds, written with their unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub struct Span(pub i64);

impl TryFrom<Value> for Span {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::String(text) => millis(text).map(Self).ok_or_else(|| {
                format!("`{text}` is not a whole number with a unit: 500ms, 90s, 5m, 2h")
            }),
            Value::Number(number) => {
                Err(format!("the number {number} has no unit; write 500ms, 90s, 5m or 2h"))
            }
            other => Err(wrong(other, "a time like 90s, 5m or 2h")),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", self.0))
    }
}

/// By when work should have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(try_from = "Value")]
pub enum Deadline {
    /// So many milliseconds after the event or the submission.
    In(i64),
    /// At this time, wall milliseconds.
    At(i64),
}

impl TryFrom<Value> for Deadline {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let Value::String(text) = &value else {
            return Err(wrong(&value, "a time like 2h, or 2026-11-21T08:00:00Z in quotes,"));
        };
        if let Some(millis) = millis(text) {
            return Ok(Self::In(millis));
        }
        let at: Result<jiff::Timestamp, _> = text.parse();
        at.map(|at| Self::At(at.as_millisecond())).map_err(|_| {
            format!("`{text}` is neither a span like 2h nor a time like 2026-11-21T08:00:00Z")
        })
    }
}

impl Serialize for Deadline {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::In(millis) => Span(millis).serialize(serializer),
            Self::At(at_ms) => {
                let at = jiff::Timestamp::from_millisecond(at_ms);
                serializer.collect_str(&at.map_err(serde::ser::Error::custom)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_whole_number_with_a_unit_and_nothing_else() {
        assert_eq!(millis("60s"), Some(60_000));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("6h"), Some(21_600_000));
        assert_eq!(millis("0ms"), Some(0));
        for not_a_time in
            ["", "s", "60", "1.5s", "-1s", "60 s", "60s ", "60S", "9223372036854775807h"]
        {
            assert_eq!(millis(not_a_time), None, "{not_a_time}");
        }
    }

    #[test]
    fn a_deadline_is_a_span_or_a_moment() {
        let read = |text: &str| Deadline::try_from(Value::from(text));
        assert_eq!(read("2h"), Ok(Deadline::In(7_200_000)));
        assert_eq!(read("1970-01-01T01:00:01+01:00"), Ok(Deadline::At(1_000)));
        let at = serde_json::to_string(&Deadline::At(1_500)).unwrap();
        assert_eq!(at, r#""1970-01-01T00:00:01.5Z""#);
        for (wrong, why) in [
            (
                "tomorrow",
                "`tomorrow` is neither a span like 2h nor a time like 2026-11-21T08:00:00Z",
            ),
            (
                "2026-11-21",
                "`2026-11-21` is neither a span like 2h nor a time like 2026-11-21T08:00:00Z",
            ),
        ] {
            assert_eq!(read(wrong), Err(why.to_owned()));
        }
        assert!(Span::try_from(Value::from(5)).unwrap_err().contains("the number 5 has no unit"));
    }
}
