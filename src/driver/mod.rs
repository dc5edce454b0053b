//! The loop around the pure core: one thread that drains commands, decides, commits, then speaks.
//!
//! ```text
//!   handle.rs   everyone sends commands and asks questions here
//!      |  two bounded channels (control, intake) and one of questions
//!      v
//!   batch.rs    which commands go together: control first, a quarter of the room for intake
//!      |
//!      v
//!   run.rs      load -> [ decide.rs: tick, claim keys, apply each, settle, commit ] -> speak
//!      |                 a failed commit: load once; a culprit: the batch one by one
//!      v
//!   views.rs    what is published after each commit: leases, credentials, records, state
//! ```
//!
//! One batch is in flight at a time, and there is no timer window: a batch is whatever arrived
//! while the last one was committed.

mod batch;
mod decide;
mod handle;
mod run;
#[cfg(test)]
mod tests;
mod views;

pub use batch::{Envelope, Limits};
pub use handle::{CommandError, Handle};
pub use run::{DriverOptions, Probe, spawn};
pub use views::{Cursor, RecordStream, ServerState, Streamed, Views};
