//! What is next: lanes of jobs that nothing gates, and the gates where the others wait.
//!
//! Pure. A job is in exactly one of these places while it waits: behind its dependencies
//! ([`DependencyTracker`]), behind a time ([`TimeGate`]), a group ([`GroupGate`]) or a limit
//! ([`ParallelGate`]), or in its lane ([`JobQueue`]), so a decision looks at the heads of lanes
//! and never past a gated job. Which runner gets the head is
//! the business of the `runner` room.

mod fairness;
mod gate;
mod lane;
mod level;
mod policy;
mod retry;
mod wait;

pub use fairness::{ShareUsage, Shares};
pub use gate::{
    Asked, Available, Demand, DependencyTracker, GroupGate, GroupKey, HoldGate, Judgement, Member,
    NeedEnd, ParallelGate, ParallelKey, ParallelMove, QueueTimeouts, QuotaGate, QuotaLimits,
    QuotaReached, ResourceGate, TimeGate, Turn, judge, judge_without_needs,
};
pub use lane::{Head, JobQueue, OrderKey, Place, Queued, Scene, Urgency};
pub use level::Raising;
pub use policy::{
    FairShare, Fifo, LaneHead, Priority, Rank, SchedulingPolicies, SchedulingPolicy, Skill,
    UnknownSchedulingPolicy,
};
pub use retry::backoff_ms;
pub use wait::{QueueMetrics, WaitStatistics};
