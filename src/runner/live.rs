//! A registered runner as memory has it: its row, what it has, how it is.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{BusyMeter, RunnerHealth, RunnerSlot};
use crate::model::{AssignedJob, LeaseToken, PoolId, Runner, RunnerState, TenantId};

/// Names one poll for as long as it is parked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PollId(pub u64);

/// A poll that waits for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parked {
    /// Which poll.
    pub poll_id: PollId,
    /// When it ends without work (mono).
    pub until_ms: i64,
    /// The most jobs that it takes.
    pub jobs_max: u32,
    /// When it began, as a count of polls.
    pub parked_at: u64,
    /// It stays parked after each answer: a stream.
    pub stays: bool,
}

/// Jobs of one tenant with the same key want to be near to each other, or apart.
pub type PlacementKey = (TenantId, Box<str>);

/// A registered runner.
#[derive(Clone, Debug)]
pub struct LiveRunner {
    /// The durable row; who reads it elsewhere shares it.
    pub row: Arc<Runner>,
    /// Its live leases, claimed and running.
    pub leases: Vec<LeaseToken>,
    /// Jobs that it has from elsewhere, by its last report.
    pub foreign_jobs: u32,
    /// When it was last heard of (mono).
    pub seen_at_ms: i64,
    /// Whether it was silent for longer than the heartbeat timeout.
    pub offline: bool,
    /// Whether it was heard of since the last load.
    pub heard: bool,
    /// Its poll, if one is parked, or its stream: at most one.
    pub parked: Option<Parked>,
    /// Jobs for the parked poll, given since the last answer.
    pub given: Vec<AssignedJob>,
    /// Cancels for the parked poll.
    pub cancels: Vec<LeaseToken>,
    /// Cores, gigabytes of memory and graphics processors that its jobs require together.
    pub held: [u64; 3],
    /// How many of its jobs have each placement key.
    pub keys: FxHashMap<PlacementKey, u32>,
    /// When it was last given a job, as a count of assignments; 0 for never.
    pub given_at: u64,
    /// Jobs that are kept back for it.
    pub holds: u32,
    /// A job was kept back for it and it did not come; true until its next poll.
    pub missed: bool,
    /// How far it is trusted to carry out what it is given.
    pub health: RunnerHealth,
    /// Whether its health keeps new jobs from it, by the last look at [`RunnerHealth::gate`].
    pub unhealthy: bool,
    /// Whether its next job is to show that it is well again, by the same look.
    pub on_probation: bool,
    /// How busy our jobs kept it lately.
    pub busy: BusyMeter,
    /// Its pool and its place there among those that wait, while it has room and a poll.
    pub(super) rank: Option<(PoolId, (u64, u64))>,
    /// Its pool and its place there among those that have room and do not wait.
    pub(super) absent: Option<(PoolId, (u64, RunnerSlot))>,
}

impl LiveRunner {
    /// Jobs that it has, ours and others.
    pub fn used(&self) -> u32 {
        u32::try_from(self.leases.len()).unwrap_or(u32::MAX).saturating_add(self.foreign_jobs)
    }

    /// Jobs that it can have.
    pub fn slots(&self) -> u32 {
        self.row.capabilities.max_parallel_jobs
    }

    /// Whether new jobs may be given to it at all.
    pub fn takes_new(&self) -> bool {
        self.row.cordoned.is_none()
            && !self.row.draining
            && !self.unhealthy
            && self.row.leaving().is_none()
    }

    /// Cores, gigabytes of memory and graphics processors that its jobs leave.
    pub fn left(&self) -> [u32; 3] {
        let offers = &self.row.capabilities;
        let all = [offers.cpu_cores, offers.memory_gb, offers.gpu];
        let left = |at: usize| u64::from(all[at]).saturating_sub(self.held[at]);
        [0, 1, 2].map(|at| u32::try_from(left(at)).unwrap_or(u32::MAX))
    }

    /// Whether its poll is a stream.
    pub fn streams(&self) -> bool {
        self.parked.is_some_and(|parked| parked.stays)
    }

    /// How many jobs the parked poll can still be given.
    pub fn room(&self) -> u32 {
        let Some(parked) = self.parked else { return 0 };
        if !self.takes_new() {
            return 0;
        }
        let given = u32::try_from(self.given.len()).unwrap_or(u32::MAX);
        self.free().min(parked.jobs_max.saturating_sub(given))
    }

    /// How many more jobs it can have; one at a time while it is on probation.
    pub fn free(&self) -> u32 {
        let free = self.slots().saturating_sub(self.used());
        if self.on_probation { free.min(1) } else { free }
    }

    /// What people are shown.
    pub fn state(&self) -> RunnerState {
        if self.offline {
            RunnerState::Offline
        } else if self.row.cordoned.is_some() {
            RunnerState::Cordoned
        } else if self.row.draining {
            RunnerState::Draining
        } else if self.used() >= self.slots() {
            RunnerState::Busy
        } else {
            RunnerState::Online
        }
    }
}
