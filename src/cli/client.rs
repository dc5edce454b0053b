//! HTTP to the server: addresses, the token, timeouts, and errors as problem+json.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CliError;
use crate::api::wire::Problem;

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait for an answer that is not a stream.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a stream may be silent. The server sends a comment more often than that.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of an unexplained answer is shown.
const EXCERPT_CHARS_MAX: usize = 200;

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    authorization: Option<HeaderValue>,
}

/// What the server sent, as text and on demand as a value.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The body as it came.
    pub text: String,
    server: String,
}

impl Answer {
    /// The body as a value.
    ///
    /// # Errors
    /// It has another form.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, CliError> {
        serde_json::from_str(&self.text)
            .map_err(|source| CliError::NotUnderstood { server: self.server.clone(), source })
    }
}

impl Client {
    /// A client of the server at that address, which may have a path in front of the API's.
    ///
    /// # Errors
    /// The address is not one of http or https, or the token has characters that no header has.
    pub fn new(server: &str, token: Option<String>) -> Result<Self, CliError> {
        let usage =
            |message: String, hint: &str| CliError::Usage { message, hint: hint.to_owned() };
        let base = Url::parse(server)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                let message = format!("`{server}` is not the address of a server");
                usage(message, "write it as http://127.0.0.1:7878")
            })?;
        let bearer = token.map(|token| HeaderValue::try_from(format!("Bearer {token}")));
        let mut authorization = bearer.transpose().map_err(|_| {
            let message = "the token has characters that no token has".to_owned();
            usage(message, "look at the file of --token-file, or at DISPATCHYARD_TOKEN")
        })?;
        authorization.iter_mut().for_each(|value| value.set_sensitive(true));
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            // A token is for the server that was named, not for wherever that one points.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("dispatchyard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| CliError::Unreachable { server: server.to_owned(), source })?;
        Ok(Self { http, base, authorization })
    }

    /// The server, for messages.
    pub fn server(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// `GET /api/v1/{path}`.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn get(&self, path: &[&str], query: &[(&str, String)]) -> Result<Answer, CliError> {
        let request = self.api(Method::GET, path).query(query).timeout(ANSWER_TIMEOUT);
        self.answer(request).await
    }

    /// `POST /api/v1/{path}` with a JSON body.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, CliError> {
        let request = self.api(Method::POST, path).json(body).timeout(ANSWER_TIMEOUT);
        self.answer(request).await
    }

    /// `PATCH /api/v1/{path}` with a JSON body.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn patch(&self, path: &[&str], body: &impl Serialize) -> Result<Answer, CliError> {
        let request = self.api(Method::PATCH, path).json(body).timeout(ANSWER_TIMEOUT);
        self.answer(request).await
    }

    /// `DELETE /api/v1/{path}`.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn delete(&self, path: &[&str]) -> Result<Answer, CliError> {
        self.answer(self.api(Method::DELETE, path).timeout(ANSWER_TIMEOUT)).await
    }

    /// As [`Client::post`], with a query.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn post_query(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: &impl Serialize,
    ) -> Result<Answer, CliError> {
        let request = self.api(Method::POST, path).query(query).json(body);
        self.answer(request.timeout(ANSWER_TIMEOUT)).await
    }

    /// As [`Client::post`], with an `Idempotency-Key` where there is one.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn post_once(
        &self,
        path: &[&str],
        body: &impl Serialize,
        key: Option<&str>,
    ) -> Result<Answer, CliError> {
        let mut request = self.api(Method::POST, path).json(body).timeout(ANSWER_TIMEOUT);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.answer(request).await
    }

    /// `POST /{path}` with the bytes and headers given, and without our token: what a forge sends.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn post_hook(
        &self,
        path: &[&str],
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Answer, CliError> {
        let request = self.http.post(self.url(path)).headers(headers).body(body);
        self.answer(request.timeout(ANSWER_TIMEOUT)).await
    }

    /// `GET /api/v1/{path}` as a stream of server-sent events, from behind the event with that id.
    ///
    /// # Errors
    /// Nobody answered, or the server refused.
    pub async fn stream(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        last_event_id: Option<&str>,
    ) -> Result<Response, CliError> {
        let mut request =
            self.api(Method::GET, path).query(query).header("accept", "text/event-stream");
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.send(request).await
    }

    fn api(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let segments: Vec<&str> = ["api", "v1"].iter().chain(path).copied().collect();
        let request = self.http.request(method, self.url(&segments));
        match &self.authorization {
            Some(value) => request.header("authorization", value.clone()),
            None => request,
        }
    }

    /// Each segment is escaped, so that no name can name another route.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Only addresses that cannot have a path fail here, and http and https can.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Answer, CliError> {
        let response = self.send(request).await?;
        let text = response.text().await.map_err(|source| self.unreachable(source))?;
        Ok(Answer { text, server: self.server() })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let response = request.send().await.map_err(|source| self.unreachable(source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.map_err(|source| self.unreachable(source))?;
        Err(match serde_json::from_str::<Problem>(&text) {
            Ok(problem) => CliError::Refused(Box::new(problem)),
            Err(_) => CliError::Unexplained {
                server: self.server(),
                status: status.as_u16(),
                body: text.chars().take(EXCERPT_CHARS_MAX).collect(),
            },
        })
    }

    fn unreachable(&self, source: reqwest::Error) -> CliError {
        // The address is told once, by the message around this one.
        CliError::Unreachable { server: self.server(), source: source.without_url() }
    }
}

#[cfg(test)]
pub(super) mod tests;
