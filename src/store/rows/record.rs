//! `record`.

use crate::model::{JobId, Record, RecordName, RunnerId, WorkloadId};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of `record_insert`.
pub(in crate::store) fn bind(record: &Record, to: &mut Bind) {
    to.int(record.name as i64)
        .int(record.at_ms)
        .display(record.delivery_id)
        .int(record.workload_id.map(|id| id.0))
        .int(record.job_id.map(|id| id.0))
        .int(record.runner_id.map(|id| id.0))
        .int(record.attempt.map(i64::from))
        .text(record.author.as_deref())
        .text(&*record.detail);
}

/// A row of `record`; its sequence number is only its place.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<Record, StoreError> {
    let mut columns = Columns::new("record", row);
    columns.int("seq")?;
    Ok(Record {
        name: columns.code("name", RecordName::from_code)?,
        at_ms: columns.int("at_ms")?,
        delivery_id: columns.opt_parsed("delivery_id")?,
        workload_id: columns.get::<Option<i64>>("workload_id")?.map(WorkloadId),
        job_id: columns.get::<Option<i64>>("job_id")?.map(JobId),
        runner_id: columns.get::<Option<i64>>("runner_id")?.map(RunnerId),
        attempt: columns.opt_code("attempt", |count| u32::try_from(count).ok())?,
        author: columns.opt_text("author")?,
        detail: columns.text("detail")?,
    })
}
