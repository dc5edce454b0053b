//! `workload` and `workload_done`.

use crate::model::{TenantId, Workload, WorkloadId, WorkloadKind, WorkloadState};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of a whole row, as in `workload_insert` and `workload_done_insert`.
pub(in crate::store) fn bind(workload: &Workload, to: &mut Bind) {
    to.int(workload.id.0)
        .int(i64::from(workload.run))
        .int(workload.kind as i64)
        .text(&*workload.name)
        .int(workload.tenant_id.0)
        .display(workload.delivery_id)
        .text(&*workload.trigger)
        .text(workload.session_key.as_deref())
        .int(workload.state as i64)
        .int(i64::from(workload.begun))
        .int(workload.created_at_ms)
        .int(workload.ended_at_ms)
        .opt_json(workload.terms.as_deref())
        .int(i64::from(workload.open))
        .int(i64::from(workload.in_group))
        .int(workload.quiet_until_ms);
}

/// The key and the values that can change, as in `workload_update`.
pub(in crate::store) fn bind_update(workload: &Workload, to: &mut Bind) {
    to.int(workload.id.0)
        .int(i64::from(workload.run))
        .int(workload.state as i64)
        .int(i64::from(workload.begun))
        .int(workload.ended_at_ms)
        .text(workload.session_key.as_deref())
        .int(i64::from(workload.open))
        .int(i64::from(workload.in_group))
        .int(workload.quiet_until_ms);
}

/// A row of `table`, as `workload_load` and the reads select it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(table: &'static str, row: &Row) -> Result<Workload, StoreError> {
    let mut columns = Columns::new(table, row);
    Ok(Workload {
        id: WorkloadId(columns.int("id")?),
        run: columns.count("run")?,
        kind: columns.code("kind", kind_from_code)?,
        name: columns.text("name")?.into(),
        tenant_id: TenantId(columns.int("tenant_id")?),
        delivery_id: columns.opt_parsed("delivery_id")?,
        trigger: columns.text("trigger")?.into(),
        session_key: columns.opt_text("session_key")?.map(Into::into),
        state: columns.code("state", WorkloadState::from_code)?,
        begun: columns.flag("begun")?,
        created_at_ms: columns.int("created_at_ms")?,
        ended_at_ms: columns.get("ended_at_ms")?,
        terms: columns.opt_json("terms")?.map(Box::new),
        open: columns.flag("open")?,
        in_group: columns.flag("in_group")?,
        quiet_until_ms: columns.int("quiet_until_ms")?,
    })
}

fn kind_from_code(code: i64) -> Option<WorkloadKind> {
    let all = [WorkloadKind::Workflow, WorkloadKind::Agent];
    all.into_iter().find(|kind| *kind as i64 == code)
}
