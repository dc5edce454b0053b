//! What can be asked of the scheduler, and what it answers. It is long because both lists are closed
//! and stand on one page.

use std::sync::Arc;

use super::executors::{Absence, ExecutorState};
use super::forecast::Outlook;
use super::held::HeldAnswer;
use super::prune::Prune;
use super::sessions::SessionCommand;
use crate::model::{
    About, Archived, Decision, Delivery, DeliveryId, DeliveryState, Job, JobId, JobPriority,
    JobResult, JobStateKind, KeyScope, LeaseRef, LeaseToken, Nonce, OutboxId, OutboxTold, Pause,
    PauseScope, Plan, PlannedJob, PlannedWorkload, PoolId, PrunedRows, RequeueReason, Runner,
    RunnerCapabilities, RunnerId, ScheduleMark, SessionId, TriggerVerdict, UniqueKey, Workload,
    WorkloadId, WorkloadState,
};
use crate::runner::{FinishedRun, PollId};

/// One thing to decide.
#[derive(Clone, Debug)]
pub enum Command {
    /// A delivery was verified and evaluated.
    Deliver(Box<Deliver>),
    /// A time of a schedule has come, or is passed over.
    Fire(Box<Fire>),
    /// Schedules that are in no configuration any more.
    ForgetSchedules(Vec<Box<str>>),
    /// A workload without an event.
    Submit {
        /// What is to be.
        workload: Box<PlannedWorkload>,
        /// The caller's `Idempotency-Key`.
        idempotency_key: Option<Box<str>>,
        /// How workloads ended that its jobs need.
        ended: Ended,
    },
    /// Jobs for an open workload.
    Join {
        /// Which.
        workload_id: WorkloadId,
        /// The new jobs. A need may name any job of the workload, and one that is not there yet.
        jobs: Vec<PlannedJob>,
        /// The caller's `Idempotency-Key`, so that it is no submission's and no other workload's.
        idempotency_key: Option<Box<str>>,
        /// How workloads ended that they need.
        ended: Ended,
    },
    /// Nothing more joins a workload: it ends when its jobs have ended, and jobs that wait for
    /// one which never joined are decided.
    Close {
        /// Which.
        workload_id: WorkloadId,
        /// Who asks.
        author: Box<str>,
    },
    /// A runner says hello.
    Register(Box<Register>),
    /// A runner asks for work.
    Poll(Box<Poll>),
    /// A runner asks for work as it comes: a poll that stays parked after each answer, for as long
    /// as the runner is heard of now and then. How long the poll itself would wait, and for how
    /// many jobs, does not matter.
    Stream(Box<Poll>),
    /// The client of a parked poll or of a stream is gone.
    PollGone(PollId),
    /// These were given to a poll whose client turned out to be gone.
    Undelivered(Vec<LeaseToken>),
    /// A runner begins to work.
    Start(LeaseRef),
    /// A runner is alive and works on these.
    Heartbeat {
        /// Who.
        runner_id: RunnerId,
        /// What it works on.
        leases: Vec<HeldLease>,
        /// What it offers now, if that changed.
        capabilities: Option<Box<RunnerCapabilities>>,
        /// Jobs that it has now, ours and others.
        current_jobs: Option<u32>,
    },
    /// An attempt ended.
    Complete {
        /// By whose right.
        lease: LeaseRef,
        /// How.
        result: Box<JobResult>,
    },
    /// A runner gives a job back.
    Release {
        /// By whose right.
        lease: LeaseRef,
        /// Why.
        reason: RequeueReason,
        /// The same for people, where there is more to say.
        why: Option<Box<str>>,
    },
    /// The backend of an executor has a name for an attempt, by which it is found again.
    Refer {
        /// By whose right.
        lease: LeaseRef,
        /// The name.
        external_ref: Box<str>,
    },
    /// An executor asked its backend for something about an attempt.
    Tried {
        /// By whose right.
        lease: LeaseRef,
        /// What, and what came of it, in one line for people.
        what: Box<str>,
    },
    /// A runner of a fleet is to be started: it is written down first.
    OrderRunner {
        /// Which fleet.
        fleet: Box<str>,
        /// SHA-256 of the token by which it registers, in hex.
        token_hash: Box<str>,
    },
    /// A runner that was ordered is not needed any more, or is no good.
    RetireRunner {
        /// Which.
        runner_id: RunnerId,
        /// Why, for people.
        why: Box<str>,
        /// Its process has certainly ended: what it had goes back to the queue.
        dead: bool,
    },
    /// A runner that was to leave has been taken down.
    RunnerGone(RunnerId),
    /// A fleet cannot start runners for a while, or (`None`) can again.
    FleetStands {
        /// Which.
        fleet: Box<str>,
        /// Until when nothing is ordered for it, and why.
        trouble: Option<Absence>,
    },
    /// An executor went away, is tried again, or is there again.
    ExecutorStands {
        /// Which.
        executor: Box<str>,
        /// Where it stands now.
        state: ExecutorState,
    },
    /// Something about a runner changes.
    PatchRunner {
        /// Which.
        runner_id: RunnerId,
        /// What it offers now.
        capabilities: Option<Box<RunnerCapabilities>>,
        /// Whether it takes nothing new, and why.
        cordoned: Option<Option<Box<str>>>,
        /// Whether it finishes what it has and leaves.
        draining: Option<bool>,
        /// Who asks.
        author: Box<str>,
    },
    /// Something about a whole pool changes.
    PatchPool {
        /// Which.
        pool_id: PoolId,
        /// Whether it gives out nothing, and why. This is its pause, so it holds for runners that
        /// register later too, and lifting it lifts no runner's own cordon.
        cordoned: Option<Option<Box<str>>>,
        /// Whether the runners that it has now finish what they have and leave.
        draining: Option<bool>,
        /// Who asks.
        author: Box<str>,
    },
    /// A runner leaves; what it has goes back to the queue.
    Deregister(RunnerId),
    /// Cancels one job.
    CancelJob {
        /// Which.
        job_id: JobId,
        /// Who asks.
        author: Box<str>,
        /// Why, for people.
        reason: Box<str>,
    },
    /// Cancels all jobs of a workload that have not ended.
    CancelWorkload {
        /// Which.
        workload_id: WorkloadId,
        /// Who asks.
        author: Box<str>,
        /// Why, for people.
        reason: Box<str>,
    },
    /// Takes a job from its runner and queues it again.
    Requeue {
        /// Which.
        job_id: JobId,
        /// Whether another runner is to get it while one fits.
        avoid_runner: bool,
        /// Who asks.
        author: Box<str>,
        /// Why, for people.
        reason: Box<str>,
    },
    /// Gives a waiting job another priority.
    Prioritise {
        /// Which.
        job_id: JobId,
        /// The new one.
        priority: JobPriority,
        /// Who asks.
        author: Box<str>,
    },
    /// Puts a waiting job in front of all others of its priority.
    MoveToFront {
        /// Which.
        job_id: JobId,
        /// Who asks.
        author: Box<str>,
    },
    /// Gives out no more jobs of a scope.
    Pause(Pause),
    /// Gives out jobs of a scope again.
    Resume {
        /// Which.
        scope: PauseScope,
        /// Who asks.
        author: Box<str>,
    },
    /// Forgets what was learned of run times, and learns it anew from these.
    TrainModel {
        /// Runs that ended, oldest first.
        runs: Vec<FinishedRun>,
        /// Who asks.
        author: Box<str>,
    },
    /// Forgets what was learned of run times.
    ResetModel {
        /// Who asks.
        author: Box<str>,
    },
    /// Runs the failed, cancelled and skipped jobs of a workload again, as run n+1.
    Retry {
        /// Which.
        workload_id: WorkloadId,
        /// Its rows, when it had ended.
        archived: Option<Box<Archived>>,
        /// How workloads ended that its jobs need.
        ended: Ended,
        /// Who asks.
        author: Box<str>,
    },
    /// Forgets rows that are old, but for those that something live refers to.
    Prune(Box<Prune>),
    /// What became of trying to tell others something.
    OutboxTold(Box<OutboxTold>),
    /// Tries again to tell others what was given up.
    RetryOutbox(Vec<OutboxId>),
    /// Somebody approves or denies a delivery that is held.
    AnswerHeld(Box<HeldAnswer>),
    /// Says what becomes of a job that was told as undecided. A second time it is refused, and changes
    /// nothing.
    Decide {
        /// Which.
        job_id: JobId,
        /// The run of its workload in which the facts were read.
        run: u32,
        /// What becomes of it.
        decision: Decision,
    },
    /// Something about a session of an agent.
    Session(SessionCommand),
}

