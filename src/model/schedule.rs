//! How far a schedule is handled: what makes each of its times come once.

use super::DeliveryId;

/// A schedule's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScheduleMark {
    /// Its name: that of its trigger, and its place there.
    pub name: Box<str>,
    /// Expression, form and zone: with another one it begins anew.
    pub definition: Box<str>,
    /// Its times up to this one are handled: came, or were passed over (wall milliseconds).
    pub handled_ms: i64,
    /// The last time that came.
    pub fired_ms: Option<i64>,
    /// The delivery that it made.
    pub delivery_id: Option<DeliveryId>,
    /// Times that were passed over, of all.
    pub passed: u64,
    /// How many were last passed over, and why, for people; empty when none was.
    pub note: Box<str>,
    /// When that was (wall milliseconds).
    pub noted_at_ms: i64,
}

impl ScheduleMark {
    /// Of a schedule that counts from now on.
    pub fn begin(name: &str, definition: &str, now_ms: i64) -> Self {
        Self {
            name: name.into(),
            definition: definition.into(),
            handled_ms: now_ms,
            fired_ms: None,
            delivery_id: None,
            passed: 0,
            note: "".into(),
            noted_at_ms: 0,
        }
    }
}
