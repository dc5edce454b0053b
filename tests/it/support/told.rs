//! A stand-in for whom a server tells: the statuses, check runs, comments and Apps of GitHub, the same of Gitea and
//! GitLab, and callbacks, written from their documentation (the pages are named in `src/report/`). It can answer
//! wrongly, or do what it is asked and say nothing of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::until;

/// What it does wrong, once, to a request that changes something.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status with these headers; nothing is done.
    Status(u16, Vec<(&'static str, String)>),
    /// It is done, and the answer never comes.
    Lost,
    /// It is done, and the answer is an error.
    Done(u16),
    /// It is done, with these headers on a good answer.
    With(Vec<(&'static str, String)>),
}

/// A request that was carried out.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) bytes: Bytes,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

#[derive(Default)]
struct Inner {
    seen: Vec<Seen>,
    faults: VecDeque<Fault>,
    /// Requests that a fault answered without doing anything.
    refused: usize,
    comments: Vec<(u64, String, String)>,
    checks: Vec<(u64, Value)>,
    tokens: usize,
}

/// Somebody who is told.
#[derive(Clone)]
pub(crate) struct Told {
    pub(crate) address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Told {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let told = Self { address, inner: Arc::default() };
        let router = axum::Router::new().fallback(answer).with_state(told.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        told
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        change(&mut self.inner.lock().unwrap())
    }

    /// The section of a source that tells it, after the source's own keys.
    pub(crate) fn section(&self, more: &str) -> String {
        format!("[source.report]\napi_url = 'http://{}/api'\n{more}\n", self.address)
    }

    /// It answers the next requests that change something so.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|it| it.faults = faults.into_iter().collect());
    }

    /// What was carried out of requests to paths with that part, in order.
    pub(crate) fn seen(&self, part: &str) -> Vec<Seen> {
        self.with(|it| it.seen.iter().filter(|seen| seen.path.contains(part)).cloned().collect())
    }

    /// Waits until so many were carried out.
    pub(crate) async fn has(&self, part: &str, many: usize) -> Vec<Seen> {
        until(&format!("{many} requests to {part} came"), async || {
            let seen = self.seen(part);
            (seen.len() >= many).then_some(seen)
        })
        .await
    }

    /// Waits until the last of them says that.
    pub(crate) async fn says(&self, part: &str, wanted: impl Fn(&Value) -> bool) -> Seen {
        until(&format!("the last request to {part} says so"), async || {
            self.seen(part).pop().filter(|seen| wanted(&seen.body))
        })
        .await
    }

    /// How many requests a fault kept from being carried out.
    pub(crate) fn refused(&self) -> usize {
        self.with(|it| it.refused)
    }

    /// How often a token of an installation was given.
    pub(crate) fn tokens(&self) -> usize {
        self.with(|it| it.tokens)
    }

    /// The texts of the comments, in order.
    pub(crate) fn comments(&self) -> Vec<String> {
        self.with(|it| it.comments.iter().map(|(_, _, text)| text.clone()).collect())
    }

    /// The check runs as they are now.
    pub(crate) fn checks(&self) -> Vec<Value> {
        self.with(|it| it.checks.iter().map(|(_, check)| check.clone()).collect())
    }
}

async fn answer(
    State(told): State<Told>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let changes = method != Method::GET && !path.contains("/app/installations");
    let fault = told.with(|it| if changes { it.faults.pop_front() } else { None });
    if let Some(Fault::Status(status, with)) = &fault {
        told.with(|it| it.refused += 1);
        return with_headers(StatusCode::from_u16(*status).unwrap().into_response(), with);
    }
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let done = told.with(|it| {
        let seen = Seen { path: path.clone(), headers, body: body.clone(), bytes };
        it.seen.push(seen);
        carry_out(it, method != Method::GET, &path, &body)
    });
    match fault {
        Some(Fault::Lost) => std::future::pending().await,
        Some(Fault::Done(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Fault::With(with)) => with_headers(done, &with),
        Some(Fault::Status(..)) | None => done,
    }
}

fn with_headers(mut response: Response, with: &[(&'static str, String)]) -> Response {
    for (name, value) in with {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

/// Does what is asked, as the forges do.
fn carry_out(it: &mut Inner, changes: bool, path: &str, body: &Value) -> Response {
    let next = it.seen.len() as u64 + 100;
    if path.ends_with("/installation") {
        return axum::Json(json!({ "id": 5 })).into_response();
    }
    if path.ends_with("/access_tokens") {
        it.tokens += 1;
        let token = format!("ghs_of_installation_{}", it.tokens);
        let answer = json!({ "token": token, "expires_at": "2999-01-01T00:00:00Z" });
        return (StatusCode::CREATED, axum::Json(answer)).into_response();
    }
    if path.ends_with("/comments") || path.ends_with("/notes") {
        if !changes {
            let of = it.comments.iter().filter(|(_, of, _)| of == path);
            let list: Vec<_> = of.map(|(id, _, text)| json!({ "id": id, "body": text })).collect();
            return axum::Json(list).into_response();
        }
        let text = body["body"].as_str().unwrap().to_owned();
        it.comments.push((next, path.to_owned(), text));
        return (StatusCode::CREATED, axum::Json(json!({ "id": next }))).into_response();
    }
    if path.contains("/check-runs") {
        return check(it, changes, path, body, next);
    }
    let status =
        if path.contains("/callback") { StatusCode::NO_CONTENT } else { StatusCode::CREATED };
    (status, Body::empty()).into_response()
}

fn check(it: &mut Inner, changes: bool, path: &str, body: &Value, next: u64) -> Response {
    if !changes {
        let list: Vec<_> = it.checks.iter().map(|(id, check)| with_id(check, *id)).collect();
        return axum::Json(json!({ "total_count": list.len(), "check_runs": list }))
            .into_response();
    }
    let id = path.rsplit('/').next().and_then(|id| id.parse::<u64>().ok());
    match id {
        None => it.checks.push((next, body.clone())),
        Some(id) => {
            let Some((_, known)) = it.checks.iter_mut().find(|(known, _)| *known == id) else {
                return StatusCode::NOT_FOUND.into_response();
            };
            *known = body.clone();
        }
    }
    axum::Json(with_id(body, id.unwrap_or(next))).into_response()
}

fn with_id(check: &Value, id: u64) -> Value {
    let mut check = check.clone();
    check["id"] = id.into();
    check
}
