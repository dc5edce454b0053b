//! What was answered, and what a plain SQLite finds of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use dispatchyard::model::{DeliveryId, JobId, LeaseToken, RunnerId, WorkloadId};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

/// Something that somebody was told. It must be true from then on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fact {
    Registered(RunnerId),
    /// With how many jobs.
    Submitted(WorkloadId, i64),
    Delivered(DeliveryId),
    /// The lease was given out.
    Given(JobId, LeaseToken),
    Completed(JobId, LeaseToken),
    Cancelled(WorkloadId),
}

/// The rows of a database, as far as facts are about them.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    runners: BTreeSet<i64>,
    /// Live and ended ones, with their states.
    workloads: BTreeMap<i64, i64>,
    jobs_of: BTreeMap<i64, i64>,
    deliveries: BTreeSet<String>,
    /// Leases of live jobs and of attempts, with the jobs.
    leases: BTreeSet<(i64, i64)>,
    completed: BTreeSet<(i64, i64)>,
    /// What is there twice and may not be.
    twice: Vec<String>,
}

/// As the column `state` of a workload has it.
const CANCELLED: i64 = 5;

/// Opens the file with SQLite's own layer.
pub(crate) async fn open_plainly(database: &Path) -> sqlx::Result<SqliteConnection> {
    SqliteConnectOptions::new()
        .filename(database)
        // What is looked at is thrown away, so it need not survive a power loss.
        .synchronous(SqliteSynchronous::Off)
        .disable_statement_logging()
        .connect()
        .await
}

/// What SQLite finds wrong with a database: empty if nothing is.
pub(crate) async fn corruption(connection: &mut SqliteConnection) -> sqlx::Result<String> {
    let found: Vec<String> =
        sqlx::query_scalar("PRAGMA integrity_check").fetch_all(connection).await?;
    Ok(if found == ["ok"] { String::new() } else { found.join("; ") })
}

impl Rows {
    /// Reads them with SQLite's own layer.
    pub(crate) async fn read(connection: &mut SqliteConnection) -> sqlx::Result<Self> {
        let pairs = async |connection: &mut SqliteConnection, query: &'static str| {
            sqlx::query_as::<_, (i64, i64)>(query).fetch_all(connection).await
        };
        let workloads = "SELECT id, state FROM workload UNION ALL \
                         SELECT id, state FROM workload_done";
        let jobs = "SELECT workload_id, count(*) FROM (SELECT workload_id FROM job UNION ALL \
                    SELECT workload_id FROM job_done) GROUP BY workload_id";
        let leases = "SELECT id, lease_token FROM job WHERE lease_token IS NOT NULL UNION ALL \
                      SELECT job_id, token FROM attempt";
        let attempts = "SELECT job_id, token FROM attempt WHERE outcome = 0";
        let runners = sqlx::query_scalar("SELECT id FROM runner").fetch_all(&mut *connection);
        let runners: Vec<i64> = runners.await?;
        let deliveries = sqlx::query_scalar("SELECT id FROM delivery").fetch_all(&mut *connection);
        let deliveries: Vec<String> = deliveries.await?;
        let completed = pairs(connection, attempts).await?;
        let twice = "SELECT 'two completions of job ' || job_id FROM attempt WHERE outcome = 0 \
                     GROUP BY job_id HAVING count(*) > 1 UNION ALL \
                     SELECT 'two workloads for the key ' || name FROM \
                     (SELECT name FROM workload UNION ALL SELECT name FROM workload_done) \
                     WHERE name LIKE 'once-%' GROUP BY name HAVING count(*) > 1 UNION ALL \
                     SELECT 'two deliveries ' || external_id FROM delivery \
                     GROUP BY external_id HAVING count(*) > 1";
        Ok(Self {
            runners: runners.into_iter().collect(),
            workloads: pairs(connection, workloads).await?.into_iter().collect(),
            jobs_of: pairs(connection, jobs).await?.into_iter().collect(),
            deliveries: deliveries.into_iter().collect(),
            leases: pairs(connection, leases).await?.into_iter().collect(),
            completed: completed.into_iter().collect(),
            twice: sqlx::query_scalar(twice).fetch_all(connection).await?,
        })
    }

    /// What is wrong, given these facts: empty if nothing is.
    pub(crate) fn wrong<'a>(&self, facts: impl IntoIterator<Item = &'a Fact>) -> Vec<String> {
        let lost = facts.into_iter().filter(|fact| !self.shows(fact));
        lost.map(|fact| format!("lost: {fact:?}")).chain(self.twice.iter().cloned()).collect()
    }

    fn shows(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Registered(id) => self.runners.contains(&id.0),
            Fact::Submitted(id, jobs) => {
                self.workloads.contains_key(&id.0) && self.jobs_of.get(&id.0) == Some(jobs)
            }
            Fact::Delivered(id) => self.deliveries.contains(&id.to_string()),
            Fact::Given(job, token) => self.leases.contains(&(job.0, token.0)),
            Fact::Completed(job, token) => self.completed.contains(&(job.0, token.0)),
            Fact::Cancelled(id) => self.workloads.get(&id.0) == Some(&CANCELLED),
        }
    }
}

/// Looks at a database as it lies there: whether it is sound, and whether all of this is in it.
///
/// # Errors
/// What is wrong.
pub(crate) async fn look<'a>(
    database: &Path,
    facts: impl IntoIterator<Item = &'a Fact>,
) -> Result<(), Wrong> {
    let broken = |error: sqlx::Error| Wrong::Corrupt(error.to_string());
    let all_or = |wrong: Vec<String>| match wrong.is_empty() {
        true => Ok(()),
        false => Err(Wrong::Lost(wrong.join("; "))),
    };
    if !database.exists() {
        // The power went before its name was durable.
        return all_or(Rows::default().wrong(facts));
    }
    let mut connection = open_plainly(database).await.map_err(broken)?;
    let corruption = corruption(&mut connection).await.map_err(broken)?;
    if !corruption.is_empty() {
        return Err(Wrong::Corrupt(corruption));
    }
    let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'soft_state'";
    let tables: i64 =
        sqlx::query_scalar(tables).fetch_one(&mut connection).await.map_err(broken)?;
    let rows = match tables {
        // The power went before the schema was made.
        0 => Rows::default(),
        _ => Rows::read(&mut connection).await.map_err(broken)?,
    };
    connection.close().await.map_err(broken)?;
    all_or(rows.wrong(facts))
}

/// What is wrong with a database.
#[derive(Debug)]
pub(crate) enum Wrong {
    Corrupt(String),
    Lost(String),
}
