//! The calls of the Docker Engine API that are needed here, which Podman answers too, over its socket.
//!
//! No version stands in the paths: a daemon then speaks its own newest one, and what is used here has been the same
//! in all. A version that old daemons know is refused by new ones.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::{Value, json};

use super::pack;
use super::state::{Inspected, Listed};

/// The most that is read of an answer that is not a stream.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a daemon listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DaemonAddress {
    /// A Unix socket.
    Socket(PathBuf),
    /// `http://HOST:PORT`.
    Http(Url),
}

impl std::fmt::Display for DaemonAddress {
    /// As it can be read again, without a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
            Self::Http(url) => {
                let mut url = url.clone();
                // Neither can fail for `http`.
                let _ = url.set_username("").and_then(|()| url.set_password(None));
                f.write_str(url.as_str().trim_end_matches('/'))
            }
        }
    }
}

impl std::str::FromStr for DaemonAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix("unix://").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Socket(path.into()));
        }
        match text.parse::<Url>() {
            Ok(url) if url.scheme() == "http" && url.has_host() => Ok(Self::Http(url)),
            _ => Err(format!("`{text}` is neither a socket's path nor `http://HOST:PORT`")),
        }
    }
}

/// Whose images are pulled by a name and a password.
#[derive(Clone)]
pub struct RegistryAuth {
    /// Who.
    pub user: String,
    /// The password.
    pub password: String,
}

/// Why a call came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nobody is there: it was not asked.
    #[error("{0}")]
    NotThere(String),
    /// It may have been carried out: no answer in time, or a broken one.
    #[error("{0}")]
    Broken(String),
    /// It was refused.
    #[error("{0}: {1}")]
    Refused(StatusCode, String),
}

impl Trouble {
    /// Whether the daemon would say the same again.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::Refused(status, _) if status.is_client_error())
    }

    pub(super) fn is(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Refused(status, _) if *status == wanted)
    }
}

/// What became of a wish for a container.
pub(super) enum Created {
    New,
    /// One of that name is there.
    Exists,
    /// The image is not there, by its own words.
    NoImage(String),
}

/// A daemon.
#[derive(Clone)]
pub(super) struct Daemon {
    client: Client,
    base: String,
    /// How long an answer may take, but for pulls and streams.
    timeout: Duration,
}

