//! The heads of lanes: the job of a class that is next for a pool, among lanes that nothing closes.

use std::collections::BTreeMap;

use super::scheduler::Scheduler;
use crate::model::{
    ClassId, JobId, JobPriority, Now, Pause, PauseScope, PoolId, RunnerRequirements, TenantId,
};
use crate::queue::{Available, Demand, Head, JobQueue, QuotaGate, ResourceGate, Scene, Urgency};

/// What closes lanes.
pub(super) struct Gates<'a> {
    pub(super) quota: &'a QuotaGate,
    pub(super) resources: &'a ResourceGate,
    pub(super) pauses: &'a BTreeMap<PauseScope, Pause>,
    pub(super) needs: &'a RunnerRequirements,
    pub(super) demand: Demand,
    pub(super) mono_ms: i64,
    pub(super) overtake_max: u32,
}

impl Gates<'_> {
    /// Whether a job could be given out, as far as its tenant and its resources go.
    pub(super) fn admits(&self, head: &Head) -> bool {
        let (facts, needs) = (head.facts, &self.needs.resources);
        self.open_but_for_resources(facts.tenant_id, head.lane)
            && (needs.is_empty() || self.resources.admits(needs, facts.job_id, self.overtake_max))
    }

    /// Whether a lane is open, as far as its tenant goes.
    pub(super) fn open_but_for_resources(&self, tenant: TenantId, level: JobPriority) -> bool {
        (self.pauses.is_empty() || !self.pauses.contains_key(&PauseScope::Tenant(tenant)))
            && self.quota.closed(tenant, self.demand, level, self.mono_ms).is_none()
    }
}

impl Scheduler {
    /// The head of the open lanes of a class, as a pool ranks it.
    ///
    /// Resources close all lanes of a class at once, but for one of a job that they are reserved
    /// for, so that what the queue keeps of a class is as if there were enough.
    pub(super) fn lane_head(&mut self, now: Now, class: ClassId, pool: PoolId) -> Option<Head> {
        let needs = &self.index.requirements(class)?.resources;
        match self.resources.available(needs, self.settings.overtake_max) {
            Available::ToNobody => None,
            Available::To(id) => self.reserved_head(now, class, pool, id),
            Available::ToAnybody => self.with_queue(now, class, pool, |queue, scene, gates| {
                queue.head(class, scene, |tenant, level, _| {
                    gates.open_but_for_resources(tenant, level)
                })
            }),
        }
    }

    /// The job that resources are reserved for, if it is the head of an open lane of the class.
    fn reserved_head(&self, now: Now, class: ClassId, pool: PoolId, id: JobId) -> Option<Head> {
        let live = self.jobs.get(&id).filter(|live| live.row.class_id == class)?;
        let place = live.place.filter(|place| !place.barred)?;
        let (scene, gates) = self.scene(now, class, pool)?;
        let head = scene.head(&live.row, place);
        (self.queue.is_first(&live.row, place)
            && gates.open_but_for_resources(head.facts.tenant_id, head.lane))
        .then_some(head)
    }

    /// The most urgent job of a class whose lane only resources can close.
    pub(super) fn first_of_class(&mut self, now: Now, class: ClassId) -> Option<Urgency> {
        let head = self.with_queue(now, class, PoolId::DEFAULT, |queue, scene, gates| {
            queue.most_urgent(class, scene, |tenant, level, _| {
                gates.open_but_for_resources(tenant, level)
            })
        });
        head.map(|head| head.urgency())
    }

    /// Asks the queue about a class; what it answers is kept there.
    fn with_queue(
        &mut self,
        now: Now,
        class: ClassId,
        pool: PoolId,
        ask: impl FnOnce(&mut JobQueue, &Scene<'_>, &Gates<'_>) -> Option<Head>,
    ) -> Option<Head> {
        let Self { queue, index, shares, quota, resources, pauses, settings, .. } = self;
        let needs = index.requirements(class)?;
        let gates = Gates {
            quota,
            resources,
            pauses,
            needs,
            demand: Demand::of(needs),
            mono_ms: now.mono_ms,
            overtake_max: settings.overtake_max,
        };
        let scene = Scene {
            wall_ms: now.wall_ms,
            raising: settings.raising(),
            shares,
            policy: &**self.policies.of(pool),
            pool_id: pool,
            runners: index.runners_len(class),
            openings: self.openings,
        };
        ask(queue, &scene, &gates)
    }

    /// A job beside its lane, while it waits there and its lane is open.
    pub(super) fn barred_head(
        &self,
        now: Now,
        class: ClassId,
        pool: PoolId,
        id: JobId,
    ) -> Option<Head> {
        let (scene, gates) = self.scene(now, class, pool)?;
        let live = self.jobs.get(&id)?;
        let place = live.place.filter(|place| place.barred)?;
        let head = scene.head(&live.row, place);
        gates.admits(&head).then_some(head)
    }

    /// What the places of the jobs of a class follow from, and what closes its lanes.
    pub(super) fn scene(
        &self,
        now: Now,
        class: ClassId,
        pool: PoolId,
    ) -> Option<(Scene<'_>, Gates<'_>)> {
        let needs = self.index.requirements(class)?;
        let scene = Scene {
            wall_ms: now.wall_ms,
            raising: self.raising(),
            shares: &self.shares,
            policy: &**self.policies.of(pool),
            pool_id: pool,
            runners: self.index.runners_len(class),
            openings: self.openings,
        };
        let gates = Gates {
            quota: &self.quota,
            resources: &self.resources,
            pauses: &self.pauses,
            needs,
            demand: Demand::of(needs),
            mono_ms: now.mono_ms,
            overtake_max: self.settings.overtake_max,
        };
        Some((scene, gates))
    }
}
