//! Ended attempts and what they put out.

use std::collections::{BTreeMap, HashMap};

use super::ROWS_MAX;
use super::reader::Reader;
use crate::model::{Attempt, AttemptOutcome, ClassId, JobId, LeaseToken, RunnerId, WorkloadId};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::rows;
use crate::store::statement as sql;

/// The most attempts that one read for learning returns.
const RUNS_MAX: u32 = 100_000;

/// An attempt that ended by itself, as far as something can be learned from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EndedRun {
    /// The class of the job.
    pub class_id: ClassId,
    /// Who ran it.
    pub runner_id: RunnerId,
    /// From start to end.
    pub run_ms: i64,
    /// Completed, failed or timed out.
    pub outcome: AttemptOutcome,
}

/// How long the attempts of a job ran in one run of its workload, together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RanInRun {
    /// The job.
    pub job_id: JobId,
    /// The run.
    pub run: u32,
    /// From start to end.
    pub ran_ms: i64,
}

/// Named results of one job.
pub type Outputs = BTreeMap<String, String>;

impl Store {
    /// The ended attempts of a job, newest first, at most 1,000.
    ///
    /// # Errors
    /// As every read.
    pub async fn attempts_of(&self, id: JobId) -> Result<Vec<Attempt>, StoreError> {
        let mut reader = self.reader().await?;
        let limit = i64::from(ROWS_MAX);
        let rows = reader.all(sql::ATTEMPT_LIST, |to| to.int(id.0).int(limit)).await?;
        rows.iter().map(rows::attempt::read).collect()
    }

    /// The last attempts that ended at `until_ms` (wall) or before, by themselves and after they
    /// were started, oldest first: at most `limit`, and at most 100,000.
    ///
    /// # Errors
    /// As every read.
    pub async fn ended_runs(&self, until_ms: i64, limit: u32) -> Result<Vec<EndedRun>, StoreError> {
        let mut reader = self.reader().await?;
        let limit = i64::from(limit.min(RUNS_MAX));
        let rows = reader.all(sql::ATTEMPT_RUNS, |to| to.int(until_ms).int(limit)).await?;
        let read = |row| {
            let mut columns = Columns::new("attempt", row);
            Ok(EndedRun {
                class_id: ClassId(columns.int("class_id")?),
                runner_id: RunnerId(columns.int("runner_id")?),
                run_ms: columns.int("run_ms")?,
                outcome: columns.code("outcome", AttemptOutcome::from_code)?,
            })
        };
        rows.iter().rev().map(read).collect()
    }

    /// How long the jobs of a workload ran, by job and run, the newest run of a job last.
    ///
    /// # Errors
    /// As every read.
    pub async fn ran_of(&self, id: WorkloadId) -> Result<Vec<RanInRun>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::ATTEMPT_RAN, |to| to.int(id.0)).await?;
        let read = |row| {
            let mut columns = Columns::new("attempt", row);
            Ok(RanInRun {
                job_id: JobId(columns.int("job_id")?),
                run: columns.count("run")?,
                ran_ms: columns.int("ran_ms")?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The ended attempt that held this lease: what a repeated completion is answered from.
    ///
    /// # Errors
    /// As every read.
    pub async fn attempt_by_token(&self, token: LeaseToken) -> Result<Option<Attempt>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::ATTEMPT_SELECT, |to| to.int(token.0)).await?;
        row.map(|row| rows::attempt::read(&row)).transpose()
    }

    /// What jobs put out in their last attempt, also if that failed; jobs that put out nothing are not in it.
    ///
    /// # Errors
    /// As every read.
    pub async fn outputs_of(&self, ids: &[JobId]) -> Result<HashMap<JobId, Outputs>, StoreError> {
        outputs(&mut self.reader().await?, ids).await
    }
}

/// As [`Store::outputs_of`], with a connection that is there.
pub(super) async fn outputs(
    reader: &mut Reader,
    ids: &[JobId],
) -> Result<HashMap<JobId, Outputs>, StoreError> {
    let ids: serde_json::Value = ids.iter().map(|id| id.0).collect();
    let rows = reader.all(sql::ATTEMPT_OUTPUTS, |to| to.text(&*ids.to_string())).await?;
    let read = |row| {
        let mut columns = Columns::new("attempt", row);
        columns.int("token")?;
        Ok((JobId(columns.int("job_id")?), columns.json("outputs")?))
    };
    rows.iter().map(read).collect()
}
