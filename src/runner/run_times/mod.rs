//! How long jobs run, learned from every run that ends, per class and runner.
//!
//! The model is small. A class has a time, a runner has a speed, and a class that was never seen on
//! a runner is expected to take the one times the other. What was seen of the class on the runner
//! itself outweighs that guess from a few runs on. Everything is a mean over a window
//! (`tally.rs`), so it follows change, and percentiles come from how far runs of the class
//! strayed from their prediction.
//!
//! - One run counts as at most eight times what was expected, or twice the 95th percentile: a job
//!   that hung once does not mark a runner as slow.
//! - A failed run says how often runs fail, and nothing of the time of good ones, except that it is
//!   no shorter: a runner that fails quickly does not look fast.
//! - What is known of a class on a runner fades while the class runs elsewhere, so that a policy
//!   that goes by [`Estimate::runs_seen`] tries the runner again: a few runs in a hundred are such
//!   trials, whatever the size of the fleet.
//!
//! Pure: the same runs in the same order, the same predictions. There is no clock, age is counted in
//! runs; and there is no logarithm, because those differ from machine to machine.

mod saved;
mod strays;
mod tails;
mod tally;
#[cfg(test)]
mod tests;

pub use saved::UnreadableRunTimes;
pub use strays::Strays;

use rustc_hash::FxHashMap;
use tails::Tails;
use tally::Tally;

use crate::model::{ClassId, RunnerId};

/// Limits of what is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunTimesSettings {
    /// Most classes, runners and pairs of them together; those seen longest ago are forgotten. An
    /// entry takes about 100 bytes, a class up to 2 kilobytes. At least 16.
    pub entries_max: usize,
    /// What a job is expected to take while nothing is known of its class.
    pub unknown_ms: i64,
}

impl Default for RunTimesSettings {
    fn default() -> Self {
        Self { entries_max: 20_000, unknown_ms: 60_000 }
    }
}

/// A run that has ended by itself: well, or because the work failed or took too long. Runs that
/// were cancelled, given back or lost say nothing of times.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FinishedRun {
    /// Of which class the job was.
    pub class_id: ClassId,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// From start to end.
    pub run_ms: i64,
    /// Whether it failed.
    pub failed: bool,
}

/// What a policy needs to know of a class on a runner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Estimate {
    /// How long a run that goes well is expected to take.
    pub expected_run_ms: i64,
    /// How many runs of the class on the runner that is known from; faded ones count less.
    pub runs_seen: u32,
    /// How many of a thousand runs are expected to fail.
    pub failure_permille: u32,
}

/// What people are told of a class, on a runner or on any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prediction {
    /// The mean time of runs that go well.
    pub mean_ms: i64,
    /// Half of them are shorter.
    pub p50_ms: i64,
    /// 95 of 100 are shorter.
    pub p95_ms: i64,
    /// How many runs there ever were, failed ones too; with 0 the times are a guess.
    pub runs: u64,
}

/// A row of what was learned, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunTimeRow {
    /// The class.
    pub class_id: ClassId,
    /// On which runner; `None` for all together.
    pub runner_id: Option<RunnerId>,
    /// How long its runs take.
    pub prediction: Prediction,
    /// How many of a thousand fail.
    pub failure_permille: u32,
}

/// What is known of a class on a runner, or of a runner.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Known {
    /// Of a class on a runner its times, of a runner the ratio of its times to those of classes.
    tally: Tally,
    /// The class's count of runs, or the runner's, when this was last observed.
    at_run: u64,
    /// [`RunTimes::observed`] at that moment.
    seen: u64,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct ClassTimes {
    /// Its times on a runner of speed 1.
    tally: Tally,
    tails: Tails,
    on: FxHashMap<RunnerId, Known>,
    seen: u64,
}

/// Run times as they are learned.
#[derive(Clone, PartialEq, Debug)]
pub struct RunTimes {
    settings: RunTimesSettings,
    classes: FxHashMap<ClassId, ClassTimes>,
    /// The greater, the slower.
    speeds: FxHashMap<RunnerId, Known>,
    /// The speed at which jobs usually run. Speeds have no scale of their own: only proportions of
    /// them mean something, and this is what a runner that is not known is compared by.
    usual_speed: Tally,
    /// How many pairs of class and runner there are.
    pairs: usize,
    /// Runs observed, in all.
    observed: u64,
}

impl ClassTimes {
    /// A pair loses half of its weight while its class runs so often elsewhere, for each runner
    /// that the class is known of.
    const FADE_RUNS: f64 = 100.0;

    /// The share of its weight that a pair has kept.
    fn kept(&self, pair: &Known) -> f64 {
        let passed = self.tally.total.saturating_sub(pair.at_run) as f64;
        1.0 / (1.0 + passed / (Self::FADE_RUNS * self.on.len().max(1) as f64))
    }

