//! Whether a server can keep what is promised, asked once at start. Each refusal says what to do.

use std::io::ErrorKind;

use sqlx::Row as _;
use sqlx::migrate::MigrateError;
use sqlx::postgres::PgConnection;

use super::Server;
use crate::store::error::StoreError;

/// The first PostgreSQL that will do, as the server numbers itself, and as people do.
const VERSION_MIN: (i64, &str) = (150_000, "15");

impl Server {
    /// Connects for the first time, and looks who answers.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`], [`StoreError::Unfit`].
    pub(in crate::store) async fn first_connection(&self) -> Result<PgConnection, StoreError> {
        // Migrations remark on tables that are there already.
        let settings = "SET client_min_messages = warning".to_owned();
        let connected = self.connect_raw(settings).await;
        let mut connection = connected.map_err(|error| self.unreachable(&error))?;
        self.assert_settings(&mut connection).await?;
        self.assert_direct(&mut connection).await?;
        Ok(connection)
    }

    async fn assert_settings(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        // A simple query: behind a proxy that takes connections apart prepared ones fail in odd ways,
        // and that shall be found by name.
        let query = "SELECT current_setting('server_version_num')::int8 AS number, \
                     current_setting('server_version') AS version, \
                     current_setting('fsync') AS fsync, pg_is_in_recovery() AS is_copy";
        let failed = |error| StoreError::database("ask for the server's version", error);
        let row = sqlx::raw_sql(query).fetch_one(connection).await.map_err(failed)?;
        let number: i64 = row.try_get("number").map_err(failed)?;
        let version: String = row.try_get("version").map_err(failed)?;
        let fsync: String = row.try_get("fsync").map_err(failed)?;
        let is_copy: bool = row.try_get("is_copy").map_err(failed)?;
        if number < VERSION_MIN.0 {
            let what = format!("it is version {version}, and {} is needed", VERSION_MIN.1);
            return Err(self.unfit(what, "bring the server up to PostgreSQL 15 or later"));
        }
        if fsync != "on" {
            let what =
                format!("fsync is {fsync}, so a power loss would lose what was acknowledged");
            return Err(self.unfit(what, "set fsync = on in its postgresql.conf and restart it"));
        }
        if is_copy {
            let what = "it is a read-only copy of another server".to_owned();
            return Err(self.unfit(what, "name the primary server in `url` of [database]"));
        }
        Ok(())
    }

    /// Refuses a proxy that gives each transaction another connection: then locks, settings and
    /// prepared statements belong to somebody else a moment later.
    ///
    /// Such a proxy hands out the connection that came back last. So between two transactions of
    /// ours a second client begins one: it gets ours, or ours is another afterwards.
    async fn assert_direct(&self, connection: &mut PgConnection) -> Result<(), StoreError> {
        let second = self.connect_raw(String::new()).await;
        let mut second = second.map_err(|error| self.unreachable(&error))?;
        let before = backend_pid(connection, "SELECT pg_backend_pid()").await?;
        let other = backend_pid(&mut second, "BEGIN; SELECT pg_backend_pid()").await?;
        // Where both are one, ours would wait for the other's end.
        let mut after = before;
        if other != before {
            after = backend_pid(connection, "SELECT pg_backend_pid()").await?;
        }
        drop(second);
        if is_direct(before, other, after) {
            return Ok(());
        }
        let what =
            "a proxy in front of it pools transactions (PgBouncer's `pool_mode = transaction`)";
        Err(self.unfit(what.to_owned(), "connect to the server itself, or let it pool sessions"))
    }

    /// Why the schema could not be brought up to date: also by the server's fault, with what to do.
    pub(in crate::store) fn unmigrated(&self, error: StoreError) -> StoreError {
        let code = match &error {
            StoreError::Migration(
                MigrateError::Execute(sqlx::Error::Database(error))
                | MigrateError::ExecuteMigration(sqlx::Error::Database(error), _),
            ) => error.code(),
            _ => None,
        };
        // Insufficient privilege; no schema that could be written to.
        if !matches!(code.as_deref(), Some("42501" | "3F000")) {
            return error;
        }
        let what = "its user may not make tables there".to_owned();
        self.unfit(what, "let it own the database, or GRANT CREATE ON SCHEMA public TO that user")
    }

    fn unfit(&self, what: String, advice: &'static str) -> StoreError {
        StoreError::Unfit { database: self.name.clone(), what, advice }
    }

    fn unreachable(&self, error: &sqlx::Error) -> StoreError {
        let (what, advice) = match error {
            sqlx::Error::Database(error) => {
                let what = error.message().to_owned();
                (what, advice_for(error.code().as_deref().unwrap_or_default()))
            }
            sqlx::Error::Io(error) => (error.to_string(), advice_for_io(error.kind())),
            sqlx::Error::Tls(error) => {
                (error.to_string(), "check `sslmode` and `sslrootcert` in `url` of [database]")
            }
            other => (other.to_string(), "check `url` in [database]"),
        };
        StoreError::Unreachable { database: self.name.clone(), what, advice }
    }
}

const RUNNING: &str = "is it running, and are host and port in `url` of [database] right?";

fn advice_for(code: &str) -> &'static str {
    match code {
        "28P01" | "28000" => {
            "check user and password in `url` of [database], or in PGUSER and PGPASSWORD, and the \
             server's pg_hba.conf"
        }
        "3D000" => "make the database with `createdb`, or name another one in `url` of [database]",
        "53300" => "let the server have more connections: max_connections in its postgresql.conf",
        "57P03" => "wait until it has started",
        _ => "check `url` in [database]",
    }
}

fn advice_for_io(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::PermissionDenied => "let this user use the server's socket",
        _ => RUNNING,
    }
}

async fn backend_pid(
    connection: &mut PgConnection,
    query: &'static str,
) -> Result<i32, StoreError> {
    let failed = |error| StoreError::database("ask for the backend's number", error);
    let rows = sqlx::raw_sql(query).fetch_all(connection).await.map_err(failed)?;
    let row = rows.first().ok_or_else(|| failed(sqlx::Error::RowNotFound))?;
    row.try_get(0).map_err(failed)
}

/// Whether two clients had a backend each, and the first kept its own.
fn is_direct(before: i32, other: i32, after: i32) -> bool {
    before != other && before == after
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_that_pools_transactions_shows_by_its_backends() {
        assert!(is_direct(1, 2, 1));
        assert!(!is_direct(1, 1, 1), "two clients have one backend");
        assert!(!is_direct(1, 2, 3), "a client's backend has changed");
    }
}
