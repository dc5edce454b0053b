//! Times at which triggers start by themselves.
//!
//! ```text
//! GET    /api/v1/schedules                     List<ScheduleView>
//! ```

use serde::{Deserialize, Serialize};

use super::PauseView;
use crate::model::DeliveryId;

/// A time of a trigger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScheduleView {
    /// Its name: the trigger's, and its place there: `nightly#1`.
    pub name: String,
    /// The trigger that it starts.
    pub trigger: String,
    /// The expression.
    pub cron: String,
    /// `unix` or `quartz`.
    pub syntax: String,
    /// By whose clocks.
    pub zone: String,
    /// The same in words.
    pub words: String,
    /// The next five times, jitter not counted.
    pub next: Vec<NextTime>,
    /// Its times up to this one came, or were passed over, in wall milliseconds; `None` until it is taken up.
    pub handled_ms: Option<i64>,
    /// The last time that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastTime>,
    /// What becomes of times that passed: `skip`, `once` or `all`.
    pub missed: String,
    /// By how many milliseconds it may come later.
    pub jitter_ms: u32,
    /// What keeps it from coming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseView>,
    /// How many times wait for the end of that pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<usize>,
    /// Times that did not come, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<PassedTimes>,
}

/// A time that will come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NextTime {
    /// Wall milliseconds.
    pub at_ms: i64,
    /// RFC 3339, in UTC.
    pub utc: String,
    /// RFC 3339, as clocks of the zone show it.
    pub local: String,
}

/// A time that came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LastTime {
    /// The scheduled time, in wall milliseconds.
    pub at_ms: i64,
    /// The same as RFC 3339, in UTC.
    pub utc: String,
    /// The delivery that it made.
    pub delivery_id: Option<DeliveryId>,
}

/// Times that did not come.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PassedTimes {
    /// How many, since the schedule is what it is.
    pub count: u64,
    /// How many were last, and why.
    pub note: String,
    /// When that was found, wall milliseconds.
    pub at_ms: i64,
}
