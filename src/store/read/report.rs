//! What ended in a span of time, latest first and page by page: what reports are made of.
//!
//! The end of a job is on the row of the attempt that brought it about. Jobs that ended without one
//! (skipped, cancelled while they waited, given up) are read from their own rows.

use super::ROWS_MAX;
use crate::model::{JobId, JobStateKind, PoolId, RequeueReason, TenantId};
use crate::store::Store;
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::names::{self, Names};
use crate::store::row::Row;
use crate::store::statement::{self as sql, Sql};

/// The most ends without an attempt that are read of live workloads: they are read at once.
const LIVE_ENDS_MAX: i64 = 10_000;

/// Which part of what ended: before the place, not before `since_ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlaceInTime {
    /// Wall milliseconds.
    pub before_ms: i64,
    /// Of what ended in that very millisecond only what has a smaller number.
    pub before_id: i64,
    /// Wall milliseconds.
    pub since_ms: i64,
}

/// An attempt that ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndedAttempt {
    /// Its lease's token as a number: its place among those of one millisecond.
    pub token: i64,
    /// Wall milliseconds.
    pub ended_at_ms: i64,
    /// The runner's pool.
    pub pool_id: PoolId,
    /// Whose job it was; `None` when the job is gone.
    pub tenant_id: Option<TenantId>,
    /// What started the workload; empty when it was submitted.
    pub trigger: Box<str>,
    /// How long the job could have been given to a runner before it was.
    pub waited_ms: i64,
    /// Wall milliseconds.
    pub assigned_at_ms: i64,
    /// Wall milliseconds; `None` when it never started.
    pub started_at_ms: Option<i64>,
    /// What an hour of the runner's slot cost.
    pub cost_micros_per_hour: u64,
    /// Why the job went back to the queue, if it did.
    pub requeue_reason: Option<RequeueReason>,
    /// The state of the job after it.
    pub job_state: JobStateKind,
    /// Where the job ended with it and had a `max_wait` or a deadline: whether it was late.
    pub missed: Option<bool>,
}

/// A job that ended, perhaps without an attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndedJob {
    /// Which.
    pub id: JobId,
    /// Wall milliseconds.
    pub ended_at_ms: i64,
    /// Whose.
    pub tenant_id: TenantId,
    /// What started the workload; empty when it was submitted.
    pub trigger: Box<str>,
    /// How it ended.
    pub state: JobStateKind,
    /// Whether an attempt brought the end about, which then says the same.
    pub by_attempt: bool,
    /// Where it had a `max_wait` or a deadline: whether it was late.
    pub missed: Option<bool>,
}

impl Store {
    /// The next 1,000 attempts that ended.
    ///
    /// # Errors
    /// As every read.
    pub async fn ended_attempts(&self, at: PlaceInTime) -> Result<Vec<EndedAttempt>, StoreError> {
        let limit = i64::from(ROWS_MAX);
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::ATTEMPT_ENDED_LIST, |to| bind(to, at, limit)).await?;
        rows.iter().map(attempt).collect()
    }

    /// The next 1,000 jobs of ended workloads whose end may have come without an attempt.
    ///
    /// # Errors
    /// As every read.
    pub async fn ended_jobs(&self, at: PlaceInTime) -> Result<Vec<EndedJob>, StoreError> {
        self.jobs_at(sql::JOB_ENDED_LIST, at, i64::from(ROWS_MAX)).await
    }

    /// The same of live workloads: the latest 10,000, and whether there may be more.
    ///
    /// # Errors
    /// As every read.
    pub async fn ended_jobs_of_live(
        &self,
        at: PlaceInTime,
    ) -> Result<(Vec<EndedJob>, bool), StoreError> {
        let jobs = self.jobs_at(sql::JOB_ENDED_LIVE_LOAD, at, LIVE_ENDS_MAX).await?;
        let more = jobs.len() as i64 == LIVE_ENDS_MAX;
        Ok((jobs, more))
    }

    async fn jobs_at(
        &self,
        statement: Sql,
        at: PlaceInTime,
        limit: i64,
    ) -> Result<Vec<EndedJob>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(statement, |to| bind(to, at, limit)).await?;
        rows.iter().map(job).collect()
    }

    /// Every name of a tenant or a pool that there is or was.
    ///
    /// # Errors
    /// As every read.
    pub async fn names(&self) -> Result<Names, StoreError> {
        let mut reader = self.reader().await?;
        let tenants = reader.all(sql::TENANT_LOAD, |to| to).await?;
        let pools = reader.all(sql::POOL_LOAD, |to| to).await?;
        Ok(Names {
            tenants: tenants.iter().map(names::tenant).collect::<Result<_, _>>()?,
            pools: pools.iter().map(names::pool).collect::<Result<_, _>>()?,
        })
    }
}

fn bind(to: &mut Bind, at: PlaceInTime, limit: i64) -> &mut Bind {
    to.int(at.before_ms).int(at.before_id).int(at.since_ms).int(limit)
}

fn attempt(row: &Row) -> Result<EndedAttempt, StoreError> {
    let mut columns = Columns::new("attempt", row);
    Ok(EndedAttempt {
        token: columns.int("token")?,
        ended_at_ms: columns.int("ended_at_ms")?,
        pool_id: PoolId(columns.int("pool_id")?),
        tenant_id: columns.get::<Option<i64>>("tenant_id")?.map(TenantId),
        trigger: columns.opt_text("trigger")?.unwrap_or_default(),
        waited_ms: columns.int("waited_ms")?,
        assigned_at_ms: columns.int("assigned_at_ms")?,
        started_at_ms: columns.get("started_at_ms")?,
        cost_micros_per_hour: columns
            .code("cost_micros_per_hour", |cost| u64::try_from(cost).ok())?,
        requeue_reason: columns.opt_code("requeue_reason", RequeueReason::from_code)?,
        job_state: columns.code("job_state", JobStateKind::from_code)?,
        missed: columns.get("missed")?,
    })
}

fn job(row: &Row) -> Result<EndedJob, StoreError> {
    let mut columns = Columns::new("job_done", row);
    Ok(EndedJob {
        id: JobId(columns.int("id")?),
        ended_at_ms: columns.int("ended_at_ms")?,
        tenant_id: TenantId(columns.int("tenant_id")?),
        trigger: columns.opt_text("trigger")?.unwrap_or_default(),
        state: columns.code("state", JobStateKind::from_code)?,
        by_attempt: columns.get("by_attempt")?,
        missed: columns.get("missed")?,
    })
}
