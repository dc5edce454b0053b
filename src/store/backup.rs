//! Copies of a SQLite database while a server uses it, and databases that were such copies.
//!
//! A token is `epoch << 40 | sequence`, so it is new as long as the epoch is. The server of the original
//! goes on after the copy was made and raises its epoch with each load; a restored copy would give the
//! same epochs again, and with them tokens that runners may still hold. A restored copy therefore leaves
//! out [`EPOCHS_LEFT_OUT`] of them. A copy that is made here does so from the beginning; of one that was
//! made otherwise a person says so ([`Writer::restored`]).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::connection::Connection;
use super::error::StoreError;
use super::options::{Location, StoreOptions};
use super::statement as sql;
use super::writer::Writer;

/// More loads than a server makes between a backup and the day when it is needed: one at each start,
/// and one after each failure. There are 8 million epochs, so a database can be restored 250 times.
pub const EPOCHS_LEFT_OUT: i64 = 30_000;

/// How long a copy waits for a lock of the server that uses the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

impl Writer {
    /// Says that this database is a restored copy: leaves out the epochs that its original may have used
    /// since. Nobody else may have it open, and the writer must not have loaded.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn restored(&self) -> Result<(), StoreError> {
        let mut connection = self.database.open_writer().await?;
        leave_out_epochs(&mut connection).await?;
        connection.close().await
    }
}

pub(super) async fn leave_out_epochs(connection: &mut Connection) -> Result<(), StoreError> {
    let jump = connection.session().execute(sql::LEADER_JUMP, |to| to.int(EPOCHS_LEFT_OUT));
    jump.await.map(drop)
}

/// Copies a SQLite database as it is at one moment to a new file, also while a server uses it, and
/// returns the paths of the large bodies that its deliveries name. Those were written before their
/// deliveries, so they are all there.
///
/// # Errors
/// [`StoreError::File`] when the database is not there, or `to` is; [`StoreError::Unavailable`].
pub async fn back_up(options: &StoreOptions, to: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let Location::File(from) = &options.location else {
        let what = "a PostgreSQL database is backed up by its own tools".to_owned();
        return Err(StoreError::Data { statement: "back up", what });
    };
    let missing = |path: &Path, kind: std::io::ErrorKind| StoreError::file(path, kind.into());
    if !from.exists() {
        return Err(missing(from, std::io::ErrorKind::NotFound));
    }
    if to.exists() {
        return Err(missing(to, std::io::ErrorKind::AlreadyExists));
    }
    let mut original = open(from, false).await?;
    let path = to.to_str().ok_or_else(|| missing(to, std::io::ErrorKind::InvalidFilename))?;
    let copied = sqlx::query("VACUUM INTO $1").bind(path.to_owned()).execute(&mut original).await;
    copied.map_err(|error| StoreError::database("VACUUM INTO", error))?;
    original.close().await.map_err(|error| StoreError::database("close", error))?;

    let mut copy = Connection::Sqlite(open(to, true).await?);
    leave_out_epochs(&mut copy).await?;
    let files: HashSet<String> = {
        let Connection::Sqlite(copy) = &mut copy else { unreachable!("it was made above") };
        let query = "SELECT body_file FROM delivery WHERE body_file IS NOT NULL";
        let rows = sqlx::query_scalar(query).fetch_all(copy).await;
        rows.map_err(|error| StoreError::database("list bodies", error))?.into_iter().collect()
    };
    copy.close().await?;
    Ok(files.into_iter().map(|name| options.bodies_dir.join(name)).collect())
}

async fn open(path: &Path, flushed: bool) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
    // The copy's one change is flushed with all that was written before it.
    let options = if flushed { options.pragma("synchronous", "EXTRA") } else { options };
    let connection = options.disable_statement_logging().connect().await;
    connection.map_err(|error| StoreError::database("open", error))
}
