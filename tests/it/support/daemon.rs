//! A stand-in for the daemon of containers, on a Unix socket, written from what the Docker Engine API documents. A
//! container is a folder, and a child process in it: what it writes, leaves and ends with is real.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::extract::{Path as Param, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::until;

/// What is done to a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It is carried out, and its connection cut before the answer.
    Cut,
    /// It is answered so, and not carried out.
    Refuse(u16, &'static str),
    /// It is never answered, and not carried out.
    Silence,
    /// The stream of its answer breaks after so many bytes.
    Break(usize),
}

/// A container.
pub(crate) struct Container {
    id: String,
    pub(crate) name: String,
    pub(crate) body: Value,
    pub(crate) status: &'static str,
    exit_code: i64,
    is_oom: bool,
    pid: Option<Pid>,
    /// What it wrote, in frames.
    log: Vec<u8>,
    root: PathBuf,
}

#[derive(Default)]
struct Yard {
    containers: BTreeMap<String, Container>,
    faults: HashMap<&'static str, Vec<Fault>>,
    /// Calls so far, by their names.
    calls: HashMap<&'static str, usize>,
    /// Attempts whose containers were started, in order.
    started: Vec<String>,
    images: Vec<String>,
    /// What came with a pull.
    auth: Option<String>,
    /// What was sent to containers, in order.
    signals: Vec<String>,
    /// What its machine is called.
    host: Option<&'static str>,
    made: usize,
}

/// The daemon. It ends with the value, and its containers with it.
#[derive(Clone)]
pub(crate) struct Daemon(Arc<Inner>);

struct Inner {
    folder: TempDir,
    yard: Mutex<Yard>,
    bell: watch::Sender<()>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        for container in self.yard.get_mut().unwrap().containers.values() {
            container.kill_all();
        }
    }
}

impl Container {
    fn kill_all(&self) {
        if let Some(pid) = self.pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.body["Labels"][name].as_str().unwrap_or_default()
    }
}

