//! Rows as the model knows them and as the database keeps them: one file per table, each with how
//! a row is bound, in the order of its statement, and how it is read, in the order of its columns.

pub(super) mod attempt;
pub(super) mod class;
pub(super) mod delivery;
pub(super) mod job;
pub(super) mod outbox;
pub(super) mod pause;
pub(super) mod record;
pub(super) mod runner;
pub(super) mod schedule;
pub(super) mod session;
pub(super) mod workload;
