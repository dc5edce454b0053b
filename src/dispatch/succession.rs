//! Work whose place newer work takes: `debounce` and `supersede` of triggers.
//!
//! ```text
//! one comes -> those of its line that wait, and were never given to a runner, are cancelled
//!           -> it is as old as the oldest of these
//!           -> it waits itself until nothing newer came (quiet), or goes on at once
//! ```
//!
//! Who is of a line, and until when it waits, follows from the rows of workloads alone. A workload that is quiet is in
//! no concurrency group and asks for none: whoever waits for nothing newer keeps no place from others.

use std::collections::{BTreeMap, BTreeSet};

use super::scheduler::Scheduler;
use crate::model::{
    EndReason, JobId, JobStateKind, Name, Now, PlannedWorkload, Succession, TenantId, Workload,
    WorkloadId,
};
use crate::queue::Member;

/// In whose name older work is cancelled.
const AUTHOR: &str = "succession";

/// Of one tenant and trigger those with the same key.
type LineKey = (TenantId, Name, Box<str>);

/// Live work that takes the place of other work, and which of it waits for nothing newer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lines {
    lines: BTreeMap<LineKey, BTreeSet<WorkloadId>>,
    /// By when it goes on (wall).
    quiet: BTreeSet<(i64, WorkloadId)>,
}

/// The places that new work takes.
#[derive(Default, Debug)]
pub(super) struct Taken {
    /// In the order in which they came.
    pub workloads: Vec<WorkloadId>,
    /// The age (`lane_key`) of the oldest that waits among them. Who takes its place goes on with its wait: it would
    /// never come to its turn if each newer one began anew.
    pub age: Option<i64>,
}

impl Lines {
    fn key(row: &Workload) -> Option<LineKey> {
        Some((row.tenant_id, row.trigger.clone(), row.succession()?.key.clone()))
    }

    fn insert(&mut self, row: &Workload) {
        if let Some(key) = Self::key(row) {
            self.lines.entry(key).or_default().insert(row.id);
        }
        if row.is_quiet() {
            self.quiet.insert((row.quiet_until_ms, row.id));
        }
    }

    fn remove(&mut self, row: &Workload) {
        self.quiet.remove(&(row.quiet_until_ms, row.id));
        let Some(key) = Self::key(row) else { return };
        if let Some(line) = self.lines.get_mut(&key) {
            line.remove(&row.id);
            if line.is_empty() {
                self.lines.remove(&key);
            }
        }
    }

    /// When the next one goes on (wall).
    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.quiet.first().map(|(at_ms, _)| *at_ms)
    }

    /// Those that wait for nothing newer.
    pub(super) fn quiet(&self) -> impl ExactSizeIterator<Item = WorkloadId> {
        self.quiet.iter().map(|(_, id)| *id)
    }
}

impl Scheduler {
    /// A workload is there: new, loaded, or retried.
    pub(super) fn enter_line(&mut self, row: &Workload) {
        self.lines.insert(row);
    }

    /// A workload ended: nobody takes its place any more.
    pub(super) fn leave_line(&mut self, id: WorkloadId) {
        let Some(live) = self.workloads.get(&id) else { return };
        self.lines.remove(&live.row);
        if live.row.is_quiet() {
            self.edit_workload(id, |workload| workload.quiet_until_ms = 0);
        }
    }

    /// The live work whose place new work is to take; and by that until when the new one waits.
    pub(super) fn places_for(&self, now: Now, planned: &mut PlannedWorkload) -> Taken {
        let Some(mut succession) = planned.terms.succession.take() else { return Taken::default() };
        let (waits, begun) = self.older(planned.tenant_id, &planned.trigger, &succession);
        let rows = waits.iter().filter_map(|id| self.workload(*id));
        let waiting: Vec<_> = rows.filter_map(Workload::succession).cloned().collect();
        succession.follow(now.wall_ms, waiting.iter());
        let jobs = waits.iter().flat_map(|id| self.unended_jobs(*id));
        let age = jobs.map(|id| self.jobs[&id].row.lane_key).min();
        let mut workloads = waits;
        if succession.running {
            workloads.extend(begun);
            workloads.sort_unstable();
        }
        planned.terms.succession = Some(succession);
        Taken { workloads, age }
    }

