//! The near future in small: when some waiting jobs start, if runs take as long as they did before.
//!
//! A play knows jobs that wait, in dispatch order, jobs that run, free slots and counted limits.
//! Runners that can do the same for these jobs are one group, so that a fleet of thousands is a few
//! numbers. Time goes from end to end: whenever a slot or a limit is freed, the first job in order
//! that can start does. One such run is a world; each draws its own run times, and percentiles are
//! over worlds. The draws follow from numbers of jobs and worlds, so the same state has the same
//! future: nothing here needs randomness from outside.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fixedbitset::FixedBitSet;

use crate::runner::{RunnerSlot, Strays};

/// The most worlds that are played.
const WORLDS_MAX: usize = 64;
/// The fewest, whatever the size of the play.
const WORLDS_MIN: usize = 8;
/// Steps of all worlds together; one is about 50 ns.
const STEPS: usize = 40_000;

/// Jobs that the same runners and the same limits decide about.
#[derive(Debug)]
pub(super) struct Kind {
    /// How far their runs stray.
    pub(super) strays: Strays,
    /// Groups of runners that can take them.
    pub(super) groups: FixedBitSet,
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
    /// How far its run strays.
    pub(super) strays: Strays,
    /// How long it is expected to take.
    pub(super) mean_ms: i64,
    /// How long it has run.
    pub(super) ran_ms: i64,
    /// When it is stopped at the latest, from now.
    pub(super) most_ms: i64,
    /// What its draws follow from.
    pub(super) number: u64,
    /// The slot that it frees, by group and runner; `None` where nobody else gets it.
    pub(super) slot: Option<(usize, RunnerSlot)>,
    /// What it gives back.
    pub(super) takes: Vec<(usize, i64)>,
}

/// Start and end of a job in one world, in milliseconds from now.
pub(super) type Span = (i64, i64);

/// What is known of the near future.
pub(super) struct Play<'a> {
    pub(super) kinds: Vec<Kind>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) running: Vec<Running>,
    /// Free slots of each group.
    pub(super) idle: Vec<Vec<RunnerSlot>>,
    /// What is left of each limit; less than nothing when more is taken than there may be.
    pub(super) limits: Vec<i64>,
    /// How long a job of a kind is expected to take on a runner.
    pub(super) mean_ms: &'a dyn Fn(usize, RunnerSlot) -> i64,
}

impl Play<'_> {
    /// How many worlds are played.
    pub(super) fn worlds(&self) -> usize {
        let each = (self.waiting.len() + self.running.len() + 1) * (1 + self.kinds.len() / 16);
        (STEPS / each).clamp(WORLDS_MIN, WORLDS_MAX)
    }

    /// Of each world, in the order of [`Play::waiting`], when the jobs that were asked about start
    /// and end; `None` for one that never starts.
    pub(super) fn run(&self) -> Vec<Vec<Option<Span>>> {
        (0..self.worlds() as u64).map(|number| World::new(self, number).play()).collect()
    }
}

/// A job that runs in a world.
#[derive(Clone, Copy)]
enum Runs {
    /// It waited.
    Started(usize, RunnerSlot, usize),
    /// It ran already.
    Ran(usize),
}

struct World<'a> {
    play: &'a Play<'a>,
    number: u64,
    now_ms: i64,
    idle: Vec<Vec<RunnerSlot>>,
    /// Groups with a free slot.
    open: FixedBitSet,
    limits: Vec<i64>,
    /// Ends to come, and whose they are.
    ends: BinaryHeap<Reverse<(i64, usize)>>,
    runs: Vec<Runs>,
    /// Jobs of each kind that could start but for slots and limits, first in order on top.
    ready: Vec<BinaryHeap<Reverse<usize>>>,
    /// Jobs whose time comes.
    later: BinaryHeap<Reverse<(i64, usize)>>,
    /// Of each job how much of what it needs has not ended.
    unmet: Vec<usize>,
    /// Jobs that need others.
    needy: Vec<usize>,
    spans: Vec<Option<Span>>,
    /// Jobs that were asked about and have not started.
    left: usize,
}

