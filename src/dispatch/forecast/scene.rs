//! From the scheduler's state to a play: who is in front, what runs, which slots and limits there
//! are.
//!
//! What is left out, so that a question stays cheap: that a job may not fit beside others on a runner
//! (`reserve_resources`), rates, reservations of resources, retries, and work that has not come yet.

use fixedbitset::FixedBitSet;
use rustc_hash::{FxHashMap, FxHashSet};

use super::entrant::{Entrant, Fate, lost};
use super::limits::{Limit, Limits, Taker};
use super::play::{Kind, Need, Play, Running, Waiting};
use crate::dispatch::reason::Reason;
use crate::dispatch::scheduler::Scheduler;
use crate::model::{ClassId, Job, JobId, JobPriority, JobState, Now, RunnerRequirements, TenantId};
use crate::queue::{GroupKey, Newcomer, Scene};
use crate::runner::{RunnerSlot, Strays};

/// Classes that one play tells apart; jobs in front that are of further ones are left out.
const CLASSES_MAX: usize = 64;
/// Of the jobs that run those that end first matter: at least so many are played, and for each that
/// waits this many.
const RUNNING_MIN: usize = 256;
const RUNNING_EACH: usize = 4;

/// Jobs of one class, tenant, of level `critical` or not, and of these limits.
type KindKey = (ClassId, TenantId, bool, Vec<(Limit, u64)>);

struct Builder<'a> {
    scheduler: &'a Scheduler,
    now: Now,
    limits: Limits,
    kinds: Vec<Kind>,
    kind_classes: Vec<ClassId>,
    by_key: FxHashMap<KindKey, usize>,
    classes: Vec<ClassId>,
    strays: FxHashMap<ClassId, Strays>,
    /// Of each runner the classes that it can take, as bits.
    fits: Vec<u64>,
}