impl Daemon {
    /// A daemon that has the image `alpine:3`.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join("d.sock")).unwrap();
        let images = vec!["alpine:3".into()];
        let yard = Yard { images, host: Some("box"), ..Yard::default() };
        let inner = Inner { folder, yard: Mutex::new(yard), bell: watch::Sender::default() };
        let daemon = Self(Arc::new(inner));
        // What an image needs, and a shell that is taken when it is there: no setsid, so that a container is one
        // process group.
        let bin = daemon.0.folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for tool in ["sh", "bash", "cat", "env", "head", "mkdir", "sleep", "wc"] {
            let found = ["/bin", "/usr/bin"].map(|at| Path::new(at).join(tool));
            let found = found.into_iter().find(|at| at.exists()).unwrap();
            std::os::unix::fs::symlink(found, bin.join(tool)).unwrap();
        }
        let weak = Arc::downgrade(&daemon.0);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Some(inner) = weak.upgrade() else { return };
                let router = router(Self(inner));
                let service = hyper::service::service_fn(move |request: Request<_>| {
                    let router = router.clone();
                    async move {
                        let answer = router.oneshot(request.map(Body::new)).await;
                        let answer = answer.unwrap_or_else(|never: Infallible| match never {});
                        match answer.extensions().get::<Fault>() {
                            Some(_) => Err(std::io::Error::other("cut")),
                            None => Ok(answer),
                        }
                    }
                });
                let io = hyper_util::rt::TokioIo::new(stream);
                let served =
                    hyper::server::conn::http1::Builder::new().serve_connection(io, service);
                tokio::spawn(served);
            }
        });
        daemon
    }

    pub(crate) fn socket(&self) -> String {
        self.0.folder.path().join("d.sock").to_str().unwrap().to_owned()
    }

    fn yard<R>(&self, change: impl FnOnce(&mut Yard) -> R) -> R {
        let result = change(&mut self.0.yard.lock().unwrap());
        self.0.bell.send_replace(());
        result
    }

    /// The next call of that name goes wrong so, and the one after that as said next.
    pub(crate) fn fails(&self, call: &'static str, fault: Fault) {
        self.yard(|yard| yard.faults.entry(call).or_default().push(fault));
    }

    /// How often it was called.
    pub(crate) fn calls(&self, call: &str) -> usize {
        self.yard(|yard| yard.calls.get(call).copied().unwrap_or_default())
    }

    /// Attempts whose containers were started, each as often as that happened.
    pub(crate) fn started(&self) -> Vec<String> {
        self.yard(|yard| yard.started.clone())
    }

    /// Signals that were sent to containers.
    pub(crate) fn signals(&self) -> Vec<String> {
        self.yard(|yard| yard.signals.clone())
    }

    /// It runs on a machine of that name from now on, or does not tell.
    pub(crate) fn is_on(&self, host: Option<&'static str>) {
        self.yard(|yard| yard.host = host);
    }

    /// Its socket is elsewhere from now on.
    pub(crate) fn moves_to(&self, path: &Path) {
        std::fs::rename(self.socket(), path).unwrap();
    }

    /// The socket is not there any more, or is there again.
    pub(crate) fn hides(&self, is_hidden: bool) {
        let [there, hidden] = ["d.sock", "hidden"].map(|name| self.0.folder.path().join(name));
        match is_hidden {
            true => std::fs::rename(there, hidden).unwrap(),
            false => std::fs::rename(hidden, there).unwrap(),
        }
    }

    pub(crate) fn has_images(&self, images: &[&str]) {
        let images = images.iter().map(|it| (*it).to_owned()).collect();
        self.yard(|yard| yard.images = images);
    }

    /// What was shown with a pull.
    pub(crate) fn auth(&self) -> Option<String> {
        self.yard(|yard| yard.auth.clone())
    }

    /// The names of its containers.
    pub(crate) fn names(&self) -> Vec<String> {
        self.yard(|yard| yard.containers.keys().cloned().collect())
    }

    pub(crate) fn with<R>(&self, name: &str, change: impl FnOnce(&mut Container) -> R) -> R {
        self.yard(|yard| change(yard.containers.get_mut(name).unwrap()))
    }

    /// Writes a file into one.
    pub(crate) fn write_file(&self, name: &str, path: &str, text: &str) {
        let path = self.with(name, |it| it.root.join(path));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Puts one there that somebody else has made.
    pub(crate) fn plant(&self, name: &str, labels: &Value) {
        self.make(name, json!({ "Image": "alpine:3", "Labels": labels }));
    }

    /// Waits for the one container that it has and runs, and gives its name.
    pub(crate) async fn running(&self) -> String {
        until("a container runs", async || {
            self.yard(|yard| {
                let found = yard.containers.values().find(|it| it.status == "running");
                found.map(|it| it.name.clone())
            })
        })
        .await
    }

    /// Waits until it has no containers.
    pub(crate) async fn is_empty(&self) {
        until("all containers are removed", async || self.names().is_empty().then_some(())).await;
    }

    /// Kills one as somebody who has nothing to do with us, perhaps for its memory.
    pub(crate) fn kill(&self, name: &str, is_oom: bool) {
        self.with(name, |container| {
            container.is_oom = is_oom;
            container.kill_all();
        });
    }

    /// Removes one so.
    pub(crate) fn remove(&self, name: &str) {
        self.yard(|yard| {
            if let Some(container) = yard.containers.remove(name) {
                container.kill_all();
            }
        });
    }

    fn make(&self, name: &str, body: Value) -> String {
        self.yard(|yard| {
            yard.made += 1;
            let id = format!("{:064x}", yard.made);
            let root = self.0.folder.path().join(&id);
            std::fs::create_dir(&root).unwrap();
            let container = Container {
                id: id.clone(),
                name: name.to_owned(),
                body,
                status: "created",
                exit_code: 0,
                is_oom: false,
                pid: None,
                log: Vec::new(),
                root,
            };
            yard.containers.insert(name.to_owned(), container);
            id
        })
    }

    /// The name of a container that is named by it or by its id.
    fn named(&self, name: &str) -> Option<String> {
        self.yard(|yard| {
            let found = yard.containers.values().find(|it| it.name == name || it.id == name);
            found.map(|it| it.name.clone())
        })
    }

    /// Counts a call; the fault that it is to have, if it is not to be carried out.
    async fn enter(&self, call: &'static str) -> Result<Option<Fault>, Response> {
        let fault = self.yard(|yard| {
            *yard.calls.entry(call).or_default() += 1;
            let faults = yard.faults.get_mut(call)?;
            (!faults.is_empty()).then(|| faults.remove(0))
        });
        match fault {
            Some(Fault::Refuse(status, why)) => Err(refuse(status, why)),
            Some(Fault::Silence) => std::future::pending().await,
            fault => Ok(fault),
        }
    }

    fn write(&self, name: &str, id: &str, kind: u8, text: &[u8]) {
        self.yard(|yard| {
            if let Some(container) = yard.containers.get_mut(name).filter(|it| it.id == id) {
                container.log.extend_from_slice(&[kind, 0, 0, 0]);
                container.log.extend_from_slice(&(text.len() as u32).to_be_bytes());
                container.log.extend_from_slice(text);
            }
        });
    }

    /// Runs the command of a container, in its folder.
    fn run(&self, name: &str) {
        let (id, root, body) =
            self.with(name, |it| (it.id.clone(), it.root.clone(), it.body.clone()));
        let inside = |text: &str| match text.starts_with("/dispatchyard") {
            true => format!("{}{text}", root.display()),
            false => text.to_owned(),
        };
        let words = |key: &str| {
            let list = body[key].as_array().cloned().unwrap_or_default();
            list.iter().map(|it| inside(it.as_str().unwrap())).collect::<Vec<_>>()
        };
        let line = [words("Entrypoint"), words("Cmd")].concat();
        let mut command = tokio::process::Command::new(&line[0]);
        let env = words("Env");
        let env = env.iter().map(|it| it.split_once('=').unwrap());
        command
            .args(&line[1..])
            .env_clear()
            .env("PATH", self.0.folder.path().join("bin"))
            .env("FROM_IMAGE", "yes")
            .envs(env)
            .current_dir(&root)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let pid = Pid::from_raw(child.id().unwrap() as i32).unwrap();
        let attempt = self.with(name, |it| {
            (it.status, it.pid) = ("running", Some(pid));
            it.label("dispatchyard.attempt").to_owned()
        });
        self.yard(|yard| yard.started.push(attempt));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (daemon, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            let copy = async |kind: u8, from: &mut (dyn AsyncRead + Send + Unpin)| {
                let mut buffer = vec![0; 4_096];
                while let Ok(count @ 1..) = from.read(&mut buffer).await {
                    daemon.write(&name, &id, kind, &buffer[..count]);
                }
            };
            let (mut stdout, mut stderr) = (stdout, stderr);
            let wait = async {
                let status = child.wait().await.unwrap();
                // With its first process a container ends.
                let _ = kill_process_group(pid, Signal::KILL);
                status
            };
            let (_, _, status) = tokio::join!(copy(1, &mut stdout), copy(2, &mut stderr), wait);
            let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
            daemon.yard(|yard| {
                if let Some(it) = yard.containers.get_mut(&name).filter(|it| it.id == id) {
                    (it.status, it.exit_code, it.pid) = ("exited", code.into(), None);
                }
            });
        });
    }
}

