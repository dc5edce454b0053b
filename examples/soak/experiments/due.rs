//! Jobs that promise a start or an end, among others that do not, on runners that are at times too few.

use dispatchyard::dispatch::Settings;
use dispatchyard::model::JobPriority;

use super::yard::{Course, Nature, Plan, Work, Yard};
use super::{MINUTE_MS, settings};
use crate::dice::Dice;

const RUNNERS: usize = 10;
/// Times of jobs lie between half of this and one and a half.
const TAKES_MS: i64 = MINUTE_MS;
/// Rush and calm come in turn: so long, with jobs for so many percent of the runners' time.
const RUSH: (i64, i64) = (10 * MINUTE_MS, 150);
const CALM: (i64, i64) = (20 * MINUTE_MS, 60);
pub(crate) const MAX_WAIT_MS: i64 = 2 * MINUTE_MS;
pub(crate) const DEADLINE_IN_MS: i64 = 5 * MINUTE_MS;

/// What a job promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Promise {
    /// A start in time: level `normal` with `max_wait`, 15 of a hundred jobs.
    Start,
    /// An end in time: level `low` with a deadline, 15 of a hundred jobs.
    End,
    /// Nothing: level `normal`.
    Nothing,
}

/// What became of the jobs of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Part of the jobs whose promise was kept; of those that promise nothing none was broken.
    pub(crate) part: f64,
    pub(crate) mean_wait_ms: f64,
}

/// Plays a day; a start that is due in `deadline_raise_ms` counts as `high`.
pub(crate) fn play(length_ms: i64, deadline_raise_ms: i64, seed: u64) -> Vec<Course> {
    let mut yard = Yard::new(Plan {
        settings: Settings { deadline_raise_ms, ..settings("least_loaded") },
        runners: RUNNERS,
        slots: 1,
        classes: 1,
        natures: |_, _| Nature::SOUND,
        seed,
    });
    let mut dice = Dice(seed ^ 0xa11);
    let mut comes_ms = 0;
    while comes_ms < length_ms {
        let rush = comes_ms % (RUSH.0 + CALM.0) < RUSH.0;
        let load_percent = if rush { RUSH.1 } else { CALM.1 };
        let gap_ms = TAKES_MS * 100 / load_percent / RUNNERS as i64;
        comes_ms += dice.roll(2 * gap_ms.unsigned_abs() + 1) as i64;
        yard.run_until(comes_ms);
        let takes_ms = TAKES_MS * (50 + dice.roll(101) as i64) / 100;
        let normal = Work::new(JobPriority::Normal, takes_ms);
        yard.submit(match dice.roll(100) {
            0..15 => Work { max_wait_ms: Some(MAX_WAIT_MS), ..normal },
            15..30 => {
                Work { deadline_in_ms: Some(DEADLINE_IN_MS), priority: JobPriority::Low, ..normal }
            }
            _ => normal,
        });
    }
    yard.run_dry();
    yard.courses().copied().collect()
}

/// How well promises of a kind were kept.
pub(crate) fn kept(courses: &[Course], promise: Promise) -> Kept {
    let of_kind: Vec<_> = courses.iter().filter(|it| promise_of(&it.work) == promise).collect();
    let within = |ms: Option<i64>, max_ms: Option<i64>| max_ms.is_none_or(|max| ms <= Some(max));
    let kept = of_kind.iter().filter(|it| {
        within(it.wait_ms(), it.work.max_wait_ms)
            && within(it.completion_ms(), it.work.deadline_in_ms)
    });
    let jobs = of_kind.len().max(1) as f64;
    let waited_ms: i64 = of_kind.iter().filter_map(|it| it.wait_ms()).sum();
    Kept { part: kept.count() as f64 / jobs, mean_wait_ms: waited_ms as f64 / jobs }
}

fn promise_of(work: &Work) -> Promise {
    match (work.max_wait_ms, work.deadline_in_ms) {
        (Some(_), _) => Promise::Start,
        (None, Some(_)) => Promise::End,
        (None, None) => Promise::Nothing,
    }
}
