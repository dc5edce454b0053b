//! Selection policies: which of the waiting runners that fit gets a job. One policy a file.
//!
//! A choice is made of three things, in this order:
//!
//! 1. what the job wishes for itself: [`Score`] counts that in the same way for every policy;
//! 2. what the pool's policy finds: [`SelectionPolicy::score`];
//! 3. how the runner stands, without looking at any job: [`SelectionPolicy::standing`].
//!
//! The registry keeps waiting runners in the order of their standing, so that the best is found at
//! once when neither the job has wishes nor the policy looks at jobs. Otherwise [`choose`] compares
//! the first `selection_candidates_max` of that order that fit. Policies are made by key
//! ([`SelectionPolicies`]), and a user of the library adds his own. Pure: the same facts, the same
//! choice. What a job requires is no concern of policies: candidates fit.
//!
//! To add one: implement [`SelectionPolicy`], [`SelectionPolicies::register`] it under a key, and give the
//! set to [`crate::dispatch::Settings`], or, for a whole server, to `app::AppOptions`.
//! `examples/selection_policy.rs` is one.

mod best_fit;
#[cfg(test)]
mod fleet_tests;
mod learned;
mod least_loaded;
mod locality;
mod place;
mod policies;
mod round_robin;
mod score;
#[cfg(test)]
mod tests;
mod weighted;

use std::cmp::Reverse;

pub use best_fit::BestFit;
pub use learned::Learned;
pub use least_loaded::LeastLoaded;
pub use locality::Locality;
pub use policies::{PoolFacts, SelectionPolicies, UnknownPolicy};
pub use round_robin::RoundRobin;
pub use score::Score;
pub use weighted::{Weighted, Weights};

use super::RunnerSlot;
use crate::model::{
    ClassId, Placement, RunnerCapabilities, RunnerId, RunnerRequirements, TenantId,
};

/// A waiting runner, without regard to any job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Jobs that it has.
    pub used: u32,
    /// Jobs that it could have, at least 1.
    pub slots: u32,
    /// When it began to wait, as a count of polls: smaller waits longer.
    pub parked_at: u64,
    /// When it was last given a job, as a count of assignments; 0 for never.
    pub given_at: u64,
}

/// A waiting runner that could take the job.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Candidate<'a> {
    /// Its place.
    pub slot: RunnerSlot,
    /// Who it is.
    pub runner_id: RunnerId,
    /// How it stands among all.
    pub standing: Standing,
    /// What it offers.
    pub capabilities: &'a RunnerCapabilities,
    /// Cores, gigabytes of memory and graphics processors that its jobs leave.
    pub left: (u32, u32, u32),
    /// Its health in percent.
    pub health_percent: u32,
    /// Whether it has, or had last, a job with the affinity key that is wanted.
    pub near: bool,
    /// Jobs with the spread key that is wanted in its place.
    pub spread_jobs: u32,
    /// How long the job is expected to run on it when it goes well.
    pub expected_run_ms: i64,
    /// Runs of this class on this runner that this is known from; old ones count less.
    pub runs_seen: u32,
    /// Of a thousand runs of this class on this runner, those that are expected to fail.
    pub failure_permille: u32,
}

impl Candidate<'_> {
    /// The most of a thousand runs that [`Candidate::completion_ms`] takes for failures.
    const FAILURE_PERMILLE_MAX: u32 = 900;

    /// How long until the job would have gone well on this runner, if it were repeated there until
    /// it does. A failure costs a whole run, however soon it came: the repeat waits in the queue
    /// again, so a runner that fails quickly must not look fast.
    pub fn completion_ms(&self) -> i64 {
        let good = 1_000 - i64::from(self.failure_permille.min(Self::FAILURE_PERMILLE_MAX));
        self.expected_run_ms.max(1).saturating_mul(1_000) / good
    }
}

/// The job, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its class.
    pub class_id: ClassId,
    /// What that requires.
    pub requirements: &'a RunnerRequirements,
    /// Jobs that it wants to be near to, or away from; `None` as an empty one.
    pub placement: Option<&'a Placement>,
    /// Who is charged.
    pub tenant_id: TenantId,
    /// How long a job of its class is expected to run on any runner.
    pub expected_run_ms: i64,
}

impl Wanted<'_> {
    /// Whether the job itself prefers some runners, so that scores differ whatever the policy.
    pub fn has_wishes(&self) -> bool {
        !self.requirements.preferred.is_empty()
            || self.placement.is_some_and(|it| it.affinity.is_some() || it.spread.is_some())
    }
}

/// Chooses among runners. Every method has a default, and with all of them it is `least_loaded`. One that
/// goes by the load alone writes [`SelectionPolicy::standing`]; one that compares a job with each
/// runner writes [`SelectionPolicy::score`] and says so by [`SelectionPolicy::looks_at_jobs`].
///
/// Pure: what it goes by is in its arguments, or in the [`PoolFacts`] that it was made with. It is
/// asked on the thread that decides, for each candidate of each job, so it should not allocate.
///
/// ```
/// use dispatchyard::runner::{Candidate, Score, SelectionPolicies, SelectionPolicy, Wanted};
///
/// /// The runner with the most memory left.
/// #[derive(Debug)]
/// struct Roomiest;
///
/// impl SelectionPolicy for Roomiest {
///     fn looks_at_jobs(&self) -> bool {
///         true
///     }
///
///     fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
///         let (_, memory_gb, _) = candidate.left;
///         Score::new(wanted, candidate, i64::from(memory_gb))
///     }
/// }
///
/// let mut policies = SelectionPolicies::standard();
/// policies.register("roomiest", |_| Box::new(Roomiest));
/// ```
pub trait SelectionPolicy: std::fmt::Debug + Send + Sync {
    /// The place of a waiting runner among all: the smallest is the best. Ranks of different
    /// runners must differ, so end with [`Standing::parked_at`]. The default is that of
    /// `least_loaded`.
    fn standing(&self, standing: &Standing) -> (u64, u64) {
        LeastLoaded::rank(standing)
    }

    /// Whether [`SelectionPolicy::score`] must be asked for jobs without wishes too.
    fn looks_at_jobs(&self) -> bool {
        false
    }

    /// How well a runner suits the job: the highest gets it, of equals the best standing. The
    /// default knows the job's wishes only.
    fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
        Score::new(wanted, candidate, 0)
    }
}

/// The candidate that gets the job; `None` when there is none.
pub fn choose<'a>(
    policy: &dyn SelectionPolicy,
    wanted: &Wanted<'_>,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
) -> Option<Candidate<'a>> {
    let compare_scores = policy.looks_at_jobs() || wanted.has_wishes();
    candidates.into_iter().min_by_key(|candidate| {
        let score = compare_scores.then(|| policy.score(wanted, candidate));
        (Reverse(score), policy.standing(&candidate.standing))
    })
}
