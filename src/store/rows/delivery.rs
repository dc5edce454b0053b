//! `delivery`, which is read in parts: the head for lists, what it says for one, its bytes alone.

use std::sync::Arc;

use crate::model::{
    Answered, Approval, Body, Delivery, DeliveryId, DeliveryState, TenantId, TriggerVerdict, Trust,
};
use crate::store::bind::Bind;
use crate::store::columns::Columns;
use crate::store::error::StoreError;
use crate::store::row::Row;

/// What a list shows of a delivery: the fields of [`Delivery`] without the wide ones.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryHead {
    /// Made where the request was received.
    pub id: DeliveryId,
    /// The configured source's name.
    pub source: Box<str>,
    /// The provider's own id of the delivery, where it sent one.
    pub external_id: Option<Box<str>>,
    /// The event's kind, as the provider calls it.
    pub event_kind: Box<str>,
    /// The event's action, where the kind has actions.
    pub action: Option<Box<str>>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it failed, or is held, for people.
    pub reason: Option<Box<str>>,
    /// What each trigger said, and what it started.
    pub verdicts: Vec<TriggerVerdict>,
    /// How far what it starts is trusted.
    pub trust: Trust,
    /// Whose source it came from.
    pub tenant_id: TenantId,
    /// The delivery that this one repeats, for a replay.
    pub replay_of: Option<DeliveryId>,
    /// How often it was taken up to be evaluated.
    pub attempts: u32,
    /// Wall milliseconds.
    pub received_at_ms: i64,
    /// The trace that it is part of.
    pub traceparent: Option<Box<str>>,
    /// What somebody must approve, or has approved.
    pub approval: Option<Box<Approval>>,
    /// The length of its body.
    pub body_bytes: u64,
}

/// One delivery without the bytes of its body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeliveryDetail {
    /// What lists show too.
    pub head: DeliveryHead,
    /// Headers as received, without those that authenticate, as a JSON object.
    pub headers: Arc<str>,
    /// The normalised event as JSON; `None` when the body could not be understood.
    pub event: Option<Arc<str>>,
    /// Whether the bytes of its body are there: an empty body has none, and a pruned one lost them.
    pub has_body: bool,
}

/// The values of `delivery_insert`.
pub(in crate::store) fn bind(delivery: &Delivery, to: &mut Bind) {
    let (inline, file) = match &delivery.body {
        Body::Inline(bytes) => (Some(&bytes[..]), None),
        Body::Spilled { file, .. } => (None, Some(&**file)),
    };
    to.display(Some(delivery.id))
        .text(&*delivery.source)
        .text(delivery.external_id.as_deref())
        .text(&*delivery.event_kind)
        .text(delivery.action.as_deref())
        .int(delivery.state as i64)
        .text(delivery.reason.as_deref())
        .json(&delivery.verdicts)
        .json(&delivery.trust)
        .int(delivery.tenant_id.0)
        .display(delivery.replay_of)
        .int(i64::from(delivery.attempts))
        .int(delivery.received_at_ms)
        .text(delivery.traceparent.as_deref())
        .opt_json(delivery.approval.as_ref())
        .int(delivery.body.len().cast_signed())
        .text(file)
        .text(&*delivery.headers)
        .text(delivery.event.as_deref())
        .bytes(inline);
}

/// The values of `delivery_decide`.
pub(in crate::store) fn bind_decided(delivery: &Delivery, to: &mut Bind) {
    to.display(Some(delivery.id))
        .int(delivery.state as i64)
        .text(delivery.reason.as_deref())
        .json(&delivery.verdicts)
        .int(i64::from(delivery.attempts))
        .opt_json(delivery.approval.as_ref());
}

/// The values of `delivery_answer`.
pub(in crate::store) fn bind_answered(answered: &Answered, to: &mut Bind) {
    to.display(Some(answered.id))
        .int(answered.state as i64)
        .text(&*answered.reason)
        .json(&answered.approval);
}

/// A row as `delivery_held_load` selects it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_held(row: &Row) -> Result<(DeliveryId, Approval), StoreError> {
    let mut columns = Columns::new("delivery", row);
    Ok((columns.parsed("id")?, columns.json("approval")?))
}

/// A row as `delivery_list` selects it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_head(row: &Row) -> Result<DeliveryHead, StoreError> {
    head(&mut Columns::new("delivery", row))
}

/// A row as `delivery_select` selects it.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_detail(row: &Row) -> Result<DeliveryDetail, StoreError> {
    let mut columns = Columns::new("delivery", row);
    Ok(DeliveryDetail {
        head: head(&mut columns)?,
        headers: columns.text("headers")?.into(),
        event: columns.opt_text("event")?.map(Into::into),
        has_body: columns.get("has_body")?,
    })
}

/// A row as `delivery_body` selects it; `None` when the bytes were pruned.
///
/// # Errors
/// [`StoreError::Corrupt`].
pub(in crate::store) fn read_body(row: &Row) -> Result<Option<Body>, StoreError> {
    let mut columns = Columns::new("delivery", row);
    columns.text("id")?;
    let bytes = columns.int("body_bytes")?.cast_unsigned();
    match columns.opt_text("body_file")? {
        Some(file) => Ok(Some(Body::Spilled { file, bytes })),
        None => {
            let inline: Vec<u8> = columns.get("body")?;
            if inline.is_empty() && bytes > 0 {
                return Ok(None);
            }
            if inline.len() as u64 != bytes {
                let what = format!("{} bytes where body_bytes says {bytes}", inline.len());
                return Err(columns.corrupt("body", what));
            }
            Ok(Some(Body::Inline(inline.into())))
        }
    }
}

fn head(columns: &mut Columns<'_>) -> Result<DeliveryHead, StoreError> {
    Ok(DeliveryHead {
        id: columns.parsed("id")?,
        source: columns.text("source")?,
        external_id: columns.opt_text("external_id")?,
        event_kind: columns.text("event_kind")?,
        action: columns.opt_text("action")?,
        state: columns.code("state", DeliveryState::from_code)?,
        reason: columns.opt_text("reason")?,
        verdicts: columns.json("verdicts")?,
        trust: columns.json("trust")?,
        tenant_id: TenantId(columns.int("tenant_id")?),
        replay_of: columns.opt_parsed("replay_of")?,
        attempts: columns.count("attempts")?,
        received_at_ms: columns.int("received_at_ms")?,
        traceparent: columns.opt_text("traceparent")?,
        approval: columns.opt_json("approval")?,
        body_bytes: columns.int("body_bytes")?.cast_unsigned(),
    })
}
