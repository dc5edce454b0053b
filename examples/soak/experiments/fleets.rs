//! What `learned` is worth beside `least_loaded`: the mean time from the queue to a good end, on fleets
//! that have something to learn, and on one that has not.

use dispatchyard::model::JobPriority;

use super::yard::{Nature, Natures, Plan, Work, Yard};
use super::{Range, on_all_cores, settings};
use crate::dice::Dice;

/// Times of the classes of jobs on a sound runner: the mean of the evenly spread times of jobs, which
/// lie between half of it and one and a half.
const CLASSES_MS: [i64; 4] = [5_000, 10_000, 20_000, 40_000];
const RUNNERS: usize = 20;
const SLOTS: u32 = 2;

/// Runners, and what is peculiar about them.
#[derive(Clone, Copy)]
pub(crate) struct Fleet {
    pub(crate) name: &'static str,
    natures: Natures,
}

/// Half of the runners take three times as long.
pub(crate) const HALF_SLOW: Fleet = Fleet {
    name: "half of the runners 3 times slower",
    natures: |runner, _| slow_if(runner % 2 == 0),
};

/// One class of four takes three times as long on half of the runners.
pub(crate) const ONE_CLASS_SLOW: Fleet = Fleet {
    name: "one class 3 times slower on one half",
    natures: |runner, class| slow_if(runner % 2 == 0 && class == 2),
};

/// On a tenth of the runners four of five runs fail halfway.
pub(crate) const TENTH_FAILING: Fleet = Fleet {
    name: "a tenth fails 80 % of its runs",
    natures: |runner, _| Nature { failing: if runner % 10 == 0 { 80 } else { 0 }, ..Nature::SOUND },
};

/// All runners are alike.
pub(crate) const UNIFORM: Fleet = Fleet { name: "uniform", natures: |_, _| Nature::SOUND };

fn slow_if(slow: bool) -> Nature {
    if slow { Nature { percent: 300, ..Nature::SOUND } } else { Nature::SOUND }
}

/// Jobs that come, and how much of a sound fleet's time they would take.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    pub(crate) jobs: usize,
    pub(crate) load_percent: i64,
}

/// Means in milliseconds over the seeds, and that of `learned` in percent of the other, seed by seed.
pub(crate) struct Comparison {
    pub(crate) least_loaded_ms: Range,
    pub(crate) learned_ms: Range,
    pub(crate) percent: Range,
    /// Seeds in which `learned` was the better.
    pub(crate) better: usize,
}

/// Plays a fleet with both policies and the same jobs, for the seeds from 1 on.
pub(crate) fn compare(fleet: Fleet, stream: Stream, seeds: u64) -> Comparison {
    let seeds: Vec<u64> = (1..=seeds).collect();
    let means = on_all_cores(&seeds, |seed| {
        ["least_loaded", "learned"].map(|policy| mean_ms(fleet, stream, policy, *seed))
    });
    let of = |at: usize| Range::of(&means.iter().map(|both| both[at]).collect::<Vec<_>>());
    let percent: Vec<_> = means.iter().map(|both| both[1] * 100.0 / both[0]).collect();
    Comparison {
        least_loaded_ms: of(0),
        learned_ms: of(1),
        percent: Range::of(&percent),
        better: percent.iter().filter(|percent| **percent < 100.0).count(),
    }
}

fn mean_ms(fleet: Fleet, stream: Stream, policy: &str, seed: u64) -> f64 {
    let yard = play(fleet, stream, policy, seed);
    let total: i64 = yard.courses().filter_map(|course| course.completion_ms()).sum();
    total as f64 / stream.jobs as f64
}

/// The mean times of successive parts of the stream, so many jobs each, over the seeds: how fast the
/// fleet is learned.
pub(crate) fn over_time(
    fleet: Fleet,
    stream: Stream,
    policy: &str,
    seeds: u64,
    part: usize,
) -> Vec<f64> {
    let seeds: Vec<u64> = (1..=seeds).collect();
    let histories = on_all_cores(&seeds, |seed| {
        let yard = play(fleet, stream, policy, *seed);
        let times: Vec<i64> = yard.courses().filter_map(|it| it.completion_ms()).collect();
        let means =
            times.chunks(part).map(|part| part.iter().sum::<i64>() as f64 / part.len() as f64);
        means.collect::<Vec<_>>()
    });
    let at = |at: usize| histories.iter().map(|means| means[at]).sum::<f64>() / seeds.len() as f64;
    (0..stream.jobs.div_ceil(part)).map(at).collect()
}

fn play(fleet: Fleet, stream: Stream, policy: &str, seed: u64) -> Yard {
    let classes = CLASSES_MS.len();
    let mut yard = Yard::new(Plan {
        settings: settings(policy),
        runners: RUNNERS,
        slots: SLOTS,
        classes,
        natures: fleet.natures,
        seed,
    });
    // The same jobs for both policies.
    let mut dice = Dice(seed ^ 0xa11);
    let mean_ms = CLASSES_MS.iter().sum::<i64>() / classes as i64;
    let slots = RUNNERS as i64 * i64::from(SLOTS);
    let gap_ms = (mean_ms * 100 / stream.load_percent / slots).unsigned_abs();
    let mut comes_ms = 0;
    for _ in 0..stream.jobs {
        comes_ms += dice.roll(2 * gap_ms + 1) as i64;
        yard.run_until(comes_ms);
        let class = dice.roll(classes as u64) as usize;
        let takes_ms = CLASSES_MS[class] * (50 + dice.roll(101) as i64) / 100;
        yard.submit(Work { class, ..Work::new(JobPriority::Normal, takes_ms) });
    }
    yard.run_dry();
    yard
}