impl Scheduler {
    /// Plays until the jobs `in_lanes` and the entrants that are asked about have started. The fates
    /// of the former, then of the latter.
    pub(super) fn foresee(
        &self,
        now: Now,
        in_lanes: &[JobId],
        entrants: &[Entrant<'_>],
    ) -> Vec<(JobId, Fate)> {
        let asked = entrants.iter().filter(|it| it.asked).map(|it| it.job_id);
        let asked: Vec<_> = in_lanes.iter().copied().chain(asked).collect();
        let is_asked: FxHashSet<_> = asked.iter().copied().collect();
        let by_id: FxHashMap<_, _> = entrants.iter().map(|it| (it.job_id, it)).collect();
        // Whoever is needed must be met as well.
        let needed: FxHashSet<_> =
            entrants.iter().flat_map(|it| it.needs.iter().copied()).collect();
        let sought = needed.iter().copied().filter(|id| by_id.contains_key(id));
        let sought: FxHashSet<_> = sought.chain(asked.iter().copied()).collect();
        let (order, behind) = self.order_with(now, in_lanes, entrants, &sought);
        let mut builder = Builder::new(self, now);
        // Their classes come first, so that there is room for them.
        for entrant in entrants {
            builder.class(entrant.class_id, entrant.requirements);
        }
        for job in in_lanes.iter().filter_map(|id| self.job(*id)) {
            if let Some(requirements) = self.index.requirements(job.class_id) {
                builder.class(job.class_id, requirements);
            }
        }
        let mut waiting = Vec::with_capacity(order.len());
        let mut places: FxHashMap<JobId, Need> = FxHashMap::default();
        for &id in &order {
            let entrant = by_id.get(&id).copied();
            let Some(job) = builder.waiting(id, entrant, is_asked.contains(&id)) else { continue };
            places.insert(id, Need::Waiting(waiting.len()));
            waiting.push(job);
        }
        if behind && let Some(last) = waiting.last_mut() {
            last.asked = true;
        }
        let (idle, groups) = builder.slots();
        let running = builder.running(&groups, waiting.len(), &needed, |id, at| {
            places.insert(id, Need::Running(at));
        });
        let lost = lost(entrants, &places);
        for entrant in entrants {
            if let Some(Need::Waiting(at)) = places.get(&entrant.job_id) {
                let needs = entrant.needs.iter().filter_map(|id| places.get(id).copied());
                waiting[*at].needs = needs.collect();
            }
        }
        let kind_classes = builder.kind_classes.clone();
        let mean_ms = |kind: usize, slot: RunnerSlot| {
            let runner = self.runners.at(slot).map(|runner| runner.row.id);
            runner.map_or(0, |id| self.run_times.mean_ms(kind_classes[kind], id))
        };
        let (kinds, limits) = (builder.kinds, builder.limits.left);
        let play = Play { kinds, waiting, running, idle, limits, mean_ms: &mean_ms };
        let worlds = play.run();
        let fate = |at: usize| worlds.iter().map(|world| world[at]).collect::<Vec<_>>();
        let of = |id: JobId| match places.get(&id) {
            Some(Need::Waiting(at)) if !lost.contains(&id) => Fate::Played(fate(*at)),
            _ => Fate::Behind(play.waiting.len().checked_sub(1).map_or_else(Vec::new, fate)),
        };
        asked.into_iter().map(|id| (id, of(id))).collect()
    }

    /// Jobs in dispatch order up to the last one that is sought, among those that compete for
    /// the same pools; whether one of these is so far behind that it is not among them.
    fn order_with(
        &self,
        now: Now,
        in_lanes: &[JobId],
        entrants: &[Entrant<'_>],
        sought: &FxHashSet<JobId>,
    ) -> (Vec<JobId>, bool) {
        let of_lanes = in_lanes.iter().filter_map(|id| self.job(*id));
        let of_lanes = of_lanes.filter_map(|job| self.index.requirements(job.class_id));
        let needs = of_lanes.chain(entrants.iter().map(|it| it.requirements));
        let pools: Vec<_> = needs.flat_map(RunnerRequirements::pools).collect();
        let rivals = self.queue.classes().filter_map(|class| {
            let needs = self.index.requirements(class)?;
            let rival = needs.pools().any(|pool| pools.contains(&pool));
            rival.then(|| Some((class, self.scene(now, class, needs.pool_id)?.0)))?
        });
        let mut shares = self.shares.clone();
        entrants.iter().for_each(|entrant| shares.enter(entrant.tenant_id));
        let newcomers: Vec<_> = entrants.iter().map(|it| self.newcomer(now, it)).collect();
        let most = Reason::POSITION_MAX as usize + entrants.len();
        let (mut order, mut left) = (Vec::new(), sought.len());
        self.queue.walk(rivals, &newcomers, shares, self.settings.expected_run_ms, |id| {
            order.push(id);
            left -= usize::from(sought.contains(&id));
            left > 0 && order.len() < most
        });
        (order, left > 0)
    }

    fn newcomer<'a>(&'a self, now: Now, entrant: &Entrant<'_>) -> (Newcomer, Scene<'a>) {
        let pool_id = entrant.requirements.pool_id;
        let scene = Scene {
            wall_ms: now.wall_ms,
            raising: self.raising(),
            shares: &self.shares,
            policy: &**self.policies.of(pool_id),
            pool_id,
            runners: self.index.runners_len(entrant.class_id),
            openings: self.openings,
        };
        let newcomer = Newcomer {
            job_id: entrant.job_id,
            class_id: entrant.class_id,
            tenant_id: entrant.tenant_id,
            level: entrant.level,
            lane_key: entrant.lane_key,
        };
        (newcomer, scene)
    }
}

impl<'a> Builder<'a> {
    fn new(scheduler: &'a Scheduler, now: Now) -> Self {
        Self {
            scheduler,
            now,
            limits: Limits::default(),
            kinds: Vec::new(),
            kind_classes: Vec::new(),
            by_key: FxHashMap::default(),
            classes: Vec::new(),
            strays: FxHashMap::default(),
            fits: Vec::new(),
        }
    }

