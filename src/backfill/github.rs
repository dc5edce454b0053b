//! GitHub's list of a hook's deliveries, newest first, and the request to send one again.
//!
//! <https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook>, and the same below
//! `orgs/`. The list reaches back three days. Pages follow the `next` of the `Link` header (RFC 8288), on the same
//! origin only: the token goes nowhere else.

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LINK};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;

use super::{BackfillOptions, Sent};

/// The most that one page has, by the documentation.
const PAGE_ROWS: &str = "100";
/// How many pages are read: ten thousand tries.
const PAGES_MAX: usize = 100;
/// The most that is read of one answer: a hundred rows of some 500 bytes, with room.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// The version of the API that this is written for.
const API_VERSION: &str = "2022-11-28";
/// How much of an answer is shown.
const EXCERPT_CHARS_MAX: usize = 200;

/// A hook at a forge.
pub struct Forge {
    client: Client,
    deliveries: Url,
}

/// Why a forge did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The client cannot be made.
    #[error("cannot be called: {0}")]
    Client(String),
    /// No answer came.
    #[error("no answer: {0}")]
    Unreachable(String),
    /// It had too many requests.
    #[error("it has had enough requests ({status}){}", after(*retry_after_s))]
    Enough {
        /// With which status it said so.
        status: u16,
        /// How long it asks to be left alone, in seconds.
        retry_after_s: Option<u64>,
    },
    /// It said no.
    #[error("it answered {status}: {excerpt}; {}", hint(*status))]
    Refused {
        /// The status.
        status: u16,
        /// The beginning of what it said.
        excerpt: String,
    },
    /// The answer has another form.
    #[error("its answer is not understood: {0}")]
    NotUnderstood(String),
}

fn after(retry_after_s: Option<u64>) -> String {
    retry_after_s.map_or_else(String::new, |seconds| format!(": try again in {seconds} s"))
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "the token of `backfill` is not valid",
        403 => "the token of `backfill` may not see this hook's deliveries, or ask for them again",
        404 => "there is no such `hook`, or its token may not see it",
        _ => "is `api_url` the forge's API?",
    }
}

impl ForgeError {
    /// Whether there is no use in asking for more now.
    pub(super) fn is_enough(&self) -> bool {
        matches!(self, Self::Enough { .. } | Self::Unreachable(_))
    }
}

#[derive(Deserialize)]
struct Row {
    id: u64,
    guid: String,
    delivered_at: jiff::Timestamp,
    event: String,
    action: Option<String>,
    #[serde(default)]
    status: String,
}

impl From<Row> for Sent {
    fn from(row: Row) -> Self {
        let Row { id, guid, delivered_at, event, action, status } = row;
        Self { id, guid, at_ms: delivered_at.as_millisecond(), event, action, status }
    }
}

impl Forge {
    pub(super) fn new(options: &BackfillOptions) -> Result<Self, ForgeError> {
        let wrong = |error: &dyn std::fmt::Display| ForgeError::Client(error.to_string());
        // Idempotent: an error means that somebody installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut headers = HeaderMap::new();
        let bearer = [b"Bearer ", options.token.bytes()].concat();
        let mut bearer = HeaderValue::from_bytes(&bearer).map_err(|error| wrong(&error))?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.insert(ACCEPT, HeaderValue::from_static("application/vnd.github+json"));
        headers.insert("x-github-api-version", HeaderValue::from_static(API_VERSION));
        let client = Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(options.timeout)
            .user_agent(concat!("dispatchyard/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| wrong(&error))?;
        let mut deliveries = options.api_url.clone();
        match deliveries.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(options.hook.split('/')).push("deliveries");
            }
            Err(()) => return Err(ForgeError::Client("`api_url` cannot have a path".to_owned())),
        }
        Ok(Self { client, deliveries })
    }

    /// All tries since then; and why there may be more.
    pub(super) async fn sent_since(
        &self,
        since_ms: i64,
    ) -> Result<(Vec<Sent>, Option<String>), ForgeError> {
        let mut all = Vec::new();
        let mut next = Some(self.deliveries.clone());
        if let Some(first) = &mut next {
            first.query_pairs_mut().append_pair("per_page", PAGE_ROWS);
        }
        for _ in 0..PAGES_MAX {
            let Some(url) = next.take() else { return Ok((all, None)) };
            let response = self.asked(self.client.get(url)).await?;
            let (at, is_elsewhere) = self.next_page(response.headers());
            next = at;
            let text = read(response).await?;
            let rows: Vec<Row> = serde_json::from_slice(&text)
                .map_err(|error| ForgeError::NotUnderstood(error.to_string()))?;
            // Newest first: a page with an older one is the last that is of interest.
            let is_old = |row: &Row| row.delivered_at.as_millisecond() < since_ms;
            let is_last = rows.is_empty() || rows.iter().any(is_old);
            all.extend(rows.into_iter().filter(|row| !is_old(row)).map(Sent::from));
            if is_last {
                return Ok((all, None));
            }
            if is_elsewhere {
                let cut = "its next page is at another address than `api_url`";
                return Ok((all, Some(cut.to_owned())));
            }
        }
        let cut = format!("only the newest {} deliveries were read", all.len());
        Ok((all, Some(cut)))
    }

