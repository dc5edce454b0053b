//! `schedule`.

use crate::model::ScheduleMark;
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of `schedule_upsert`.
pub(in crate::store) fn bind(mark: &ScheduleMark, to: &mut Bind) {
    to.text(&*mark.name)
        .text(&*mark.definition)
        .int(mark.handled_ms)
        .int(mark.fired_ms)
        .display(mark.delivery_id)
        .int(i64::try_from(mark.passed).unwrap_or(i64::MAX))
        .text(&*mark.note)
        .int(mark.noted_at_ms);
}

/// A row of `schedule`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<ScheduleMark, StoreError> {
    let mut columns = Columns::new("schedule", row);
    Ok(ScheduleMark {
        name: columns.text("name")?,
        definition: columns.text("definition")?,
        handled_ms: columns.int("handled_ms")?,
        fired_ms: columns.get("fired_ms")?,
        delivery_id: columns.opt_parsed("delivery_id")?,
        passed: u64::try_from(columns.int("passed")?)
            .map_err(|_| columns.corrupt("passed", "it is negative"))?,
        note: columns.text("note")?,
        noted_at_ms: columns.int("noted_at_ms")?,
    })
}
