//! Why a job waits, or why it ended as it did.

use super::reason::{Reason, Seen};
use super::scheduler::Scheduler;
use super::wait_graph::Node;
use crate::model::{Job, JobId, JobState, JobStateKind, Mismatch, Now, PauseScope, TenantId};
use crate::queue::Turn;
use crate::runner::LiveRunner;

/// The answer to "why does this job wait?".
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// Where the job stands.
    pub state: JobStateKind,
    /// Closed gates first, then the runner side. Never empty.
    pub reasons: Vec<Reason>,
}

impl Scheduler {
    /// Why a live job waits, or what it is doing; `None` when it is not in memory.
    pub fn explain(&self, now: Now, id: JobId) -> Option<Explanation> {
        self.explain_to(now, id, None)
    }

    /// The same for a caller who may be limited to a tenant: then nothing of another one is named,
    /// neither jobs and workloads nor runners of its own.
    pub fn explain_to(
        &self,
        now: Now,
        id: JobId,
        limited_to: Option<TenantId>,
    ) -> Option<Explanation> {
        let job = self.job(id)?;
        let mut reasons = Vec::new();
        if let Some(at_ms) = job.extras.cancel_requested_at_ms.filter(|_| !job.kind().is_terminal())
        {
            reasons.push(Reason::Cancelling(at_ms));
        }
        match &job.state {
            JobState::Blocked => {
                self.explain_needs(job, limited_to, &mut reasons);
                self.explain_quiet(now, job, &mut reasons);
                reasons.extend(self.undecided.contains(&id).then_some(Reason::Planning));
                self.explain_group(job, &mut reasons);
            }
            JobState::Pending => self.explain_pending(now, job, limited_to, &mut reasons),
            JobState::Claimed(lease) => reasons.push(Reason::ClaimedBy(lease.runner_id)),
            JobState::Running { lease, .. } => reasons.push(Reason::RunningOn(lease.runner_id)),
            JobState::Ended { reason, .. } => reasons.push(Reason::Ended(*reason)),
        }
        Some(Explanation { state: job.kind(), reasons })
    }

    fn explain_pending(
        &self,
        now: Now,
        job: &Job,
        limited_to: Option<TenantId>,
        reasons: &mut Vec<Reason>,
    ) {
        // A job whose time came once is not delayed again by a clock that went back.
        let delayed = self.time_gate.holds(job.not_before_ms, job.id);
        if delayed && job.not_before_ms > now.wall_ms {
            let in_ms = job.not_before_ms - now.wall_ms;
            reasons.push(Reason::DelayedUntil { at_ms: job.not_before_ms, in_ms });
        }
        self.explain_quiet(now, job, reasons);
        self.explain_group(job, reasons);
        self.explain_limits(job, reasons);
        self.explain_pauses(job, reasons);
        if let Some((until_ms, runner_id)) = self.holds.get(job.id) {
            reasons.push(Reason::HeldFor { runner_id, in_ms: (until_ms - now.mono_ms).max(0) });
        }
        self.explain_closed(now, job, limited_to, reasons);
        if let Some(avoided) = job.extras.avoid_runner_id {
            reasons.push(Reason::AvoidsRunner(avoided));
        }
        self.explain_executors(job, reasons);
        self.explain_runners(job, limited_to, reasons);
        reasons.extend(self.position(now, job.id).map(Reason::Position));
    }

    /// Quotas, resources and maxima that close the lane of a job, or would.
    pub(super) fn explain_closed(
        &self,
        now: Now,
        job: &Job,
        limited_to: Option<TenantId>,
        reasons: &mut Vec<Reason>,
    ) {
        let demand = self.demand(job.class_id);
        let quota = self.quota.closed(job.tenant_id, demand, job.priority, now.mono_ms);
        reasons.extend(quota.map(Reason::Quota));
        self.explain_resources(job, limited_to, reasons);
        let (running, max) = (self.leases.len() as u64, self.settings.max_global_concurrency);
        if running >= max {
            reasons.push(Reason::GlobalLimit { running, max });
        }
        self.explain_pools(job, reasons);
    }

    pub(super) fn explain_pauses(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let trigger = self.workloads[&job.workload_id].row.trigger.clone();
        let scopes = [
            PauseScope::Everything,
            PauseScope::Tenant(job.tenant_id),
            PauseScope::Trigger(trigger.into()),
        ];
        let paused = scopes.iter().filter_map(|scope| self.pauses.get(scope));
        let needs = self.index.requirements(job.class_id);
        let pools: Vec<_> = needs.map_or_else(Vec::new, |needs| needs.pools().collect());
        let pools = pools.into_iter().map(PauseScope::Pool);
        let pools: Vec<_> = pools.map(|scope| self.pauses.get(&scope)).collect();
        let pools = self.pools_are_closed(job).then_some(pools).into_iter().flatten();
        reasons.extend(paused.chain(pools.flatten()).map(|pause| Reason::Paused {
            what: self.scope_name(&pause.scope).into(),
            author: pause.author.clone(),
            reason: pause.reason.clone(),
        }));
    }

