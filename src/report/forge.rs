//! A forge that is told: statuses of commits, and comments.
//!
//! - GitHub: <https://docs.github.com/en/rest/commits/statuses#create-a-commit-status>,
//!   <https://docs.github.com/en/rest/issues/comments>
//! - Gitea and Forgejo: <https://docs.gitea.com/api/1.24/#tag/repository> (`statuses`), `issues/{index}/comments`
//! - GitLab: <https://docs.gitlab.com/api/commits/#set-commit-pipeline-status>, <https://docs.gitlab.com/api/notes/>

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::judge::{held_by, held_until_ms};
use crate::clock::Clock;
use crate::forge::http::{ForgeClient, ForgeError, Speech, read_json};
use crate::forge::{AppKey, ForgeKind, GITHUB_HEADERS, repository_url};
use crate::model::WorkloadState;
use crate::webhook::Secret;

/// The most that is read of an answer: a hundred comments, each of 64 KiB at most.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// Pages of comments that are looked through.
const PAGES_MAX: usize = 5;
/// The most that a page has.
const PAGE_ROWS: usize = 100;
/// How far a forge's clock may be behind ours.
const CLOCKS_APART_MS: i64 = 120_000;
/// A token of an installation is not used in its last minutes.
const TOKEN_SPARE_MS: i64 = 120_000;
/// Repositories whose installation is remembered.
const KNOWN_MAX: usize = 10_000;

/// By whose right a forge is told.
#[derive(Debug)]
pub enum ForgeAuth {
    /// Whoever has this token.
    Token(Secret),
    /// An App, where it is installed.
    App(Box<AppKey>),
}

/// Which forge, and how.
#[derive(Debug)]
pub struct ForgeOptions {
    /// Whose API it is.
    pub kind: ForgeKind,
    /// Where it is.
    pub api_url: Url,
    /// By whose right.
    pub auth: ForgeAuth,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// A forge that is told.
pub struct Forge {
    client: ForgeClient,
    options: ForgeOptions,
    clock: Arc<dyn Clock>,
    /// Until when (wall) it has had enough.
    held_until_ms: AtomicI64,
    /// What is known of an App's installations; one asks at a time.
    installed: tokio::sync::Mutex<Installed>,
}

#[derive(Default)]
struct Installed {
    /// By repository.
    numbers: HashMap<String, u64>,
    /// By installation: the token, and until when it is used (wall).
    tokens: HashMap<u64, (Secret, i64)>,
}

impl Installed {
    fn forget(&mut self, repository: &str) {
        if let Some(number) = self.numbers.remove(repository) {
            self.tokens.remove(&number);
        }
    }
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct Token {
    token: String,
    expires_at: jiff::Timestamp,
}

#[derive(Deserialize)]
struct Comment {
    id: u64,
    #[serde(default)]
    body: Option<String>,
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "the token, or the App's key, of the source's `report` is not valid",
        403 => "the token, or the App, of the source's `report` may not do this",
        404 => {
            "there is no such thing, or the token or App of the source's `report` may not see it"
        }
        422 => "the forge does not know this commit, or has too many statuses of it",
        _ => "is `api_url` of the source's `report` the forge's API?",
    }
}

impl Forge {
    /// Such a forge. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ForgeError::Client`].
    pub fn new(options: ForgeOptions, clock: Arc<dyn Clock>) -> Result<Self, ForgeError> {
        let headers: &[_] = match options.kind {
            ForgeKind::Github => &GITHUB_HEADERS,
            ForgeKind::Gitea | ForgeKind::Gitlab => &[],
        };
        let client = ForgeClient::new(&Speech {
            headers: headers.to_vec(),
            authorization: None,
            timeout: options.timeout,
            hint,
            follows: false,
        })?;
        let held_until_ms = AtomicI64::new(0);
        Ok(Self { client, options, clock, held_until_ms, installed: tokio::sync::Mutex::default() })
    }

    /// Until when (wall milliseconds) it has had enough.
    pub(super) fn held_until_ms(&self) -> i64 {
        self.held_until_ms.load(Ordering::Relaxed)
    }

    /// Whether another try can help where it does not believe us: an App's token may have been taken back.
    pub(super) fn renews(&self) -> bool {
        matches!(self.options.auth, ForgeAuth::App(_))
    }

    pub(super) fn url(&self, repository: &str, parts: &[&str]) -> Result<Url, ForgeError> {
        repository_url(self.options.kind, &self.options.api_url, repository, parts)
    }

