//! A connection to either database, and the few verbs that all others are made of.
//!
//! The difference between the databases ends here: above it there are statements with their values
//! ([`super::bind::Bind`]) and rows ([`super::row::Row`]). An enum and no type parameter, because one
//! process uses one database, and because a parameter would have to stand in every file.

use std::time::Duration;

use futures_util::{Stream, TryStreamExt as _};
use sqlx::Connection as _;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};

use super::bind::{Arguments, Bind};
use super::error::StoreError;
use super::log_again::moves_log_when_closed;
use super::row::Row;
use super::sqlite;
use super::statement::Sql;

/// Which database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

/// A connection that writes.
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    /// With how long the other side may be silent. The server bounds its work itself; this is for
    /// the case that nobody is there any more.
    Postgres(PgConnection, Duration),
}

/// A connection for the time of one statement.
pub(super) struct Session<'c> {
    link: Link<'c>,
    patience: Patience,
}

enum Link<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

/// How long an answer may take, and what is said when it takes longer.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// SQLite is in this process.
    Endless,
    /// After that nothing is known of what was asked.
    Write(Duration),
    /// After that less should be asked for.
    Read(Duration),
}

/// A statement without values and rows, such as the begin of a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    pub(super) sqlite: &'static str,
    /// May be several, with `;` between.
    pub(super) postgres: &'static str,
}

/// A batch. SQLite: nobody else writes from here on.
pub(super) const BEGIN_BATCH: Plain = Plain {
    sqlite: "BEGIN IMMEDIATE",
    postgres: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
};
/// Reads by key that all see the same moment. PostgreSQL plans each of them once, and then for tables of
/// any size: to plan them took three times as long as to read.
pub(super) const BEGIN_SNAPSHOT: Plain = Plain {
    sqlite: "BEGIN",
    postgres: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
        SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off; \
        SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off",
};
/// The same over all that is live: it takes as long as it takes, and scans.
pub(super) const BEGIN_LOAD: Plain = Plain {
    sqlite: "BEGIN",
    postgres: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
        SET LOCAL statement_timeout = '10min'; SET LOCAL plan_cache_mode = force_custom_plan; \
        SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on; \
        SET LOCAL enable_mergejoin = on",
};
/// New names: two processes that add some at once take turns.
pub(super) const BEGIN_NAMES: Plain = Plain {
    sqlite: "BEGIN IMMEDIATE",
    postgres: "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
        LOCK TABLE tenant, pool IN SHARE ROW EXCLUSIVE MODE",
};
/// PostgreSQL: says that this connection is the writer's.
pub(super) const MARK_WRITER: Plain =
    Plain { sqlite: "SELECT 1", postgres: super::postgres::MARK_WRITER };
/// Ends a transaction.
pub(super) const COMMIT: Plain = Plain { sqlite: "COMMIT", postgres: "COMMIT" };
/// Gives a transaction up.
pub(super) const ROLLBACK: Plain = Plain { sqlite: "ROLLBACK", postgres: "ROLLBACK" };

impl Connection {
    /// Which database it is connected to.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Sqlite(_) => Kind::Sqlite,
            Self::Postgres(..) => Kind::Postgres,
        }
    }

    /// To carry out a statement.
    pub(super) fn session(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => {
                Session { link: Link::Sqlite(connection), patience: Patience::Endless }
            }
            Self::Postgres(connection, patience) => {
                Session { link: Link::Postgres(connection), patience: Patience::Write(*patience) }
            }
        }
    }

    /// Whether no transaction is open on it, so that it may be used again. Transactions are begun and
    /// ended by plain statements: sqlx then counts none, and its count cannot differ from what the
    /// database knows.
    pub(super) async fn is_clean(&mut self) -> sqlx::Result<bool> {
        match self {
            Self::Sqlite(connection) => sqlite::is_clean(connection).await,
            // PostgreSQL never ends a transaction by itself without an error, or without closing the
            // connection.
            Self::Postgres(connection, _) => Ok(!connection.is_in_transaction()),
        }
    }

    /// Closes it in an orderly way.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; nothing that was committed is lost by it.
    pub(super) async fn close(self) -> Result<(), StoreError> {
        let closed = match self {
            Self::Sqlite(mut connection) => {
                match moves_log_when_closed(&mut connection, true).await {
                    Ok(()) => connection.close().await,
                    Err(error) => Err(error),
                }
            }
            Self::Postgres(connection, _) => connection.close().await,
        };
        closed.map_err(|error| StoreError::database("close", error))
    }
}

impl<'c> Session<'c> {
    /// On a reader's connection.
    pub(super) fn sqlite_reader(connection: &'c mut SqliteConnection, limit: Duration) -> Self {
        Self { link: Link::Sqlite(connection), patience: Patience::Read(limit) }
    }

    /// On a reader's connection.
    pub(super) fn postgres_reader(connection: &'c mut PgConnection, limit: Duration) -> Self {
        Self { link: Link::Postgres(connection), patience: Patience::Read(limit) }
    }

    /// On a connection that writes one statement at a time, each a transaction of its own.
    pub(super) fn postgres_writer(connection: &'c mut PgConnection, limit: Duration) -> Self {
        Self { link: Link::Postgres(connection), patience: Patience::Write(limit) }
    }

    fn kind(&self) -> Kind {
        match self.link {
            Link::Sqlite(_) => Kind::Sqlite,
            Link::Postgres(_) => Kind::Postgres,
        }
    }

