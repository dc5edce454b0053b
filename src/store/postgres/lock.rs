//! The lock that keeps a second server from writing the same PostgreSQL database, and what is told
//! beside it where several share one.
//!
//! A session's advisory lock: it goes away with its connection, however that ends. Losing it does no
//! harm by itself, because every batch is fenced by the epoch; it only decides who may raise that.
//! Instances that share the database take it when it is free ([`SessionLock::look`]), and renew a row by
//! the database's clock as long as they have it ([`SessionLock::renew`]).

mod sql;

use std::sync::Arc;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::Mutex;

use super::{NOTICE_THE_DEAD, Server};
use crate::store::error::StoreError;
use crate::store::seat::{Held, Instance, Leader, Look};
use sql::{
    END_HOLDER, END_WRITERS, HOLDER, HOLDER_PID, RENEW, SIGN_OFF, SIT_ALONE, SIT_DOWN, STAMP,
    STAND_UP, TELL, TRY, UNLOCK, WHO,
};

pub(in crate::store) use sql::MARK_WRITER;
pub(super) use sql::SEAT_CHANNEL;

/// How often a new server looks whether one that has just ended, or crashed, is gone: for 3 s.
const TRIES: u32 = 120;
const LOOK_AGAIN: Duration = Duration::from_millis(25);
/// How long the connection of the lock may take to say that it is well.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// An instance that was not heard of for so long is forgotten.
const FORGOTTEN_AFTER_MS: i64 = 3_600_000;

/// Holds the lock until it is dropped, or takes part in a group of which one holds it.
pub(in crate::store) struct SessionLock {
    server: Arc<Server>,
    /// Who takes part; `None`: nobody else may.
    instance: Option<Instance>,
    /// After so long a silence the server ends the session by itself; 0: never.
    silence_max_ms: u64,
    session: Mutex<Session>,
}

/// The connection whose lock it is.
#[derive(Default)]
struct Session {
    /// `None` when it was lost.
    connection: Option<PgConnection>,
    /// Whether it holds the lock.
    holds: bool,
}

impl SessionLock {
    /// Takes the lock for one that shares with nobody.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when somebody has it, [`StoreError::Unavailable`].
    pub(in crate::store) async fn take(server: Arc<Server>) -> Result<Self, StoreError> {
        let connection = taken(&server, TRIES).await?;
        let session = Mutex::new(Session { connection: Some(connection), holds: true });
        Ok(Self { server, instance: None, silence_max_ms: 0, session })
    }

    /// Takes part; whether the lock is had is found out by [`SessionLock::look`].
    pub(in crate::store) fn share(
        server: Arc<Server>,
        instance: Instance,
        silence_max_ms: u64,
    ) -> Self {
        Self { server, instance: Some(instance), silence_max_ms, session: Mutex::default() }
    }

    /// Who takes part; `None` for one that shares with nobody.
    pub(in crate::store) fn instance(&self) -> Option<&Instance> {
        self.instance.as_ref()
    }

    /// Says that nobody is to wait for a sign of life, once there is a table to say it in; fails with
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn sit_alone(&self) -> Result<(), StoreError> {
        let mut session = self.session.lock().await;
        let Some(connection) = session.connection.as_mut() else { return Ok(()) };
        sit_alone(connection).await
    }

    /// Returns when the lock is held, or held again.
    ///
    /// # Errors
    /// As [`SessionLock::take`]; [`StoreError::NotLeading`] for an instance that does not hold it.
    pub(in crate::store) async fn hold(&self) -> Result<(), StoreError> {
        let mut session = self.session.lock().await;
        if self.instance.is_some() && !session.holds {
            return Err(StoreError::NotLeading);
        }
        if let Some(connection) = session.connection.as_mut() {
            let asked = sqlx::raw_sql("SELECT 1").execute(connection);
            if let Ok(Ok(_)) = tokio::time::timeout(SILENCE_MAX, asked).await {
                return Ok(());
            }
        }
        // Closed before the next one is made: the server may not know yet that it is dead.
        *session = Session::default();
        if self.instance.is_some() {
            return Err(StoreError::NotLeading);
        }
        let mut connection = taken(&self.server, 1).await?;
        sit_alone(&mut connection).await?;
        *session = Session { connection: Some(connection), holds: true };
        Ok(())
    }

