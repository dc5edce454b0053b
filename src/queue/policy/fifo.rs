//! `fifo`: who came first, whatever its level and whoever is charged.

use super::{LaneHead, Rank, SchedulingPolicy};

/// The oldest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fifo;

impl SchedulingPolicy for Fifo {
    fn rank(&self, _: &LaneHead) -> Rank {
        [0; 3]
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{head, order};
    use super::*;
    use crate::model::JobPriority::{Background, Critical};

    #[test]
    fn only_age_counts() {
        let heads = [head(1, Critical, 20), head(2, Background, 10), head(3, Critical, 10)];
        assert_eq!(order(&Fifo, &heads), [2, 3, 1]);
    }
}
