//! Whether new work may wait here at all, and whether what was promised about it was kept.

use std::collections::BTreeMap;

use super::command::Refusal;
use super::scheduler::Scheduler;
use crate::model::{JobId, Now, PlannedJob, RecordName, TenantId};
use crate::queue::Demand;

impl Scheduler {
    /// Refuses work for which the queue has no room, and jobs that could never run. Each job comes
    /// with its tenant.
    pub(super) fn check_admission<'a>(
        &self,
        jobs: impl Iterator<Item = (TenantId, &'a PlannedJob)>,
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
        if self.quota.waiting() + new.values().sum::<u64>() > most {
            return too_many("too many jobs wait", "queue_jobs_max", most);
        }
        for (tenant, jobs) in new {
            if let Err(reached) = self.quota.may_wait(tenant, jobs) {
                return too_many("too many jobs of the tenant wait", reached.quota, reached.limit);
            }
        }
        Ok(())
    }

    fn check_can_run(&self, tenant: TenantId, job: &PlannedJob) -> Result<(), Refusal> {
        let refuse = |why: String| Refusal::Invalid(format!("job `{}`: {why}", job.name).into());
        let needs = &job.requirements;
        if let Some(reached) = self.quota.never(tenant, Demand::of(needs)) {
            let (used, limit) = (reached.used, reached.limit);
            let why = format!("it requires {used} and its tenant's {} is {limit}", reached.quota);
            return Err(refuse(why));
        }
        for need in &needs.resources {
            let units = self.settings.catalogue.resource_units(&need.name);
            let name = &need.name;
            match units {
                None => return Err(refuse(format!("there is no resource `{name}`"))),
                Some(_) if need.units == 0 => {
                    return Err(refuse(format!("it needs 0 units of resource `{name}`")));
                }
                Some(units) if need.units > units => {
                    let why = format!(
                        "it needs {} units of resource `{name}`, and there are {units}",
                        need.units
                    );
                    return Err(refuse(why));
                }
                Some(_) => {}
            }
        }
        for pool in needs.pools() {
            let settings = self.pool_settings(pool);
            if settings.tenant_id.is_some_and(|owner| owner != tenant) {
                let name = self.settings.catalogue.pool_name(pool);
                return Err(refuse(format!("pool `{name}` belongs to another tenant")));
            }
        }
        Ok(())
    }

    /// Notes that a job which is given to a runner now has waited longer than it should have.
    pub(super) fn judge_wait(&mut self, now: Now, id: JobId) {
        let job = &self.jobs[&id].row;
        let most = job.terms.as_ref().and_then(|terms| terms.max_wait_ms);
        if most.is_some_and(|most| now.wall_ms - job.queued_at_ms > most) && job.attempt == 1 {
            self.late(now, id, "max_wait");
        }
    }

    /// Notes that a job which ends now should have ended before.
    pub(super) fn judge_end(&mut self, now: Now, id: JobId) {
        let terms = self.jobs[&id].row.terms.as_ref();
        if terms.and_then(|terms| terms.deadline_ms).is_some_and(|at_ms| now.wall_ms > at_ms) {
            self.late(now, id, "deadline");
        }
    }

    fn late(&mut self, now: Now, id: JobId, what: &str) {
        let mut record = self.job_record(now, RecordName::JobLate, id);
        record.detail = what.into();
        self.record(record);
    }
}