    /// Connects, if there is no connection: what comes next is then a matter of the database's answers.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn reach(&self) -> Result<(), StoreError> {
        let mut session = self.session.lock().await;
        if session.connection.is_none() {
            let connection = connect(&self.server, self.silence_max_ms).await?;
            *session = Session { connection: Some(connection), holds: false };
        }
        Ok(())
    }

    /// Takes the lock when it is free; otherwise who has it. What an earlier leader may still write with
    /// is ended before this returns with the lock.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn look(&self) -> Result<Look, StoreError> {
        let Some(instance) = &self.instance else { return Err(StoreError::NotLeading) };
        let mut session = self.session.lock().await;
        // Out of its place while it is used: who is not waited for leaves none behind.
        let before = std::mem::take(&mut *session);
        let mut connection = match before.connection {
            Some(connection) => connection,
            None => connect(&self.server, self.silence_max_ms).await?,
        };
        let failed = |error| StoreError::database("look who leads", error);
        let row = sqlx::raw_sql(TRY).fetch_one(&mut connection).await.map_err(failed)?;
        let look = if row.try_get(0).map_err(failed)? {
            let sat = sqlx::query(SIT_DOWN)
                .bind(&*instance.id)
                .bind(&*instance.name)
                .bind(instance.advertised_url.as_deref());
            let row = sat.fetch_one(&mut connection).await.map_err(failed)?;
            tell(&mut connection).await;
            // An older one that still writes is fenced anyway; ended, it keeps nobody waiting.
            if let Err(error) = self.end(&mut connection, END_WRITERS, None).await {
                tracing::warn!(%error, "failed to end what an earlier leader writes with");
            }
            Look::Taken(Leader {
                instance_id: instance.id.clone(),
                name: instance.name.clone(),
                advertised_url: instance.advertised_url.clone(),
                since_ms: row.try_get(0).map_err(failed)?,
            })
        } else {
            let row = sqlx::raw_sql(WHO).fetch_one(&mut connection).await.map_err(failed)?;
            Look::Held(held(&row).map_err(failed)?)
        };
        *session = Session { connection: Some(connection), holds: matches!(look, Look::Taken(_)) };
        Ok(look)
    }

    /// The session that has the lock.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn holder(&self) -> Result<Option<i64>, StoreError> {
        let mut session = self.session.lock().await;
        let Some(connection) = session.connection.as_mut() else { return Ok(None) };
        let failed = |error| StoreError::database("look who leads", error);
        let row = sqlx::raw_sql(HOLDER_PID).fetch_optional(connection).await.map_err(failed)?;
        row.map(|row| row.try_get(0)).transpose().map_err(failed)
    }

    /// Ends the session of a leader that has gone silent, and those that it writes with.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] when the user may not do that; [`StoreError::Unavailable`].
    pub(in crate::store) async fn oust(&self, pid: i64) -> Result<(), StoreError> {
        let mut session = self.session.lock().await;
        let Some(connection) = session.connection.as_mut() else { return Ok(()) };
        self.end(connection, END_WRITERS, None).await?;
        self.end(connection, END_HOLDER, Some(pid)).await
    }

    async fn end(
        &self,
        connection: &mut PgConnection,
        which: &'static str,
        pid: Option<i64>,
    ) -> Result<(), StoreError> {
        let ended = match pid {
            None => sqlx::query(which).execute(connection).await,
            Some(pid) => sqlx::query(which).bind(pid).execute(connection).await,
        };
        let Err(error) = ended else { return Ok(()) };
        let denied =
            error.as_database_error().is_some_and(|it| it.code().as_deref() == Some("42501"));
        if !denied {
            return Err(StoreError::database("end a session that is silent", error));
        }
        Err(StoreError::Unfit {
            database: self.server.name().to_owned(),
            what: "its user may not end the session of an instance that has gone silent".into(),
            advice: "let all instances connect as one user, or GRANT pg_signal_backend TO that user",
        })
    }

    /// Says that the leader is well; whether it still is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the connection is closed then, and the lock with it.
    pub(in crate::store) async fn renew(&self) -> Result<bool, StoreError> {
        let Some(instance) = &self.instance else { return Err(StoreError::NotLeading) };
        let mut session = self.session.lock().await;
        // As in `look`.
        let Session { connection: Some(mut connection), holds: true } =
            std::mem::take(&mut *session)
        else {
            return Ok(false);
        };
        let renewed = sqlx::query(RENEW).bind(&*instance.id).execute(&mut connection).await;
        let renewed = renewed.map_err(|error| StoreError::database("renew the term", error))?;
        if renewed.rows_affected() != 1 {
            return Ok(false);
        }
        *session = Session { connection: Some(connection), holds: true };
        Ok(true)
    }

    /// Says that this instance is there; the names of those that are otherwise.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn stamp(
        &self,
        within_ms: i64,
    ) -> Result<Vec<Box<str>>, StoreError> {
        let Some(instance) = &self.instance else { return Ok(Vec::new()) };
        let mut session = self.session.lock().await;
        let Some(connection) = session.connection.as_mut() else { return Ok(Vec::new()) };
        let failed = |error| StoreError::database("say that this instance is there", error);
        let Instance { id, name, advertised_url, version, config_hash } = instance;
        let url = advertised_url.as_deref();
        let stamp = sqlx::query(STAMP).bind(&**id).bind(&**name).bind(url);
        let stamp = stamp.bind(&**version).bind(&**config_hash);
        let stamp = stamp.bind(FORGOTTEN_AFTER_MS).bind(within_ms);
        let rows = stamp.fetch_all(&mut *connection).await.map_err(failed)?;
        let name = |row: &PgRow| row.try_get::<&str, _>(0).map(Box::from);
        rows.iter().map(name).collect::<Result<_, _>>().map_err(failed)
    }

    /// Gives the lock up and says that this instance is gone. What cannot be said now shows by itself.
    pub(in crate::store) async fn leave(&self) {
        let Some(instance) = &self.instance else { return };
        let mut session = self.session.lock().await;
        let Session { connection: Some(mut connection), holds } = std::mem::take(&mut *session)
        else {
            return;
        };
        let leave = async {
            for statement in [STAND_UP, SIGN_OFF] {
                sqlx::query(statement).bind(&*instance.id).execute(&mut connection).await?;
            }
            // The end of a session takes its time.
            if holds {
                sqlx::raw_sql(UNLOCK).execute(&mut connection).await?;
                tell(&mut connection).await;
            }
            sqlx::Connection::close(connection).await
        };
        if let Ok(Err(error)) = tokio::time::timeout(SILENCE_MAX, leave).await {
            tracing::debug!(%error, "failed to say that this instance is gone");
        }
    }
}

