//! `POST /hooks/{source}`: limit, then verify, then parse.
//!
//! Answers 202 for a new delivery, 200 for a repeated one and for a ping, 400, 401, 413, 415, and
//! 503 when the store cannot take it in time: never 429, which providers take for a failure of
//! the hook itself.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::{Content, Incoming, accept, is_unavailable, since, to_keep, traceparent};
use super::body::Id;
use super::error::ApiError;
use super::state::{AppState, Source};
use super::wire::DeliveryAccepted;
use crate::driver::CommandError;
use crate::telemetry::{DeliveryLabels, RejectionLabels};
use crate::webhook::{
    Head, Proof, REJECTION_ANSWER, Rejection, Verified, Verifier, dedupe_key, github,
};

/// Takes one delivery in.
pub(super) async fn receive(
    State(state): State<AppState>,
    Id(name): Id<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let rulebook = state.rulebook();
    let Some(source) = rulebook.sources.get(&name) else {
        return ApiError::not_found("source", name).into_response();
    };
    let received = take_in(&state, &name, source, &headers, body).await;
    let outcome = match &received {
        Ok((_, accepted)) if accepted.duplicate => "duplicate",
        Ok((StatusCode::BAD_REQUEST, _)) => "broken",
        Ok(_) => "accepted",
        Err(Refused::Rejected(_)) => "rejected",
        Err(Refused::Api(error)) if is_unavailable(error) => "unavailable",
        Err(Refused::Api(_)) => "refused",
    };
    state.metrics.webhook_deliveries.get_or_create(&DeliveryLabels::new(&*name, outcome)).inc();
    match received {
        Ok((StatusCode::BAD_REQUEST, accepted)) => {
            let what = "the body is signed and cannot be understood; it is stored as a failed \
                        delivery:";
            ApiError::BadRequest(format!("{what} {}", accepted.delivery_id)).into_response()
        }
        Ok((status, accepted)) => (status, axum::Json(accepted)).into_response(),
        Err(Refused::Api(error)) => error.into_response(),
        Err(Refused::Rejected(rejection)) => {
            let labels = RejectionLabels::new(&*name, rejection.label());
            state.metrics.signature_rejections.get_or_create(&labels).inc();
            tracing::warn!(source = name, reason = rejection.label(), error = %rejection,
                "refused a delivery that is not signed by a secret of its source");
            rejected().into_response()
        }
    }
}

