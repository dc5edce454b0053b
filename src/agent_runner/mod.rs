//! The runner's side of the wire: takes jobs from a server and carries them out as processes.
//!
//! ```text
//! register ──> stream | poll ──> start ──> steps as process groups ──> logs ──> complete
//!                │ cancel, drain            │ one line at a time         ▲
//!                ▼                          ▼                            │
//!             LeaseTable <── heartbeat    Spool (file) ── logship ───────┘
//! ```
//!
//! One small actor per concern, joined by levels: [`poll`] asks for work and hears cancels, by a
//! [`stream`] or, while there is none, by polls; [`heartbeat`] keeps leases and the stream alive, and
//! each attempt is one [`job::Attempt`]. They meet in the
//! [`table::LeaseTable`], which holds what each attempt is ordered to do. While the server is
//! away everything goes on: work runs, logs gather on disk, and each call is repeated until it is
//! answered; only the server's `lease-lost` ends an attempt from outside.
//!
//! Nothing is sent unmasked: what steps write passes [`log_mask`] on its way into the spool, outputs
//! and error texts pass [`secrets`].
//!
//! What a workflow file says of steps (conditions, expressions, files, commands) is in [`steps`].
//!
//! This room shares `api::wire`, `expression`, `model` and `clock` with the server, and nothing else.
//! Deliberately absent: signal handling (the caller turns signals into [`RunnerStop`]), containers, and what
//! a workflow is: jobs arrive planned.

mod attempt_folder;
mod backoff;
mod capabilities;
mod client;
mod detached;
mod environment;
mod error;
mod event_files;
mod heartbeat;
mod http;
mod job;
mod leftovers;
mod limits;
mod lines;
mod log_mask;
mod logship;
mod mask;
mod options;
mod outputs;
mod poll;
mod process;
mod procfs;
mod pump;
mod register;
mod secret_forms;
mod secrets;
mod session;
mod shared;
mod shell;
mod spool;
mod steps;
mod stop;
mod stream;
mod supervise;
mod table;
mod tries;
mod work_folder;
mod workspace_lock;

#[cfg(test)]
mod tests;

// What a job's process is given and leaves is the same wherever it runs: executors have it from here.
pub(crate) use environment::{job_values, may_be_set};
pub(crate) use log_mask::LogMask;
pub(crate) use outputs::parse as parse_outputs;
pub(crate) use secrets::Secrets;
pub(crate) use steps::{exit_code_text, first_line, github_context, github_variables};

pub use detached::DetachedRunner;
pub use error::RunnerError;
pub use limits::StepLimits;
pub use options::{RunnerOptions, TokenSource, WorkTransport, parse_agent};
pub use session::AgentProtocol;
pub use stop::RunnerStop;
pub use supervise::run;
