//! Gates: what keeps a job from being offered.

mod dependency;
mod group;
mod hold;
mod parallel;
mod quota;
mod resource;
mod time;
mod timeout;

pub use dependency::{DependencyTracker, Judgement, NeedEnd, judge, judge_without_needs};
pub use group::{Asked, GroupGate, GroupKey, Member, Turn};
pub use hold::HoldGate;
pub use parallel::{ParallelGate, ParallelKey, ParallelMove};
pub use quota::{Demand, QuotaGate, QuotaLimits, QuotaReached};
pub use resource::{Available, ResourceGate};
pub use time::TimeGate;
pub use timeout::QueueTimeouts;
