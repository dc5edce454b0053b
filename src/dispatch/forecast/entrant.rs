//! Jobs that a play adds to those in lanes, and what became of all that it was asked about.

use rustc_hash::{FxHashMap, FxHashSet};

use super::limits::Limit;
use super::play::{Need, Span};
use crate::model::{ClassId, JobId, JobPriority, RunnerRequirements, TenantId};

/// A job that is in no lane, and would be in this one.
#[derive(Clone, Debug)]
pub(super) struct Entrant<'a> {
    pub(super) job_id: JobId,
    /// Its class, or one that nobody has when it is new.
    pub(super) class_id: ClassId,
    pub(super) requirements: &'a RunnerRequirements,
    pub(super) tenant_id: TenantId,
    pub(super) priority: JobPriority,
    /// The level of its lane.
    pub(super) level: JobPriority,
    pub(super) lane_key: i64,
    /// In how long it may start.
    pub(super) ready_ms: i64,
    /// Entrants, jobs in lanes and running jobs that must have ended before.
    pub(super) needs: Vec<JobId>,
    /// What it takes one of beside what all jobs take, and how many there are.
    pub(super) limits: Vec<(Limit, u64)>,
    /// Whether somebody asks about it.
    pub(super) asked: bool,
}

/// What became of a job in all worlds.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Fate {
    /// Its start and end in each world; `None` where it never starts.
    Played(Vec<Option<Span>>),
    /// Too many are in front of it; in each world when the last one played starts.
    Behind(Vec<Option<Span>>),
}

/// Entrants that need one which is too far behind to be played, or need one that does.
pub(super) fn lost(entrants: &[Entrant<'_>], places: &FxHashMap<JobId, Need>) -> FxHashSet<JobId> {
    let mut lost = FxHashSet::default();
    loop {
        let known = lost.len();
        for entrant in entrants {
            let mut needs = entrant.needs.iter();
            if needs.any(|id| lost.contains(id) || !places.contains_key(id)) {
                lost.insert(entrant.job_id);
            }
        }
        if lost.len() == known {
            return lost;
        }
    }
}
