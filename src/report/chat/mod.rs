//! Chats in which sessions answer: one file for each API, and what they have in common.
//!
//! ```text
//! tried before, and nobody knows with what end -> find by mark (where the API can) -> say -> what its answer means
//! ```
//!
//! A provider's limit holds back the whole source, as it counts by token. No token stands in a note or in a log: it is
//! shown to its API alone, no redirect is followed, and what the other side says is cleared of it.

mod discord;
mod generic;
mod mattermost;
mod slack;
mod telegram;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, RequestBuilder, Url};
use serde_json::Value;

use super::judge::{Fault, fault, held_until_ms, status_fault};
use crate::clock::Clock;
use crate::executor::SigningSecret;
use crate::forge::http::{failed, read};
use crate::model::ChatPlace;
use crate::webhook::Secret;

/// The most that is read of an answer: a page of messages.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How much of a refusal is kept.
const EXCERPT_CHARS_MAX: usize = 200;
/// How far a chat's clock may be behind ours.
const CLOCKS_APART_MS: i64 = 120_000;
/// Pages of messages that are looked through.
const PAGES_MAX: usize = 5;

/// Whose API a chat has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChatKind {
    /// Slack.
    Slack,
    /// Discord.
    Discord,
    /// Telegram.
    Telegram,
    /// Mattermost.
    Mattermost,
    /// Whoever takes a signed call.
    Generic,
}

impl ChatKind {
    /// How long one text may be, in UTF-16 units, with room for what is put around it and what keeps it harmless.
    ///
    /// The APIs take 40,000 characters (Slack, where more than a few thousand is hard to read), 2,000 (Discord), 4,096
    /// (Telegram) and 16,383 (Mattermost).
    pub fn units_max(self) -> u32 {
        match self {
            Self::Slack => 3_500,
            Self::Discord => 1_700,
            Self::Telegram => 2_500,
            Self::Mattermost => 10_500,
            Self::Generic => 60_000,
        }
    }
}

/// Which chat, and how.
#[derive(Debug)]
pub struct ChatOptions {
    /// Whose API it has.
    pub kind: ChatKind,
    /// Where it is; of a generic one what is posted to.
    pub api_url: Url,
    /// By whose right; of a generic one by what calls are signed.
    pub token: Secret,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// Why there can be no such chat. No token is repeated.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    /// The token cannot be one.
    #[error("`token`: {0}")]
    Token(&'static str),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// A chat in which sessions answer.
pub struct Chat {
    client: Client,
    kind: ChatKind,
    api_url: Url,
    token: Box<str>,
    signing: Option<SigningSecret>,
    clock: Arc<dyn Clock>,
    /// Until when (wall) it has had enough.
    held_until_ms: AtomicI64,
}

/// What is to be said, and where.
pub(super) struct Saying<'a> {
    pub(super) place: &'a ChatPlace,
    /// In words.
    pub(super) text: &'a str,
    /// What tells a repeat from another one.
    pub(super) mark: &'a str,
    /// Not before that it can have been said (wall).
    pub(super) since_ms: i64,
    /// The same for programs.
    pub(super) body: Value,
}

/// What came back.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
    excerpt: String,
}

