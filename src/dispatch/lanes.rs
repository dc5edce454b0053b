//! Where a pending job waits once nothing that it names keeps it back: behind a pause of its
//! trigger, held for a runner, or in its lane.

use std::collections::{BTreeMap, BTreeSet};

use super::scheduler::Scheduler;
use crate::model::{
    ClassId, Job, JobId, JobStateKind, Now, PauseScope, PoolId, RunnerId, TenantId,
};
use crate::queue::{Demand, Place};
use crate::runner::PlacementKey;

/// Jobs of paused triggers.
#[derive(Clone, Debug, Default)]
pub(super) struct TriggerGate(BTreeMap<Box<str>, BTreeSet<JobId>>);

impl TriggerGate {
    /// How many jobs are held.
    pub(super) fn len(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    fn remove(&mut self, trigger: &str, id: JobId) -> bool {
        let Some(jobs) = self.0.get_mut(trigger) else { return false };
        let removed = jobs.remove(&id);
        if jobs.is_empty() {
            self.0.remove(trigger);
        }
        removed
    }

    /// The jobs of each paused trigger.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<JobId>)> {
        self.0.iter().map(|(trigger, jobs)| (&**trigger, jobs))
    }

    /// All jobs of a trigger, which are held no longer.
    pub(super) fn take(&mut self, trigger: &str) -> BTreeSet<JobId> {
        self.0.remove(trigger).unwrap_or_default()
    }
}

/// What a placement key is about; the same name may be used for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum KeyKind {
    Affinity,
    AntiAffinity,
    Spread,
}

impl KeyKind {
    /// The key of a name that a job's terms have.
    pub(super) fn key(self, tenant: TenantId, name: &str) -> PlacementKey {
        let kind = match self {
            Self::Affinity => '+',
            Self::AntiAffinity => '-',
            Self::Spread => '%',
        };
        (tenant, format!("{kind}{name}").into())
    }

    /// All keys of a job.
    pub(super) fn all(job: &Job) -> impl Iterator<Item = (Self, PlacementKey)> {
        let placement = job.terms.as_ref().map(|terms| &terms.placement);
        let affinity = placement.and_then(|it| it.affinity.as_deref());
        let anti = placement.and_then(|it| it.anti_affinity.as_deref());
        let spread = placement.and_then(|it| it.spread.as_ref().map(|spread| &*spread.key));
        let all = [(Self::Affinity, affinity), (Self::AntiAffinity, anti), (Self::Spread, spread)];
        let tenant = job.tenant_id;
        all.into_iter().filter_map(move |(kind, name)| Some((kind, kind.key(tenant, name?))))
    }
}

impl Scheduler {
    /// Puts a pending job where it waits: behind its time or another gate, or into its lane.
    pub(super) fn place(&mut self, now: Now, id: JobId) {
        self.watch_queue_timeout(id);
        let job = &self.jobs[&id].row;
        debug_assert_eq!(job.kind(), JobStateKind::Pending);
        if self.is_delayed(now, job) {
            self.time_gate.insert(job.not_before_ms, id);
        } else if self.pass_gates(id) {
            self.enqueue(now, id);
        }
    }

    /// Offers a job that has passed its gates, unless its trigger is paused.
    pub(super) fn enqueue(&mut self, now: Now, id: JobId) {
        let job = &self.jobs[&id].row;
        let trigger = &self.workloads[&job.workload_id].row.trigger;
        if !self.pauses.is_empty()
            && self.pauses.contains_key(&PauseScope::Trigger(trigger.clone().into()))
        {
            self.paused_triggers.0.entry(trigger.clone().into()).or_default().insert(id);
            return;
        }
        self.shares.enter(job.tenant_id);
        self.enter_lane(now, id);
    }

    /// Takes a pending job away from where it waits. Its place at its group it keeps until it ends.
    pub(super) fn unplace(&mut self, id: JobId) {
        let not_before_ms = self.jobs[&id].row.not_before_ms;
        let found = self.time_gate.remove(not_before_ms, id) || self.withdraw(id);
        let workload_id = self.jobs[&id].row.workload_id;
        let quiet = self.waits_for_quiet(workload_id);
        let grouped = self.waits_for_group(&self.jobs[&id].row);
        let limited = self.leave_limits(id, 0);
        debug_assert!(found || quiet || grouped || limited, "pending job {id} waited nowhere");
    }

    /// Takes back the offer of a job. Whether it was offered.
    pub(super) fn withdraw(&mut self, id: JobId) -> bool {
        let live = &self.jobs[&id];
        let (tenant, placed) = (live.row.tenant_id, live.place.is_some());
        let trigger = &self.workloads[&live.row.workload_id].row.trigger;
        if self.paused_triggers.remove(trigger, id) {
            return true;
        }
        let held = self.holds.get(id).map(|(_, runner)| runner);
        if let Some(runner) = held {
            self.holds.remove(id);
            self.count_holds(runner);
        } else if placed {
            self.leave_lane(id);
        } else {
            return false;
        }
        self.shares.leave(tenant);
        true
    }

