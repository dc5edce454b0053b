//! A few connections, and the calls that wait for one.
//!
//! A pool asks a connection whether it is well before and after each use: three round trips for a call
//! that is one. So a connection that somebody waits for is handed on to him, and goes back to the pool
//! when nobody does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnection, PgPool, Postgres};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::error::StoreError;

/// The connections.
#[derive(Debug)]
pub(super) struct Turns {
    pool: PgPool,
    /// One for each connection of the pool.
    turns: Semaphore,
    /// How long a call waits for its turn.
    wait: Duration,
    /// How many do.
    waiting: AtomicUsize,
    /// On their way from a call to the next one.
    handed_on: Mutex<Vec<PoolConnection<Postgres>>>,
}

/// A connection for one call.
pub(super) struct Lent<'t> {
    turns: &'t Turns,
    /// There until the value goes away.
    connection: Option<PoolConnection<Postgres>>,
    /// A call was begun and has not ended well: the connection is then closed and not kept.
    unfit: bool,
    /// Released after the connection was handed on.
    _turn: SemaphorePermit<'t>,
}

/// A call that waits, for as long as the value is there.
struct Waits<'t>(&'t AtomicUsize);

impl Turns {
    /// Over a pool of so many connections.
    pub(super) fn new(pool: PgPool, connections_max: u32, wait_ms: u64) -> Self {
        Self {
            pool,
            turns: Semaphore::new(connections_max as usize),
            wait: Duration::from_millis(wait_ms),
            waiting: AtomicUsize::new(0),
            handed_on: Mutex::default(),
        }
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it took too long, or there is no connection to be had.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let refused =
            |what: String| StoreError::Unavailable { statement: "wait for a connection", what };
        let turn = {
            let _waits = Waits::begin(&self.waiting);
            tokio::time::timeout(self.wait, self.turns.acquire()).await
        };
        let too_long =
            || format!("all connections for logs were in use for {} ms", self.wait.as_millis());
        let turn = turn.map_err(|_| refused(too_long()))?;
        let turn = turn.map_err(|_| refused("the server is stopping".into()))?;
        let connection = self.handed_on.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match connection {
            Some(connection) => connection,
            None => {
                let acquired = self.pool.acquire().await;
                acquired.map_err(|error| StoreError::database("acquire a connection", error))?
            }
        };
        Ok(Lent { turns: self, connection: Some(connection), unfit: false, _turn: turn })
    }

    /// Closes the connections.
    pub(super) async fn close(&self) {
        self.turns.close();
        self.handed_on.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.pool.close().await;
    }
}

impl Lent<'_> {
    /// To carry out a statement; until [`Lent::is_well`] nothing is known of the connection.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: it is gone, which it is not before the value is.
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.unfit = true;
        let gone =
            || StoreError::Unavailable { statement: "use a connection", what: "it is gone".into() };
        self.connection.as_deref_mut().ok_or_else(gone)
    }

    /// The call ended well.
    pub(super) fn is_well(&mut self) {
        self.unfit = false;
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.unfit {
            connection.close_on_drop();
            return;
        }
        let mut handed_on = self.turns.handed_on.lock().unwrap_or_else(PoisonError::into_inner);
        if self.turns.waiting.load(Ordering::Acquire) > 0 {
            handed_on.push(connection);
        } else {
            // With those that nobody came for, as two were handed on for one who waited.
            handed_on.clear();
        }
    }
}

impl<'t> Waits<'t> {
    fn begin(waiting: &'t AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::store::tests::schema::Schema;

    async fn backend(lent: &mut Lent<'_>) -> i32 {
        let pid = sqlx::query_scalar("SELECT pg_backend_pid()");
        let pid = pid.fetch_one(lent.connection().unwrap()).await.unwrap();
        lent.is_well();
        pid
    }

    #[tokio::test]
    async fn who_waits_gets_the_connection_of_the_call_before_and_none_that_failed() {
        let schema = Schema::new().await;
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy(&schema.url()).unwrap();
        let turns = Turns::new(pool, 1, 20_000);
        let mut first = turns.lend().await.unwrap();
        let before = backend(&mut first).await;
        let (mut second, ()) = tokio::join!(async { turns.lend().await.unwrap() }, async {
            assert_eq!(turns.waiting.load(Ordering::Acquire), 1);
            drop(first);
            assert_eq!(turns.handed_on.lock().unwrap().len(), 1);
        });
        assert_eq!(backend(&mut second).await, before);
        second.connection().unwrap();
        drop(second);
        let mut third = turns.lend().await.unwrap();
        assert_ne!(backend(&mut third).await, before);
        drop(third);
        assert_eq!(turns.handed_on.lock().unwrap().len(), 0, "nobody waits");
        turns.close().await;
        assert!(matches!(turns.lend().await, Err(StoreError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn a_call_does_not_wait_for_ever() {
        let schema = Schema::new().await;
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy(&schema.url()).unwrap();
        let turns = Turns::new(pool, 1, 10);
        let held = turns.lend().await.unwrap();
        let error = turns.lend().await.map(drop).unwrap_err();
        assert!(error.to_string().contains("in use for 10 ms"), "{error}");
        drop(held);
    }
}
