//! The live sessions, and how they are found.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::{Session, SessionDay, SessionId, TenantId, WorkloadId, WorkloadState};

const DAY_MS: i64 = 86_400_000;

/// All live sessions.
#[derive(Clone, Debug, Default)]
pub(in crate::dispatch) struct Sessions {
    live: BTreeMap<SessionId, Session>,
    by_key: BTreeMap<(TenantId, Box<str>), SessionId>,
    by_workload: BTreeMap<WorkloadId, SessionId>,
    /// When the whole time of each is over (wall).
    due: BTreeSet<(i64, SessionId)>,
    /// What tenants spent, on the last day on which they spent anything.
    days: BTreeMap<TenantId, SessionDay>,
    /// Those whose update follows with the output.
    dirty: BTreeSet<SessionId>,
    /// Workloads of sessions that ended, until that is dealt with.
    pub(in crate::dispatch) ended_work: VecDeque<(WorkloadId, WorkloadState)>,
}

impl Sessions {
    /// Takes rows in.
    pub(in crate::dispatch) fn load(rows: Vec<Session>, days: Vec<SessionDay>) -> Self {
        let mut sessions = Self::default();
        rows.into_iter().for_each(|row| sessions.insert(row));
        sessions.days = days.into_iter().map(|day| (day.tenant_id, day)).collect();
        sessions
    }

    pub(super) fn insert(&mut self, row: Session) {
        self.by_key.insert((row.tenant_id, (*row.key).into()), row.id);
        self.due.insert((due_ms(&row), row.id));
        if let Some(workload_id) = row.workload_id {
            self.by_workload.insert(workload_id, row.id);
        }
        self.live.insert(row.id, row);
    }

    /// Takes one out, which has ended.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        let row = self.live.remove(&id)?;
        self.by_key.remove(&(row.tenant_id, (*row.key).into()));
        self.due.remove(&(due_ms(&row), id));
        if let Some(workload_id) = row.workload_id {
            self.by_workload.remove(&workload_id);
        }
        self.dirty.remove(&id);
        Some(row)
    }

    pub(in crate::dispatch) fn get(&self, id: SessionId) -> Option<&Session> {
        self.live.get(&id)
    }

    pub(in crate::dispatch) fn len(&self) -> usize {
        self.live.len()
    }

    /// All of them, in the order of their numbers.
    pub(in crate::dispatch) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.live.values()
    }

    pub(super) fn with_key(&self, tenant_id: TenantId, key: &str) -> Option<SessionId> {
        self.by_key.get(&(tenant_id, key.into())).copied()
    }

    /// The session that a workload carries out.
    pub(in crate::dispatch) fn of_workload(&self, id: WorkloadId) -> Option<SessionId> {
        // Most schedulers have none at all.
        if self.by_workload.is_empty() { None } else { self.by_workload.get(&id).copied() }
    }

    /// The same as a whole.
    pub(in crate::dispatch) fn works(&self) -> &BTreeMap<WorkloadId, SessionId> {
        &self.by_workload
    }

    /// Changes a row; its update follows with the output.
    pub(super) fn edit<R>(
        &mut self,
        id: SessionId,
        change: impl FnOnce(&mut Session) -> R,
    ) -> Option<R> {
        let row = self.live.get_mut(&id)?;
        let before = row.workload_id;
        let result = change(row);
        let after = row.workload_id;
        if before != after {
            before.map(|workload| self.by_workload.remove(&workload));
            after.map(|workload| self.by_workload.insert(workload, id));
        }
        self.dirty.insert(id);
        Some(result)
    }

    /// The rows that were changed since this was asked last.
    pub(in crate::dispatch) fn take_dirty(&mut self) -> Vec<Session> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.iter().filter_map(|id| self.live.get(id).cloned()).collect()
    }

    /// A session whose whole time is over.
    pub(super) fn overdue(&self, wall_ms: i64) -> Option<SessionId> {
        self.due.first().filter(|(at_ms, _)| *at_ms <= wall_ms).map(|(_, id)| *id)
    }

    /// When the next one's is (wall).
    pub(in crate::dispatch) fn next_due_ms(&self) -> Option<i64> {
        self.due.first().map(|(at_ms, _)| *at_ms)
    }

    /// What a tenant has spent on the day of this moment.
    pub(super) fn day(&self, tenant_id: TenantId, wall_ms: i64) -> SessionDay {
        let day = wall_ms.div_euclid(DAY_MS);
        let known = self.days.get(&tenant_id).copied().filter(|known| known.day == day);
        known.unwrap_or(SessionDay { tenant_id, day, sessions: 0, cost_micros: 0 })
    }

    pub(super) fn set_day(&mut self, day: SessionDay) {
        self.days.insert(day.tenant_id, day);
    }

    pub(in crate::dispatch) fn days(&self) -> &BTreeMap<TenantId, SessionDay> {
        &self.days
    }
}

fn due_ms(row: &Session) -> i64 {
    row.created_at_ms.saturating_add(row.limits.total_ms)
}
