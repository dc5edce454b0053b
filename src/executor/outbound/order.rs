//! What a backend is told of a job: the event, where its end is said, and perhaps the job's whole context.

use bytes::Bytes;
use serde::Serialize;

use super::super::context::TaskContext;
use super::super::event::{DispatchError, TaskReadyEvent};
use crate::api::wire;

#[derive(Serialize)]
struct Order<'a> {
    #[serde(flatten)]
    event: &'a TaskReadyEvent,
    callback: Callback,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<wire::JobContext>,
}

/// Where the end is said.
#[derive(Serialize)]
struct Callback {
    url: String,
    /// To be sent as `Authorization: Bearer ...`.
    token: String,
}

/// The event as JSON; `callback_base` is where this server is called.
pub(in super::super) async fn body(
    event: &TaskReadyEvent,
    ctx: &TaskContext,
    inline_context: bool,
    callback_base: &str,
) -> Result<Bytes, DispatchError> {
    let context = match inline_context {
        true => Some(ctx.load().await.map_err(|error| {
            DispatchError::unavailable(format!("the job's context cannot be read: {error}"))
        })?),
        false => None,
    };
    let callback = Callback {
        url: format!("{callback_base}/api/v1/callbacks/{}", event.lease),
        token: event.nonce.to_string(),
    };
    serde_json::to_vec(&Order { event, callback, context })
        .map(Bytes::from)
        .map_err(|error| DispatchError::ExecutionFailed(error.to_string()))
}
