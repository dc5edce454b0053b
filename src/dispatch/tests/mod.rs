//! The rules of the scheduler, one file for each file of the room, over a small yard.
//!
//! The laws that hold after every batch are properties in `tests/sim`; here each rule has its
//! plainest example.

mod advise;
mod attempt;
mod beside;
mod cancel;
mod control;
mod decide;
mod end;
mod executors;
mod explain;
mod figures;
mod fit;
mod fleet;
mod forecast;
mod group;
mod health;
mod held;
mod hold;
pub(crate) mod intake;
mod join;
mod limits;
mod load;
mod loss;
mod needs;
mod order;
mod outbox;
mod outlook;
mod parallel;
mod pauses;
mod placement;
mod plan;
mod polls;
mod prune;
mod quotas;
mod ready;
mod resources;
mod retry;
mod route;
mod schedules;
mod sessions;
mod settle;
mod starts;
mod streams;
mod succession;
mod summary;
mod tangle;
mod terms;
mod tick;
mod trust;
mod unschedulable;
mod view;
mod wait_graph;
mod warm;
pub(crate) mod yard;