    /// The bit of a class among those of this play, while there is room for it.
    fn class(&mut self, class: ClassId, requirements: &RunnerRequirements) -> Option<usize> {
        if let Some(at) = self.classes.iter().position(|known| *known == class) {
            return Some(at);
        }
        let at = self.classes.len();
        if at == CLASSES_MAX {
            return None;
        }
        self.classes.push(class);
        let mut note = |slot: RunnerSlot| {
            if self.fits.len() <= slot.0 {
                self.fits.resize(slot.0 + 1, 0);
            }
            self.fits[slot.0] |= 1 << at;
        };
        match self.scheduler.index.requirements(class) {
            Some(_) => self.scheduler.index.runners(class).for_each(&mut note),
            // Nobody has asked for this before.
            None => {
                for (slot, runner) in self.scheduler.runners.iter() {
                    if runner.row.capabilities.satisfies(runner.row.pool_id, requirements) {
                        note(slot);
                    }
                }
            }
        }
        Some(at)
    }

    /// A job of the play; `None` for one of too many classes.
    fn waiting(
        &mut self,
        id: JobId,
        entrant: Option<&Entrant<'_>>,
        asked: bool,
    ) -> Option<Waiting> {
        let (class_id, taker, ready_ms) = match entrant {
            Some(it) => {
                let taker = Taker {
                    tenant_id: it.tenant_id,
                    priority: it.priority,
                    requirements: it.requirements,
                    pool: None,
                    more: &it.limits,
                };
                (it.class_id, taker, it.ready_ms)
            }
            None => {
                let job = self.scheduler.job(id)?;
                let requirements = self.scheduler.index.requirements(job.class_id)?;
                let (tenant_id, priority) = (job.tenant_id, job.priority);
                let taker = Taker { tenant_id, priority, requirements, pool: None, more: &[] };
                (job.class_id, taker, 0)
            }
        };
        self.class(class_id, taker.requirements)?;
        let critical = taker.priority == JobPriority::Critical;
        let key = (class_id, taker.tenant_id, critical, taker.more.to_vec());
        let kind = match self.by_key.get(&key) {
            Some(kind) => *kind,
            None => {
                let takes = self.limits.takes(self.scheduler, &taker, true);
                let strays = self.strays_of(class_id);
                // Which groups there are is known when all classes are.
                self.kinds.push(Kind { strays, groups: FixedBitSet::new(), takes });
                self.kind_classes.push(class_id);
                self.by_key.insert(key, self.kinds.len() - 1);
                self.kinds.len() - 1
            }
        };
        let number = id.0.unsigned_abs();
        Some(Waiting { kind, number, ready_ms, needs: Vec::new(), asked })
    }

    fn strays_of(&mut self, class: ClassId) -> Strays {
        let run_times = &self.scheduler.run_times;
        *self.strays.entry(class).or_insert_with(|| run_times.strays(class))
    }

    /// Free slots by group of runners, and the group of each runner that takes new jobs.
    fn slots(&mut self) -> (Vec<Vec<RunnerSlot>>, Vec<Option<usize>>) {
        let mut numbers: FxHashMap<u64, usize> = FxHashMap::default();
        let (mut idle, mut groups) = (Vec::<Vec<RunnerSlot>>::new(), vec![None; self.fits.len()]);
        for (at, &fits) in self.fits.iter().enumerate() {
            let slot = RunnerSlot(at);
            let runner = self.scheduler.runners.at(slot).filter(|_| fits != 0);
            let open = runner.filter(|it| {
                !it.offline && it.takes_new() && !self.scheduler.pool_is_paused(it.row.pool_id)
            });
            let Some(runner) = open else { continue };
            let group = *numbers.entry(fits).or_insert_with(|| {
                idle.push(Vec::new());
                idle.len() - 1
            });
            groups[at] = Some(group);
            idle[group].extend(std::iter::repeat_n(slot, runner.free() as usize));
        }
        for (kind, class) in self.kinds.iter_mut().zip(&self.kind_classes) {
            let bit = self.classes.iter().position(|known| known == class);
            let fits = |mask: u64| bit.is_some_and(|bit| mask >> bit & 1 == 1);
            kind.groups.grow(idle.len());
            let groups = numbers.iter().filter(|(mask, _)| fits(**mask));
            groups.for_each(|(_, group)| kind.groups.insert(*group));
        }
        (idle, groups)
    }

