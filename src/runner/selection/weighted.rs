//! Everything at once, each with its weight.

use serde::{Deserialize, Serialize};

use super::place::Distances;
use super::{Candidate, PoolFacts, Score, SelectionPolicy, Wanted};

/// How much each part counts. A part is a number from 0 to 1000, where 1000 is the best; only the
/// proportions of the weights matter, and 0 leaves a part out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// The share of slots that are free.
    pub load: u16,
    /// How soon the job would be done, repeats counted: 500 when it takes as long as jobs of its
    /// class usually do, 750 when a third of that.
    pub performance: u16,
    /// Where it stands: 1000 in the first of the job's preferred regions, a half in the second, a
    /// third in the third, and so on with the distance.
    pub locality: u16,
    /// The job's wishes, affinity among them: 1000 for one of the strongest kind; several add up.
    pub wishes: u16,
    /// Its health.
    pub health: u16,
    /// What the job would cost on it: 1000 for nothing, 500 at the reference price and where the
    /// price is unknown.
    pub cost: u16,
    /// The price of an hour at which `cost` is 500, in the millionths of `cost_micros_per_hour`.
    pub reference_cost_micros_per_hour: u64,
}

impl Default for Weights {
    /// Load counts most; the job's own wishes outweigh an idle runner; health and cost decide
    /// between runners that are alike.
    fn default() -> Self {
        Self {
            load: 40,
            performance: 30,
            locality: 20,
            wishes: 60,
            health: 20,
            cost: 10,
            reference_cost_micros_per_hour: 1_000_000,
        }
    }
}

/// Prefers the runner with the greatest weighted sum. The one policy that weighs the job's wishes
/// against other things, and does not put them first.
#[derive(Clone, Debug)]
pub struct Weighted {
    weights: Weights,
    distances: Distances,
}

impl Weighted {
    /// The best of a part.
    const FULL: i64 = 1_000;
    /// More wishes than ten of the strongest kind make no difference.
    const WISHES_MAX: i64 = 10;

    /// With the weights and distances of a pool.
    pub fn new(facts: &PoolFacts) -> Self {
        Self { weights: facts.weights, distances: Distances::new(&facts.distances) }
    }

    fn load(candidate: &Candidate<'_>) -> i64 {
        let standing = &candidate.standing;
        let free = standing.slots.saturating_sub(standing.used);
        i64::from(free) * Self::FULL / i64::from(standing.slots.max(1))
    }

