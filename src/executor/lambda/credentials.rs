//! The keys that requests are signed with: where they come from, and when they are fetched again.
//!
//! ```text
//! environment   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//! web_identity  AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN      a token for keys, at STS
//! container     AWS_CONTAINER_CREDENTIALS_FULL_URI, .._RELATIVE_URI
//! instance      the machine's metadata service, version 2
//! ```
//!
//! `auto` takes the first of them that the environment speaks of, in this order. Keys that end are fetched
//! again before they do; while that fails, those that are still good are used.

mod container;
mod document;
mod environment;
mod instance;
mod web_identity;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, RequestBuilder, Url};

use super::super::outbound::{Reach, excerpt, without_secrets};
use super::sign::Credentials;
use crate::clock::Clock;
use container::Container;
use environment::Environment;
use instance::Instance;
use web_identity::WebIdentity;

/// How long before their end keys are fetched again.
const REFRESH_BEFORE_MS: i64 = 300_000;
/// Keys that end sooner are not signed with: the request would arrive too late.
const GOOD_FOR_MS: i64 = 10_000;
/// How long nobody is asked again who has just failed, while there are good keys.
const ASK_AGAIN_MS: i64 = 30_000;
/// How long a connection to somebody who gives keys may take: that is near, or not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long his answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of it.
const DOCUMENT_BYTES_MAX: usize = 64 << 10;

/// Where keys come from.
#[derive(Clone)]
pub enum LambdaCredentials {
    /// From the first that the environment speaks of.
    Auto,
    /// From the variables of the environment.
    Environment,
    /// From the container's agent.
    Container,
    /// From STS, for the token of an identity.
    WebIdentity,
    /// From the metadata service of the machine.
    Instance,
    /// They are these.
    Keys(Keys),
}

/// A key that does not end. It is not shown.
#[derive(Clone)]
pub struct Keys(Credentials);

impl LambdaCredentials {
    /// A key's name and its secret.
    pub fn keys(id: impl Into<String>, secret: impl Into<String>) -> Self {
        let (id, secret) = (id.into(), secret.into());
        Self::Keys(Keys(Credentials { id, secret, session: None, ends_at_ms: None }))
    }
}

/// Somebody who gives keys; an error is for people.
#[async_trait]
trait Source: Send + Sync {
    async fn fetch(&self) -> Result<Credentials, String>;
}

/// The variables of the environment.
struct Variables<'a>(&'a BTreeMap<String, String>);

impl Variables<'_> {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    fn need(&self, name: &str) -> Result<String, String> {
        self.get(name).ok_or_else(|| format!("{name} is not set"))
    }

    /// Which source `auto` is.
    fn choose(&self) -> LambdaCredentials {
        let has = |name| self.get(name).is_some();
        if has("AWS_ACCESS_KEY_ID") {
            LambdaCredentials::Environment
        } else if has("AWS_WEB_IDENTITY_TOKEN_FILE") {
            LambdaCredentials::WebIdentity
        } else if has(container::RELATIVE_URI) || has(container::FULL_URI) {
            LambdaCredentials::Container
        } else {
            LambdaCredentials::Instance
        }
    }
}

/// Keeps keys while they are good.
pub(super) struct Keeper {
    source: Box<dyn Source>,
    clock: Arc<dyn Clock>,
    /// Held while they are fetched, so that many jobs ask once.
    kept: tokio::sync::Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    credentials: Option<Credentials>,
    /// When they could not be fetched last (mono).
    failed_at_ms: Option<i64>,
}

