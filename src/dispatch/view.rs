//! What the scheduler shows of itself: read right after a commit, never changed from outside.

use super::forecast::PredictionScore;
use super::scheduler::Scheduler;
use crate::model::{
    ClassId, Job, JobId, JobPriority, JobStateKind, Now, Pause, PauseScope, PoolId, QueuedJob,
    Runner, RunnerId, RunnerState,
};
use crate::queue::QueueMetrics;
use crate::runner::{BusyTime, LiveRunner};

/// The scheduler at a glance.
#[derive(Clone, PartialEq, Debug)]
pub struct StatusSnapshot {
    /// The epoch in which it decides.
    pub epoch: i64,
    /// Depth and age of the queue.
    pub queue: QueueMetrics,
    /// Jobs that runners have.
    pub running_jobs: u64,
    /// Most jobs that may run at once.
    pub max_global_concurrency: u64,
    /// Polls that wait, and open streams.
    pub parked_polls: u64,
    /// Each pool that has runners; the default pool always.
    pub pools: Vec<PoolUsage>,
    /// Waiting jobs that are marked, because no registered runner could ever take them.
    pub unschedulable_jobs: u64,
    /// How often what was said about jobs came true, since that was last lost.
    pub predictions: PredictionScore,
    /// The pause of everything, if there is one.
    pub paused: Option<Pause>,
}

/// How much of a pool is there and used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolUsage {
    /// Which pool.
    pub pool_id: PoolId,
    /// Its runners that were heard of lately.
    pub runners_online: u64,
    /// All its runners.
    pub runners_total: u64,
    /// Jobs of those that are online.
    pub slots_used: u64,
    /// Slots of those that are online.
    pub slots_total: u64,
}

/// A runner as people are shown it.
#[derive(Clone, PartialEq, Debug)]
pub struct RunnerSnapshot {
    /// The row.
    pub row: Runner,
    /// What it is doing.
    pub state: RunnerState,
    /// Jobs that it has, ours and others.
    pub used: u32,
    /// Jobs that it has from us.
    pub jobs: Vec<JobId>,
    /// How busy our jobs kept it lately.
    pub busy: BusyTime,
    /// Whether it has a poll parked, or a stream open.
    pub waiting: bool,
    /// Whether that is a stream.
    pub streaming: bool,
    /// Milliseconds since it was heard of; `None` when not since the last load.
    pub last_seen_ms_ago: Option<i64>,
}

/// Since when and at which level a job waits, if it does.
pub(super) fn waits(job: &Job) -> Option<(i64, JobPriority)> {
    let waiting = matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending);
    waiting.then_some((job.queued_at_ms, job.priority))
}

impl Scheduler {
    /// The scheduler at a glance.
    pub fn status(&mut self) -> StatusSnapshot {
        let queue = self.queue_metrics();
        let pools = self.pool_usage();
        StatusSnapshot {
            epoch: self.epoch,
            queue,
            running_jobs: self.leases.len() as u64,
            max_global_concurrency: self.settings.max_global_concurrency,
            parked_polls: self.runners.parked_len() as u64,
            pools,
            unschedulable_jobs: self.unschedulable.len() as u64,
            predictions: self.score,
            paused: self.pauses.get(&PauseScope::Everything).cloned(),
        }
    }

    /// Each pool that has runners; the default pool always.
    pub(super) fn pool_usage(&self) -> Vec<PoolUsage> {
        let mut pools = vec![PoolUsage::empty(PoolId::DEFAULT)];
        for (_, runner) in self.runners.iter() {
            let pool_id = runner.row.pool_id;
            let at = pools.iter().position(|pool| pool.pool_id == pool_id).unwrap_or_else(|| {
                pools.push(PoolUsage::empty(pool_id));
                pools.len() - 1
            });
            pools[at].count(runner);
        }
        pools
    }

    /// Depth and age of the queue.
    pub fn queue_metrics(&mut self) -> QueueMetrics {
        let jobs = &self.jobs;
        self.waits.metrics(|id| jobs.get(&id).and_then(|job| waits(&job.row)))
    }

