//! Retention: what is over goes after its time, in small batches that hold nobody up.
//!
//! ```text
//! rules.rs    from ages and the present moment: what is old            pure
//! steps.rs    a page of what is old, as a small batch to forget        reads, beside the driver
//!    |  Command::Prune: left out is what something live refers to      dispatch/prune.rs, pure
//!    v
//! driver      one fenced transaction                                   store/apply.rs
//! pruner.rs   after the commit: logs and bodies of what went; a rest as long as the batch took
//! ```
//!
//! Nothing that is pruned is in the scheduler's memory, so memory and rows agree before and after. Rows
//! are forgotten before their files: what a crash leaves between the two is an orphan and is swept.
//!
//! Keys that keep a delivery from being accepted twice have an age of their own and outlive the bodies.
//!
//! Deliberately absent: giving space back to the file system. A page that is free is used again, so what
//! comes in and what goes balance.

mod pruner;
mod rules;
mod steps;
mod totals;

pub use pruner::{PruneError, Pruner, PrunerParts, Standing, Walked};
pub use rules::Cutoffs;
pub use totals::Totals;
