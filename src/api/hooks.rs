//! `POST /hooks/{source}`: limit, then verify, then parse.
//!
//! Answers 202 for a new delivery, 200 for a repeated one and for a ping, 400, 401, 413, 415, and
//! 503 when the store cannot take it in time: never 429, which providers take for a failure of
//! the hook itself. Some providers want an answer in a form of their own; the payload's reading
//! says which (`webhook::Answer`).
//!
//! A payload can tell several events. Each is stored as a delivery of its own, with a key of its
//! own: when one of them cannot be stored, the provider sends all of them again, and those that
//! are there already are repeated ones.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use tokio::sync::OwnedSemaphorePermit;

use super::accept::{Incoming, accept, is_unavailable, since, to_keep, traceparent};
use super::body::Id;
use super::decide::Content;
use super::error::ApiError;
use super::state::{AppState, Source};
use super::wire::DeliveryAccepted;
use crate::driver::CommandError;
use crate::model::{DeliveryState, TenantId, UniqueKey};
use crate::telemetry::{DeliveryLabels, RejectionLabels};
use crate::webhook::{
    Answer, Head, Parsed, Provider, REJECTION_ANSWER, Rejection, Verified, Verifier, bounded_id,
    detect,
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
        Ok(Received::Asked(_)) => "asked",
        Ok(Received::Stored { accepted, .. }) if accepted.duplicate => "duplicate",
        Ok(Received::Stored { status: StatusCode::BAD_REQUEST, .. }) => "broken",
        Ok(Received::Stored { .. }) => "accepted",
        Err(Refused::Rejected(_)) => "rejected",
        Err(Refused::Api(error)) if is_unavailable(error) => "unavailable",
        Err(Refused::Api(_)) => "refused",
    };
    state.metrics.webhook_deliveries.get_or_create(&DeliveryLabels::new(&*name, outcome)).inc();
    match received {
        Ok(Received::Asked(answer)) => in_their_form(answer),
        Ok(Received::Stored { status: StatusCode::BAD_REQUEST, accepted, .. }) => {
            let what = "the body is signed and cannot be understood; it is stored as a failed \
                        delivery:";
            ApiError::BadRequest(format!("{what} {}", accepted.delivery_id)).into_response()
        }
        Ok(Received::Stored { answer: Some(answer), .. }) => in_their_form(answer),
        Ok(Received::Stored { status, accepted, .. }) => {
            (status, axum::Json(accepted)).into_response()
        }
        Err(Refused::Api(error)) => error.into_response(),
        Err(Refused::Rejected(rejection)) => {
            let labels = RejectionLabels::new(&*name, rejection.label());
            state.metrics.signature_rejections.get_or_create(&labels).inc();
            let looks_like = detect(&headers).map(Provider::as_str);
            tracing::warn!(source = name, reason = rejection.label(), error = %rejection, looks_like,
                "refused a delivery that is not signed by a secret of its source");
            rejected().into_response()
        }
    }
}

/// What became of a request.
enum Received {
    /// The provider asked whether this is the address of the source, and is told.
    Asked(Answer),
    Stored {
        status: StatusCode,
        accepted: DeliveryAccepted,
        /// What the provider wants to hear in place of ours.
        answer: Option<Answer>,
    },
}

fn in_their_form(answer: Answer) -> Response {
    match answer {
        Answer::Json(value) => axum::Json(value).into_response(),
        Answer::Empty => StatusCode::NO_CONTENT.into_response(),
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
) -> Result<Received, Refused> {
    let max = state.limits.hook_body_bytes_max;
    let announced: Option<usize> =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes| bytes > max) {
        return Err(too_large(max).into());
    }
    let now_unix_s = state.clock.now().wall_ms.div_euclid(1_000);
    let mut verifier = Verifier::new(headers, &source.auth, Some(now_unix_s))?;
    let mut room = Room::new(state);
    let bytes = read(state, &mut verifier, announced, body, &mut room).await?;
    let verified = verifier.finish(&bytes)?;
    let head = Head::read(&source.reader, &verified, headers).map_err(|error| {
        match error.is_media_type() {
            true => ApiError::UnsupportedMediaType(error.to_string()),
            false => ApiError::BadRequest(error.to_string()),
        }
    })?;
    let told = match read_content(name, source, &head, &verified) {
        Ok(told) => told,
        Err(answer) => return Ok(Received::Asked(answer)),
    };
    let from = Request {
        source: name.to_owned(),
        body: bytes.clone(),
        traceparent: traceparent(headers),
        tenant_id: source.tenant_id,
        waited: room.waited,
        _permit: room.permit.take(),
    };
    let (status, answer) = (told.status, told.answer.clone());
    // A task of its own: whoever hangs up leaves none of several events behind.
    let task = tokio::spawn(store_all(state.clone(), from, told));
    let accepted = task.await.map_err(|error| ApiError::Internal(error.to_string()))??;
    let status = if accepted.duplicate { StatusCode::OK } else { status };
    Ok(Received::Stored { status, accepted, answer })
}