    /// The first `limit` waiting jobs in dispatch order, then gated ones in the order of ids.
    pub fn waiting(&self, now: Now, limit: usize) -> Vec<QueuedJob> {
        let ready = self.in_order(now, self.queue.classes(), limit, None);
        let mut waiting: Vec<_> = ready
            .iter()
            .enumerate()
            .map(|(at, id)| self.queued_job(&self.jobs[id].row, Some(at as u64 + 1)))
            .collect();
        if waiting.len() < limit {
            let mut gated: Vec<_> = self
                .jobs
                .values()
                .filter(|job| waits(&job.row).is_some() && job.place.is_none())
                .map(|job| &job.row)
                .collect();
            gated.sort_unstable_by_key(|job| job.id);
            let room = limit - waiting.len();
            waiting.extend(gated.into_iter().take(room).map(|job| self.queued_job(job, None)));
        }
        waiting
    }

    /// Ready jobs of some classes in the order in which they would be given out if any runner could
    /// have them, up to `last` or to `limit` of them.
    pub(super) fn in_order(
        &self,
        now: Now,
        classes: impl Iterator<Item = ClassId>,
        limit: usize,
        last: Option<JobId>,
    ) -> Vec<JobId> {
        let mut order = Vec::new();
        let scenes = classes.filter_map(|class| {
            let pool = self.index.requirements(class)?.pool_id;
            self.scene(now, class, pool).map(|(scene, _)| (class, scene))
        });
        let charge_ms = |class| self.expected_run_ms(class);
        if limit > 0 {
            self.queue.walk(scenes, &[], self.shares.clone(), charge_ms, |job| {
                order.push(job.job_id);
                order.len() < limit && Some(job.job_id) != last
            });
        }
        order
    }

    fn queued_job(&self, job: &Job, position: Option<u64>) -> QueuedJob {
        let needs = self.index.requirements(job.class_id);
        QueuedJob::new(job, needs.map_or_else(Vec::new, |needs| needs.labels.clone()), position)
    }

    /// Runners with an id below `before`, newest first, at most `limit`.
    pub fn runner_list(
        &self,
        now: Now,
        before: Option<RunnerId>,
        limit: usize,
    ) -> Vec<RunnerSnapshot> {
        let all = self.runners.iter().map(|(_, runner)| runner);
        let mut runners: Vec<_> =
            all.filter(|runner| before.is_none_or(|before| runner.row.id < before)).collect();
        runners.sort_unstable_by_key(|runner| std::cmp::Reverse(runner.row.id));
        runners.into_iter().take(limit).map(|runner| self.show(now, runner)).collect()
    }

    /// What people call a runner.
    pub fn runner_name(&self, id: RunnerId) -> Option<&str> {
        self.runners.get(id).map(|runner| &*runner.row.name)
    }

    /// One runner.
    pub fn runner(&self, now: Now, id: RunnerId) -> Option<RunnerSnapshot> {
        self.runners.get(id).map(|runner| self.show(now, runner))
    }

    fn show(&self, now: Now, runner: &LiveRunner) -> RunnerSnapshot {
        let job_of = |token: &_| self.leases.get(*token).map(|live| live.owner.job_id);
        RunnerSnapshot {
            row: Runner::clone(&runner.row),
            state: runner.state(),
            used: runner.used(),
            jobs: runner.leases.iter().filter_map(job_of).collect(),
            busy: runner.busy.time(now.mono_ms),
            waiting: runner.parked.is_some(),
            streaming: runner.streams(),
            last_seen_ms_ago: runner.heard.then(|| now.mono_ms - runner.seen_at_ms),
        }
    }
}

impl PoolUsage {
    pub(super) fn empty(pool_id: PoolId) -> Self {
        Self { pool_id, runners_online: 0, runners_total: 0, slots_used: 0, slots_total: 0 }
    }

    fn count(&mut self, runner: &LiveRunner) {
        self.runners_total += 1;
        if !runner.offline {
            self.runners_online += 1;
            self.slots_used += u64::from(runner.used());
            self.slots_total += u64::from(runner.slots());
        }
    }
}
