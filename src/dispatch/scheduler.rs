//! The scheduler's state and the few moves that all others are made of.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::command::{Command, Refusal, Reply, Verdict};
use super::leases::Leases;
use super::output::Output;
use super::settings::Settings;
use crate::model::{
    Change, Class, ClassId, Entropy, Job, JobId, JobState, JobStateKind, Marks, Now, Record,
    RecordName, RunnerRequirements, Workload, WorkloadId, WorkloadState,
};
use crate::queue::{DependencyTracker, JobQueue, TimeGate, WaitStatistics};
use crate::runner::{CapabilityIndex, LeastLoaded, RunnerRegistry, RunnerSlot};

/// All decisions about jobs, runners and leases of one database.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) settings: Settings,
    /// The upper half of every token that this scheduler gives.
    pub(super) epoch: i64,
    /// The lower half of the next token; grows for ever.
    pub(super) next_sequence: i64,
    pub(super) marks: Marks,
    pub(super) classes: Classes,
    pub(super) workloads: FxHashMap<WorkloadId, LiveWorkload>,
    pub(super) jobs: FxHashMap<JobId, LiveJob>,
    pub(super) dependencies: DependencyTracker,
    pub(super) time_gate: TimeGate,
    pub(super) queue: JobQueue,
    pub(super) waits: WaitStatistics,
    pub(super) runners: RunnerRegistry,
    pub(super) index: CapabilityIndex,
    pub(super) leases: Leases,
    /// Classes with a job that became ready since the last [`Scheduler::settle`].
    pub(super) fresh_classes: BTreeSet<ClassId>,
    /// The last `settle` stopped at `max_global_concurrency`: as soon as there is room again the
    /// next looks at everything.
    pub(super) stopped_at_capacity: bool,
    /// The next `settle` looks at everything: who may take a job changed otherwise than by a job
    /// or a poll.
    pub(super) look_everywhere: bool,
    /// Runners whose parked poll is to be answered.
    pub(super) to_answer: BTreeSet<RunnerSlot>,
    dirty_jobs: Vec<JobId>,
    dirty_workloads: Vec<WorkloadId>,
    pub(super) out: Output,
}

/// A job in memory.
#[derive(Debug)]
pub(super) struct LiveJob {
    pub(super) row: Job,
    dirty: bool,
}

impl LiveJob {
    pub(super) fn clean(row: Job) -> Self {
        Self { row, dirty: false }
    }
}

/// A workload in memory.
#[derive(Debug)]
pub(super) struct LiveWorkload {
    pub(super) row: Workload,
    pub(super) jobs: Vec<JobId>,
    /// How many of its jobs are in each state.
    pub(super) counts: [u32; JobStateKind::ALL.len()],
    dirty: bool,
}

impl LiveWorkload {
    pub(super) fn clean(row: Workload) -> Self {
        Self { row, jobs: Vec::new(), counts: Default::default(), dirty: false }
    }

    pub(super) fn derived_state(&self) -> WorkloadState {
        let present = JobStateKind::ALL.into_iter().filter(|kind| self.counts[*kind as usize] > 0);
        WorkloadState::derive(present, self.row.begun)
    }
}

/// Interned requirements of live jobs.
#[derive(Debug, Default)]
pub(super) struct Classes {
    by_requirements: FxHashMap<RunnerRequirements, ClassId>,
    /// How many live jobs a class has.
    jobs: FxHashMap<ClassId, usize>,
}

impl Scheduler {
    /// A scheduler that knows nothing yet; [`Scheduler::load`] is how a server gets one.
    pub(super) fn empty(settings: Settings, epoch: i64) -> Self {
        Self {
            settings,
            epoch,
            next_sequence: 1,
            marks: Marks::default(),
            classes: Classes::default(),
            workloads: FxHashMap::default(),
            jobs: FxHashMap::default(),
            dependencies: DependencyTracker::default(),
            time_gate: TimeGate::default(),
            queue: JobQueue::default(),
            waits: WaitStatistics::default(),
            runners: RunnerRegistry::new(Box::new(LeastLoaded)),
            index: CapabilityIndex::default(),
            leases: Leases::default(),
            fresh_classes: BTreeSet::new(),
            stopped_at_capacity: false,
            look_everywhere: false,
            to_answer: BTreeSet::new(),
            dirty_jobs: Vec::new(),
            dirty_workloads: Vec::new(),
            out: Output::default(),
        }
    }

