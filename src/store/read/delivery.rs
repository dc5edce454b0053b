//! Deliveries: heads for lists, the rest of one, and its bytes alone.

use std::collections::HashSet;

use bytes::Bytes;

use super::DeliveryPage;
use crate::model::{Body, DeliveryId};
use crate::store::Store;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::rows::delivery::{self as rows, DeliveryDetail, DeliveryHead};
use crate::store::statement as sql;

/// Sorts after every UUID.
const AFTER_ALL_IDS: &str = "~";
/// How many ids are read at once.
const EXTERNAL_IDS_AT_ONCE: i64 = 10_000;

/// Sorts before every id that was made at that time or later: ids begin with their time (RFC 9562, version 7).
fn first_id_at(wall_ms: i64) -> String {
    let hex = format!("{:012x}", wall_ms.clamp(0, (1 << 48) - 1));
    format!("{}-{}", &hex[..8], &hex[8..])
}

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

    /// The provider's ids of all deliveries that a source sent since then, wall milliseconds.
    ///
    /// # Errors
    /// As every read.
    pub async fn external_ids_since(
        &self,
        source: &str,
        since_ms: i64,
    ) -> Result<HashSet<Box<str>>, StoreError> {
        let first = first_id_at(since_ms);
        let mut before = AFTER_ALL_IDS.to_owned();
        let mut found = HashSet::new();
        loop {
            let mut reader = self.reader().await?;
            let rows = reader
                .all(sql::DELIVERY_EXTERNAL_IDS, |to| {
                    to.text(&*first).text(&*before).text(source).int(EXTERNAL_IDS_AT_ONCE)
                })
                .await?;
            drop(reader);
            for row in &rows {
                let mut columns = Columns::new("delivery", row);
                before = columns.text("id")?.into();
                found.insert(columns.text("external_id")?);
            }
            if (rows.len() as i64) < EXTERNAL_IDS_AT_ONCE {
                return Ok(found);
            }
        }
    }

    /// A page of the deliveries of a source that wait for something to be looked up, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub async fn planning(
        &self,
        source: &str,
        after: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<DeliveryDetail>, StoreError> {
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        let mut reader = self.reader().await?;
        let rows = reader
            .all(sql::DELIVERY_PLANNING_LIST, |to| {
                to.text(source).text(&*after).int(i64::from(limit))
            })
            .await?;
        rows.iter().map(rows::read_detail).collect()
    }

    /// Of each source how many of its deliveries wait for something to be looked up, and since when in wall
    /// milliseconds.
    ///
    /// # Errors
    /// As every read.
    pub async fn planning_counts(&self) -> Result<Vec<(Box<str>, u64, i64)>, StoreError> {
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::DELIVERY_PLANNING_COUNT, |to| to).await?;
        let count = |row: &_| {
            let mut columns = Columns::new("delivery", row);
            let source = columns.text("source")?;
            let many = columns.int("many")?.cast_unsigned();
            Ok((source, many, columns.int("since_ms")?))
        };
        rows.iter().map(count).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_by_their_time() {
        let id = |wall_ms: i64, random: u8| {
            let wall_ms = u64::try_from(wall_ms).unwrap();
            uuid::Builder::from_unix_timestamp_millis(wall_ms, &[random; 10])
                .into_uuid()
                .to_string()
        };
        let at = 1_763_712_000_000;
        assert!(first_id_at(at) <= id(at, 0));
        assert!(first_id_at(at + 1) > id(at, 255));
        assert!(first_id_at(-5) <= id(0, 0));
    }
}