/// Lets the others look at the seat. Who does not hear of it looks by himself, now and then.
async fn tell(connection: &mut PgConnection) {
    if let Err(error) = sqlx::raw_sql(TELL).execute(connection).await {
        tracing::debug!(%error, "failed to tell of the seat");
    }
}

async fn sit_alone(connection: &mut PgConnection) -> Result<(), StoreError> {
    let told = sqlx::raw_sql(SIT_ALONE).execute(connection).await;
    told.map(drop).map_err(|error| StoreError::database("take the database's lock", error))
}

fn held(row: &PgRow) -> sqlx::Result<Held> {
    let text = |column| row.try_get::<Option<&str>, _>(column).map(|it| it.map(Box::from));
    let leader = match text("instance_id")? {
        None => None,
        Some(instance_id) => Some(Leader {
            instance_id,
            name: text("name")?.unwrap_or_default(),
            advertised_url: text("advertised_url")?,
            since_ms: row.try_get("since_ms")?,
        }),
    };
    let (renewed_by, age_ms) = (row.try_get("backend_pid")?, row.try_get("age_ms")?);
    Ok(Held { leader, renewed_by, age_ms })
}

async fn connect(server: &Server, silence_max_ms: u64) -> Result<PgConnection, StoreError> {
    // What is told here is worth nothing after a crash of the database. The server's limit is a number of
    // 32 bits.
    let silence_max_ms = silence_max_ms.min(i32::MAX.unsigned_abs().into());
    let settings = format!(
        "{NOTICE_THE_DEAD} SET statement_timeout = '5s'; SET synchronous_commit = off;
         SET idle_session_timeout = {silence_max_ms};"
    );
    server.connect_with(settings).await
}

async fn taken(server: &Server, tries: u32) -> Result<PgConnection, StoreError> {
    let failed = |error| StoreError::database("take the database's lock", error);
    let mut connection = connect(server, 0).await?;
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
