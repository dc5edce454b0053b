//! Reading all that the scheduler remembers, in one snapshot of the database.

use super::columns::Columns;
use super::connection::{BEGIN_LOAD, COMMIT, Connection};
use super::error::StoreError;
use super::rows;
use super::statement as sql;
use crate::model::{Marks, Names, Snapshot};

/// Raises the epoch in a transaction of its own.
///
/// # Errors
/// [`StoreError::Unavailable`], also when the write lock cannot be had in time;
/// [`StoreError::Corrupt`] when the one row is gone.
pub(super) async fn raise_epoch(
    connection: &mut Connection,
    holder: &str,
    wall_ms: i64,
) -> Result<(), StoreError> {
    let raise = connection.session().execute(sql::LEADER_RAISE, |to| to.text(holder).int(wall_ms));
    if raise.await? != 1 { Err(no_leader()) } else { Ok(()) }
}

/// Reads everything that is live.
///
/// # Errors
/// [`StoreError::Corrupt`] when a row cannot be understood; otherwise
/// [`StoreError::Unavailable`].
pub(super) async fn snapshot(connection: &mut Connection) -> Result<Snapshot, StoreError> {
    connection.session().plain(BEGIN_LOAD).await?;
    let (epoch, marks) = leader(connection).await?;
    let mut names = Names::default();
    let snapshot = Snapshot {
        epoch,
        marks,
        classes: connection.session().each(sql::CLASS_LOAD, rows::class::read).await?,
        workloads: connection
            .session()
            .each(sql::WORKLOAD_LOAD, |row| {
                let mut row = rows::workload::read("workload", row)?;
                row.share_names(&mut names);
                Ok(row)
            })
            .await?,
        jobs: connection
            .session()
            .each(sql::JOB_LOAD, |row| {
                let mut row = rows::job::read("job", row)?;
                row.share_names(&mut names);
                Ok(row)
            })
            .await?,
        edges: connection.session().each(sql::EDGE_LOAD, rows::job::read_edge).await?,
        runners: connection.session().each(sql::RUNNER_LOAD, rows::runner::read).await?,
        pauses: connection.session().each(sql::PAUSE_LOAD, rows::pause::read).await?,
        held: connection.session().each(sql::DELIVERY_HELD_LOAD, rows::delivery::read_held).await?,
        schedules: connection.session().each(sql::SCHEDULE_LOAD, rows::schedule::read).await?,
        sessions: connection.session().each(sql::SESSION_LOAD, rows::session::read).await?,
        session_days: connection
            .session()
            .each(sql::SESSION_DAY_LOAD, rows::session::read_day)
            .await?,
        soft: connection.session().each(sql::SOFT_STATE_LOAD, rows::pause::read_soft).await?,
    };
    connection.session().plain(COMMIT).await?;
    Ok(snapshot)
}

async fn leader(connection: &mut Connection) -> Result<(i64, Marks), StoreError> {
    let row = connection.session().first(sql::LEADER_SELECT, |to| to).await?;
    let row = row.ok_or_else(no_leader)?;
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

pub(super) fn no_leader() -> StoreError {
    let what = "the row is missing".into();
    StoreError::Corrupt { table: "leader", column: "id", row: "1".into(), what }
}
