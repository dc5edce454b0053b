//! The routes of the small server: the wire's endpoints over its `World`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::api::wire::*;
use crate::clock::Clock as _;
use crate::model::{JobStateKind, LeaseToken, RunnerId};

use super::fake::{Fake, Lease, REGISTRATION_TOKEN, World, take};

type Server = Extract<Arc<Fake>>;

pub(super) fn router(fake: Arc<Fake>) -> Router {
    Router::new()
        .route("/api/v1/runners/register", post(register))
        .route("/api/v1/runners/{id}", delete(deregister))
        .route("/api/v1/runners/{id}/poll", post(poll))
        .route("/api/v1/runners/{id}/stream", post(super::fake_stream::stream))
        .route("/api/v1/runners/{id}/heartbeat", post(heartbeat))
        .route("/api/v1/leases/{lease}/start", post(start))
        .route("/api/v1/leases/{lease}/event", get(event))
        .route("/api/v1/leases/{lease}/logs", post(logs))
        .route("/api/v1/leases/{lease}/complete", post(complete))
        .route("/api/v1/leases/{lease}/release", post(release))
        .with_state(fake)
}

async fn register(
    Extract(fake): Server,
    headers: HeaderMap,
    Json(request): Json<RegisterRequest>,
) -> Response {
    let expected = format!("Bearer {REGISTRATION_TOKEN}");
    let is_known = headers.get("authorization").is_some_and(|value| value == expected.as_str());
    if !is_known || fake.world().is_closed {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    fake.change(|world| {
        if take(&mut world.refuse, "register") {
            return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "0")]).into_response();
        }
        world.registrations.push(request);
        world.runner_token = format!("runner-secret-{}", world.registrations.len());
        Json(RegisterResponse {
            runner_id: RunnerId(9),
            token: world.runner_token.clone(),
            heartbeat_interval_ms: if world.heartbeat_interval_ms == 0 {
                50
            } else {
                world.heartbeat_interval_ms
            },
            lease_ms: 60_000,
            poll_wait_max_ms: 20_000,
        })
        .into_response()
    })
}

async fn deregister(Extract(fake): Server, headers: HeaderMap) -> Response {
    fake.answer("deregister", &headers, |world| {
        world.deregistered = true;
        StatusCode::NO_CONTENT.into_response()
    })
}

/// Parks as the real one does: until there is something to say or the time is over.
async fn poll(
    Extract(fake): Server,
    headers: HeaderMap,
    Json(request): Json<PollRequest>,
) -> Response {
    let mut changed = fake.changed.subscribe();
    let at = fake.clock.seconds();
    fake.change(|world| {
        world.polls.push(request.clone());
        world.polled_at.push(at);
    });
    let wait = std::time::Duration::from_millis(request.wait_ms.try_into().expect("positive"));
    let over = tokio::time::sleep(wait);
    tokio::pin!(over);
    let mut time_is_over = false;
    loop {
        changed.borrow_and_update();
        let has_news = {
            let world = fake.world();
            time_is_over || world.never_park || !matches_nothing(&look(&world, &request))
        };
        let known = format!("Bearer {}", fake.world().runner_token);
        let known = headers.get("authorization").is_some_and(|value| value == known.as_str());
        if has_news || !known || fake.world().refuse.get("poll").is_some_and(|n| *n > 0) {
            return fake.answer("poll", &headers, |world| {
                let answer = look(world, &request);
                for job in &answer.jobs {
                    world.queue.retain(|token| *token != job.lease);
                    world.leases.get_mut(&job.lease).expect("known").assigned = true;
                }
                Json(answer).into_response()
            });
        }
        tokio::select! {
            () = &mut over => time_is_over = true,
            _ = changed.changed() => {}
        }
    }
}

fn matches_nothing(answer: &PollResponse) -> bool {
    *answer == PollResponse::default()
}

fn look(world: &World, request: &PollRequest) -> PollResponse {
    let unheard = world.leases.iter().filter(|(token, lease)| {
        lease.assigned && lease.starts == 0 && !request.leases.contains(token)
    });
    let again = unheard.map(|(_, lease)| lease.assignment.clone());
    let room = request.max_jobs.unwrap_or(1) as usize;
    let new = world.queue.iter().map(|token| world.leases[token].assignment.clone());
    let cancel = world.cancel.iter().copied().filter(|token| request.leases.contains(token));
    PollResponse {
        jobs: again.chain(new.take(room)).collect(),
        cancel: if world.cancel_by_heartbeat { Vec::new() } else { cancel.collect() },
        drain: world.drain,
    }
}