fn refuse(status: u16, why: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({ "message": why }))).into_response()
}

fn gone() -> Response {
    refuse(404, "No such container")
}

/// An answer, unless it is to be cut.
fn leave(fault: Option<Fault>, answer: impl axum::response::IntoResponse) -> Response {
    let mut answer = answer.into_response();
    if fault == Some(Fault::Cut) {
        answer.extensions_mut().insert(Fault::Cut);
    }
    answer
}

type Answer = Result<Response, Response>;
type Asked = Query<HashMap<String, String>>;

fn router(daemon: Daemon) -> Router {
    Router::new()
        .route("/_ping", get(ping))
        .route("/info", get(info))
        .route("/containers/create", post(create))
        .route("/containers/json", get(list))
        .route("/containers/{name}/json", get(inspect))
        .route("/containers/{name}/start", post(start))
        .route("/containers/{name}/wait", post(wait))
        .route("/containers/{name}/kill", post(kill))
        .route("/containers/{name}/logs", get(logs))
        .route("/containers/{name}/archive", get(download).put(upload))
        .route("/containers/{name}", delete(remove))
        .route("/images/create", post(pull))
        .with_state(daemon)
}

async fn ping(State(daemon): State<Daemon>) -> Answer {
    let fault = daemon.enter("ping").await?;
    Ok(leave(fault, "OK"))
}

