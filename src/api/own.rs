//! Whose things are: what a caller who is limited to a tenant may see.
//!
//! Rows of jobs, workloads and deliveries say it themselves. A runner is its pool's tenant's, a
//! trigger is the tenant's that it names, and a record is of whatever it is about.

use std::collections::HashMap;

use super::access::Caller;
use super::error::ApiError;
use super::state::{AppState, Rulebook, Shared};
use crate::dispatch::{RunnerSnapshot, Scheduler};
use crate::model::{
    DeliveryId, Job, JobId, PoolId, Record, RunnerId, TenantId, Workload, WorkloadId,
};
use crate::store::{DeliveryDetail, StoreError};

/// Workloads whose tenant one stream remembers; with more it forgets all and asks again.
const WORKLOADS_KEPT_MAX: usize = 10_000;

impl Rulebook {
    /// Whether a caller may know of a trigger: its own, and those that work for everybody.
    pub(super) fn knows_trigger(&self, limited_to: Option<TenantId>, trigger: &str) -> bool {
        let Some(tenant) = limited_to else { return true };
        match self.trigger_tenants.get(trigger) {
            Some(own) => *own == tenant,
            // What was started by hand names none; of one that is gone nobody knows whose it was.
            // A file of a repository is whose the repository's source is, which is asked before.
            None => {
                trigger.is_empty()
                    || self.rules.is_of_repository(trigger)
                    || self.rules.trigger_names().any(|known| known == trigger)
            }
        }
    }
}

impl Shared {
    /// Whether a caller sees the runners of a pool: its own, and those that all tenants share.
    pub(super) fn sees_pool(&self, limited_to: Option<TenantId>, pool: PoolId) -> bool {
        let Some(tenant) = limited_to else { return true };
        // Of a pool that nobody knows nobody is told.
        self.pool_tenants.get(&pool).is_some_and(|own| own.is_none_or(|own| own == tenant))
    }

    /// The committed row of a job that the caller sees.
    pub(super) async fn job_of(&self, caller: &Caller, id: JobId) -> Result<Job, ApiError> {
        let job = self.store.job(id).await?.ok_or_else(|| ApiError::not_found("job", id))?;
        caller.must_see(job.tenant_id, "job", id)?;
        Ok(job)
    }

    /// The committed row of a workload that the caller sees.
    pub(super) async fn workload_of(
        &self,
        caller: &Caller,
        id: WorkloadId,
    ) -> Result<Workload, ApiError> {
        let row = self.store.workload(id).await?;
        let row = row.ok_or_else(|| ApiError::not_found("workload", id))?;
        caller.must_see(row.tenant_id, "workload", id)?;
        Ok(row)
    }

    /// As [`Shared::job_of`], without the row: a caller who sees everything costs no read.
    pub(super) async fn must_see_job(&self, caller: &Caller, id: JobId) -> Result<(), ApiError> {
        match caller.limited_to() {
            None => Ok(()),
            Some(_) => self.job_of(caller, id).await.map(drop),
        }
    }

    /// The same of a workload.
    pub(super) async fn must_see_workload(
        &self,
        caller: &Caller,
        id: WorkloadId,
    ) -> Result<(), ApiError> {
        match caller.limited_to() {
            None => Ok(()),
            Some(_) => self.workload_of(caller, id).await.map(drop),
        }
    }

    /// The row of a delivery that the caller sees, with the verdicts that it may know.
    pub(super) async fn delivery_of(
        &self,
        caller: &Caller,
        id: DeliveryId,
    ) -> Result<DeliveryDetail, ApiError> {
        let row = self.store.delivery(id).await?;
        let mut row = row.ok_or_else(|| ApiError::not_found("delivery", id))?;
        caller.must_see(row.head.tenant_id, "delivery", id)?;
        let (limited_to, rulebook) = (caller.limited_to(), self.rulebook());
        row.head.verdicts.retain(|verdict| rulebook.knows_trigger(limited_to, &verdict.trigger));
        Ok(row)
    }

