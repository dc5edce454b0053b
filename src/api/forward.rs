//! Any address will do: what only the leader knows is passed on to it by the others.
//!
//! ```text
//! it leads            -> here
//! it does not         -> reads of the database (logs too), webhooks: here
//!                        all else: to the leader, as it came, and the answer back as it comes
//! nobody leads (yet)  -> waits a little for one, then 503 with Retry-After
//! ```
//!
//! The leader decides who may call: it gets the caller's own `Authorization`. A call is passed on once at
//! most. It is sent again only where it was not carried out, or where that does no harm.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;

use super::error::ApiError;
use super::forward_routes::{FROM_ROWS, FROM_ROWS_AT_NEED, REPEATABLE};
use super::state::AppState;
use super::wire::PollResponse;
use crate::driver::ServerState;
use crate::store::Leader;

/// Says that a call was passed on, and by whom.
const FORWARDED: HeaderName = HeaderName::from_static("x-dispatchyard-forwarded-by");
/// Says that a call was not carried out because this instance does not lead.
const NOT_LEADING: HeaderName = HeaderName::from_static("x-dispatchyard-not-leading");
/// Where the routes are that this stands in front of: their own part of the address is the rest.
const API: &str = "/api/v1";
/// How long the leader may take to let a connection in: it is on the way out if it takes longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it is waited before a leader that was not there is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);

const POLL: &str = "/api/v1/runners/{id}/poll";

/// Passes calls on to other instances.
#[derive(Clone, Debug)]
pub struct Forwarder {
    http: reqwest::Client,
    /// What this instance calls itself to the others.
    name: HeaderValue,
    /// How long a call is kept while nobody leads.
    wait: Duration,
}

impl Forwarder {
    /// For the instance with this name.
    ///
    /// # Errors
    /// The client cannot be made: what is wrong with the system's TLS or name resolution.
    pub fn new(name: &str, wait: Duration) -> reqwest::Result<Self> {
        // Only a second installation fails, and any is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .build()?;
        let name = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("an instance"));
        Ok(Self { http, name, wait })
    }
}

/// How a call is answered by an instance that does not lead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum By {
    /// By this instance.
    Rows,
    /// By the leader, or by this instance while there is none.
    LeaderOrRows,
    /// By the leader.
    Leader,
}

fn by(method: &Method, route: &str) -> By {
    match route {
        _ if *method != Method::GET => By::Leader,
        route if FROM_ROWS.contains(&route) => By::Rows,
        route if FROM_ROWS_AT_NEED.contains(&route) => By::LeaderOrRows,
        _ => By::Leader,
    }
}

/// What came of passing a call on.
enum Passed {
    Answered(Response),
    /// It was not carried out.
    NotThere,
    /// It may have been carried out.
    Lost,
}

