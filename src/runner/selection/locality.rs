//! Near to where the job had better run.

use super::place::Distances;
use super::{Candidate, PoolFacts, Score, SelectionPolicy, Wanted};

/// Prefers runners in the job's `preferred_regions`, in their order, then the nearest to one of
/// them by the pool's distances. An entry is a region or a zone of one, `eu-west/b`. Jobs without
/// preferred regions get the least loaded runner.
#[derive(Clone, Debug)]
pub struct Locality {
    distances: Distances,
}

impl Locality {
    /// With the distances of a pool.
    pub fn new(facts: &PoolFacts) -> Self {
        Self { distances: Distances::new(&facts.distances) }
    }
}

impl SelectionPolicy for Locality {
    fn looks_at_jobs(&self) -> bool {
        true
    }

    fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
        let preferred = &wanted.requirements.preferred_regions;
        let rank = self.distances.rank(preferred, candidate.capabilities);
        Score::new(wanted, candidate, -i64::try_from(rank).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Runner, chosen, in_region, wanted};
    use super::*;
    use crate::model::RunnerRequirements;

    #[test]
    fn the_nearest_runner_gets_it_however_busy_it_is() {
        let place =
            |region, used| Runner { capabilities: in_region(region), used, ..Runner::default() };
        let runners = [place("us", 0), place("uk", 1), place("eu", 3)];
        let facts = PoolFacts {
            distances: [(("eu".into(), "uk".into()), 2), (("eu".into(), "us".into()), 9)].into(),
            ..PoolFacts::default()
        };
        let policy = Locality::new(&facts);
        let mut requirements =
            RunnerRequirements { preferred_regions: vec!["eu".into()], ..Default::default() };
        assert_eq!(chosen(&policy, &wanted(&requirements), &runners), 2);
        assert_eq!(chosen(&policy, &wanted(&requirements), &runners[..2]), 1);
        requirements.preferred_regions.clear();
        assert_eq!(chosen(&policy, &wanted(&requirements), &runners), 0, "the least loaded");
    }
}
