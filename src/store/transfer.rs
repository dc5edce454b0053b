//! From a SQLite database to an empty PostgreSQL one, row by row and without loss.
//!
//! Tables and columns of both have the same names and meanings (a test compares them), so a row is copied
//! as it is, all of them in one transaction, and with them the logs, which were files. Large bodies become
//! rows of `body` before that. The statements are made of the schema's own names, the only ones of the store
//! that no file holds.

use std::path::{Path, PathBuf};

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokio::io::AsyncReadExt as _;

use super::backup::leave_out_epochs;
use super::bind::{Arguments, Bind};
use super::bodies::Bodies;
use super::connection::{BEGIN_BATCH, COMMIT, Connection, Kind};
use super::error::StoreError;
use super::files::BodyFolder;
use super::flock::FileLock;
use super::postgres::{Column, add_to_log};
use super::statement as sql;
use super::{Store, Writer, schema};
use crate::model::JobId;

/// Rows in one statement; one of them can hold a body.
const ROWS_AT_ONCE: usize = 250;

/// Bytes of a log in one statement.
const LOG_BYTES_AT_ONCE: u64 = 262_144;

/// A transfer takes as long as it takes.
const PATIENT: &str = "SET LOCAL statement_timeout = '10min'; \
     SET LOCAL idle_in_transaction_session_timeout = '10min'";

/// The log of an attempt, as a file.
#[derive(Clone, Debug)]
pub struct LogFile {
    /// Whose.
    pub job_id: JobId,
    /// Of which try.
    pub attempt: u32,
    /// Where it is.
    pub path: PathBuf,
    /// How many bytes of it the job wrote; what follows says that the rest is missing.
    pub kept_bytes: u64,
    /// Whether it takes no more.
    pub sealed: bool,
}

/// A table, as PostgreSQL has it.
struct Table {
    name: String,
    columns: Vec<(String, Column)>,
}

impl Store {
    /// Copies everything out of a SQLite database that no server uses into this one, which must be a
    /// PostgreSQL that never had anything, and returns how many rows there were. `bodies` is the folder
    /// of large bodies, `logs` are all logs. Tokens of the original are not given again. The writer must
    /// not have loaded.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when a server has the file, [`StoreError::File`] when it, a body or a log is not
    /// there, [`StoreError::Data`] when this database is not empty, [`StoreError::SchemaNewer`], or what
    /// either database could not do. Then nothing is copied, but perhaps some bodies, which are swept.
    pub async fn import(
        &self,
        writer: &Writer,
        from: &Path,
        bodies: &Path,
        logs: &[LogFile],
    ) -> Result<u64, StoreError> {
        if !from.exists() {
            return Err(StoreError::file(from, std::io::ErrorKind::NotFound.into()));
        }
        let (_lock, path) = FileLock::take(from)?;
        let mut original = open(&path).await?;
        // The tables are then those of this program, whoever made the file.
        schema::migrate_sqlite(&mut original).await?;
        self.import_bodies(&mut original, bodies).await?;
        let mut connection = writer.database.open_writer().await?;
        connection.session().plain(BEGIN_BATCH).await?;
        let Connection::Postgres(to, _) = &mut connection else {
            return Err(refused("only a PostgreSQL database can take one over"));
        };
        sqlx::raw_sql(PATIENT).execute(&mut *to).await.map_err(failed)?;
        let loads: i64 = sqlx::query_scalar("SELECT epoch FROM leader WHERE id = 1 FOR UPDATE")
            .fetch_one(&mut *to)
            .await
            .map_err(failed)?;
        if loads != 0 {
            return Err(refused("it is not empty: a server has used it; name another database"));
        }
        let mut copied = 0;
        for table in tables(to).await? {
            copied += copy(&mut original, to, &table).await?;
        }
        let next = "SELECT setval(pg_get_serial_sequence('record', 'seq'), max(seq)) FROM record; \
                    SELECT setval(pg_get_serial_sequence('outbox', 'id'), max(id)) FROM outbox";
        sqlx::raw_sql(next).execute(&mut *to).await.map_err(failed)?;
        for log in logs {
            copy_log(&mut connection, log).await?;
        }
        leave_out_epochs(&mut connection).await?;
        connection.session().plain(COMMIT).await?;
        connection.close().await?;
        original.close().await.map_err(failed)?;
        Ok(copied)
    }

    async fn import_bodies(
        &self,
        original: &mut SqliteConnection,
        bodies: &Path,
    ) -> Result<(), StoreError> {
        let Bodies::Table(table) = &self.bodies else { return Ok(()) };
        let query = "SELECT DISTINCT body_file FROM delivery WHERE body_file IS NOT NULL";
        let names: Vec<String> =
            sqlx::query_scalar(query).fetch_all(original).await.map_err(failed)?;
        let folder = BodyFolder::open(bodies)?;
        for name in names {
            table.write(&name, &folder.read(&name).await?).await?;
        }
        Ok(())
    }
}