    /// What a good run takes on a runner of that speed; `None` while none was timed.
    fn expected(&self, pair: Option<&Known>, speed: f64) -> Option<f64> {
        let guess = (self.tally.mean > 0.0).then_some(self.tally.mean * speed)?;
        Some(pair.map_or(guess, |pair| pair.tally.mean_beside(guess, self.kept(pair))))
    }
}

impl RunTimes {
    /// Longer runs count as this: a year.
    const RUN_MS_MAX: i64 = 366 * 24 * 3_600_000;
    /// How many times what was expected one run counts at most, and the inverse at least.
    const STRAY_MAX: f64 = 8.0;
    /// Speeds stay between this and its inverse.
    const SPEED_MAX: f64 = 1_000.0;

    /// Nothing known.
    pub fn new(settings: RunTimesSettings) -> Self {
        Self {
            settings,
            classes: FxHashMap::default(),
            speeds: FxHashMap::default(),
            usual_speed: Tally::guessed(1.0),
            pairs: 0,
            observed: 0,
        }
    }

    /// Learns from a run.
    pub fn observe(&mut self, run: FinishedRun) {
        self.observed += 1;
        let run_ms = run.run_ms.clamp(1, Self::RUN_MS_MAX) as f64;
        let usual = self.usual_speed.mean;
        let runner = self.speeds.entry(run.runner_id).or_insert_with(|| Known {
            tally: Tally::guessed(usual),
            at_run: 0,
            seen: 0,
        });
        let speed = runner.tally.mean;
        let class = self.classes.entry(run.class_id).or_default();
        let expected = class.expected(class.on.get(&run.runner_id), speed);
        let class_mean = class.tally.mean;

        // A failed run would have gone on: it counts where it was too long already.
        let known = !run.failed || expected.is_some_and(|expected| run_ms > expected);
        let time = known.then(|| {
            let Some(expected) = expected else { return run_ms };
            let most = Self::STRAY_MAX.max(2.0 * class.tails.percentile(0.95));
            let near = run_ms.clamp(expected / Self::STRAY_MAX, expected * most);
            near.min(Self::RUN_MS_MAX as f64)
        });
        if !run.failed {
            class.tails.add(run_ms / expected.unwrap_or(run_ms));
        }
        class.tally.note(time.map(|time| time / speed), run.failed, 1.0);
        class.seen = self.observed;
        let kept = class.on.get(&run.runner_id).map_or(1.0, |pair| class.kept(pair));
        let at_run = class.tally.total;
        let pair = class.on.entry(run.runner_id).or_insert_with(|| {
            self.pairs += 1;
            Known { tally: Tally::default(), at_run, seen: 0 }
        });
        pair.tally.note(time, run.failed, kept);
        (pair.at_run, pair.seen) = (at_run, self.observed);

        // The first run of a class says nothing of the runner's speed.
        let ratio = time
            .filter(|_| expected.is_some())
            .map(|time| (time / class_mean).clamp(1.0 / Self::SPEED_MAX, Self::SPEED_MAX));
        runner.tally.note(ratio, run.failed, 1.0);
        (runner.at_run, runner.seen) = (runner.tally.total, self.observed);
        self.usual_speed.note(Some(runner.tally.mean), false, 1.0);
        self.forget_old();
    }

    /// Forgets everything and learns from history, oldest first. How many runs it was.
    pub fn train(&mut self, runs: impl IntoIterator<Item = FinishedRun>) -> u64 {
        self.reset();
        for run in runs {
            self.observe(run);
        }
        self.observed
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::new(self.settings);
    }

    /// How many runs were observed since the last reset: while it is the same, so is the rest.
    pub fn observed(&self) -> u64 {
        self.observed
    }

    /// How many classes, runners and pairs of them are remembered.
    pub fn entries(&self) -> usize {
        self.classes.len() + self.speeds.len() + self.pairs
    }

    /// What a policy needs to know: a few look-ups.
    pub fn estimate(&self, class_id: ClassId, runner_id: RunnerId) -> Estimate {
        let pair = self.pair(class_id, runner_id);
        let kept = pair.map_or(0.0, |(class, pair)| class.kept(pair) * pair.tally.runs);
        Estimate {
            expected_run_ms: whole(self.mean(class_id, Some(runner_id))),
            runs_seen: kept.round() as u32,
            failure_permille: permille(self.failures(class_id, Some(runner_id))),
        }
    }

    /// How long a class is expected to run on a runner.
    pub fn expected_ms(&self, class_id: ClassId, runner_id: RunnerId) -> Prediction {
        let pair = self.pair(class_id, runner_id);
        let runs = pair.map_or(0, |(_, pair)| pair.tally.total);
        self.prediction(class_id, self.mean(class_id, Some(runner_id)), runs)
    }

    /// The mean of [`RunTimes::class_expected_ms`] alone: a look-up.
    pub fn class_mean_ms(&self, class_id: ClassId) -> i64 {
        whole(self.mean(class_id, None))
    }

    /// How long a class is expected to run on a runner of the usual speed.
    pub fn class_expected_ms(&self, class_id: ClassId) -> Prediction {
        let runs = self.classes.get(&class_id).map_or(0, |class| class.tally.total);
        self.prediction(class_id, self.mean(class_id, None), runs)
    }

