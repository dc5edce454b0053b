//! How well a runner suits a job, and what the job's own wishes count in it: the same for every
//! policy.

use super::{Candidate, Wanted};

/// How well a runner suits a job: the greater the better. What the job wishes for itself comes
/// first, because its author knows why; among runners that are equal in that, the policy decides.
///
/// Wishes are points, added up:
///
/// | wish | points |
/// | --- | --- |
/// | each preferred label term that the runner meets | its weight, -100 to 100 |
/// | affinity: the runner has, or had last, a job with the key | 100 |
/// | spread: each job with the key that is in the runner's place | -100 |
///
/// So nearness, or one job of the same kind, counts as much as the strongest label.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Score {
    wishes: i64,
    fit: i64,
}

impl Score {
    /// Points of the strongest wish.
    pub const STRONGEST_WISH: i64 = 100;

    /// The job's wishes, then what the policy finds: the greater `fit` the better.
    pub fn new(wanted: &Wanted<'_>, candidate: &Candidate<'_>, fit: i64) -> Self {
        Self { wishes: Self::wishes(wanted, candidate), fit }
    }

    /// For a policy that weighs [`Score::wishes`] against other things itself.
    pub fn weighed(fit: i64) -> Self {
        Self { wishes: 0, fit }
    }

    /// Points of all wishes of the job that concern the runner.
    pub fn wishes(wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> i64 {
        let preferred = wanted.requirements.preferred.iter();
        let met = preferred.filter(|wish| candidate.capabilities.meets(&wish.label));
        let labels: i64 = met.map(|wish| i64::from(wish.weight)).sum();
        let near = i64::from(candidate.near);
        labels + (near - i64::from(candidate.spread_jobs)) * Self::STRONGEST_WISH
    }
}