/// Who carries a call out.
enum Where {
    Here,
    There {
        url: Box<str>,
        instance_id: Box<str>,
    },
    /// Nobody, or somebody who cannot be reached; why.
    Nowhere(&'static str),
}

/// Sends a call where it can be carried out.
pub(super) async fn forward(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Response {
    let views = state.handle.views();
    let Some(forwarder) = state.forwarder.as_ref().filter(|_| !views.is_alone()) else {
        return next.run(request).await;
    };
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_default();
    let by = by(request.method(), &route);
    let passed_on = request.headers().contains_key(FORWARDED);
    let is_stopping = views.state() == ServerState::Stopping;
    // Another one will lead in a moment, and whoever passed the call on looks for it.
    if is_stopping && passed_on {
        return not_leading();
    }
    // The same everywhere: a log that is followed need not end with who leads.
    if by == By::Rows || (by == By::LeaderOrRows && matches!(place(&state), Where::Nowhere(_))) {
        return next.run(request).await;
    }
    if is_stopping || matches!(place(&state), Where::Here) {
        return here(&state, request, next).await;
    }
    let (parts, body) = request.into_parts();
    let body = match whole(&state, Request::from_parts(parts.clone(), body)).await {
        Ok(body) => body,
        Err(error) => return error.into_response(),
    };
    let over = tokio::time::sleep(forwarder.wait);
    tokio::pin!(over);
    let mut standing = views.watch_standing();
    let mut server_state = views.watch_state();
    loop {
        let why = match place(&state) {
            Where::Here => {
                return here(&state, Request::from_parts(parts, Body::from(body)), next).await;
            }
            _ if passed_on && !views.standing().leads => return not_leading(),
            Where::There { url, instance_id } => {
                let call =
                    Call { parts: &parts, body: &body, url: &url, instance_id: &instance_id };
                let repeatable = parts.method == Method::GET || REPEATABLE.contains(&&*route);
                match pass_on(&state, forwarder, call).await {
                    Passed::Answered(response) => return response,
                    // The runner asks again, and is then told what it was given.
                    Passed::Lost if route == POLL => return nothing_new(),
                    Passed::Lost if !repeatable => {
                        return no_leader(&state, "the leader has gone while it worked on this");
                    }
                    Passed::NotThere | Passed::Lost => "the leader cannot be reached",
                }
            }
            Where::Nowhere(why) => why,
        };
        tokio::select! {
            () = &mut over => return no_leader(&state, why),
            () = state.stopping.cancelled() => return no_leader(&state, "this instance is stopping"),
            _ = standing.changed() => {}
            _ = server_state.changed() => {}
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}

/// The whole body, which may have to be sent more than once.
async fn whole(state: &AppState, request: Request) -> Result<Bytes, ApiError> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::TooLarge {
            limit: "api_body_bytes_max",
            max: state.limits.api_body_bytes_max as u64,
        },
        _ => ApiError::BadRequest(rejection.body_text()),
    })
}

fn place(state: &AppState) -> Where {
    let views = state.handle.views();
    let standing = views.standing();
    if standing.leads {
        let speaks = views.may_speak(state.clock.now());
        return match views.state() {
            ServerState::Running if speaks => Where::Here,
            // What can be said without the rows is said by whoever asks the driver.
            ServerState::StoreUnavailable if speaks => Where::Here,
            _ => Where::Nowhere("this instance is taking over"),
        };
    }
    match standing.leader {
        None => Where::Nowhere("no instance leads at the moment"),
        Some(leader) => match leader.advertised_url {
            Some(url) => Where::There { url, instance_id: leader.instance_id },
            None => {
                Where::Nowhere("the leader does not say where it is: set server.advertised_url")
            }
        },
    }
}

/// Carries a call out here. An answer that goes on for ever ends when this instance does not lead any
/// more, so that whoever reads it comes back and is led to the one that does.
async fn here(state: &AppState, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return response;
    }
    let mut standing = state.handle.views().watch_standing();
    let stepped_down = async move {
        let _ = standing.wait_for(|standing| !standing.leads).await;
    };
    response.map(|body| Body::from_stream(body.into_data_stream().take_until(stepped_down)))
}

/// A call on its way.
#[derive(Clone, Copy)]
struct Call<'a> {
    parts: &'a axum::http::request::Parts,
    body: &'a Bytes,
    url: &'a str,
    instance_id: &'a str,
}

