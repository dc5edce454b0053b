//! What runners have, by pool, class and tenant, oldest start first: questions about the near future
//! take from here what ends next, without a look at every job that runs.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::scheduler::Scheduler;
use crate::model::{ClassId, JobId, JobPriority, JobState, Lease, PoolId, TenantId, WorkloadId};
use crate::runner::RunnerSlot;

/// Jobs that take the same of every limit, and that are expected to run equally long.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct RunKind {
    pub(super) class_id: ClassId,
    pub(super) tenant_id: TenantId,
    /// Whether they are of level `critical`.
    pub(super) critical: bool,
}

/// A job that a runner has.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Run {
    pub(super) workload_id: WorkloadId,
    /// By which right, and whose.
    pub(super) lease: Lease,
    /// The place of its runner.
    pub(super) slot: RunnerSlot,
    /// How long it may run.
    pub(super) timeout_ms: i64,
    /// How long the runner takes for jobs of the class, of 1 for a usual one, by what was known when
    /// it got this one.
    pub(super) slowness: f32,
    /// It was asked to stop.
    pub(super) stopping: bool,
    /// Nothing is to be known of it beside what is here: it has no terms, no resources, and is all
    /// that its workload will ever be.
    pub(super) alone: bool,
}

/// Since when a run goes on (wall), and whose it is; [`NOT_STARTED_MS`] for one that has not begun.
pub(super) type RunAt = (i64, JobId);

/// After all starts.
pub(super) const NOT_STARTED_MS: i64 = i64::MAX;

type OfKind = BTreeMap<RunAt, Run>;

/// All jobs that runners have.
#[derive(Clone, Debug, Default)]
pub(super) struct Runs {
    pools: BTreeMap<PoolId, FxHashMap<RunKind, OfKind>>,
    places: FxHashMap<JobId, (PoolId, RunKind, i64)>,
}

impl Runs {
    fn insert(&mut self, pool: PoolId, kind: RunKind, at: RunAt, run: Run) {
        self.remove(at.1);
        self.places.insert(at.1, (pool, kind, at.0));
        self.pools.entry(pool).or_default().entry(kind).or_default().insert(at, run);
    }

    fn remove(&mut self, id: JobId) {
        let Some((pool, kind, since_ms)) = self.places.remove(&id) else { return };
        let Some(kinds) = self.pools.get_mut(&pool) else { return };
        let Some(of_kind) = kinds.get_mut(&kind) else { return };
        of_kind.remove(&(since_ms, id));
        if of_kind.is_empty() {
            kinds.remove(&kind);
        }
        if kinds.is_empty() {
            self.pools.remove(&pool);
        }
    }

    /// A job that a runner has, with the pool of that runner.
    pub(super) fn get(&self, id: JobId) -> Option<(PoolId, RunKind, RunAt, Run)> {
        let (pool, kind, since_ms) = *self.places.get(&id)?;
        let run = self.pools.get(&pool)?.get(&kind)?.get(&(since_ms, id))?;
        Some((pool, kind, (since_ms, id), *run))
    }

    /// Of each job the pool, since when it runs, and whether it is to stop.
    pub(super) fn places(&self) -> impl Iterator<Item = (JobId, (PoolId, i64, bool))> {
        let kinds = self.kinds();
        kinds.flat_map(|(pool, _, runs)| {
            runs.map(move |((since_ms, id), run)| (id, (pool, since_ms, run.stopping)))
        })
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RunKind, RunAt, Run)> {
        self.kinds().flat_map(|(_, kind, runs)| runs.map(move |(at, run)| (kind, at, run)))
    }

    /// All kinds in no order, each with its pool and what there is of it, oldest start first.
    pub(super) fn kinds(
        &self,
    ) -> impl Iterator<Item = (PoolId, RunKind, impl Iterator<Item = (RunAt, Run)>)> {
        self.pools.iter().flat_map(|(pool, kinds)| {
            kinds
                .iter()
                .map(|(kind, runs)| (*pool, *kind, runs.iter().map(|(at, run)| (*at, *run))))
        })
    }
}

impl Scheduler {
    /// What is kept here of a job follows its row: to be called whenever a runner gets it, starts it,
    /// is to stop it, or has it no longer.
    pub(super) fn note_run(&mut self, id: JobId) {
        let Some(job) = self.jobs.get(&id).map(|live| &live.row) else { return };
        let since_ms = match job.state {
            JobState::Claimed(_) => Some(NOT_STARTED_MS),
            JobState::Running { started_at_ms, .. } => Some(started_at_ms),
            _ => None,
        };
        let runner = job.lease().and_then(|lease| {
            let slot = self.runners.slot(lease.runner_id)?;
            Some((*lease, slot, self.runners.at(slot)?.row.pool_id))
        });
        let Some((since_ms, (lease, slot, pool))) = since_ms.zip(runner) else {
            self.runs.remove(id);
            return;
        };
        let kind = RunKind {
            class_id: job.class_id,
            tenant_id: job.tenant_id,
            critical: job.priority == JobPriority::Critical,
        };
        let runner_id = lease.runner_id;
        // As it was when the runner got the job.
        let known = self.runs.get(id).filter(|(.., run)| run.lease.runner_id == runner_id);
        let slowness = known.map_or_else(
            || self.run_times.slowness(job.class_id, runner_id),
            |(.., run)| run.slowness,
        );
        let stopping = job.extras.cancel_requested_at_ms.is_some();
        let (workload_id, timeout_ms) = (job.workload_id, job.timeout_ms);
        let is_plain = job.terms.is_none()
            && self.index.requirements(job.class_id).is_some_and(|it| it.resources.is_empty());
        let alone = is_plain
            && self.workloads.get(&workload_id).is_some_and(|workload| {
                let row = &workload.row;
                workload.jobs().len() == 1 && !row.open && row.terms.is_none()
            });
        let run = Run { workload_id, lease, slot, timeout_ms, slowness, stopping, alone };
        self.runs.insert(pool, kind, (since_ms, id), run);
    }
}
