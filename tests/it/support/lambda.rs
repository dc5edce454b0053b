//! A stand-in for AWS Lambda on loopback: verifies each request's signature by itself, and answers as it was
//! told; then a synchronous call gets no answer, and an asynchronous one 202.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::home::HOOK_SECRET;
use super::until;

/// The name of the only key that it knows; its secret is [`HOOK_SECRET`].
pub(crate) const KEY_ID: &str = "AKIDEXAMPLE";

/// An answer: status, headers, body.
type Told = (u16, Vec<(&'static str, String)>, String);

#[derive(Clone, Default)]
pub(crate) struct Lambda {
    answers: Arc<Mutex<VecDeque<Told>>>,
    invoked: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Lambda {
    pub(crate) async fn start(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(invoke).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    /// What the function returns, with headers of Lambda.
    pub(crate) fn returns(&self, headers: &[(&'static str, &str)], body: &Value) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let told = (200, headers.collect(), body.to_string());
        self.answers.lock().unwrap().push_back(told);
    }

    /// An error of Lambda's own.
    pub(crate) fn refuses(&self, status: u16, name: &str) {
        self.answers.lock().unwrap().push_back(refusal(status, name, "as it was told to"));
    }

    /// The invocations so far whose signatures were good, once there are so many.
    pub(crate) async fn invoked(&self, many: usize) -> Vec<(HeaderMap, Value)> {
        until("it was invoked", async || {
            let invoked = self.invoked.lock().unwrap().clone();
            (invoked.len() >= many).then_some(invoked)
        })
        .await
    }
}

fn refusal(status: u16, name: &str, why: &str) -> Told {
    let headers = vec![("x-amzn-errortype", name.to_owned()), ("retry-after", "0".to_owned())];
    (status, headers, serde_json::json!({ "Type": "User", "Message": why }).to_string())
}

async fn invoke(State(lambda): State<Lambda>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 8 << 20).await.unwrap();
    let told = match is_signed(&parts, &body) {
        Err(why) => Some(refusal(403, "InvalidSignatureException", &why)),
        Ok(()) if !parts.uri.path().starts_with("/2015-03-31/functions/") => {
            Some(refusal(404, "ResourceNotFoundException", "no such path"))
        }
        Ok(()) => {
            let event = serde_json::from_slice(&body).unwrap();
            lambda.invoked.lock().unwrap().push((parts.headers.clone(), event));
            lambda.answers.lock().unwrap().pop_front()
        }
    };
    let is_queued = parts.headers["x-amz-invocation-type"] == "Event";
    let (status, headers, body) = match told {
        Some(told) => told,
        None if is_queued => (202, vec![], String::new()),
        None => std::future::pending().await,
    };
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    response.headers_mut().insert("x-amzn-requestid", "the-id-of-aws".parse().unwrap());
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// Signature Version 4, by its specification and by nothing else:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>
fn is_signed(parts: &Parts, body: &[u8]) -> Result<(), String> {
    let header = |name: &str| parts.headers[name].to_str().unwrap().to_owned();
    let authorization = header("authorization");
    let field = |name: &str| {
        let (_, behind) = authorization.split_once(&format!("{name}=")).unwrap();
        behind.split(',').next().unwrap().to_owned()
    };
    let (credential, signed) = (field("Credential"), field("SignedHeaders"));
    let scope: Vec<&str> = credential.split('/').collect();
    let [id, day, region, "lambda", "aws4_request"] = scope[..] else {
        return Err(format!("its scope is {credential}"));
    };
    let names: Vec<&str> = signed.split(';').collect();
    let needed = ["content-type", "host", "x-amz-date", "x-amz-invocation-type"];
    if id != KEY_ID || !needed.iter().all(|name| names.contains(name)) {
        return Err(format!("it is signed by {id}, over {signed}"));
    }
    // What stands in the path was escaped, and is escaped once more for the signature.
    let path: String = parts.uri.path().replace('%', "%25");
    let mut query: Vec<&str> = parts.uri.query().unwrap_or_default().split('&').collect();
    query.sort_unstable();
    let headers: String = names.iter().map(|it| format!("{it}:{}\n", header(it).trim())).collect();
    let hash = hex::encode(Sha256::digest(body));
    let query = query.join("&");
    let request = format!("{}\n{path}\n{query}\n{headers}\n{signed}\n{hash}", parts.method);
    let at = header("x-amz-date");
    let place = format!("{day}/{region}/lambda/aws4_request");
    let hash = hex::encode(Sha256::digest(request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{place}\n{hash}");
    let key = [day, region, "lambda", "aws4_request"]
        .iter()
        .fold(format!("AWS4{HOOK_SECRET}").into_bytes(), |key, part| mac(&key, part));
    let wanted = hex::encode(mac(&key, &text));
    if field("Signature") == wanted { Ok(()) } else { Err(format!("no signature of\n{request}")) }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