    /// Decides one command.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; the command then changed nothing but what the runner is known to be alive.
    pub fn apply(
        &mut self,
        now: Now,
        command: Command,
        verdict: Verdict,
        entropy: &mut dyn Entropy,
    ) -> Result<Reply, Refusal> {
        match command {
            Command::Deliver(deliver) => self.deliver(now, *deliver, verdict),
            Command::Submit { workload, idempotency_key } => {
                self.submit(now, *workload, idempotency_key, verdict)
            }
            Command::Register(register) => self.register(now, *register),
            Command::Poll(poll) => self.poll(now, *poll),
            Command::PollGone(poll_id) => self.poll_gone(now, poll_id),
            Command::Undelivered(tokens) => self.undelivered(now, &tokens),
            Command::Start(lease) => self.start(now, lease),
            Command::Heartbeat { runner_id, leases, capabilities, current_jobs } => {
                self.heartbeat(now, runner_id, &leases, capabilities, current_jobs)
            }
            Command::Complete { lease, result } => self.complete(now, lease, *result, entropy),
            Command::Release { lease, reason } => self.release(now, lease, reason),
            Command::PatchRunner { runner_id, capabilities, cordoned, draining, author } => {
                self.patch_runner(now, runner_id, capabilities, cordoned, draining, author)
            }
            Command::Deregister(runner_id) => self.deregister(now, runner_id),
            Command::CancelJob { job_id, author, reason } => {
                self.cancel_job(now, job_id, &author, &reason)
            }
            Command::CancelWorkload { workload_id, author, reason } => {
                self.cancel_workload(now, workload_id, &author, &reason)
            }
            Command::Requeue { job_id, avoid_runner, author, reason } => {
                self.requeue(now, job_id, avoid_runner, &author, &reason)
            }
            Command::Retry { workload_id, archived, author } => {
                self.retry(now, workload_id, archived, author)
            }
        }
    }

    /// The epoch in which this scheduler decides.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// What followed from everything since the last call.
    #[must_use]
    pub fn take_output(&mut self) -> Output {
        for id in std::mem::take(&mut self.dirty_jobs) {
            if let Some(job) = self.jobs.get_mut(&id).filter(|job| job.dirty) {
                job.dirty = false;
                self.out.changes.push(Change::JobUpdated(job.row.clone()));
            }
        }
        for id in std::mem::take(&mut self.dirty_workloads) {
            if let Some(workload) = self.workloads.get_mut(&id).filter(|it| it.dirty) {
                workload.dirty = false;
                self.out.changes.push(Change::WorkloadUpdated(workload.row.clone()));
            }
        }
        self.out.marks = self.marks;
        std::mem::take(&mut self.out)
    }