impl Chat {
    /// Such a chat. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ChatError`].
    pub fn new(options: &ChatOptions, clock: Arc<dyn Clock>) -> Result<Self, ChatError> {
        // Idempotent: an error means that somebody installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let token = std::str::from_utf8(options.token.bytes());
        let token = token.map_err(|_| ChatError::Token("it is no text"))?;
        if token.chars().any(|it| !it.is_ascii_graphic()) {
            return Err(ChatError::Token("it has characters that no token has"));
        }
        let signing = match options.kind {
            ChatKind::Generic => Some(SigningSecret::parse(token).map_err(ChatError::Token)?),
            _ => None,
        };
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(options.timeout)
            .user_agent(concat!("dispatchyard/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let (kind, api_url, token) = (options.kind, options.api_url.clone(), token.into());
        let held_until_ms = AtomicI64::new(0);
        Ok(Self { client, kind, api_url, token, signing, clock, held_until_ms })
    }

    /// Until when (wall milliseconds) it has had enough.
    pub(super) fn held_until_ms(&self) -> i64 {
        self.held_until_ms.load(Ordering::Relaxed)
    }

    /// Says it; how the message is called there.
    pub(super) async fn say(&self, saying: &Saying<'_>) -> Result<Box<str>, Fault> {
        match self.kind {
            ChatKind::Slack => self.say_slack(saying).await,
            ChatKind::Discord => self.say_discord(saying).await,
            ChatKind::Telegram => self.say_telegram(saying).await,
            ChatKind::Mattermost => self.say_mattermost(saying).await,
            ChatKind::Generic => self.say_generic(saying).await,
        }
    }

    /// The message that an earlier try may have made, where the API can tell.
    pub(super) async fn find(&self, saying: &Saying<'_>) -> Result<Option<Box<str>>, Fault> {
        match self.kind {
            ChatKind::Slack => self.find_slack(saying).await,
            ChatKind::Mattermost => self.find_mattermost(saying).await,
            // They know a repeat by its nonce or its id; Telegram knows none.
            ChatKind::Discord | ChatKind::Telegram | ChatKind::Generic => Ok(None),
        }
    }

    /// An address below the API's, of these parts and no others.
    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.api_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// A request by the right of the token.
    fn bearer(&self, request: RequestBuilder, scheme: &str) -> RequestBuilder {
        match HeaderValue::from_str(&format!("{scheme} {}", self.token)) {
            Ok(mut value) => {
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            // Checked when it was made: without it the answer is 401.
            Err(_) => request,
        }
    }

    /// Sends a request; a good answer, as JSON where it is some.
    async fn ask(&self, request: RequestBuilder) -> Result<Answer, Fault> {
        let answer = self.answered(request).await?;
        if let Some(until_ms) = self.enough(&answer) {
            return Err(
                self.hold(until_ms, format!("it has had enough requests ({})", answer.status))
            );
        }
        match answer.status {
            200..=299 => Ok(answer),
            status => {
                let Answer { excerpt, .. } = answer;
                Err(status_fault(
                    status,
                    format!("it answered {status}: {excerpt}{}", hint(status)),
                ))
            }
        }
    }

    async fn answered(&self, request: RequestBuilder) -> Result<Answer, Fault> {
        let now_ms = self.clock.now().wall_ms;
        let response = request.send().await.map_err(|error| fault(&failed(error), now_ms))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = match read(response, ANSWER_BYTES_MAX).await {
            Ok(said) => said.whole().unwrap_or_default(),
            // Refused is refused, whatever else was to be said of it.
            Err(_) if status >= 300 => Vec::new(),
            Err(error) => return Err(fault(&error, now_ms)),
        };
        // Cleared of the token first: half of it would not be known.
        let text = String::from_utf8_lossy(&bytes).replace(&*self.token, "***");
        let excerpt = text.chars().filter(|it| !it.is_control()).take(EXCERPT_CHARS_MAX).collect();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, headers, body, excerpt })
    }

    /// Until when it wants to be left alone, if it does.
    fn enough(&self, answer: &Answer) -> Option<i64> {
        let header = answer.headers.get("retry-after").and_then(|it| it.to_str().ok());
        let said = header.and_then(|it| it.trim().parse::<f64>().ok());
        // Telegram says it in the body alone, Discord there, too.
        let body = [&answer.body["parameters"]["retry_after"], &answer.body["retry_after"]];
        let after_s = said.or_else(|| body.into_iter().find_map(Value::as_f64));
        let is_enough = answer.status == 429 || (answer.status == 503 && said.is_some());
        is_enough.then(|| self.until_ms(after_s))
    }

    /// The time after so many seconds, or after as long as one waits who was told none.
    fn until_ms(&self, after_s: Option<f64>) -> i64 {
        let seconds = after_s.filter(|it| it.is_finite()).map(|it| it.max(0.0).ceil() as u64);
        held_until_ms(seconds, None, self.clock.now().wall_ms)
    }

    /// Leaves it alone until then.
    fn hold(&self, until_ms: i64, why: String) -> Fault {
        self.held_until_ms.fetch_max(until_ms, Ordering::Relaxed);
        Fault::Held(until_ms, why)
    }
}

/// What to look at when it refuses with a status.
fn hint(status: u16) -> &'static str {
    match status {
        401 => "; the token of the source's `chat` is not valid",
        403 => "; the bot of the source's `chat` may not write there",
        404 => "; there is no such place, or the bot of the source's `chat` is not in it",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
