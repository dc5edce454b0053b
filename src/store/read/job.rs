//! Jobs, live and ended, and what they do and require.

use super::{JobPage, WORKLOAD_ROWS_MAX};
use crate::model::{Class, ClassId, Job, JobId, JobSpec, RunnerRequirements, WorkloadId};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;
use crate::store::rows;
use crate::store::statement as sql;

impl Store {
    /// A page of jobs, newest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn jobs(&self, page: JobPage) -> Result<Vec<Job>, StoreError> {
        let before = page.before.map_or(i64::MAX, |id| id.0);
        let (limit, tenant) = (page.rows(), page.tenant.map(|id| id.0));
        let mut reader = self.reader().await?;
        let rows = match page.state {
            None => reader.all(sql::JOB_LIST, |to| to.int(before).int(limit).int(tenant)).await?,
            Some(state) => {
                let state = state as i64;
                reader
                    .all(sql::JOB_LIST_BY_STATE, |to| {
                        to.int(before).int(limit).int(state).int(tenant)
                    })
                    .await?
            }
        };
        rows.iter().map(|row| rows::job::read("job_all", row)).collect()
    }

    /// All jobs of a workload, in the order they were made.
    ///
    /// # Errors
    /// As every read.
    pub async fn jobs_of(&self, id: WorkloadId) -> Result<Vec<Job>, StoreError> {
        let mut reader = self.reader().await?;
        let rows =
            reader.all(sql::JOB_LIST_BY_WORKLOAD, |to| to.int(id.0).int(WORKLOAD_ROWS_MAX)).await?;
        rows.iter().map(|row| rows::job::read("job_all", row)).collect()
    }

    /// One job, live or ended.
    ///
    /// # Errors
    /// As every read.
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::JOB_SELECT, |to| to.int(id.0)).await?;
        row.map(|row| rows::job::read("job_all", &row)).transpose()
    }

    /// What a job does.
    ///
    /// # Errors
    /// As every read.
    pub async fn job_spec(&self, id: JobId) -> Result<Option<JobSpec>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::JOB_SPEC_SELECT, |to| to.int(id.0)).await?;
        row.map(|row| read_spec(&row)).transpose()
    }

    /// What the jobs of a class require.
    ///
    /// # Errors
    /// As every read.
    pub async fn requirements(
        &self,
        id: ClassId,
    ) -> Result<Option<RunnerRequirements>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::CLASS_SELECT, |to| to.int(id.0)).await?;
        let class: Option<Class> = row.map(|row| rows::class::read(&row)).transpose()?;
        Ok(class.map(|class| class.requirements))
    }
}

/// A row of `job_spec_select`.
pub(super) fn read_spec(row: &Row) -> Result<JobSpec, StoreError> {
    let mut columns = Columns::new("job_spec", row);
    columns.int("job_id")?;
    columns.json("spec")
}
