//! The rules of the scheduler, one file for each file of the room, over a small yard.
//!
//! The laws that hold after every batch are properties in `tests/sim`; here each rule has its
//! plainest example.

mod attempt;
mod cancel;
mod end;
mod explain;
mod fleet;
pub(crate) mod intake;
mod limits;
mod load;
mod loss;
mod plan;
mod polls;
mod retry;
mod settle;
mod tick;
mod view;
pub(crate) mod yard;
