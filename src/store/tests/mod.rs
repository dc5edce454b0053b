//! The store over real files.

mod backup;
mod claims;
mod corrupt;
mod decisions;
mod faults;
pub(crate) mod fixture;
mod logs;
mod names;
mod open;
mod outbox;
mod prune;
mod reads;
mod report;
mod round_trip;
#[path = "../../../tests/it/support/schema.rs"]
pub(crate) mod schema;
mod session;
mod shared;
mod statements;
mod strangers;
mod tenant;
