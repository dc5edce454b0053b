//! Long worlds for the real scheduler, one question a file. Each is a function of its size and a seed,
//! so that `docs/scheduling.md` shows long ones and the tests hold short ones to their bounds.

pub(crate) mod aging;
pub(crate) mod due;
pub(crate) mod fleets;
pub(crate) mod shares;
pub(crate) mod spread;
pub(crate) mod yard;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dispatchyard::dispatch::{PoolSettings, Settings};
use dispatchyard::model::PoolId;

pub(crate) const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;

/// The defaults, but for what would be in the way of a question, and the policy that chooses runners.
fn settings(selection_policy: &str) -> Settings {
    let pool =
        PoolSettings { selection_policy: selection_policy.into(), ..PoolSettings::default() };
    Settings {
        max_global_concurrency: 100_000,
        pools: [(PoolId::DEFAULT, pool)].into(),
        ..Settings::default()
    }
}

/// The same for each of these, on all cores; in their order.
pub(crate) fn on_all_cores<A: Sync, B: Send>(of: &[A], run: impl Fn(&A) -> B + Sync) -> Vec<B> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(it) = of.get(at) else { return };
                    let result = run(it);
                    done.lock().expect("nobody panicked").push((at, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panicked");
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Several numbers in three.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Range {
    pub(crate) mean: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Range {
    /// That of at least one number.
    pub(crate) fn of(numbers: &[f64]) -> Self {
        assert!(!numbers.is_empty(), "a range of nothing");
        Self {
            mean: numbers.iter().sum::<f64>() / numbers.len() as f64,
            least: numbers.iter().copied().fold(f64::INFINITY, f64::min),
            most: numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// The number under which that part of a hundred lies; 0 of nothing.
pub(crate) fn percentile(numbers: &mut [i64], percent: usize) -> i64 {
    numbers.sort_unstable();
    let at = (numbers.len() * percent).div_ceil(100).saturating_sub(1);
    numbers.get(at).copied().unwrap_or(0)
}
