//! Writes again what stands in SQLite's log, so that a flush reaches all of it.
//!
//! When a flush fails, Linux says so once, and then takes for clean what is only in memory: no later flush
//! writes it. What can be read in the log may so be missing on the disk. Moved into the database in this
//! state, the database would be newer than its log, and after a loss of power the log's older pages would be
//! laid over newer ones. Bytes that are written once more are dirty again, and the next flush counts.

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::null_mut;

use libsqlite3_sys as ffi;
use sqlx::sqlite::SqliteConnection;

/// Read and written at a time; a write of SQLite's is shorter than 128 KiB.
const PIECE_BYTES: usize = 64 << 10;

/// Writes the log's bytes once more and flushes them. The connection must not be in a transaction, and nobody
/// else may write. It takes as long as the disk takes for the log, which is a few megabytes.
///
/// # Errors
/// The disk's.
#[expect(unsafe_code, reason = "the log's file is SQLite's, and only its methods reach it")]
pub(super) async fn write_log_again(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    // The log is opened with the first read.
    sqlx::query("PRAGMA schema_version").fetch_one(&mut *connection).await?;
    let mut handle = connection.lock_handle().await?;
    let database = handle.as_raw_handle().as_ptr();
    let mut file: *mut ffi::sqlite3_file = null_mut();
    // SAFETY: `handle` keeps the connection's thread from using the connection, which is open. The control
    // stores one pointer where it is told to.
    let code = unsafe {
        ffi::sqlite3_file_control(
            database,
            c"main".as_ptr(),
            ffi::SQLITE_FCNTL_JOURNAL_POINTER,
            (&raw mut file).cast::<c_void>(),
        )
    };
    succeeded(code, "find the log")?;
    // SAFETY: SQLite answered with a file of its own, which lives as long as the connection. One that is not
    // open has no methods.
    let Some(log) = (unsafe { Log::of(file) }) else { return Ok(()) };
    let mut piece = vec![0; PIECE_BYTES];
    let bytes = log.bytes()?;
    let mut at = 0;
    while at < bytes {
        let length = usize::try_from(bytes - at).map_or(PIECE_BYTES, |left| left.min(PIECE_BYTES));
        log.read(&mut piece[..length], at)?;
        log.write(&piece[..length], at)?;
        at += length as i64;
    }
    log.flush()?;
    Ok(())
}

/// Keeps the connection from moving the log into the database when it is closed: the writer's connection is
/// closed for good when it failed, and what it leaves must be written again before it is moved. With `moves`
/// it does so again, as SQLite has it.
///
/// # Errors
/// The connection is gone.
#[expect(unsafe_code, reason = "SQLite has no statement for it")]
pub(super) async fn moves_log_when_closed(
    connection: &mut SqliteConnection,
    moves: bool,
) -> sqlx::Result<()> {
    let mut handle = connection.lock_handle().await?;
    let database = handle.as_raw_handle().as_ptr();
    // SAFETY: `handle` keeps the connection's thread from using the connection, which is open. This option
    // takes a number, and a place for an answer that may be nowhere.
    let code = unsafe {
        ffi::sqlite3_db_config(
            database,
            ffi::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE,
            c_int::from(!moves),
            null_mut::<c_int>(),
        )
    };
    succeeded(code, "set up the log").map_err(sqlx::Error::Io)
}

/// The open file of a log.
struct Log {
    file: *mut ffi::sqlite3_file,
    methods: *const ffi::sqlite3_io_methods,
}

#[expect(unsafe_code, reason = "the methods of SQLite's files are C functions")]
impl Log {
    /// # Safety
    /// It is a file of SQLite's, and stays that as long as this is used; nobody else uses it meanwhile.
    unsafe fn of(file: *mut ffi::sqlite3_file) -> Option<Self> {
        if file.is_null() {
            return None;
        }
        // SAFETY: the caller's word.
        let methods = unsafe { (*file).pMethods };
        (!methods.is_null()).then_some(Self { file, methods })
    }

    fn bytes(&self) -> io::Result<i64> {
        let mut bytes = 0;
        // SAFETY: see `of`; an open file has all methods.
        let code = unsafe {
            (*self.methods)
                .xFileSize
                .map_or(ffi::SQLITE_MISUSE, |size| size(self.file, &raw mut bytes))
        };
        succeeded(code, "measure the log").map(|()| bytes)
    }

    fn read(&self, to: &mut [u8], at: i64) -> io::Result<()> {
        // SAFETY: as above; the buffer is as long as it says.
        let code = unsafe {
            (*self.methods).xRead.map_or(ffi::SQLITE_MISUSE, |read| {
                read(self.file, to.as_mut_ptr().cast(), length(to), at)
            })
        };
        succeeded(code, "read the log")
    }

    fn write(&self, from: &[u8], at: i64) -> io::Result<()> {
        // SAFETY: as above.
        let code = unsafe {
            (*self.methods).xWrite.map_or(ffi::SQLITE_MISUSE, |write| {
                write(self.file, from.as_ptr().cast(), length(from), at)
            })
        };
        succeeded(code, "write the log again")
    }

    fn flush(&self) -> io::Result<()> {
        // SAFETY: as above.
        let code = unsafe {
            (*self.methods)
                .xSync
                .map_or(ffi::SQLITE_MISUSE, |sync| sync(self.file, ffi::SQLITE_SYNC_NORMAL))
        };
        succeeded(code, "flush the log")
    }
}

/// At most [`PIECE_BYTES`].
fn length(piece: &[u8]) -> c_int {
    c_int::try_from(piece.len()).unwrap_or(c_int::MAX)
}

fn succeeded(code: c_int, what: &str) -> io::Result<()> {
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(io::Error::other(format!("failed to {what}: SQLite's code {code}"))),
    }
}