    fn explain_resources(
        &self,
        job: &Job,
        limited_to: Option<TenantId>,
        reasons: &mut Vec<Reason>,
    ) {
        let seen = |id: JobId| {
            let own = |job: &Job| limited_to.is_none_or(|tenant| job.tenant_id == tenant);
            Seen::of(id, self.job(id).is_some_and(own))
        };
        let needs = self.index.requirements(job.class_id);
        let overtake_max = self.settings.overtake_max;
        for need in needs.into_iter().flat_map(|needs| &needs.resources) {
            if self.resources.admits(std::slice::from_ref(need), job.id, overtake_max) {
                continue;
            }
            let (units, held) = self.resources.holders(&need.name).unwrap_or_default();
            reasons.push(Reason::Resource {
                name: need.name.clone(),
                wanted: need.units,
                units,
                held: held.into_iter().map(|(at, job)| (at, seen(job))).collect(),
                reserved_for: self.resources.reserved(&need.name, overtake_max).map(seen),
            });
        }
    }

    /// Whether each of its pools is paused or at its maximum: one of them alone keeps no job back
    /// that may go to another.
    fn pools_are_closed(&self, job: &Job) -> bool {
        let needs = self.index.requirements(job.class_id);
        let closed = |pool| self.pool_is_paused(pool) || self.pool_is_full(pool);
        needs.is_some_and(|needs| needs.pools().all(closed))
    }

    /// Those of its pools that are at their maximum, when no other is open.
    fn explain_pools(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let Some(needs) = self.index.requirements(job.class_id) else { return };
        let full = |pool| {
            let max = self.pool_settings(pool).jobs_max?;
            let running = self.runners.running_in(pool);
            let name = self.settings.catalogue.pool_name(pool).into();
            (running >= max).then_some(Reason::PoolLimit { pool: name, running, max })
        };
        if self.pools_are_closed(job) {
            reasons.extend(needs.pools().filter_map(full));
        }
    }

    /// The place of a ready job among those that compete for the runners of its pools, from 1;
    /// one more than [`Reason::POSITION_MAX`] when it is farther behind.
    fn position(&self, now: Now, id: JobId) -> Option<u64> {
        let live = self.jobs.get(&id).filter(|live| live.place.is_some())?;
        let own: Vec<_> = self.index.requirements(live.row.class_id)?.pools().collect();
        let rivals = self.queue.classes().filter(|class| {
            let needs = self.index.requirements(*class);
            needs.is_some_and(|needs| needs.pools().any(|pool| own.contains(&pool)))
        });
        let most = Reason::POSITION_MAX as usize;
        let order = self.in_order(now, rivals, most, Some(id));
        Some(match order.last() == Some(&id) {
            true => order.len() as u64,
            false => Reason::POSITION_MAX + 1,
        })
    }

    fn explain_needs(&self, job: &Job, limited_to: Option<TenantId>, reasons: &mut Vec<Reason>) {
        let needs = self.dependencies.needs(job.id).iter().filter_map(|need| self.job(*need));
        let unended = needs.filter(|need| !need.kind().is_terminal());
        let jobs: Vec<_> =
            unended.map(|need| (need.id, need.name.clone().into(), need.kind())).collect();
        if !jobs.is_empty() {
            reasons.push(Reason::BlockedBy(jobs));
        }
        let late: Vec<_> = self.missing_needs(job).into_iter().map(Into::into).collect();
        if !late.is_empty() && self.workload(job.workload_id).is_some_and(|it| it.open) {
            reasons.push(Reason::AwaitsJobs(late));
        }
        let live = job.needs_workloads().iter().filter_map(|id| self.workload(*id));
        let workloads = live.map(|it| {
            let own = limited_to.is_none_or(|tenant| it.tenant_id == tenant);
            Seen::of((it.id, it.name.clone().into(), it.state), own)
        });
        let workloads: Vec<_> = workloads.collect();
        if !workloads.is_empty() {
            reasons.push(Reason::BlockedByWorkloads(workloads));
        }
    }

