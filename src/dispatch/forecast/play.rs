//! The near future in small: when some waiting jobs start, if runs take as long as they did before.
//!
//! A play knows jobs that wait, in dispatch order, jobs that run, free slots and counted limits.
//! Runners that can do the same for these jobs are one group, so that a fleet of thousands is a few
//! numbers. Time goes from end to end: whenever a slot or a limit is freed, the first job in order
//! that can start does. One such run is a world; each draws its own run times, and percentiles are
//! over worlds. The draws follow from numbers of jobs and worlds, so the same state has the same
//! future: nothing here needs randomness from outside.
//!
//! What one question may cost is a number of steps: the more there is to play, the fewer worlds.

mod world;

use world::World;

use crate::model::RunnerId;
use crate::runner::Strays;

/// The most worlds that are played.
const WORLDS_MAX: usize = 64;
/// The fewest, whatever the size of the play.
const WORLDS_MIN: usize = 8;
/// The same where nobody asks for more than the middle of all worlds.
const WORLDS_FOR_A_MIDDLE: usize = 4;
/// Steps of all worlds together; one is about 10 ns.
const STEPS: usize = 60_000;
/// What a job that waits costs, in steps; one that runs costs one.
const STEPS_OF_A_START: usize = 12;

/// Jobs that the same runners and the same limits decide about.
#[derive(PartialEq, Eq, Hash, Clone, Debug)]
pub(super) struct Kind {
    /// Which runners can take them: a bit of [`Play::groups`].
    pub(super) set: usize,
    /// Limits that each takes from, and how much.
    pub(super) takes: Vec<(usize, i64)>,
}

/// What must have ended before a job can start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// A job among those that wait.
    Waiting(usize),
    /// A job among those that run.
    Running(usize),
}

/// A job that waits. Its place in [`Play::waiting`] is its place in dispatch order.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its kind.
    pub(super) kind: usize,
    /// Its class, as a place in [`Play::strays`].
    pub(super) class: usize,
    /// What its draws follow from.
    pub(super) number: u64,
    /// From when on it may start.
    pub(super) ready_ms: i64,
    /// What must have ended before.
    pub(super) needs: Vec<Need>,
    /// Whether somebody asks about it: a world ends when all such jobs have started.
    pub(super) asked: bool,
}

/// A job that a runner has.
#[derive(Debug)]
pub(super) struct Running {
    /// Its class, as a place in [`Play::strays`].
    pub(super) class: usize,
    /// How long it is expected to take.
    pub(super) mean_ms: i64,
    /// How long it has run.
    pub(super) ran_ms: i64,
    /// When it is stopped at the latest, from now.
    pub(super) most_ms: i64,
    /// What its draws follow from.
    pub(super) number: u64,
    /// The slot that it frees, by group and runner; `None` where nobody else gets it.
    pub(super) slot: Option<(usize, RunnerId)>,
    /// What it gives back, as a place in [`Play::given_back`].
    pub(super) gives_back: usize,
}

/// Start and end of a job in one world, in milliseconds from now.
pub(super) type Span = (i64, i64);

/// What is known of the near future.
pub(super) struct Play<'a> {
    pub(super) kinds: Vec<Kind>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) running: Vec<Running>,
    /// Of each class how far its runs stray.
    pub(super) strays: Vec<Strays>,
    /// Of each group of runners the sets that it belongs to, as bits.
    pub(super) groups: Vec<u64>,
    /// Free slots of each group.
    pub(super) idle: Vec<Vec<RunnerId>>,
    /// What is left of each limit; less than nothing when more is taken than there may be.
    pub(super) limits: Vec<i64>,
    /// What running jobs give back to limits; the first is nothing.
    pub(super) given_back: Vec<Vec<(usize, i64)>>,
    /// Whether the middle of all worlds is all that anybody wants to know.
    pub(super) for_a_middle: bool,
    /// How long a job of a class is expected to take on a runner.
    pub(super) mean_ms: &'a dyn Fn(usize, RunnerId) -> i64,
}

