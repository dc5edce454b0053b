//! The words of the project as types: ids, rows, states and what a transition writes.
//!
//! A leaf room: everything imports it, it imports nothing of ours. Nothing here reads a clock,
//! draws a random number or touches a socket; times are arguments ([`Now`]) and randomness is a
//! parameter ([`Entropy`]).
//!
//! Rows ([`Job`], [`Workload`], [`Runner`], ...) are what memory and the database both hold, field
//! for field, which is why the fourth law (memory is an index over the rows) can be tested by
//! plain comparison.

mod approval;
mod attempt;
mod capabilities;
mod catalogue;
mod change;
mod chat;
mod decision;
mod delivery;
mod id;
mod job;
mod job_state;
mod lease;
mod measure;
mod member;
mod mismatch;
mod name;
mod needs;
mod now;
mod nul;
mod outbox;
mod pause;
mod permission;
mod plan;
mod priority;
mod question;
mod rare;
mod record;
mod reply;
mod requirements;
mod runner;
mod schedule;
mod session;
mod signal;
mod snapshot;
mod spec;
mod start_limits;
mod step_limits;
mod succession;
mod terms;
mod untrusted;
mod wish;
mod workload;

pub use approval::{About, Answered, Approval};
pub use attempt::{Attempt, AttemptOutcome, JobResult, RequeueReason};
pub use capabilities::RunnerCapabilities;
pub use catalogue::Catalogue;
pub use change::{Change, KeyScope, PrunedRows, UniqueKey};
pub use chat::{CHAT_ID_BYTES_MAX, ChatPlace};
pub use decision::{Decision, Facts, Status};
pub use delivery::{Body, Delivery, DeliveryState, TriggerVerdict};
pub use id::{
    ClassId, DeliveryId, JobId, OutboxId, PoolId, RunnerId, SessionId, TenantId, WorkloadId,
};
pub use job::{Job, JobExtras, QueuedJob};
pub use job_state::{EndReason, JobState, JobStateKind};
pub use lease::{AssignedJob, HeldUnits, Lease, LeaseRef, LeaseToken, Nonce};
pub use measure::{AssignmentOutcome, Measure, Promise};
pub use member::Member;
pub use mismatch::Mismatch;
pub use name::{Name, Names};
pub use needs::{EndedNeed, github_of_run, needs_context};
pub use now::{Entropy, Now};
pub use nul::{json_without_nul, without_nul};
pub use outbox::{
    COMMENT_MARK, OutboxEntry, OutboxLine, OutboxPayload, OutboxProgress, OutboxRoom, OutboxRow,
    OutboxState, OutboxTarget, OutboxTold, ReportOn, ReportPhase, ReportTo,
};
pub use pause::{Pause, PauseScope};
pub use permission::Permission;
pub use plan::{
    Company, Plan, PlanError, PlannedJob, PlannedWorkload, TermsFault, faults_of_jobs, find_cycle,
    sort_needs,
};
pub use priority::JobPriority;
pub use question::question;
pub use rare::{Blank, Rare};
pub use record::{Record, RecordName};
pub use reply::{ReplyOn, ReplyTo, SessionSays, readable};
pub use requirements::{Class, Preference, ResourceNeed, RunnerRequirements};
pub use runner::{Runner, RunnerState, StartOrder};
pub use schedule::ScheduleMark;
pub use session::{
    Direction, MessageKind, PlannedSession, PrunedSession, Session, SessionDay, SessionDelivered,
    SessionLimits, SessionMessage, SessionState, SessionTemplate, Spent,
};
pub use signal::signal_name;
pub use snapshot::{Archived, Edge, Marks, Snapshot, SoftState};
pub use spec::{JobSpec, JobWork, RetryPolicy, Step, WorkflowJob};
pub use start_limits::{StartLimit, StartLimits};
pub use step_limits::{
    ENV_ENTRIES_MAX, ENV_VALUE_BYTES_MAX, SCRIPT_BYTES_MAX, SHORT_BYTES_MAX, STEPS_MAX,
};
pub use succession::{Quiet, Succession};
pub use terms::{
    GroupTerms, JobTerms, MatrixTerms, PendingPolicy, Placement, RUN_ID, RunIf, Spread, SpreadOver,
    WorkloadTerms,
};
pub use untrusted::{Trust, TrustLevel, Untrusted};
pub use wish::SessionWish;
pub use workload::{Workload, WorkloadKind, WorkloadState};