    /// How many jobs of each tenant wait that new work, once it is there, takes the places of.
    pub(super) fn room_made_by<'a>(
        &self,
        planned: impl Iterator<Item = &'a PlannedWorkload>,
    ) -> BTreeMap<TenantId, u64> {
        let mut replaced = BTreeSet::new();
        for planned in planned {
            if let Some(succession) = &planned.terms.succession {
                let (waits, _) = self.older(planned.tenant_id, &planned.trigger, succession);
                replaced.extend(waits.into_iter().map(|id| (planned.tenant_id, id)));
            }
        }
        let mut room = BTreeMap::new();
        for (tenant, id) in replaced {
            *room.entry(tenant).or_default() += self.unended_jobs(id).len() as u64;
        }
        room
    }

    /// Of those whose place new work may take: which wait and were never given to a runner, and which were given; each
    /// in the order in which they came.
    fn older(
        &self,
        tenant: TenantId,
        trigger: &str,
        succession: &Succession,
    ) -> (Vec<WorkloadId>, Vec<WorkloadId>) {
        let key = (tenant, Name::from(trigger), succession.key.clone());
        let line = self.lines.lines.get(&key).into_iter().flatten();
        let may_replace = |id: &WorkloadId| {
            let older = self.workload(*id).and_then(Workload::succession);
            older.is_some_and(|older| succession.may_replace(older))
        };
        line.copied().filter(may_replace).partition(|id| !self.was_given_out(*id))
    }

    /// Whether a runner was ever given a job of a workload.
    fn was_given_out(&self, id: WorkloadId) -> bool {
        let Some(live) = self.workloads.get(&id) else { return false };
        live.row.begun
            || live.jobs().iter().any(|id| self.job(*id).is_some_and(|job| job.attempt > 0))
    }

    /// New work takes the place of these. What is said of it, for people.
    pub(super) fn take_places(
        &mut self,
        now: Now,
        id: WorkloadId,
        taken: &Taken,
    ) -> Option<String> {
        let row = self.workload(id)?;
        let quiet = row.succession().and_then(|it| it.quiet).filter(|_| row.is_quiet());
        let reason =
            format!("newer work for the same took its place: workload {id} ({})", row.name);
        let waits =
            quiet.map(|it| format!("it waits until nothing newer came for {} ms", it.quiet_ms));
        let places = &taken.workloads;
        for older in places {
            self.cancel_all(now, *older, AUTHOR, &reason, EndReason::GroupReplaced);
        }
        if let Some(age) = taken.age {
            for job_id in self.unended_jobs(id) {
                self.reorder(now, job_id, |job| job.row.lane_key = age);
            }
        }
        let numbers: Vec<_> = places.iter().map(ToString::to_string).collect();
        let takes = (!places.is_empty())
            .then(|| format!("it takes the place of workload {}", numbers.join(", ")));
        let told: Vec<_> = waits.into_iter().chain(takes).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Work goes on for which nothing newer came.
    pub(super) fn end_quiet(&mut self, now: Now) {
        while let Some((at_ms, id)) = self.lines.quiet.first().copied()
            && at_ms <= now.wall_ms
        {
            self.lines.quiet.pop_first();
            self.edit_workload(id, |workload| workload.quiet_until_ms = 0);
            self.agenda.asking.push_back(Member::workload(id));
            for job_id in self.unended_jobs(id) {
                if self.jobs[&job_id].row.kind() == JobStateKind::Pending {
                    self.go_on(now, job_id, at_ms);
                }
            }
            self.drain(now);
        }
    }

    /// A pending job waits for nothing newer any more; that was no wait of its own.
    fn go_on(&mut self, now: Now, id: JobId, at_ms: i64) {
        self.edit_job(id, |job| job.ready_at_ms = job.ready_at_ms.max(at_ms));
        // Its own time may have come in this very tick, and not be handled yet.
        let not_before_ms = self.jobs[&id].row.not_before_ms;
        self.time_gate.remove(not_before_ms, id);
        self.place(now, id);
    }

    /// Whether a job is of a workload that waits for nothing newer.
    pub(super) fn waits_for_quiet(&self, workload: WorkloadId) -> bool {
        self.workload(workload).is_some_and(Workload::is_quiet)
    }
}
