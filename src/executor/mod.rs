//! Who carries a job out: the router, which finds the executors of a job by its name.
//!
//! ```text
//! tenant::kind::workload::job -> Router (rules in order, the first that matches) -> Route
//! ```
//!
//! [`router`] is pure and belongs to the core: the scheduler asks it when work is made.

pub mod router;
