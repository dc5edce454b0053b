//! PostgreSQL: how it is reached, and what its connections are told.
//!
//! A connection is made on the runtime that the store was opened on, and its socket stays there: who
//! uses it, such as the driver's thread, needs no sockets of its own.

mod array;
mod bodies;
mod fit;
mod intake;
mod lock;
mod logs;
mod writers;

use std::fmt::Write as _;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, Postgres};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::runtime::Handle;

use super::connection::Connection;
use super::error::StoreError;
use super::options::StoreOptions;

pub(super) use array::{Arrays, Column};
pub(super) use bodies::BodyTable;
pub(super) use intake::{Bell, Intake};
pub(super) use lock::{MARK_WRITER, SessionLock};
pub(super) use logs::add as add_to_log;
pub use logs::{LogRow, LogRows};
use writers::Writers;

/// More than all statements, so that none is ever prepared twice.
const STATEMENTS_KEPT: usize = 256;
/// How long a server may take to let a connection in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How much longer this side waits than the server lets a statement run: then nobody is there.
const SILENCE_MORE: Duration = Duration::from_secs(2);
/// How long a connection that lay idle may take to say that it is well, before it is taken for dead.
const WELL_WITHIN: Duration = Duration::from_secs(1);
/// How long one that is given back may take to say so: nobody waits for it.
const BACK_WITHIN: Duration = Duration::from_secs(3);
/// How long the end waits for connections that are still used.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// What each connection is called in `pg_stat_activity`.
const APPLICATION: &str = "dispatchyard";

/// Where a database is, and how to connect to it.
pub(super) struct Server {
    connect: PgConnectOptions,
    /// Host, port and database: what people may see of it.
    name: String,
    readers_max: u32,
    read_timeout_ms: u64,
    lock_timeout_ms: u64,
    write_timeout_ms: u64,
    /// Where sockets live.
    runtime: Handle,
}

impl Server {
    /// Reads the address.
    ///
    /// # Errors
    /// [`StoreError::Address`].
    pub(super) fn new(address: &str, options: &StoreOptions) -> Result<Self, StoreError> {
        let wrong = |error: sqlx::Error| StoreError::Address { what: error.to_string() };
        let connect = address.parse::<PgConnectOptions>().map_err(wrong)?;
        let connect = match connect.get_application_name() {
            None => connect.application_name(APPLICATION),
            Some(_) => connect,
        };
        let mut name = match connect.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", connect.get_host(), connect.get_port()),
        };
        let database = connect.get_database().unwrap_or_else(|| connect.get_username());
        let _ = write!(name, "/{database}");
        Ok(Self {
            connect: connect.statement_cache_capacity(STATEMENTS_KEPT).disable_statement_logging(),
            name: format!("PostgreSQL {name}"),
            readers_max: options.readers_max.max(1),
            read_timeout_ms: options.read_timeout_ms,
            lock_timeout_ms: options.busy_timeout_ms,
            write_timeout_ms: options.write_timeout_ms,
            runtime: Handle::current(),
        })
    }

    /// What people may see of where it is.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Opens the one connection that writes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when there is no connection to be had.
    pub(super) async fn open_writer(&self) -> Result<Connection, StoreError> {
        let mut settings = format!(
            "SET synchronous_commit = on; SET statement_timeout = {write}; SET lock_timeout = {lock};
             SET idle_in_transaction_session_timeout = {write}; SET tcp_user_timeout = {write};",
            write = self.write_timeout_ms,
            lock = self.lock_timeout_ms,
        );
        settings.push_str(NOTICE_THE_DEAD);
        settings.push_str(BY_KEY_ONLY);
        let connection = self.connect_with(settings).await?;
        Ok(Connection::Postgres(connection, self.silence(self.write_timeout_ms)))
    }

    /// A pool of connections that only read.
    pub(super) fn open_readers(&self) -> PgPool {
        // This side gives a statement up first; the server's limit is for when it is gone.
        let limit_ms = self.silence(self.read_timeout_ms).as_millis();
        let settings = format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {limit_ms};
             SET idle_in_transaction_session_timeout = {limit_ms}; SET jit = off;
             SET plan_cache_mode = force_custom_plan;"
        );
        self.open_pool(self.readers_max, self.read_timeout_ms, settings)
    }

    /// A small pool of connections that write large bodies, each in a transaction of its own.
    fn open_body_writers(&self) -> Writers {
        let settings = format!(
            "SET synchronous_commit = on; SET statement_timeout = {BODY_TIMEOUT_MS};
             SET lock_timeout = {};",
            self.lock_timeout_ms
        );
        let pool = self.open_pool(BODY_WRITERS_MAX, self.read_timeout_ms, settings);
        Writers::new(pool, self.silence(BODY_TIMEOUT_MS))
    }

    /// A small pool of connections that accept deliveries, each in a transaction of its own. Whoever waits
    /// for them must not wait long.
    fn open_intake(&self) -> Writers {
        let settings = format!(
            "SET synchronous_commit = on; SET statement_timeout = {INTAKE_TIMEOUT_MS};
             SET lock_timeout = {INTAKE_TIMEOUT_MS};"
        );
        let pool = self.open_pool(INTAKE_WRITERS_MAX, INTAKE_TIMEOUT_MS, settings);
        Writers::new(pool, self.intake_silence())
    }

    /// The one connection that hears of accepted deliveries.
    fn open_listener(&self) -> PgPool {
        self.open_pool(1, INTAKE_TIMEOUT_MS, String::new())
    }

    /// How long this side waits where deliveries are accepted.
    fn intake_silence(&self) -> Duration {
        self.silence(INTAKE_TIMEOUT_MS)
    }

    /// A small pool of connections for logs, each call a transaction of its own. What is written is on the
    /// disk when it is answered, as everything else.
    fn open_logs(&self) -> PgPool {
        let mut settings = format!(
            "SET synchronous_commit = on; SET statement_timeout = {LOG_TIMEOUT_MS};
             SET lock_timeout = {LOG_TIMEOUT_MS};"
        );
        settings.push_str(BY_KEY_ONLY);
        self.open_pool(LOG_CONNECTIONS_MAX, LOG_TIMEOUT_MS, settings)
    }

    fn open_pool(&self, connections_max: u32, wait_ms: u64, settings: String) -> PgPool {
        PgPoolOptions::new()
            .max_connections(connections_max)
            .acquire_timeout(Duration::from_millis(wait_ms))
            // Asked here, and not by the pool, which would wait for ever: one that is dead must not cost
            // whoever wants another one all of his patience.
            .test_before_acquire(false)
            .before_acquire(|connection, _| {
                Box::pin(async move {
                    let well = tokio::time::timeout(WELL_WITHIN, connection.ping()).await;
                    Ok(matches!(well, Ok(Ok(()))))
                })
            })
            .after_connect(move |connection, _| {
                let settings = settings.clone();
                Box::pin(async move { tell(connection, settings).await })
            })
            .connect_lazy_with(self.connect.clone())
    }

    /// Makes a connection and tells it these settings.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    async fn connect_with(&self, settings: String) -> Result<PgConnection, StoreError> {
        let connected = self.connect_raw(settings).await;
        connected.map_err(|error| StoreError::database("connect", error))
    }

    async fn connect_raw(&self, settings: String) -> sqlx::Result<PgConnection> {
        let connect = self.connect.clone();
        let connecting = async move {
            let mut connection = connect.connect().await?;
            tell(&mut connection, settings).await?;
            Ok(connection)
        };
        let task = self.runtime.spawn(tokio::time::timeout(CONNECT_TIMEOUT, connecting));
        match task.await {
            Ok(Ok(connected)) => connected,
            Ok(Err(_)) => Err(silent(CONNECT_TIMEOUT)),
            Err(error) => Err(sqlx::Error::Protocol(error.to_string())),
        }
    }

    fn silence(&self, limit_ms: u64) -> Duration {
        Duration::from_millis(limit_ms) + SILENCE_MORE
    }
}

