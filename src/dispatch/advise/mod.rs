//! What would shorten waits most: each suggestion is tried in a copy.
//!
//! ```text
//! excerpt.rs     the jobs that wait in front, what runs, and the runners: between two batches
//! rows.rs        the same as rows
//! candidates.rs  what might be changed, from what those jobs wait for
//! change.rs      one change to the rows or the settings of a copy
//! play.rs        a scheduler is loaded from the copy and plays until those jobs have started
//! ```
//!
//! The difference of the waits, with the change and without, is what the suggestion saves. Only what
//! saves something is told, the best first. All of it is pure and the same every time; only the
//! excerpt is made on the driver's thread.

mod candidates;
mod change;
mod excerpt;
mod play;
mod rows;

pub use change::Suggestion;
pub use excerpt::Excerpt;

use excerpt::Rows;
use play::Waits;

use crate::model::TenantId;

/// Most suggestions that are tried for one piece of advice.
const TRIALS_MAX: usize = 24;
/// Runners times classes that all trials may look at together: with large fleets fewer are tried.
const WORK_MAX: usize = 40_000_000;
/// A job that has not started by then counts as having waited for so long.
pub(super) const HORIZON_MS: i64 = 24 * 3_600_000;

/// What would shorten waits most.
#[derive(Clone, PartialEq, Debug)]
pub struct Advice {
    /// Jobs that wait now, of whoever asks.
    pub jobs_waiting: u64,
    /// Those of them that were played: the first in order.
    pub jobs_played: u64,
    /// What these will have waited from now on, together.
    pub wait_ms_total: i64,
    /// How many of them would not start within [`Advice::horizon_ms`].
    pub jobs_stuck: u64,
    /// Longer waits count as this.
    pub horizon_ms: i64,
    /// How many changes were tried.
    pub tried: usize,
    /// What helps, the best first.
    pub found: Vec<Found>,
}

/// A change, and what it saves.
#[derive(Clone, PartialEq, Debug)]
pub struct Found {
    /// What to change.
    pub suggestion: Suggestion,
    /// What the jobs that were played wait less, together.
    pub saved_ms_total: i64,
    /// The same for each of them.
    pub saved_ms_mean: i64,
    /// How many start that would not have.
    pub jobs_freed: u64,
}

impl Excerpt {
    /// Tries what might help the waiting jobs of a tenant, or of all; to a tenant only what is its
    /// own is suggested.
    pub fn advise(&self, tenant: Option<TenantId>) -> Advice {
        self.rows().advise(tenant)
    }
}

impl Rows {
    fn advise(&self, tenant: Option<TenantId>) -> Advice {
        let before = self.play(tenant, None);
        let each = self.snapshot.runners.len() * self.snapshot.classes.len();
        let trials = (WORK_MAX / each.max(1)).clamp(1, TRIALS_MAX);
        let candidates: Vec<_> = self.candidates(tenant).into_iter().take(trials).collect();
        let tried = candidates.len();
        let found = candidates.into_iter().filter_map(|suggestion| {
            let after = self.play(tenant, Some(&suggestion));
            let saved_ms_total = before.total_ms - after.total_ms;
            let jobs_freed = before.stuck.saturating_sub(after.stuck);
            (saved_ms_total > 0).then(|| Found {
                suggestion,
                saved_ms_total,
                saved_ms_mean: saved_ms_total / i64::try_from(before.jobs).unwrap_or(1).max(1),
                jobs_freed,
            })
        });
        let mut found: Vec<_> = found.collect();
        // Of equal ones the first that was thought of: what costs least.
        found.sort_by_key(|found| std::cmp::Reverse(found.saved_ms_total));
        let Waits { total_ms, jobs, stuck } = before;
        Advice {
            jobs_waiting: self.jobs_waiting(tenant),
            jobs_played: jobs,
            wait_ms_total: total_ms,
            jobs_stuck: stuck,
            horizon_ms: HORIZON_MS,
            tried,
            found,
        }
    }
}