/// Where a request comes from, and what it brought.
struct Request {
    source: String,
    body: Bytes,
    traceparent: Option<String>,
    tenant_id: TenantId,
    waited: Duration,
    /// Stands for the body until all of it is stored.
    _permit: Option<OwnedSemaphorePermit>,
}

/// Stores all that a request tells, in its order.
async fn store_all(
    state: AppState,
    from: Request,
    told: Told,
) -> Result<DeliveryAccepted, ApiError> {
    let began = state.clock.now();
    let mut accepted: Option<DeliveryAccepted> = None;
    for (content, key) in told.contents {
        let incoming = Incoming {
            report: None,
            source: from.source.clone(),
            key: Some(key),
            external_id: Some(told.delivery_id.clone()),
            event_kind: told.event_kind.clone(),
            headers: Arc::clone(&told.headers),
            body: from.body.clone(),
            traceparent: from.traceparent.clone(),
            replay_of: None,
            tenant_id: from.tenant_id,
            limited_to: None,
            content,
            can_wait: true,
            permit: None,
            waited: from.waited + since(&state, began),
        };
        let one = accept(&state, incoming).await?;
        match &mut accepted {
            None => accepted = Some(one),
            Some(all) => join(all, one),
        }
    }
    accepted.ok_or_else(|| ApiError::Internal("a delivery without any content".into()))
}

/// What a verified request tells.
struct Told {
    /// At least one, each with the key that keeps it from being accepted twice.
    contents: Vec<(Content, UniqueKey)>,
    delivery_id: Box<str>,
    event_kind: Box<str>,
    headers: Arc<str>,
    /// The answer when it is stored.
    status: StatusCode,
    answer: Option<Answer>,
}

/// What a verified body says, or the answer to a question of its provider.
fn read_content(
    name: &str,
    source: &Source,
    head: &Head,
    verified: &Verified<'_>,
) -> Result<Told, Answer> {
    let payload = head.payload(verified);
    let parsed = match &payload {
        Ok(payload) => source.reader.parse(name, head, payload).map_err(|it| it.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let payload = payload.ok();
    let key = |id: &str| head.key(name, id, payload.as_ref());
    let mut told = Told {
        contents: Vec::new(),
        status: StatusCode::ACCEPTED,
        answer: None,
        delivery_id: head.delivery_id.clone(),
        event_kind: head.event_kind.clone(),
        headers: head.headers.clone().into(),
    };
    let one = match parsed {
        Ok(Parsed::Challenge(answer)) => return Err(answer),
        Ok(Parsed::Events(said)) => {
            if let Some(id) = said.delivery_id {
                told.delivery_id = bounded_id(&id).into();
            }
            told.event_kind = said.kind.unwrap_or(told.event_kind);
            told.answer = said.answer;
            let several = said.events.len() > 1;
            for (at, event) in said.events.into_iter().enumerate() {
                let mut key = key(&told.delivery_id);
                if several {
                    key.key = format!("{}#{at}", key.key).into();
                }
                told.contents.push((Content::Event(Box::new(event)), key));
            }
            Content::Nothing("the payload tells of nothing that happened".into())
        }
        Ok(Parsed::Ping { .. }) => {
            told.status = StatusCode::OK;
            Content::Nothing("a ping: the hook is set up".into())
        }
        Err(error) => {
            told.status = StatusCode::BAD_REQUEST;
            Content::Broken(error)
        }
    };
    if told.contents.is_empty() {
        let key = key(&told.delivery_id);
        told.contents.push((one, key));
    }
    Ok(told)
}

/// The answer to several events of one request, under the id of the first.
fn join(all: &mut DeliveryAccepted, one: DeliveryAccepted) {
    all.duplicate &= one.duplicate;
    if one.state == DeliveryState::Dispatched.as_str() {
        all.state = one.state;
    }
    all.workloads.extend(one.workloads);
    all.triggers.extend(one.triggers);
    all.outlooks.extend(one.outlooks);
}

/// Reads the body while counting and checking it, and makes room for its bytes.
async fn read(
    state: &AppState,
    verifier: &mut Verifier,
    announced: Option<usize>,
    body: Body,
    room: &mut Room<'_>,
) -> Result<Bytes, Refused> {
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
    Ok(bytes.freeze())
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
