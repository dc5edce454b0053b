//! The scheduler's state and the few moves that all others are made of.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::agenda::Agenda;
use super::classes::Classes;
use super::executors::Trouble;
use super::forecast::PredictionScore;
use super::held::Held;
use super::id_map::IdMap;
use super::lanes::TriggerGate;
use super::leases::Leases;
use super::live::{LiveJob, LiveWorkload};
use super::output::Output;
use super::policies::PoolPolicies;
use super::prune::Forgotten;
use super::runs::Runs;
use super::sessions::Sessions;
use super::settings::{PoolSettings, Settings};
use super::starts::Starts;
use super::succession::Lines;
use super::unschedulable::Unschedulable;
use super::warm::FleetTrouble;
use crate::model::{
    Change, ClassId, Job, JobId, JobState, JobStateKind, Marks, Names, Now, Pause, PauseScope,
    PoolId, Record, RecordName, RunnerCapabilities, RunnerId, ScheduleMark, TenantId, Workload,
    WorkloadId,
};
use crate::queue::{
    DependencyTracker, GroupGate, HoldGate, JobQueue, ParallelGate, QueueTimeouts, QuotaGate,
    ResourceGate, Shares, TimeGate, WaitStatistics,
};
use crate::runner::{
    BusyMeter, CapabilityIndex, PlacementKey, RunTimes, RunTimesSettings, RunnerRegistry,
    RunnerSlot,
};