    /// Has one try repeated.
    pub(super) async fn ask_again(&self, id: u64) -> Result<(), ForgeError> {
        let mut url = self.deliveries.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(&id.to_string()).push("attempts");
        }
        self.asked(self.client.post(url)).await.map(drop)
    }

    async fn asked(&self, request: reqwest::RequestBuilder) -> Result<Response, ForgeError> {
        let failed = |error: reqwest::Error| ForgeError::Unreachable(causes(&error.without_url()));
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let number = |name: &str| response.headers().get(name)?.to_str().ok()?.parse().ok();
        let retry_after_s: Option<u64> = number("retry-after");
        // https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api: 403 or 429.
        let is_spent = number("x-ratelimit-remaining") == Some(0) || retry_after_s.is_some();
        if status == StatusCode::TOO_MANY_REQUESTS || (status == StatusCode::FORBIDDEN && is_spent)
        {
            return Err(ForgeError::Enough { status: status.as_u16(), retry_after_s });
        }
        let text = read(response).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let excerpt = text.chars().take(EXCERPT_CHARS_MAX).filter(|c| !c.is_control()).collect();
        Err(ForgeError::Refused { status: status.as_u16(), excerpt })
    }

    /// Where the next page is, and whether there is one at another origin, which is not gone to.
    fn next_page(&self, headers: &HeaderMap) -> (Option<Url>, bool) {
        let links = headers.get(LINK).and_then(|links| links.to_str().ok());
        let next = links.and_then(next_link).and_then(|next| self.deliveries.join(next).ok());
        let Some(next) = next else { return (None, false) };
        let origin =
            |url: &Url| (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port());
        let is_elsewhere = origin(&next) != origin(&self.deliveries);
        ((!is_elsewhere).then_some(next), is_elsewhere)
    }
}

/// The target of the link whose relation is `next`.
fn next_link(links: &str) -> Option<&str> {
    links.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next =
            parameters.split(';').any(|it| matches!(it.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then_some(target)
    })
}

async fn read(mut response: Response) -> Result<Vec<u8>, ForgeError> {
    let mut text = Vec::new();
    let failed = |error: reqwest::Error| ForgeError::Unreachable(causes(&error.without_url()));
    while let Some(piece) = response.chunk().await.map_err(failed)? {
        text.extend_from_slice(&piece);
        if text.len() > ANSWER_BYTES_MAX {
            return Err(ForgeError::NotUnderstood(format!("it is over {ANSWER_BYTES_MAX} bytes")));
        }
    }
    Ok(text)
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn forge(api_url: &str) -> Forge {
        Forge::new(&BackfillOptions {
            api_url: api_url.parse().unwrap(),
            hook: "repos/acme/app/hooks/7".to_owned(),
            token: crate::webhook::Secret::from_text(b"t0ken").unwrap().secret,
            timeout: Duration::from_secs(1),
            on_start: false,
            since_max: Duration::from_secs(1),
        })
        .unwrap()
    }

    #[test]
    fn a_hook_is_below_the_path_of_its_api() {
        for api in ["https://ghe.test/api/v3", "https://ghe.test/api/v3/"] {
            let url = forge(api).deliveries;
            assert_eq!(url.path(), "/api/v3/repos/acme/app/hooks/7/deliveries");
        }
    }

    #[test]
    fn the_next_page_is_the_link_that_says_so_and_of_the_same_origin() {
        let forge = forge("https://api.test");
        let next = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, HeaderValue::from_str(text).unwrap());
            let (next, is_elsewhere) = forge.next_page(&headers);
            (next.map(|url| url.to_string()), is_elsewhere)
        };
        let prev = "<https://api.test/d?cursor=0>; rel=\"prev\"";
        let good = "<https://api.test/d?cursor=v1_2>; rel=\"next\"";
        let here = Some("https://api.test/d?cursor=v1_2".to_owned());
        assert_eq!(next(&format!("{prev}, {good}")), (here, false));
        assert_eq!(next(prev), (None, false));
        assert_eq!(next("<https://evil.test/d>; rel=\"next\""), (None, true));
        assert_eq!(next("<http://api.test/d>; rel=\"next\""), (None, true));
        assert_eq!(next("nonsense"), (None, false));
    }
}
