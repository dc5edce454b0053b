//! The parts of a play, from the scheduler's state.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use fixedbitset::FixedBitSet;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::dispatch::forecast::entrant::Entrant;
use crate::dispatch::forecast::limits::{Limits, Taker};
use crate::dispatch::forecast::play::{Kind, Running, Waiting};
use crate::dispatch::runs::{NOT_STARTED_MS, Run, RunAt, RunKind};
use crate::dispatch::scheduler::Scheduler;
use crate::model::{
    ClassId, JobId, JobPriority, Now, PoolId, RunnerId, RunnerRequirements, TenantId,
};
use crate::queue::Queued;
use crate::runner::{RunnerSlot, Strays};

/// Sets of runners that one play tells apart; jobs in front that go to further ones are left out.
const SETS_MAX: usize = u64::BITS as usize;
/// Of the jobs that run those that end first matter: at least so many are played, and for each that
/// waits this many.
const RUNNING_MIN: usize = 256;
const RUNNING_EACH: usize = 3;
/// Of these how many more are looked at that turn out not to matter.
const LOOKED_AT_EACH: usize = 4;

/// A class of the play, of jobs that wait or run.
pub(super) struct Class {
    pub(super) id: ClassId,
    pub(super) strays: Strays,
    /// How long its runs take on a usual runner.
    mean_ms: i64,
    /// The set of runners that can take its jobs, where some of them wait.
    set: Option<usize>,
}

/// Jobs that wait and take the same, before it is known which limits matter.
struct RawKind {
    set: usize,
    takes: Vec<(usize, i64)>,
    jobs: usize,
}

/// Runners that belong to the same sets.
#[derive(Default)]
pub(super) struct Groups {
    /// Of each the sets, as bits.
    pub(super) masks: Vec<u64>,
    by_mask: FxHashMap<u64, usize>,
}

impl Groups {
    fn of(&mut self, mask: u64) -> usize {
        *self.by_mask.entry(mask).or_insert_with(|| {
            self.masks.push(mask);
            self.masks.len() - 1
        })
    }
}

/// Runs of one kind in one pool, those first that end first.
struct Source<I> {
    class: usize,
    /// What they give back, as a place in a list of that.
    gives_back: usize,
    /// Whether their slots are of any use.
    frees: bool,
    next: (RunAt, Run),
    rest: I,
}

/// What runs, as a play wants it.
#[derive(Default)]
pub(super) struct Found {
    pub(super) running: Vec<Running>,
    /// What is given back, the first of it nothing.
    pub(super) given_back: Vec<Vec<(usize, i64)>>,
}

