//! `session`, `session_message` and `session_day`.

use crate::model::{
    Direction, LeaseToken, MessageKind, RunnerId, Session, SessionDay, SessionDelivered, SessionId,
    SessionMessage, SessionState, TenantId, Untrusted, WorkloadId,
};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// The values of a whole row, as in `session_insert`.
pub(in crate::store) fn bind(session: &Session, to: &mut Bind) {
    let reply_to = session.reply_to.as_deref();
    let reply_to = reply_to.and_then(|it| serde_json::to_string(it).ok());
    to.int(session.id.0)
        .int(session.tenant_id.0)
        .text(&*session.key)
        .text(&*session.agent)
        .int(session.state as i64)
        .int(session.workload_id.map(|id| id.0))
        .int(session.runner_id.map(|id| id.0))
        .int(session.created_at_ms)
        .int(session.active_at_ms)
        .int(session.ended_at_ms)
        .text(session.end_reason.as_deref())
        .int(session.last_sequence)
        .int(session.said)
        .int(session.delivered)
        .int(session.resumed_from)
        .int(session.given)
        .int(session.lease.map(|lease| lease.0))
        .int(session.heard)
        .json(&session.spent)
        .json(&session.limits)
        .json(&session.approvals)
        .text(&*session.origin)
        .json(&*session.template)
        .text(reply_to.as_deref());
}

/// The key and the values that can change, as in `session_update`.
pub(in crate::store) fn bind_update(session: &Session, to: &mut Bind) {
    to.int(session.id.0)
        .int(session.state as i64)
        .int(session.workload_id.map(|id| id.0))
        .int(session.runner_id.map(|id| id.0))
        .int(session.active_at_ms)
        .int(session.ended_at_ms)
        .text(session.end_reason.as_deref())
        .int(session.last_sequence)
        .int(session.said)
        .int(session.delivered)
        .int(session.resumed_from)
        .int(session.given)
        .int(session.lease.map(|lease| lease.0))
        .int(session.heard)
        .json(&session.spent)
        .json(&session.approvals);
}

/// A row, as `session_load` and the reads select it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read(row: &Row) -> Result<Session, StoreError> {
    let mut columns = Columns::new("session", row);
    Ok(Session {
        id: SessionId(columns.int("id")?),
        tenant_id: TenantId(columns.int("tenant_id")?),
        key: columns.text("key")?.into(),
        agent: columns.text("agent")?.into(),
        state: columns.code("state", SessionState::from_code)?,
        workload_id: columns.get::<Option<i64>>("workload_id")?.map(WorkloadId),
        runner_id: columns.get::<Option<i64>>("runner_id")?.map(RunnerId),
        created_at_ms: columns.int("created_at_ms")?,
        active_at_ms: columns.int("active_at_ms")?,
        ended_at_ms: columns.get("ended_at_ms")?,
        end_reason: columns.opt_text("end_reason")?,
        last_sequence: columns.int("last_sequence")?,
        said: columns.int("said")?,
        delivered: columns.int("delivered")?,
        resumed_from: columns.int("resumed_from")?,
        given: columns.int("given")?,
        lease: columns.get::<Option<i64>>("lease_token")?.map(LeaseToken),
        heard: columns.int("heard")?,
        spent: columns.json("spent")?,
        limits: columns.json("limits")?,
        approvals: columns.json("approvals")?,
        origin: columns.text("origin")?.into(),
        template: std::sync::Arc::new(columns.json("template")?),
        reply_to: columns.opt_json("reply_to")?.map(std::sync::Arc::new),
    })
}

/// The values of a message, as in `session_message_insert`.
pub(in crate::store) fn bind_message(message: &SessionMessage, to: &mut Bind) {
    to.int(message.session_id.0)
        .int(message.sequence)
        .int(message.direction as i64)
        .int(message.kind as i64)
        .text(&*message.author)
        .text(message.text.as_data())
        .text(message.reference.as_deref())
        .int(message.at_ms)
        .int(message.lease.map(|lease| lease.0));
}

/// A message, as the reads select it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_message(row: &Row) -> Result<SessionMessage, StoreError> {
    let mut columns = Columns::new("session_message", row);
    Ok(SessionMessage {
        session_id: SessionId(columns.int("session_id")?),
        sequence: columns.int("sequence")?,
        direction: columns.code("direction", Direction::from_code)?,
        kind: columns.code("kind", MessageKind::from_code)?,
        author: columns.text("author")?,
        text: Untrusted::new(columns.text("text")?),
        reference: columns.opt_text("reference")?,
        at_ms: columns.int("at_ms")?,
        lease: columns.get::<Option<i64>>("lease_token")?.map(LeaseToken),
    })
}

/// Which messages reached the agent, as in `session_message_deliver`.
pub(in crate::store) fn bind_delivered(it: &SessionDelivered, to: &mut Bind) {
    to.int(it.session_id.0).int(it.after).int(it.up_to).int(it.lease.0);
}

/// The values of a day, as in `session_day_upsert`.
pub(in crate::store) fn bind_day(day: &SessionDay, to: &mut Bind) {
    to.int(day.tenant_id.0).int(day.day).int(day.sessions).int(day.cost_micros);
}

/// A row, as `session_day_load` selects it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_day(row: &Row) -> Result<SessionDay, StoreError> {
    let mut columns = Columns::new("session_day", row);
    Ok(SessionDay {
        tenant_id: TenantId(columns.int("tenant_id")?),
        day: columns.int("day")?,
        sessions: columns.int("sessions")?,
        cost_micros: columns.int("cost_micros")?,
    })
}
