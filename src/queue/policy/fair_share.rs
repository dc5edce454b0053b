//! `fair_share`: the tenant that had least goes first, and only inside a tenant the level counts.

use super::{LaneHead, Rank, SchedulingPolicy};

/// Fair share before level.
#[derive(Clone, Copy, Debug, Default)]
pub struct FairShare;

impl SchedulingPolicy for FairShare {
    fn rank(&self, head: &LaneHead) -> Rank {
        [head.virtual_time, head.level as u64, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{head, order};
    use super::*;
    use crate::model::JobPriority::{Critical, High, Low};

    #[test]
    fn a_modest_tenant_goes_before_an_urgent_one() {
        let urgent = LaneHead { virtual_time: 9, ..head(1, Critical, 0) };
        let modest = [head(2, Low, 50), head(3, High, 60)];
        assert_eq!(order(&FairShare, &[urgent, modest[0], modest[1]]), [3, 2, 1]);
    }
}
