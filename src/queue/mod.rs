//! What is next: lanes of jobs that nothing gates, and the gates where the others wait.
//!
//! Pure. A job is in exactly one of these places while it waits: behind its dependencies
//! ([`DependencyTracker`]), behind a time ([`TimeGate`]), or in its lane ([`JobQueue`]), so a
//! decision looks at the heads of lanes and never past a gated job. Which runner gets the head is
//! the business of the `runner` room.

mod gate;
mod lane;
mod retry;
mod wait;

pub use gate::{DependencyTracker, TimeGate};
pub use lane::{JobQueue, Order};
pub use retry::backoff_ms;
pub use wait::{QueueMetrics, WaitStatistics};