/// Lets the server notice soon that a client is gone, which frees its locks.
const NOTICE_THE_DEAD: &str = "SET tcp_keepalives_idle = 2; SET tcp_keepalives_interval = 1;
    SET tcp_keepalives_count = 3;";

/// Every statement of a batch finds its rows by key. The planner, asked while the tables are young and
/// empty, would scan them instead, and keep that plan while they grow to millions of rows.
const BY_KEY_ONLY: &str = "SET plan_cache_mode = force_generic_plan; SET jit = off;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;";

/// Connections that write large bodies at the same time.
const BODY_WRITERS_MAX: u32 = 2;
/// Connections that accept deliveries at the same time.
const INTAKE_WRITERS_MAX: u32 = 4;
/// How long a delivery may take to be accepted.
const INTAKE_TIMEOUT_MS: u64 = 2_500;
/// Connections that write and read logs at the same time: all calls about logs share these and no others,
/// so that however many there are, they keep neither deliveries nor batches waiting.
const LOG_CONNECTIONS_MAX: u32 = 4;
/// How long a call about a log may wait for one of them, and how long it may take then.
const LOG_TIMEOUT_MS: u64 = 5_000;
/// How long one large body may take to be written.
const BODY_TIMEOUT_MS: u64 = 30_000;

/// Nobody has answered.
fn silent(limit: Duration) -> sqlx::Error {
    let what = format!("no answer within {} ms", limit.as_millis());
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what))
}

/// Gives a connection back. The pool asks it first whether it is well, and would wait for the answer for ever,
/// with the place of the connection.
pub(super) fn give_back(connection: &mut PoolConnection<Postgres>) {
    // Elsewhere it is the pool's to do.
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(tokio::time::timeout(BACK_WITHIN, connection.return_to_pool()));
    }
}

/// Closes connections; one that does not come back, because it waits for a server that is not there any
/// more, is left to itself.
pub(super) async fn close(pool: &PgPool) {
    let _ = tokio::time::timeout(CLOSE_WITHIN, pool.close()).await;
}

/// Tells a connection its settings.
async fn tell(connection: &mut PgConnection, settings: String) -> sqlx::Result<()> {
    if !settings.is_empty() {
        sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut *connection).await?;
    }
    // Stops a statement whose client is gone. Not every system can; then it runs to its end.
    let check = "SET client_connection_check_interval = 1000";
    match sqlx::raw_sql(check).execute(&mut *connection).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
