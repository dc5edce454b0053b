//! Connections that write beside the batches, each statement a transaction of its own.
//!
//! The server bounds its own work. This side bounds the wait for a server that is not there any more, and
//! does not keep a connection that owes an answer: whoever wants it next would wait for that too.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnection, PgPool, Postgres};

use super::close;
use crate::store::bind::{Arguments, Bind};
use crate::store::connection::Kind;
use crate::store::error::StoreError;
use crate::store::row::Row;
use crate::store::statement::Sql;

/// The connections.
#[derive(Clone, Debug)]
pub(super) struct Writers {
    pool: PgPool,
    /// How long an answer may take.
    silence: Duration,
}

/// One of them, for one statement.
struct Lent {
    connection: PoolConnection<Postgres>,
    silence: Duration,
    /// It was asked something, and has not answered.
    owes: bool,
}

impl Writers {
    /// Those of a pool; `silence` is longer than the server lets a statement run.
    pub(super) fn new(pool: PgPool, silence: Duration) -> Self {
        Self { pool, silence }
    }

    /// Carries out a statement and returns how many rows it touched.
    ///
    /// # Errors
    /// [`StoreError::Data`], [`StoreError::Unavailable`].
    pub(super) async fn execute(
        &self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<u64, StoreError> {
        let Some(arguments) = bound(statement, bind)? else { return Ok(0) };
        let query = sqlx::query_with(statement.text(Kind::Postgres), arguments);
        let failed = |error| StoreError::database(statement.name, error);
        let mut lent = self.lend().await.map_err(failed)?;
        let done = lent.answer(async move |to| query.execute(to).await).await.map_err(failed)?;
        Ok(done.rows_affected())
    }

    /// All rows of a statement.
    ///
    /// # Errors
    /// As [`Writers::execute`].
    pub(super) async fn all(
        &self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<Vec<Row>, StoreError> {
        let Some(arguments) = bound(statement, bind)? else { return Ok(Vec::new()) };
        let query = sqlx::query_with(statement.text(Kind::Postgres), arguments);
        let failed = |error| StoreError::database(statement.name, error);
        let mut lent = self.lend().await.map_err(failed)?;
        let rows = lent.answer(async move |to| query.fetch_all(to).await).await.map_err(failed)?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }

    /// Carries out a statement without values, and without rows that anybody wants.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(super) async fn plain(&self, text: &'static str) -> Result<(), StoreError> {
        let failed = |error| StoreError::database(text, error);
        let mut lent = self.lend().await.map_err(failed)?;
        let done = lent.answer(async move |to| sqlx::raw_sql(text).execute(to).await).await;
        done.map(drop).map_err(failed)
    }

    /// Closes the connections.
    pub(super) async fn close(&self) {
        close(&self.pool).await;
    }

    async fn lend(&self) -> sqlx::Result<Lent> {
        let connection = self.pool.acquire().await?;
        Ok(Lent { connection, silence: self.silence, owes: false })
    }
}

impl Lent {
    async fn answer<T>(
        &mut self,
        ask: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
    ) -> sqlx::Result<T> {
        self.owes = true;
        let answered = tokio::time::timeout(self.silence, ask(&mut *self.connection)).await;
        let answered = answered.map_err(|_| super::silent(self.silence))?;
        // What the server refused is an answer too.
        self.owes = !matches!(answered, Ok(_) | Err(sqlx::Error::Database(_)));
        answered
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        match self.owes {
            true => self.connection.close_on_drop(),
            false => super::give_back(&mut self.connection),
        }
    }
}

fn bound(
    statement: Sql,
    bind: impl FnOnce(&mut Bind) -> &mut Bind,
) -> Result<Option<PgArguments>, StoreError> {
    let mut values = Bind::one(Kind::Postgres);
    bind(&mut values);
    Ok(match values.finish(statement.name)? {
        Arguments::Postgres(arguments) => Some(arguments),
        Arguments::Sqlite(_) => None,
    })
}
