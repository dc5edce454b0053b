//! Job logs: files beside the database, never through the driver.
//!
//! ```text
//! runner -- bytes at an offset --> append --> logs/<job>/<attempt>.log --> read, follow --> people
//!                                             seal when the attempt ended
//! ```
//!
//! The file is the state. Its length is the next offset, its read-only flag says that it is
//! sealed, and a marker at its end says that it was truncated, so a restarted server knows all
//! that the old one knew. What memory adds is a lock per attempt and a wake-up for followers.
//!
//! A file is open only during a call, and calls at once are limited, so the number of open files
//! is. Work on a file runs to its end once begun, also when the request that asked for it is gone.
//!
//! What is deliberately absent: who may write (the API checks the lease before it calls), masking
//! of secrets (the runner's part), and which logs are old (`retention` says that). Appends
//! are not flushed to the disk before they are acknowledged: after a power loss the end of a live
//! log may be missing, which its runner learns as a gap. A sealed log is flushed.

mod attempt;
mod error;
mod file;
mod follow;
mod jobs;
mod marker;

pub use error::LogError;
pub use jobs::{Appended, JobLogs, LogChunk, LogLimits, LogPage};
