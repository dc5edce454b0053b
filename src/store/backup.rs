//! Copies of a SQLite database while a server uses it, and databases that were such copies.
//!
//! A copy is that of one moment. The files of large bodies are copied after it: each was written before
//! the delivery that names it, so it was there at that moment, and one that is gone by now was pruned
//! since, with the original's row saying so first. The copy then says the same of it. Nobody has to wait
//! for a copy: pruning goes on, and a server that must begin its log anew ends what reads from that
//! ([`super::log_claim`]), and the copy begins again.
//!
//! A token is `epoch << 40 | sequence`, so it is new as long as the epoch is. The server of the original
//! goes on after the copy was made and raises its epoch with each load; a restored copy would give the
//! same epochs again, and with them tokens that runners may still hold. A restored copy therefore leaves
//! out [`EPOCHS_LEFT_OUT`] of them. A copy that is made here does so from the beginning; of one that was
//! made otherwise a person says so ([`Writer::restored`]).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::connection::Connection;
use super::error::StoreError;
use super::files::{blocking, plain};
use super::log_claim::LogWatch;
use super::options::{Location, StoreOptions};
use super::statement as sql;
use super::writer::Writer;

/// More loads than a server makes between a backup and the day when it is needed: one at each start,
/// and one after each failure. There are 8 million epochs, so a database can be restored 250 times.
pub const EPOCHS_LEFT_OUT: i64 = 30_000;

/// How long a copy waits for a lock of the server that uses the database, and for its log.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);
/// How often it is looked whether a server that needed its log has it.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// So often a copy begins again, before it is given up: a server loads after each failure of its disk.
const COPIES_MAX: u32 = 20;
/// How often a copy looks whether the log is needed, in steps of SQLite's machine: some hundreds of rows.
const STEPS_BETWEEN_LOOKS: i32 = 1_024;

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

/// A copy of a SQLite database, without its large bodies until they are copied too.
#[must_use = "the bodies are still to be copied"]
pub struct Backup {
    /// The canonical path.
    original: PathBuf,
    bodies_dir: PathBuf,
    copy: SqliteConnection,
}

impl Backup {
    /// Copies a SQLite database as it is at one moment to a new file, also while a server uses it.
    ///
    /// # Errors
    /// [`StoreError::File`] when the database is not there, or `to` is; [`StoreError::Unavailable`].
    pub async fn begin(options: &StoreOptions, to: &Path) -> Result<Self, StoreError> {
        let Location::File(from) = &options.location else {
            let what = "a PostgreSQL database is backed up by its own tools".to_owned();
            return Err(StoreError::Data { statement: "back up", what });
        };
        let original = from.canonicalize().map_err(|error| StoreError::file(from, error))?;
        if to.exists() {
            return Err(StoreError::file(to, io::ErrorKind::AlreadyExists.into()));
        }
        copy_at_one_moment(&original, to, options).await?;
        let mut copy = Connection::Sqlite(open(to, true).await?);
        leave_out_epochs(&mut copy).await?;
        let Connection::Sqlite(copy) = copy else { unreachable!("it was made above") };
        Ok(Self { original, bodies_dir: options.bodies_dir.clone(), copy })
    }

