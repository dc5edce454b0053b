//! Requests to a forge's API: by whose right, to which origin, how much is read of an answer, and what a refusal
//! means.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

/// How much of an answer is shown.
const EXCERPT_CHARS_MAX: usize = 200;
/// How many redirects are followed.
const REDIRECTS_MAX: usize = 3;

/// Why a forge did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// It cannot be asked at all: the client cannot be made, or a name cannot be part of an address.
    #[error("cannot be called: {0}")]
    Client(String),
    /// Nobody is there.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// The answer did not come in time, or was cut short.
    #[error("no whole answer: {0}")]
    Broken(String),
    /// It had too many requests.
    #[error("it has had enough requests ({status}){}", after(*retry_after_s))]
    Enough {
        /// With which status it said so.
        status: u16,
        /// How long it asks to be left alone, in seconds.
        retry_after_s: Option<u64>,
        /// When it will listen again, in seconds since 1970 by its own clock.
        reset_at_s: Option<i64>,
    },
    /// It said no.
    #[error("it answered {status}: {excerpt}; {hint}")]
    Refused {
        /// The status.
        status: u16,
        /// The beginning of what it said.
        excerpt: String,
        /// What to look at.
        hint: &'static str,
    },
    /// What it has cannot be used, or what is asked for cannot be.
    #[error("{0}")]
    NotUsable(String),
    /// The answer has another form.
    #[error("its answer is not understood: {0}")]
    NotUnderstood(String),
}

fn after(retry_after_s: Option<u64>) -> String {
    retry_after_s.map_or_else(String::new, |seconds| format!(": try again in {seconds} s"))
}

/// How a client speaks.
pub struct Speech {
    /// Headers of every request, without the token.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The value of `Authorization`.
    pub authorization: Option<Vec<u8>>,
    /// How long one answer may take.
    pub timeout: Duration,
    /// What to look at when it refuses with a status.
    pub hint: fn(u16) -> &'static str,
    /// Whether redirects on the same origin are followed: a repository that was renamed has one.
    pub follows: bool,
}

/// A client of one API. Its token is shown to the API's origin alone, and in no message.
pub struct ForgeClient {
    client: Client,
    hint: fn(u16) -> &'static str,
}

impl ForgeClient {
    /// A client that speaks so. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ForgeError::Client`].
    pub fn new(speech: &Speech) -> Result<Self, ForgeError> {
        let wrong = |error: &dyn std::fmt::Display| ForgeError::Client(error.to_string());
        // Idempotent: an error means that somebody installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        for (name, value) in &speech.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        if let Some(authorization) = &speech.authorization {
            let mut value =
                HeaderValue::from_bytes(authorization).map_err(|error| wrong(&error))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let redirects = match speech.follows {
            false => Policy::none(),
            true => Policy::custom(|attempt| {
                let first = attempt.previous().first();
                let is_same = first.is_some_and(|first| is_same_origin(first, attempt.url()));
                match is_same && attempt.previous().len() <= REDIRECTS_MAX {
                    true => attempt.follow(),
                    // The answer is the redirect itself, which is a refusal.
                    false => attempt.stop(),
                }
            }),
        };
        let client = Client::builder()
            .default_headers(headers)
            .redirect(redirects)
            .timeout(speech.timeout)
            .user_agent(concat!("dispatchyard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| wrong(&error))?;
        Ok(Self { client, hint: speech.hint })
    }

    /// A request to be sent by [`ForgeClient::ask`].
    pub fn get(&self, url: Url) -> RequestBuilder {
        self.client.get(url)
    }

    /// The same, to do something.
    pub fn post(&self, url: Url) -> RequestBuilder {
        self.client.post(url)
    }

    /// The same, to change something.
    pub fn patch(&self, url: Url) -> RequestBuilder {
        self.client.patch(url)
    }

    /// Sends a request; the answer, which is a good one.
    ///
    /// # Errors
    /// [`ForgeError`].
    pub async fn ask(&self, request: RequestBuilder) -> Result<Response, ForgeError> {
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = |name: &str| response.headers().get(name)?.to_str().ok().map(str::trim);
        let retry_after_s: Option<u64> = text("retry-after").and_then(|it| it.parse().ok());
        // https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: 403 or 429.
        // https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers
        let spent = ["x-ratelimit-remaining", "ratelimit-remaining"];
        let is_spent = spent.into_iter().any(|name| text(name) == Some("0"));
        let is_over = status == StatusCode::TOO_MANY_REQUESTS
            || (status == StatusCode::SERVICE_UNAVAILABLE && retry_after_s.is_some())
            || (status == StatusCode::FORBIDDEN && (is_spent || retry_after_s.is_some()));
        if is_over {
            let reset = text("x-ratelimit-reset").or_else(|| text("ratelimit-reset"));
            let reset_at_s = reset.filter(|_| is_spent).and_then(|it| it.parse().ok());
            return Err(ForgeError::Enough { status: status.as_u16(), retry_after_s, reset_at_s });
        }
        let said = read(response, 16 * EXCERPT_CHARS_MAX).await.unwrap_or_default();
        let said = String::from_utf8_lossy(said.whole_or_part());
        let excerpt = said.chars().take(EXCERPT_CHARS_MAX).filter(|c| !c.is_control()).collect();
        let status = status.as_u16();
        Err(ForgeError::Refused { status, excerpt, hint: (self.hint)(status) })
    }
}

/// The body of an answer.
#[derive(Default)]
pub struct Said {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Said {
    /// All of it; `None` when there was more than is read.
    pub fn whole(self) -> Option<Vec<u8>> {
        (!self.is_cut).then_some(self.bytes)
    }

    fn whole_or_part(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads an answer, up to so many bytes.
///
/// # Errors
/// [`ForgeError::Broken`].
pub async fn read(mut response: Response, bytes_max: usize) -> Result<Said, ForgeError> {
    let mut said = Said::default();
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        said.bytes.extend_from_slice(&piece);
        if said.bytes.len() > bytes_max {
            said.bytes.truncate(bytes_max);
            said.is_cut = true;
            break;
        }
    }
    Ok(said)
}

/// An answer that must be JSON of this form.
///
/// # Errors
/// [`ForgeError::Broken`], [`ForgeError::NotUnderstood`].
pub async fn read_json<T: serde::de::DeserializeOwned>(
    response: Response,
    bytes_max: usize,
) -> Result<T, ForgeError> {
    let text = read(response, bytes_max).await?.whole();
    let text =
        text.ok_or_else(|| ForgeError::NotUnderstood(format!("it is over {bytes_max} bytes")))?;
    serde_json::from_slice(&text).map_err(|error| ForgeError::NotUnderstood(error.to_string()))
}

/// Whether two URLs have the same scheme, host and port.
pub fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Why there was no answer. The address is left out: it may have a secret in it.
pub fn failed(error: reqwest::Error) -> ForgeError {
    let is_away = error.is_connect();
    let text = causes(&error.without_url());
    match is_away {
        true => ForgeError::Unreachable(text),
        false => ForgeError::Broken(text),
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
