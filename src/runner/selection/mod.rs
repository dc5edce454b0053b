//! Selection policies: which of the waiting runners that fit gets a job. One policy a file.

mod least_loaded;

pub use least_loaded::LeastLoaded;

use super::RunnerSlot;

/// A waiting runner that fits the job, as a policy sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// Who it is.
    pub slot: RunnerSlot,
    /// Jobs that it has.
    pub used: u32,
    /// Jobs that it could have, at least 1.
    pub slots: u32,
    /// When it began to wait, as a count of polls: smaller waits longer.
    pub parked_at: u64,
}

/// Chooses among runners. Pure: the same candidates give the same choice.
pub trait SelectionPolicy: std::fmt::Debug + Send {
    /// How much a runner is preferred: the candidate with the smallest rank gets the job. Ranks
    /// of different runners must differ, so end with [`Candidate::parked_at`].
    fn rank(&self, candidate: &Candidate) -> (u64, u64);
}
