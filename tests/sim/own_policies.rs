//! The policies of `examples/`, registered by key and played through whole worlds: the naive matcher
//! asks them too, and everything else that holds with the policies of the house holds with them.

#[path = "../../examples/scheduling_policy.rs"]
mod scheduling_policy;
#[path = "../../examples/selection_policy.rs"]
mod selection_policy;

use std::panic::catch_unwind;

use dispatchyard::dispatch::{PoolSettings, Settings};
use dispatchyard::model::{ClassId, Job, PoolId, Runner, RunnerRequirements, TenantId};
use dispatchyard::queue::{LaneHead, Rank};
use dispatchyard::runner::{Candidate, PoolFacts, RunnerSlot, Score, Standing, Wanted};
use scheduling_policy::CoarseShare;
use selection_policy::Thrifty;

use crate::fleets::experiments::on_all_cores;
use crate::naive::Naive;
use crate::setup;
use crate::world::World;
use crate::{STEPS, number};

/// Worlds that are played, each with both policies in all pools.
const SEEDS: u64 = 200;

fn register(settings: &mut Settings) {
    // Jobs are expected to take 20 ms: some make a slice.
    settings.scheduling_policies.register(CoarseShare::KEY, CoarseShare { slice_ms: 60 });
    // Runs are short, so that a core must be dear to make a difference. The naive matcher tells it that all are
    // well, so it must not mind when they are not.
    settings.selection_policies.register(Thrifty::KEY, |_| {
        Box::new(Thrifty { healthy_percent: 0, core_micros_per_hour: 50_000_000 })
    });
}

fn use_in_all_pools(settings: &mut Settings, scheduling: &str, selection: &str) {
    register(settings);
    for pool in settings.pools.values_mut() {
        pool.scheduling_policy = scheduling.into();
        pool.selection_policy = selection.into();
    }
    settings.check().expect("they are registered");
}

/// How a world goes: rare states that it reached, and how often.
fn play(seed: u64, scheduling: &str, selection: &str) -> String {
    let mut world = World::with(seed, None, |settings| {
        use_in_all_pools(settings, scheduling, selection);
        // What a policy is told of run times is the same in the naive matcher.
        settings.learning = false;
    });
    (0..STEPS).for_each(|_| world.step());
    world.run_dry();
    format!("{:?}", world.reached)
}

#[test]
fn every_world_with_policies_of_ones_own_keeps_the_laws_and_ends() {
    let seeds: Vec<u64> = match number("SIM_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("SIM_SEEDS").unwrap_or(SEEDS).min(SEEDS)).collect(),
    };
    let played = on_all_cores(&seeds, |seed| {
        let seed = *seed;
        catch_unwind(|| play(seed, CoarseShare::KEY, Thrifty::KEY)).map_err(|_| seed).err()
    });
    let failed: Vec<_> = played.into_iter().flatten().collect();
    assert!(failed.is_empty(), "play one again with SIM_SEED: {failed:?}");
}

/// Otherwise the worlds above would prove nothing.
#[test]
fn policies_of_ones_own_make_a_difference() {
    let seeds: Vec<u64> = (0..20).collect();
    let differ = |scheduling: &str, selection: &str| {
        on_all_cores(&seeds, |seed| {
            play(*seed, scheduling, selection) != play(*seed, "priority", "least_loaded")
        })
    };
    assert!(differ(CoarseShare::KEY, "least_loaded").contains(&true), "of what is next");
    assert!(differ("priority", Thrifty::KEY).contains(&true), "of who gets it");
}

#[test]
fn the_examples_run() {
    scheduling_policy::main();
    selection_policy::main();
}

#[test]
fn a_pool_whose_policy_is_not_registered_is_refused() {
    let pool = PoolSettings { selection_policy: Thrifty::KEY.into(), ..PoolSettings::default() };
    let mut settings = Settings { pools: [(PoolId::DEFAULT, pool)].into(), ..Settings::default() };
    let error = settings.check().expect_err("nobody knows it");
    assert!(error.to_string().starts_with("unknown selection policy `thrifty`"), "{error}");
    register(&mut settings);
    assert_eq!(settings.check(), Ok(()));
}

/// What the naive matcher asks of policies that it does not know by itself.
impl Naive<'_> {
    /// The place of a job by the policy of a pool.
    pub(crate) fn rank_of_own(&self, job: &Job, pool: PoolId) -> Rank {
        let key = &self.pool(pool).scheduling_policy;
        let policy = self.settings.scheduling_policies.get(key).expect("it is registered");
        policy.rank(&LaneHead {
            job_id: job.id,
            class_id: job.class_id,
            tenant_id: job.tenant_id,
            level: self.level(job),
            lane_key: job.lane_key,
            virtual_time: self.virtual_time(job.tenant_id),
            runners: self.fitting(job).count(),
        })
    }

    /// What the policy of its pool thinks of a runner, apart from the wishes of jobs. All jobs are
    /// expected to take the same, and all runners are healthy.
    pub(crate) fn points_of_own(&self, runner: &Runner) -> Option<Score> {
        let key = &*self.pool(runner.pool_id).selection_policy;
        if setup::SELECTIONS.contains(&key) {
            return None;
        }
        let selections = &self.settings.selection_policies;
        let policy = selections.build(key, &PoolFacts::default()).expect("it is registered");
        let requirements = RunnerRequirements::default();
        let wanted = Wanted {
            class_id: ClassId(0),
            requirements: &requirements,
            placement: None,
            tenant_id: TenantId::DEFAULT,
            expected_run_ms: self.settings.expected_run_ms,
        };
        let offers = &runner.capabilities;
        let candidate = Candidate {
            slot: RunnerSlot(0),
            runner_id: runner.id,
            standing: Standing { used: 0, slots: 1, parked_at: 0, given_at: 0 },
            capabilities: offers,
            left: (offers.cpu_cores, offers.memory_gb, offers.gpu),
            health_percent: 100,
            near: false,
            spread_jobs: 0,
            expected_run_ms: self.settings.expected_run_ms,
            runs_seen: 0,
            failure_permille: 0,
        };
        policy.looks_at_jobs().then(|| policy.score(&wanted, &candidate))
    }
}
