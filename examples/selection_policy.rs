//! A selection policy of one's own: cheap runners first, but none that is in poor health.
//!
//! A policy is a pure function of a job and a runner that fits it. It is registered by key, and a
//! pool of that `selection_policy` uses it. Run it with `cargo run --example selection_policy`; the
//! simulator (`tests/sim/own_policies.rs`) plays whole worlds with it.

use dispatchyard::model::{ClassId, RunnerCapabilities, RunnerId, RunnerRequirements, TenantId};
use dispatchyard::runner::{
    Candidate, PoolFacts, RunnerSlot, Score, SelectionPolicies, SelectionPolicy, Standing, Wanted,
    choose,
};

/// Prefers the runner on which the job costs least.
#[derive(Debug)]
pub(crate) struct Thrifty {
    /// Runners below this come last, whatever they cost.
    pub(crate) healthy_percent: u32,
    /// What an hour of a core costs where the runner does not say what it costs, in millionths.
    pub(crate) core_micros_per_hour: u64,
}

impl Thrifty {
    /// The key under which a pool asks for it.
    pub(crate) const KEY: &'static str = "thrifty";

    /// With its usual values.
    pub(crate) fn usual() -> Self {
        Self { healthy_percent: 60, core_micros_per_hour: 20_000 }
    }

    fn micros_per_hour(&self, offers: &RunnerCapabilities) -> u64 {
        match offers.cost_micros_per_hour {
            0 => self.core_micros_per_hour.saturating_mul(u64::from(offers.cpu_cores)),
            said => said,
        }
    }
}

impl SelectionPolicy for Thrifty {
    // Without this the best standing would do, and nobody would ask for scores.
    fn looks_at_jobs(&self) -> bool {
        true
    }

    fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
        let hour = self.micros_per_hour(candidate.capabilities);
        let time_ms = candidate.completion_ms().unsigned_abs();
        let cost = hour.saturating_mul(time_ms) / 3_600_000;
        let poor = candidate.health_percent < self.healthy_percent;
        let fit = if poor { i64::MIN } else { -i64::try_from(cost).unwrap_or(i64::MAX) };
        // What the job itself prefers comes first: `Score::new` sees to that.
        Score::new(wanted, candidate, fit)
    }
}

/// A runner that waits for work, as the scheduler would describe it.
fn waiting(id: i64, health_percent: u32, offers: &RunnerCapabilities) -> Candidate<'_> {
    Candidate {
        slot: RunnerSlot(id as usize),
        runner_id: RunnerId(id),
        standing: Standing { used: 0, slots: 1, parked_at: id as u64, given_at: 0 },
        capabilities: offers,
        left: (offers.cpu_cores, offers.memory_gb, offers.gpu),
        health_percent,
        near: false,
        spread_jobs: 0,
        expected_run_ms: 60_000,
        runs_seen: 0,
        failure_permille: 0,
    }
}

#[expect(clippy::print_stdout, reason = "an example shows its result")]
pub(crate) fn main() {
    // `AppOptions::selection_policies` takes these to a server.
    let mut policies = SelectionPolicies::standard();
    policies.register(Thrifty::KEY, |_| Box::new(Thrifty::usual()));
    let policy =
        policies.build(Thrifty::KEY, &PoolFacts::default()).expect("it was just registered");

    let requirements = RunnerRequirements::default();
    let wanted = Wanted {
        class_id: ClassId(1),
        requirements: &requirements,
        placement: None,
        tenant_id: TenantId::DEFAULT,
        expected_run_ms: 60_000,
    };
    let at = |cost_micros_per_hour| RunnerCapabilities {
        cost_micros_per_hour,
        ..RunnerCapabilities::default()
    };
    let (dear, cheap, cheapest) = (at(900_000), at(200_000), at(50_000));
    let runners = [waiting(1, 100, &dear), waiting(2, 80, &cheap), waiting(3, 20, &cheapest)];

    let chosen = choose(&*policy, &wanted, runners).expect("somebody waits");
    println!("the job goes to runner {}", chosen.runner_id);
    assert_eq!(chosen.runner_id, RunnerId(2), "cheap and healthy");
}