/// How workloads ended that are in memory no more: facts that go with a command, because only the
/// database knows them. What a workload in memory says of itself comes first.
pub type Ended = Vec<(WorkloadId, WorkloadState)>;

/// A delivery with what it starts.
#[derive(Clone, Debug)]
pub struct Deliver {
    /// The row; its verdicts get the workloads' ids here.
    pub delivery: Delivery,
    /// What it starts; empty when nothing wanted it.
    pub plan: Plan,
    /// What keeps it from being accepted twice, where its provider gave an id.
    pub key: Option<UniqueKey>,
    /// How workloads ended that its jobs need.
    pub ended: Ended,
    /// Its row is there already, accepted by an instance that does not lead: only what became of it is
    /// written.
    pub adopted: bool,
    /// What its event is about: it takes the place of older ones that wait for approval.
    pub about: Option<About>,
}

impl Deliver {
    /// Its key, with what that stands for.
    fn unique_key(&self) -> Option<(UniqueKey, Box<str>)> {
        self.key.clone().map(|key| (key, self.delivery.id.to_string().into_boxed_str()))
    }
}

/// How far a schedule is handled from now on, and what a time of it starts.
#[derive(Clone, Debug)]
pub struct Fire {
    /// The row; it gets the delivery's id here.
    pub mark: ScheduleMark,
    /// How far it was handled when this was decided; `None` when it had no row.
    pub after_ms: Option<i64>,
    /// The delivery that the time becomes, with its key; `None` when times are passed over.
    pub deliver: Option<Box<Deliver>>,
}

