//! The lock that keeps a second server from the same PostgreSQL database.
//!
//! A session's advisory lock: it goes away with its connection, however that ends. Losing it does no
//! harm by itself, because every batch is fenced by the epoch; it only decides who may raise that.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::sync::Mutex;

use super::{NOTICE_THE_DEAD, Server};
use crate::store::error::StoreError;

/// How often a new server looks whether one that has just ended, or crashed, is gone: for 3 s.
const TRIES: u32 = 120;
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// How long the connection of the lock may take to say that it is well.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The lock's key is this number and one for the schema, so that databases which share a server, and
/// schemas which share a database, do not meet.
const TRY: &str = "SELECT pg_try_advisory_lock(1148806511, hashtext(current_schema()))";
/// Who has it, as far as the server tells.
const HOLDER: &str = "SELECT 'backend ' || l.pid || coalesce(' from ' || host(a.client_addr), '') \
     FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid \
     WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1148806511 \
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
     AND l.objid::int8 = (hashtext(current_schema())::int8 & 4294967295)";

/// Holds the lock until it is dropped.
pub(in crate::store) struct SessionLock {
    server: Arc<Server>,
    /// Whose session it is; `None` when it was lost.
    held: Mutex<Option<PgConnection>>,
}

impl SessionLock {
    /// Takes the lock.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when somebody has it, [`StoreError::Unavailable`].
    pub(in crate::store) async fn take(server: Arc<Server>) -> Result<Self, StoreError> {
        let connection = taken(&server, TRIES).await?;
        Ok(Self { server, held: Mutex::new(Some(connection)) })
    }

    /// Returns when the lock is held, or held again.
    ///
    /// # Errors
    /// As [`SessionLock::take`].
    pub(in crate::store) async fn hold(&self) -> Result<(), StoreError> {
        let mut held = self.held.lock().await;
        if let Some(connection) = held.as_mut() {
            let asked = sqlx::raw_sql("SELECT 1").execute(connection);
            if let Ok(Ok(_)) = tokio::time::timeout(SILENCE_MAX, asked).await {
                return Ok(());
            }
        }
        // Closed before the next one is made: the server may not know yet that it is dead.
        *held = None;
        *held = Some(taken(&self.server, 1).await?);
        Ok(())
    }
}

async fn taken(server: &Server, tries: u32) -> Result<PgConnection, StoreError> {
    let failed = |error| StoreError::database("take the database's lock", error);
    let settings = format!("{NOTICE_THE_DEAD} SET statement_timeout = '5s';");
    let mut connection = server.connect_with(settings).await?;
    for attempt in 0..tries {
        if attempt > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let row = sqlx::raw_sql(TRY).fetch_one(&mut connection).await.map_err(failed)?;
        if row.try_get(0).map_err(failed)? {
            return Ok(connection);
        }
    }
    let row = sqlx::raw_sql(HOLDER).fetch_optional(&mut connection).await.map_err(failed)?;
    let holder = row.map(|row| row.try_get::<String, _>(0)).transpose().map_err(failed)?;
    let holder = holder.unwrap_or_else(|| "a server that has just ended".to_owned());
    Err(StoreError::InUse {
        database: server.name().to_owned(),
        holder: format!("another server holds its lock ({holder})"),
        instead: "a database",
    })
}

impl std::fmt::Debug for SessionLock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionLock").field("database", &self.server.name()).finish_non_exhaustive()
    }
}
