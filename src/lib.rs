//! Dispatchyard: webhooks in, jobs out to your own runners, nothing lost.

pub mod agent_runner;
pub mod api;
pub mod app;
pub mod clock;
pub mod config;
pub mod dispatch;
pub mod driver;
pub mod event;
pub mod intake;
pub mod log;
pub mod model;
pub mod queue;
pub mod runner;
pub mod store;
pub mod telemetry;
pub mod trigger;
pub mod webhook;
pub mod workflow;