async fn pass_on(state: &AppState, forwarder: &Forwarder, call: Call<'_>) -> Passed {
    let Call { parts, body, url, instance_id } = call;
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = between_ends(&parts.headers);
    headers.insert(FORWARDED, forwarder.name.clone());
    let request = forwarder.http.request(parts.method.clone(), format!("{url}{API}{path}"));
    let sending = request.headers(headers).body(body.clone()).send();
    let sent = tokio::select! {
        sent = sending => sent,
        () = gone(state, instance_id.into()) => return Passed::Lost,
        () = state.stopping.cancelled() => return Passed::Lost,
    };
    let answer = match sent {
        Ok(answer) if answer.headers().contains_key(NOT_LEADING) => return Passed::NotThere,
        Ok(answer) => answer,
        Err(error) if error.is_connect() => return Passed::NotThere,
        Err(error) => {
            tracing::debug!(%error, "failed to pass a call on to the leader");
            return Passed::Lost;
        }
    };
    state.metrics.instances.forwarded_requests.inc();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = between_ends(answer.headers());
    let length = answer.headers().get(header::CONTENT_LENGTH).cloned();
    let (state, instance_id) = (state.clone(), Box::<str>::from(instance_id));
    *response.body_mut() = match length {
        // It is on its way as a whole.
        Some(length) => {
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
            Body::from_stream(answer.bytes_stream())
        }
        None => {
            let stopping = state.stopping.clone();
            let until = async move {
                tokio::select! {
                    () = gone(&state, instance_id) => {}
                    () = stopping.cancelled() => {}
                }
            };
            Body::from_stream(answer.bytes_stream().take_until(Box::pin(until)))
        }
    };
    Passed::Answered(response)
}

/// Resolves when that instance does not lead any more.
async fn gone(state: &AppState, instance_id: Box<str>) {
    let mut standing = state.handle.views().watch_standing();
    let leads = |leader: &Leader| leader.instance_id == instance_id;
    let _ = standing.wait_for(|it| !it.leader.as_ref().is_some_and(leads)).await;
}

/// The headers that are for the other end, and not for the connection they came on.
fn between_ends(headers: &HeaderMap) -> HeaderMap {
    const HOPS: [HeaderName; 9] = [
        header::CONNECTION,
        HeaderName::from_static("keep-alive"),
        header::PROXY_AUTHENTICATE,
        header::PROXY_AUTHORIZATION,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::HOST,
    ];
    let named: Vec<_> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let hop = HOPS.contains(name) || named.iter().any(|it| it == name.as_str());
        // Both ends of a passed call have the whole body, and say its length themselves.
        if !hop && *name != header::CONTENT_LENGTH {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// The answer to a poll that was parked with a leader that is gone.
fn nothing_new() -> Response {
    axum::Json(PollResponse { jobs: Vec::new(), cancel: Vec::new(), drain: false }).into_response()
}

fn no_leader(state: &AppState, why: &'static str) -> Response {
    state.metrics.instances.leaderless_requests.inc();
    ApiError::NoLeader(why).into_response()
}

fn not_leading() -> Response {
    let mut response = ApiError::NoLeader("this instance does not lead").into_response();
    response.headers_mut().insert(NOT_LEADING, HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes;

    #[test]
    fn every_named_route_is_one() {
        let known: Vec<_> =
            routes().into_iter().map(|it| (it.method, format!("/api/v1{}", it.path))).collect();
        for route in FROM_ROWS.iter().chain(&FROM_ROWS_AT_NEED) {
            assert!(known.contains(&(Method::GET, (*route).to_owned())), "{route}");
        }
        for route in REPEATABLE.iter().chain([&POLL]) {
            assert!(known.contains(&(Method::POST, (*route).to_owned())), "{route}");
        }
    }

    #[test]
    fn only_reads_of_rows_are_answered_by_a_standby() {
        assert_eq!(by(&Method::GET, "/api/v1/jobs"), By::Rows);
        assert_eq!(by(&Method::POST, "/api/v1/workloads"), By::Leader);
        assert_eq!(by(&Method::GET, "/api/v1/stream"), By::Leader);
        assert_eq!(by(&Method::GET, "/api/v1/queue"), By::LeaderOrRows);
    }

    #[test]
    fn headers_of_one_connection_stay_there() {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [("connection", "close, x-own"), ("x-own", "1"), ("host", "a"), ("authorization", "b")]
        {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let kept = between_ends(&headers);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[header::AUTHORIZATION], "b");
        assert_eq!(not_leading().status(), 503);
    }
}
