//! In turn: whoever was given a job longest ago.

use super::{SelectionPolicy, Standing};

/// Prefers the runner whose last job is longest ago, one that never had a job above all; among
/// those whoever waits longest. How busy they are plays no part.
#[derive(Clone, Copy, Debug, Default)]
pub struct RoundRobin;

impl SelectionPolicy for RoundRobin {
    fn standing(&self, standing: &Standing) -> (u64, u64) {
        (standing.given_at, standing.parked_at)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Runner, chosen, wanted};
    use super::*;

    #[test]
    fn everybody_has_a_turn_before_anybody_has_two() {
        let mut runners = [Runner::default(), Runner::default(), Runner::default()];
        runners[1].used = 3;
        let requirements = Default::default();
        let mut turns = Vec::new();
        for given_at in 1..=6 {
            let at = chosen(&RoundRobin, &wanted(&requirements), &runners);
            runners[at].given_at = given_at;
            turns.push(at);
        }
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    }
}
