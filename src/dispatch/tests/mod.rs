//! The rules of the scheduler, one file for each file of the room, over a small yard.
//!
//! The laws that hold after every batch are properties in `tests/sim`; here each rule has its
//! plainest example.

mod attempt;
mod beside;
mod cancel;
mod end;
mod explain;
mod fleet;
mod group;
mod health;
mod hold;
pub(crate) mod intake;
mod join;
mod limits;
mod load;
mod loss;
mod needs;
mod order;
mod parallel;
mod pauses;
mod placement;
mod plan;
mod polls;
mod quotas;
mod ready;
mod resources;
mod retry;
mod settle;
mod tangle;
mod terms;
mod tick;
mod view;
mod wait_graph;
pub(crate) mod yard;