/// Why a request does not become a delivery.
enum Refused {
    /// The sender is not who it says: loud for the operator, silent for the sender.
    Rejected(Rejection),
    Api(ApiError),
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Rejected(rejection)
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

/// The one answer to everybody who is not believed.
fn rejected() -> impl IntoResponse {
    let mut problem = ApiError::Unauthorized.problem();
    problem.detail = REJECTION_ANSWER.to_owned();
    problem.hint = None;
    let json = [(axum::http::header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::UNAUTHORIZED, json, serde_json::to_vec(&problem).unwrap_or_default())
}

async fn take_in(
    state: &AppState,
    name: &str,
    source: &Source,
    headers: &HeaderMap,
    body: Body,
) -> Result<(StatusCode, DeliveryAccepted), Refused> {
    let max = state.limits.hook_body_bytes_max;
    let announced: Option<usize> =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > max) {
        return Err(too_large(max).into());
    }
    let verifier = Verifier::new(headers, &source.auth)?;
    let mut room = Room::new(state);
    let (bytes, proof) = read(state, verifier, announced, body, &mut room).await?;
    let verified = proof
        .over(&bytes)
        .ok_or_else(|| ApiError::Internal("the body changed while it was read".into()))?;
    let head = Head::read(&verified, headers).map_err(|error| match error.is_media_type() {
        true => ApiError::UnsupportedMediaType(error.to_string()),
        false => ApiError::BadRequest(error.to_string()),
    })?;
    let (content, status) = read_content(name, source, &head, &verified);
    let incoming = Incoming {
        source: name.to_owned(),
        key: Some(dedupe_key(name, &head.delivery_id)),
        external_id: Some(head.delivery_id),
        event_kind: head.event_kind,
        headers: head.headers.into(),
        body: bytes.clone(),
        traceparent: traceparent(headers),
        replay_of: None,
        tenant_id: source.tenant_id,
        limited_to: None,
        content,
        can_wait: true,
        permit: room.permit,
        waited: room.waited,
    };
    let accepted = accept(state, incoming).await?;
    Ok((if accepted.duplicate { StatusCode::OK } else { status }, accepted))
}

/// What a verified body says, and the answer when it is stored.
fn read_content(
    name: &str,
    source: &Source,
    head: &Head,
    verified: &Verified<'_>,
) -> (Content, StatusCode) {
    let parsed = head
        .payload(verified)
        .and_then(|payload| github::parse(name, head, &payload, &source.trusted_bots));
    match parsed {
        Ok(github::Parsed::Event(event)) => (Content::Event(event), StatusCode::ACCEPTED),
        Ok(github::Parsed::Ping { .. }) => {
            (Content::Nothing("a ping: the hook is set up".into()), StatusCode::OK)
        }
        Err(error) => (Content::Broken(error.to_string()), StatusCode::BAD_REQUEST),
    }
}

/// Reads the body while counting and checking it, and makes room for its bytes.
async fn read(
    state: &AppState,
    mut verifier: Verifier,
    announced: Option<usize>,
    body: Body,
    room: &mut Room<'_>,
) -> Result<(Bytes, Proof), Refused> {
    let max = state.limits.hook_body_bytes_max;
    let mut chunks = body.into_data_stream();
    let mut bytes = BytesMut::new();
    // An announced length is reserved at once: bodies that come in together never wait for each
    // other with half of their bytes in hand.
    room.grow_to(announced.unwrap_or(0)).await?;
    let over = tokio::time::sleep(state.body_read_timeout);
    tokio::pin!(over);
    loop {
        let chunk = tokio::select! {
            chunk = chunks.next() => chunk,
            () = &mut over => {
                return Err(ApiError::BadRequest("the body did not come in time".into()).into());
            }
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(|_| ApiError::BadRequest("the body broke off".into()))?;
        if bytes.len() + chunk.len() > max {
            return Err(too_large(max).into());
        }
        room.grow_to(bytes.len() + chunk.len()).await?;
        verifier.update(&chunk);
        bytes.extend_from_slice(&chunk);
    }
    let proof = verifier.finish()?;
    Ok((bytes.freeze(), proof))
}

/// The room in memory of one body.
struct Room<'a> {
    state: &'a AppState,
    /// Stands for its bytes.
    permit: Option<OwnedSemaphorePermit>,
    /// How long its sender was kept waiting for it. How long the sender took is not in it.
    waited: Duration,
}

impl<'a> Room<'a> {
    fn new(state: &'a AppState) -> Self {
        Self { state, permit: None, waited: Duration::ZERO }
    }

    /// Waits until so many bytes may be there. It takes of the patience for the whole request, and leaves
    /// what the delivery needs to be stored.
    async fn grow_to(&mut self, bytes: usize) -> Result<(), ApiError> {
        let held = self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Some(more) = bytes.checked_sub(held).filter(|more| *more > 0) else { return Ok(()) };
        let state = self.state;
        let patience = state.patience().saturating_sub(to_keep(state) + self.waited);
        let began = state.clock.now();
        let semaphore = std::sync::Arc::clone(&state.hook_bytes);
        let more = semaphore.acquire_many_owned(u32::try_from(more).unwrap_or(u32::MAX));
        let Ok(Ok(more)) = tokio::time::timeout(patience, more).await else {
            return Err(CommandError::Overloaded.into());
        };
        self.waited += since(state, began);
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

fn too_large(max: usize) -> ApiError {
    ApiError::TooLarge { limit: "hook_body_bytes_max", max: max as u64 }
}
