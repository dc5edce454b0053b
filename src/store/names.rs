//! Names of tenants and pools, and the numbers that rows know them by.
//!
//! A name gets its number the first time a configuration has it and keeps it for ever: rows of
//! long ago still say whose they are when a name comes back. Nothing is ever deleted, so no number
//! is used again. This does not depend on an epoch: a name is added only where it is not there
//! yet, under a lock, whoever else may do the same.

use std::collections::BTreeMap;

use super::columns::Columns;
use super::connection::{BEGIN_NAMES, COMMIT};
use super::error::StoreError;
use super::row::Row;
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
        let mut connection = self.database.open_writer().await?;
        // Dropped before its end, the connection rolls back.
        connection.session().plain(BEGIN_NAMES).await?;
        for name in tenants {
            connection.session().execute(sql::TENANT_INSERT, |to| to.text(*name)).await?;
        }
        for (name, tenant) in pools {
            let bound =
                connection.session().execute(sql::POOL_UPSERT, |to| to.text(*name).text(*tenant));
            bound.await?;
        }
        let tenants = connection.session().each(sql::TENANT_LOAD, tenant).await?;
        let pools = connection.session().each(sql::POOL_LOAD, pool).await?;
        connection.session().plain(COMMIT).await?;
        connection.close().await?;
        let (tenants, pools) = (tenants.into_iter().collect(), pools.into_iter().collect());
        Ok(Names { tenants, pools })
    }
}

impl Writer {
    /// Tells this database from others, for as long as it is there: eight hexadecimal digits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Corrupt`].
    pub async fn installation(&self) -> Result<Box<str>, StoreError> {
        let mut connection = self.database.open_writer().await?;
        let row = connection.session().first(sql::LEADER_INSTALLATION, |to| to).await?;
        let row = row.ok_or_else(super::load::no_leader)?;
        let installation = Columns::new("leader", &row).text("installation");
        connection.close().await?;
        installation
    }
}

/// A row of `tenant_load`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(super) fn tenant(row: &Row) -> Result<(Box<str>, TenantId), StoreError> {
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
pub(super) fn pool(row: &Row) -> Result<NamedPool, StoreError> {
    let mut columns = Columns::new("pool", row);
    let (id, name) = (PoolId(columns.int("id")?), columns.text("name")?);
    let tenant: Option<i64> = columns.get("tenant_id")?;
    Ok((name, (id, tenant.map(TenantId))))
}
