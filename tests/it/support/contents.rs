//! A stand-in for the contents APIs of GitHub, Gitea and GitLab, written from their documentation (the pages are named
//! in `src/forge/calls.rs`). It has repositories with commits, can be down, and answers wrongly when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Whom it stands in for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Github,
    Gitea,
    Gitlab,
}

/// What it does wrong, once.
#[derive(Clone)]
pub(crate) enum Fault {
    /// This status with these headers.
    Status(u16, Vec<(&'static str, String)>),
    /// It begins its answer and hangs up.
    Cut,
    /// It never answers.
    Silent,
    /// Something else answers, as a proxy does.
    Html,
}

#[derive(Default)]
struct Inner {
    /// By name: its branches, and the files of each commit.
    branches: BTreeMap<String, String>,
    commits: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// By login: the number, the permission and the role.
    accounts: BTreeMap<String, (i64, String, Option<String>)>,
    faults: VecDeque<Fault>,
    /// Requests, without those that a fault answered.
    asked: Vec<String>,
    faulty: usize,
    /// What `Authorization` must be.
    authorization: Option<String>,
}

/// A forge with one repository, `octo-org/example`, whose default branch is `main`.
#[derive(Clone)]
pub(crate) struct Contents {
    kind: Kind,
    pub(crate) address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

const REPOSITORY: &str = "octo-org/example";

impl Contents {
    /// One that is not there yet: see [`Contents::up`].
    pub(crate) fn down(kind: Kind) -> Self {
        // Below the ports that systems hand out, so that nobody else is given it meanwhile.
        let first = 10_000 + u16::try_from(std::process::id().wrapping_mul(37) % 9_000).unwrap();
        let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = (first..).find(is_free).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        Self { kind, address, inner: Arc::default() }
    }

    pub(crate) async fn up(&self) {
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    pub(crate) async fn start(kind: Kind) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let contents = Self { kind, address, inner: Arc::default() };
        contents.serve(listener);
        contents
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let router = axum::Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        change(&mut self.inner.lock().unwrap())
    }

    /// It has a commit with these files.
    pub(crate) fn commit(&self, id: &str, files: &[(&str, &str)]) {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), text.as_bytes().to_vec());
        self.with(|it| it.commits.insert(id.to_owned(), files.iter().map(file).collect()));
    }

    /// A branch is at that commit.
    pub(crate) fn branch(&self, name: &str, commit: &str) {
        self.with(|it| it.branches.insert(name.to_owned(), commit.to_owned()));
    }

    /// Somebody is called so, and may do that. At GitLab the permission is a level.
    pub(crate) fn account(&self, login: &str, number: i64, permission: &str, role: Option<&str>) {
        let account = (number, permission.to_owned(), role.map(str::to_owned));
        self.with(|it| it.accounts.insert(login.to_owned(), account));
    }

    /// It wants this `Authorization`.
    pub(crate) fn wants(&self, authorization: &str) {
        self.with(|it| it.authorization = Some(authorization.to_owned()));
    }

    /// It answers its next requests so.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.with(|it| it.faults = faults.into_iter().collect());
    }

    /// How often it was asked for something that begins so, and answered.
    pub(crate) fn asked(&self, part: &str) -> usize {
        self.with(|it| it.asked.iter().filter(|asked| asked.contains(part)).count())
    }

    /// How many requests a fault answered.
    pub(crate) fn faulty(&self) -> usize {
        self.with(|it| it.faulty)
    }

    /// What a configuration says of it.
    pub(crate) fn section(&self, more: &str) -> String {
        format!("[source.workflows]\napi_url = 'http://{}/api'\n{more}\n", self.address)
    }
}

async fn answer(State(forge): State<Contents>, uri: Uri, headers: HeaderMap) -> Response {
    let fault = forge.with(|it| {
        let fault = it.faults.pop_front();
        it.faulty += usize::from(fault.is_some());
        fault
    });
    match fault {
        None => {}
        Some(Fault::Status(status, headers)) => {
            let mut response = StatusCode::from_u16(status).unwrap().into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            return response;
        }
        Some(Fault::Cut) => {
            let pieces = [Ok(Bytes::from_static(b"[{")), Err(std::io::Error::other("hung up"))];
            return Body::from_stream(futures_util::stream::iter(pieces)).into_response();
        }
        Some(Fault::Silent) => std::future::pending().await,
        Some(Fault::Html) => return "<html>Sign in</html>".into_response(),
    }
    forge.with(|it| {
        it.asked.push(uri.to_string());
        let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
        if it.authorization.is_some() && it.authorization.as_deref() != header("authorization") {
            return (StatusCode::UNAUTHORIZED, "{\"message\":\"Bad credentials\"}").into_response();
        }
        let is_raw = header("accept") == Some("application/vnd.github.raw+json");
        let found = it.find(forge.kind, &uri, is_raw);
        found.unwrap_or_else(|| {
            (StatusCode::NOT_FOUND, "{\"message\":\"Not Found\"}").into_response()
        })
    })
}

