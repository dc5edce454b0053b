//! The HTTP edge: requests in, commands and questions to the driver, views out.
//!
//! A handler file reads: which route, input, errors, answer. Decisions live in the core; here is
//! only what HTTP adds: limits, access, wire types, streams.

mod accept;
pub mod access;
mod adopt;
mod advice;
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
mod graph;
mod hooks;
mod instances;
mod jobs;
mod learned;
mod leases;
mod list;
pub mod listen;
mod logs;
mod metrics;
mod overview;
mod own;
mod pauses;
mod planning;
mod pools;
mod records;
mod replay;
pub(crate) mod report;
mod resources;
mod retention;
pub mod route;
mod router;
mod routing;
mod runners;
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
pub use planning::{Desk, SourceRepositories, plan};
pub use route::Listed;
pub use router::{router, routes};
