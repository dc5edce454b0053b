//! The HTTP edge: requests in, commands and questions to the driver, views out.
//!
//! A handler file reads: which route, input, errors, answer. Decisions live in the core; here is
//! only what HTTP adds: limits, access, wire types, streams.

mod accept;
pub mod access;
mod body;
mod caller;
mod deliveries;
pub mod error;
mod hooks;
mod jobs;
mod leases;
mod list;
pub mod listen;
mod logs;
mod overview;
mod own;
pub mod route;
mod router;
mod runners;
mod show;
pub mod state;
mod stream;
mod submission;
pub mod wire;
mod workloads;

pub use route::Listed;
pub use router::{router, routes};