/// A runner says hello.
#[derive(Clone, Debug)]
pub struct Register {
    /// What people call it.
    pub name: Box<str>,
    /// The same instance is the same runner.
    pub instance_id: Box<str>,
    /// Another process of the same instance has lost what the last one had.
    pub boot_id: Box<str>,
    /// Which pool it joins.
    pub pool_id: PoolId,
    /// SHA-256 of the token that it gets, in hex.
    pub token_hash: Box<str>,
    /// What it offers.
    pub capabilities: RunnerCapabilities,
    /// Its program's version.
    pub version: Box<str>,
    /// The row that was made when the server ordered it, by the token that it shows.
    pub ordered: Option<RunnerId>,
}

/// A runner asks for work.
#[derive(Clone, Debug)]
pub struct Poll {
    /// Who.
    pub runner_id: RunnerId,
    /// How the answer finds its way; new with each poll.
    pub poll_id: PollId,
    /// How long it may be parked.
    pub wait_ms: i64,
    /// The most jobs that it takes; its free slots when absent.
    pub jobs_max: Option<u32>,
    /// Leases that it knows of: others it was given are answered again.
    pub known: Vec<LeaseToken>,
    /// What it offers now, if that changed.
    pub capabilities: Option<Box<RunnerCapabilities>>,
    /// Jobs that it has now, ours and others.
    pub current_jobs: Option<u32>,
}

/// A lease with both halves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldLease {
    /// The fencing token.
    pub token: LeaseToken,
    /// Its unguessable half.
    pub nonce: Nonce,
}

/// What claiming a command's unique key said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Verdict {
    /// It has no key, or is the first with it.
    #[default]
    New,
    /// Another was first; what the key stands for.
    Duplicate(Box<str>),
}

impl Command {
    /// The key that must be claimed before this is applied, with what it stands for (empty where
    /// that is known only afterwards).
    pub fn unique_key(&self) -> Option<(UniqueKey, Box<str>)> {
        match self {
            Self::Fire(fire) => fire.deliver.as_ref().and_then(|it| it.unique_key()),
            Self::Deliver(deliver) => deliver.unique_key(),
            Self::Submit { idempotency_key: Some(key), .. }
            | Self::Join { idempotency_key: Some(key), .. } => {
                Some((UniqueKey { scope: KeyScope::Submission, key: key.clone() }, "".into()))
            }
            Self::Session(
                SessionCommand::Open { idempotency_key: Some(key), .. }
                | SessionCommand::Say { idempotency_key: Some(key), .. },
            ) => Some((UniqueKey { scope: KeyScope::Submission, key: key.clone() }, "".into())),
            _ => None,
        }
    }

    /// Whether it brings new work: such commands have their own channel, so that a flood of them
    /// never stands before a completion.
    pub fn is_intake(&self) -> bool {
        use SessionCommand::{Open, Say};
        matches!(
            self,
            Self::Deliver(_)
                | Self::Fire(_)
                | Self::Submit { .. }
                | Self::Join { .. }
                | Self::Session(Open { .. } | Say { .. })
        )
    }
}

