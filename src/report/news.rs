//! What is known of a workload when it is told.

use std::borrow::Cow;

use super::ReportParts;
use crate::driver::CommandError;
use crate::model::{Job, JobStateKind, Workload, WorkloadId, WorkloadState};
use crate::store::StoreError;

/// The most reasons that are told.
const REASONS_MAX: usize = 3;

/// What is known now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct News {
    pub(super) workload: Workload,
    pub(super) jobs: Vec<Job>,
    /// Of one that waits: why, and at which place.
    pub(super) waits: Option<String>,
}

/// Why it cannot be known now.
#[derive(Debug, thiserror::Error)]
pub(super) enum NewsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Driver(#[from] CommandError),
}

impl News {
    /// What is to be told of a run that was in that state: of one that another has followed no more is known.
    pub(super) fn of_run(&self, run: u32, state: WorkloadState) -> Cow<'_, Self> {
        if self.workload.run == run {
            return Cow::Borrowed(self);
        }
        let workload = Workload { run, state, ..self.workload.clone() };
        Cow::Owned(Self { workload, jobs: Vec::new(), waits: None })
    }
}

impl ReportParts {
    /// What is known of a workload now; `None` when it is kept no longer.
    pub(super) async fn news(&self, id: WorkloadId) -> Result<Option<News>, NewsError> {
        let Some(workload) = self.store.workload(id).await? else { return Ok(None) };
        let jobs = self.store.jobs_of(id).await?;
        let waits = match workload.state.is_terminal() || workload.begun {
            true => None,
            false => self.reasons(&workload, &jobs).await?,
        };
        Ok(Some(News { workload, jobs, waits }))
    }

    /// Why the first job that waits for a runner waits, or the first of all; as its own tenant is told it.
    async fn reasons(
        &self,
        workload: &Workload,
        jobs: &[Job],
    ) -> Result<Option<String>, CommandError> {
        let of = |kind| jobs.iter().find(|job| job.kind() == kind);
        let first = of(JobStateKind::Pending).or_else(|| of(JobStateKind::Blocked));
        let Some(job_id) = first.map(|job| job.id) else { return Ok(None) };
        let tenant = Some(workload.tenant_id);
        let found = self.handle.ask(move |it, now| it.explain_to(now, job_id, tenant)).await?;
        let reasons = found.map(|found| {
            let told: Vec<_> =
                found.reasons.iter().rev().take(REASONS_MAX).map(ToString::to_string).collect();
            told.join("; ")
        });
        Ok(reasons.filter(|it| !it.is_empty()))
    }
}
