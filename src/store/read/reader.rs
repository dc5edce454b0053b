//! A connection for the time of one read.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, Postgres};
use sqlx::sqlite::{Sqlite, SqlitePool};

use crate::store::Store;
use crate::store::bind::Bind;
use crate::store::connection::{BEGIN_SNAPSHOT, COMMIT, Plain, Session};
use crate::store::error::StoreError;
use crate::store::postgres;
use crate::store::row::Row;
use crate::store::statement::Sql;

/// How often SQLite asks whether it should go on, in steps of its machine: some tens of
/// microseconds.
const STEPS_BETWEEN_CHECKS: i32 = 4_096;

/// Connections that only read.
#[derive(Clone)]
pub(in crate::store) enum Readers {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Readers {
    /// Waits for the reads that run and closes the connections.
    pub(in crate::store) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => postgres::close(pool).await,
        }
    }
}

/// Reads until it is dropped; a statement that still runs then, because it took too long or its
/// caller went away, is interrupted, so that it cannot pin the log or hold its connection.
pub(in crate::store) struct Reader {
    link: Link,
    timeout: Duration,
}

enum Link {
    Sqlite {
        connection: PoolConnection<Sqlite>,
        /// The connection's thread stops its statement when this is set.
        stop: Arc<AtomicBool>,
    },
    Postgres {
        connection: PoolConnection<Postgres>,
        /// A statement was begun and has not ended well, or a snapshot is open: the connection is
        /// then closed and not kept. The server notices that and stops the statement.
        unfit: bool,
        in_snapshot: bool,
    },
}

impl Drop for Reader {
    fn drop(&mut self) {
        match &mut self.link {
            Link::Sqlite { stop, .. } => stop.store(true, Ordering::Relaxed),
            Link::Postgres { connection, unfit, in_snapshot } => match *unfit || *in_snapshot {
                true => connection.close_on_drop(),
                false => postgres::give_back(connection),
            },
        }
    }
}

impl Store {
    /// A connection to read with.
    pub(in crate::store) async fn reader(&self) -> Result<Reader, StoreError> {
        let failed = |error| StoreError::database("acquire a reader", error);
        let link = match &self.readers {
            Readers::Sqlite(pool) => {
                let mut connection = pool.acquire().await.map_err(failed)?;
                let stop = Arc::new(AtomicBool::new(false));
                let asked = Arc::clone(&stop);
                let go_on = move || !asked.load(Ordering::Relaxed);
                let mut handle = connection.lock_handle().await.map_err(failed)?;
                handle.set_progress_handler(STEPS_BETWEEN_CHECKS, go_on);
                drop(handle);
                Link::Sqlite { connection, stop }
            }
            Readers::Postgres(pool) => {
                let connection = pool.acquire().await.map_err(failed)?;
                Link::Postgres { connection, unfit: false, in_snapshot: false }
            }
        };
        Ok(Reader { link, timeout: self.read_timeout })
    }

    /// A connection to read with, whose reads all see the same moment; end it with
    /// [`Reader::end`].
    pub(in crate::store) async fn snapshot_reader(&self) -> Result<Reader, StoreError> {
        let mut reader = self.reader().await?;
        reader.plain(BEGIN_SNAPSHOT).await?;
        if let Link::Postgres { in_snapshot, .. } = &mut reader.link {
            *in_snapshot = true;
        }
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
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<Vec<Row>, StoreError> {
        let rows = self.session().all(statement, bind).await?;
        self.is_well();
        Ok(rows)
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// As [`Reader::all`].
    pub(in crate::store) async fn first(
        &mut self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<Option<Row>, StoreError> {
        let row = self.session().first(statement, bind).await?;
        self.is_well();
        Ok(row)
    }

    /// Ends a snapshot. Without it the pool closes the connection instead of keeping it.
    ///
    /// # Errors
    /// As [`Reader::all`].
    pub(in crate::store) async fn end(mut self) -> Result<(), StoreError> {
        self.plain(COMMIT).await?;
        if let Link::Postgres { in_snapshot, .. } = &mut self.link {
            *in_snapshot = false;
        }
        Ok(())
    }

    async fn plain(&mut self, statement: Plain) -> Result<(), StoreError> {
        self.session().plain(statement).await?;
        self.is_well();
        Ok(())
    }

    /// To carry out a statement; until [`Reader::is_well`] nothing is known of the connection.
    fn session(&mut self) -> Session<'_> {
        match &mut self.link {
            Link::Sqlite { connection, .. } => Session::sqlite_reader(connection, self.timeout),
            Link::Postgres { connection, unfit, .. } => {
                *unfit = true;
                Session::postgres_reader(connection, self.timeout)
            }
        }
    }

    fn is_well(&mut self) {
        if let Link::Postgres { unfit, .. } = &mut self.link {
            *unfit = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::connection::Kind;
    use crate::store::statement as sql;
    use crate::store::tests::fixture::{Home, on_both};

    async fn a_read_that_takes_too_long_is_interrupted_and_its_connection_freed(on: Kind) {
        let home = Home::of(on).await;
        let mut options = home.options();
        options.readers_max = 1;
        let (store, _writer) = Store::open(options).await.unwrap();
        let mut reader = store.reader().await.unwrap();
        reader.timeout = Duration::from_millis(20);
        let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                       SELECT count(*) FROM n";
        let endless = Plain { sqlite: endless, postgres: "SELECT pg_sleep(60)" };
        let error = reader.plain(endless).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadTimeout { limit_ms: 20, .. }), "{error}");
        drop(reader);
        // There is one connection, and it must be free again, or another one, for this.
        let mut reader = store.reader().await.unwrap();
        assert!(reader.first(sql::LEADER_SELECT, |to| to).await.unwrap().is_some());
    }

    on_both!(a_read_that_takes_too_long_is_interrupted_and_its_connection_freed);
}