    /// Classes with an id below `before` of which something is known, newest first.
    pub fn classes(&self, before: Option<ClassId>, limit: usize) -> Vec<ClassId> {
        let known = self.classes.keys().copied();
        let mut ids: Vec<_> = known.filter(|id| before.is_none_or(|before| *id < before)).collect();
        ids.sort_unstable_by_key(|id| std::cmp::Reverse(*id));
        ids.truncate(limit);
        ids
    }

    /// What was learned of a class, for people: the class, then it on each of its runners.
    pub fn rows_of(&self, class_id: ClassId) -> Vec<RunTimeRow> {
        let Some(class) = self.classes.get(&class_id) else { return Vec::new() };
        let mut runners: Vec<_> = class.on.keys().map(|&runner_id| Some(runner_id)).collect();
        runners.push(None);
        runners.sort_unstable();
        let row = |runner_id: Option<RunnerId>| RunTimeRow {
            class_id,
            runner_id,
            prediction: match runner_id {
                Some(runner_id) => self.expected_ms(class_id, runner_id),
                None => self.class_expected_ms(class_id),
            },
            failure_permille: permille(self.failures(class_id, runner_id)),
        };
        runners.into_iter().map(row).collect()
    }

    /// How long each runner takes in percent of what is usual, for people: 300 is three times as
    /// slow.
    pub fn slowness_percent(&self) -> Vec<(RunnerId, u32)> {
        let percent = |speed: f64| (speed / self.usual_speed.mean * 100.0).round() as u32;
        let runners = self.speeds.iter();
        let mut rows: Vec<_> =
            runners.map(|(&id, known)| (id, percent(known.tally.mean))).collect();
        rows.sort_unstable();
        rows
    }

    fn pair(&self, class_id: ClassId, runner_id: RunnerId) -> Option<(&ClassTimes, &Known)> {
        let class = self.classes.get(&class_id)?;
        Some((class, class.on.get(&runner_id)?))
    }

    fn mean(&self, class_id: ClassId, runner_id: Option<RunnerId>) -> f64 {
        let usual = self.usual_speed.mean;
        let runner = runner_id.and_then(|id| self.speeds.get(&id));
        let speed = runner.map_or(usual, |runner| runner.tally.mean);
        let class = self.classes.get(&class_id);
        let known = class
            .and_then(|class| class.expected(runner_id.and_then(|id| class.on.get(&id)), speed));
        known.unwrap_or(self.settings.unknown_ms.max(1) as f64 * speed / usual)
    }

    /// The share of runs that fail. Where little is known of the class on the runner, what fails
    /// more often decides: the class everywhere, or everything on the runner.
    fn failures(&self, class_id: ClassId, runner_id: Option<RunnerId>) -> f64 {
        let class = self.classes.get(&class_id);
        let of_class = class.map_or(0.0, |class| class.tally.failed_beside(0.0, 1.0));
        let Some(runner_id) = runner_id else { return of_class };
        let runner = self.speeds.get(&runner_id);
        let of_runner = runner.map_or(0.0, |runner| runner.tally.failed_beside(0.0, 1.0));
        let guess = of_class.max(of_runner);
        self.pair(class_id, runner_id)
            .map_or(guess, |(class, pair)| pair.tally.failed_beside(guess, class.kept(pair)))
    }

    fn prediction(&self, class_id: ClassId, mean: f64, runs: u64) -> Prediction {
        let tails = self.classes.get(&class_id).map(|class| &class.tails);
        let at = |share| whole(mean * tails.map_or(1.0, |tails| tails.percentile(share)));
        Prediction { mean_ms: whole(mean), p50_ms: at(0.5), p95_ms: at(0.95), runs }
    }

    /// Over the maximum, forgets what was seen longest ago, an eighth at once so that it is rare.
    fn forget_old(&mut self) {
        let most = self.settings.entries_max.max(16);
        if self.entries() <= most {
            return;
        }
        let pairs = self.classes.values().flat_map(|class| class.on.values());
        let known = pairs.chain(self.speeds.values()).map(|known| known.seen);
        let mut seen: Vec<u64> =
            known.chain(self.classes.values().map(|class| class.seen)).collect();
        let surplus = seen.len() - most + most / 8;
        let (_, &mut last, _) = seen.select_nth_unstable(surplus - 1);
        self.speeds.retain(|_, known| known.seen > last);
        self.classes.retain(|_, class| class.seen > last);
        for class in self.classes.values_mut() {
            class.on.retain(|_, known| known.seen > last);
        }
        self.pairs = self.classes.values().map(|class| class.on.len()).sum();
    }
}

/// Milliseconds, at least one.
fn whole(ms: f64) -> i64 {
    (ms.round() as i64).clamp(1, RunTimes::RUN_MS_MAX)
}

fn permille(share: f64) -> u32 {
    (share * 1_000.0).round() as u32
}
