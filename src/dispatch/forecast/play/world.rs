//! One run of a play. What it works with is kept from one world to the next, and only what an end
//! may have let start is looked at after it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fixedbitset::FixedBitSet;

use super::{Need, Play, Span};
use crate::model::RunnerId;

/// A job that has started in this world.
#[derive(Clone, Copy)]
struct Started {
    at: usize,
    group: usize,
    runner: RunnerId,
}

/// Jobs of one kind that need nothing more but a slot and its limits.
#[derive(Default)]
struct Ready {
    /// Those that were so from the beginning, in order, and how many of them have started.
    first: Vec<usize>,
    started: usize,
    /// Those that became so, first in order on top.
    late: BinaryHeap<Reverse<usize>>,
}

impl Ready {
    fn peek(&self) -> Option<usize> {
        let late = self.late.peek().map(|Reverse(at)| *at);
        self.first.get(self.started).copied().into_iter().chain(late).min()
    }

    fn pop(&mut self) -> Option<usize> {
        let next = self.peek()?;
        match self.first.get(self.started) == Some(&next) {
            true => self.started += 1,
            false => drop(self.late.pop()),
        }
        Some(next)
    }
}

pub(super) struct World<'a> {
    play: &'a Play<'a>,
    number: u64,
    now_ms: i64,
    /// Kinds that each group can take, and that take of each limit.
    kinds_of_group: Vec<Vec<usize>>,
    kinds_of_limit: Vec<Vec<usize>>,
    /// Groups that can take each kind.
    groups_of: Vec<FixedBitSet>,
    /// Of each running job what [`crate::runner::Strays::left_ms`] wants to know.
    reached: Vec<usize>,
    /// Jobs that are asked about, in order.
    asked: Vec<usize>,
    /// Jobs that need others.
    needy: Vec<usize>,
    idle: Vec<Vec<RunnerId>>,
    /// Groups with a free slot.
    open: FixedBitSet,
    limits: Vec<i64>,
    /// Ends to come, and whose they are: of a running job, or behind these of one that has started.
    ends: BinaryHeap<Reverse<(i64, usize)>>,
    started: Vec<Started>,
    ready: Vec<Ready>,
    /// Jobs whose time comes.
    later: BinaryHeap<Reverse<(i64, usize)>>,
    /// Of each job how much of what it needs has not ended.
    unmet: Vec<usize>,
    /// When those that are asked about start and end.
    spans: Vec<Option<Span>>,
    /// How many of these have not started.
    left: usize,
    /// Kinds of which a job may start that could not before.
    hopeful: Vec<usize>,
    /// Of each kind whether it is among these.
    is_hopeful: Vec<bool>,
}

impl<'a> World<'a> {
    pub(super) fn new(play: &'a Play<'a>) -> Self {
        let fits = |sets: u64, kind: usize| sets >> play.kinds[kind].set & 1 == 1;
        let takes = |limit: usize, kind: usize| {
            play.kinds[kind].takes.iter().any(|(taken, _)| *taken == limit)
        };
        let (kinds, groups) = (0..play.kinds.len(), 0..play.groups.len());
        let of_group = |sets: &u64| kinds.clone().filter(|kind| fits(*sets, *kind)).collect();
        let of_limit = |limit| kinds.clone().filter(|kind| takes(limit, *kind)).collect();
        let groups_of = |kind| groups.clone().filter(|at| fits(play.groups[*at], kind)).collect();
        let places = |is: fn(&super::Waiting) -> bool| -> Vec<usize> {
            (0..play.waiting.len()).filter(|at| is(&play.waiting[*at])).collect()
        };
        let mut ready: Vec<Ready> = play.kinds.iter().map(|_| Ready::default()).collect();
        for (at, job) in play.waiting.iter().enumerate() {
            if job.needs.is_empty() && job.ready_ms <= 0 {
                ready[job.kind].first.push(at);
            }
        }
        let reached =
            |job: &super::Running| play.strays[job.class].reached(job.mean_ms, job.ran_ms);
        let asked = places(|job| job.asked);
        Self {
            play,
            number: 0,
            now_ms: 0,
            kinds_of_group: play.groups.iter().map(of_group).collect(),
            kinds_of_limit: (0..play.limits.len()).map(of_limit).collect(),
            groups_of: kinds.clone().map(groups_of).collect(),
            reached: play.running.iter().map(reached).collect(),
            spans: vec![None; asked.len()],
            left: asked.len(),
            asked,
            needy: places(|job| !job.needs.is_empty()),
            idle: play.idle.clone(),
            open: FixedBitSet::with_capacity(groups.len()),
            limits: play.limits.clone(),
            ends: BinaryHeap::new(),
            started: Vec::with_capacity(play.waiting.len()),
            ready,
            later: BinaryHeap::new(),
            unmet: vec![0; play.waiting.len()],
            hopeful: Vec::with_capacity(kinds.len()),
            is_hopeful: vec![false; kinds.len()],
        }
    }

