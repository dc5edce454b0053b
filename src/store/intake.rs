//! Deliveries that are accepted where nobody decides what becomes of them, and taken up by whoever leads.
//!
//! Only where several servers share a database: elsewhere the one that accepts decides at once, and both
//! are one commit.

use super::Store;
use super::error::StoreError;
use super::postgres::{Bell, Intake};
use super::rows::delivery::{self as rows, DeliveryDetail};
use crate::model::{Delivery, DeliveryId, UniqueKey};

/// What servers that share a database tell each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum News {
    /// There are deliveries to take up.
    Accepted,
    /// The seat was given up, or somebody has taken it.
    Seat,
    /// Anything, while nobody could be told.
    Missed,
}

/// Rings when deliveries were accepted by an instance that does not lead, or when another one does.
pub struct NewsBell(Bell);

impl NewsBell {
    /// Waits for news.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: get another one.
    pub async fn rung(&mut self) -> Result<News, StoreError> {
        self.0.rung().await
    }
}

impl Store {
    /// Whether several servers can share the database.
    pub fn is_shared(&self) -> bool {
        self.intake.is_some()
    }

    /// Stores a delivery as it is, durably, and lets the leader know; the first one with its key, where
    /// there was one before. Run it in a task of its own: a request that goes away must not cut it short.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; it is then not known whether it was stored, and its key tells.
    pub async fn accept(
        &self,
        delivery: &Delivery,
        key: &UniqueKey,
    ) -> Result<DeliveryId, StoreError> {
        let Some(first) = self.intake()?.accept(delivery, key).await? else {
            return Ok(delivery.id);
        };
        first.parse().map_err(|_| StoreError::Corrupt {
            table: "unique_key",
            column: "reference",
            row: key.key.to_string(),
            what: format!("`{first}` is no delivery"),
        })
    }

    /// Takes up to `limit` deliveries that were accepted and not decided, oldest first, and counts that
    /// before it returns, so that one which ends the process is known by it. None when the epoch is no
    /// longer that one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn take_up(&self, limit: u32, epoch: i64) -> Result<Vec<DeliveryDetail>, StoreError> {
        let rows = self.intake()?.take_up(i64::from(limit), epoch).await?;
        let mut taken = rows.iter().map(rows::read_detail).collect::<Result<Vec<_>, _>>()?;
        taken.sort_unstable_by_key(|it| it.head.id);
        Ok(taken)
    }

    /// A bell that rings when there is something to take up, or to know of the seat.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn news_bell(&self) -> Result<NewsBell, StoreError> {
        self.intake()?.bell().await.map(NewsBell)
    }

    fn intake(&self) -> Result<&Intake, StoreError> {
        self.intake.as_ref().ok_or(StoreError::NotLeading)
    }
}
