//! A forge: sends signed deliveries.

use dispatchyard::api::wire::DeliveryAccepted;
use dispatchyard::webhook::{Secret, sign};
use reqwest::{Method, RequestBuilder};

use super::home::HOOK_SECRET;
use super::wait::within;
use super::{Answer, Api};

/// The webhook `github` of a server.
#[derive(Clone)]
pub(crate) struct Hook {
    api: Api,
}

impl Hook {
    pub(crate) fn new(api: &Api) -> Self {
        Self { api: api.clone() }
    }

    /// A delivery without a signature.
    pub(crate) fn unsigned(
        &self,
        event: &str,
        id: &str,
        body: impl Into<Vec<u8>>,
    ) -> RequestBuilder {
        self.api
            .request(Method::POST, "/hooks/github")
            .header("content-type", "application/json")
            .header("x-github-event", event)
            .header("x-github-delivery", id)
            .body(body.into())
    }

    /// A delivery as GitHub sends it.
    pub(crate) fn signed(&self, event: &str, id: &str, body: impl Into<Vec<u8>>) -> RequestBuilder {
        let body = body.into();
        let signature = signature(&body);
        self.unsigned(event, id, body).header("x-hub-signature-256", signature)
    }

    /// Sends a push that must be accepted.
    pub(crate) async fn push(&self, id: &str) -> DeliveryAccepted {
        let answer = self.send("push", id, fixture("push")).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn send(&self, event: &str, id: &str, body: impl Into<Vec<u8>>) -> Answer {
        answer(self.signed(event, id, body)).await
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    try_answer(request).await.unwrap()
}

/// Nothing when there was no answer.
pub(crate) async fn try_answer(request: RequestBuilder) -> Option<Answer> {
    let asked = async { Answer::of(request.send().await.ok()?).await.ok() };
    within("an answer", asked).await
}

/// The signature over exactly these bytes.
pub(crate) fn signature(body: &[u8]) -> String {
    sign(&Secret::new(HOOK_SECRET.as_bytes()).unwrap(), body)
}

/// A delivery of `fixtures/github`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/github/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

/// The push of the fixtures with one value replaced.
pub(crate) fn push_with(pointer: &str, value: impl Into<serde_json::Value>) -> Vec<u8> {
    changed("push", pointer, value)
}

/// A delivery of the fixtures with one value replaced.
pub(crate) fn changed(name: &str, pointer: &str, value: impl Into<serde_json::Value>) -> Vec<u8> {
    let mut push: serde_json::Value = serde_json::from_slice(&fixture(name)).unwrap();
    *push.pointer_mut(pointer).unwrap() = value.into();
    serde_json::to_vec(&push).unwrap()
}