    /// Back to the beginning.
    fn reset(&mut self, number: u64) {
        (self.number, self.now_ms, self.left) = (number, 0, self.asked.len());
        for (group, (idle, first)) in self.idle.iter_mut().zip(&self.play.idle).enumerate() {
            idle.clone_from(first);
            self.open.set(group, !first.is_empty());
        }
        self.limits.clone_from(&self.play.limits);
        self.started.clear();
        self.spans.fill(None);
        self.later.clear();
        for ready in &mut self.ready {
            ready.started = 0;
            ready.late.clear();
        }
        (0..self.ready.len()).for_each(|kind| self.hope(kind));
        for (at, job) in self.play.waiting.iter().enumerate() {
            self.unmet[at] = job.needs.len();
            if job.needs.is_empty() && job.ready_ms > 0 {
                self.later.push(Reverse((job.ready_ms, at)));
            }
        }
        let mut ends = std::mem::take(&mut self.ends).into_vec();
        ends.clear();
        let running = self.play.running.iter().zip(&self.reached).enumerate();
        ends.extend(running.map(|(at, (job, reached))| {
            let case = self.case(job.number);
            let strays = &self.play.strays[job.class];
            let left_ms = strays.left_ms(*reached, job.mean_ms, job.ran_ms, case);
            Reverse((left_ms.min(job.most_ms.max(1)), at))
        }));
        self.ends = ends.into();
    }

    fn case(&self, job: u64) -> u64 {
        job.wrapping_mul(0x2545_f491_4f6c_dd1d) ^ self.number
    }

    /// When the jobs that are asked about start and end in the world with this number.
    pub(super) fn play(&mut self, number: u64) -> &[Option<Span>] {
        self.reset(number);
        loop {
            while let Some(&Reverse((at_ms, job))) = self.later.peek()
                && at_ms <= self.now_ms
            {
                self.later.pop();
                self.let_start(job);
            }
            while let Some((kind, group)) = self.next() {
                self.start(kind, group);
            }
            let end = self.ends.peek().map(|Reverse((at_ms, _))| *at_ms);
            let later = self.later.peek().map(|Reverse((at_ms, _))| *at_ms);
            let next_ms = end.into_iter().chain(later).min();
            let Some(next_ms) = next_ms.filter(|_| self.left > 0) else { return &self.spans };
            self.now_ms = next_ms;
            while let Some(&Reverse((at_ms, who))) = self.ends.peek()
                && at_ms <= next_ms
            {
                self.ends.pop();
                self.end(who);
            }
        }
    }

    fn let_start(&mut self, at: usize) {
        let kind = self.play.waiting[at].kind;
        self.ready[kind].late.push(Reverse(at));
        self.hope(kind);
    }

    /// A job of this kind may start now.
    fn hope(&mut self, kind: usize) {
        if !std::mem::replace(&mut self.is_hopeful[kind], true) {
            self.hopeful.push(kind);
        }
    }

    /// The first job in order that can start, as its kind and a group that it can start in. Kinds of
    /// which none can are given up until something is freed.
    fn next(&mut self) -> Option<(usize, usize)> {
        let mut best: Option<(usize, usize, usize)> = None;
        let mut hopeful = std::mem::take(&mut self.hopeful);
        hopeful.retain(|&kind| {
            let takes = &self.play.kinds[kind].takes;
            let can = takes.iter().all(|(limit, wanted)| self.limits[*limit] >= *wanted);
            let head = self.ready[kind].peek().filter(|_| can);
            let group = head.and_then(|_| self.groups_of[kind].intersection(&self.open).next());
            self.is_hopeful[kind] = group.is_some();
            let own = head.zip(group).map(|(head, group)| (head, kind, group));
            best = best.into_iter().chain(own).min();
            group.is_some()
        });
        self.hopeful = hopeful;
        best.map(|(_, kind, group)| (kind, group))
    }

    fn start(&mut self, kind: usize, group: usize) {
        let (Some(at), Some(runner)) = (self.ready[kind].pop(), self.idle[group].pop()) else {
            return;
        };
        self.open.set(group, !self.idle[group].is_empty());
        for (limit, taken) in &self.play.kinds[kind].takes {
            self.limits[*limit] -= taken;
        }
        let job = &self.play.waiting[at];
        let mean_ms = (self.play.mean_ms)(job.class, runner);
        let run_ms = self.play.strays[job.class].run_ms(mean_ms, self.case(job.number));
        let end_ms = self.now_ms.saturating_add(run_ms);
        if job.asked
            && let Ok(asked) = self.asked.binary_search(&at)
        {
            self.spans[asked] = Some((self.now_ms, end_ms));
            self.left -= 1;
        }
        self.ends.push(Reverse((end_ms, self.play.running.len() + self.started.len())));
        self.started.push(Started { at, group, runner });
    }

    fn end(&mut self, who: usize) {
        let play = self.play;
        let (need, slot, takes) = match play.running.get(who) {
            Some(job) => (Need::Running(who), job.slot, &play.given_back[job.gives_back]),
            None => {
                let Started { at, group, runner } = self.started[who - play.running.len()];
                let takes = &play.kinds[play.waiting[at].kind].takes;
                (Need::Waiting(at), Some((group, runner)), takes)
            }
        };
        if let Some((group, runner)) = slot {
            self.idle[group].push(runner);
            self.open.insert(group);
            for at in 0..self.kinds_of_group[group].len() {
                self.hope(self.kinds_of_group[group][at]);
            }
        }
        for (limit, taken) in takes {
            self.limits[*limit] += taken;
            for at in 0..self.kinds_of_limit[*limit].len() {
                self.hope(self.kinds_of_limit[*limit][at]);
            }
        }
        // Few jobs of a play need others: looking at all of those is cheaper than an index.
        for at in 0..self.needy.len() {
            let at = self.needy[at];
            if self.unmet[at] > 0 && play.waiting[at].needs.contains(&need) {
                self.unmet[at] -= 1;
                if self.unmet[at] == 0 {
                    match play.waiting[at].ready_ms <= self.now_ms {
                        true => self.let_start(at),
                        false => self.later.push(Reverse((play.waiting[at].ready_ms, at))),
                    }
                }
            }
        }
    }
}
