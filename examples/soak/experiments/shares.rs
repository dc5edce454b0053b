//! Three tenants of different weight that want all runners all the time; the heaviest leaves and
//! returns.

use dispatchyard::dispatch::{Settings, TenantSettings};
use dispatchyard::model::{JobPriority, TenantId};

use super::yard::{Course, Nature, Plan, Work, Yard};
use super::{MINUTE_MS, settings};
use crate::dice::Dice;

pub(crate) const WEIGHTS: [u32; 3] = [1, 2, 4];
const TENANTS: [TenantId; 3] = [TenantId(1), TenantId(2), TenantId(3)];
const HEAVIEST: usize = 2;
const RUNNERS: usize = 14;
/// Jobs of each tenant that wait at any moment: enough for all runners.
const WAITING: usize = RUNNERS;
/// Times of jobs lie between half of this and one and a half.
const TAKES_MS: i64 = MINUTE_MS;
const LONGEST_MS: i64 = TAKES_MS * 3 / 2;

/// When the heaviest tenant leaves, when it is back, and when everything ends.
#[derive(Clone, Copy)]
pub(crate) struct Day {
    pub(crate) leaves_ms: i64,
    pub(crate) returns_ms: i64,
    pub(crate) ends_ms: i64,
}

/// What was seen in a day.
pub(crate) struct Seen {
    courses: Vec<Course>,
    pub(crate) apart: Vec<Apart>,
}

/// How far what two tenants were charged, by weight, moved apart while both wanted runners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Apart {
    /// Their places among the weights.
    pub(crate) pair: (usize, usize),
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    least_ms: i64,
    most_ms: i64,
}

impl Apart {
    fn new(pair: (usize, usize), (from_ms, to_ms): (i64, i64)) -> Self {
        Self { pair, from_ms, to_ms, least_ms: i64::MAX, most_ms: i64::MIN }
    }

    fn look(&mut self, now_ms: i64, charged_ms: [u64; 3]) {
        if (self.from_ms..self.to_ms).contains(&now_ms) {
            let by_weight = |at: usize| charged_ms[at] as i64 / i64::from(WEIGHTS[at]);
            let ahead_ms = by_weight(self.pair.0) - by_weight(self.pair.1);
            self.least_ms = self.least_ms.min(ahead_ms);
            self.most_ms = self.most_ms.max(ahead_ms);
        }
    }

    /// Between any two moments of that time, at most.
    pub(crate) fn ms(&self) -> i64 {
        self.most_ms.saturating_sub(self.least_ms)
    }

    /// What it may be: one charge of each for the order, and one more for each slot, whose estimate
    /// is corrected only when its job ends.
    pub(crate) fn bound_ms(&self) -> i64 {
        let [a, b] = [self.pair.0, self.pair.1].map(|at| i64::from(WEIGHTS[at]));
        (RUNNERS as i64 + 1) * LONGEST_MS * (a + b) / (a * b)
    }
}

/// Plays a day. Run times are learned, so charges are guesses at first and good estimates later.
pub(crate) fn play(day: Day, seed: u64) -> Seen {
    let of_weight = |weight| TenantSettings { weight, ..TenantSettings::default() };
    let tenants = TENANTS.into_iter().zip(WEIGHTS.map(of_weight)).collect();
    let mut yard = Yard::new(Plan {
        settings: Settings { tenants, ..settings("least_loaded") },
        runners: RUNNERS,
        slots: 1,
        classes: 1,
        natures: |_, _| Nature::SOUND,
        seed,
    });
    let mut dice = Dice(seed ^ 0xa11);
    let (all, before) = ((0, day.ends_ms), (0, day.leaves_ms));
    let after = (day.returns_ms, day.ends_ms);
    let times =
        [((0, 1), all), ((0, 2), before), ((1, 2), before), ((0, 2), after), ((1, 2), after)];
    let mut apart = times.map(|(pair, time)| Apart::new(pair, time));
    let changes = [day.leaves_ms, day.returns_ms, day.ends_ms];
    while let Some(next_change_ms) = changes.into_iter().find(|at_ms| *at_ms > yard.now_ms()) {
        let away = (day.leaves_ms..day.returns_ms).contains(&yard.now_ms());
        for (at, tenant_id) in TENANTS.into_iter().enumerate() {
            let here = !(away && at == HEAVIEST);
            while here && yard.waiting(tenant_id, JobPriority::Normal) < WAITING {
                let takes_ms = TAKES_MS * (50 + dice.roll(101) as i64) / 100;
                yard.submit(Work { tenant_id, ..Work::new(JobPriority::Normal, takes_ms) });
            }
        }
        let charged_ms = TENANTS.map(|id| yard.charged_ms(id));
        apart.iter_mut().for_each(|it| it.look(yard.now_ms(), charged_ms));
        yard.step(next_change_ms);
    }
    Seen { courses: yard.courses().copied().collect(), apart: apart.into() }
}

impl Seen {
    /// The part of the runners' time that each tenant had between two moments.
    pub(crate) fn parts(&self, from_ms: i64, to_ms: i64) -> [f64; 3] {
        let mut had_ms = [0; 3];
        for course in &self.courses {
            let Some(begun_ms) = course.begun_ms else { continue };
            let ended_ms = course.ended_ms.unwrap_or(i64::MAX);
            let inside_ms = ended_ms.min(to_ms) - begun_ms.max(from_ms);
            let at = TENANTS.iter().position(|id| *id == course.work.tenant_id);
            had_ms[at.expect("it is one of them")] += inside_ms.max(0);
        }
        let all_ms = (to_ms - from_ms) * RUNNERS as i64;
        had_ms.map(|ms| ms as f64 / all_ms as f64)
    }
}