impl Keeper {
    /// From the place that was chosen; `Err` says what is missing there.
    pub(super) fn new(
        choice: &LambdaCredentials,
        variables: &BTreeMap<String, String>,
        region: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, String> {
        let variables = Variables(variables);
        let choice = match choice {
            LambdaCredentials::Auto => variables.choose(),
            chosen => chosen.clone(),
        };
        let source: Box<dyn Source> = match choice {
            LambdaCredentials::Keys(Keys(credentials)) => Box::new(Environment(credentials)),
            LambdaCredentials::Environment => Box::new(Environment::new(&variables)?),
            LambdaCredentials::Container => Box::new(Container::new(&variables)?),
            LambdaCredentials::WebIdentity => {
                Box::new(WebIdentity::new(&variables, region, Arc::clone(&clock))?)
            }
            LambdaCredentials::Auto | LambdaCredentials::Instance => {
                Box::new(Instance::new(&variables)?)
            }
        };
        Ok(Self::of(source, clock))
    }

    fn of(source: Box<dyn Source>, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, kept: tokio::sync::Mutex::default() }
    }

    /// Keys that are good for a while yet.
    pub(super) async fn get(&self) -> Result<Credentials, String> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().await;
        let good = kept.credentials.clone().filter(|it| lasts(it, now.wall_ms, GOOD_FOR_MS));
        let rests = kept.failed_at_ms.is_some_and(|at_ms| now.mono_ms - at_ms < ASK_AGAIN_MS);
        match good {
            Some(good) if rests || lasts(&good, now.wall_ms, REFRESH_BEFORE_MS) => return Ok(good),
            _ => {}
        }
        match self.source.fetch().await {
            Ok(fetched) if lasts(&fetched, now.wall_ms, GOOD_FOR_MS) => {
                *kept = Kept { credentials: Some(fetched.clone()), failed_at_ms: None };
                Ok(fetched)
            }
            Ok(_) => self.use_old(&mut kept, good, "they have ended already"),
            Err(why) => self.use_old(&mut kept, good, &why),
        }
    }

    fn use_old(
        &self,
        kept: &mut Kept,
        good: Option<Credentials>,
        why: &str,
    ) -> Result<Credentials, String> {
        kept.failed_at_ms = Some(self.clock.now().mono_ms);
        if good.is_some() {
            tracing::warn!(why, "credentials cannot be fetched again, and are still good");
        }
        good.ok_or_else(|| format!("its credentials: {why}"))
    }

    /// Somebody says that they are not good any more.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = Kept::default();
    }
}

/// Whether keys are good for so long yet.
fn lasts(credentials: &Credentials, wall_ms: i64, long_ms: i64) -> bool {
    credentials.ends_at_ms.is_none_or(|end_ms| wall_ms + long_ms <= end_ms)
}

/// A time of RFC 3339, in wall milliseconds.
fn time(text: &str) -> Result<i64, String> {
    let read = text.parse::<jiff::Timestamp>();
    read.map(jiff::Timestamp::as_millisecond)
        .map_err(|error| format!("`{text}` is no time: {error}"))
}

fn parse(url: &str) -> Result<Url, String> {
    url.parse().map_err(|error| format!("`{url}`: {error}"))
}

/// A client for those who give keys, which stand where no job's address may lead.
fn client(url: &Url) -> Result<Client, String> {
    let reach =
        Reach { connect_timeout: CONNECT_TIMEOUT, timeout: TIMEOUT, private_addresses: true };
    reach.client(url).map_err(|error| error.to_string())
}

/// The text of a good answer. An error says no more of a bad one than its beginning.
async fn text(request: RequestBuilder, url: &Url) -> Result<String, String> {
    let told = |why: &dyn fmt::Display| format!("{}: {why}", without_secrets(url));
    let mut response = request.send().await.map_err(|error| told(&error.without_url()))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| told(&error.without_url()))? {
        body.extend_from_slice(&piece);
        if body.len() > DOCUMENT_BYTES_MAX {
            return Err(told(&format!("its answer is longer than {DOCUMENT_BYTES_MAX} bytes")));
        }
    }
    if !status.is_success() {
        return Err(told(&format!("it answered {status}: {}", excerpt(&body))));
    }
    String::from_utf8(body).map_err(|_| told(&"its answer is no text"))
}

#[cfg(test)]
mod tests;
