//! `priority`: level, then fair share, then age. The default.

use super::{LaneHead, Rank, SchedulingPolicy};

/// The most urgent first; among equals the tenant that had least.
#[derive(Clone, Copy, Debug, Default)]
pub struct Priority;

impl SchedulingPolicy for Priority {
    fn rank(&self, head: &LaneHead) -> Rank {
        [head.level as u64, head.virtual_time, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{head, order};
    use super::*;
    use crate::model::JobPriority::{High, Normal};

    #[test]
    fn level_goes_before_share_and_share_before_age() {
        let greedy = LaneHead { virtual_time: 9, ..head(1, Normal, 0) };
        let modest = LaneHead { virtual_time: 1, ..head(2, Normal, 50) };
        let urgent = LaneHead { virtual_time: 99, ..head(3, High, 70) };
        assert_eq!(order(&Priority, &[greedy, modest, urgent]), [3, 2, 1]);
    }
}
