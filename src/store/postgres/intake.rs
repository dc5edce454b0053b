//! Deliveries that are accepted beside the batches: by an instance that does not lead, or while none does.
//!
//! A statement is a transaction of its own here. Who leads is told by one notification for many, and
//! looks by himself now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPool};

use super::Server;
use super::lock::SEAT_CHANNEL;
use crate::model::{Delivery, UniqueKey};
use crate::store::bind::{Arguments, Bind};
use crate::store::columns::Columns;
use crate::store::connection::Kind;
use crate::store::error::StoreError;
use crate::store::intake::News;
use crate::store::row::Row;
use crate::store::rows;
use crate::store::statement::{self as sql, Sql};

/// Deliveries that are accepted within this time are told of together.
const RING_AFTER: Duration = Duration::from_millis(10);
/// What is sent when there is something to adopt; the message says in which schema.
const CHANNEL: &str = "dispatchyard_accepted";
const RING: &str = "SELECT pg_notify('dispatchyard_accepted', current_schema())";

/// Connections that accept, and tell of it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Intake {
    writers: PgPool,
    /// Somebody is about to ring.
    ringing: Arc<AtomicBool>,
}

/// Rings when deliveries were accepted, or the seat was given up or taken, by whomever.
pub(in crate::store) struct Bell {
    listener: PgListener,
    schema: String,
}

impl Intake {
    /// Connects when it is first needed.
    pub(in crate::store) fn open(server: &Server) -> Self {
        Self { writers: server.open_intake(), ringing: Arc::default() }
    }

    /// Stores a delivery unless its key was claimed before; the text that stands for the first one then.
    ///
    /// # Errors
    /// [`StoreError::Data`], [`StoreError::Unavailable`].
    pub(in crate::store) async fn accept(
        &self,
        delivery: &Delivery,
        key: &UniqueKey,
    ) -> Result<Option<Box<str>>, StoreError> {
        let accept = self.execute(sql::DELIVERY_ACCEPT, |to| {
            rows::delivery::bind(delivery, to);
            to.int(key.scope as i64).text(&*key.key)
        });
        if accept.await? == 1 {
            self.ring();
            return Ok(None);
        }
        let found =
            self.all(sql::UNIQUE_KEY_REFERENCE, |to| to.int(key.scope as i64).text(&*key.key));
        let found = found.await?;
        // The claim that was in the way may have been given up since.
        let row = found.first().ok_or_else(|| StoreError::Unavailable {
            statement: sql::UNIQUE_KEY_REFERENCE.name,
            what: "its key was claimed, and is not any more".into(),
        })?;
        Columns::new("unique_key", row).text("reference").map(Some)
    }

    /// Takes up deliveries that wait, oldest first, and counts that.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn take_up(
        &self,
        limit: i64,
        epoch: i64,
    ) -> Result<Vec<Row>, StoreError> {
        self.all(sql::DELIVERY_TAKE_UP, |to| to.int(limit).int(epoch)).await
    }

    /// A bell of one's own.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn bell(&self) -> Result<Bell, StoreError> {
        let failed = |error| StoreError::database("listen for deliveries", error);
        let schema = sqlx::query_scalar("SELECT current_schema()::text");
        let schema = schema.fetch_one(&self.writers).await.map_err(failed)?;
        let mut listener = PgListener::connect_with(&self.writers).await.map_err(failed)?;
        listener.listen_all([CHANNEL, SEAT_CHANNEL]).await.map_err(failed)?;
        Ok(Bell { listener, schema })
    }

    /// Closes the connections.
    pub(in crate::store) async fn close(&self) {
        // One that is listened on comes back when its listener is dropped, which need not be now.
        let _ = tokio::time::timeout(RING_AFTER * 10, self.writers.close()).await;
    }

    /// Lets the leader know in a moment, once for all that is accepted until then.
    fn ring(&self) {
        if self.ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        let Self { writers, ringing } = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RING_AFTER).await;
            // What is accepted from here on is told of anew.
            ringing.store(false, Ordering::Release);
            if let Err(error) = sqlx::raw_sql(RING).execute(&writers).await {
                tracing::debug!(%error, "failed to tell of accepted deliveries");
            }
        });
    }

    async fn execute(
        &self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<u64, StoreError> {
        let Arguments::Postgres(arguments) = bound(statement, bind)? else { return Ok(0) };
        let query = sqlx::query_with(statement.text(Kind::Postgres), arguments);
        let done = query.execute(&self.writers).await;
        done.map(|done| done.rows_affected())
            .map_err(|error| StoreError::database(statement.name, error))
    }

    async fn all(
        &self,
        statement: Sql,
        bind: impl FnOnce(&mut Bind) -> &mut Bind,
    ) -> Result<Vec<Row>, StoreError> {
        let Arguments::Postgres(arguments) = bound(statement, bind)? else { return Ok(Vec::new()) };
        let query = sqlx::query_with(statement.text(Kind::Postgres), arguments);
        let rows = query.fetch_all(&self.writers).await;
        let rows = rows.map_err(|error| StoreError::database(statement.name, error))?;
        Ok(rows.into_iter().map(Row::Postgres).collect())
    }
}

impl Bell {
    /// Waits for news, or until there may have been some while nobody could be told.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: get another one.
    pub(in crate::store) async fn rung(&mut self) -> Result<News, StoreError> {
        loop {
            match self.listener.try_recv().await {
                Ok(Some(news)) if news.payload() != self.schema => {}
                Ok(Some(news)) if news.channel() == SEAT_CHANNEL => return Ok(News::Seat),
                Ok(Some(_)) => return Ok(News::Accepted),
                Ok(None) => return Ok(News::Missed),
                Err(error) => return Err(StoreError::database("listen for deliveries", error)),
            }
        }
    }
}

fn bound(
    statement: Sql,
    bind: impl FnOnce(&mut Bind) -> &mut Bind,
) -> Result<Arguments, StoreError> {
    let mut values = Bind::one(Kind::Postgres);
    bind(&mut values);
    values.finish(statement.name)
}
