//! Whether new work may wait here at all, and whether what was promised about it was kept.

use std::collections::BTreeMap;

use super::command::Refusal;
use super::scheduler::Scheduler;
use crate::model::{
    EndReason, JobId, Measure, Now, PlannedJob, PoolId, Promise, RecordName, RunnerRequirements,
    TenantId,
};
use crate::queue::Demand;

impl Scheduler {
    /// Refuses work for which the queue has no room, and jobs that could never run. Each job comes
    /// with its tenant; `room` is what the new work makes for itself by taking the places of other jobs.
    pub(super) fn check_admission<'a>(
        &self,
        jobs: impl Iterator<Item = (TenantId, &'a PlannedJob)>,
        room: &BTreeMap<TenantId, u64>,
    ) -> Result<(), Refusal> {
        let mut new: BTreeMap<TenantId, u64> = BTreeMap::new();
        for (tenant, job) in jobs {
            *new.entry(tenant).or_default() += 1;
            self.check_can_run(tenant, job)?;
        }
        let too_many = |what, limit, max: u64| {
            let max = usize::try_from(max).unwrap_or(usize::MAX);
            Err(Refusal::TooMany { what, limit, max })
        };
        let most = self.settings.queue_jobs_max;
        let more = new.values().sum::<u64>().saturating_sub(room.values().sum());
        if more > 0 && self.quota.waiting() + more > most {
            return too_many("too many jobs wait", "queue_jobs_max", most);
        }
        for (tenant, jobs) in new {
            let jobs = jobs.saturating_sub(room.get(&tenant).copied().unwrap_or(0));
            if jobs > 0
                && let Err(reached) = self.quota.may_wait(tenant, jobs)
            {
                return too_many("too many jobs of the tenant wait", reached.quota, reached.limit);
            }
        }
        Ok(())
    }

    pub(super) fn check_can_run(&self, tenant: TenantId, job: &PlannedJob) -> Result<(), Refusal> {
        match self.never_runs(tenant, &job.requirements) {
            None => Ok(()),
            Some(why) => Err(Refusal::Invalid(format!("job `{}`: {why}", job.name).into())),
        }
    }

    /// Why a job of a tenant with these requirements could never run, whatever runners come.
    pub(super) fn never_runs(
        &self,
        tenant: TenantId,
        needs: &RunnerRequirements,
    ) -> Option<String> {
        if let Some(reached) = self.quota.never(tenant, Demand::of(needs)) {
            let (used, limit) = (reached.used, reached.limit);
            return Some(format!(
                "it requires {used} and its tenant's {} is {limit}",
                reached.quota
            ));
        }
        for need in &needs.resources {
            let (name, wanted) = (&need.name, need.units);
            match self.settings.catalogue.resource_units(name) {
                None => return Some(format!("there is no resource `{name}`")),
                Some(_) if wanted == 0 => {
                    return Some(format!("it needs 0 units of resource `{name}`"));
                }
                Some(units) if wanted > units => {
                    return Some(format!(
                        "it needs {wanted} units of resource `{name}`, and there are {units}"
                    ));
                }
                Some(_) => {}
            }
        }
        let foreign = |pool: &PoolId| {
            self.pool_settings(*pool).tenant_id.is_some_and(|owner| owner != tenant)
        };
        let name = |pool| self.settings.catalogue.pool_name(pool);
        if let Some(pool) = needs.pools().find(foreign) {
            return Some(format!("pool `{}` belongs to another tenant", name(pool)));
        }
        let is_closed = |pool: PoolId| needs.trusted_pools.contains(&pool);
        needs.pools().all(is_closed).then(|| {
            let pools: Vec<_> = needs.pools().map(|pool| format!("`{}`", name(pool))).collect();
            format!("it is not trusted, and {} takes only trusted work", pools.join(", "))
        })
    }

    /// A job is given to a runner: compares its wait with what was asked, and with what was said.
    pub(super) fn judge_wait(&mut self, now: Now, id: JobId) {
        self.clear_mark(now, id);
        self.score_start(now, id);
        let job = &self.jobs[&id].row;
        let most = job.terms.as_ref().and_then(|terms| terms.max_wait_ms);
        if most.is_some_and(|most| now.wall_ms - job.queued_at_ms > most) && job.attempt == 1 {
            self.late(now, id, Promise::MaxWait);
        }
    }

    /// Notes that a job which ends now should have ended before, or was given up in the queue after
    /// it should have been with a runner; and compares the end with what was said.
    pub(super) fn judge_end(&mut self, now: Now, id: JobId, reason: EndReason) {
        self.drop_mark(id);
        self.score_end(now, id);
        let job = &self.jobs[&id].row;
        let terms = job.terms.as_ref();
        let most = terms.and_then(|terms| terms.max_wait_ms);
        let waited_ms = now.wall_ms - job.queued_at_ms;
        let never_given = reason == EndReason::QueueTimeout && job.attempt == 0;
        if never_given && most.is_some_and(|most| waited_ms > most) {
            self.late(now, id, Promise::MaxWait);
        }
        let terms = self.jobs[&id].row.terms.as_ref();
        if terms.and_then(|terms| terms.deadline_ms).is_some_and(|at_ms| now.wall_ms > at_ms) {
            self.late(now, id, Promise::Deadline);
        }
    }

    fn late(&mut self, now: Now, id: JobId, promise: Promise) {
        let mut record = self.job_record(now, RecordName::JobLate, id);
        record.detail = promise.as_str().into();
        self.record(record);
        let job = &self.jobs[&id].row;
        let runner = job.lease().and_then(|lease| self.runners.get(lease.runner_id));
        let pool_id = runner.map_or_else(|| self.first_pool(job.class_id), |it| it.row.pool_id);
        let tenant_id = job.tenant_id;
        self.out.measures.push(Measure::Late { pool_id, tenant_id, promise });
    }
}
