//! The scheduler: every decision about jobs, runners and leases, and nothing else. Pure.
//!
//! ```text
//! Command --apply(now)--> Scheduler --settle(now)--> Output { changes, records, answers, releases }
//! ```
//!
//! The driver applies a batch of commands, settles once, writes the changes in one transaction,
//! and only then lets anybody hear of the output. When the transaction fails the whole scheduler
//! is thrown away and loaded again from the rows, so nothing here undoes anything.
//!
//! One file per concern: [`command`](Command) has what can be asked, `intake` makes workloads,
//! `join` adds to open ones, `attempt` moves a job through one try, `end` ends jobs and workloads,
//! `agenda` is what ends lead to: `needs` decides about those that waited for them, `group` and
//! `parallel` about who goes next, `wait_graph` finds waits that cannot end. `cancel` and `retry`
//! are what people ask for, `registration` is about runners that come and go, `warm` about those that the server starts, `scale` about how many there should be, `fleet` about polls and heartbeats, `settle` matches, `tick`
//! lets time pass, `prune` forgets, `load` is the fourth law, `explain` answers why, `summary` for all at once,
//! `outbox` is what others outside are told, `succession` has newer work take the place of older,
//! `give_back` is what comes back unfinished, `executors` has those that go away, `fit` who could run what is not there yet, `forecast` when, `advise` what would be better;
//! `sessions` are the conversations with agents that outlive jobs,
//! `unschedulable` marks jobs that nobody could take.

mod admission;
mod advise;
mod agenda;
mod apply;
mod attempt;
mod cancel;
mod choose;
mod classes;
mod command;
mod control;
mod counts;
mod decide;
mod end;
mod executors;
mod experience;
mod explain;
mod figures;
mod fit;
mod fleet;
mod forecast;
mod give_back;
mod group;
mod heads;
mod held;
mod holdings;
mod id_map;
mod intake;
mod join;
mod lanes;
mod leases;
mod live;
mod load;
mod matching;
mod needs;
mod outbox;
mod output;
mod parallel;
mod planted;
mod policies;
mod prune;
mod ready;
mod reason;
mod registration;
mod reservations;
mod retry;
mod route;
mod runs;
mod scale;
mod schedule;
mod scheduler;
mod sessions;
mod settings;
mod settle;
mod soft;
mod starts;
mod succession;
mod summary;
#[cfg(test)]
pub(crate) mod tests;
mod tick;
mod unschedulable;
mod usage;
mod view;
mod wait_graph;
mod warm;

pub use advise::{Advice, Excerpt, Found, Suggestion};
pub use command::{
    Command, Deliver, Ended, Fire, HeldLease, Poll, Refusal, Register, Reply, Verdict,
};
pub use executors::{Absence, ExecutorState, HeldJob};
pub use experience::LearnedSnapshot;
pub use explain::Explanation;
pub use figures::{Figures, PoolFigures, TenantFigures};
pub use fit::{Can, Fit, RunnerFit};
pub use forecast::{
    Forecast, Outlook, Percentiles, PredictionScore, Promise, Scored, Timing, Unforeseen,
};
pub use held::HeldAnswer;
pub use holdings::{GroupSnapshot, ResourceSnapshot};
pub use leases::LeaseOwner;
pub use load::Durable;
pub use output::{Answer, LeaseChange, Output};
#[doc(hidden)]
pub use planted::Planted;
pub use policies::PolicyError;
pub use prune::{GoneRunners, Prune};
pub use reason::{Reason, Seen};
pub use scale::PoolScale;
pub use scheduler::Scheduler;
pub use sessions::{SessionCommand, SessionPulse, SessionSettings, Told};
pub use settings::{
    MaxWaitPolicy, PoolSettings, SCHEDULING_POLICIES, SELECTION_POLICIES, Settings, TenantSettings,
    Weights,
};
pub use succession::Lines;
pub use summary::{GateCount, LaneCount, WaitSummary};
pub use view::{PoolUsage, RunnerSnapshot, StatusSnapshot};
pub use warm::{FleetsPlan, OrderedRunner};
