//! Sends new jobs on their way, before anything is made of them: what the routes say of their names, and which pools are
//! closed to work that is not trusted.

use super::scheduler::Scheduler;
use crate::executor::router::{Namespace, SEPARATOR};
use crate::model::{
    Job, Measure, PlannedJob, RunnerRequirements, TenantId, TrustLevel, Workload, WorkloadKind,
};

impl Scheduler {
    /// A job's name, as routes see it.
    pub(super) fn namespace(&self, job: &Job, workload: &Workload) -> Namespace {
        let tenant = self.settings.catalogue.tenant_name(job.tenant_id);
        let more = job.terms.as_ref().and_then(|terms| terms.namespace.as_deref());
        let more = more.into_iter().flat_map(|more| more.split(SEPARATOR));
        Namespace::new(tenant, workload.kind.as_str(), more, &workload.name, &job.name)
    }

    /// What the routes say of new jobs, and whether they are trusted.
    pub(super) fn route(
        &mut self,
        tenant_id: TenantId,
        kind: WorkloadKind,
        workload: &str,
        jobs: &mut [PlannedJob],
    ) {
        for job in &mut *jobs {
            job.requirements.untrusted = job.spec.trust.level != TrustLevel::Trusted;
        }
        self.send(tenant_id, kind, workload, jobs);
        for job in jobs {
            self.close_pools(&mut job.requirements);
        }
    }

    /// Which pools are closed to work that is not trusted.
    pub(super) fn close_pools(&self, needs: &mut RunnerRequirements) {
        needs.trusted_pools = match needs.untrusted {
            true => {
                let pools = self.settings.pools.iter();
                pools.filter(|(_, pool)| !pool.accepts_untrusted).map(|(id, _)| *id).collect()
            }
            false => Vec::new(),
        };
    }

    fn send(
        &mut self,
        tenant_id: TenantId,
        kind: WorkloadKind,
        workload: &str,
        jobs: &mut [PlannedJob],
    ) {
        let router = &self.settings.router;
        if router.is_plain() {
            return;
        }
        let tenant = self.settings.catalogue.tenant_name(tenant_id);
        for job in jobs {
            let more = job.terms.namespace.as_deref().map(|more| more.split(SEPARATOR));
            let more = more.into_iter().flatten();
            let name = Namespace::new(tenant, kind.as_str(), more, workload, &job.name);
            let route = router.route(&name, job);
            self.out.measures.push(Measure::Routed { route });
        }
    }
}
