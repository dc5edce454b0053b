//! Deliveries that are accepted beside the batches: by an instance that does not lead, or while none does.
//!
//! A statement is a transaction of its own here. Who leads is told by one notification for many, and
//! looks by himself now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::PgListener;

use super::lock::SEAT_CHANNEL;
use super::writers::Writers;
use super::{Server, WELL_WITHIN};
use crate::model::{Delivery, UniqueKey};
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::intake::News;
use crate::store::row::Row;
use crate::store::rows;
use crate::store::statement as sql;

/// Deliveries that are accepted within this time are told of together.
const RING_AFTER: Duration = Duration::from_millis(10);
/// What is sent when there is something to adopt; the message says in which schema.
const CHANNEL: &str = "dispatchyard_accepted";
const RING: &str = "SELECT pg_notify('dispatchyard_accepted', current_schema())";
/// A bell that was silent for so long is asked whether it can still ring: nobody tells it that what is
/// between it and the server has forgotten their connection.
const QUIET: Duration = Duration::from_secs(3);

/// Connections that accept, and tell of it.
#[derive(Clone)]
pub(in crate::store) struct Intake {
    server: Arc<Server>,
    writers: Writers,
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
    pub(in crate::store) fn open(server: &Arc<Server>) -> Self {
        let writers = server.open_intake();
        Self { server: Arc::clone(server), writers, ringing: Arc::default() }
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
        let accept = self.writers.execute(sql::DELIVERY_ACCEPT, |to| {
            rows::delivery::bind(delivery, to);
            to.int(key.scope as i64).text(&*key.key)
        });
        if accept.await? == 1 {
            self.ring();
            return Ok(None);
        }
        let found = self
            .writers
            .all(sql::UNIQUE_KEY_REFERENCE, |to| to.int(key.scope as i64).text(&*key.key));
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
        self.writers.all(sql::DELIVERY_TAKE_UP, |to| to.int(limit).int(epoch)).await
    }

    /// A bell of one's own.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub(in crate::store) async fn bell(&self) -> Result<Bell, StoreError> {
        let silence = self.server.intake_silence();
        let begun = async {
            // One of its own: a listener that goes away asks its connection, and waits for the answer.
            let mut listener = PgListener::connect_with(&self.server.open_listener()).await?;
            let schema = sqlx::query_scalar("SELECT current_schema()::text");
            let schema = schema.fetch_one(&mut listener).await?;
            listener.listen_all([CHANNEL, SEAT_CHANNEL]).await?;
            Ok(Bell { listener, schema })
        };
        let begun = tokio::time::timeout(silence, begun).await;
        begun.unwrap_or_else(|_| Err(super::silent(silence))).map_err(not_heard)
    }

    /// Closes the connections.
    pub(in crate::store) async fn close(&self) {
        self.writers.close().await;
    }

    /// Lets the leader know in a moment, once for all that is accepted until then.
    fn ring(&self) {
        if self.ringing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (writers, ringing) = (self.writers.clone(), Arc::clone(&self.ringing));
        tokio::spawn(async move {
            tokio::time::sleep(RING_AFTER).await;
            // What is accepted from here on is told of anew.
            ringing.store(false, Ordering::Release);
            if let Err(error) = writers.plain(RING).await {
                tracing::debug!(%error, "failed to tell of accepted deliveries");
            }
        });
    }
}

impl Bell {
    /// Waits for news, or until there may have been some while nobody could be told.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: get another one.
    pub(in crate::store) async fn rung(&mut self) -> Result<News, StoreError> {
        loop {
            let heard = tokio::time::timeout(QUIET, self.listener.try_recv()).await;
            match heard {
                Ok(Ok(Some(news))) if news.payload() != self.schema => {}
                Ok(Ok(Some(news))) if news.channel() == SEAT_CHANNEL => return Ok(News::Seat),
                Ok(Ok(Some(_))) => return Ok(News::Accepted),
                Ok(Ok(None)) => return Ok(News::Missed),
                Ok(Err(error)) => return Err(not_heard(error)),
                Err(_) => self.can_ring().await.map_err(not_heard)?,
            }
        }
    }

    async fn can_ring(&mut self) -> sqlx::Result<()> {
        let asked = tokio::time::timeout(WELL_WITHIN, self.listener.execute("SELECT 1")).await;
        asked.map_err(|_| super::silent(WELL_WITHIN))?.map(drop)
    }
}

fn not_heard(error: sqlx::Error) -> StoreError {
    StoreError::database("listen for deliveries", error)
}
