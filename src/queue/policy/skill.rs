//! `skill`: the job that fewest runners can take goes first, so that a rare runner is not busy with
//! what any other could do. Among equals as `priority`.

use super::{LaneHead, Rank, SchedulingPolicy};

/// The scarcest capability first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Skill;

impl SchedulingPolicy for Skill {
    fn rank(&self, head: &LaneHead) -> Rank {
        [head.runners as u64, head.level as u64, head.virtual_time]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{head, order};
    use super::*;
    use crate::model::JobPriority::{High, Low};

    #[test]
    fn what_few_runners_can_take_goes_first() {
        let common = LaneHead { runners: 40, ..head(1, High, 0) };
        let rare = LaneHead { runners: 2, ..head(2, Low, 50) };
        assert_eq!(order(&Skill, &[common, rare]), [2, 1]);
    }
}
