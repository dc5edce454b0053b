//! The runner's side of the wire: takes jobs from a server and carries them out as processes.
//!
//! ```text
//! register ──> poll (parked) ──> start ──> steps as process groups ──> logs ──> complete
//!                │ cancel, drain            │ one line at a time         ▲
//!                ▼                          ▼                            │
//!             LeaseTable <── heartbeat    Spool (file) ── logship ───────┘
//! ```
//!
//! One small actor per concern, joined by levels: [`poll`] asks for work and hears cancels,
//! [`heartbeat`] keeps leases alive, and each attempt is one [`job::Attempt`]. They meet in the
//! [`table::LeaseTable`], which holds what each attempt is ordered to do. While the server is
//! away everything goes on: work runs, logs gather on disk, and each call is repeated until it is
//! answered; only the server's `lease-lost` ends an attempt from outside.
//!
//! This room shares `api::wire`, `model` and `clock` with the server, and nothing else. Deliberately
//! absent: signal handling (the caller turns signals into [`RunnerStop`]), containers, and any
//! notion of what a workflow is: steps arrive planned.

mod attempt_folder;
mod backoff;
mod capabilities;
mod client;
mod environment;
mod error;
mod event_files;
mod heartbeat;
mod http;
mod job;
mod leftovers;
mod lines;
mod logship;
mod options;
mod outputs;
mod poll;
mod process;
mod procfs;
mod pump;
mod register;
mod shared;
mod shell;
mod spool;
mod step;
mod stop;
mod supervise;
mod table;
mod work_folder;

#[cfg(test)]
mod tests;

pub use error::RunnerError;
pub use options::{RunnerOptions, parse_agent};
pub use stop::RunnerStop;
pub use supervise::run;
