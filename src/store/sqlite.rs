//! SQLite: how its connections are set up, and which of them may be used again.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::bulk::SIZES;
use super::error::StoreError;
use super::log_again::{moves_log_when_closed, write_log_again};
use super::log_claim::LogClaim;
use super::options::{StoreOptions, Synchronous};

/// More than all statements in all sizes, so that none is ever prepared twice.
const STATEMENTS_KEPT: usize = 64 * SIZES.len();

/// Rows that wait between a connection's thread and the reader of a large result.
const ROWS_BUFFERED: usize = 512;

/// Opens the one connection that writes, and asserts that it does what durability needs.
///
/// # Errors
/// [`StoreError::Setting`] when the file system cannot do it; [`StoreError::Unavailable`] when
/// there is no connection to be had.
pub(super) async fn open_writer(
    database: &Path,
    options: &StoreOptions,
) -> Result<SqliteConnection, StoreError> {
    let synchronous = match options.synchronous {
        Synchronous::Full => SqliteSynchronous::Full,
        Synchronous::Normal => SqliteSynchronous::Normal,
    };
    let connect = common(database, options)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(synchronous)
        .foreign_keys(false)
        .busy_timeout(Duration::from_millis(options.busy_timeout_ms))
        // A larger interval moves the cost of a checkpoint into rarer, longer stalls.
        .pragma("wal_autocheckpoint", "1000")
        // After a burst, or a long read, the log gives its space back: 64 MiB.
        .pragma("journal_size_limit", "67108864")
        // 64 MB: the hot pages of a busy queue and the right edges of the others.
        .pragma("cache_size", "-65536")
        .pragma("temp_store", "memory");
    let mut connection = connect
        .connect()
        .await
        .map_err(|error| StoreError::database("open the writer's connection", error))?;
    let set = moves_log_when_closed(&mut connection, false).await;
    set.map_err(|error| StoreError::database("open the writer's connection", error))?;
    assert_setting(&mut connection, "journal_mode", "wal").await?;
    let flushes = if options.synchronous == Synchronous::Full { "2" } else { "1" };
    assert_setting(&mut connection, "synchronous", flushes).await?;
    let claim = LogClaim::make(database).await;
    begin_log_anew(&mut connection).await?;
    drop(claim);
    Ok(connection)
}

/// Moves everything that is in the write-ahead log into the database, and begins the log anew.
///
/// When a flush fails, Linux says so once and then takes for clean what is only in memory. The commit
/// behind it has failed, but its frames stand in the log and can be read, so the next connection takes
/// them for committed, and what it commits behind them would be lost with them when the power is. So
/// they are written again, and flushed, first in the log and then in the database.
///
/// It waits for those who read: reads of a server are bounded by `read_timeout_ms`, and a backup ends when
/// it sees the [`LogClaim`]. When somebody else takes longer than the busy timeout it fails, and the load is
/// tried again.
async fn begin_log_anew(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    const STATEMENT: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
    let failed = |error| StoreError::database(STATEMENT, error);
    write_log_again(connection).await.map_err(failed)?;
    let row = sqlx::query(STATEMENT).fetch_one(connection).await.map_err(failed)?;
    match row.try_get::<i64, _>("busy").map_err(failed)? {
        0 => Ok(()),
        _ => Err(StoreError::Unavailable { statement: STATEMENT, what: "somebody reads".into() }),
    }
}

/// A pool of connections that only read.
pub(super) fn open_readers(database: &Path, options: &StoreOptions) -> SqlitePool {
    let connect = common(database, options)
        .read_only(true)
        .busy_timeout(Duration::from_millis(options.read_timeout_ms));
    SqlitePoolOptions::new()
        .max_connections(options.readers_max.max(1))
        .acquire_timeout(Duration::from_millis(options.read_timeout_ms))
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_clean(connection)))
        // A read that was given up inside its transaction would pin the log while it lies idle.
        .after_release(|connection, _| Box::pin(is_clean(connection)))
        .connect_lazy_with(connect)
}

fn common(database: &Path, options: &StoreOptions) -> SqliteConnectOptions {
    let connect = SqliteConnectOptions::new()
        .filename(database)
        .statement_cache_capacity(STATEMENTS_KEPT)
        .row_buffer_size(ROWS_BUFFERED)
        .disable_statement_logging();
    match options.planted.sqlite_vfs {
        Some(vfs) => connect.vfs(vfs),
        None => connect,
    }
}

/// Whether SQLite and sqlx agree that no transaction is open; only then may a connection be used
/// again.
///
/// When SQLite rolls back by itself (full disk, I/O error), sqlx still counts the transaction:
/// a later `begin` would be a savepoint and its commit would be durable never. When a transaction
/// is open that sqlx did not begin, it is the other way round.
#[expect(unsafe_code, reason = "SQLite's own answer can only be had through the raw handle")]
pub(super) async fn is_clean(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    let counted = connection.is_in_transaction();
    let mut handle = connection.lock_handle().await?;
    // SAFETY: `handle` keeps the connection's thread from using the pointer, which is valid as
    // long as the connection is; the call only reads a flag.
    let autocommit =
        unsafe { libsqlite3_sys::sqlite3_get_autocommit(handle.as_raw_handle().as_ptr()) };
    Ok(autocommit != 0 && !counted)
}

/// Compares what a connection does with what it was told.
async fn assert_setting(
    connection: &mut SqliteConnection,
    setting: &'static str,
    wanted: &'static str,
) -> Result<(), StoreError> {
    // As text, whether SQLite answers with a name or a number.
    let query = match setting {
        "journal_mode" => "SELECT CAST(journal_mode AS TEXT) FROM pragma_journal_mode",
        _ => "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous",
    };
    let found: String = sqlx::query_scalar(query)
        .fetch_one(connection)
        .await
        .map_err(|error| StoreError::database(setting, error))?;
    if found == wanted { Ok(()) } else { Err(StoreError::Setting { setting, wanted, found }) }
}
