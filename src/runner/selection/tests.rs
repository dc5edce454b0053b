//! Runners made up for the tests of policies, and what holds for every policy.

use super::*;
use crate::model::{Preference, Spread, SpreadOver};

/// A runner, so that a test says only what matters to it.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    pub(super) used: u32,
    pub(super) slots: u32,
    pub(super) given_at: u64,
    pub(super) capabilities: RunnerCapabilities,
    pub(super) left: (u32, u32, u32),
    pub(super) health_percent: u32,
    pub(super) near: bool,
    pub(super) spread_jobs: u32,
    pub(super) expected_run_ms: i64,
    pub(super) runs_seen: u32,
    pub(super) failure_permille: u32,
}

/// How long jobs of the wanted class take.
const USUAL_MS: i64 = 1_000;

impl Default for Runner {
    fn default() -> Self {
        Self {
            used: 0,
            slots: 4,
            given_at: 0,
            capabilities: RunnerCapabilities::default(),
            left: (8, 32, 0),
            health_percent: 100,
            near: false,
            spread_jobs: 0,
            expected_run_ms: USUAL_MS,
            runs_seen: 0,
            failure_permille: 0,
        }
    }
}

impl Runner {
    /// As a candidate that waits as the `at`th.
    pub(super) fn candidate(&self, at: usize) -> Candidate<'_> {
        Candidate {
            slot: RunnerSlot(at),
            runner_id: RunnerId(at as i64),
            standing: Standing {
                used: self.used,
                slots: self.slots,
                parked_at: at as u64,
                given_at: self.given_at,
            },
            capabilities: &self.capabilities,
            left: self.left,
            health_percent: self.health_percent,
            near: self.near,
            spread_jobs: self.spread_jobs,
            expected_run_ms: self.expected_run_ms,
            runs_seen: self.runs_seen,
            failure_permille: self.failure_permille,
        }
    }
}

/// What a runner in that region offers.
pub(super) fn in_region(region: &str) -> RunnerCapabilities {
    RunnerCapabilities { region: Some(region.into()), ..RunnerCapabilities::default() }
}

/// What a runner with that label offers.
pub(super) fn labelled(label: &str) -> RunnerCapabilities {
    RunnerCapabilities { labels: vec![label.into()], ..RunnerCapabilities::default() }
}

/// What a runner of that price offers.
pub(super) fn priced(cost_micros_per_hour: u64) -> RunnerCapabilities {
    RunnerCapabilities { cost_micros_per_hour, ..RunnerCapabilities::default() }
}

/// A job with these requirements and no placement.
pub(super) fn wanted(requirements: &RunnerRequirements) -> Wanted<'_> {
    Wanted {
        class_id: ClassId(1),
        requirements,
        placement: None,
        tenant_id: TenantId::DEFAULT,
        expected_run_ms: USUAL_MS,
    }
}

/// Which of the runners gets the job; they wait in this order.
pub(super) fn chosen(
    policy: &dyn SelectionPolicy,
    wanted: &Wanted<'_>,
    runners: &[Runner],
) -> usize {
    let candidates = runners.iter().enumerate().map(|(at, runner)| runner.candidate(at));
    choose(policy, wanted, candidates).expect("a runner waits").slot.0
}

/// Every policy of the house by its key.
fn policies() -> Vec<(String, Box<dyn SelectionPolicy>)> {
    let policies = SelectionPolicies::standard();
    let build = |key: &str| policies.build(key, &PoolFacts::default()).expect("it is a key");
    policies.keys().map(|key| (key.to_owned(), build(key))).collect()
}

#[test]
fn preferred_labels_count_by_their_weights_in_every_policy() {
    let wish = |label: &str, weight| Preference { label: label.into(), weight };
    let requirements = RunnerRequirements {
        preferred: vec![wish("disk=*", 30), wish("spot", -100), wish("!hdd", 20)],
        ..RunnerRequirements::default()
    };
    let labels = ["spot", "hdd", "disk=ssd", "other"];
    let runners = labels.map(|label| Runner { capabilities: labelled(label), ..Runner::default() });
    let points = |runner: &Runner| Score::wishes(&wanted(&requirements), &runner.candidate(0));
    assert_eq!(runners.each_ref().map(points), [-80, 0, 50, 20]);
    for (key, policy) in policies() {
        assert_eq!(chosen(&*policy, &wanted(&requirements), &runners), 2, "{key}");
    }
}

#[test]
fn a_runner_with_the_affinity_is_preferred_by_every_policy() {
    let placement = Placement { affinity: Some("app".into()), ..Placement::default() };
    let requirements = RunnerRequirements::default();
    let wanted = Wanted { placement: Some(&placement), ..wanted(&requirements) };
    let near = Runner { near: true, used: 1, given_at: 9, ..Runner::default() };
    for (key, policy) in policies() {
        let runners = [Runner::default(), near.clone()];
        assert_eq!(chosen(&*policy, &wanted, &runners), 1, "{key}");
    }
}

#[test]
fn the_place_with_the_fewest_jobs_of_the_key_is_preferred_by_every_policy() {
    let spread = Some(Spread { key: "web".into(), over: SpreadOver::Zone });
    let placement = Placement { spread, ..Placement::default() };
    let requirements = RunnerRequirements::default();
    let wanted = Wanted { placement: Some(&placement), ..wanted(&requirements) };
    let with = |spread_jobs, used| Runner { spread_jobs, used, ..Runner::default() };
    for (key, policy) in policies() {
        assert_eq!(chosen(&*policy, &wanted, &[with(2, 0), with(1, 1), with(3, 0)]), 1, "{key}");
    }
}

#[test]
fn without_wishes_and_differences_whoever_waits_longest_gets_it() {
    let requirements = RunnerRequirements::default();
    for (key, policy) in policies() {
        let runners = [Runner::default(), Runner::default()];
        assert_eq!(chosen(&*policy, &wanted(&requirements), &runners), 0, "{key}");
    }
}

#[test]
fn ranks_of_different_runners_differ() {
    let places = |parked_at| Standing { used: 1, slots: 4, parked_at, given_at: 7 };
    for (key, policy) in policies() {
        assert_ne!(policy.standing(&places(1)), policy.standing(&places(2)), "{key}");
    }
}

#[test]
fn a_failure_costs_a_whole_run() {
    let runner = |failure_permille| Runner { failure_permille, ..Runner::default() };
    let done = |failure_permille| runner(failure_permille).candidate(0).completion_ms();
    assert_eq!([0, 500, 900, 1_000].map(done), [1_000, 2_000, 10_000, 10_000]);
}
