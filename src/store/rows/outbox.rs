//! `outbox`.

use sha2::{Digest as _, Sha256};

use crate::model::{
    JobId, OutboxEntry, OutboxId, OutboxLine, OutboxProgress, OutboxRow, OutboxState, OutboxTold,
    SessionId, TenantId, WorkloadId,
};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The workload of an entry that is of none.
const NO_WORKLOAD: i64 = 0;

/// A line as a short key for an index. Two that share one are told one after the other, and lose nothing else by it.
pub(in crate::store) fn line(line: &OutboxLine) -> i64 {
    let text = match line.run {
        None => serde_json::to_vec(&line.target),
        Some(run) => serde_json::to_vec(&(&line.target, run)),
    };
    let text = text.unwrap_or_default();
    let hash = Sha256::digest(&text);
    hash.iter().take(8).fold(0_i64, |line, byte| (line << 8) | i64::from(*byte))
}

/// The values of `outbox_insert`.
pub(in crate::store) fn bind(entry: &OutboxEntry, to: &mut Bind) {
    to.json(&entry.target)
        .int(line(&entry.line()))
        .int(entry.tenant_id.0)
        .int(entry.workload_id.map_or(NO_WORKLOAD, |id| id.0))
        .int(entry.job_id.map(|id| id.0))
        .json(&entry.payload)
        .int(entry.created_at_ms)
        .int(OutboxState::Waiting as i64)
        .int(0)
        .int(entry.created_at_ms)
        .int(0)
        .int(entry.session_id.map(|id| id.0))
        .int(entry.target.room() as i64)
        .int(entry.created_at_ms);
}

/// The values of `outbox_tell`.
pub(in crate::store) fn bind_told(told: &OutboxTold, to: &mut Bind) {
    let OutboxProgress { state, attempts, next_at_ms, unsure, reference, note } = &told.progress;
    to.int(told.id.0)
        .int(i64::from(told.attempts))
        .int(*state as i64)
        .int(i64::from(*attempts))
        .int(*next_at_ms)
        .int(i64::from(*unsure))
        .text(reference.as_deref())
        .text(note.as_deref());
}

/// A row of `outbox`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<OutboxRow, StoreError> {
    let mut columns = Columns::new("outbox", row);
    let id = OutboxId(columns.int("id")?);
    let entry = OutboxEntry {
        target: columns.json("target")?,
        tenant_id: TenantId(columns.int("tenant_id")?),
        workload_id: Some(columns.int("workload_id")?)
            .filter(|id| *id != NO_WORKLOAD)
            .map(WorkloadId),
        session_id: columns.get::<Option<i64>>("session_id")?.map(SessionId),
        job_id: columns.get::<Option<i64>>("job_id")?.map(JobId),
        payload: columns.json("payload")?,
        created_at_ms: columns.int("created_at_ms")?,
    };
    let since_ms = columns.int("since_ms")?;
    let progress = OutboxProgress {
        state: columns.code("state", OutboxState::from_code)?,
        attempts: columns.count("attempts")?,
        next_at_ms: columns.int("next_at_ms")?,
        unsure: columns.flag("unsure")?,
        reference: columns.opt_text("reference")?,
        note: columns.opt_text("note")?,
    };
    Ok(OutboxRow { id, entry, since_ms, progress })
}