/// What a command came to.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// The delivery is stored; of a duplicate only the first one's id is known.
    Delivered {
        /// The delivery, or the first one with its key.
        delivery_id: DeliveryId,
        /// Whether it was there already.
        duplicate: bool,
        /// Where it stands.
        state: DeliveryState,
        /// What each trigger said and started.
        verdicts: Vec<TriggerVerdict>,
        /// What is expected of jobs with `max_wait` or a deadline.
        outlooks: Vec<(WorkloadId, Outlook)>,
    },
    /// How far schedules are handled is stored.
    Kept,
    /// The workload is stored.
    Submitted {
        /// It, or the first one with its key.
        workload_id: WorkloadId,
        /// Whether it was there already.
        duplicate: bool,
        /// What is expected of its jobs with `max_wait` or a deadline; of a duplicate nothing is
        /// said.
        outlooks: Vec<Outlook>,
    },
    /// The jobs joined.
    Joined {
        /// What they joined.
        workload_id: WorkloadId,
        /// Their numbers, in the order in which they were given; with a repeated key the first
        /// ones.
        jobs: Vec<JobId>,
        /// Whether they were there already.
        duplicate: bool,
        /// What is expected of those with `max_wait` or a deadline; of a duplicate nothing is said.
        outlooks: Vec<Outlook>,
    },
    /// The runner is registered.
    Registered(RunnerId),
    /// The runner is written down and can be started.
    Ordered {
        /// Its number.
        runner_id: RunnerId,
        /// What its provisioner is to call it.
        name: Box<str>,
    },
    /// The poll waits; an [`crate::dispatch::Answer`] follows.
    Parked,
    /// The attempt is running.
    Started {
        /// The job.
        job_id: JobId,
        /// Its workload.
        workload_id: WorkloadId,
        /// The workload's run.
        run: u32,
        /// This try.
        attempt: u32,
    },
    /// What was asked about a session is done.
    Session {
        /// Which.
        session_id: SessionId,
        /// The number of the message that this led to; with a repeated key the first one's.
        sequence: i64,
        /// Whether it is a new one.
        made: bool,
        /// Whether its key was used before: nothing was done now.
        duplicate: bool,
    },
    /// What an agent said is stored.
    Told {
        /// Up to this message of the lease.
        heard: i64,
        /// The session has ended: nothing more is heard.
        ended: bool,
    },
    /// What became of the leases.
    Heartbeat {
        /// No longer the runner's.
        lost: Vec<LeaseToken>,
        /// To be stopped.
        cancel: Vec<LeaseToken>,
        /// Whether to finish and leave.
        drain: bool,
    },
    /// The attempt ended.
    Completed {
        /// The job.
        job_id: JobId,
        /// Its state now.
        state: JobStateKind,
    },
    /// The runner's row now.
    Runner(Box<Runner>),
    /// The job's row now.
    Job(Box<Job>),
    /// The workload's row now.
    Workload(Box<Workload>),
    /// The pause that was set, or lifted.
    Pause(Box<Pause>),
    /// How the pool stands now.
    Pool {
        /// Its pause, if there is one.
        paused: Option<Box<Pause>>,
        /// All its runners, in the order of their ids.
        runners: Vec<RunnerId>,
    },
    /// The run times are learned.
    Trained {
        /// From how many runs.
        runs: u64,
    },
    /// What was forgotten of what was to be.
    Pruned {
        /// Rows.
        rows: Box<PrunedRows>,
        /// Runners that left.
        runners: u64,
    },
    /// Nothing more to say.
    Done,
}

/// Why a command was refused. It changed nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The lease is not, or no longer, the caller's.
    #[error("lease {0} is no longer yours: stop the work and forget it")]
    LeaseLost(LeaseToken),
    /// No such runner.
    #[error("runner {0} is not registered")]
    UnknownRunner(RunnerId),
    /// No such live job.
    #[error("no job {0} is waiting or running")]
    UnknownJob(JobId),
    /// No such live workload.
    #[error("no workload {0} is waiting or running")]
    UnknownWorkload(WorkloadId),
    /// No such live session.
    #[error("no session {0} is live")]
    UnknownSession(SessionId),
    /// The state does not allow it.
    #[error("{0}")]
    WrongState(Arc<str>),
    /// The job waits for no decision, or for one of another run.
    #[error("job {0} waits for no decision of this run any more")]
    Superseded(JobId),
    /// Jobs need workloads that are not live, and the command does not say how these ended: look,
    /// and send it again with that.
    #[error("how these workloads ended was not said: {}", ids(.0))]
    LookUp(Vec<WorkloadId>),
    /// The request cannot be carried out as it is.
    #[error("{0}")]
    Invalid(Arc<str>),
    /// Jobs cannot start or end when they should, and their tenant has such work refused; what is
    /// expected.
    #[error("it cannot be met: {0}")]
    CannotMeet(Arc<str>),
    /// A limit is reached.
    #[error("{what}: {limit} is {max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit's key in the configuration.
        limit: &'static str,
        /// The limit.
        max: usize,
    },
    /// Our own code failed on this command.
    #[error("a fault in the server kept it from doing this")]
    Panicked(Arc<str>),
}

fn ids(ids: &[WorkloadId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
