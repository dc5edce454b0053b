//! Measurements in process: what a decision costs, what a durable lifecycle costs. `dispatchyard
//! bench` and `cargo bench` share what stands here; what is measured over HTTP stands in
//! `cli::bench`, because it is a client of a server.
//!
//! ```text
//!  world.rs      rows of a large server: queued jobs, leases, runners, tenants, pools
//!  yard.rs       a scheduler over them, and the decisions that are measured
//!  core.rs       `bench core`: load time, memory, time per decision
//!  lifecycle.rs  `bench lifecycle`: the real driver and a real database
//!  figures.rs    percentiles, medians and ranges, memory of a process
//! ```
//!
//! Deliberately absent: the floor of raw SQL that `cargo bench --bench lifecycle` compares with. It
//! is no part of the product, and lives in `benches/floor`.

mod core;
mod figures;
mod lifecycle;
mod step;
mod world;
mod yard;

pub use self::core::{CoreOptions, CoreReport, Decision, core};
pub use figures::{Percentiles, Range, resident_mb};
pub use lifecycle::{LifecycleOptions, LifecycleReport, LifecycleRig, LifecycleRow, lifecycle};
pub(crate) use lifecycle::{batches, metric};
pub use step::Step;
pub use world::{Seeded, Size};
pub use yard::Yard;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The database of the measurement.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    /// A thread or a folder cannot be made.
    #[error("cannot prepare the measurement: {0}")]
    Prepare(#[from] std::io::Error),
    /// A command was refused that should have been obeyed.
    #[error("a command of the measurement was refused: {0}")]
    Refused(String),
}