    /// What runs, those first that are needed or end first; what all of it takes is taken. `note`
    /// hears of each that is played.
    fn running(
        &mut self,
        groups: &[Option<usize>],
        waiting: usize,
        needed: &FxHashSet<JobId>,
        mut note: impl FnMut(JobId, usize),
    ) -> Vec<Running> {
        let mut found: Vec<(i64, JobId)> = Vec::with_capacity(self.scheduler.leases.len());
        let mut usual: FxHashMap<ClassId, i64> = FxHashMap::default();
        for (_, owner) in self.scheduler.leases.owners() {
            let Some(job) = self.scheduler.job(owner.job_id) else { continue };
            let class = job.class_id;
            let mean = usual.entry(class).or_insert_with(|| self.scheduler.expected_run_ms(class));
            let left_ms = *mean - ran_ms(job, self.now);
            found.push((if needed.contains(&job.id) { i64::MIN } else { left_ms }, job.id));
            let takes = self.taken_by(job);
            takes.iter().for_each(|(limit, taken)| self.limits.left[*limit] -= taken);
        }
        let most = RUNNING_MIN.max(RUNNING_EACH * (waiting + 1)) + needed.len();
        if found.len() > most {
            found.select_nth_unstable(most);
            found.truncate(most);
        }
        found.sort_unstable();
        let mut running = Vec::with_capacity(found.len());
        for (_, id) in found {
            let Some(job) = self.scheduler.job(id) else { continue };
            let Some(runner_id) = job.lease().map(|lease| lease.runner_id) else { continue };
            let slot = self.scheduler.runners.slot(runner_id);
            let group = slot.and_then(|slot| Some((groups.get(slot.0).copied()??, slot)));
            let ran_ms = ran_ms(job, self.now);
            let most_ms = match job.extras.cancel_requested_at_ms {
                Some(_) => self.scheduler.settings.cancel_grace_ms,
                None => job.timeout_ms - ran_ms,
            };
            note(id, running.len());
            running.push(Running {
                strays: self.strays_of(job.class_id),
                mean_ms: self.scheduler.run_times.mean_ms(job.class_id, runner_id),
                ran_ms,
                most_ms,
                number: id.0.unsigned_abs(),
                slot: group,
                takes: self.taken_by(job),
            });
        }
        running
    }

    /// What a running job has of limits that matter here.
    fn taken_by(&mut self, job: &Job) -> Vec<(usize, i64)> {
        let Some(requirements) = self.scheduler.index.requirements(job.class_id) else {
            return Vec::new();
        };
        let pool = job.lease().and_then(|lease| self.scheduler.runners.get(lease.runner_id));
        let group = job.group().filter(|_| job.in_group).map(|group| {
            let key = GroupKey { tenant_id: job.tenant_id, key: group.key.clone() };
            (Limit::Group(key), u64::from(group.limit))
        });
        let taker = Taker {
            tenant_id: job.tenant_id,
            priority: job.priority,
            requirements,
            pool: pool.map(|runner| runner.row.pool_id),
            more: group.as_slice(),
        };
        self.limits.takes(self.scheduler, &taker, false)
    }
}

/// How long a job has run that a runner has.
fn ran_ms(job: &Job, now: Now) -> i64 {
    match job.state {
        JobState::Running { started_at_ms, .. } => (now.wall_ms - started_at_ms).max(0),
        _ => 0,
    }
}