    fn performance(wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> i64 {
        part(wanted.expected_run_ms.max(1), candidate.completion_ms())
    }

    fn locality(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> i64 {
        let preferred = &wanted.requirements.preferred_regions;
        let rank = self.distances.rank(preferred, candidate.capabilities);
        Self::FULL / i64::try_from(rank).unwrap_or(i64::MAX).saturating_add(1)
    }

    fn wishes(wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> i64 {
        let most = Self::WISHES_MAX * Score::STRONGEST_WISH;
        let wishes = Score::wishes(wanted, candidate).clamp(-most, most);
        wishes * Self::FULL / Score::STRONGEST_WISH
    }

    fn cost(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> i64 {
        let reference = self.weights.reference_cost_micros_per_hour.max(1);
        let hour = match candidate.capabilities.cost_micros_per_hour {
            0 => reference,
            known => known,
        };
        // A runner that costs twice as much and needs half the time costs the same.
        let time = u128::try_from(candidate.completion_ms()).unwrap_or(1);
        let usual = u128::try_from(wanted.expected_run_ms.max(1)).unwrap_or(1);
        let cost = i64::try_from(u128::from(hour) * time / usual).unwrap_or(i64::MAX);
        part(i64::try_from(reference).unwrap_or(i64::MAX), cost)
    }
}

/// `usual` of `usual + here` in thousandths: 500 when they are equal, more when `here` is less.
fn part(usual: i64, here: i64) -> i64 {
    let (usual, here) = (i128::from(usual), i128::from(here));
    let permille = usual * i128::from(Weighted::FULL) / (usual + here).max(1);
    i64::try_from(permille).unwrap_or(Weighted::FULL)
}

impl SelectionPolicy for Weighted {
    fn looks_at_jobs(&self) -> bool {
        true
    }

    fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
        let weights = &self.weights;
        let parts = [
            (weights.load, Self::load(candidate)),
            (weights.performance, Self::performance(wanted, candidate)),
            (weights.locality, self.locality(wanted, candidate)),
            (weights.wishes, Self::wishes(wanted, candidate)),
            (weights.health, i64::from(candidate.health_percent.min(100)) * 10),
            (weights.cost, self.cost(wanted, candidate)),
        ];
        Score::weighed(parts.iter().map(|&(weight, part)| i64::from(weight) * part).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Runner, chosen, in_region, labelled, priced, wanted};
    use super::*;
    use crate::model::{Preference, RunnerRequirements};

    /// Only what `set` weighs counts.
    fn only(set: fn(&mut Weights)) -> Weighted {
        let mut weights = Weights {
            load: 0,
            performance: 0,
            locality: 0,
            wishes: 0,
            health: 0,
            cost: 0,
            ..Weights::default()
        };
        set(&mut weights);
        Weighted::new(&PoolFacts { weights, ..PoolFacts::default() })
    }

    #[test]
    fn each_part_alone_finds_its_own_best() {
        let ordinary = || Runner { used: 2, health_percent: 80, ..Runner::default() };
        let runners = [
            Runner { used: 0, ..ordinary() },
            Runner { expected_run_ms: 500, ..ordinary() },
            Runner { capabilities: in_region("eu"), ..ordinary() },
            Runner { near: true, ..ordinary() },
            Runner { health_percent: 100, ..ordinary() },
            Runner { capabilities: priced(100_000), ..ordinary() },
        ];
        let requirements =
            RunnerRequirements { preferred_regions: vec!["eu".into()], ..Default::default() };
        let parts: [fn(&mut Weights); 6] = [
            |it| it.load = 1,
            |it| it.performance = 1,
            |it| it.locality = 1,
            |it| it.wishes = 1,
            |it| it.health = 1,
            |it| it.cost = 1,
        ];
        for (at, part) in parts.into_iter().enumerate() {
            assert_eq!(chosen(&only(part), &wanted(&requirements), &runners), at, "part {at}");
        }
    }

    #[test]
    fn the_dearer_runner_that_is_as_much_faster_costs_the_same() {
        let cost = |cost_micros_per_hour, expected_run_ms| {
            let capabilities = priced(cost_micros_per_hour);
            let runner = Runner { capabilities, expected_run_ms, ..Runner::default() };
            let requirements = RunnerRequirements::default();
            only(|it| it.cost = 1).score(&wanted(&requirements), &runner.candidate(0))
        };
        assert_eq!(cost(2_000_000, 500), cost(1_000_000, 1_000));
        assert_eq!(cost(0, 1_000), cost(1_000_000, 1_000), "an unknown price is the usual one");
        assert!(cost(3_000_000, 500) < cost(1_000_000, 1_000));
    }

    #[test]
    fn by_default_an_unhealthy_or_busy_runner_loses_and_a_strong_wish_wins() {
        let policy = Weighted::new(&PoolFacts::default());
        let mut requirements = RunnerRequirements::default();
        let mut runners = [Runner { used: 3, ..Runner::default() }, Runner::default()];
        assert_eq!(chosen(&policy, &wanted(&requirements), &runners), 1, "the less loaded");
        runners[1].health_percent = 10;
        runners[0].used = 1;
        assert_eq!(chosen(&policy, &wanted(&requirements), &runners), 0, "the healthier");
        runners[1].capabilities = labelled("cache=warm");
        requirements.preferred = vec![Preference { label: "cache=*".into(), weight: 100 }];
        assert_eq!(chosen(&policy, &wanted(&requirements), &runners), 1, "the one wished for");
    }

    #[test]
    fn no_number_that_a_runner_reports_overflows() {
        let runner = Runner {
            capabilities: priced(u64::MAX),
            expected_run_ms: i64::MAX,
            failure_permille: 1_000,
            spread_jobs: u32::MAX,
            ..Runner::default()
        };
        let facts = PoolFacts {
            weights: Weights { cost: u16::MAX, wishes: u16::MAX, ..Weights::default() },
            ..PoolFacts::default()
        };
        let requirements = RunnerRequirements::default();
        let policy = Weighted::new(&facts);
        let worst = policy.score(&wanted(&requirements), &runner.candidate(0));
        assert!(worst < policy.score(&wanted(&requirements), &Runner::default().candidate(1)));
    }
}
