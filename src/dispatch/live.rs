//! Jobs and workloads in memory: their rows, and the little that is known beside them.
//!
//! A long queue is made of these, so each byte counts a million times: what few of them have is
//! behind a pointer, and a test holds their sizes.

use super::forecast::Promised;
use crate::model::{ClassId, Job, JobId, JobStateKind, Workload, WorkloadState};
use crate::queue::Place;

/// A job in memory.
#[derive(Clone, Debug)]
pub(super) struct LiveJob {
    pub(super) row: Job,
    /// Where it stands while it is ready.
    pub(super) place: Option<Place>,
    /// When its work should begin, if that matters.
    pub(super) due: Option<Box<Due>>,
    /// It was kept back for a runner once.
    pub(super) was_held: bool,
    /// Its update follows with the output.
    pub(super) dirty: bool,
}

/// The due start of a job.
#[derive(Clone, Debug)]
pub(super) struct Due {
    /// When its work should begin (wall).
    pub(super) start_by_ms: i64,
    /// When its lane becomes a more urgent one (wall).
    pub(super) raise_at_ms: Option<i64>,
    /// What was said about its start, until that is scored.
    pub(super) promised: Option<Promised>,
}

impl LiveJob {
    pub(super) fn clean(row: Job, expected_run_ms: impl Fn(ClassId) -> i64) -> Self {
        let start_by_ms = row.terms.as_ref().and_then(|terms| {
            let expected_run_ms = expected_run_ms(row.class_id);
            terms.start_by_ms(row.queued_at_ms, expected_run_ms)
        });
        let due =
            start_by_ms.map(|start_by_ms| Due { start_by_ms, raise_at_ms: None, promised: None });
        Self { row, place: None, due: due.map(Box::new), was_held: false, dirty: false }
    }

    /// When its work should begin (wall).
    pub(super) fn start_by_ms(&self) -> Option<i64> {
        self.due.as_ref().map(|due| due.start_by_ms)
    }
}

/// A workload in memory.
#[derive(Clone, Debug)]
pub(super) struct LiveWorkload {
    pub(super) row: Workload,
    pub(super) members: Members,
    /// Its update follows with the output.
    pub(super) dirty: bool,
}

impl LiveWorkload {
    pub(super) fn clean(row: Workload) -> Self {
        Self { row, members: Members::None, dirty: false }
    }

    /// Its jobs, in the order in which they came.
    pub(super) fn jobs(&self) -> &[JobId] {
        match &self.members {
            Members::None => &[],
            Members::One(id, _) => std::slice::from_ref(id),
            Members::Many(many) => &many.ids,
        }
    }

    /// How many of its jobs are in a state.
    pub(super) fn count(&self, kind: JobStateKind) -> u32 {
        match &self.members {
            Members::None => 0,
            Members::One(_, only) => u32::from(*only == kind),
            Members::Many(many) => many.counts[kind as usize],
        }
    }

    /// A job in this state comes to it.
    pub(super) fn add(&mut self, id: JobId, kind: JobStateKind) {
        match &mut self.members {
            Members::None => self.members = Members::One(id, kind),
            Members::One(first, of_first) => {
                let mut many = Box::new(Many { ids: vec![*first, id], counts: Default::default() });
                many.counts[*of_first as usize] += 1;
                many.counts[kind as usize] += 1;
                self.members = Members::Many(many);
            }
            Members::Many(many) => {
                many.ids.push(id);
                many.counts[kind as usize] += 1;
            }
        }
    }

    /// The state of one of its jobs has changed.
    pub(super) fn moved(&mut self, from: JobStateKind, to: JobStateKind) {
        match &mut self.members {
            Members::None => {}
            Members::One(_, only) => *only = to,
            Members::Many(many) => {
                many.counts[from as usize] -= 1;
                many.counts[to as usize] += 1;
            }
        }
    }

    pub(super) fn derived_state(&self) -> WorkloadState {
        let present = JobStateKind::ALL.into_iter().filter(|kind| self.count(*kind) > 0);
        let state = WorkloadState::derive(present, self.row.begun);
        match self.row.open && state.is_terminal() {
            // Jobs may still join.
            true if self.row.begun => WorkloadState::Running,
            true => WorkloadState::Pending,
            false => state,
        }
    }
}

/// The jobs of a workload, and how many of them are in each state. Most workloads have one.
#[derive(Clone, Debug)]
pub(super) enum Members {
    None,
    One(JobId, JobStateKind),
    Many(Box<Many>),
}

#[derive(Clone, Debug)]
pub(super) struct Many {
    ids: Vec<JobId>,
    counts: [u32; JobStateKind::ALL.len()],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_waiting_job_is_made_of_stays_small() {
        let most = |what, bytes: usize, most| assert!(bytes <= most, "{what}: {bytes} bytes");
        most("a job's row", size_of::<Job>(), 144);
        most("a job in memory", size_of::<LiveJob>(), 160);
        most("a workload's row", size_of::<Workload>(), 112);
        most("a workload in memory", size_of::<LiveWorkload>(), 136);
    }
}