    pub(super) fn client(&self) -> &ForgeClient {
        &self.client
    }

    /// Sends a request about a repository by our right; an answer that must be JSON of this form.
    pub(super) async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        repository: &str,
        request: RequestBuilder,
    ) -> Result<T, ForgeError> {
        let response = self.send(repository, request).await?;
        read_json(response, ANSWER_BYTES_MAX).await
    }

    async fn send(
        &self,
        repository: &str,
        request: RequestBuilder,
    ) -> Result<Response, ForgeError> {
        let value = match &self.options.auth {
            ForgeAuth::Token(token) => {
                let scheme: &[u8] = match self.options.kind {
                    ForgeKind::Gitea => b"token ",
                    ForgeKind::Github | ForgeKind::Gitlab => b"Bearer ",
                };
                bearer(scheme, token.bytes())?
            }
            ForgeAuth::App(app) => bearer(b"Bearer ", self.token(app, repository).await?.bytes())?,
        };
        let answer = self.note(self.client.ask(request.header(AUTHORIZATION, value)).await);
        match &answer {
            Err(ForgeError::Refused { status: 401, .. }) if self.renews() => {
                *self.installed.lock().await = Installed::default();
            }
            // It may have been installed anew, as another installation.
            Err(ForgeError::Refused { status: 404, .. }) if self.renews() => {
                self.installed.lock().await.forget(repository);
            }
            _ => {}
        }
        answer
    }

    /// Notes for how long it has had enough.
    fn note(&self, answer: Result<Response, ForgeError>) -> Result<Response, ForgeError> {
        let now_ms = self.clock.now().wall_ms;
        let until_ms = match &answer {
            Ok(response) => spent_until_s(response.headers())
                .map(|reset_at_s| held_until_ms(None, Some(reset_at_s), now_ms)),
            Err(error) => held_by(error, now_ms),
        };
        self.held_until_ms.fetch_max(until_ms.unwrap_or(0), Ordering::Relaxed);
        answer
    }

