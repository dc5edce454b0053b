//! Reading all that the scheduler remembers, in one snapshot of the database.

use futures_util::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::columns::Columns;
use super::error::StoreError;
use super::rows;
use super::statement::{self as sql, Sql};
use crate::model::{Marks, Names, Snapshot};

/// Raises the epoch in a transaction of its own.
///
/// # Errors
/// [`StoreError::Unavailable`], also when the write lock cannot be had in time;
/// [`StoreError::Corrupt`] when the one row is gone.
pub(super) async fn raise_epoch(
    connection: &mut SqliteConnection,
    holder: &str,
    wall_ms: i64,
) -> Result<(), StoreError> {
    let raised = sqlx::query(sql::LEADER_RAISE.text())
        .bind(holder)
        .bind(wall_ms)
        .execute(connection)
        .await
        .map_err(|error| StoreError::database(sql::LEADER_RAISE.name, error))?;
    if raised.rows_affected() != 1 { Err(no_leader()) } else { Ok(()) }
}

/// Reads everything that is live.
///
/// # Errors
/// [`StoreError::Corrupt`] when a row cannot be understood; otherwise
/// [`StoreError::Unavailable`].
pub(super) async fn snapshot(connection: &mut SqliteConnection) -> Result<Snapshot, StoreError> {
    plain(connection, "BEGIN").await?;
    let (epoch, marks) = leader(connection).await?;
    let mut names = Names::default();
    let snapshot = Snapshot {
        epoch,
        marks,
        classes: all(connection, sql::CLASS_LOAD, rows::class::read).await?,
        workloads: all(connection, sql::WORKLOAD_LOAD, |row| {
            let mut row = rows::workload::read("workload", row)?;
            row.share_names(&mut names);
            Ok(row)
        })
        .await?,
        jobs: all(connection, sql::JOB_LOAD, |row| {
            let mut row = rows::job::read("job", row)?;
            row.share_names(&mut names);
            Ok(row)
        })
        .await?,
        edges: all(connection, sql::EDGE_LOAD, rows::job::read_edge).await?,
        runners: all(connection, sql::RUNNER_LOAD, rows::runner::read).await?,
        pauses: all(connection, sql::PAUSE_LOAD, rows::pause::read).await?,
        soft: all(connection, sql::SOFT_STATE_LOAD, rows::pause::read_soft).await?,
    };
    plain(connection, "COMMIT").await?;
    Ok(snapshot)
}

async fn leader(connection: &mut SqliteConnection) -> Result<(i64, Marks), StoreError> {
    let row = sqlx::query(sql::LEADER_SELECT.text())
        .fetch_optional(connection)
        .await
        .map_err(|error| StoreError::database(sql::LEADER_SELECT.name, error))?
        .ok_or_else(no_leader)?;
    let mut columns = Columns::new("leader", &row);
    let epoch = columns.int("epoch")?;
    columns.opt_text("holder")?;
    let marks = Marks {
        next_workload: columns.int("next_workload")?,
        next_job: columns.int("next_job")?,
        next_runner: columns.int("next_runner")?,
        next_class: columns.int("next_class")?,
    };
    Ok((epoch, marks))
}

/// All rows of a statement, each turned into what it means as soon as it is there: a million raw
/// rows would be gigabytes.
pub(super) async fn all<T>(
    connection: &mut SqliteConnection,
    statement: Sql,
    mut read: impl FnMut(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut rows = sqlx::query(statement.text()).fetch(connection);
    let failed = |error| StoreError::database(statement.name, error);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        found.push(read(&row)?);
    }
    Ok(found)
}

/// A statement without values.
pub(super) async fn plain(
    connection: &mut SqliteConnection,
    statement: &'static str,
) -> Result<(), StoreError> {
    let done = sqlx::query(statement).execute(connection).await;
    done.map(drop).map_err(|error| StoreError::database(statement, error))
}

fn no_leader() -> StoreError {
    let what = "the row is missing".into();
    StoreError::Corrupt { table: "leader", column: "id", row: "1".into(), what }
}