    /// A live job's row.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.jobs.get(&id).map(|job| &job.row)
    }

    /// A live workload's row.
    pub fn workload(&self, id: WorkloadId) -> Option<&Workload> {
        self.workloads.get(&id).map(|workload| &workload.row)
    }

    /// Changes a job's row; its update follows with the output.
    pub(super) fn edit_job<R>(&mut self, id: JobId, edit: impl FnOnce(&mut Job) -> R) -> Option<R> {
        let job = self.jobs.get_mut(&id)?;
        if !job.dirty {
            job.dirty = true;
            self.dirty_jobs.push(id);
        }
        Some(edit(&mut job.row))
    }

    /// Changes a workload's row; its update follows with the output.
    pub(super) fn edit_workload(&mut self, id: WorkloadId, edit: impl FnOnce(&mut Workload)) {
        let Some(workload) = self.workloads.get_mut(&id) else { return };
        if !workload.dirty {
            workload.dirty = true;
            self.dirty_workloads.push(id);
        }
        edit(&mut workload.row);
    }

    /// The one place where a job's state changes: checks the move, keeps the workload's counts and
    /// the wait figures. Panics on a move that the drawing in [`JobState`] does not have, which
    /// makes the driver load again and refuse the command that led here.
    pub(super) fn set_state(&mut self, id: JobId, next: JobState) {
        let job = self.jobs.get(&id).expect("the job is live");
        let (from, to) = (job.row.kind(), next.kind());
        assert!(from.may_become(to), "job {id} cannot go from {from} to {to}");
        let waits = |kind| matches!(kind, JobStateKind::Blocked | JobStateKind::Pending);
        if waits(from) && !waits(to) {
            self.waits.end(&job.row);
        }
        let workload_id = job.row.workload_id;
        self.edit_job(id, |job| job.state = next);
        if waits(to) && !waits(from) {
            self.waits.begin(&self.jobs[&id].row);
        }
        if let Some(workload) = self.workloads.get_mut(&workload_id) {
            workload.counts[from as usize] -= 1;
            workload.counts[to as usize] += 1;
        }
    }

    /// Puts a pending job where it waits: behind its time, or into its lane.
    pub(super) fn place(&mut self, now: Now, id: JobId) {
        let job = &self.jobs[&id].row;
        debug_assert_eq!(job.kind(), JobStateKind::Pending);
        if job.not_before_ms > now.wall_ms {
            self.time_gate.insert(job.not_before_ms, id);
        } else {
            self.queue.push(job);
            self.fresh_classes.insert(job.class_id);
        }
    }

    /// Takes a pending job away from where it waits.
    pub(super) fn unplace(&mut self, id: JobId) {
        let job = &self.jobs[&id].row;
        let found = self.time_gate.remove(job.not_before_ms, id) || self.queue.remove(job);
        debug_assert!(found, "pending job {id} waited nowhere");
    }

    /// The class of these requirements, made if it is new.
    pub(super) fn intern(&mut self, requirements: &RunnerRequirements) -> ClassId {
        let id = match self.classes.by_requirements.get(requirements) {
            Some(&id) => id,
            None => {
                let id = ClassId(self.marks.next_class);
                self.marks.next_class += 1;
                self.add_class(id, requirements.clone());
                let class = Class { id, requirements: requirements.clone() };
                self.out.changes.push(Change::ClassInserted(class));
                id
            }
        };
        self.use_class(id);
        id
    }

    /// Whether so many new classes still fit, after classes without jobs were forgotten.
    pub(super) fn has_room_for_classes(&mut self, wanted: &[&RunnerRequirements]) -> bool {
        let needed = |known: &FxHashMap<RunnerRequirements, ClassId>| {
            let new = wanted.iter().filter(|needs| !known.contains_key(**needs));
            known.len() + new.collect::<BTreeSet<_>>().len()
        };
        if needed(&self.classes.by_requirements) <= self.settings.classes_max {
            return true;
        }
        let index = &mut self.index;
        self.classes.jobs.retain(|id, jobs| {
            if *jobs == 0 {
                index.remove_class(*id);
            }
            *jobs > 0
        });
        let jobs = &self.classes.jobs;
        self.classes.by_requirements.retain(|_, id| jobs.contains_key(id));
        // Counted again: what is wanted may be among what was forgotten.
        needed(&self.classes.by_requirements) <= self.settings.classes_max
    }

    /// Takes a class into memory, unless it is there: new, loaded, or of a retried job.
    pub(super) fn add_class(&mut self, id: ClassId, requirements: RunnerRequirements) {
        if self.index.requirements(id).is_some() {
            return;
        }
        self.classes.jobs.entry(id).or_default();
        let runners = self.runners.iter().map(|(slot, runner)| (slot, &runner.row));
        self.index.add_class(id, requirements.clone(), runners);
        self.classes.by_requirements.insert(requirements, id);
    }

    pub(super) fn use_class(&mut self, id: ClassId) {
        *self.classes.jobs.entry(id).or_default() += 1;
    }

    pub(super) fn release_class(&mut self, id: ClassId) {
        if let Some(jobs) = self.classes.jobs.get_mut(&id) {
            *jobs -= 1;
        }
    }

    /// Tells the streams, and the history where nothing else says it.
    pub(super) fn record(&mut self, record: Record) {
        if record.name.is_kept() {
            self.out.changes.push(Change::Recorded(record.clone()));
        }
        self.out.records.push(record);
    }

    /// A record about a job, with its name as the detail.
    pub(super) fn job_record(&self, now: Now, name: RecordName, id: JobId) -> Record {
        let job = &self.jobs[&id].row;
        Record {
            workload_id: Some(job.workload_id),
            job_id: Some(id),
            runner_id: job.lease().map(|lease| lease.runner_id),
            attempt: (job.attempt > 0).then_some(job.attempt),
            detail: job.name.clone(),
            ..Record::new(name, now.wall_ms)
        }
    }
}