    /// The token of the App's installation at a repository.
    /// <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>
    async fn token(&self, app: &AppKey, repository: &str) -> Result<Secret, ForgeError> {
        let mut installed = self.installed.lock().await;
        let now_ms = self.clock.now().wall_ms;
        let of_app = || {
            let token = app.token(now_ms).map_err(|it| ForgeError::Client(it.to_string()))?;
            bearer(b"Bearer ", token.as_bytes())
        };
        let number = match installed.numbers.get(repository) {
            Some(number) => *number,
            None => {
                let url = self.url(repository, &["installation"])?;
                let request = self.client.get(url).header(AUTHORIZATION, of_app()?);
                let answer = self.note(self.client.ask(request).await)?;
                let Numbered { id } = read_json(answer, ANSWER_BYTES_MAX).await?;
                if installed.numbers.len() >= KNOWN_MAX {
                    *installed = Installed::default();
                }
                installed.numbers.insert(repository.to_owned(), id);
                id
            }
        };
        if let Some((token, until_ms)) = installed.tokens.get(&number)
            && now_ms < *until_ms
        {
            return Ok(token.clone());
        }
        let mut url = self.options.api_url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            let number = number.to_string();
            path.pop_if_empty().extend(["app", "installations", &number, "access_tokens"]);
        }
        let request = self.client.post(url).header(AUTHORIZATION, of_app()?);
        let answer = self.note(self.client.ask(request).await)?;
        let Token { token, expires_at } = read_json(answer, ANSWER_BYTES_MAX).await?;
        let token = Secret::new(token.as_bytes()).map_err(|_| {
            ForgeError::NotUnderstood("the installation's token is empty".to_owned())
        })?;
        let until_ms = expires_at.as_millisecond() - TOKEN_SPARE_MS;
        installed.tokens.insert(number, (token.clone(), until_ms));
        Ok(token)
    }

    /// Sets a status of a commit. To set it again changes nothing.
    pub(super) async fn set_status(
        &self,
        (repository, sha, context): (&str, &str, &str),
        state: WorkloadState,
        description: &str,
        link: Option<&str>,
    ) -> Result<(), ForgeError> {
        let state = status_name(self.options.kind, state);
        let name = match self.options.kind {
            ForgeKind::Gitlab => "name",
            ForgeKind::Github | ForgeKind::Gitea => "context",
        };
        let mut body = json!({ "state": state, name: context, "description": description });
        if let (Some(link), Some(body)) = (link, body.as_object_mut()) {
            body.insert("target_url".to_owned(), Value::from(link));
        }
        let url = self.url(repository, &["statuses", sha])?;
        match self.send(repository, self.client.post(url).json(&body)).await {
            // GitLab refuses what it has already.
            // https://docs.gitlab.com/api/commits/#set-commit-pipeline-status
            Err(ForgeError::Refused { status: 400, excerpt, .. })
                if self.options.kind == ForgeKind::Gitlab
                    && excerpt.contains("Cannot transition status") =>
            {
                Ok(())
            }
            answer => answer.map(drop),
        }
    }

    fn comments(&self, repository: &str, number: i64, is_pull: bool) -> Result<Url, ForgeError> {
        let number = number.to_string();
        match self.options.kind {
            ForgeKind::Gitlab => {
                let what = if is_pull { "merge_requests" } else { "issues" };
                self.url(repository, &[what, &number, "notes"])
            }
            ForgeKind::Github | ForgeKind::Gitea => {
                self.url(repository, &["issues", &number, "comments"])
            }
        }
    }

    /// Writes a comment; how the forge calls it.
    pub(super) async fn comment(
        &self,
        (repository, number, is_pull): (&str, i64, bool),
        text: &str,
    ) -> Result<Box<str>, ForgeError> {
        let url = self.comments(repository, number, is_pull)?;
        let request = self.client.post(url).json(&json!({ "body": text }));
        let response = self.send(repository, request).await?;
        // It is written, whatever the answer says of it.
        let comment: Result<Comment, _> = read_json(response, ANSWER_BYTES_MAX).await;
        Ok(comment.map_or_else(|_| "?".into(), |comment| comment.id.to_string().into()))
    }

    /// The comment with that mark, of those that were written since.
    pub(super) async fn find_comment(
        &self,
        (repository, number, is_pull): (&str, i64, bool),
        mark: &str,
        since_ms: i64,
    ) -> Result<Option<Box<str>>, ForgeError> {
        let since = jiff::Timestamp::from_millisecond(since_ms.saturating_sub(CLOCKS_APART_MS));
        let since = since.map(|it| it.to_string()).unwrap_or_default();
        for page in 1..=PAGES_MAX {
            let mut url = self.comments(repository, number, is_pull)?;
            let rows = PAGE_ROWS.to_string();
            let page = page.to_string();
            match self.options.kind {
                ForgeKind::Gitlab => url.query_pairs_mut().extend_pairs([
                    ("per_page", rows.as_str()),
                    ("page", &page),
                    ("order_by", "created_at"),
                    ("sort", "desc"),
                ]),
                ForgeKind::Github | ForgeKind::Gitea => url.query_pairs_mut().extend_pairs([
                    ("per_page", rows.as_str()),
                    ("limit", &rows),
                    ("page", &page),
                    ("since", &since),
                ]),
            };
            let found: Vec<Comment> = self.ask(repository, self.client.get(url)).await?;
            let is_it = |it: &&Comment| it.body.as_deref().is_some_and(|body| body.contains(mark));
            if let Some(comment) = found.iter().find(is_it) {
                return Ok(Some(comment.id.to_string().into()));
            }
            if found.is_empty() {
                break;
            }
        }
        Ok(None)
    }
}

/// What a forge calls the state of a workload.
fn status_name(kind: ForgeKind, state: WorkloadState) -> &'static str {
    use WorkloadState::{Cancelled, Claimed, Completed, Failed, Pending, Running};
    match (kind, state) {
        (_, Pending | Claimed) => "pending",
        (ForgeKind::Gitlab, Running) => "running",
        (_, Running) => "pending",
        (_, Completed) => "success",
        (ForgeKind::Gitlab, Failed) => "failed",
        (_, Failed) => "failure",
        (ForgeKind::Gitlab, Cancelled) => "canceled",
        (_, Cancelled) => "error",
    }
}

fn bearer(scheme: &[u8], token: &[u8]) -> Result<HeaderValue, ForgeError> {
    let mut value = HeaderValue::from_bytes(&[scheme, token].concat()).map_err(|_| {
        ForgeError::Client("the token has characters that no header has".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Of an answer after which no more requests may be made: when they may again.
fn spent_until_s(headers: &HeaderMap) -> Option<i64> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    (text("x-ratelimit-remaining") == Some("0")).then(|| text("x-ratelimit-reset")?.parse().ok())?
}
