//! How far one run may stray from what is expected, as a few values that are equally likely: what a
//! play of the future draws from.

use super::RunTimes;
use crate::model::{ClassId, RunnerId};

/// How many values there are.
const VALUES: usize = 16;

/// What is taken for a class of which nothing is known: the middles of sixteen equal parts of an
/// exponential distribution with mean 1. Its runs may take next to nothing, or three times what was
/// expected.
const UNKNOWN: [f64; VALUES] = [
    0.0317, 0.0984, 0.1699, 0.2469, 0.3302, 0.4212, 0.5213, 0.6325, 0.7577, 0.9008, 1.0678, 1.2685,
    1.5198, 1.8563, 2.3671, 3.4657,
];

/// How many runs outweigh that.
const GUESS_RUNS: f64 = 4.0;

/// Ratios of what a run of a class takes to what is expected, equally likely and ascending.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Strays([f64; VALUES]);

impl Strays {
    /// What a run of `mean_ms` takes in the case with this number, in milliseconds.
    pub fn run_ms(&self, mean_ms: i64, case: u64) -> i64 {
        ((mean_ms as f64 * self.0[below(case, VALUES)]) as i64).max(1)
    }

    /// What may be left of a run that has taken `ran_ms` already: the first of the times that it can
    /// still take, for [`Strays::left_ms`].
    pub fn reached(&self, mean_ms: i64, ran_ms: i64) -> usize {
        let (mean, ran) = (mean_ms.max(1) as f64, ran_ms.max(0) as f64);
        self.0.partition_point(|ratio| ratio * mean <= ran)
    }

    /// What is left of it in the case with this number. One that has taken longer than any before
    /// is expected to take half as long again.
    pub fn left_ms(&self, reached: usize, mean_ms: i64, ran_ms: i64, case: u64) -> i64 {
        let open = VALUES.saturating_sub(reached);
        if open == 0 {
            return (ran_ms / 2).max(1);
        }
        let at = reached + below(case, open);
        ((self.0[at] * mean_ms.max(1) as f64) as i64 - ran_ms.max(0)).max(1)
    }

    /// What is left in the middle of all cases.
    pub fn usually_left_ms(&self, mean_ms: i64, ran_ms: i64) -> i64 {
        let first = self.reached(mean_ms, ran_ms);
        match self.0.get(first + (VALUES - first) / 2) {
            Some(ratio) => ((ratio * mean_ms.max(1) as f64) as i64 - ran_ms.max(0)).max(1),
            None => (ran_ms / 2).max(1),
        }
    }
}

impl RunTimes {
    /// How far runs of a class stray. The fewer there were, the more it is what nobody knows.
    pub fn strays(&self, class_id: ClassId) -> Strays {
        let Some(class) = self.classes.get(&class_id) else { return Strays(UNKNOWN) };
        let runs: f64 = class.tails.weights.iter().map(|(_, weight)| weight).sum();
        let known = runs / (runs + GUESS_RUNS);
        let mut at = 0.0;
        let shares = [(); VALUES].map(|()| {
            at += 1.0;
            (at - 0.5) / VALUES as f64
        });
        let mut values = class.tails.percentiles(shares);
        for (value, unknown) in values.iter_mut().zip(UNKNOWN) {
            *value = known * *value + (1.0 - known) * unknown;
        }
        Strays(values)
    }

    /// How long a runner takes for jobs of a class, of 1 for a usual runner.
    pub fn slowness(&self, class_id: ClassId, runner_id: RunnerId) -> f32 {
        (self.mean(class_id, Some(runner_id)) / self.mean(class_id, None)) as f32
    }

    /// How long a class is expected to run on a runner: a few look-ups.
    pub fn mean_ms(&self, class_id: ClassId, runner_id: RunnerId) -> i64 {
        super::whole(self.mean(class_id, Some(runner_id)))
    }
}

/// One of so many values, at most 2^32, that are equally likely.
fn below(case: u64, values: usize) -> usize {
    (((mix(case) >> 32) * values as u64) >> 32) as usize
}

/// Spreads numbers that follow each other (the finaliser of splitmix64, Steele 2014), so that a case
/// is a value of its own and the same in every play.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::{FinishedRun, RunTimesSettings};

    fn learned(times: &[i64]) -> RunTimes {
        let mut learned = RunTimes::new(RunTimesSettings::default());
        for &run_ms in times {
            let (class_id, runner_id) = (ClassId(1), RunnerId(1));
            learned.observe(FinishedRun { class_id, runner_id, run_ms, failed: false });
        }
        learned
    }

    #[test]
    fn a_class_that_always_takes_the_same_strays_little_and_an_unknown_one_much() {
        let known = learned(&[1_000; 200]).strays(ClassId(1));
        let unknown = learned(&[]).strays(ClassId(1));
        let cases = |strays: Strays| (0..1_000).map(move |case| strays.run_ms(1_000, case));
        assert!(cases(known).all(|ms| (970..1_060).contains(&ms)));
        assert!(cases(unknown).any(|ms| ms < 100) && cases(unknown).any(|ms| ms > 3_000));
        let mean = cases(unknown).sum::<i64>() / 1_000;
        assert!((850..1_150).contains(&mean), "{mean}");
        assert_eq!(known.run_ms(1_000, 7), known.run_ms(1_000, 7));
    }

    #[test]
    fn what_is_left_is_what_the_longer_runs_took_more() {
        let strays = learned(&[1_000; 200]).strays(ClassId(1));
        for case in 0..50 {
            let left_ms =
                |ran_ms| strays.left_ms(strays.reached(1_000, ran_ms), 1_000, ran_ms, case);
            assert!((350..=460).contains(&left_ms(600)));
            assert_eq!(left_ms(9_000), 4_500, "longer than any before");
        }
        assert!((350..=460).contains(&strays.usually_left_ms(1_000, 600)));
        assert_eq!(strays.usually_left_ms(1_000, 9_000), 4_500);
    }
}
