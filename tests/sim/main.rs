//! The scheduler under random commands and virtual time, without a database.
//!
//! `world` plays senders, runners and operators against the real `Scheduler`; `rows` is a database
//! in thirty lines, written from the meaning of each change; `naive` is a matcher that looks at
//! everything. After each batch the world checks the laws.

#![expect(clippy::unwrap_used, reason = "a world that does not fit together is a failed test")]

mod naive;
mod rows;
mod world;

use proptest::prelude::*;

use world::{Op, World};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("SIM_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(400),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Law 4, the naive matcher, and the leases' rules, after every batch.
    #[test]
    fn memory_is_an_index_over_the_rows(
        seed in any::<u64>(),
        ops in prop::collection::vec(any::<Op>(), 1..120),
    ) {
        let mut world = World::new(seed);
        for op in ops {
            world.step(op);
        }
        world.run_dry();
    }
}

/// Random worlds reach every rare state: a zero would make the property test's silence worthless.
#[test]
fn the_random_worlds_reach_every_rare_state() {
    let mut reached = world::Reached::default();
    for seed in 0..150 {
        let mut world = World::new(seed);
        for _ in 0..150 {
            let op = world.random_op();
            world.step(op);
        }
        world.run_dry();
        reached.add(&world.reached);
    }
    reached.assert_all();
}
