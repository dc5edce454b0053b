//! A connection for the time of one read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};

use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::statement::Sql;

/// How often SQLite asks whether it should go on, in steps of its machine: some tens of
/// microseconds.
const STEPS_BETWEEN_CHECKS: i32 = 4_096;

/// A query that is not bound yet, or in part.
pub(in crate::store) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

/// Reads until it is dropped; a statement that still runs then, because it took too long or its
/// caller went away, is interrupted, so that it cannot pin the log or hold its connection.
pub(in crate::store) struct Reader {
    connection: PoolConnection<Sqlite>,
    /// The connection's thread stops its statement when this is set.
    stop: Arc<AtomicBool>,
    timeout: Duration,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Store {
    /// A connection to read with.
    pub(in crate::store) async fn reader(&self) -> Result<Reader, StoreError> {
        let failed = |error| StoreError::database("acquire a reader", error);
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        connection
            .lock_handle()
            .await
            .map_err(failed)?
            .set_progress_handler(STEPS_BETWEEN_CHECKS, move || !asked.load(Ordering::Relaxed));
        Ok(Reader { connection, stop, timeout: self.read_timeout })
    }

    /// A connection to read with, whose reads all see the same moment; end it with
    /// [`Reader::end`].
    pub(in crate::store) async fn snapshot_reader(&self) -> Result<Reader, StoreError> {
        let mut reader = self.reader().await?;
        reader.plain("BEGIN").await?;
        Ok(reader)
    }
}

impl Reader {
    /// All rows of a statement, which bounds them itself.
    ///
    /// # Errors
    /// [`StoreError::ReadTimeout`], [`StoreError::Unavailable`].
    pub(in crate::store) async fn all(
        &mut self,
        statement: Sql,
        bind: impl for<'q> FnOnce(Bound<'q>) -> Bound<'q>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let rows = bind(sqlx::query(statement.text())).fetch_all(&mut *self.connection);
        within(self.timeout, statement.name, rows).await
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// As [`Reader::all`].
    pub(in crate::store) async fn first(
        &mut self,
        statement: Sql,
        bind: impl for<'q> FnOnce(Bound<'q>) -> Bound<'q>,
    ) -> Result<Option<SqliteRow>, StoreError> {
        let row = bind(sqlx::query(statement.text())).fetch_optional(&mut *self.connection);
        within(self.timeout, statement.name, row).await
    }

    /// Ends a snapshot. Without it the pool closes the connection instead of keeping it.
    ///
    /// # Errors
    /// As [`Reader::all`].
    pub(in crate::store) async fn end(mut self) -> Result<(), StoreError> {
        self.plain("COMMIT").await
    }

    async fn plain(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let done = sqlx::query(statement).execute(&mut *self.connection);
        within(self.timeout, statement, done).await.map(drop)
    }
}

async fn within<T>(
    limit: Duration,
    read: &'static str,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done.map_err(|error| StoreError::database(read, error)),
        Err(_) => {
            let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            Err(StoreError::ReadTimeout { read, limit_ms })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreOptions;
    use crate::store::statement as sql;
    use crate::store::tests::fixture;

    #[tokio::test]
    async fn a_read_that_takes_too_long_is_interrupted_and_its_connection_freed() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { readers_max: 1, ..fixture::options(&folder) };
        let (store, _writer) = Store::open(options).await.unwrap();
        let mut reader = store.reader().await.unwrap();
        reader.timeout = Duration::from_millis(20);
        let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                       SELECT count(*) FROM n";
        let error = reader.plain(endless).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadTimeout { limit_ms: 20, .. }), "{error}");
        drop(reader);
        // There is one connection, and its thread must be free again for this.
        let mut reader = store.reader().await.unwrap();
        assert!(reader.first(sql::LEADER_SELECT, |query| query).await.unwrap().is_some());
    }
}