impl<'a> World<'a> {
    fn new(play: &'a Play<'a>, number: u64) -> Self {
        let mut open = FixedBitSet::with_capacity(play.idle.len());
        for (group, slots) in play.idle.iter().enumerate() {
            open.set(group, !slots.is_empty());
        }
        let mut world = Self {
            play,
            number,
            now_ms: 0,
            idle: play.idle.clone(),
            open,
            limits: play.limits.clone(),
            ends: BinaryHeap::with_capacity(play.running.len()),
            runs: Vec::with_capacity(play.running.len() + play.waiting.len()),
            ready: vec![BinaryHeap::new(); play.kinds.len()],
            later: BinaryHeap::new(),
            unmet: play.waiting.iter().map(|job| job.needs.len()).collect(),
            needy: (0..play.waiting.len())
                .filter(|at| !play.waiting[*at].needs.is_empty())
                .collect(),
            spans: vec![None; play.waiting.len()],
            left: play.waiting.iter().filter(|job| job.asked).count(),
        };
        for (at, job) in play.running.iter().enumerate() {
            let left = job.strays.left_ms(job.mean_ms, job.ran_ms, world.case(job.number));
            world.ends.push(Reverse((left.min(job.most_ms.max(1)), world.runs.len())));
            world.runs.push(Runs::Ran(at));
        }
        for at in 0..play.waiting.len() {
            world.wait(at);
        }
        world
    }

    fn case(&self, job: u64) -> u64 {
        job.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ self.number
    }

    /// A job that needs nothing more waits for its time, or for a slot.
    fn wait(&mut self, at: usize) {
        let job = &self.play.waiting[at];
        match self.unmet[at] {
            0 if job.ready_ms <= self.now_ms => self.ready[job.kind].push(Reverse(at)),
            0 => self.later.push(Reverse((job.ready_ms, at))),
            _ => {}
        }
    }

    fn play(mut self) -> Vec<Option<Span>> {
        loop {
            while let Some(&Reverse((at_ms, job))) = self.later.peek()
                && at_ms <= self.now_ms
            {
                self.later.pop();
                self.ready[self.play.waiting[job].kind].push(Reverse(job));
            }
            while let Some((kind, group)) = self.next() {
                self.start(kind, group);
            }
            if self.left == 0 {
                return self.spans;
            }
            let end = self.ends.peek().map(|Reverse((at_ms, _))| *at_ms);
            let later = self.later.peek().map(|Reverse((at_ms, _))| *at_ms);
            let Some(next_ms) = end.into_iter().chain(later).min() else { return self.spans };
            self.now_ms = next_ms;
            while let Some(&Reverse((at_ms, who))) = self.ends.peek()
                && at_ms <= next_ms
            {
                self.ends.pop();
                self.end(who);
            }
        }
    }

    /// The first job in order that can start, as its kind and a group that it can start in.
    fn next(&self) -> Option<(usize, usize)> {
        let first = |(kind, jobs): (usize, &BinaryHeap<Reverse<usize>>)| {
            let &Reverse(first) = jobs.peek()?;
            let limits = &self.play.kinds[kind].takes;
            let can = limits.iter().all(|(limit, wanted)| self.limits[*limit] >= *wanted);
            (can && !self.open.is_disjoint(&self.play.kinds[kind].groups)).then_some((first, kind))
        };
        let (_, kind) = self.ready.iter().enumerate().filter_map(first).min()?;
        let group = self.play.kinds[kind].groups.intersection(&self.open).next()?;
        Some((kind, group))
    }

