//! What happened, as live streams show it and as history keeps it.

use super::{DeliveryId, JobId, RunnerId, WorkloadId};

/// One thing that happened. Streams show all of them; a row is kept only of those that the rows
/// of attempts, jobs and runners cannot say ([`RecordName::is_kept`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// What happened.
    pub name: RecordName,
    /// Wall milliseconds.
    pub at_ms: i64,
    /// The delivery it is about.
    pub delivery_id: Option<DeliveryId>,
    /// The workload it is about.
    pub workload_id: Option<WorkloadId>,
    /// The job it is about.
    pub job_id: Option<JobId>,
    /// The runner it is about.
    pub runner_id: Option<RunnerId>,
    /// The attempt it is about.
    pub attempt: Option<u32>,
    /// Who asked for it, where somebody did.
    pub author: Option<Box<str>>,
    /// The job's or workload's name, or a reason: one short text for people.
    pub detail: Box<str>,
}

impl Record {
    /// A record about nothing yet; the builder methods say what it is about.
    pub fn new(name: RecordName, at_ms: i64) -> Self {
        Self {
            name,
            at_ms,
            delivery_id: None,
            workload_id: None,
            job_id: None,
            runner_id: None,
            attempt: None,
            author: None,
            detail: "".into(),
        }
    }

    /// Says more.
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = detail.into();
        self
    }
}

macro_rules! record_names {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal, kept: $kept:literal;)*) => {
        /// The closed list of what can happen.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum RecordName {
            $($(#[$doc])* $name = $code,)*
        }

        impl RecordName {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name on the wire and in logs.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// Whether a row is kept of it, because nothing else says it.
            pub fn is_kept(self) -> bool {
                match self {
                    $(Self::$name => $kept,)*
                }
            }
        }
    };
}

record_names! {
    /// A delivery was stored and evaluated.
    DeliveryAccepted = 0, "delivery.accepted", kept: false;
    /// A workload was made.
    WorkloadCreated = 1, "workload.created", kept: false;
    /// A workload ended; the detail is its state.
    WorkloadEnded = 2, "workload.ended", kept: false;
    /// A job can be given to a runner.
    JobQueued = 3, "job.queued", kept: false;
    /// A job was given to a runner.
    JobAssigned = 4, "job.assigned", kept: false;
    /// A runner began to work on a job.
    JobStarted = 5, "job.started", kept: false;
    /// A job ended well.
    JobCompleted = 6, "job.completed", kept: false;
    /// A job ended badly.
    JobFailed = 7, "job.failed", kept: false;
    /// A job was cancelled.
    JobCancelled = 8, "job.cancelled", kept: false;
    /// A job will never run, because of what it needs.
    JobSkipped = 9, "job.skipped", kept: false;
    /// A job went back to the queue; the detail is the reason.
    JobRequeued = 10, "job.requeued", kept: true;
    /// Somebody asked for a cancel.
    JobCancelRequested = 11, "job.cancel_requested", kept: true;
    /// Somebody asked for a new run.
    WorkloadRetried = 12, "workload.retried", kept: true;
    /// A runner registered.
    RunnerRegistered = 13, "runner.registered", kept: false;
    /// A runner was not heard of for longer than the heartbeat timeout.
    RunnerOffline = 14, "runner.offline", kept: false;
    /// A runner that was offline is back.
    RunnerOnline = 15, "runner.online", kept: false;
    /// A runner left.
    RunnerDeregistered = 16, "runner.deregistered", kept: true;
    /// A runner takes nothing new, or does so again; the detail says which.
    RunnerChanged = 17, "runner.changed", kept: true;
    /// Somebody changed a job's priority; the detail is the new one.
    JobPriorityChanged = 18, "job.priority_changed", kept: true;
    /// Somebody moved a job to the front of its lane.
    JobMoved = 19, "job.moved", kept: true;
    /// A job is kept back for a less busy runner; the detail names it.
    JobHeld = 20, "job.held", kept: false;
    /// A job was not with a runner, or had not ended, when it should have; the detail says which.
    JobLate = 21, "job.late", kept: true;
    /// A job waits, and no registered runner could take it; the detail names the nearest.
    JobUnschedulable = 22, "job.unschedulable", kept: true;
    /// A runner that could take it is there again.
    JobSchedulable = 23, "job.schedulable", kept: true;
    /// Something gives out no jobs for now; the detail says what and why.
    Paused = 24, "dispatch.paused", kept: true;
    /// It does so again.
    Resumed = 25, "dispatch.resumed", kept: true;
    /// Jobs joined an open workload.
    WorkloadJoined = 26, "workload.joined", kept: false;
    /// An open workload was closed.
    WorkloadClosed = 27, "workload.closed", kept: true;
    /// A runner's health fell below the minimum, or came back; the detail says which.
    RunnerHealth = 28, "runner.health", kept: false;
    /// What a job waited for waited for it, and it is given up; the detail is the path.
    JobWaitCycle = 29, "job.wait_cycle", kept: true;
    /// Somebody had run times learned anew, or forgotten; the detail says which.
    ModelChanged = 30, "model.changed", kept: false;
    /// A job was admitted whose `max_wait` or deadline may not be met; the detail says what is expected.
    JobAtRisk = 31, "job.at_risk", kept: true;
    /// An executor went away, is tried again, or is there again; the detail says which and why.
    ExecutorChanged = 32, "executor.changed", kept: true;
    /// An executor asked its backend for something; the detail says what, and what came of it.
    JobTried = 33, "job.tried", kept: true;
    /// What a job waited for is known, and it does not simply run; the detail says what was decided.
    JobDecided = 34, "job.decided", kept: true;
    /// A delivery waits for somebody's approval; the detail says why.
    DeliveryHeld = 35, "delivery.held", kept: false;
    /// Somebody approved a held delivery; the detail is what, and at which commit.
    DeliveryApproved = 36, "delivery.approved", kept: true;
    /// Somebody denied a held delivery, or a newer one took its place; the detail says which.
    DeliveryDenied = 37, "delivery.denied", kept: true;
}

impl RecordName {
    /// The name with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }
}
