//! Dispatchyard: webhooks in, jobs out to your own runners, nothing lost.

pub mod clock;
pub mod dispatch;
pub mod driver;
pub mod model;
pub mod queue;
pub mod runner;
pub mod store;
pub mod telemetry;
