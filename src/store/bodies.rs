//! Large bodies, beside the batches.
//!
//! SQLite has one write lock, and PostgreSQL's batches follow one another too, so a large row would
//! stall every state change behind it. A body over the inline limit is therefore made durable before
//! the batch, and the batch stores its name: with SQLite as a file, with PostgreSQL as a row of `body`,
//! where every server finds it. One whose delivery was never committed is an orphan and is swept later.

use std::collections::HashSet;

use bytes::Bytes;

use super::Store;
use super::columns::Columns;
use super::error::StoreError;
use super::files::BodyFolder;
use super::planted::Point;
use super::postgres::BodyTable;
use super::statement as sql;
use crate::model::{Body, DeliveryId};

/// Names asked about in one read of a sweep.
const SWEEP_NAMES_MAX: usize = 500;

/// Where large bodies are.
#[derive(Clone, Debug)]
pub(super) enum Bodies {
    Folder(BodyFolder),
    Table(BodyTable),
}

impl Bodies {
    /// Waits for what is being written.
    pub(super) async fn close(&self) {
        if let Self::Table(table) = self {
            table.close().await;
        }
    }
}

impl Store {
    /// Makes a large body durable, so that the delivery that names it can be committed. Run it in a
    /// task of its own: a request that goes away must not cut it short.
    ///
    /// # Errors
    /// [`StoreError::File`] or [`StoreError::Unavailable`]; no delivery may name the body then.
    pub async fn write_body(&self, id: DeliveryId, body: Bytes) -> Result<Body, StoreError> {
        let name = name_of(id);
        let bytes = body.len() as u64;
        self.planted.at(Point::Body)?;
        match &self.bodies {
            Bodies::Folder(folder) => folder.write(&name, body).await?,
            Bodies::Table(table) => table.write(&name, &body).await?,
        }
        self.planted.at(Point::BodyKept)?;
        Ok(Body::Spilled { file: name.into(), bytes })
    }

    /// Removes the body of a delivery that was not stored. What cannot be removed is left to
    /// [`Store::sweep_orphans`].
    pub async fn remove_body(&self, id: DeliveryId) {
        if self.planted.at(Point::BodyRemoved).is_err() {
            return;
        }
        let name = name_of(id);
        let _ = match &self.bodies {
            Bodies::Folder(folder) => folder.remove(&name).await,
            Bodies::Table(table) => table.remove(&name).await,
        };
    }

    /// Removes bodies that deliveries named before they were pruned. One that another delivery names
    /// stays, and what cannot be removed is left to [`Store::sweep_orphans`].
    ///
    /// # Errors
    /// What a read can fail with.
    pub async fn remove_pruned_bodies(&self, names: &[String]) -> Result<(), StoreError> {
        for names in names.chunks(SWEEP_NAMES_MAX) {
            let named = self.named_files(names).await?;
            for name in names.iter().filter(|name| !named.contains(*name)) {
                let _ = match &self.bodies {
                    Bodies::Folder(folder) => folder.remove(name).await,
                    Bodies::Table(table) => table.remove(name).await,
                };
            }
        }
        Ok(())
    }

    /// The bytes of a large body.
    ///
    /// # Errors
    /// [`StoreError::File`], or [`StoreError::Corrupt`] when its row is gone.
    pub(super) async fn read_body(&self, name: &str) -> Result<Bytes, StoreError> {
        match &self.bodies {
            Bodies::Folder(folder) => folder.read(name).await,
            Bodies::Table(_) => {
                let mut reader = self.reader().await?;
                let row = reader.first(sql::BODY_SELECT, |to| to.text(name)).await?;
                let row = row.ok_or_else(|| StoreError::Corrupt {
                    table: "body",
                    column: "name",
                    row: name.to_owned(),
                    what: "a delivery names it and it is missing".into(),
                })?;
                let mut columns = Columns::new("body", &row);
                columns.text("name")?;
                columns.get::<Vec<u8>>("bytes").map(Bytes::from)
            }
        }
    }

    /// Removes bodies that no delivery names and that were written more than `older_than_ms` before
    /// `wall_ms`, and returns how many. The age must exceed what a delivery can take from its body
    /// to its commit.
    ///
    /// # Errors
    /// [`StoreError::File`], or what a read can fail with; what was removed stays removed.
    pub async fn sweep_orphans(&self, older_than_ms: i64, wall_ms: i64) -> Result<u64, StoreError> {
        let written_before = wall_ms.saturating_sub(older_than_ms);
        let folder = match &self.bodies {
            Bodies::Folder(folder) => folder,
            Bodies::Table(table) => return table.sweep(written_before).await,
        };
        let old = folder.names_before(written_before).await?;
        let mut removed = 0;
        for names in old.chunks(SWEEP_NAMES_MAX) {
            let named = self.named_files(names).await?;
            for name in names.iter().filter(|name| !named.contains(*name)) {
                folder.remove(name).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Which of these files a delivery names.
    async fn named_files(&self, names: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut reader = self.reader().await?;
        let names = serde_json::Value::from(names).to_string();
        let rows = reader.all(sql::DELIVERY_BODY_FILES, |to| to.text(&*names)).await?;
        let name = |row| Columns::new("delivery", row).text("body_file");
        rows.iter().map(|row| name(row).map(String::from)).collect()
    }
}

fn name_of(id: DeliveryId) -> String {
    format!("{id}.body")
}