    /// A runner that a caller sees who is limited to a tenant, or is not.
    pub(super) async fn runner_of(
        &self,
        limited_to: Option<TenantId>,
        id: RunnerId,
    ) -> Result<RunnerSnapshot, ApiError> {
        let runner = self.handle.ask(move |scheduler, now| {
            let mut runner = scheduler.runner(now, id)?;
            hide_jobs(scheduler, limited_to, &mut runner);
            Some(runner)
        });
        let runner = runner.await?.filter(|it| self.sees_pool(limited_to, it.row.pool_id));
        runner.ok_or_else(|| ApiError::not_found("runner", id))
    }

    /// Refuses a caller that may not touch a runner: 404 for what it does not see, 403 for what
    /// all tenants share.
    pub(super) async fn must_touch(&self, caller: &Caller, id: RunnerId) -> Result<(), ApiError> {
        let limited_to = caller.limited_to();
        if limited_to.is_none() {
            return Ok(());
        }
        let pool = self.runner_of(limited_to, id).await?.row.pool_id;
        self.must_own_pool(caller, pool, "runners that all tenants share")
    }

    /// Refuses a caller that is limited to a tenant for a pool that it sees and does not own.
    pub(super) fn must_own_pool(
        &self,
        caller: &Caller,
        pool: PoolId,
        what: &'static str,
    ) -> Result<(), ApiError> {
        match (caller.limited_to(), self.pool_tenants.get(&pool)) {
            (None, _) | (_, Some(Some(_))) => Ok(()),
            _ => Err(ApiError::Forbidden(what)),
        }
    }
}

/// Leaves of a runner's jobs those that the caller sees.
pub(super) fn hide_jobs(
    scheduler: &Scheduler,
    limited_to: Option<TenantId>,
    runner: &mut RunnerSnapshot,
) {
    if let Some(tenant) = limited_to {
        runner.jobs.retain(|id| scheduler.job(*id).is_some_and(|job| job.tenant_id == tenant));
    }
}

/// Tells which records are one tenant's.
pub(super) struct OwnRecords {
    tenant: TenantId,
    workloads: HashMap<WorkloadId, bool>,
}

impl OwnRecords {
    pub(super) fn new(tenant: TenantId) -> Self {
        Self { tenant, workloads: HashMap::new() }
    }

    /// Whether a record is about something that the tenant sees. What is about nothing with an
    /// owner, and what is about a runner that is gone, is not.
    pub(super) async fn has(
        &mut self,
        state: &AppState,
        record: &Record,
    ) -> Result<bool, StoreError> {
        if let Some(id) = record.workload_id {
            return self.has_workload(state, id).await;
        }
        if let Some(id) = record.job_id {
            let job = state.store.job(id).await?;
            return Ok(job.is_some_and(|job| job.tenant_id == self.tenant));
        }
        if let Some(id) = record.delivery_id {
            let row = state.store.delivery(id).await?;
            return Ok(row.is_some_and(|row| row.head.tenant_id == self.tenant));
        }
        let Some(id) = record.runner_id else { return Ok(false) };
        let runner = state.handle.ask(move |scheduler, now| scheduler.runner(now, id)).await;
        let runner = runner.ok().flatten();
        Ok(runner.is_some_and(|it| state.sees_pool(Some(self.tenant), it.row.pool_id)))
    }

    async fn has_workload(&mut self, state: &AppState, id: WorkloadId) -> Result<bool, StoreError> {
        if let Some(known) = self.workloads.get(&id) {
            return Ok(*known);
        }
        let row = state.store.workload(id).await?;
        let own = row.is_some_and(|row| row.tenant_id == self.tenant);
        if self.workloads.len() >= WORKLOADS_KEPT_MAX {
            self.workloads.clear();
        }
        self.workloads.insert(id, own);
        Ok(own)
    }
}
