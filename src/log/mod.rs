//! Job logs: files beside a SQLite database, rows of a PostgreSQL; never through the driver.
//!
//! ```text
//! runner -- bytes at an offset --> append --> logs/<job>/<attempt>.log  --> read, follow --> people
//!                                             or job_log, job_log_chunk
//!                                             seal when the attempt ended
//! ```
//!
//! The place is the state. It tells where a log ends, which is the next offset, whether it is sealed, and
//! whether it was truncated, so a restarted server, or the next one that leads, knows all that the old one
//! knew. A file says it by its length, its read-only flag and the marker at its end; rows say it in
//! columns, and have the marker too, so that people read the same. What memory adds is a lock per attempt
//! and a wake-up for followers.
//!
//! What an append comes to is decided in one function over the log's end (`tail.rs`), for both places;
//! `place.rs` is all that knows which one there is. Work on a log runs to its end once begun, also when the
//! request that asked for it is gone.
//!
//! **Files** are of one server. Calls at once are limited (`open_files_max`), and so is the number of open
//! files. Appends are not flushed before they are acknowledged: after a power loss the end of a live log may
//! be missing, which its runner learns as a gap. A sealed log is flushed.
//!
//! **Rows** are of all instances on a database, and any of them reads and follows them. An append is committed,
//! and flushed, before it is acknowledged. It names the end that it was decided for, and the statement
//! compares it under the lock of the log's row: what this process remembers may be old, and then it looks
//! and decides again. All calls together have four connections of their own; a call that waits for one for
//! five seconds fails, and its runner sends again. A follower is woken by who writes in its own process,
//! and looks itself four times a second for what other instances write.
//!
//! A lease is checked by the API against what the driver published last. An instance that was ousted may
//! believe in a lease for a moment longer than the database. It cannot spoil anything with it: bytes that it
//! lets in are of the very attempt that had the lease, since the next one is another log; they stand where
//! that runner wrote them, since the end is compared when they are written; and once the attempt's end was
//! noticed the log is sealed, which the row says and not the instance.
//!
//! What is deliberately absent: who may write (the API checks the lease before it calls), masking
//! of secrets (the runner's part), and which logs are old (`retention` says that).

mod attempt;
mod error;
mod file;
mod files;
mod follow;
mod jobs;
mod marker;
mod place;
mod tail;

pub use error::LogError;
pub use files::log_files;
pub use jobs::{Appended, JobLogs, LogChunk, LogLimits, LogPage};
