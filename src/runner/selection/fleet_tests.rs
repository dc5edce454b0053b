//! A small fleet under load, to see what `learned` is worth beside `least_loaded`: jobs arrive at
//! random, the policy chooses among runners with room, and runs teach [`RunTimes`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::tests::{Runner, wanted};
use super::*;
use crate::model::Entropy;
use crate::runner::{FinishedRun, RunTimes, RunTimesSettings};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Seeded(u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Times of the classes of jobs, on a sound and otherwise idle runner.
const CLASSES_MS: [i64; 4] = [500, 1_000, 2_000, 4_000];
const JOBS: usize = 3_000;
const RUNNERS: usize = 20;
const SLOTS: u32 = 2;

/// What is peculiar about a runner: how many times as long a class takes there, in percent, and
/// how many of a hundred runs fail halfway.
type Peculiar = fn(runner: usize, class: usize) -> (i64, u64);

/// A job: what it is, when it came, and how long it takes on a sound runner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Work {
    class: usize,
    came_ms: i64,
    takes_ms: i64,
}

/// The end of a run; the smallest is the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at_ms: i64,
    runner: usize,
    began_ms: i64,
    failed: bool,
    work: Work,
}

struct Fleet<'a> {
    policy: &'a dyn SelectionPolicy,
    peculiar: Peculiar,
    entropy: Seeded,
    times: RunTimes,
    runners: Vec<Runner>,
    /// For each runner the poll with which it waits.
    parked_at: Vec<u64>,
    polls: u64,
    queue: VecDeque<Work>,
    running: BinaryHeap<Reverse<End>>,
}

impl Fleet<'_> {
    /// The mean time from a job's arrival to its success.
    fn mean_ms(policy: &dyn SelectionPolicy, peculiar: Peculiar, seed: u64) -> f64 {
        let mut fleet = Fleet {
            policy,
            peculiar,
            entropy: Seeded(seed),
            times: RunTimes::new(RunTimesSettings::default()),
            runners: vec![Runner { slots: SLOTS, ..Runner::default() }; RUNNERS],
            parked_at: (0..RUNNERS as u64).collect(),
            polls: RUNNERS as u64,
            queue: VecDeque::new(),
            running: BinaryHeap::new(),
        };
        let arrivals = arrivals(&mut Seeded(seed ^ 0xa11));
        let total: i64 = arrivals.into_iter().map(|work| fleet.arrive(work)).sum();
        (total + fleet.advance(i64::MAX)) as f64 / JOBS as f64
    }

    fn arrive(&mut self, work: Work) -> i64 {
        let done = self.advance(work.came_ms);
        self.queue.push_back(work);
        self.assign(work.came_ms);
        done
    }

    /// Ends what ends until then. The times that the jobs which were done had taken, added up.
    fn advance(&mut self, until_ms: i64) -> i64 {
        let mut done = 0;
        while let Some(&Reverse(end)) = self.running.peek().filter(|end| end.0.at_ms <= until_ms) {
            self.running.pop();
            self.runners[end.runner].used -= 1;
            self.poll(end.runner);
            self.times.observe(FinishedRun {
                class_id: ClassId(end.work.class as i64),
                runner_id: RunnerId(end.runner as i64),
                run_ms: end.at_ms - end.began_ms,
                failed: end.failed,
            });
            if end.failed {
                self.queue.push_back(end.work);
            } else {
                done += end.at_ms - end.work.came_ms;
            }
            self.assign(end.at_ms);
        }
        done
    }

    fn poll(&mut self, runner: usize) {
        self.polls += 1;
        self.parked_at[runner] = self.polls;
    }

    fn assign(&mut self, now_ms: i64) {
        while let Some(&work) = self.queue.front() {
            let Some(runner) = self.choose(work) else { return };
            self.queue.pop_front();
            let (percent, failing) = (self.peculiar)(runner, work.class);
            let failed = self.entropy.below(100) < failing;
            // Each other job on a runner takes a tenth of its speed.
            let crowd = 10 + i64::from(self.runners[runner].used);
            let full_ms = work.takes_ms * percent / 100 * crowd / 10;
            let takes_ms = if failed { full_ms / 2 } else { full_ms };
            self.runners[runner].used += 1;
            self.poll(runner);
            let at_ms = now_ms + takes_ms;
            self.running.push(Reverse(End { at_ms, runner, began_ms: now_ms, failed, work }));
        }
    }

    fn choose(&self, work: Work) -> Option<usize> {
        let class_id = ClassId(work.class as i64);
        let requirements = RunnerRequirements::default();
        let expected_run_ms = self.times.class_expected_ms(class_id).mean_ms;
        let wanted = Wanted { class_id, expected_run_ms, ..wanted(&requirements) };
        let with_room = self.runners.iter().enumerate().filter(|(_, runner)| runner.used < SLOTS);
        let candidates = with_room.map(|(at, runner)| {
            let candidate = runner.candidate(at);
            let estimate = self.times.estimate(class_id, candidate.runner_id);
            Candidate {
                standing: Standing { parked_at: self.parked_at[at], ..candidate.standing },
                expected_run_ms: estimate.expected_run_ms,
                runs_seen: estimate.runs_seen,
                failure_permille: estimate.failure_permille,
                ..candidate
            }
        });
        choose(self.policy, &wanted, candidates).map(|candidate| candidate.slot.0)
    }
}

