//! A selection policy of one's own: cheap runners first, but none that is in poor health.
//!
//! A policy is a pure function of a job and a runner that fits it. It is registered by key, and a
//! pool of that `selection_policy` uses it. Run it with `cargo run --example selection_policy`.

use dispatchyard::model::{ClassId, RunnerCapabilities, RunnerId, RunnerRequirements, TenantId};
use dispatchyard::runner::{
    Candidate, PoolFacts, RunnerSlot, Score, SelectionPolicies, SelectionPolicy, Standing, Wanted,
    choose,
};

/// Prefers the runner on which the job costs least.
#[derive(Debug)]
struct Thrifty {
    /// Runners below this come last, whatever they cost.
    healthy_percent: u32,
}

impl SelectionPolicy for Thrifty {
    fn looks_at_jobs(&self) -> bool {
        true
    }

    fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
        let hour = i64::try_from(candidate.capabilities.cost_micros_per_hour).unwrap_or(i64::MAX);
        let cost = hour.saturating_mul(candidate.completion_ms()) / 3_600_000;
        let poor = candidate.health_percent < self.healthy_percent;
        // What the job itself prefers comes first: `Score::new` sees to that.
        Score::new(wanted, candidate, if poor { i64::MIN } else { -cost })
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
fn main() {
    let mut policies = SelectionPolicies::standard();
    policies.register("thrifty", |_| Box::new(Thrifty { healthy_percent: 60 }));
    let policy = policies.build("thrifty", &PoolFacts::default()).expect("it was just registered");

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
