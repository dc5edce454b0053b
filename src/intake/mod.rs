//! From an event to the work that it starts.
//!
//! [`Rules`] join the configured triggers with the workflow files once, at load; [`evaluate`]
//! then decides about one event and cannot fail. Both are pure: the same event and the same rules
//! give the same plan, on every instance and in every replay.
//!
//! Not here yet: facts that must be looked up (files of a pull request, live permissions) and
//! holding an event back until somebody approves; see [`Outcome`] for where they join.

mod evaluate;
mod rules;

pub use evaluate::{Arrival, Evaluation, Outcome, RunByHandError, evaluate, run_by_hand};
pub use rules::Rules;