/// Jobs that keep a sound fleet busy for 40 % of its time.
fn arrivals(entropy: &mut Seeded) -> Vec<Work> {
    let mean_ms = CLASSES_MS.iter().sum::<i64>() / CLASSES_MS.len() as i64;
    let gap_ms = (mean_ms * 10 / 4 / (RUNNERS as i64 * i64::from(SLOTS))).unsigned_abs();
    let mut came_ms = 0;
    let work = |_| {
        came_ms += entropy.below(2 * gap_ms + 1) as i64;
        let class = entropy.below(CLASSES_MS.len() as u64) as usize;
        let percent = 50 + entropy.below(101) as i64;
        Work { class, came_ms, takes_ms: CLASSES_MS[class] * percent / 100 }
    };
    (0..JOBS).map(work).collect()
}

/// The mean of `learned` in percent of that of `least_loaded`, over seeds.
fn learned_percent(peculiar: Peculiar) -> f64 {
    let seeds = 1..=20;
    let percent = seeds.clone().map(|seed| {
        let learned = Fleet::mean_ms(&Learned, peculiar, seed);
        learned * 100.0 / Fleet::mean_ms(&LeastLoaded, peculiar, seed)
    });
    percent.sum::<f64>() / seeds.count() as f64
}

#[test]
fn learned_is_much_better_where_half_of_the_runners_are_three_times_slower() {
    let percent = learned_percent(|runner, _| (if runner % 2 == 0 { 300 } else { 100 }, 0));
    assert!(percent < 80.0, "{percent:.1} %");
}

#[test]
fn learned_is_better_where_one_class_is_slow_on_one_half() {
    let percent = learned_percent(|runner, class| {
        let slow = runner % 2 == 0 && class == 2;
        (if slow { 300 } else { 100 }, 0)
    });
    assert!(percent < 95.0, "{percent:.1} %");
}

#[test]
fn learned_is_better_where_a_tenth_fails() {
    let percent = learned_percent(|runner, _| (100, if runner % 10 == 0 { 80 } else { 0 }));
    assert!(percent < 100.0, "{percent:.1} %");
}

#[test]
fn learned_is_hardly_worse_on_a_uniform_fleet() {
    let percent = learned_percent(|_, _| (100, 0));
    assert!(percent <= 103.0, "{percent:.1} %");
}

#[test]
fn the_same_seed_is_the_same_history() {
    let mean = |seed| Fleet::mean_ms(&Learned, |runner, _| (100 + runner as i64, 5), seed);
    assert_eq!(mean(7), mean(7));
    assert_ne!(mean(7), mean(8));
}