/// The tables that both databases have.
async fn tables(from: &mut PgConnection) -> Result<Vec<Table>, StoreError> {
    let query = "SELECT c.table_name::text, c.column_name::text, c.data_type::text
         FROM information_schema.columns AS c
         JOIN information_schema.tables AS t USING (table_schema, table_name)
         WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'
             AND c.table_name NOT IN (
                 '_sqlx_migrations', 'body', 'instance', 'job_log', 'job_log_chunk', 'leadership'
             )
         ORDER BY c.table_name, c.ordinal_position";
    let columns: Vec<(String, String, String)> =
        sqlx::query_as(query).fetch_all(from).await.map_err(failed)?;
    let mut tables: Vec<Table> = Vec::new();
    for (table, name, data_type) in columns {
        let column = match data_type.as_str() {
            "bigint" => Column::Int,
            "text" => Column::Text,
            _ => Column::Bytes,
        };
        match tables.last_mut().filter(|last| last.name == table) {
            Some(last) => last.columns.push((name, column)),
            None => tables.push(Table { name: table, columns: vec![(name, column)] }),
        }
    }
    Ok(tables)
}

/// Copies one table, in place of the rows that a new one begins with.
async fn copy(
    from: &mut SqliteConnection,
    to: &mut PgConnection,
    table: &Table,
) -> Result<u64, StoreError> {
    let name = &table.name;
    let quoted = table.columns.iter().map(|(column, _)| format!("\"{column}\""));
    let columns = quoted.collect::<Vec<_>>().join(", ");
    let types =
        (1..).zip(&table.columns).map(|(at, (_, it))| format!("${at}::{}", it.array_type()));
    let arrays = types.collect::<Vec<_>>().join(", ");
    let insert = format!("INSERT INTO \"{name}\" ({columns}) SELECT * FROM UNNEST({arrays})");
    let delete = AssertSqlSafe(format!("DELETE FROM \"{name}\""));
    sqlx::raw_sql(delete).execute(&mut *to).await.map_err(failed)?;
    let select = AssertSqlSafe(format!("SELECT {columns} FROM \"{name}\""));
    let mut rows = sqlx::raw_sql(select).fetch(from);
    let (mut some, mut copied) = (Vec::with_capacity(ROWS_AT_ONCE), 0);
    loop {
        let row = rows.try_next().await.map_err(failed)?;
        let last = row.is_none();
        some.extend(row);
        if some.len() == ROWS_AT_ONCE || (last && !some.is_empty()) {
            let query = sqlx::query_with(AssertSqlSafe(insert.clone()), arguments(table, &some)?);
            copied += query.execute(&mut *to).await.map_err(failed)?.rows_affected();
            some.clear();
        }
        if last {
            return Ok(copied);
        }
    }
}

/// Copies one log, byte by byte as it is.
async fn copy_log(to: &mut Connection, log: &LogFile) -> Result<(), StoreError> {
    let fault = |error| StoreError::file(&log.path, error);
    let mut file = tokio::fs::File::open(&log.path).await.map_err(fault)?;
    let (key, mut log_bytes) = ((log.job_id, log.attempt), 0);
    loop {
        let mut bytes = Vec::new();
        let mut part = (&mut file).take(LOG_BYTES_AT_ONCE);
        let end = log_bytes + part.read_to_end(&mut bytes).await.map_err(fault)? as u64;
        if end == log_bytes {
            break;
        }
        let kept_bytes = end.min(log.kept_bytes);
        if !add_to_log(to.session(), key, log_bytes, kept_bytes, &bytes).await? {
            return Err(refused("it has the log of another job already"));
        }
        log_bytes = end;
    }
    if log.sealed {
        let sealed = to
            .session()
            .all(sql::JOB_LOG_SEAL, |to| to.int(log.job_id.0).int(i64::from(log.attempt)));
        sealed.await?;
    }
    Ok(())
}

fn arguments(table: &Table, rows: &[SqliteRow]) -> Result<sqlx::postgres::PgArguments, StoreError> {
    let letters: String = table.columns.iter().map(|(_, column)| column.letter()).collect();
    let mut values = Bind::rows(Kind::Postgres, &letters, rows.len());
    for row in rows {
        for (at, (_, column)) in table.columns.iter().enumerate() {
            match column {
                Column::Int => values.int(row.try_get::<Option<i64>, _>(at).map_err(failed)?),
                Column::Text => values.text(row.try_get::<Option<&str>, _>(at).map_err(failed)?),
                Column::Bytes => values.bytes(row.try_get::<Option<&[u8]>, _>(at).map_err(failed)?),
            };
        }
    }
    match values.finish("import")? {
        Arguments::Postgres(arguments) => Ok(arguments),
        Arguments::Sqlite(_) => Err(refused("only a PostgreSQL database can take one over")),
    }
}

async fn open(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
    options.connect().await.map_err(failed)
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::database("import", error)
}

fn refused(what: &str) -> StoreError {
    StoreError::Data { statement: "import", what: what.to_owned() }
}
