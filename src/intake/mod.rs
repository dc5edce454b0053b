//! From an event to the work that it starts.
//!
//! [`Rules`] join the configured triggers with the workflow files once, at load; [`evaluate`]
//! then decides about one event and cannot fail. Both are pure: the same event and the same rules
//! give the same plan, on every instance and in every replay.
//!
//! Where the files of the event's own repository count too, they are a fact that somebody else must look up first:
//! the outcome then [names it](Outcome::Needs), and the event is evaluated again with what was found.
//!
//! Who may start what ([`crate::trigger::Allow`]) is asked of each trigger that wants the event. What the sender may do at
//! the forge is such a fact too; and where somebody must approve first, the event is [held](Outcome::Held) until
//! [`Arrival::approved_by`] says who did.

mod agent;
mod evaluate;
mod needs;
mod of_files;
mod report;
mod repository;
mod rules;
mod times;

pub use evaluate::{Arrival, Evaluation, Facts, Outcome, RunByHandError, evaluate, run_by_hand};
pub use needs::{Account, Needs, SourceRules};
pub use report::SourceReport;
pub use repository::{Commit, Lookup, RepositoryFiles};
pub use rules::Rules;
