//! Deliveries that never arrived, against a stand-in of GitHub's API written from its documentation:
//! <https://docs.github.com/en/rest/repos/webhooks>, <https://docs.github.com/en/rest/apps/webhooks>. It lists tries newest first, in pages, and sends one again as
//! a signed delivery with its old id.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use dispatchyard::api::wire::BackfillView;
use dispatchyard::clock::{Clock as _, SystemClock};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::app;
use crate::support::command::cli;
use crate::support::home::{ADMIN_TOKEN, RULES};
use crate::support::{Api, Hook, Server, Setup, until};

const DAY_MS: i64 = 86_400_000;
/// Where the deliveries of the two hooks are.
const OF_REPOSITORY: &str = "/api/v3/repos/acme/app/hooks/7/deliveries";
const OF_APP: &str = "/api/v3/app/hook/deliveries";

#[derive(Clone)]
struct Try {
    id: u64,
    guid: &'static str,
    at_ms: i64,
}

#[derive(Default)]
struct Inner {
    /// Newest first.
    tries: Vec<Try>,
    /// What it answers in the place of lists, and of requests to send again.
    refuses: Option<(StatusCode, &'static str)>,
    refuses_attempts: Option<StatusCode>,
    /// Pages that were asked for.
    pages: usize,
    /// Where it sends, once that is known.
    hook: Option<Hook>,
}

#[derive(Clone, Default)]
struct Forge(Arc<Mutex<Inner>>);

#[derive(Deserialize)]
struct PageQuery {
    per_page: usize,
    #[serde(default)]
    cursor: usize,
}

impl Forge {
    async fn start() -> (Self, SocketAddr) {
        let forge = Self::default();
        let mut router = Router::new();
        for deliveries in [OF_REPOSITORY, OF_APP] {
            router = router
                .route(deliveries, get(list))
                .route(&format!("{deliveries}/{{id}}/attempts"), post(attempt));
        }
        let router = router.with_state(forge.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (forge, address)
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        change(&mut self.0.lock().unwrap())
    }

    /// It made these deliveries, each so long ago.
    fn made(&self, tries: &[(u64, &'static str, i64)]) {
        let now_ms = SystemClock::new().now().wall_ms;
        let mut tries: Vec<_> = tries
            .iter()
            .map(|&(id, guid, ago_ms)| Try { id, guid, at_ms: now_ms - ago_ms })
            .collect();
        tries.sort_by_key(|it| std::cmp::Reverse((it.at_ms, it.id)));
        self.with(|inner| inner.tries = tries);
    }
}

fn is_of_app(token: &str) -> bool {
    app::claims(token).is_some_and(|claims| claims["iss"] == "4711")
}

/// The App's own token is asked for at the App's hook, and no other.
fn is_allowed(headers: &HeaderMap, url: &Uri) -> bool {
    let is = |name: &str, value: &str| headers.get(name).is_some_and(|it| it == value);
    let token =
        headers.get("authorization").and_then(|it| it.to_str().ok()?.strip_prefix("Bearer "));
    let is_by_right = match url.path().starts_with(OF_APP) {
        true => token.is_some_and(is_of_app),
        false => token == Some(ADMIN_TOKEN),
    };
    is_by_right
        && is("accept", "application/vnd.github+json")
        && headers.contains_key("x-github-api-version")
        && headers.contains_key("user-agent")
}

async fn list(
    State(forge): State<Forge>,
    Query(page): Query<PageQuery>,
    url: Uri,
    headers: HeaderMap,
) -> axum::response::Response {
    if !is_allowed(&headers, &url) {
        return (StatusCode::UNAUTHORIZED, "{\"message\":\"Bad credentials\"}").into_response();
    }
    forge.with(|inner| {
        inner.pages += 1;
        if let Some((status, text)) = inner.refuses {
            return (status, text).into_response();
        }
        assert_eq!(page.per_page, 100);
        // Pages of two, so that few deliveries make several.
        let rows: Vec<Value> = inner.tries.iter().skip(page.cursor).take(2).map(row).collect();
        let next = page.cursor + rows.len();
        let link = format!("<{}?per_page=100&cursor={next}>; rel=\"next\"", url.path());
        let body = axum::Json(rows);
        match next < inner.tries.len() {
            true => ([("link", link)], body).into_response(),
            false => body.into_response(),
        }
    })
}

fn row(it: &Try) -> Value {
    let at = jiff::Timestamp::from_millisecond(it.at_ms).unwrap();
    json!({
        "id": it.id, "guid": it.guid, "delivered_at": at.to_string(), "redelivery": false,
        "duration": 0.27, "status": "failed to connect to host", "status_code": 0, "event": "push",
        "action": null, "installation_id": null, "repository_id": 123, "throttled_at": null,
    })
}

async fn attempt(
    State(forge): State<Forge>,
    Path(id): Path<u64>,
    url: Uri,
    headers: HeaderMap,
) -> (StatusCode, &'static str) {
    if !is_allowed(&headers, &url) {
        return (StatusCode::UNAUTHORIZED, "");
    }
    let (found, hook) = forge.with(|inner| {
        if let Some(status) = inner.refuses_attempts {
            return (Err(status), None);
        }
        let guid = inner.tries.iter().find(|it| it.id == id).map(|it| it.guid);
        (guid.ok_or(StatusCode::NOT_FOUND), inner.hook.clone())
    });
    match (found, hook) {
        (Err(status), _) => (status, ""),
        (Ok(guid), hook) => {
            // As GitHub does: it says yes first.
            tokio::spawn(async move { hook.unwrap().push(guid).await });
            (StatusCode::ACCEPTED, "{}")
        }
    }
}

fn setup(forge: SocketAddr, more: &str) -> Setup {
    Setup::default().rules(&format!(
        "[source.backfill]\napi_url = 'http://{forge}/api/v3'\nhook = 'repos/acme/app/hooks/7'\n\
         token = {{ file = 'admin-token' }}\n{more}\n{RULES}"
    ))
}

async fn known_guids(api: &Api) -> Vec<String> {
    let mut all: Vec<_> =
        api.deliveries().await.into_iter().filter_map(|it| it.external_id).collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_never_arrived_is_sent_again_and_what_did_is_not() {
    let (forge, address) = Forge::start().await;
    let server = Server::start(&setup(address, "")).await;
    forge.with(|inner| inner.hook = Some(server.hook()));
    server.hook().push("arrived").await;
    forge.made(&[
        (1, "too-old", 2 * DAY_MS),
        (2, "lost", 3_600_000),
        (3, "arrived", 3_000_000),
        (4, "lost-too", 2_000_000),
        // A second try of the first one.
        (5, "lost", 1_000_000),
        (6, "newest", 1_000),
    ]);
    let dry = cli(&server, "-o json backfill github --since 1d --dry-run").await.json();
    let guids: Vec<_> = dry["lost"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["external_id"].as_str().unwrap())
        .collect();
    assert_eq!(guids, ["lost-too", "lost", "newest"], "each once, oldest last try first");
    assert_eq!((dry["sent"].as_u64(), &dry["cut"]), (Some(4), &Value::Null));
    assert_eq!(known_guids(&server.api).await, ["arrived"], "nobody was asked");
    assert_eq!(forge.with(|inner| inner.pages), 3, "no page is read behind one that is too old");

    let said = cli(&server, "backfill github --since 1d").await;
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(said.out.contains("3 of 4 deliveries"), "{said:?}");
    until("all have arrived", async || (known_guids(&server.api).await.len() == 4).then_some(()))
        .await;
    assert_eq!(known_guids(&server.api).await, ["arrived", "lost", "lost-too", "newest"]);
    let again = cli(&server, "backfill github --since 1d").await;
    assert!(again.out.contains("all 4 deliveries"), "{again:?}");
}

#[tokio::test]
async fn the_hook_of_an_app_is_asked_for_by_the_app() {
    let (forge, address) = Forge::start().await;
    let setup = Setup::default().rules(&format!(
        "[source.backfill]\napi_url = 'http://{address}/api/v3'\nhook = 'app'\napp_id = 4711\n\
         private_key = {{ file = 'app.pem' }}\n{RULES}"
    ));
    let home = setup.build();
    std::fs::write(home.path().join("app.pem"), app::key("pkcs1")).unwrap();
    let server = Server::again(home).await;
    forge.with(|inner| inner.hook = Some(server.hook()));
    forge.made(&[(1, "one", 3_000), (2, "two", 2_000), (3, "three", 1_000)]);
    let said = cli(&server, "backfill github --since 1d").await;
    assert_eq!(said.code(), 0, "{said:?}");
    until("all have arrived", async || (known_guids(&server.api).await.len() == 3).then_some(()))
        .await;
}

#[tokio::test]
async fn a_server_asks_by_itself_for_what_was_sent_while_it_was_away() {
    let (forge, address) = Forge::start().await;
    let server = Server::start(&setup(address, "on_start = true").own_port()).await;
    forge.with(|inner| inner.hook = Some(server.hook()));
    server.hook().push("before").await;
    let home = server.stop().await;
    // The forge's clock is before ours, and its times are whole seconds: what came at the edge is asked for too.
    forge.made(&[(1, "long-before", DAY_MS), (2, "before", 500), (3, "during", 0)]);
    let server = Server::again(home).await;
    until("what was sent meanwhile", async || {
        (known_guids(&server.api).await == ["before", "during"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_forge_refuses_is_told() {
    let (forge, address) = Forge::start().await;
    let server = Server::start(&setup(address, "timeout_ms = 5000")).await;
    let refused = async |status: StatusCode, text: &'static str, why: &str| {
        forge.with(|inner| inner.refuses = Some((status, text)));
        let said = cli(&server, "backfill github").await;
        assert_eq!(said.code(), 1, "{said:?}");
        assert!(said.err.contains(why), "{status}: {said:?}");
    };
    refused(StatusCode::NOT_FOUND, "{\"message\":\"Not Found\"}", "no such `hook`").await;
    refused(StatusCode::UNAUTHORIZED, "{}", "token of `backfill` is not valid").await;
    refused(StatusCode::TOO_MANY_REQUESTS, "{}", "enough requests").await;
    refused(StatusCode::OK, "<html>", "not understood").await;
    refused(StatusCode::FOUND, "", "answered 302").await;
    forge.with(|inner| inner.refuses = None);

    // One that cannot be sent again does not keep the others from it; too many requests do.
    forge.made(&[(1, "one", 2_000), (2, "two", 1_000)]);
    for (status, asked) in
        [(StatusCode::UNPROCESSABLE_ENTITY, "422"), (StatusCode::TOO_MANY_REQUESTS, "429")]
    {
        forge.with(|inner| inner.refuses_attempts = Some(status));
        let view: BackfillView =
            server.api.done("/sources/github/backfill", json!({ "dry_run": false })).await;
        assert!(view.lost.iter().all(|it| !it.asked), "{view:?}");
        assert!(view.lost[0].error.as_ref().unwrap().contains(asked), "{view:?}");
        assert_eq!(view.cut.is_some(), status == StatusCode::TOO_MANY_REQUESTS, "{view:?}");
    }
    let said = cli(&server, "backfill github").await;
    assert_eq!(said.code(), 1, "{said:?}");
    assert!(said.err.contains("2 of 2 deliveries were not asked for again"), "{said:?}");
}

#[tokio::test]
async fn a_source_that_does_not_say_how_cannot_be_asked() {
    let server = Server::start(&Setup::default()).await;
    let answer = server.api.post("/sources/github/backfill", json!({})).await;
    assert_eq!(answer.problem(), (409, "conflict".into()));
    let unknown = server.api.post("/sources/nobody/backfill", json!({})).await;
    assert_eq!(unknown.problem(), (404, "not-found".into()));
}
