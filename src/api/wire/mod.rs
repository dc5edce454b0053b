//! Request and response types of `/api/v1`: the one thing that the server, the runner and the
//! command line share. JSON; unknown fields of requests are refused, unknown fields of answers
//! are to be ignored by clients. Times are wall milliseconds (`*_at_ms`), tokens are strings. Streams are
//! server-sent events, which [`sse`] reads.

mod act;
mod approval;
mod batch;
mod control;
mod executor;
mod forecast;
mod instance;
mod log;
mod outbox;
mod pool;
mod problem;
mod queue;
mod replay;
mod report;
mod retention;
mod routing;
mod runner;
mod schedule;
mod session;
mod source;
pub mod sse;
mod view;
mod why;

pub use act::*;
pub use approval::*;
pub use batch::*;
pub use control::*;
pub use executor::*;
pub use forecast::*;
pub use instance::*;
pub use log::*;
pub use outbox::*;
pub use pool::*;
pub use problem::*;
pub use queue::*;
pub use replay::*;
pub use report::*;
pub use retention::*;
pub use routing::*;
pub use runner::*;
pub use schedule::*;
pub use session::*;
pub use source::*;
pub use view::*;
pub use why::*;
