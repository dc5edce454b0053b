//! Deliveries: heads for lists, the rest of one, and its bytes alone.

use bytes::Bytes;

use super::DeliveryPage;
use crate::model::{Body, DeliveryId};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::rows::delivery::{self as rows, DeliveryDetail, DeliveryHead};
use crate::store::statement as sql;

/// Sorts after every UUID.
const AFTER_ALL_IDS: &str = "~";

impl Store {
    /// A page of deliveries, newest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::ReadTimeout`] or [`StoreError::Unavailable`], as
    /// every read.
    pub async fn deliveries(&self, page: DeliveryPage) -> Result<Vec<DeliveryHead>, StoreError> {
        let before = page.before.map_or_else(|| AFTER_ALL_IDS.to_owned(), |id| id.to_string());
        let mut reader = self.reader().await?;
        let (limit, tenant) = (page.rows(), page.tenant.map(|id| id.0));
        let rows = match page.state {
            None => {
                reader
                    .all(sql::DELIVERY_LIST, |to| to.text(&*before).int(limit).int(tenant))
                    .await?
            }
            Some(state) => {
                let state = state as i64;
                reader
                    .all(sql::DELIVERY_LIST_BY_STATE, |to| {
                        to.text(&*before).int(limit).int(state).int(tenant)
                    })
                    .await?
            }
        };
        rows.iter().map(rows::read_head).collect()
    }

    /// One delivery without the bytes of its body.
    ///
    /// # Errors
    /// As every read.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::DELIVERY_SELECT, |to| to.text(&*id.to_string())).await?;
        row.as_ref().map(rows::read_detail).transpose()
    }

    /// The body of a delivery, byte for byte, from its row or its file; `None` when there is no such
    /// delivery, or when its body was pruned.
    ///
    /// # Errors
    /// As every read; [`StoreError::File`] when the file is gone.
    pub async fn delivery_body(&self, id: DeliveryId) -> Result<Option<Bytes>, StoreError> {
        let mut reader = self.reader().await?;
        let row = reader.first(sql::DELIVERY_BODY, |to| to.text(&*id.to_string())).await?;
        drop(reader);
        match row.as_ref().map(rows::read_body).transpose()?.flatten() {
            None => Ok(None),
            Some(Body::Inline(bytes)) => Ok(Some(bytes)),
            Some(Body::Spilled { file, .. }) => self.read_body(&file).await.map(Some),
        }
    }
}
