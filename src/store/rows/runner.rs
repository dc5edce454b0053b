//! `runner`.

use crate::model::{PoolId, Runner, RunnerId};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of `runner_insert` and, in the same order, of `runner_update`.
pub(in crate::store) fn bind(runner: &Runner, to: &mut Bind) {
    to.int(runner.id.0)
        .text(&*runner.name)
        .text(&*runner.instance_id)
        .text(&*runner.boot_id)
        .int(runner.pool_id.0)
        .text(&*runner.token_hash)
        .json(&runner.capabilities)
        .text(runner.cordoned.as_deref())
        .int(i64::from(runner.draining))
        .text(&*runner.version)
        .int(runner.registered_at_ms)
        .opt_json(runner.order.as_deref());
}

/// A row of `runner`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<Runner, StoreError> {
    let mut columns = Columns::new("runner", row);
    Ok(Runner {
        id: RunnerId(columns.int("id")?),
        name: columns.text("name")?,
        instance_id: columns.text("instance_id")?,
        boot_id: columns.text("boot_id")?,
        pool_id: PoolId(columns.int("pool_id")?),
        token_hash: columns.text("token_hash")?,
        capabilities: columns.json("capabilities")?,
        cordoned: columns.opt_text("cordoned")?,
        draining: columns.flag("draining")?,
        version: columns.text("version")?,
        registered_at_ms: columns.int("registered_at_ms")?,
        order: columns.opt_json("start_order")?,
    })
}