    fn start(&mut self, kind: usize, group: usize) {
        let (Some(Reverse(at)), Some(slot)) = (self.ready[kind].pop(), self.idle[group].pop())
        else {
            return;
        };
        self.open.set(group, !self.idle[group].is_empty());
        for (limit, taken) in &self.play.kinds[kind].takes {
            self.limits[*limit] -= taken;
        }
        let job = &self.play.waiting[at];
        let mean_ms = (self.play.mean_ms)(kind, slot);
        let run_ms = self.play.kinds[kind].strays.run_ms(mean_ms, self.case(job.number));
        let end_ms = self.now_ms.saturating_add(run_ms);
        self.spans[at] = Some((self.now_ms, end_ms));
        self.left -= usize::from(job.asked);
        self.ends.push(Reverse((end_ms, self.runs.len())));
        self.runs.push(Runs::Started(at, slot, group));
    }

    fn end(&mut self, who: usize) {
        let (need, slot, takes) = match self.runs[who] {
            Runs::Started(at, slot, group) => {
                let takes = &self.play.kinds[self.play.waiting[at].kind].takes;
                (Need::Waiting(at), Some((group, slot)), takes)
            }
            Runs::Ran(at) => {
                let job = &self.play.running[at];
                (Need::Running(at), job.slot, &job.takes)
            }
        };
        if let Some((group, slot)) = slot {
            self.idle[group].push(slot);
            self.open.insert(group);
        }
        for (limit, taken) in takes {
            self.limits[*limit] += taken;
        }
        // Few jobs of a play need others: looking at all of those is cheaper than an index.
        for at in 0..self.needy.len() {
            let at = self.needy[at];
            if self.unmet[at] > 0 && self.play.waiting[at].needs.contains(&need) {
                self.unmet[at] -= 1;
                self.wait(at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ClassId, RunnerId};
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

    fn kind(groups: &[usize], takes: &[(usize, i64)]) -> Kind {
        let groups = groups.iter().copied().collect();
        Kind { strays: steady(), groups, takes: takes.to_vec() }
    }

    fn waits(number: u64, kind: usize) -> Waiting {
        Waiting { kind, number, ready_ms: 0, needs: Vec::new(), asked: true }
    }

    fn runs(ran_ms: i64, slot: Option<(usize, RunnerSlot)>) -> Running {
        let (mean_ms, most_ms, takes) = (RUN_MS, i64::MAX, Vec::new());
        Running { strays: steady(), mean_ms, ran_ms, most_ms, number: 99, slot, takes }
    }

    fn played(change: impl FnOnce(&mut Play<'_>)) -> Vec<Option<i64>> {
        let mut play = Play {
            kinds: vec![kind(&[0], &[])],
            waiting: Vec::new(),
            running: Vec::new(),
            idle: vec![Vec::new()],
            limits: Vec::new(),
            mean_ms: &|_, _| RUN_MS,
        };
        change(&mut play);
        let worlds = play.run();
        // In hundredths of a run, so that the little that runs stray does not matter.
        let start = |span: &Option<Span>| span.map(|(start, _)| (start + 25) / 50 * 50);
        let first: Vec<_> = worlds[0].iter().map(start).collect();
        for world in &worlds {
            for (span, first) in world.iter().zip(&first) {
                let near = start(span).zip(*first).is_none_or(|(a, b)| (a - b).abs() <= 200);
                assert!(near && span.is_some() == first.is_some(), "{world:?} and {first:?}");
            }
        }
        first
    }

    #[test]
    fn jobs_start_in_order_as_slots_are_freed() {
        let starts = played(|play| {
            play.idle = vec![vec![RunnerSlot(0)]];
            play.running = vec![runs(500, Some((0, RunnerSlot(1))))];
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
            play.kinds = vec![kind(&[0], &[(0, 1)]), kind(&[0], &[])];
            play.limits = vec![1];
            play.idle = vec![vec![RunnerSlot(0), RunnerSlot(1)]];
            play.waiting = vec![waits(1, 0), waits(2, 0), waits(3, 1)];
        });
        assert_eq!(starts, [Some(0), Some(1_000), Some(0)]);
    }

    #[test]
    fn a_job_waits_for_its_time_and_for_what_it_needs() {
        let starts = played(|play| {
            play.idle = vec![vec![RunnerSlot(0), RunnerSlot(1), RunnerSlot(2)]];
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
