//! The HTTP edge: requests in, commands and questions to the driver, views out.
//!
//! A handler file reads: which route, input, errors, answer. Decisions live in the core; here is
//! only what HTTP adds: limits, access, wire types, streams.

mod accept;
pub mod access;
mod adopt;
mod advice;
mod approvals;
mod batch;
mod body;
mod callbacks;
mod caller;
mod decide;
mod deliveries;
pub mod embedded;
pub mod error;
mod executors;
mod forward;
mod forward_routes;
mod graph;
mod hooks;
mod instances;
mod jobs;
mod learned;
mod lease_messages;
mod leases;
mod list;
pub mod listen;
mod logs;
mod metrics;
mod outbox;
mod overview;
mod own;
mod pauses;
mod planning;
mod pools;
mod records;
mod replay;
pub(crate) mod report;
mod rerun;
mod resources;
mod retention;
pub mod route;
mod router;
mod routing;
mod runners;
mod schedules;
mod session_events;
mod sessions;
mod show;
mod show_forecast;
mod sources;
pub mod state;
mod stream;
mod submission;
mod undecided;
mod why;
pub mod wire;
mod work;
mod workloads;

pub use adopt::adopt;
pub use forward::Forwarder;
pub use planning::{Desk, SourceForge, SourceRepositories, plan};
pub use route::Listed;
pub use router::{router, routes};
pub use schedules::keep_time;
