//! `bench`: measures this machine, so that people can say how large a server it can be.
//!
//! ```text
//!  core.rs       decisions in memory                        crate::bench
//!  lifecycle.rs  durable lifecycles in process              crate::bench
//!  http.rs       webhooks to waiting runners, over HTTP     target.rs, wire.rs
//!  fleet.rs      many runners and leases, over HTTP         target.rs, wire.rs
//!  sessions.rs   comments and messages to a real agent      target.rs, wire.rs
//! ```

use clap::{Args, Subcommand};

mod core;
mod fleet;
mod http;
mod lifecycle;
mod sessions;
mod target;
mod wire;

pub use fleet::FleetReport;
pub use http::{HttpLoad, HttpReport, accepted_per_s, http};
pub use sessions::SessionsReport;
pub use target::OWN_SECRET;

use super::console::Console;
use super::{CliError, Global};

/// What to measure.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// Time per decision and memory, without a database
    Core(core::CoreArgs),
    /// Durable lifecycles of jobs in a second, without HTTP
    Lifecycle(lifecycle::LifecycleArgs),
    /// Webhooks to waiting runners, over HTTP
    Http(http::HttpArgs),
    /// Many runners and leases over HTTP, with runners that die
    Fleet(fleet::FleetArgs),
    /// Comments and messages to agents, with a real runner and a real agent
    Sessions(sessions::SessionsArgs),
}

/// Measures and tells; on a runtime with several threads.
///
/// # Errors
/// The arguments make no sense together, or something cannot be measured.
pub async fn run(args: BenchArgs, global: &Global, console: &mut Console) -> Result<(), CliError> {
    match args.what {
        What::Core(args) => core::run(&args, console),
        What::Lifecycle(args) => lifecycle::run(args, console).await,
        What::Http(args) => http::run(args, global, console).await,
        What::Fleet(args) => fleet::run(args, global, console).await,
        What::Sessions(args) => sessions::run(args, console).await,
    }
}

/// A figure with a unit for people: 1 or 2 digits behind the point where it is small.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The median, and the range over the rounds.
fn ranged(range: crate::bench::Range) -> String {
    format!("{} ({} to {})", figure(range.median), figure(range.min), figure(range.max))
}
