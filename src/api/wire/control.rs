//! What operators see and change of the flow: pauses, pools, places in the queue, who holds what, and
//! what was learned.
//!
//! ```text
//! GET    /api/v1/pauses                        List<PauseView>
//! POST   /api/v1/pauses                        PauseRequest    -> PauseView
//! DELETE /api/v1/pauses/{scope}                                -> PauseView that was lifted
//! PATCH  /api/v1/pools/{name}                  PoolPatch       -> PoolChanged
//! POST   /api/v1/jobs/{id}/priority            PriorityRequest -> JobView
//! POST   /api/v1/jobs/{id}/front                               -> JobView
//! GET    /api/v1/resources       ?limit        Glance<ResourceView>;  /{name} -> ResourceView
//! GET    /api/v1/groups          ?limit        Glance<GroupView>
//! GET    /api/v1/model           ?limit&before ModelView
//! POST   /api/v1/model/train                   TrainRequest    -> Trained
//! POST   /api/v1/model/reset                                   -> Trained
//! ```

use serde::{Deserialize, Serialize};

use crate::model::{ClassId, JobId, JobPriority, RunnerId, RunnerRequirements, WorkloadId};

/// Gives out no more jobs of a scope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// `everything`, `pool:NAME`, `tenant:NAME` or `trigger:NAME`.
    pub scope: String,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What gives out no jobs for now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PauseView {
    /// `everything`, `pool:NAME`, `tenant:NAME` or `trigger:NAME`; the number of a pool or tenant
    /// that the configuration no longer has as `pool:#7`.
    pub scope: String,
    /// Who asked for it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Since when, wall milliseconds.
    pub at_ms: i64,
    /// Of a trigger that its breaker stopped besides: why. When the pause is lifted this stays, until it is lifted too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<String>,
}

/// Changes to a pool; what is absent stays.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolPatch {
    /// Give out nothing to its runners, those that come later too, or do so again: the same as its
    /// pause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cordoned: Option<bool>,
    /// The runners that it has now finish what they have and leave, or stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining: Option<bool>,
    /// Why it is cordoned, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A pool after a change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PoolChanged {
    /// Its name.
    pub pool: String,
    /// Its pause, if there is one.
    #[serde(default)]
    pub paused: Option<PauseView>,
    /// Its runners.
    pub runners: Vec<RunnerId>,
}

/// Gives a waiting job another priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriorityRequest {
    /// The new one.
    pub priority: JobPriority,
}

/// The first of a list that changes from moment to moment: that for which most wait comes first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Glance<T> {
    /// The first of them.
    pub items: Vec<T>,
    /// How many there are.
    pub total: u64,
}

/// A named, counted thing that jobs hold while they run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ResourceView {
    /// Its name. One that ends in `*` is how many there are of each whose name begins so.
    pub name: String,
    /// How many units there are.
    pub units: u32,
    /// The units that jobs hold, in the order of their indexes.
    pub held: Vec<HeldUnit>,
    /// Jobs that wait for a runner or for a unit of it, over all tenants.
    pub waiting: u64,
    /// Whether the next free units are kept for a job that others went before too often.
    pub reserved: bool,
    /// For which job; absent when that is another tenant's.
    #[serde(default)]
    pub reserved_for: Option<JobId>,
}

/// One unit of a resource in a job's hands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldUnit {
    /// The unit's index, from 0.
    pub index: u32,
    /// Since when, wall milliseconds.
    pub since_ms: i64,
    /// Who holds it; absent when that is another tenant's job.
    #[serde(default)]
    pub holder: Option<Holder>,
}

/// A job that holds something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub job: String,
    /// Its workload.
    pub workload_id: WorkloadId,
    /// The workload's name.
    pub workload: String,
    /// Who runs it.
    #[serde(default)]
    pub runner_id: Option<RunnerId>,
}

/// A concurrency group that has a member.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupView {
    /// Its key.
    pub key: String,
    /// Whose it is: groups of two tenants are two groups.
    pub tenant: String,
    /// How many may be in.
    pub limit: u64,
    /// Who is in.
    pub holders: Vec<GroupMember>,
    /// The first of those that wait, in order.
    pub waiting: Vec<GroupMember>,
    /// How many wait.
    pub waiting_total: u64,
}

/// A workload, or one of its jobs, in a group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupMember {
    /// The workload.
    pub workload_id: WorkloadId,
    /// The job, where only that is the member.
    #[serde(default)]
    pub job_id: Option<JobId>,
    /// What people call it.
    pub name: String,
}

/// What was learned of run times.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ModelView {
    /// Runs that it was learned from, since the last reset.
    pub runs: u64,
    /// Classes, runners and pairs of them that are remembered.
    pub entries: u64,
    /// Classes of jobs, the newest first.
    pub classes: Vec<LearnedClass>,
    /// Runners, the slowest first.
    pub runners: Vec<LearnedRunner>,
    /// Ask again with `before=` this for older classes; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_before: Option<String>,
}

/// What was learned of the jobs that require the same.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LearnedClass {
    /// The class.
    pub class_id: ClassId,
    /// What its jobs require of a runner.
    pub requirements: RunnerRequirements,
    /// The pools whose runners may take them, by name.
    pub pools: Vec<String>,
    /// How long they run, wherever they do.
    pub times: LearnedTimes,
    /// How long they run on each runner that had one.
    pub runners: Vec<LearnedOn>,
}

/// How long jobs of one class run on one runner.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LearnedOn {
    /// The runner.
    pub runner_id: RunnerId,
    /// Its name, while it is registered.
    #[serde(default)]
    pub runner: Option<String>,
    /// How long.
    pub times: LearnedTimes,
}

/// How long jobs run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LearnedTimes {
    /// The mean of runs that go well.
    pub mean_ms: i64,
    /// Half of them are shorter.
    pub p50_ms: i64,
    /// 95 of 100 are shorter.
    pub p95_ms: i64,
    /// How many runs there were, failed ones too.
    pub runs: u64,
    /// How many of a thousand fail.
    pub failure_permille: u32,
}

/// How fast a runner is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LearnedRunner {
    /// The runner.
    pub runner_id: RunnerId,
    /// Its name, while it is registered.
    #[serde(default)]
    pub runner: Option<String>,
    /// How long its jobs take in percent of what is usual: 300 is three times as slow.
    pub time_percent: u32,
}

/// Learns run times anew from history.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainRequest {
    /// From how many of the last ended attempts: 20,000 when absent, at most 50,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
}

/// What the model knows now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trained {
    /// Runs that it was learned from.
    pub runs: u64,
}
