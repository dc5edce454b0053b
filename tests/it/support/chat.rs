//! A stand-in for chats in which sessions answer: Slack, Discord, Telegram, Mattermost, and whoever takes a signed call,
//! written from their documentation (the pages are named in `src/report/chat/`). It can answer wrongly, or take what it is
//! told and say nothing of it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::until;

/// What it does wrong, once, to a message.
#[derive(Clone, Debug)]
pub(crate) enum ChatFault {
    /// This status, with this header and this body; nothing is taken.
    Status(u16, Option<(&'static str, &'static str)>, Value),
    /// It is taken, and the answer never comes.
    Lost,
    /// It is taken, and the answer is an error.
    Taken(u16),
}

impl ChatFault {
    /// Slack: 200, and not done.
    pub(crate) fn not_ok(error: &str) -> Self {
        Self::Status(200, None, json!({ "ok": false, "error": error }))
    }
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// Channel and thread.
    pub(crate) place: String,
    pub(crate) text: String,
    pub(crate) path: String,
    pub(crate) body: Value,
    pub(crate) bytes: Bytes,
    pub(crate) headers: HeaderMap,
}

#[derive(Default)]
struct Inner {
    messages: Vec<Message>,
    faults: VecDeque<ChatFault>,
    /// Messages to a place with this in its name are refused, as by a server that is away.
    away: Option<String>,
    refused: usize,
    looked: usize,
}

/// All of them behind one address.
#[derive(Clone)]
pub(crate) struct Chats {
    pub(crate) address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Chats {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let chats = Self { address, inner: Arc::default() };
        let router = axum::Router::new().fallback(answer).with_state(chats.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        chats
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        change(&mut self.inner.lock().unwrap())
    }

    /// A source of that kind that answers here, with its name.
    pub(crate) fn source(&self, kind: &str, token: &str, more: &str) -> String {
        let api = match kind {
            "hmac" => "generic",
            kind => kind,
        };
        format!(
            "[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\ninsecure = true\n[source.chat]\n\
             api_url = \"http://{}/{api}\"\ntoken = {{ file = \"{token}\" }}\n{more}\n",
            self.address
        )
    }

    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = ChatFault>) {
        self.with(|it| it.faults = faults.into_iter().collect());
    }

    /// Refuses messages to a place until told otherwise.
    pub(crate) fn away(&self, place: Option<&str>) {
        self.with(|it| it.away = place.map(str::to_owned));
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.with(|it| it.messages.clone())
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.messages().into_iter().map(|it| it.text).collect()
    }

    /// How many requests were refused, and how often somebody looked for a message.
    pub(crate) fn refused_and_looked(&self) -> (usize, usize) {
        self.with(|it| (it.refused, it.looked))
    }

    /// Waits until so many were taken.
    pub(crate) async fn has(&self, many: usize) -> Vec<Message> {
        until(&format!("{many} messages"), async || {
            let messages = self.messages();
            (messages.len() >= many).then_some(messages)
        })
        .await
    }
}

async fn answer(
    State(chats): State<Chats>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    if method == Method::GET {
        return chats.with(|it| found(it, &path, uri.query().unwrap_or_default()));
    }
    let body: Value = serde_json::from_slice(&bytes).unwrap();
    let (place, text) = said(&path, &body);
    let is_away = chats.with(|it| it.away.as_ref().is_some_and(|away| place.contains(away)));
    if is_away {
        chats.with(|it| it.refused += 1);
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let fault = chats.with(|it| it.faults.pop_front());
    if let Some(ChatFault::Status(status, header, body)) = &fault {
        chats.with(|it| it.refused += 1);
        let status = StatusCode::from_u16(*status).unwrap();
        let mut response = (status, axum::Json(body)).into_response();
        if let Some((name, value)) = header {
            response.headers_mut().insert(*name, value.parse().unwrap());
        }
        return response;
    }
    let message = Message { place, text, path: path.clone(), body, bytes, headers };
    let done = chats.with(|it| take(it, message));
    match fault {
        Some(ChatFault::Lost) => std::future::pending().await,
        Some(ChatFault::Taken(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        _ => done,
    }
}

/// Where a message is said, and what.
fn said(path: &str, body: &Value) -> (String, String) {
    let text = |key: &str| match &body[key] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let (place, what) = match path.split('/').nth(1).unwrap_or_default() {
        "slack" => (format!("{} {}", text("channel"), text("thread_ts")), text("text")),
        "discord" => (path.split('/').nth(3).unwrap_or_default().to_owned(), text("content")),
        "telegram" => (format!("{} {}", text("chat_id"), text("message_thread_id")), text("text")),
        "mattermost" => (format!("{} {}", text("channel_id"), text("root_id")), text("message")),
        _ => {
            let data = &body["data"];
            (data["place"].to_string(), data["text"].as_str().unwrap_or_default().to_owned())
        }
    };
    (place.trim().to_owned(), what)
}

/// Takes a message, as they do.
fn take(it: &mut Inner, message: Message) -> Response {
    let of = message.path.split('/').nth(1).unwrap_or_default().to_owned();
    let known = it.messages.iter().position(|known| {
        of == "discord"
            && message.body["enforce_nonce"] == true
            && known.body["nonce"] == message.body["nonce"]
    });
    let id = known.unwrap_or(it.messages.len());
    if known.is_none() {
        it.messages.push(message);
    }
    let body = match &*of {
        "slack" => json!({ "ok": true, "ts": format!("{id}.000100") }),
        "telegram" => json!({ "ok": true, "result": { "message_id": id } }),
        _ => json!({ "id": id.to_string() }),
    };
    axum::Json(body).into_response()
}

/// What was said in a place, as those that can be asked show it.
fn found(it: &mut Inner, path: &str, query: &str) -> Response {
    it.looked += 1;
    let has = |key: &str| query.contains(key) || path.contains(key);
    let here = it.messages.iter().enumerate().filter(|(_, message)| {
        message.place.split(' ').all(|part| part.is_empty() || has(part))
            || message.body["root_id"].as_str().is_some_and(has)
    });
    if path.starts_with("/slack/") {
        assert!(query.contains("include_all_metadata=true"), "{query}");
        let messages = here.map(|(id, message)| {
            json!({ "ts": format!("{id}.000100"), "text": message.text,
                    "metadata": message.body["metadata"] })
        });
        let messages: Vec<_> = messages.collect();
        return axum::Json(json!({ "ok": true, "messages": messages })).into_response();
    }
    let posts = here.map(|(id, message)| (id.to_string(), message.body.clone()));
    let posts: serde_json::Map<String, Value> = posts.collect();
    axum::Json(json!({ "order": [], "posts": posts })).into_response()
}