async fn info(State(daemon): State<Daemon>) -> Answer {
    let fault = daemon.enter("info").await?;
    match daemon.yard(|yard| yard.host) {
        Some(host) => Ok(leave(fault, Json(json!({ "ID": "x", "Name": host })))),
        None => Err(refuse(403, "not for everybody")),
    }
}

async fn create(
    State(daemon): State<Daemon>,
    Query(asked): Asked,
    Json(body): Json<Value>,
) -> Answer {
    let fault = daemon.enter("create").await?;
    let (name, image) = (&asked["name"], body["Image"].as_str().unwrap().to_owned());
    if daemon.named(name).is_some() {
        return Err(refuse(409, &format!("Conflict. The container name \"/{name}\" is in use")));
    }
    if daemon.yard(|yard| !yard.images.contains(&image)) {
        return Err(refuse(404, &format!("No such image: {image}")));
    }
    let id = daemon.make(name, body);
    Ok(leave(fault, (StatusCode::CREATED, Json(json!({ "Id": id, "Warnings": [] })))))
}

async fn list(State(daemon): State<Daemon>, Query(asked): Asked) -> Answer {
    let fault = daemon.enter("list").await?;
    let filters: Value = serde_json::from_str(&asked["filters"]).unwrap();
    let wanted: Vec<String> = serde_json::from_value(filters["label"].clone()).unwrap();
    let all = daemon.yard(|yard| {
        let found = yard.containers.values().filter(|it| {
            wanted.iter().all(|label| {
                let (key, value) = label.split_once('=').unwrap();
                it.body["Labels"][key] == value
            })
        });
        let shown = found.map(|it| {
            let (id, names) = (&it.id, [format!("/{}", it.name)]);
            let (labels, status) = (&it.body["Labels"], format!("Exited ({})", it.exit_code));
            json!({ "Id": id, "Names": names, "Labels": labels, "State": it.status, "Status": status })
        });
        Value::from_iter(shown)
    });
    Ok(leave(fault, Json(all)))
}

async fn inspect(State(daemon): State<Daemon>, Param(name): Param<String>) -> Answer {
    let fault = daemon.enter("inspect").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    let seen = daemon.with(&name, |it| {
        let state = json!({ "Status": it.status, "Running": it.status == "running",
            "OOMKilled": it.is_oom, "ExitCode": it.exit_code, "Error": "" });
        json!({ "Id": it.id, "Name": format!("/{}", it.name), "State": state,
            "Config": { "Labels": it.body["Labels"], "Tty": false } })
    });
    Ok(leave(fault, Json(seen)))
}

async fn start(State(daemon): State<Daemon>, Param(name): Param<String>) -> Answer {
    let fault = daemon.enter("start").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    if daemon.with(&name, |it| it.status == "running") {
        return Ok(leave(fault, StatusCode::NOT_MODIFIED));
    }
    daemon.run(&name);
    Ok(leave(fault, StatusCode::NO_CONTENT))
}

async fn wait(State(daemon): State<Daemon>, Param(name): Param<String>) -> Answer {
    let fault = daemon.enter("wait").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    if fault == Some(Fault::Cut) {
        return Ok(leave(fault, ()));
    }
    let mut bell = daemon.0.bell.subscribe();
    loop {
        let stands = {
            let yard = daemon.0.yard.lock().unwrap();
            yard.containers.get(&name).map(|it| (it.status, it.exit_code))
        };
        match stands {
            None => return Err(gone()),
            Some(("running", _)) => {}
            Some((_, code)) => return Ok(Json(json!({ "StatusCode": code })).into_response()),
        }
        let _ = bell.changed().await;
    }
}

async fn kill(
    State(daemon): State<Daemon>,
    Param(name): Param<String>,
    Query(asked): Asked,
) -> Answer {
    let fault = daemon.enter("kill").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    let signal = asked["signal"].clone();
    daemon.yard(|yard| yard.signals.push(signal.clone()));
    let is_running = daemon.with(&name, |it| {
        match (&*signal, it.pid) {
            ("SIGTERM", Some(pid)) => drop(kill_process(pid, Signal::TERM)),
            ("SIGKILL", _) => it.kill_all(),
            _ => {}
        }
        it.pid.is_some()
    });
    match is_running {
        true => Ok(leave(fault, StatusCode::NO_CONTENT)),
        false => Err(refuse(409, "the container is not running")),
    }
}