    /// Puts a job that nothing gates into its lane; it counts for its tenant's share already.
    pub(super) fn enter_lane(&mut self, now: Now, id: JobId) {
        let raising = self.raising();
        let Some(live) = self.jobs.get_mut(&id) else { return };
        let (level, raise_at_ms) =
            raising.lane_level(live.row.priority, live.start_by_ms(), now.wall_ms);
        let placement = live.row.terms.as_ref().map(|terms| &terms.placement);
        let barred = live.row.extras.avoid_runner_id.is_some()
            || placement.is_some_and(|it| it.anti_affinity.is_some() || it.affinity_required);
        let place = Place { level, barred };
        debug_assert!(live.place.is_none(), "job {id} is in its lane already");
        live.place = Some(place);
        if let Some(due) = &mut live.due {
            due.raise_at_ms = raise_at_ms;
        }
        self.queue.push(&live.row, place);
        self.raises.extend(raise_at_ms.map(|at_ms| (at_ms, id)));
        self.fresh_classes.insert(live.row.class_id);
        self.watch_class(now, id);
    }

    /// Takes a job out of its lane: it does not wait there for resources any more.
    pub(super) fn leave_lane(&mut self, id: JobId) {
        self.take_from_lane(id);
        let Some(live) = self.jobs.get(&id) else { return };
        let Some(needs) = self.index.requirements(live.row.class_id) else { return };
        let freed = self.resources.forget(&needs.resources, id);
        self.opened(freed);
    }

    fn take_from_lane(&mut self, id: JobId) {
        let Some(live) = self.jobs.get_mut(&id) else { return };
        let place = live.place.take();
        if let Some(at_ms) = live.due.as_mut().and_then(|due| due.raise_at_ms.take()) {
            self.raises.remove(&(at_ms, id));
        }
        let found = place.is_some_and(|place| self.queue.remove(&live.row, place));
        debug_assert!(found, "pending job {id} waited nowhere");
    }

    /// Moves jobs whose start is due sooner than their lane says into a more urgent one.
    pub(super) fn raise_due(&mut self, now: Now) {
        while let Some(&(at_ms, id)) = self.raises.first()
            && at_ms <= now.wall_ms
        {
            self.take_from_lane(id);
            self.enter_lane(now, id);
        }
    }

    /// Lets jobs out whose hold is over; the runner that did not come is not waited for again until
    /// it polls.
    pub(super) fn holds_due(&mut self, now: Now) {
        while let Some((id, runner)) = self.holds.pop_due(now.mono_ms) {
            self.enter_lane(now, id);
            if let Some(slot) = self.runners.slot(runner) {
                self.runners.update(slot, |runner| runner.missed = true);
            }
            self.count_holds(runner);
        }
    }

    /// Lets all jobs out that are held for a runner: it came, or it will not.
    pub(super) fn release_holds(&mut self, now: Now, runner: RunnerId) {
        for id in self.holds.of_runner(runner) {
            self.holds.remove(id);
            self.enter_lane(now, id);
        }
        self.count_holds(runner);
    }

    /// Tells the registry how many jobs are held for a runner.
    pub(super) fn count_holds(&mut self, runner: RunnerId) {
        let holds = self.holds.held_for(runner);
        if let Some(slot) = self.runners.slot(runner) {
            self.runners.update(slot, |runner| runner.holds = holds);
        }
    }

    /// Resources that these classes need were given back or are reserved no longer.
    pub(super) fn opened(&mut self, classes: BTreeSet<ClassId>) {
        self.fresh_classes.extend(classes);
    }

    /// Lanes of a tenant may have opened.
    pub(super) fn opened_tenant(&mut self, tenant: TenantId) {
        self.fresh_classes.extend(self.queue.reopen_tenant(tenant));
    }

    /// A pool has room again: what its runners could take is looked at again.
    pub(super) fn opened_pool(&mut self, pool: PoolId) {
        let names = |class: &ClassId| {
            let needs = self.index.requirements(*class);
            needs.is_some_and(|needs| needs.pools().any(|named| named == pool))
        };
        self.fresh_classes.extend(self.queue.classes().filter(names));
    }

    /// Any lane may have opened.
    pub(super) fn opened_anywhere(&mut self) {
        self.openings += 1;
        self.look_everywhere = true;
    }

    /// What a job of the class takes of its tenant's quotas.
    pub(super) fn demand(&self, class: ClassId) -> Demand {
        self.index.requirements(class).map(Demand::of).unwrap_or_default()
    }
}
