//! What can go wrong in the store, sorted by what the caller does about it.

use std::io;
use std::path::PathBuf;

use sqlx::postgres::PgDatabaseError;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the database. Give up, or be given another one.
    #[error(
        "database {database} is in use: {holder}; stop that server, or start this one with \
         {instead} of its own"
    )]
    InUse {
        /// Which database.
        database: String,
        /// Who has it.
        holder: String,
        /// What another server needs to stand beside it.
        instead: &'static str,
    },
    /// The address of the database cannot be one. Its text is not repeated: a password may be in it.
    #[error("the address of the database, `url` in [database], cannot be used: {what}")]
    Address {
        /// What is wrong with it.
        what: String,
    },
    /// The database server does not let us in, or nobody is there.
    #[error("failed to connect to {database}: {what}; {advice}")]
    Unreachable {
        /// Which database.
        database: String,
        /// What the server, the driver or the operating system said.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// The database server cannot keep what is promised: it is too old, does not flush, is a copy, or
    /// is behind something that takes its connections apart.
    #[error("{database} cannot be used: {what}; {advice}")]
    Unfit {
        /// Which database.
        database: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        advice: &'static str,
    },
    /// The SQLite library has known bugs that lose data.
    #[error("SQLite {found} can corrupt a write-ahead log; build with SQLite {needed} or later")]
    TooOld {
        /// The version of the library in this process.
        found: String,
        /// The first one that will do.
        needed: &'static str,
    },
    /// The database was made by a later version of this program.
    #[error(
        "the database has schema version {found} and this program knows {known}; start the \
         version that made it, or a later one"
    )]
    SchemaNewer {
        /// The database's version.
        found: i64,
        /// The last one that this program knows.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("failed to migrate the database: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database does not do what was asked of it.
    #[error("{setting} is `{found}` where `{wanted}` is needed; is the file system a local one?")]
    Setting {
        /// What was set.
        setting: &'static str,
        /// The value that it must have.
        wanted: &'static str,
        /// The value that it has.
        found: String,
    },
    /// A file or folder of the store cannot be used.
    #[error("failed to use {}: {source}", .path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another instance leads, or none does: wait until this one has the seat.
    #[error("this instance does not lead: it may not write")]
    NotLeading,
    /// Another writer has raised the epoch: step down. Nothing of the batch was written.
    #[error("the epoch was raised by another writer; this one must load before it writes again")]
    Fenced,
    /// The batch has a culprit: a value or a reference that the schema refuses. Nothing of the
    /// batch was written.
    #[error("statement `{statement}` was refused: {what}")]
    Data {
        /// Which statement.
        statement: &'static str,
        /// What was refused, and why.
        what: String,
    },
    /// A row holds what this program would never have written.
    #[error("corrupt row: table `{table}`, column `{column}`, row {row}: {what}")]
    Corrupt {
        /// The table, or the view over it.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The key of the row.
        row: String,
        /// What is wrong with the value.
        what: String,
    },
    /// The database could not do it, or it is unknown whether it did: load, then look. The writer
    /// answers this to everything until it has loaded.
    #[error("the database is unavailable at `{statement}`: {what}")]
    Unavailable {
        /// Which statement.
        statement: &'static str,
        /// What the database or its driver said.
        what: String,
    },
    /// A read took longer than it may; it was interrupted.
    #[error("reading `{read}` took longer than {limit_ms} ms; ask for less")]
    ReadTimeout {
        /// What was read.
        read: &'static str,
        /// The bound.
        limit_ms: u64,
    },
}

/// PostgreSQL's classes of errors that blame the values: data exceptions, constraints, and limits such
/// as that of an index. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const CULPRIT_CLASSES: [&str; 3] = ["22", "23", "54"];

/// SQLite's primary result codes that blame the values of a statement and not the database:
/// TOOBIG, CONSTRAINT, MISMATCH and RANGE. <https://www.sqlite.org/rescode.html>
const CULPRIT_CODES: [i32; 4] = [18, 19, 20, 25];

impl StoreError {
    /// Whether one command of the batch is to blame, so that the others can be applied without it.
    pub fn is_data(&self) -> bool {
        matches!(self, Self::Data { .. })
    }

    /// Sorts what the driver said about a statement.
    #[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` has in hand")]
    pub(super) fn database(statement: &'static str, error: sqlx::Error) -> Self {
        let culprit = match &error {
            sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => CULPRIT_CLASSES.iter().any(|class| error.code().starts_with(class)),
                None => error
                    .code()
                    .and_then(|code| code.parse::<i32>().ok())
                    // The extended code keeps the primary one in its lowest byte.
                    .is_some_and(|code| CULPRIT_CODES.contains(&(code & 0xff))),
            },
            sqlx::Error::Encode(_) => true,
            _ => false,
        };
        let what = error.to_string();
        if culprit { Self::Data { statement, what } } else { Self::Unavailable { statement, what } }
    }

    /// The writer's connection is gone: it must load first.
    pub(super) fn not_loaded(statement: &'static str) -> Self {
        Self::Unavailable { statement, what: "the writer must load first".into() }
    }

    /// A file that cannot be used.
    pub(super) fn file(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::File { path: path.into(), source }
    }
}