async fn logs(State(daemon): State<Daemon>, Param(name): Param<String>) -> Answer {
    let fault = daemon.enter("logs").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    let id = daemon.with(&name, |it| it.id.clone());
    let breaks = match fault {
        Some(Fault::Break(at)) => Some(at),
        _ => None,
    };
    let bell = daemon.0.bell.subscribe();
    let first = (daemon, bell, 0_usize);
    let pieces = futures_util::stream::try_unfold(first, move |(daemon, mut bell, sent)| {
        let (name, id) = (name.clone(), id.clone());
        async move {
            loop {
                let (piece, is_over) = {
                    let yard = daemon.0.yard.lock().unwrap();
                    match yard.containers.get(&name).filter(|it| it.id == id) {
                        None => (Vec::new(), true),
                        Some(it) => (it.log[sent..].to_vec(), it.status == "exited"),
                    }
                };
                let end = breaks.unwrap_or(usize::MAX);
                if breaks.is_some() && sent + piece.len() >= end {
                    if sent == end {
                        return Err(std::io::Error::other("broken"));
                    }
                    let piece = Bytes::from(piece[..end - sent].to_vec());
                    return Ok(Some((piece, (daemon, bell, end))));
                }
                if !piece.is_empty() {
                    let sent = sent + piece.len();
                    return Ok(Some((Bytes::from(piece), (daemon, bell, sent))));
                }
                if is_over {
                    return Ok(None);
                }
                let _ = bell.changed().await;
            }
        }
    });
    Ok(Body::from_stream(pieces).into_response())
}

async fn upload(
    State(daemon): State<Daemon>,
    Param(name): Param<String>,
    Query(asked): Asked,
    archive: Bytes,
) -> Answer {
    let fault = daemon.enter("upload").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    assert_eq!(asked["path"], "/");
    let root = daemon.with(&name, |it| it.root.clone());
    tar::Archive::new(&archive[..]).unpack(&root).unwrap();
    // Variables with whole paths, which lie elsewhere here.
    for entry in std::fs::read_dir(root.join("dispatchyard")).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("own-") {
            let text = std::fs::read_to_string(&path).unwrap();
            let moved = format!("={}/dispatchyard/", root.display());
            std::fs::write(&path, text.replace("=/dispatchyard/", &moved)).unwrap();
        }
    }
    Ok(leave(fault, StatusCode::OK))
}

async fn download(
    State(daemon): State<Daemon>,
    Param(name): Param<String>,
    Query(asked): Asked,
) -> Answer {
    let fault = daemon.enter("download").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    let path = daemon.with(&name, |it| it.root.join(asked["path"].trim_start_matches('/')));
    if !path.exists() {
        return Err(refuse(404, "Could not find the file in container"));
    }
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_path_with_name(&path, path.file_name().unwrap()).unwrap();
    Ok(leave(fault, archive.into_inner().unwrap()))
}

async fn remove(State(daemon): State<Daemon>, Param(name): Param<String>) -> Answer {
    let fault = daemon.enter("remove").await?;
    let name = daemon.named(&name).ok_or_else(gone)?;
    daemon.remove(&name);
    Ok(leave(fault, StatusCode::NO_CONTENT))
}

async fn pull(State(daemon): State<Daemon>, Query(asked): Asked, request: Request) -> Answer {
    let fault = daemon.enter("pull").await?;
    let image = format!("{}:{}", asked["fromImage"], asked["tag"]);
    let auth = request.headers().get("x-registry-auth").map(|it| it.to_str().unwrap().to_owned());
    daemon.yard(|yard| yard.auth = auth);
    let progress = "{\"status\":\"Pulling from library\"}\r\n";
    if image.starts_with("missing") {
        // As daemons do it: the status was sent before.
        let error = "{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest unknown\"}\r\n";
        return Ok(leave(fault, format!("{progress}{error}")));
    }
    daemon.yard(|yard| yard.images.push(image));
    Ok(leave(fault, progress))
}