    /// Copies the large bodies that the copy's deliveries name to a folder that is there, and closes the
    /// copy. Of one that was pruned meanwhile the copy says so too.
    ///
    /// # Errors
    /// [`StoreError::File`] when a body cannot be read that should be there, or not be written;
    /// [`StoreError::Unavailable`].
    pub async fn copy_bodies(mut self, to: &Path) -> Result<(), StoreError> {
        let query = "SELECT DISTINCT body_file FROM delivery WHERE body_file IS NOT NULL";
        let names: Vec<String> = sqlx::query_scalar(query)
            .fetch_all(&mut self.copy)
            .await
            .map_err(|error| StoreError::database("list bodies", error))?;
        for name in names {
            let (from, to) = (self.bodies_dir.join(plain(&name)), to.join(plain(&name)));
            match blocking(from, move |from| std::fs::copy(from, &to)).await {
                Err(StoreError::File { source, path })
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    let missing = StoreError::File { path, source };
                    self.forget_pruned(&name, missing).await?;
                }
                copied => copied.map(drop)?,
            }
        }
        self.copy.close().await.map_err(|error| StoreError::database("close", error))
    }

    /// A body is not there any more: the copy forgets it as the original has, or `missing` is the end.
    async fn forget_pruned(&mut self, name: &str, missing: StoreError) -> Result<(), StoreError> {
        let failed = |error| StoreError::database("look for a body", error);
        let mut original = open(&self.original, false).await?;
        let query = "SELECT EXISTS (SELECT 1 FROM delivery WHERE body_file = $1)";
        let is_named: bool =
            sqlx::query_scalar(query).bind(name).fetch_one(&mut original).await.map_err(failed)?;
        original.close().await.map_err(failed)?;
        if is_named {
            return Err(missing);
        }
        // As pruning does it: `body_bytes` says that there were bytes.
        let forget = "UPDATE delivery SET body_file = NULL, body = X'' WHERE body_file = $1";
        sqlx::query(forget).bind(name).execute(&mut self.copy).await.map_err(failed)?;
        Ok(())
    }
}

/// Copies all rows, anew each time that a server needs its log meanwhile.
async fn copy_at_one_moment(
    original: &Path,
    to: &Path,
    options: &StoreOptions,
) -> Result<(), StoreError> {
    const STATEMENT: &str = "VACUUM INTO";
    let failed = |error| StoreError::database(STATEMENT, error);
    let path =
        to.to_str().ok_or_else(|| StoreError::file(to, io::ErrorKind::InvalidFilename.into()))?;
    for _ in 0..COPIES_MAX {
        let watch = LogWatch::of(original).map_err(|error| StoreError::file(original, error))?;
        wait_for_log(&watch).await?;
        let mut connection = open(original, false).await?;
        let has_let_go = Arc::new(AtomicBool::new(false));
        let (let_go, looking) = (Arc::clone(&has_let_go), options.planted.backup_looks.clone());
        let go_on = move || {
            if let Some(looking) = &looking {
                looking();
            }
            let is_claimed = watch.is_claimed();
            let_go.fetch_or(is_claimed, Ordering::Relaxed);
            !is_claimed
        };
        let mut handle = connection.lock_handle().await.map_err(failed)?;
        handle.set_progress_handler(STEPS_BETWEEN_LOOKS, go_on);
        drop(handle);
        let copied = sqlx::query("VACUUM INTO $1").bind(path.to_owned());
        let copied = copied.execute(&mut connection).await;
        let closed = connection.close().await;
        match copied {
            Err(_) if has_let_go.load(Ordering::Relaxed) => remove(to)?,
            other => return other.and(closed).map_err(failed),
        }
    }
    let what = format!(
        "the server had to begin its log anew {COPIES_MAX} times meanwhile: look what is wrong with \
         its disk, and say it again"
    );
    Err(StoreError::Unavailable { statement: STATEMENT, what })
}

/// Waits until nobody needs the log.
async fn wait_for_log(watch: &LogWatch) -> Result<(), StoreError> {
    let is_free = async {
        while watch.is_claimed() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(BUSY_TIMEOUT, is_free).await.map_err(|_| {
        let what = "the server waits to begin its log anew; say it again".to_owned();
        StoreError::Unavailable { statement: "VACUUM INTO", what }
    })
}

/// Removes what there is of a copy that was not made.
fn remove(copy: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(copy) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::file(copy, error)),
        _ => Ok(()),
    }
}

async fn open(path: &Path, flushed: bool) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT);
    // The copy's changes are flushed with all that was written before them.
    let options = if flushed { options.pragma("synchronous", "EXTRA") } else { options };
    let connection = options.disable_statement_logging().connect().await;
    connection.map_err(|error| StoreError::database("open", error))
}
