//! The default policy: the runner with the smallest share of its slots in use.

use super::{SelectionPolicy, Standing};

/// Prefers the smallest `used / slots`; among equals whoever waits longest.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastLoaded;

impl LeastLoaded {
    /// The share of slots in use, then how long it waits.
    pub fn rank(standing: &Standing) -> (u64, u64) {
        // A fixed-point ratio orders exactly as the fractions do while slots stay below 2^16.
        let load = (u64::from(standing.used) << 32) / u64::from(standing.slots.max(1));
        (load, standing.parked_at)
    }
}

impl SelectionPolicy for LeastLoaded {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_counts_not_the_number_of_jobs() {
        let rank = |used, slots, parked_at| {
            LeastLoaded.standing(&Standing { used, slots, parked_at, given_at: 0 })
        };
        assert!(rank(2, 8, 9) < rank(1, 2, 1));
        assert!(rank(1, 3, 9) < rank(334, 1_000, 1));
        assert!(rank(1, 4, 1) < rank(2, 8, 2), "equal shares: who waits longer");
    }
}
