//! What becomes of patient jobs while urgent ones take all that they can get.
//!
//! Urgent work of level `high` always waits, critical work takes a given part of the runners, and
//! beside them come a few jobs of the other levels. After some hours the urgent stream ends, and
//! everything ends.

use dispatchyard::dispatch::Settings;
use dispatchyard::model::{JobPriority, TenantId};

use super::yard::{Course, Nature, Plan, Work, Yard};
use super::{MINUTE_MS, settings};
use crate::dice::Dice;

const RUNNERS: usize = 10;
/// Jobs of level `high` that wait at any moment.
const RIVALS: usize = 20;
/// Times of jobs lie between half of this and one and a half.
const TAKES_MS: i64 = MINUTE_MS;
/// Each of the patient levels wants so much of the runners: 7.5 % together.
const PATIENT_PER_MILLE: i64 = 25;
/// The levels that would starve.
pub(crate) const PATIENT: [JobPriority; 3] =
    [JobPriority::Normal, JobPriority::Low, JobPriority::Background];

/// One day.
#[derive(Clone, Copy)]
pub(crate) struct Day {
    /// How long urgent work keeps coming.
    pub(crate) stream_ms: i64,
    /// The part of the runners that critical work takes.
    pub(crate) critical_percent: i64,
    /// Waiting raises by a level in this time; 0 for never.
    pub(crate) aging_ms: i64,
}

/// A level's jobs come one after the other, at random.
struct Arrivals {
    priority: JobPriority,
    gap_ms: i64,
    next_ms: i64,
}

/// What became of all jobs.
pub(crate) fn play(day: Day, seed: u64) -> Vec<Course> {
    let settings = Settings { aging_ms: day.aging_ms, ..settings("least_loaded") };
    let mut yard = Yard::new(Plan {
        settings,
        runners: RUNNERS,
        slots: 1,
        classes: 1,
        natures: |_, _| Nature::SOUND,
        seed,
    });
    let mut dice = Dice(seed ^ 0xa11);
    let levels = PATIENT.map(|priority| (priority, PATIENT_PER_MILLE));
    let critical = (JobPriority::Critical, day.critical_percent * 10);
    let mut arrivals: Vec<_> = levels
        .into_iter()
        .chain([critical])
        .filter(|(_, per_mille)| *per_mille > 0)
        .map(|(priority, per_mille)| {
            let gap_ms = TAKES_MS * 1_000 / (RUNNERS as i64 * per_mille);
            Arrivals { priority, gap_ms, next_ms: dice.roll(gap_ms.unsigned_abs()) as i64 }
        })
        .collect();
    loop {
        while yard.waiting(TenantId::DEFAULT, JobPriority::High) < RIVALS {
            yard.submit(job(JobPriority::High, &mut dice));
        }
        let next_ms = arrivals.iter().map(|it| it.next_ms).min().unwrap_or(i64::MAX);
        if yard.step(next_ms.min(day.stream_ms)) {
            continue;
        }
        if yard.now_ms() >= day.stream_ms {
            break;
        }
        for it in arrivals.iter_mut().filter(|it| it.next_ms <= next_ms) {
            yard.submit(job(it.priority, &mut dice));
            it.next_ms += 1 + dice.roll(2 * it.gap_ms.unsigned_abs()) as i64;
        }
    }
    yard.run_dry();
    yard.courses().copied().collect()
}

fn job(priority: JobPriority, dice: &mut Dice) -> Work {
    Work::new(priority, TAKES_MS * (50 + dice.roll(101) as i64) / 100)
}

/// The longest wait of a level's jobs.
pub(crate) fn longest_ms(courses: &[Course], priority: JobPriority) -> i64 {
    let of_level = courses.iter().filter(|course| course.work.priority == priority);
    of_level.filter_map(Course::wait_ms).max().unwrap_or(0)
}