fn query(uri: &Uri, key: &str) -> Option<String> {
    let url = reqwest::Url::parse(&format!("http://x{uri}")).unwrap();
    url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
}

impl Inner {
    fn find(&self, kind: Kind, uri: &Uri, is_raw: bool) -> Option<Response> {
        let parts: Vec<_> =
            uri.path().split('/').skip(2).map(|part| part.replace("%2F", "/")).collect();
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        let (name, rest) = match (kind, parts.as_slice()) {
            (Kind::Gitlab, ["projects", name, rest @ ..]) => ((*name).to_owned(), rest),
            (Kind::Github | Kind::Gitea, ["repos", owner, name, rest @ ..]) => {
                (format!("{owner}/{name}"), rest)
            }
            _ => return None,
        };
        if name != REPOSITORY {
            return None;
        }
        let branch = |name: &[&str]| self.branches.get(&name.join("/"));
        let at = query(uri, "ref").and_then(|it| self.commits.get(&it));
        let json = |value: Value| Some(axum::Json(value).into_response());
        match (kind, rest) {
            (Kind::Gitlab, ["members", "all", number]) => {
                let is = |it: &&(i64, String, Option<String>)| it.0.to_string() == **number;
                let (number, level, state) = self.accounts.values().find(is)?;
                let state = state.as_deref().unwrap_or("active");
                let level: i64 = level.parse().unwrap();
                json(json!({ "id": number, "access_level": level, "state": state }))
            }
            (_, ["collaborators", login, "permission"]) => {
                let (number, permission, role) = self.accounts.get(*login)?;
                let user = json!({ "login": login, "id": number });
                json(json!({ "permission": permission, "role_name": role, "user": user }))
            }
            (_, []) => json(json!({ "default_branch": "main" })),
            (Kind::Github, ["git", "ref", "heads", name @ ..]) => {
                json(json!({ "object": { "sha": branch(name)?, "type": "commit" } }))
            }
            (Kind::Gitea, ["branches", name @ ..])
            | (Kind::Gitlab, ["repository", "branches", name @ ..]) => {
                json(json!({ "name": name.join("/"), "commit": { "id": branch(name)? } }))
            }
            (Kind::Github | Kind::Gitea, ["git", "commits", id])
            | (Kind::Gitlab, ["repository", "commits", id]) => {
                self.commits.get(*id).and_then(|_| json(json!({ "sha": id })))
            }
            (Kind::Github, ["contents", path @ ..]) if is_raw => {
                Some(at?.get(&path.join("/"))?.clone().into_response())
            }
            (Kind::Github | Kind::Gitea, ["contents", path @ ..]) => {
                json(listed(at?, &path.join("/"), kind)?)
            }
            (Kind::Gitea, ["raw", path @ ..]) => {
                Some(at?.get(&path.join("/"))?.clone().into_response())
            }
            (Kind::Gitlab, ["repository", "tree"]) => {
                Self::page(uri, &listed(at?, &query(uri, "path")?, kind)?)
            }
            (Kind::Gitlab, ["repository", "files", path, "raw"]) => {
                Some(at?.get(*path)?.clone().into_response())
            }
            _ => None,
        }
    }

    /// GitLab's pages, of two, so that few files make several.
    fn page(uri: &Uri, all: &Value) -> Option<Response> {
        assert_eq!(query(uri, "per_page").as_deref(), Some("100"));
        let page: usize = query(uri, "page")?.parse().ok()?;
        let all = all.as_array()?;
        let rows: Vec<_> = all.iter().skip(2 * (page - 1)).take(2).cloned().collect();
        let next = if 2 * page < all.len() { (page + 1).to_string() } else { String::new() };
        Some(([("x-next-page", next)], axum::Json(rows)).into_response())
    }
}

/// What is in a folder, folders in it too; `None` where there is no such folder.
fn listed(files: &BTreeMap<String, Vec<u8>>, folder: &str, kind: Kind) -> Option<Value> {
    let below = |path: &String| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
    let mut entries: Vec<Value> = Vec::new();
    for (path, text) in files {
        let Some(name) = below(path) else { continue };
        let (name, is_file) = match name.split_once('/') {
            Some((name, _)) => (name.to_owned(), false),
            None => (name, true),
        };
        let full = format!("{folder}/{name}");
        entries.push(match kind {
            Kind::Gitlab => {
                let kind = if is_file { "blob" } else { "tree" };
                json!({ "id": "0", "name": name, "type": kind, "path": full, "mode": "100644" })
            }
            Kind::Github | Kind::Gitea => {
                let kind = if is_file { "file" } else { "dir" };
                json!({ "name": name, "type": kind, "path": full, "size": text.len(), "sha": "0" })
            }
        });
    }
    (!entries.is_empty()).then_some(Value::Array(entries))
}
