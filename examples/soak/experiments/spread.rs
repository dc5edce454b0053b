//! How evenly jobs are spread over many equal runners.

use dispatchyard::model::JobPriority;

use super::settings;
use super::yard::{Nature, Plan, Work, Yard};
use crate::dice::Dice;

const SLOTS: u32 = 4;
/// Times of jobs lie between half of this and one and a half.
const TAKES_MS: i64 = 60_000;

/// Equal runners, and jobs for them.
#[derive(Clone, Copy)]
pub(crate) struct Crowd {
    pub(crate) runners: usize,
    pub(crate) jobs: usize,
    /// Part of the slots that are in use.
    pub(crate) load_percent: i64,
}

/// How many jobs each runner had.
pub(crate) fn jobs_by_runner(crowd: Crowd, policy: &str, seed: u64) -> Vec<u64> {
    let mut yard = Yard::new(Plan {
        settings: settings(policy),
        runners: crowd.runners,
        slots: SLOTS,
        classes: 1,
        natures: |_, _| Nature::SOUND,
        seed,
    });
    let mut dice = Dice(seed ^ 0xa11);
    // Microseconds: many runners are given several jobs in a millisecond.
    let gap_us =
        TAKES_MS * 1_000 * 100 / (crowd.load_percent * crowd.runners as i64 * i64::from(SLOTS));
    let mut comes_us = 0;
    for _ in 0..crowd.jobs {
        comes_us += dice.roll(2 * gap_us.unsigned_abs() + 1) as i64;
        yard.run_until(comes_us / 1_000);
        let takes_ms = TAKES_MS * (50 + dice.roll(101) as i64) / 100;
        yard.submit(Work::new(JobPriority::Normal, takes_ms));
    }
    yard.run_dry();
    let mut counts = vec![0; crowd.runners];
    for course in yard.courses() {
        counts[course.runner] += 1;
    }
    counts
}
