//! Names of tenants and pools, and the numbers that rows know them by.
//!
//! A name gets its number the first time a configuration has it and keeps it for ever: rows of
//! long ago still say whose they are when a name comes back. Nothing is ever deleted, so no number
//! is used again. This does not depend on an epoch: a name is added only where it is not there
//! yet, under the database's one write lock, whoever else may do the same.

use std::collections::BTreeMap;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteRow;

use super::columns::Columns;
use super::connection;
use super::error::StoreError;
use super::load::{all, plain};
use super::statement as sql;
use super::writer::Writer;
use crate::model::{PoolId, TenantId};

/// Every name that there is or was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// Tenants.
    pub tenants: BTreeMap<Box<str>, TenantId>,
    /// Pools, each with the only tenant that it is for, as it was last configured.
    pub pools: BTreeMap<Box<str>, (PoolId, Option<TenantId>)>,
}

impl Writer {
    /// Gives each of these names a number, unless it has one, and writes down whose pools are; a
    /// pool's tenant must be among `tenants`, or have been. In one transaction, on a connection of
    /// its own: the writer need not have loaded.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; then nothing is written. [`StoreError::Corrupt`].
    pub async fn intern(
        &self,
        tenants: &[&str],
        pools: &[(&str, Option<&str>)],
    ) -> Result<Names, StoreError> {
        let mut connection = connection::open_writer(&self.database, &self.options).await?;
        // Dropped before its end, the connection rolls back.
        plain(&mut connection, "BEGIN IMMEDIATE").await?;
        for name in tenants {
            let query = sqlx::query(sql::TENANT_INSERT.text()).bind(*name);
            let done = query.execute(&mut connection).await;
            done.map_err(|error| StoreError::database(sql::TENANT_INSERT.name, error))?;
        }
        for (name, tenant) in pools {
            let query = sqlx::query(sql::POOL_UPSERT.text()).bind(*name).bind(*tenant);
            let done = query.execute(&mut connection).await;
            done.map_err(|error| StoreError::database(sql::POOL_UPSERT.name, error))?;
        }
        let tenants = all(&mut connection, sql::TENANT_LOAD, tenant).await?.into_iter().collect();
        let pools = all(&mut connection, sql::POOL_LOAD, pool).await?.into_iter().collect();
        plain(&mut connection, "COMMIT").await?;
        connection.close().await.map_err(|error| StoreError::database("close", error))?;
        Ok(Names { tenants, pools })
    }
}

/// A row of `tenant_load`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(super) fn tenant(row: &SqliteRow) -> Result<(Box<str>, TenantId), StoreError> {
    let mut columns = Columns::new("tenant", row);
    let id = TenantId(columns.int("id")?);
    Ok((columns.text("name")?, id))
}

/// A pool's name, its number, and the only tenant that it is for.
type NamedPool = (Box<str>, (PoolId, Option<TenantId>));

/// A row of `pool_load`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(super) fn pool(row: &SqliteRow) -> Result<NamedPool, StoreError> {
    let mut columns = Columns::new("pool", row);
    let (id, name) = (PoolId(columns.int("id")?), columns.text("name")?);
    let tenant: Option<i64> = columns.get("tenant_id")?;
    Ok((name, (id, tenant.map(TenantId))))
}
