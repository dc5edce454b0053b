//! Workloads, live and ended.

use std::collections::BTreeSet;

use super::{WORKLOAD_ROWS_MAX, WorkloadPage};
use crate::model::{Archived, Edge, Workload, WorkloadId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::rows;
use crate::store::statement as sql;

impl Store {
    /// A page of workloads, newest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn workloads(&self, page: WorkloadPage) -> Result<Vec<Workload>, StoreError> {
        let before = page.before.map_or(i64::MAX, |id| id.0);
        let (limit, tenant) = (page.rows(), page.tenant.map(|id| id.0));
        let mut reader = self.reader().await?;
        let rows = match page.state {
            None => {
                reader.all(sql::WORKLOAD_LIST, |to| to.int(before).int(limit).int(tenant)).await?
            }
            Some(state) => {
                let state = state as i64;
                reader
                    .all(sql::WORKLOAD_LIST_BY_STATE, |to| {
                        to.int(before).int(limit).int(state).int(tenant)
                    })
                    .await?
            }
        };
        rows.iter().map(|row| rows::workload::read("workload_all", row)).collect()
    }

    /// One workload, live or ended.
    ///
    /// # Errors
    /// As every read.
    pub async fn workload(&self, id: WorkloadId) -> Result<Option<Workload>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::WORKLOAD_SELECT, |to| to.int(id.0)).await?;
        row.map(|row| rows::workload::read("workload_all", &row)).transpose()
    }

    /// What the jobs of a workload need of one another.
    ///
    /// # Errors
    /// As every read.
    pub async fn edges_of(&self, id: WorkloadId) -> Result<Vec<Edge>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::EDGE_LIST, |to| to.int(id.0).int(WORKLOAD_ROWS_MAX)).await?;
        rows.iter().map(rows::job::read_edge).collect()
    }

    /// An ended workload with its jobs and edges; `None` when it is live or was never there.
    ///
    /// # Errors
    /// As every read.
    pub async fn archived(&self, id: WorkloadId) -> Result<Option<Archived>, StoreError> {
        let mut reader = self.snapshot_reader().await?;
        let workload = reader.first(sql::WORKLOAD_DONE_SELECT, |to| to.int(id.0)).await?;
        let jobs =
            reader.all(sql::JOB_LIST_BY_WORKLOAD, |to| to.int(id.0).int(WORKLOAD_ROWS_MAX)).await?;
        let edges = reader.all(sql::EDGE_LIST, |to| to.int(id.0).int(WORKLOAD_ROWS_MAX)).await?;
        let jobs = jobs.iter().map(|row| rows::job::read("job_done", row));
        let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
        let ids: BTreeSet<_> = jobs.iter().map(|job| job.class_id).collect();
        let mut classes = Vec::with_capacity(ids.len());
        for id in ids {
            let row = reader.first(sql::CLASS_SELECT, |to| to.int(id.0)).await?;
            classes.extend(row.map(|row| rows::class::read(&row)).transpose()?);
        }
        reader.end().await?;
        let Some(workload) = workload else { return Ok(None) };
        Ok(Some(Archived {
            workload: rows::workload::read("workload_done", &workload)?,
            jobs,
            classes,
            edges: edges.iter().map(rows::job::read_edge).collect::<Result<_, _>>()?,
        }))
    }
}
