//! The loop around the pure core: one thread that drains commands, decides, commits, then speaks.
//!
//! ```text
//!   handle.rs   everyone sends commands and asks questions here
//!      |  two bounded channels (control, intake) and one of questions
//!      v
//!   batch.rs    which commands go together: control first, a quarter of the room for intake
//!      |
//!      v
//!   run.rs      load -> turn after turn
//!   flight.rs   wait for the commit in hand and apply what arrives beside it -> settle -> send off
//!   decide.rs   tick, claim keys, apply each, settle           the pure part
//!   failure.rs  a failed commit: load once; a culprit: the batch one by one
//!   speak.rs    only after the commit: replies, and waiters.rs for what runners are given
//!      |
//!      v
//!   views.rs    what is published after each commit: leases, credentials, records (records.rs), state;
//!   sessions.rs   how far the messages of live sessions go
//!   undecided.rs  and jobs that somebody is to decide about
//! ```
//!
//! Where several servers share a database, `seat.rs` keeps the seat of the one that leads, or waits for it;
//! the others have no scheduler. How long a leader is believed is in `term.rs`. What is an absence, after
//! which nobody is judged by his silence, is in `absence.rs`.
//!
//! One batch is in flight at a time, and there is no timer window: a batch is whatever arrived
//! while the last one was committed, and most of it is decided by then.

mod absence;
mod batch;
mod credentials;
mod decide;
mod failure;
mod flight;
mod handle;
mod records;
mod run;
mod seat;
mod sessions;
mod speak;
mod term;
#[cfg(test)]
mod tests;
mod undecided;
mod views;
mod waiters;
mod work;

pub use batch::{Envelope, Limits};
pub use handle::{CommandError, Handle};
pub use records::{Cursor, RecordStream, Streamed};
pub use run::{DriverOptions, Probe, spawn};
pub use sessions::SessionBoard;
pub use term::Term;
pub use undecided::Undecided;
pub use views::{ServerState, Standing, Views};
pub use waiters::Waiter;
pub use work::{Told, WorkStream};
