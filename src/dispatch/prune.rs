//! Forgetting what is old. Which rows are old enough is found out beside the scheduler, which has none
//! of them in memory; here stands what must not be forgotten all the same.

use std::collections::BTreeMap;

use super::command::{Refusal, Reply};
use super::planted::Planted;
use super::scheduler::Scheduler;
use crate::model::{
    Change, DeliveryId, Now, PrunedRows, PrunedSession, RunnerId, SoftState, UniqueKey, WorkloadId,
};
use crate::runner::LiveRunner;

/// How long it is remembered that a workload was pruned: longer than a retry takes from reading a
/// workload's rows to being applied.
const REMEMBERED_MS: i64 = 60_000;

/// What is to be forgotten: a small batch, so that nobody waits for long behind it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Prune {
    /// Ended workloads, each with when it ended (wall), as it was read.
    pub workloads: Vec<(WorkloadId, i64)>,
    /// Deliveries whose bodies go, each with what it started.
    pub bodies: Vec<(DeliveryId, Vec<WorkloadId>)>,
    /// Deliveries of which no workload is left, so that no job can ask for them any more.
    pub deliveries: Vec<DeliveryId>,
    /// Keys of deliveries and submissions.
    pub keys: Vec<UniqueKey>,
    /// Records about no workload, by their numbers.
    pub records: Vec<i64>,
    /// Sessions that ended, or pieces of them.
    pub sessions: Vec<PrunedSession>,
    /// Runners that are gone, unless absent.
    pub runners: Option<GoneRunners>,
}

/// Which runners are gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GoneRunners {
    /// Nothing was heard of them for so long, since the scheduler was loaded.
    pub silent_ms: i64,
    /// The most of them that are forgotten at once.
    pub max: usize,
    /// Count them, and leave them.
    pub dry_run: bool,
}

/// What was forgotten lately.
#[derive(Clone, Debug, Default)]
pub(super) struct Forgotten {
    /// When the last workload ended that was ever pruned (wall); 0: none.
    pub(super) until_ms: i64,
    /// Workloads, with when they were pruned (mono): whoever read their rows before must be told.
    lately: BTreeMap<WorkloadId, i64>,
}

impl Forgotten {
    /// Whether a workload was pruned a moment ago.
    pub(super) fn knows(&self, id: WorkloadId) -> bool {
        self.lately.contains_key(&id)
    }
}

impl Scheduler {
    /// Forgets rows, but for those that something live refers to: those come up again later.
    pub(super) fn prune(&mut self, now: Now, prune: Prune) -> Result<Reply, Refusal> {
        let Prune { mut workloads, bodies, deliveries, keys, records, mut sessions, runners } =
            prune;
        sessions
            .retain(|it| self.sessions.get(it.id).is_none() || self.planted(Planted::LivePruned));
        workloads.retain(|(id, _)| {
            let needed = !self.dependencies.workload_dependents(*id).is_empty();
            !self.workloads.contains_key(id) && (!needed || self.planted(Planted::NeededPruned))
        });
        // A job that waits or runs may still ask for the body of the event that started it.
        let is_live = |started: &[WorkloadId]| {
            let live = started.iter().any(|id| self.workloads.contains_key(id));
            live && !self.planted(Planted::LivePruned)
        };
        let bodies = bodies.into_iter().filter(|(_, started)| !is_live(started));
        let bodies = bodies.map(|(id, _)| id).collect();
        let rows = PrunedRows { workloads, bodies, deliveries, keys, records, sessions };
        let runners = runners.map_or(0, |gone| self.prune_runners(now, gone));
        if rows != PrunedRows::default() {
            self.remember(now, &rows);
            self.out.changes.push(Change::Pruned(Box::new(rows.clone())));
        }
        Ok(Reply::Pruned { rows: Box::new(rows), runners })
    }

    fn remember(&mut self, now: Now, rows: &PrunedRows) {
        let forgotten = &mut self.forgotten;
        forgotten.lately.retain(|_, at_ms| now.mono_ms - *at_ms < REMEMBERED_MS);
        forgotten.lately.extend(rows.workloads.iter().map(|(id, _)| (*id, now.mono_ms)));
        let until_ms = rows.workloads.iter().map(|(_, ended_at_ms)| *ended_at_ms).max();
        if let Some(until_ms) = until_ms.filter(|it| *it > forgotten.until_ms) {
            forgotten.until_ms = until_ms;
            self.out.changes.push(Change::SoftSaved(SoftState {
                key: SoftState::PRUNED_UNTIL.into(),
                value: until_ms.to_string().into(),
                at_ms: now.wall_ms,
            }));
        }
    }

    /// Runners that were not heard of for long leave, as if they had said so. One that somebody
    /// cordoned or drains stays: it must not come back without that.
    fn prune_runners(&mut self, now: Now, gone: GoneRunners) -> u64 {
        let is_gone = |runner: &LiveRunner| {
            runner.offline
                && runner.row.order.is_none()
                && runner.leases.is_empty()
                && runner.parked.is_none()
                && runner.row.cordoned.is_none()
                && !runner.row.draining
                && now.mono_ms.saturating_sub(runner.seen_at_ms) >= gone.silent_ms
        };
        let found = self.runners.iter().filter(|(_, runner)| is_gone(runner));
        let mut ids: Vec<RunnerId> = found.map(|(_, runner)| runner.row.id).collect();
        ids.sort_unstable();
        if gone.dry_run {
            return ids.len() as u64;
        }
        ids.truncate(gone.max);
        ids.iter().filter(|id| self.deregister(now, **id).is_ok()).count() as u64
    }
}
