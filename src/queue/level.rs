//! The level at which a waiting job counts: its priority, raised by a start that is due soon, and
//! by waiting.
//!
//! ```text
//! priority --a due start nears--> lane level --waiting--> effective level
//! ```
//!
//! The lane level changes at few moments, so a timer moves the job to another lane. The effective
//! level follows from the lane level and the lane key: of two jobs in one lane the one in front has
//! never the less urgent level, so a decision only looks at heads. A job that is moved to the front
//! gets the lane key of the oldest, and with it that job's age.

use crate::model::JobPriority;

/// How waiting and due starts raise levels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raising {
    /// Waiting raises by one level in this time, up to `high`; 0 for never.
    pub aging_ms: i64,
    /// A start that is due in this time counts as `high`, in twice this time at least as
    /// `normal`, and so on; at least 1.
    pub deadline_raise_ms: i64,
}

impl Raising {
    /// The level of the lane of a job whose work should begin by `start_by_ms`, and when that
    /// changes next (wall).
    pub fn lane_level(
        self,
        priority: JobPriority,
        start_by_ms: Option<i64>,
        wall_ms: i64,
    ) -> (JobPriority, Option<i64>) {
        let Some(start_by_ms) = start_by_ms.filter(|_| priority > JobPriority::High) else {
            return (priority, None);
        };
        let step = self.deadline_raise_ms.max(1);
        let left = start_by_ms.saturating_sub(wall_ms).max(1);
        let by_deadline = 1 + (left - 1) / step;
        let level = by_deadline.min(priority.level() as i64);
        let next = (level > 1).then(|| start_by_ms.saturating_sub((level - 1) * step));
        (JobPriority::from_level(level).unwrap_or(priority), next)
    }

    /// The level at which the head of a lane counts, and when that changes next (wall).
    pub fn effective(
        self,
        lane_level: JobPriority,
        lane_key: i64,
        wall_ms: i64,
    ) -> (JobPriority, i64) {
        if lane_level <= JobPriority::High || self.aging_ms <= 0 {
            return (lane_level, i64::MAX);
        }
        let raises = wall_ms.saturating_sub(lane_key).max(0) / self.aging_ms;
        let level = (lane_level.level() as i64).saturating_sub(raises).max(1);
        let next = match level > 1 {
            true => lane_key.saturating_add((raises + 1).saturating_mul(self.aging_ms)),
            false => i64::MAX,
        };
        (JobPriority::from_level(level).unwrap_or(lane_level), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobPriority::{Background, Critical, High, Low, Normal};

    const RAISING: Raising = Raising { aging_ms: 100, deadline_raise_ms: 10 };

    #[test]
    fn waiting_raises_one_level_at_a_time_up_to_high() {
        let at = |wall_ms| RAISING.effective(Background, 1_000, wall_ms);
        assert_eq!(at(1_000), (Background, 1_100));
        assert_eq!(at(1_099), (Background, 1_100));
        assert_eq!(at(1_100), (Low, 1_200));
        assert_eq!(at(1_300), (High, i64::MAX));
        assert_eq!(at(9_000), (High, i64::MAX), "never critical");
        assert_eq!(at(0), (Background, 1_100), "a clock that went back takes nothing away");
        assert_eq!(RAISING.effective(Critical, 0, 9_000), (Critical, i64::MAX));
        let off = Raising { aging_ms: 0, ..RAISING };
        assert_eq!(off.effective(Low, 0, i64::MAX), (Low, i64::MAX));
    }

    #[test]
    fn a_due_start_raises_step_by_step() {
        let at = |wall_ms| RAISING.lane_level(Background, Some(1_000), wall_ms);
        assert_eq!(at(900), (Background, Some(970)));
        assert_eq!(at(970), (Low, Some(980)));
        assert_eq!(at(980), (Normal, Some(990)));
        assert_eq!(at(990), (High, None));
        assert_eq!(at(2_000), (High, None));
        assert_eq!(RAISING.lane_level(Low, None, 0), (Low, None));
        assert_eq!(RAISING.lane_level(Critical, Some(0), 0), (Critical, None));
        assert_eq!(RAISING.lane_level(Low, Some(1_000), 0), (Low, Some(980)));
    }

    #[test]
    fn every_change_comes_when_it_was_announced() {
        for wall_ms in 0..1_200 {
            let (level, next) = RAISING.lane_level(Background, Some(1_000), wall_ms);
            let same = |at| RAISING.lane_level(Background, Some(1_000), at).0 == level;
            assert!(next.is_none_or(|next| same(next - 1) && !same(next)), "at {wall_ms}");
            let (level, next) = RAISING.effective(Background, 500, wall_ms);
            let same = |at| RAISING.effective(Background, 500, at).0 == level;
            assert!(next == i64::MAX || (same(next - 1) && !same(next)), "at {wall_ms}");
        }
    }
}
