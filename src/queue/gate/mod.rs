//! Gates: what keeps a job from being offered.

mod dependency;
mod time;

pub use dependency::DependencyTracker;
pub use time::TimeGate;