/// All decisions about jobs, runners and leases of one database. A clone is a world of its own, in
/// which what might happen can be tried.
#[derive(Clone, Debug)]
pub struct Scheduler {
    pub(super) settings: Settings,
    /// The upper half of every token that this scheduler gives.
    pub(super) epoch: i64,
    /// The lower half of the next token; grows for ever.
    pub(super) next_sequence: i64,
    pub(super) marks: Marks,
    pub(super) classes: Classes,
    /// Names that the rows of workloads and jobs share.
    pub(super) names: Names,
    pub(super) workloads: IdMap<WorkloadId, LiveWorkload>,
    pub(super) jobs: IdMap<JobId, LiveJob>,
    pub(super) dependencies: DependencyTracker,
    pub(super) groups: GroupGate,
    pub(super) parallel: ParallelGate,
    pub(super) queue_timeouts: QueueTimeouts,
    /// Blocked jobs that wait for nothing but a decision from outside.
    pub(super) undecided: BTreeSet<JobId>,
    pub(super) agenda: Agenda,
    pub(super) time_gate: TimeGate,
    pub(super) quota: QuotaGate,
    pub(super) resources: ResourceGate,
    pub(super) holds: HoldGate,
    pub(super) pauses: BTreeMap<PauseScope, Pause>,
    pub(super) held: Held,
    /// How far each schedule is handled, by its name.
    pub(super) schedules: BTreeMap<Box<str>, ScheduleMark>,
    pub(super) starts: Starts,
    /// Work whose place newer work takes.
    pub(super) lines: Lines,
    pub(super) paused_triggers: TriggerGate,
    pub(super) shares: Shares,
    pub(super) policies: PoolPolicies,
    /// What is set for a pool that the settings do not name.
    pub(super) default_pool: PoolSettings,
    /// When ready jobs come nearer to the start that is due for them (wall).
    pub(super) raises: BTreeSet<(i64, JobId)>,
    /// Counts how often a closed lane may have opened.
    pub(super) openings: u64,
    /// When soft state was last written (mono).
    pub(super) soft_flushed_ms: i64,
    /// What is kept no longer.
    pub(super) forgotten: Forgotten,
    /// Counts assignments.
    pub(super) assignments: u64,
    /// Who has, or had last, a job with an affinity key.
    pub(super) near: FxHashMap<PlacementKey, RunnerId>,
    /// Which runners have jobs with a placement key.
    pub(super) key_runners: FxHashMap<PlacementKey, BTreeSet<RunnerSlot>>,
    pub(super) queue: JobQueue,
    pub(super) waits: WaitStatistics,
    /// The time of slots that each tenant's jobs use.
    pub(super) tenant_busy: FxHashMap<TenantId, BusyMeter>,
    pub(super) runners: RunnerRegistry,
    pub(super) run_times: RunTimes,
    /// How many runs were known when run times were last written.
    pub(super) run_times_saved: u64,
    pub(super) index: CapabilityIndex,
    /// Live sessions of agents.
    pub(super) sessions: Sessions,
    /// Executors that are away.
    pub(super) trouble: Trouble,
    /// Fleets that cannot start runners.
    pub(super) fleet_trouble: FleetTrouble,
    /// What the last runner of each fleet offered that registered. Soft.
    pub(super) fleet_offers: BTreeMap<Box<str>, RunnerCapabilities>,
    pub(super) leases: Leases,
    /// Since when runners could be heard without a break (mono).
    pub(super) listens_since_ms: i64,
    /// What runners have, in the order in which it ends.
    pub(super) runs: Runs,
    pub(super) unschedulable: Unschedulable,
    /// How often what was said about jobs came true.
    pub(super) score: PredictionScore,
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

impl Scheduler {
    /// A scheduler that knows nothing yet; [`Scheduler::load`] is how a server gets one.
    pub(super) fn empty(settings: Settings, epoch: i64) -> Self {
        let weights = settings.tenants.iter().map(|(id, it)| (*id, it.weight));
        let shares = Shares::new(weights);
        let quota = QuotaGate::new(settings.tenants.iter().map(|(id, it)| (*id, it.limits())));
        let policies = PoolPolicies::new(&settings);
        let runners = RunnerRegistry::new(settings.selections());
        let unknown_ms = settings.expected_run_ms;
        let run_times =
            RunTimes::new(RunTimesSettings { unknown_ms, ..RunTimesSettings::default() });
        Self {
            settings,
            epoch,
            next_sequence: 1,
            marks: Marks::default(),
            classes: Classes::default(),
            names: Names::default(),
            workloads: IdMap::default(),
            jobs: IdMap::default(),
            dependencies: DependencyTracker::default(),
            groups: GroupGate::default(),
            parallel: ParallelGate::default(),
            queue_timeouts: QueueTimeouts::default(),
            undecided: BTreeSet::new(),
            agenda: Agenda::default(),
            time_gate: TimeGate::default(),
            quota,
            resources: ResourceGate::default(),
            holds: HoldGate::default(),
            pauses: BTreeMap::new(),
            held: Held::default(),
            schedules: BTreeMap::new(),
            starts: Starts::default(),
            lines: Lines::default(),
            paused_triggers: TriggerGate::default(),
            shares,
            policies,
            default_pool: PoolSettings::default(),
            raises: BTreeSet::new(),
            openings: 0,
            soft_flushed_ms: 0,
            forgotten: Forgotten::default(),
            assignments: 0,
            near: FxHashMap::default(),
            key_runners: FxHashMap::default(),
            queue: JobQueue::default(),
            waits: WaitStatistics::default(),
            tenant_busy: FxHashMap::default(),
            runners,
            run_times,
            run_times_saved: 0,
            index: CapabilityIndex::default(),
            sessions: Sessions::default(),
            trouble: Trouble::new(),
            fleet_trouble: FleetTrouble::new(),
            fleet_offers: BTreeMap::new(),
            leases: Leases::default(),
            listens_since_ms: 0,
            runs: Runs::default(),
            unschedulable: Unschedulable::default(),
            score: PredictionScore::default(),
            fresh_classes: BTreeSet::new(),
            stopped_at_capacity: false,
            look_everywhere: false,
            to_answer: BTreeSet::new(),
            dirty_jobs: Vec::new(),
            dirty_workloads: Vec::new(),
            out: Output::default(),
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
        self.take_sessions();
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
            self.waits.end(self.first_pool(job.row.class_id), &job.row);
            self.quota.waits_no_longer(job.row.tenant_id);
        }
        let workload_id = job.row.workload_id;
        let counted = (job.row.counts_as(from), job.row.counts_as(to));
        self.undecided.remove(&id);
        self.edit_job(id, |job| job.state = next);
        let taken = |kind| matches!(kind, JobStateKind::Claimed | JobStateKind::Running);
        if taken(from) != taken(to) {
            self.count_parallel(id, taken(to));
        }
        if taken(from) || taken(to) {
            self.note_run(id);
        }
        if waits(to) && !waits(from) {
            self.begin_wait(id);
        }
        if let Some(workload) = self.workloads.get_mut(&workload_id) {
            workload.moved(counted.0, counted.1);
        }
        self.session_job_moved(workload_id);
    }

    /// A job waits from now on, gated or not.
    pub(super) fn begin_wait(&mut self, id: JobId) {
        let job = &self.jobs[&id].row;
        self.waits.begin(self.first_pool(job.class_id), job);
        self.quota.waits(job.tenant_id);
    }

    /// The first pool whose runners may take jobs of a class: where they count as waiting.
    pub(super) fn first_pool(&self, class: ClassId) -> PoolId {
        self.index.requirements(class).map_or(PoolId::DEFAULT, |needs| needs.pool_id)
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
            detail: job.name.clone().into(),
            ..Record::new(name, now.wall_ms)
        }
    }
}
