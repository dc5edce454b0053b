//! From an event to the work that it starts.
//!
//! [`Rules`] join the configured triggers with the workflow files once, at load; [`evaluate`]
//! then decides about one event and cannot fail. Both are pure: the same event and the same rules
//! give the same plan, on every instance and in every replay.
//!
//! Where the files of the event's own repository count too, they are a fact that somebody else must look up first:
//! the outcome then [names it](Outcome::Needs), and the event is evaluated again with what was found.
//!
//! Not here yet: other facts (live permissions) and holding an event back until somebody approves; see [`Outcome`] for
//! where they join.

mod evaluate;
mod repository;
mod rules;

pub use evaluate::{Arrival, Evaluation, Facts, Outcome, RunByHandError, evaluate, run_by_hand};
pub use repository::{Commit, Lookup, RepositoryFiles};
pub use rules::Rules;
