//! `attempt`.

use std::collections::BTreeMap;

use crate::model::{
    Attempt, AttemptOutcome, JobId, JobStateKind, LeaseToken, Nonce, PoolId, RequeueReason,
    RunnerId,
};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of `attempt_insert`.
pub(in crate::store) fn bind(attempt: &Attempt, to: &mut Bind) {
    to.int(attempt.token.0)
        .int(attempt.nonce.0.cast_signed())
        .int(attempt.job_id.0)
        .int(i64::from(attempt.number))
        .int(i64::from(attempt.run))
        .int(attempt.runner_id.0)
        .int(attempt.assigned_at_ms)
        .int(attempt.started_at_ms)
        .int(attempt.ended_at_ms)
        .int(attempt.outcome as i64)
        .int(attempt.requeue_reason.map(|reason| reason as i64))
        .int(attempt.job_state as i64)
        .int(attempt.exit_code.map(i64::from))
        .text(attempt.error.as_deref());
    // Most attempts have none, and NULL costs nothing.
    to.opt_json(Some(&attempt.outputs).filter(|outputs| !outputs.is_empty()))
        .int(attempt.pool_id.0)
        .int(attempt.waited_ms)
        .int(i64::try_from(attempt.cost_micros_per_hour).unwrap_or(i64::MAX))
        .int(attempt.signal.map(i64::from));
}

/// A row of `attempt`.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<Attempt, StoreError> {
    let mut columns = Columns::new("attempt", row);
    Ok(Attempt {
        token: LeaseToken(columns.int("token")?),
        nonce: Nonce(columns.int("nonce")?.cast_unsigned()),
        job_id: JobId(columns.int("job_id")?),
        number: columns.count("number")?,
        run: columns.count("run")?,
        runner_id: RunnerId(columns.int("runner_id")?),
        assigned_at_ms: columns.int("assigned_at_ms")?,
        started_at_ms: columns.get("started_at_ms")?,
        ended_at_ms: columns.int("ended_at_ms")?,
        outcome: columns.code("outcome", AttemptOutcome::from_code)?,
        requeue_reason: columns.opt_code("requeue_reason", RequeueReason::from_code)?,
        job_state: columns.code("job_state", JobStateKind::from_code)?,
        exit_code: columns.opt_code("exit_code", |code| i32::try_from(code).ok())?,
        error: columns.opt_text("error")?,
        outputs: columns.opt_json::<BTreeMap<_, _>>("outputs")?.unwrap_or_default(),
        pool_id: PoolId(columns.int("pool_id")?),
        waited_ms: columns.int("waited_ms")?,
        cost_micros_per_hour: columns
            .code("cost_micros_per_hour", |cost| u64::try_from(cost).ok())?,
        signal: columns.opt_code("signal", |number| i32::try_from(number).ok())?,
    })
}
