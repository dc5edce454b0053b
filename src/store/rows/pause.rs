//! `pause` and `soft_state`.

use crate::model::{Pause, PauseScope, SoftState};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of `pause_upsert`.
pub(in crate::store) fn bind(pause: &Pause, to: &mut Bind) {
    to.json(&pause.scope)
        .text(&*pause.author)
        .text(&*pause.reason)
        .int(pause.at_ms)
        .text(pause.breaker.as_deref());
}

/// The key, as in `pause_delete`.
pub(in crate::store) fn bind_scope(scope: &PauseScope, to: &mut Bind) {
    to.json(scope);
}

/// A row of `pause`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<Pause, StoreError> {
    let mut columns = Columns::new("pause", row);
    Ok(Pause {
        scope: columns.json("scope")?,
        author: columns.text("author")?,
        reason: columns.text("reason")?,
        at_ms: columns.int("at_ms")?,
        breaker: columns.opt_text("breaker")?,
    })
}

/// The values of `soft_state_upsert`.
pub(in crate::store) fn bind_soft(soft: &SoftState, to: &mut Bind) {
    to.text(&*soft.key).text(&*soft.value).int(soft.at_ms);
}

/// A row of `soft_state`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_soft(row: &Row) -> Result<SoftState, StoreError> {
    let mut columns = Columns::new("soft_state", row);
    Ok(SoftState {
        key: columns.text("key")?,
        value: columns.text("value")?,
        at_ms: columns.int("at_ms")?,
    })
}