async fn heartbeat(
    Extract(fake): Server,
    headers: HeaderMap,
    Json(request): Json<HeartbeatRequest>,
) -> Response {
    fake.answer("heartbeat", &headers, |world| {
        world.heartbeats += 1;
        let named = |set: &BTreeSet<LeaseToken>| {
            let held = request.leases.iter().map(|held| held.lease);
            held.filter(|token| set.contains(token)).collect()
        };
        let answer = HeartbeatResponse {
            lost: named(&world.lost),
            cancel: named(&world.cancel),
            drain: false,
        };
        Json(answer).into_response()
    })
}

fn problem(code: &str) -> Response {
    let body = json!({
        "type": format!("urn:dispatchyard:{code}"), "title": code, "status": 409, "detail": code,
    });
    (StatusCode::CONFLICT, Json(body)).into_response()
}

/// The caller's lease, unless it is lost.
fn own<'a>(world: &'a mut World, token: &str, nonce: &str) -> Result<&'a mut Lease, Box<Response>> {
    let token: LeaseToken = token.parse().expect("a token");
    if world.lost.contains(&token) {
        return Err(Box::new(problem("lease-lost")));
    }
    let lease = world.leases.get_mut(&token).expect("known");
    assert_eq!(lease.assignment.nonce.to_string(), nonce, "the nonce goes with its lease");
    Ok(lease)
}

async fn start(
    Extract(fake): Server,
    Path(token): Path<String>,
    headers: HeaderMap,
    Json(body): Json<LeaseBody>,
) -> Response {
    fake.answer("start", &headers, |world| match own(world, &token, &body.nonce.to_string()) {
        Ok(lease) => {
            lease.starts += 1;
            Json(lease.context.clone()).into_response()
        }
        Err(lost) => *lost,
    })
}

async fn event(Extract(fake): Server, Path(token): Path<String>, headers: HeaderMap) -> Response {
    let nonce = headers.get(NONCE_HEADER).and_then(|value| value.to_str().ok());
    let nonce = nonce.expect("a nonce").to_owned();
    fake.answer("event", &headers, |world| match own(world, &token, &nonce) {
        Ok(lease) => lease.payload.clone().into_response(),
        Err(lost) => *lost,
    })
}

#[derive(serde::Deserialize)]
struct LogQuery {
    offset: u64,
    nonce: String,
}

async fn logs(
    Extract(fake): Server,
    Path(token): Path<String>,
    Query(query): Query<LogQuery>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    fake.answer("logs", &headers, |world| {
        let truncated = world.truncate_logs;
        match own(world, &token, &query.nonce) {
            Ok(lease) => {
                let offset = usize::try_from(query.offset).expect("small");
                let have = lease.log.len();
                if offset <= have && have < offset + body.len() {
                    lease.log.extend_from_slice(&body[have - offset..]);
                }
                let ack = LogAck { next_offset: lease.log.len() as u64, truncated };
                Json(ack).into_response()
            }
            Err(lost) => *lost,
        }
    })
}

async fn complete(
    Extract(fake): Server,
    Path(token): Path<String>,
    headers: HeaderMap,
    Json(request): Json<CompleteRequest>,
) -> Response {
    fake.answer("complete", &headers, |world| {
        match own(world, &token, &request.nonce.to_string()) {
            Ok(lease) => {
                lease.completions.push(request);
                let job_id = lease.assignment.job_id;
                Json(CompleteResponse { job_id, state: JobStateKind::Completed }).into_response()
            }
            Err(lost) => *lost,
        }
    })
}

async fn release(
    Extract(fake): Server,
    Path(token): Path<String>,
    headers: HeaderMap,
    Json(request): Json<ReleaseRequest>,
) -> Response {
    fake.answer("release", &headers, |world| match own(world, &token, &request.nonce.to_string()) {
        Ok(lease) => {
            lease.released = Some(request.reason);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(lost) => *lost,
    })
}