    /// Carries out a statement and returns how many rows it touched.
    ///
    /// # Errors
    /// What the database refused ([`StoreError::Data`]) or could not do.
    pub(super) async fn execute(
        self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<u64, StoreError> {
        let (text, arguments) = self.bound(statement, bind)?;
        self.run(statement.name, text, arguments).await
    }

    /// All rows of a statement, which bounds them itself.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub(super) async fn all(
        self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<Vec<Row>, StoreError> {
        let (text, arguments) = self.bound(statement, bind)?;
        self.rows(statement.name, text, arguments).await
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub(super) async fn first(
        self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<Option<Row>, StoreError> {
        let (text, arguments) = self.bound(statement, bind)?;
        let (name, patience) = (statement.name, self.patience);
        match (self.link, arguments) {
            (Link::Sqlite(to), Arguments::Sqlite(arguments)) => {
                let row = sqlx::query_with(text, arguments).fetch_optional(to);
                Ok(within(patience, name, row).await?.map(Row::Sqlite))
            }
            (Link::Postgres(to), Arguments::Postgres(arguments)) => {
                let row = sqlx::query_with(text, arguments).fetch_optional(to);
                Ok(within(patience, name, row).await?.map(Row::Postgres))
            }
            _ => Err(mixed(name)),
        }
    }

    /// All rows of a statement without values, each turned into what it means as soon as it is
    /// there: a million raw rows would be gigabytes.
    ///
    /// # Errors
    /// As [`Session::execute`], and what `read` says of a row.
    pub(super) async fn each<T>(
        self,
        statement: Sql,
        read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let name = statement.name;
        match self.link {
            Link::Sqlite(to) => {
                let rows = sqlx::query(statement.text(Kind::Sqlite)).fetch(to);
                collect(rows.map_ok(Row::Sqlite), name, self.patience, read).await
            }
            Link::Postgres(to) => {
                let rows = sqlx::query(statement.text(Kind::Postgres)).fetch(to);
                collect(rows.map_ok(Row::Postgres), name, self.patience, read).await
            }
        }
    }

    /// A statement without values and rows.
    ///
    /// # Errors
    /// As [`Session::execute`].
    pub(super) async fn plain(self, statement: Plain) -> Result<(), StoreError> {
        let patience = self.patience;
        match self.link {
            Link::Sqlite(to) => {
                let done = sqlx::query(statement.sqlite).execute(to);
                within(patience, statement.sqlite, done).await.map(drop)
            }
            Link::Postgres(to) => {
                let done = sqlx::raw_sql(statement.postgres).execute(to);
                within(patience, statement.postgres, done).await.map(drop)
            }
        }
    }

    /// Carries out a text with values that were bound before; see [`Session::execute`].
    ///
    /// # Errors
    /// As there.
    pub(super) async fn run(
        self,
        name: &'static str,
        text: &'static str,
        arguments: Arguments,
    ) -> Result<u64, StoreError> {
        let patience = self.patience;
        match (self.link, arguments) {
            (Link::Sqlite(to), Arguments::Sqlite(arguments)) => {
                let done = sqlx::query_with(text, arguments).execute(to);
                Ok(within(patience, name, done).await?.rows_affected())
            }
            (Link::Postgres(to), Arguments::Postgres(arguments)) => {
                let done = sqlx::query_with(text, arguments).execute(to);
                Ok(within(patience, name, done).await?.rows_affected())
            }
            _ => Err(mixed(name)),
        }
    }

    /// The rows of a text with values that were bound before; see [`Session::all`].
    ///
    /// # Errors
    /// As there.
    pub(super) async fn rows(
        self,
        name: &'static str,
        text: &'static str,
        arguments: Arguments,
    ) -> Result<Vec<Row>, StoreError> {
        let patience = self.patience;
        match (self.link, arguments) {
            (Link::Sqlite(to), Arguments::Sqlite(arguments)) => {
                let rows = sqlx::query_with::<_, SqliteArguments>(text, arguments).fetch_all(to);
                let rows: Vec<SqliteRow> = within(patience, name, rows).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            (Link::Postgres(to), Arguments::Postgres(arguments)) => {
                let rows = sqlx::query_with::<_, PgArguments>(text, arguments).fetch_all(to);
                let rows: Vec<PgRow> = within(patience, name, rows).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
            _ => Err(mixed(name)),
        }
    }

    fn bound(
        &self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<(&'static str, Arguments), StoreError> {
        let kind = self.kind();
        let mut values = Bind::one(kind);
        bind(&mut values);
        Ok((statement.text(kind), values.finish(statement.name)?))
    }
}

async fn collect<T>(
    rows: impl Stream<Item = sqlx::Result<Row>>,
    name: &'static str,
    patience: Patience,
    mut read: impl FnMut(&Row) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut rows = std::pin::pin!(rows);
    let mut found = Vec::new();
    // The patience is for each row: the first ones may be long in coming, when they are sorted.
    while let Some(row) = within(patience, name, rows.try_next()).await? {
        found.push(read(&row)?);
    }
    Ok(found)
}

async fn within<T>(
    patience: Patience,
    statement: &'static str,
    work: impl Future<Output = sqlx::Result<T>>,
) -> Result<T, StoreError> {
    let limit = match patience {
        Patience::Endless => None,
        Patience::Write(limit) | Patience::Read(limit) => Some(limit),
    };
    let done = match limit {
        None => Ok(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| limit),
    };
    match (done, patience) {
        (Ok(done), _) => done.map_err(|error| StoreError::database(statement, error)),
        (Err(limit), Patience::Read(_)) => {
            let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            Err(StoreError::ReadTimeout { read: statement, limit_ms })
        }
        (Err(limit), _) => {
            let what = format!("no answer within {} ms", limit.as_millis());
            Err(StoreError::Unavailable { statement, what })
        }
    }
}

/// Values of one database for a connection of the other: the process would have to use both.
fn mixed(statement: &'static str) -> StoreError {
    StoreError::Data { statement, what: "its values are for another database".into() }
}
