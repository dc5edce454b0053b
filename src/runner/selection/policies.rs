//! Selection policies by key: those of the house, and those that a user of the library adds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{
    BestFit, Learned, LeastLoaded, Locality, RoundRobin, SelectionPolicy, Weighted, Weights,
};

/// What a policy may know of the pool for which it is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PoolFacts {
    /// How far regions, or zones as `eu-west/b`, are from each other, in any unit. An entry counts
    /// in both directions unless the other one has its own; what is not here is far away.
    pub distances: BTreeMap<(Box<str>, Box<str>), u32>,
    /// For `weighted`.
    pub weights: Weights,
}

type Factory = Arc<dyn Fn(&PoolFacts) -> Box<dyn SelectionPolicy> + Send + Sync>;

/// Makes policies by their keys.
///
/// ```
/// use dispatchyard::runner::{LeastLoaded, PoolFacts, SelectionPolicies};
///
/// let mut policies = SelectionPolicies::standard();
/// policies.register("mine", |_| Box::new(LeastLoaded));
/// assert!(policies.build("mine", &PoolFacts::default()).is_ok());
/// ```
#[derive(Clone)]
pub struct SelectionPolicies {
    factories: BTreeMap<Box<str>, Factory>,
}

impl SelectionPolicies {
    /// The policies of the house: `least_loaded`, `round_robin`, `weighted`, `locality` (also as
    /// `geographic`), `best_fit`, `learned`.
    pub fn standard() -> Self {
        let mut policies = Self { factories: BTreeMap::new() };
        policies.register("least_loaded", |_| Box::new(LeastLoaded));
        policies.register("round_robin", |_| Box::new(RoundRobin));
        policies.register("weighted", |facts| Box::new(Weighted::new(facts)));
        policies.register("locality", |facts| Box::new(Locality::new(facts)));
        policies.register("geographic", |facts| Box::new(Locality::new(facts)));
        policies.register("best_fit", |_| Box::new(BestFit));
        policies.register("learned", |_| Box::new(Learned));
        policies
    }

    /// Adds a policy, or replaces the one with that key.
    pub fn register(
        &mut self,
        key: &str,
        factory: impl Fn(&PoolFacts) -> Box<dyn SelectionPolicy> + Send + Sync + 'static,
    ) {
        self.factories.insert(key.into(), Arc::new(factory));
    }

    /// Makes a pool's policy.
    ///
    /// # Errors
    ///
    /// When no policy has that key.
    pub fn build(
        &self,
        key: &str,
        facts: &PoolFacts,
    ) -> Result<Box<dyn SelectionPolicy>, UnknownPolicy> {
        let factory = self.factories.get(key).ok_or_else(|| UnknownPolicy {
            key: key.into(),
            known: self.keys().collect::<Vec<_>>().join(", "),
        })?;
        Ok(factory(facts))
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.factories.keys().map(|key| &**key)
    }
}

impl fmt::Debug for SelectionPolicies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.keys()).finish()
    }
}

/// No selection policy has that key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown selection policy `{key}`; there are {known}")]
pub struct UnknownPolicy {
    /// What was asked for.
    pub key: Box<str>,
    /// The keys that there are.
    pub known: String,
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Runner, chosen, in_region, wanted};
    use super::super::{Candidate, Score, Wanted};
    use super::*;
    use crate::model::RunnerRequirements;

    #[test]
    fn every_key_of_the_house_makes_a_policy_that_chooses() {
        let policies = SelectionPolicies::standard();
        let requirements = RunnerRequirements::default();
        for key in policies.keys() {
            let policy = policies.build(key, &PoolFacts::default()).unwrap();
            let runners = [Runner { used: 1, given_at: 1, ..Runner::default() }, Runner::default()];
            // All of them prefer an idle runner to its busy twin, but for the one that packs.
            let best = usize::from(key != "best_fit");
            assert_eq!(chosen(&*policy, &wanted(&requirements), &runners), best, "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_those_that_there_are() {
        let policies = SelectionPolicies::standard();
        assert_eq!(
            policies.build("fastest", &PoolFacts::default()).unwrap_err().to_string(),
            "unknown selection policy `fastest`; there are best_fit, geographic, learned, \
             least_loaded, locality, round_robin, weighted"
        );
    }

    #[test]
    fn a_policy_of_ones_own_is_made_with_the_facts_of_its_pool() {
        #[derive(Debug)]
        struct FirstPlace(Box<str>);

        impl SelectionPolicy for FirstPlace {
            fn looks_at_jobs(&self) -> bool {
                true
            }

            fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
                let there = candidate.capabilities.region.as_ref() == Some(&self.0);
                Score::new(wanted, candidate, i64::from(there))
            }
        }

        let mut policies = SelectionPolicies::standard();
        policies.register("first_place", |facts| {
            let places = facts.distances.keys().next();
            Box::new(FirstPlace(places.map(|(from, _)| from.clone()).unwrap_or_default()))
        });
        let facts = PoolFacts {
            distances: [(("eu".into(), "us".into()), 1)].into(),
            ..PoolFacts::default()
        };
        let policy = policies.build("first_place", &facts).unwrap();
        let there = Runner { capabilities: in_region("eu"), used: 3, ..Runner::default() };
        let requirements = RunnerRequirements::default();
        assert_eq!(chosen(&*policy, &wanted(&requirements), &[Runner::default(), there]), 1);
    }
}
