//! The runner on which the job is expected to be done soonest, by what was seen.

use super::{Candidate, Score, SelectionPolicy, Wanted};

/// Prefers the smallest predicted time to completion, repeats after failures counted
/// ([`Candidate::completion_ms`]). Predictions are made by [`crate::runner::RunTimes`].
///
/// - A prediction is taken for the better the fewer runs it is known from, so every runner is tried;
///   and since runs that are long ago count less, one that was slow is tried again at times.
/// - Predictions that differ by less than a step of a quarter are equal, and the less loaded runner
///   gets the job. So chance in run times does not pile jobs onto one of several equal runners,
///   and while nothing is known the policy acts exactly as `least_loaded`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Learned;

impl Learned {
    /// The share of the predicted time that is left out for a runner that was never tried.
    const HOPE: f64 = 0.8;
    /// One step of predictions to the next.
    const STEP: f64 = 1.25;
    /// Where step 0 begins and ends: the usual time is in its middle.
    const MIDDLE: (f64, f64) = (0.9, 1.125);
    /// More steps than this make no difference: about 800 times as long.
    const STEPS_MAX: i64 = 30;

    /// How many steps longer than usual, or (negative) shorter.
    fn steps(ratio: f64) -> i64 {
        let (mut low, mut high) = Self::MIDDLE;
        let mut steps = 0;
        while ratio > high && steps < Self::STEPS_MAX {
            high *= Self::STEP;
            steps += 1;
        }
        while ratio < low && steps > -Self::STEPS_MAX {
            low /= Self::STEP;
            steps -= 1;
        }
        steps
    }
}

impl SelectionPolicy for Learned {
    fn looks_at_jobs(&self) -> bool {
        true
    }

    fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
        let ratio = candidate.completion_ms() as f64 / wanted.expected_run_ms.max(1) as f64;
        // Square roots, unlike logarithms, are the same on every machine: so is the choice.
        let hope = 1.0 - Self::HOPE / (1.0 + f64::from(candidate.runs_seen)).sqrt();
        Score::new(wanted, candidate, -Self::steps(ratio * hope))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Runner, chosen, wanted};
    use super::super::{LeastLoaded, choose};
    use super::*;
    use crate::model::RunnerRequirements;

    fn known(expected_run_ms: i64, used: u32) -> Runner {
        Runner { expected_run_ms, used, runs_seen: 20, ..Runner::default() }
    }

    fn learned(runners: &[Runner]) -> usize {
        chosen(&Learned, &wanted(&RunnerRequirements::default()), runners)
    }

    #[test]
    fn the_faster_runner_gets_it_though_it_is_busier() {
        assert_eq!(learned(&[known(3_000, 0), known(1_000, 3)]), 1);
    }

    #[test]
    fn nearly_equal_predictions_leave_it_to_the_load() {
        assert_eq!(learned(&[known(960, 2), known(1_040, 1)]), 1);
    }

    #[test]
    fn a_runner_that_fails_half_the_time_is_half_as_fast() {
        let failing = Runner { failure_permille: 500, ..known(700, 0) };
        assert_eq!(learned(&[failing, known(1_000, 3)]), 1);
    }

    #[test]
    fn an_untried_runner_is_tried_and_a_slow_one_tried_again_once_it_is_forgotten() {
        let slow = |runs_seen| Runner { runs_seen, ..known(3_000, 0) };
        assert_eq!(learned(&[known(1_000, 0), Runner { runs_seen: 0, ..known(1_000, 1) }]), 1);
        assert_eq!(learned(&[known(1_000, 0), slow(1)]), 0);
        assert_eq!(learned(&[known(1_000, 0), slow(0)]), 1);
    }

    #[test]
    fn cold_it_chooses_as_least_loaded_does() {
        let requirements = RunnerRequirements::default();
        for seed in 0..200_u32 {
            let runner = |at: u32| {
                let used = seed.wrapping_mul(2_654_435_761).rotate_left(at * 5) % 4;
                Runner { used, slots: 4 + at % 3, ..Runner::default() }
            };
            let runners: Vec<_> = (0..6).map(runner).collect();
            let by_load = chosen(&LeastLoaded, &wanted(&requirements), &runners);
            assert_eq!(learned(&runners), by_load, "{runners:?}");
        }
        assert!(choose(&Learned, &wanted(&requirements), []).is_none());
    }

    #[test]
    fn steps_are_even_to_both_sides_and_end() {
        assert_eq!([0.95, 1.0, 1.1].map(Learned::steps), [0; 3]);
        assert_eq!([0.8, 1.2, 3.0].map(Learned::steps), [-1, 1, 5]);
        assert_eq!([0.0, 1e300].map(Learned::steps), [-30, 30]);
    }
}
