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
//! `attempt` moves a job through one try, `end` ends jobs and workloads, `cancel`, `requeue` and
//! `retry` are what people ask for, `fleet` is about runners and polls, `settle` matches, `tick`
//! lets time pass, `load` is the fourth law, `explain` answers why.

mod attempt;
mod cancel;
mod command;
mod end;
mod explain;
mod fleet;
mod intake;
mod leases;
mod load;
mod output;
mod retry;
mod scheduler;
mod settings;
mod settle;
#[cfg(test)]
pub(crate) mod tests;
mod tick;
mod view;

pub use command::{Command, Deliver, HeldLease, Poll, Refusal, Register, Reply, Verdict};
pub use explain::{Explanation, Reason};
pub use leases::LeaseOwner;
pub use load::Durable;
pub use output::{Answer, LeaseChange, Output};
pub use scheduler::Scheduler;
pub use settings::Settings;
pub use view::{PoolUsage, RunnerSnapshot, StatusSnapshot};