pub(super) struct Builder<'a> {
    scheduler: &'a Scheduler,
    now: Now,
    pub(super) limits: Limits,
    pub(super) classes: Vec<Class>,
    class_numbers: FxHashMap<ClassId, usize>,
    sets: Vec<Cow<'a, FixedBitSet>>,
    /// Pools of the classes of jobs that wait.
    pools: Vec<PoolId>,
    kinds: Vec<RawKind>,
    kind_numbers: FxHashMap<(usize, TenantId, bool), usize>,
    pub(super) waiting: Vec<Waiting>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(scheduler: &'a Scheduler, now: Now) -> Self {
        Self {
            scheduler,
            now,
            limits: Limits::default(),
            classes: Vec::new(),
            class_numbers: FxHashMap::default(),
            sets: Vec::new(),
            pools: Vec::new(),
            kinds: Vec::new(),
            kind_numbers: FxHashMap::default(),
            waiting: Vec::new(),
        }
    }

    fn class_number(&mut self, id: ClassId) -> usize {
        if let Some(number) = self.class_numbers.get(&id) {
            return *number;
        }
        let run_times = &self.scheduler.run_times;
        let (strays, mean_ms) = (run_times.strays(id), run_times.class_mean_ms(id));
        self.classes.push(Class { id, strays, mean_ms, set: None });
        self.class_numbers.insert(id, self.classes.len() - 1);
        self.classes.len() - 1
    }

    /// The number of a class of which jobs wait, and the set of its runners, while there is room for
    /// one more.
    pub(super) fn class(
        &mut self,
        id: ClassId,
        requirements: &RunnerRequirements,
    ) -> Option<(usize, usize)> {
        let number = self.class_number(id);
        if let Some(set) = self.classes[number].set {
            return Some((number, set));
        }
        let fitting = match self.scheduler.index.fitting(id) {
            Some(fitting) => Cow::Borrowed(fitting),
            // Nobody has asked for this before.
            None => {
                let runners = self.scheduler.runners.iter().filter(|(_, runner)| {
                    runner.row.capabilities.satisfies(runner.row.pool_id, requirements)
                });
                Cow::Owned(runners.map(|(slot, _)| slot.0).collect())
            }
        };
        let known = self.sets.iter().position(|set| *set == fitting);
        let set = known.unwrap_or(self.sets.len());
        if set == SETS_MAX {
            return None;
        }
        if known.is_none() {
            self.sets.push(fitting);
        }
        self.classes[number].set = Some(set);
        for pool in requirements.pools() {
            if !self.pools.contains(&pool) {
                self.pools.push(pool);
            }
        }
        Some((number, set))
    }

    /// Adds a job that waits, behind those that were added: its place; `None` for one that goes to
    /// one of too many sets of runners.
    pub(super) fn waits(
        &mut self,
        queued: &Queued,
        entrant: Option<&Entrant<'_>>,
        asked: bool,
    ) -> Option<usize> {
        let (class_id, tenant_id) = (queued.class_id, queued.tenant_id);
        let requirements = match entrant {
            Some(entrant) => entrant.requirements,
            None => self.scheduler.index.requirements(class_id)?,
        };
        let (class, set) = self.class(class_id, requirements)?;
        // Nothing raises a job to `critical`: the level of its lane says whether it is.
        let priority = entrant.map_or(queued.level, |it| it.priority);
        let more = entrant.map_or(&[][..], |it| &it.limits);
        let key = (class, tenant_id, priority == JobPriority::Critical);
        let known = self.kind_numbers.get(&key).copied().filter(|_| more.is_empty());
        let kind = known.unwrap_or_else(|| {
            let taker = Taker { tenant_id, priority, requirements, more };
            let takes = self.limits.takes(self.scheduler, &taker);
            self.kinds.push(RawKind { set, takes, jobs: 0 });
            if more.is_empty() {
                self.kind_numbers.insert(key, self.kinds.len() - 1);
            }
            self.kinds.len() - 1
        });
        self.kinds[kind].jobs += 1;
        let (number, ready_ms) =
            (queued.job_id.0.unsigned_abs(), entrant.map_or(0, |it| it.ready_ms));
        self.waiting.push(Waiting { kind, class, number, ready_ms, needs: Vec::new(), asked });
        Some(self.waiting.len() - 1)
    }

    /// Kinds by what matters alone, when all jobs that wait are known.
    pub(super) fn merge_kinds(&mut self) -> Vec<Kind> {
        for kind in &self.kinds {
            self.limits.want(&kind.takes, kind.jobs);
        }
        self.limits.settle();
        let (mut merged, mut numbers) = (Vec::new(), FxHashMap::default());
        let of_raw: Vec<usize> = self
            .kinds
            .iter()
            .map(|raw| {
                let kind = Kind { set: raw.set, takes: self.limits.binding(&raw.takes) };
                *numbers.entry(kind.clone()).or_insert_with(|| {
                    merged.push(kind);
                    merged.len() - 1
                })
            })
            .collect();
        for job in &mut self.waiting {
            job.kind = of_raw[job.kind];
        }
        merged
    }

    /// The sets that a runner belongs to, as bits.
    fn sets_of(&self, slot: RunnerSlot) -> u64 {
        let sets = self.sets.iter().enumerate();
        sets.fold(0, |mask, (at, set)| mask | u64::from(set.contains(slot.0)) << at)
    }

    /// Groups of runners, and the free slots of each: as many as there are jobs for.
    pub(super) fn slots(&self) -> (Groups, Vec<Vec<RunnerId>>) {
        let (mut groups, mut idle) = (Groups::default(), Vec::<Vec<RunnerId>>::new());
        let mut seen = FxHashSet::default();
        let runners = &self.scheduler.runners;
        for (at, set) in self.sets.iter().enumerate() {
            let jobs = self.kinds.iter().filter(|kind| kind.set == at).map(|kind| kind.jobs);
            let mut wanted: usize = jobs.sum();
            for slot in set.intersection(runners.roomy_slots()) {
                if wanted == 0 {
                    break;
                }
                let Some(runner) = runners.at(RunnerSlot(slot)).filter(|_| seen.insert(slot))
                else {
                    continue;
                };
                if self.scheduler.pool_is_paused(runner.row.pool_id) {
                    continue;
                }
                let group = groups.of(self.sets_of(RunnerSlot(slot)));
                idle.resize(groups.masks.len(), Vec::new());
                let free = wanted.min(runner.free() as usize);
                idle[group].extend(std::iter::repeat_n(runner.row.id, free));
                wanted -= free;
            }
        }
        (groups, idle)
    }

    /// What runs and matters, those first that are needed, or hold a group, or end first. `note` hears
    /// of each that is played.
    pub(super) fn running(
        &mut self,
        groups: &mut Groups,
        needed: &FxHashSet<JobId>,
        mut note: impl FnMut(JobId, usize),
    ) -> Found {
        let scheduler = self.scheduler;
        let mut found = Found { running: Vec::new(), given_back: vec![Vec::new()] };
        let mut special: FxHashMap<JobId, Vec<(usize, i64)>> =
            needed.iter().map(|id| (*id, Vec::new())).collect();
        for (number, key) in self.limits.binding_groups() {
            let inside = scheduler.groups.inside(key).into_iter();
            for id in inside.filter_map(|member| member.job_id) {
                special.entry(id).or_default().push((number, 1));
            }
        }
        let mut ids: Vec<_> = special.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some((pool, kind, at, run)) = scheduler.runs.get(id) else { continue };
            let mut source = self.source(pool, kind, &mut found, (at, run), ());
            let of_groups = &special[&id];
            if !of_groups.is_empty() {
                let all = found.given_back[source.gives_back].iter().chain(of_groups);
                let all = all.copied().collect();
                found.given_back.push(all);
                source.gives_back = found.given_back.len() - 1;
            }
            note(id, found.running.len());
            found.running.push(self.run(&source, groups));
        }
        let mut sources = Vec::new();
        for (pool, kind, mut rest) in scheduler.runs.kinds() {
            let Some(next) = rest.next() else { continue };
            let source = self.source(pool, kind, &mut found, next, rest);
            if source.frees || source.gives_back > 0 {
                sources.push(source);
            }
        }
        let most = RUNNING_MIN.max(RUNNING_EACH * (self.waiting.len() + 1)) + needed.len();
        let mut looked_at = 0;
        let ends = sources.iter().enumerate().map(|(at, source)| Reverse(self.end_of(source, at)));
        let mut ends: BinaryHeap<_> = ends.collect();
        while let Some(mut first) = ends.peek_mut() {
            looked_at += 1;
            if found.running.len() >= most || looked_at > LOOKED_AT_EACH * most {
                break;
            }
            let Reverse((_, id, at)) = *first;
            if !special.contains_key(&id) {
                let running = self.run(&sources[at], groups);
                if running.slot.is_some() || running.gives_back > 0 {
                    found.running.push(running);
                }
            }
            match sources[at].rest.next() {
                Some(next) => {
                    sources[at].next = next;
                    *first = Reverse(self.end_of(&sources[at], at));
                }
                None => drop(PeekMut::pop(first)),
            }
        }
        found
    }

    fn source<I>(
        &mut self,
        pool: PoolId,
        kind: RunKind,
        found: &mut Found,
        next: (RunAt, Run),
        rest: I,
    ) -> Source<I> {
        let class = self.class_number(kind.class_id);
        let frees = self.pools.contains(&pool) && !self.scheduler.pool_is_paused(pool);
        let needs = self.scheduler.index.requirements(kind.class_id);
        let held = needs.map_or_else(Vec::new, |needs| self.limits.held(kind, needs, pool));
        let gives_back = match held.is_empty() {
            true => 0,
            false => {
                found.given_back.push(held);
                found.given_back.len() - 1
            }
        };
        Source { class, gives_back, frees, next, rest }
    }

    fn ran_ms(&self, since_ms: i64) -> i64 {
        match since_ms {
            NOT_STARTED_MS => 0,
            _ => (self.now.wall_ms - since_ms).max(0),
        }
    }

    /// When the next run of a source ends as its class usually does, and which it is.
    fn end_of<I>(&self, source: &Source<I>, at: usize) -> (i64, JobId, usize) {
        let ((since_ms, id), _) = source.next;
        (self.classes[source.class].mean_ms - self.ran_ms(since_ms), id, at)
    }

    /// The next run of a source.
    fn run<I>(&self, source: &Source<I>, groups: &mut Groups) -> Running {
        let ((since_ms, id), run) = source.next;
        let ran_ms = self.ran_ms(since_ms);
        let open = source.frees && self.scheduler.runners.open_slots().contains(run.slot.0);
        let sets = if open { self.sets_of(run.slot) } else { 0 };
        let mean_ms = self.classes[source.class].mean_ms as f64 * f64::from(run.slowness);
        Running {
            class: source.class,
            mean_ms: (mean_ms.round() as i64).max(1),
            ran_ms,
            most_ms: match run.stopping {
                true => self.scheduler.settings.cancel_grace_ms,
                false => run.timeout_ms - ran_ms,
            },
            number: id.0.unsigned_abs(),
            slot: (sets != 0).then(|| (groups.of(sets), run.lease.runner_id)),
            gives_back: source.gives_back,
        }
    }
}