    fn explain_quiet(&self, now: Now, job: &Job, reasons: &mut Vec<Reason>) {
        let Some(row) = self.workload(job.workload_id).filter(|it| it.is_quiet()) else { return };
        let Some(quiet) = row.succession().and_then(|it| it.quiet) else { return };
        let at_ms = row.quiet_until_ms;
        let latest_ms = quiet.first_at_ms.saturating_add(quiet.max_ms).max(at_ms);
        reasons.push(Reason::Debounced { at_ms, in_ms: (at_ms - now.wall_ms).max(0), latest_ms });
    }

    fn explain_group(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let Some((key, member)) = self.awaited_group(job) else { return };
        let Some(ahead) = self.groups.waiting(&key).position(|it| it == member) else { return };
        let holders = self.groups.inside(&key).into_iter();
        reasons.push(Reason::GroupHeld {
            member,
            holders: holders.map(|it| (it, self.node_name(&Node::of(it)).into())).collect(),
            limit: self.groups.limit(&key),
            position: ahead + 1,
            key: key.key,
        });
    }

    pub(super) fn explain_limits(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let turn = Turn::of(job);
        for (key, max) in self.limits_of(job.id) {
            if self.parallel.is_waiting(&key, turn) {
                let used = self.parallel.used(&key);
                reasons.push(Reason::MatrixLimit { matrix: key.matrix, used, max });
            }
        }
    }

    pub(super) fn explain_runners(
        &self,
        job: &Job,
        limited_to: Option<TenantId>,
        reasons: &mut Vec<Reason>,
    ) {
        let (mut offline, mut cordoned, mut draining, mut unhealthy) = (0, 0, 0, 0);
        let (mut busy, mut not_now, mut idle, mut avoids) = (0, 0, 0, 0);
        let mut starting = 0;
        let mut cordon = None;
        let Some(needs) = self.index.requirements(job.class_id) else { return };
        let avoided = |runner: &LiveRunner, slot| {
            job.extras.avoid_runner_id == Some(runner.row.id) && !self.is_alone(job.class_id, slot)
        };
        for slot in self.index.runners(job.class_id) {
            let Some(runner) = self.runners.at(slot) else { continue };
            match () {
                () if runner.row.is_starting() => starting += 1,
                () if runner.offline => offline += 1,
                () if runner.row.cordoned.is_some() => {
                    cordoned += 1;
                    let why = runner.row.cordoned.clone();
                    cordon = cordon.or(why.map(|why| (runner.row.name.clone(), why)));
                }
                () if runner.row.draining => draining += 1,
                () if runner.unhealthy => unhealthy += 1,
                () if runner.free() == 0 => busy += 1,
                () if avoided(runner, slot) => avoids += 1,
                () if !self.may_have(job, needs, slot) => not_now += 1,
                () => idle += 1,
            }
        }
        let told = reasons.len();
        self.explain_fleets(needs, limited_to, starting, reasons);
        let is_warming = reasons.len() > told;
        let there = busy + not_now + idle;
        if there > 0 {
            if busy > 0 {
                reasons.push(Reason::Busy { busy, of: there });
            }
            if not_now > 0 {
                reasons.push(Reason::NotNow { runners: not_now });
            }
            if idle > 0 {
                reasons.push(Reason::AwaitingPoll { runners: idle });
            }
        } else if avoids > 0 {
            // It says so already.
        } else if offline + cordoned + draining + unhealthy > 0 {
            let away = Reason::NoneAvailable { offline, cordoned, cordon, draining, unhealthy };
            reasons.push(away);
        } else if !is_warming {
            reasons.push(self.nearest(job, limited_to));
        }
    }

    /// Who lacks least of what a job requires, among the runners that the caller sees.
    pub(super) fn nearest(&self, job: &Job, limited_to: Option<TenantId>) -> Reason {
        let Some(needs) = self.index.requirements(job.class_id) else {
            return Reason::NoCompatibleRunner { runners: 0, nearest: None };
        };
        let mut runners = 0;
        let mut nearest: Option<(&LiveRunner, Vec<Mismatch>)> = None;
        for (_, runner) in self.runners.iter() {
            if !self.sees_pool(limited_to, runner.row.pool_id) {
                continue;
            }
            runners += 1;
            let lacks = runner.row.capabilities.mismatches(runner.row.pool_id, needs);
            if nearest.as_ref().is_none_or(|(_, least)| lacks.len() < least.len()) {
                nearest = Some((runner, lacks));
            }
        }
        let nearest = nearest.map(|(runner, lacks)| (runner.row.name.clone(), lacks));
        Reason::NoCompatibleRunner { runners, nearest }
    }
}
