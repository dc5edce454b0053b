//! Between the server and a runner.
//!
//! ```text
//! POST   /api/v1/runners/register              RegisterRequest    -> RegisterResponse   (registration token)
//! POST   /api/v1/runners/{id}/poll             PollRequest        -> PollResponse       (runner token from here on)
//! POST   /api/v1/runners/{id}/stream           StreamRequest      -> server-sent events, see below
//! POST   /api/v1/runners/{id}/heartbeat        HeartbeatRequest   -> HeartbeatResponse
//! POST   /api/v1/leases/{token}/start          LeaseBody          -> JobContext
//! GET    /api/v1/leases/{token}/event          (nonce in header)  -> the delivery's raw body
//! POST   /api/v1/leases/{token}/logs           raw bytes, ?offset=N&nonce=.. -> LogAck
//! POST   /api/v1/leases/{token}/complete       CompleteRequest    -> CompleteResponse
//! POST   /api/v1/leases/{token}/release        ReleaseRequest     -> 204
//! PATCH  /api/v1/runners/{id}                  RunnerPatch        -> RunnerView         (runner's own token, or admin)
//! DELETE /api/v1/runners/{id}                                     -> 204
//! ```
//!
//! A stale lease is answered 409 with the problem `lease-lost`: stop the work and forget it.
//! While the store is not writable every call is answered 503 with `Retry-After`: try again.
//!
//! # Polls and streams
//!
//! A runner asks for work by polls or by a stream, and may change from one to the other at any time:
//! of all that it has open the last one counts, and the one before is ended. A stream is a `POST`
//! because it takes the place of another, and is answered `text/event-stream`:
//!
//! ```text
//! event: hello        data: StreamHello     always first
//! event: assignment   data: Assignment      start it within its ack_window_ms
//! event: cancel       data: StreamLease     stop the work and complete it as cancelled
//! event: lost         data: StreamLease     it is no longer yours: stop the work and forget it
//! event: drain        data: {}              finish what you have and leave
//! : (a line that begins so)                 nothing happened for keep_alive_ms
//! ```
//!
//! - Jobs come while the runner has free slots, and a slot is free as soon as its lease has ended: the
//!   next assignment can overtake the answer to `complete`.
//! - When nothing comes for three times `keep_alive_ms`, the stream is broken even if it looks open.
//! - Send a heartbeat at least every `silent_max_ms`, with or without leases: a stream whose runner is
//!   silent for longer ends. So does one whose job was not started in time.
//! - When a stream ends, for whatever reason, poll, or open it again and name the `leases` that you
//!   know: those that you were given and have not named are told again. That is how it resumes.
//! - Cancels and lost leases are in the answers to heartbeats too, so each may be heard twice.
//! - Events with other names may be added: leave them out.
//! - A server that answers 404 or 405 has no streams.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SessionContext;

use crate::model::{
    AttemptOutcome, HeldUnits, JobId, JobPriority, JobStateKind, JobWork, LeaseToken, Nonce,
    RequeueReason, RunnerCapabilities, RunnerId, Trust, WorkflowJob, WorkloadId, WorkloadKind,
};

/// The header that carries a lease's nonce where there is no JSON body.
pub const NONCE_HEADER: &str = "x-lease-nonce";

/// The header by which work says that it is itself that asks: the value of its variable `DISPATCHYARD_CAUSE`. What it
/// starts is trusted no further than it is.
pub const CAUSE_HEADER: &str = "x-dispatchyard-cause";

/// A runner says hello. Repeating it with the same instance is safe and gives a new token.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterRequest {
    /// What people call it.
    pub name: String,
    /// Kept in the runner's work folder: the same instance is the same runner.
    pub instance_id: String,
    /// New with each process: another one has lost its predecessor's work.
    pub boot_id: String,
    /// The pool's name; when absent the first one that the token names, or the default pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// What it offers.
    pub capabilities: RunnerCapabilities,
    /// The runner program's version.
    #[serde(default)]
    pub version: String,
}

/// What the runner needs to know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RegisterResponse {
    /// Its number.
    pub runner_id: RunnerId,
    /// The bearer token for every later call; the server keeps only a hash of it.
    pub token: String,
    /// How often to send a heartbeat while it holds leases.
    pub heartbeat_interval_ms: i64,
    /// How long a lease lives without a heartbeat.
    pub lease_ms: i64,
    /// The longest `wait_ms` that a poll may ask for.
    pub poll_wait_max_ms: i64,
}

/// A runner asks for work, or only listens for cancels when it has no room (`max_jobs` 0).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PollRequest {
    /// How long the call may be parked; 0 answers at once.
    pub wait_ms: i64,
    /// The most jobs to answer with; the free slots when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_jobs: Option<u32>,
    /// Leases that the runner knows of. Those it was given and has not named are answered again.
    pub leases: Vec<LeaseToken>,
    /// What it offers now, if that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<RunnerCapabilities>,
    /// How many jobs it has now, ours and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_jobs: Option<u32>,
}

/// A runner asks for work as it comes.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamRequest {
    /// Leases that the runner knows of. Those it was given and has not named are told again.
    pub leases: Vec<LeaseToken>,
    /// What it offers now, if that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<RunnerCapabilities>,
    /// How many jobs it has now, ours and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_jobs: Option<u32>,
}