impl Play<'_> {
    /// How many worlds are played.
    fn worlds(&self) -> usize {
        let each = (self.waiting.len() + 1) * STEPS_OF_A_START + self.running.len();
        let least = if self.for_a_middle { WORLDS_FOR_A_MIDDLE } else { WORLDS_MIN };
        (STEPS / each).clamp(least, WORLDS_MAX)
    }

    /// Of each job that is asked about, in the order of [`Play::waiting`], when it starts and ends in
    /// each world; `None` where it never starts.
    pub(super) fn run(&self) -> Vec<Vec<Option<Span>>> {
        let asked = self.waiting.iter().filter(|job| job.asked).count();
        let mut fates = vec![Vec::new(); asked];
        let mut world = World::new(self);
        for number in 0..self.worlds() as u64 {
            for (fate, span) in fates.iter_mut().zip(world.play(number)) {
                fate.push(*span);
            }
        }
        fates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ClassId;
    use crate::runner::{FinishedRun, RunTimes, RunTimesSettings};

    const RUN_MS: i64 = 1_000;

    /// What always takes the same.
    fn steady() -> Strays {
        let mut learned = RunTimes::new(RunTimesSettings::default());
        for _ in 0..400 {
            let (class_id, runner_id) = (ClassId(1), RunnerId(1));
            learned.observe(FinishedRun { class_id, runner_id, run_ms: RUN_MS, failed: false });
        }
        learned.strays(ClassId(1))
    }

    fn kind(takes: &[(usize, i64)]) -> Kind {
        Kind { set: 0, takes: takes.to_vec() }
    }

    fn waits(number: u64, kind: usize) -> Waiting {
        Waiting { kind, class: 0, number, ready_ms: 0, needs: Vec::new(), asked: true }
    }

    fn runs(ran_ms: i64, slot: Option<(usize, RunnerId)>) -> Running {
        let (mean_ms, most_ms) = (RUN_MS, i64::MAX);
        Running { class: 0, mean_ms, ran_ms, most_ms, number: 99, slot, gives_back: 0 }
    }

    fn played(change: impl FnOnce(&mut Play<'_>)) -> Vec<Option<i64>> {
        let mut play = Play {
            kinds: vec![kind(&[])],
            waiting: Vec::new(),
            running: Vec::new(),
            strays: vec![steady()],
            groups: vec![1],
            idle: vec![Vec::new()],
            limits: Vec::new(),
            given_back: vec![Vec::new()],
            for_a_middle: false,
            mean_ms: &|_, _| RUN_MS,
        };
        change(&mut play);
        let fates = play.run();
        // In hundredths of a run, so that the little that runs stray does not matter.
        let start = |span: &Option<Span>| span.map(|(start, _)| (start + 25) / 50 * 50);
        for fate in &fates {
            let first = start(&fate[0]);
            for span in fate {
                let near = start(span).zip(first).is_none_or(|(a, b)| (a - b).abs() <= 200);
                assert!(near && span.is_some() == first.is_some(), "{fate:?}");
            }
        }
        fates.iter().map(|fate| start(&fate[0])).collect()
    }

    #[test]
    fn jobs_start_in_order_as_slots_are_freed() {
        let starts = played(|play| {
            play.idle = vec![vec![RunnerId(1)]];
            play.running = vec![runs(500, Some((0, RunnerId(2))))];
            play.waiting = (1..=4).map(|number| waits(number, 0)).collect();
        });
        assert_eq!(starts, [Some(0), Some(500), Some(1_000), Some(1_500)]);
    }

    #[test]
    fn a_job_that_nothing_lets_start_never_does() {
        assert_eq!(played(|play| play.waiting = vec![waits(1, 0)]), [None]);
        let away = played(|play| {
            play.running = vec![runs(0, None)];
            play.waiting = vec![waits(1, 0)];
        });
        assert_eq!(away, [None], "its runner takes nothing new");
    }

    #[test]
    fn a_job_behind_a_closed_limit_lets_others_go_before_it() {
        let starts = played(|play| {
            play.kinds = vec![kind(&[(0, 1)]), kind(&[])];
            play.limits = vec![1];
            play.idle = vec![vec![RunnerId(1), RunnerId(2)]];
            play.waiting = vec![waits(1, 0), waits(2, 0), waits(3, 1)];
        });
        assert_eq!(starts, [Some(0), Some(1_000), Some(0)]);
    }

    #[test]
    fn a_limit_is_freed_by_a_run_whose_slot_nobody_gets() {
        let starts = played(|play| {
            play.kinds = vec![kind(&[(0, 1)])];
            play.limits = vec![0];
            play.given_back.push(vec![(0, 1)]);
            play.running = vec![Running { gives_back: 1, ..runs(400, None) }];
            play.idle = vec![vec![RunnerId(1)]];
            play.waiting = vec![waits(1, 0)];
        });
        assert_eq!(starts, [Some(600)]);
    }

    #[test]
    fn each_group_of_runners_serves_the_sets_that_it_belongs_to() {
        let starts = played(|play| {
            // The first group can take both, the second only what is of the second set.
            play.groups = vec![0b11, 0b10];
            play.kinds = vec![kind(&[]), Kind { set: 1, takes: Vec::new() }];
            play.idle = vec![Vec::new(), Vec::new()];
            play.running =
                vec![runs(200, Some((0, RunnerId(1)))), runs(700, Some((1, RunnerId(2))))];
            play.waiting = vec![waits(1, 0), waits(2, 0), waits(3, 1)];
        });
        assert_eq!(starts, [Some(800), Some(1_800), Some(300)]);
    }

    #[test]
    fn a_job_waits_for_its_time_and_for_what_it_needs() {
        let starts = played(|play| {
            play.idle = vec![vec![RunnerId(1), RunnerId(2), RunnerId(3)]];
            play.running = vec![runs(600, None)];
            play.waiting = vec![
                Waiting { ready_ms: 300, ..waits(1, 0) },
                Waiting { needs: vec![Need::Waiting(0)], ..waits(2, 0) },
                Waiting { needs: vec![Need::Running(0)], ..waits(3, 0) },
            ];
        });
        assert_eq!(starts, [Some(300), Some(1_300), Some(400)]);
    }
}
