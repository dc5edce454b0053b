//! GitHub's list of a hook's deliveries, newest first, and the request to send one again.
//!
//! <https://docs.github.com/en/rest/repos/webhooks#list-deliveries-for-a-repository-webhook>, the same below `orgs/`,
//! and below `app/` the hook of an App, which the App itself asks for by the token that its key signs:
//! <https://docs.github.com/en/rest/apps/webhooks#list-deliveries-for-an-app-webhook>. The list reaches back three days. Pages follow the `next` of the `Link` header (RFC 8288), on the same
//! origin only: the token goes nowhere else.

use std::sync::Arc;

use reqwest::header::{HeaderMap, LINK};
use reqwest::{RequestBuilder, Response, Url};
use serde::Deserialize;

use super::{BackfillOptions, Right, Sent};
use crate::clock::Clock;
use crate::forge::AppKey;
use crate::forge::http::{ForgeClient, ForgeError, Speech, is_same_origin, read_json};

/// The most that one page has, by the documentation.
const PAGE_ROWS: &str = "100";
/// How many pages are read: ten thousand tries.
const PAGES_MAX: usize = 100;
/// The most that is read of one answer: a hundred rows of some 500 bytes, with room.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A hook at a forge.
pub struct Forge {
    client: ForgeClient,
    deliveries: Url,
    /// Whose token is made anew for each request: it is good for minutes.
    app: Option<(Arc<AppKey>, Arc<dyn Clock>)>,
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => {
            "the token of `backfill` is not valid; of an App: its number, its key, or this clock"
        }
        403 => "the token of `backfill` may not see this hook's deliveries, or ask for them again",
        404 => "there is no such `hook`, or its token may not see it",
        _ => "is `api_url` the forge's API?",
    }
}

/// Whether there is no use in asking for more now.
pub(super) fn is_enough(error: &ForgeError) -> bool {
    matches!(error, ForgeError::Enough { .. } | ForgeError::Unreachable(_) | ForgeError::Broken(_))
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
    pub(super) fn new(
        options: &BackfillOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ForgeError> {
        let (token, app) = match &options.right {
            Right::Token(token) => (Some([b"Bearer ", token.bytes()].concat()), None),
            Right::App(app) => (None, Some((Arc::clone(app), clock))),
        };
        let client = ForgeClient::new(&Speech {
            headers: crate::forge::GITHUB_HEADERS.to_vec(),
            authorization: token,
            timeout: options.timeout,
            hint,
            follows: false,
        })?;
        let mut deliveries = options.api_url.clone();
        match deliveries.path_segments_mut() {
            Ok(mut path) => {
                path.pop_if_empty().extend(options.hook.split('/')).push("deliveries");
            }
            Err(()) => return Err(ForgeError::Client("`api_url` cannot have a path".to_owned())),
        }
        Ok(Self { client, deliveries, app })
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Response, ForgeError> {
        let request = match &self.app {
            None => request,
            Some((app, clock)) => {
                let token = app.token(clock.now().wall_ms);
                request.bearer_auth(token.map_err(|it| ForgeError::Client(it.to_string()))?)
            }
        };
        self.client.ask(request).await
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
            let response = self.ask(self.client.get(url)).await?;
            let (at, is_elsewhere) = self.next_page(response.headers());
            next = at;
            let rows: Vec<Row> = read_json(response, ANSWER_BYTES_MAX).await?;
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
        self.ask(self.client.post(url)).await.map(drop)
    }

    /// Where the next page is, and whether there is one at another origin, which is not gone to.
    fn next_page(&self, headers: &HeaderMap) -> (Option<Url>, bool) {
        let links = headers.get(LINK).and_then(|links| links.to_str().ok());
        let next = links.and_then(next_link).and_then(|next| self.deliveries.join(next).ok());
        let Some(next) = next else { return (None, false) };
        let is_elsewhere = !is_same_origin(&next, &self.deliveries);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::header::HeaderValue;

    use super::*;

    fn forge(api_url: &str) -> Forge {
        let token = crate::webhook::Secret::from_text(b"t0ken").unwrap().secret;
        let options = BackfillOptions {
            api_url: api_url.parse().unwrap(),
            hook: "repos/acme/app/hooks/7".to_owned(),
            right: Right::Token(token),
            timeout: Duration::from_secs(1),
            on_start: false,
            since_max: Duration::from_secs(1),
        };
        Forge::new(&options, Arc::new(crate::clock::SystemClock::new())).unwrap()
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
