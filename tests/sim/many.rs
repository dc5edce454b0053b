//! What worlds that are about one thing have in common: many are played, each must end well, all that may happen in
//! them must have happened in some, and each fault that is planted must be noticed.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::number;

/// In so many worlds a planted fault must be noticed at the latest.
const WORLDS_WITH_FAULT: u64 = 30;

/// What happened in a world, and how often.
pub(crate) type Seen = BTreeMap<&'static str, u32>;

/// Plays that many worlds, or the one of `SIM_SEED`; `play` panics where a law is broken. Each of `wanted` must have
/// happened in one of many.
#[expect(clippy::print_stdout, reason = "a run shows what was reached in it")]
pub(crate) fn all_keep_the_laws(worlds: u64, wanted: &[&str], play: impl Fn(u64) -> Seen) {
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..worlds,
    };
    let mut seen = Seen::new();
    for seed in seeds.clone() {
        let all = catch_unwind(AssertUnwindSafe(|| play(seed)));
        let all = all.unwrap_or_else(|_| panic!("play it again with SIM_SEED={seed}"));
        all.into_iter().for_each(|(what, many)| *seen.entry(what).or_default() += many);
    }
    println!("{seen:?}");
    for what in wanted.iter().filter(|_| seeds.end - seeds.start > 1) {
        assert!(seen.contains_key(what), "{what} was never reached: {seen:?}");
    }
}

/// Each of these faults breaks a law in one of the worlds that have it.
pub(crate) fn each_is_noticed<F: Copy + Debug>(faults: &[F], play: impl Fn(u64, F) -> Seen) {
    for &fault in faults {
        let noticed = |seed| catch_unwind(AssertUnwindSafe(|| play(seed, fault))).is_err();
        assert!((0..WORLDS_WITH_FAULT).any(noticed), "{fault:?} was not noticed");
    }
}