/// The names of the events of a runner's stream.
pub mod stream_event {
    /// The stream is open; a [`super::StreamHello`].
    pub const HELLO: &str = "hello";
    /// A job to start; an [`super::Assignment`].
    pub const ASSIGNMENT: &str = "assignment";
    /// Work to stop; a [`super::StreamLease`].
    pub const CANCEL: &str = "cancel";
    /// A lease that is no longer the runner's; a [`super::StreamLease`].
    pub const LOST: &str = "lost";
    /// Finish and leave; no data.
    pub const DRAIN: &str = "drain";
}

/// The first event of a runner's stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamHello {
    /// The epoch of the scheduler that feeds it.
    pub epoch: i64,
    /// How often something comes at least, if only an empty line.
    pub keep_alive_ms: i64,
    /// How long the runner may say nothing before the stream ends.
    pub silent_max_ms: i64,
}

/// Which lease an event of a runner's stream is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StreamLease {
    /// The lease.
    pub lease: LeaseToken,
}

/// Work, cancels, or nothing yet.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct PollResponse {
    /// Jobs to start.
    pub jobs: Vec<Assignment>,
    /// Leases whose work is to be stopped, because somebody asked for it.
    pub cancel: Vec<LeaseToken>,
    /// Finish what you have and leave.
    pub drain: bool,
}

/// One job for the runner. It carries no steps: they come with the answer to `start`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Assignment {
    /// The job.
    pub job_id: JobId,
    /// Its workload.
    pub workload_id: WorkloadId,
    /// The workload's run.
    pub run: u32,
    /// Workflow or agent.
    pub kind: WorkloadKind,
    /// The job's name.
    pub name: String,
    /// `tenant::kind::workload::job`.
    pub namespace: String,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// This try, from 1.
    pub attempt: u32,
    /// Tries charged to the job so far.
    pub retry_count: u32,
    /// Charged tries that may be followed by another.
    pub max_retries: u32,
    /// How long the attempt may run once started.
    pub timeout_ms: i64,
    /// The lease, to be named with every call.
    pub lease: LeaseToken,
    /// Its unguessable half.
    pub nonce: Nonce,
    /// Start within this time, or the job goes to another runner.
    pub ack_window_ms: i64,
    /// The units of resources that the job holds, by their indexes.
    #[serde(default, skip_serializing_if = "HeldUnits::is_empty")]
    pub units: HeldUnits,
}

/// Names the caller's lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseBody {
    /// The unguessable half of the lease in the path.
    pub nonce: Nonce,
}

/// Everything that carrying out the attempt needs: the answer to `start`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct JobContext {
    /// The job.
    pub job_id: JobId,
    /// This try, from 1.
    pub attempt: u32,
    /// The same for every attempt of the job's run: hand it to whatever must not happen twice.
    pub idempotency_key: String,
    /// What to do.
    pub work: JobWork,
    /// Environment from the workflow file.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How far the event is trusted.
    pub trust: Trust,
    /// The normalised event; absent for a submission without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<serde_json::Value>,
    /// Whether `GET .../event` has the delivery's raw body.
    #[serde(default)]
    pub has_payload: bool,
    /// Outputs of the jobs that this one needs, by their names.
    #[serde(default)]
    pub needs: BTreeMap<String, BTreeMap<String, String>>,
    /// The trace that it is part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// What a workflow file adds: with it `${{ }}` in the text of `work` and `env` is to be filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Box<WorkflowJob>>,
    /// Of a job that carries out a session: what its agent is to be told first. The prompt says the same, for
    /// whoever knows of no sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionContext>,
}

/// The runner is alive and still works on these.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeartbeatRequest {
    /// Leases to renew.
    pub leases: Vec<HeldLease>,
    /// What it offers now, if that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<RunnerCapabilities>,
    /// How many jobs it has now, ours and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_jobs: Option<u32>,
}

/// A lease with both halves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldLease {
    /// The lease.
    pub lease: LeaseToken,
    /// Its unguessable half.
    pub nonce: Nonce,
}

/// What the server thinks of these leases.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct HeartbeatResponse {
    /// Leases that are no longer the runner's: stop the work and forget it.
    pub lost: Vec<LeaseToken>,
    /// Leases whose work is to be stopped and completed as cancelled.
    pub cancel: Vec<LeaseToken>,
    /// Finish what you have and leave.
    pub drain: bool,
}

/// An attempt ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteRequest {
    /// The unguessable half of the lease in the path.
    pub nonce: Nonce,
    /// How it ended; `requeued` is refused: that is what `release` is for.
    pub outcome: AttemptOutcome,
    /// The exit code of the last process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed the last process, 1 to 64; not together with an exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Named results.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
}

/// What became of the job. The same completion twice is answered the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CompleteResponse {
    /// The job.
    pub job_id: JobId,
    /// Its state now: an end, or `pending` when it will be tried again.
    pub state: JobStateKind,
}

/// The runner gives a job back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The unguessable half of the lease in the path.
    pub nonce: Nonce,
    /// `drained`, `runner_lost`, `evicted`, `executor_unavailable` or `preempted`.
    pub reason: RequeueReason,
    /// The same for people, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How much of a log the server has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogAck {
    /// Send from this byte on. Lower than the request's offset: bytes before it are missing.
    pub next_offset: u64,
    /// Whether the log reached its limit; further bytes are accepted and dropped.
    pub truncated: bool,
}

/// Changes to a runner; what is absent stays.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunnerPatch {
    /// What it offers now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<RunnerCapabilities>,
    /// Take nothing new, or do so again (admin only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordoned: Option<bool>,
    /// Finish what it has and leave (admin only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<bool>,
    /// Why it is cordoned, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
