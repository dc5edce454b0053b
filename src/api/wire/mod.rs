//! Request and response types of `/api/v1`: the one thing that the server, the runner and the
//! command line share. JSON; unknown fields of requests are refused, unknown fields of answers
//! are to be ignored by clients. Times are wall milliseconds (`*_at_ms`), tokens are strings.

mod act;
mod log;
mod problem;
mod runner;
mod view;

pub use act::*;
pub use log::*;
pub use problem::*;
pub use runner::*;
pub use view::*;