impl Daemon {
    pub(super) fn new(address: &DaemonAddress, timeout: Duration) -> Result<Self, reqwest::Error> {
        // Idempotent: an error means that somebody installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("dispatchyard/", env!("CARGO_PKG_VERSION")));
        let (client, base) = match address {
            DaemonAddress::Socket(path) => (client.unix_socket(path.as_path()), "http://localhost"),
            DaemonAddress::Http(url) => (client, url.as_str()),
        };
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { client: client.build()?, base, timeout })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// An answer that is neither an error nor a redirect.
    async fn stream(&self, request: RequestBuilder) -> Result<Response, Trouble> {
        let response = request.send().await.map_err(|error| trouble(&error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let body = read(response, 64 << 10).await.unwrap_or_default();
        Err(Trouble::Refused(status, message(&body)))
    }

    /// The whole answer.
    async fn ask(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Trouble> {
        let response = self.stream(request.timeout(self.timeout)).await?;
        let status = response.status();
        Ok((status, read(response, ANSWER_BYTES_MAX).await?))
    }

    async fn ask_json<T: serde::de::DeserializeOwned>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, Trouble> {
        let (_, body) = self.ask(request).await?;
        serde_json::from_slice(&body)
            .map_err(|error| Trouble::Broken(format!("its answer cannot be read: {error}")))
    }

    pub(super) async fn ping(&self) -> Result<(), Trouble> {
        self.ask(self.request(Method::GET, "/_ping")).await.map(drop)
    }

    /// What its machine is called; `None` when it does not tell.
    pub(super) async fn host(&self) -> Result<Option<String>, Trouble> {
        match self.ask_json::<Value>(self.request(Method::GET, "/info")).await {
            Ok(info) => {
                let name = info.get("Name").and_then(Value::as_str).map(str::to_owned);
                Ok(name.filter(|name| !name.is_empty() && !name.contains('@')))
            }
            // Who stands before it may not let everybody ask.
            Err(trouble) if trouble.is_final() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    pub(super) async fn create(&self, name: &str, body: &Value) -> Result<Created, Trouble> {
        let request = self.request(Method::POST, "/containers/create");
        match self.ask(request.query(&[("name", name)]).json(body)).await {
            Ok(_) => Ok(Created::New),
            Err(Trouble::Refused(StatusCode::CONFLICT, _)) => Ok(Created::Exists),
            Err(Trouble::Refused(StatusCode::NOT_FOUND, why)) => Ok(Created::NoImage(why)),
            Err(trouble) => Err(trouble),
        }
    }

    /// Pulls an image; the answer comes when it is there, or cannot be.
    pub(super) async fn pull(
        &self,
        image: &str,
        auth: Option<&RegistryAuth>,
        timeout: Duration,
    ) -> Result<(), Trouble> {
        let (repository, tag) = tag_of(image);
        let mut request = self
            .request(Method::POST, "/images/create")
            .query(&[("fromImage", repository), ("tag", tag)])
            .timeout(timeout);
        if let Some(RegistryAuth { user, password }) = auth {
            let auth = json!({ "username": user, "password": password }).to_string();
            let value = reqwest::header::HeaderValue::from_str(&URL_SAFE.encode(auth));
            if let Ok(mut value) = value {
                value.set_sensitive(true);
                request = request.header("X-Registry-Auth", value);
            }
        }
        let mut response = self.stream(request).await?;
        // Progress, a line each. An error comes as a line, too: the status was sent before.
        let mut line = Vec::new();
        let told = |line: &[u8]| {
            let line: Value = serde_json::from_slice(line).ok()?;
            line.get("error").and_then(Value::as_str).map(str::to_owned)
        };
        let failed = |why: String| Trouble::Refused(StatusCode::NOT_FOUND, why);
        while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
            for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
                if line.len() + piece.len() <= ANSWER_BYTES_MAX {
                    line.extend_from_slice(piece);
                }
                if piece.ends_with(b"\n") {
                    told(&line).map_or(Ok(()), |why| Err(failed(why)))?;
                    line.clear();
                }
            }
        }
        told(&line).map_or(Ok(()), |why| Err(failed(why)))
    }

    /// Puts files into a container, below its root.
    pub(super) async fn upload(&self, name: &str, archive: Bytes) -> Result<(), Trouble> {
        let request = self.request(Method::PUT, &format!("/containers/{name}/archive"));
        let request = request.query(&[("path", "/")]).header("content-type", "application/x-tar");
        self.ask(request.body(archive)).await.map(drop)
    }

    /// Starts one; that it runs already is no error.
    pub(super) async fn start(&self, name: &str) -> Result<(), Trouble> {
        self.ask(self.request(Method::POST, &format!("/containers/{name}/start"))).await.map(drop)
    }

    /// How one stands; `None` when it is not there.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<Inspected>, Trouble> {
        match self.ask_json(self.request(Method::GET, &format!("/containers/{name}/json"))).await {
            Ok(seen) => Ok(Some(seen)),
            Err(trouble) if trouble.is(StatusCode::NOT_FOUND) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Answers when one runs no more, or when there is nothing more to be heard: then look.
    pub(super) async fn wait(&self, name: &str) -> Result<(), Trouble> {
        let request = self.request(Method::POST, &format!("/containers/{name}/wait"));
        let response = self.stream(request.query(&[("condition", "not-running")])).await?;
        read(response, 64 << 10).await.map(drop)
    }

    /// What one has written so far and writes from now on, in frames.
    pub(super) async fn logs(&self, name: &str) -> Result<Response, Trouble> {
        let request = self.request(Method::GET, &format!("/containers/{name}/logs"));
        let query = [("follow", "true"), ("stdout", "true"), ("stderr", "true")];
        self.stream(request.query(&query)).await
    }

    /// Sends a signal; that it runs no more is no error.
    pub(super) async fn kill(&self, name: &str, signal: &str) -> Result<(), Trouble> {
        let request = self.request(Method::POST, &format!("/containers/{name}/kill"));
        match self.ask(request.query(&[("signal", signal)])).await {
            Err(Trouble::Refused(StatusCode::CONFLICT | StatusCode::NOT_FOUND, _)) => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// Takes one away, whatever it does, with its nameless volumes. Answers `true` when it is not there any
    /// more.
    pub(super) async fn remove(&self, name: &str) -> Result<bool, Trouble> {
        let request = self.request(Method::DELETE, &format!("/containers/{name}"));
        match self.ask(request.query(&[("force", "true"), ("v", "true")])).await {
            Ok(_) | Err(Trouble::Refused(StatusCode::NOT_FOUND, _)) => Ok(true),
            // Somebody does so already.
            Err(Trouble::Refused(StatusCode::CONFLICT, _)) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// The content of a file; `None` when there is none, or something else in its place.
    pub(super) async fn file(&self, name: &str, path: &str) -> Result<Option<Vec<u8>>, Trouble> {
        let request = self.request(Method::GET, &format!("/containers/{name}/archive"));
        match self.ask(request.query(&[("path", path)])).await {
            Ok((_, archive)) => Ok(pack::content(&archive)),
            Err(trouble) if trouble.is(StatusCode::NOT_FOUND) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// All containers with these labels, ended ones too.
    pub(super) async fn list(&self, labels: &[(&str, &str)]) -> Result<Vec<Listed>, Trouble> {
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let filters = json!({ "label": labels }).to_string();
        let request = self.request(Method::GET, "/containers/json");
        self.ask_json(request.query(&[("all", "true"), ("filters", &filters)])).await
    }
}

/// An image's name without its tag or digest, and those: without a tag all of them would be pulled.
fn tag_of(image: &str) -> (&str, &str) {
    if let Some(parts) = image.split_once('@') {
        return parts;
    }
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (image, "latest"),
    }
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| trouble(&error))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(Trouble::Broken(format!("its answer is longer than {bytes_max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a daemon says of an error.
fn message(body: &[u8]) -> String {
    let told: Option<Value> = serde_json::from_slice(body).ok();
    let told = told.as_ref().and_then(|told| told.get("message")).and_then(Value::as_str);
    let text = told.map_or_else(|| String::from_utf8_lossy(body).into_owned(), str::to_owned);
    let clean = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    clean.take(500).collect::<String>().trim().to_owned()
}

fn trouble(error: &reqwest::Error) -> Trouble {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match error {
        _ if error.is_timeout() && !error.is_connect() => {
            Trouble::Broken("no answer in time".to_owned())
        }
        _ if error.is_connect() => Trouble::NotThere(format!("it cannot be reached: {cause}")),
        _ => Trouble::Broken(format!("no answer: {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_pulled_by_one_tag() {
        assert_eq!(tag_of("alpine"), ("alpine", "latest"));
        assert_eq!(tag_of("host:5000/a/b"), ("host:5000/a/b", "latest"));
        assert_eq!(tag_of("host:5000/a/b:3"), ("host:5000/a/b", "3"));
        assert_eq!(tag_of("a@sha256:ff"), ("a", "sha256:ff"));
    }

    #[test]
    fn a_daemon_is_at_a_socket_or_at_a_port() {
        let socket = DaemonAddress::Socket("/run/podman/podman.sock".into());
        assert_eq!("unix:///run/podman/podman.sock".parse(), Ok(socket.clone()));
        assert_eq!("/run/podman/podman.sock".parse(), Ok(socket));
        assert!("http://127.0.0.1:2375".parse::<DaemonAddress>().is_ok());
        for (text, told) in [
            ("/run/d.sock", "unix:///run/d.sock"),
            ("http://me:secret@127.0.0.1:2375/", "http://127.0.0.1:2375"),
        ] {
            let address: DaemonAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), told);
            assert!(told.parse::<DaemonAddress>().is_ok());
        }
        for bad in ["docker.sock", "tcp://127.0.0.1:1", "https://x", "http://"] {
            assert!(bad.parse::<DaemonAddress>().is_err(), "{bad}");
        }
    }
}
