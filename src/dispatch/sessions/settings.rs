//! What sessions may take.

use crate::model::SessionLimits;

/// Limits of sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionSettings {
    /// Of one session, where it does not have tighter ones of its own.
    pub limits: SessionLimits,
    /// Live ones at once, over all tenants.
    pub live_max: usize,
    /// Messages of one session, of both directions.
    pub messages_max: i64,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            limits: SessionLimits {
                idle_ms: 600_000,
                turns_max: 500,
                total_ms: 7 * 86_400_000,
                cost_micros_max: None,
            },
            live_max: 10_000,
            messages_max: 100_000,
        }
    }
}

impl SessionSettings {
    /// The limits of a session that wants these: it can only have tighter ones than are set.
    pub(super) fn limits(&self, wanted: Option<SessionLimits>) -> SessionLimits {
        let Some(wanted) = wanted else { return self.limits };
        let most = self.limits;
        let cost = [wanted.cost_micros_max, most.cost_micros_max].into_iter().flatten().min();
        SessionLimits {
            idle_ms: wanted.idle_ms.clamp(1, most.idle_ms),
            turns_max: wanted.turns_max.clamp(1, most.turns_max),
            total_ms: wanted.total_ms.clamp(1, most.total_ms),
            cost_micros_max: cost,
        }
    }
}
