//! A stand-in for the API server of a Kubernetes cluster, and for what stands behind it, over real HTTP.
//!
//! Written from what its documentation says: objects with versions, lists with label selectors, watches from a
//! version on (410 when that is too old), AlreadyExists, deletion in the foreground. Behind it a controller makes a pod
//! for each Job, and a kubelet (`kubelet.rs`) runs the pod's command as a process of this machine. Faults are planted
//! by tests.

mod kubelet;
mod streams;
mod tls;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long removals may take: less than any wait of the tests, so that what is left is told.
const EMPTY_WITHIN: std::time::Duration = std::time::Duration::from_secs(25);

use super::until;

const NAMESPACE: &str = "ci";

/// What becomes of the pod of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Play {
    /// Its command is run.
    Run,
    /// It runs, and does not end.
    Hold,
    /// Its container waits for this reason.
    Blocked(&'static str),
    /// There is no place for it.
    NoPlace,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// It is answered so, and not carried out; with that many seconds to wait.
    Answer(u16, Option<u32>),
    /// It is carried out, and the answer is cut off.
    Lost,
    /// The connection breaks, and it is not carried out.
    Cut,
    /// It is never answered, and not carried out.
    Silence,
}

#[derive(Clone)]
pub(crate) struct Cluster {
    inner: Arc<Mutex<Inner>>,
    bell: Arc<watch::Sender<()>>,
    folder: Arc<TempDir>,
    url: String,
}

#[derive(Default)]
struct Inner {
    /// By kind (`jobs`, `pods`, `secrets`) and name.
    objects: BTreeMap<(String, String), Value>,
    version: u64,
    /// Changes before this version are forgotten.
    oldest: u64,
    changes: Vec<Told>,
    /// Of `METHOD kind`, in order.
    faults: Vec<(&'static str, Fault)>,
    /// How often watches were broken, and how often expired.
    breaks: (u64, u64),
    /// How often the streams of logs were ended.
    log_cuts: u64,
    /// Times of lines are not told.
    no_times: bool,
    /// How long pods may take to stop that somebody deleted with a time for that, in seconds.
    graces: BTreeMap<String, u64>,
    /// The names of all Jobs that were ever made.
    made: Vec<String>,
    plays: BTreeMap<String, Play>,
    /// The output of each pod.
    logs: BTreeMap<String, watch::Sender<Output>>,
    /// Ends a pod's process.
    stops: BTreeMap<String, CancellationToken>,
}

/// A change: its version, the kind, `ADDED` and so on, the object.
#[derive(Clone)]
struct Told {
    version: u64,
    kind: String,
    what: &'static str,
    object: Value,
}

#[derive(Clone, Default)]
struct Output {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Cluster {
    /// What has `Bearer ` before it in each request.
    pub(crate) const TOKEN: &str = "the-token-of-the-kubeconfig";

    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (cluster, router) = Self::at(format!("http://{}/", listener.local_addr().unwrap()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        cluster
    }

    /// One that is reached by this URL, and what answers there.
    fn at(url: String) -> (Self, axum::Router) {
        let cluster = Self {
            inner: Arc::default(),
            bell: Arc::new(watch::Sender::new(())),
            folder: Arc::new(TempDir::new().unwrap()),
            url,
        };
        kubelet::make_tools(&cluster);
        let router = axum::Router::new().fallback(serve).with_state(cluster.clone());
        (cluster, router)
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A kubeconfig for whoever reaches it by this URL.
    pub(crate) fn kubeconfig(&self, url: &str) -> String {
        let name = format!("kubeconfig-{}", url.replace(|c: char| !c.is_alphanumeric(), "-"));
        let path = self.folder.path().join(name);
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "contexts": [{ "name": "it", "context": { "cluster": "c", "user": "u", "namespace": NAMESPACE } }],
            "clusters": [{ "name": "c", "cluster": { "server": url } }],
            "users": [{ "name": "u", "user": { "token": Self::TOKEN } }],
        });
        std::fs::write(&path, text.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The same, of which nobody is told.
    fn with_quiet<R>(&self, look: impl FnOnce(&Inner) -> R) -> R {
        look(&self.inner.lock().unwrap())
    }

    fn with<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let result = change(&mut self.inner.lock().unwrap());
        self.bell.send_replace(());
        result
    }

    pub(crate) fn plays(&self, job: &str, play: Play) {
        self.with(|inner| inner.plays.insert(job.to_owned(), play));
    }

    /// The next request of that method for that kind (`POST jobs`) fails so.
    pub(crate) fn fails(&self, what: &'static str, fault: Fault) {
        self.with(|inner| inner.faults.push((what, fault)));
    }

    /// No more faults.
    pub(crate) fn fails_no_more(&self) {
        self.with(|inner| inner.faults.clear());
    }

    /// Faults that nobody has met.
    pub(crate) fn faults_left(&self) -> usize {
        self.with(|inner| inner.faults.len())
    }

    /// All open watches break.
    pub(crate) fn break_watches(&self) {
        self.with(|inner| inner.breaks.0 += 1);
    }

    /// All open streams of logs end, as if they were at their end.
    pub(crate) fn ends_logs(&self) {
        self.with(|inner| inner.log_cuts += 1);
    }

    /// Lines of logs have no times.
    pub(crate) fn tells_no_times(&self) {
        self.with(|inner| inner.no_times = true);
    }

    /// Pods that were to stop within a time of their own, and that in seconds.
    pub(crate) fn graces(&self) -> Vec<(String, u64)> {
        self.with(|inner| inner.graces.clone().into_iter().collect())
    }

    /// All that was is forgotten: open watches are told that they are too old, and others are when they begin.
    pub(crate) fn forget(&self) {
        self.with(|inner| {
            inner.breaks.1 += 1;
            inner.version += 1;
            inner.oldest = inner.version;
            inner.changes.clear();
        });
    }

    /// All Jobs that were ever made.
    pub(crate) fn made(&self) -> Vec<String> {
        self.with(|inner| inner.made.clone())
    }

    /// What there is of a kind.
    pub(crate) fn all(&self, kind: &str) -> Vec<Value> {
        self.with(|inner| {
            let all = inner.objects.iter().filter(|((found, _), _)| found == kind);
            all.map(|(_, object)| object.clone()).collect()
        })
    }

    /// Waits until nothing is left: no Job, no pod, no Secret.
    pub(crate) async fn is_empty(&self) {
        let left = std::sync::Mutex::new(Vec::new());
        let is_empty = async || {
            let names = self.with(|inner| inner.objects.keys().cloned().collect::<Vec<_>>());
            *left.lock().unwrap() = names;
            left.lock().unwrap().is_empty().then_some(())
        };
        let emptied = tokio::time::timeout(EMPTY_WITHIN, until("it is empty", is_empty)).await;
        assert!(emptied.is_ok(), "the cluster is not empty: {:?}", left.lock().unwrap());
    }

    /// Waits until the pod of a job (that is its name in the workload) is in that phase, and gives its name.
    pub(crate) async fn pod_is(&self, job: &str, phase: &str) -> String {
        until(&format!("the pod of {job} is {phase}"), async || {
            let pod = self.pod_of(job)?;
            (pod["status"]["phase"] == phase).then(|| name(&pod))
        })
        .await
    }

    fn pod_of(&self, job: &str) -> Option<Value> {
        self.all("pods").into_iter().find(|pod| job_of(pod) == job)
    }

    /// The pod of a job ends with this status, and its Job for that reason.
    pub(crate) fn ends(&self, job: &str, status: &Value, reason: &str) {
        let mut pod = self.pod_of(job).unwrap();
        let (pod_name, run) = (name(&pod), pod["metadata"]["labels"]["dispatchyard/run"].clone());
        self.stop(&pod_name);
        for (key, value) in status.as_object().unwrap() {
            pod["status"][key] = value.clone();
        }
        self.put("pods", pod);
        self.job_ended(run.as_str().unwrap(), "Failed", reason);
    }

    /// The pod of a job is gone without a word, and its Job has failed.
    pub(crate) fn loses(&self, job: &str) {
        let pod = self.pod_of(job).unwrap();
        self.stop(&name(&pod));
        self.take("pods", &name(&pod));
        let run = pod["metadata"]["labels"]["dispatchyard/run"].as_str().unwrap();
        self.job_ended(run, "Failed", "BackoffLimitExceeded");
    }

    /// A Job of that job is there of which nobody knows any more, as after a crash.
    pub(crate) fn leaves_over(&self, job: &str) {
        let mut found = self.all("jobs").into_iter().find(|it| job_of(it) == job).unwrap();
        found["metadata"]["name"] = "left-over".into();
        found["metadata"]["uid"] = "left-over".into();
        found["metadata"]["labels"]["dispatchyard/attempt"] = "99".into();
        self.put("jobs", found);
    }

    /// Somebody else deletes a job's Job.
    pub(crate) fn deletes(&self, job: &str) {
        let found = self.all("jobs").into_iter().find(|it| job_of(it) == job).unwrap();
        self.delete("jobs", &name(&found));
    }

    fn stop(&self, pod: &str) {
        if let Some(stop) = self.with(|inner| inner.stops.remove(pod)) {
            stop.cancel();
        }
    }

    fn job_ended(&self, run: &str, how: &str, reason: &str) {
        let Some(mut job) = self.one("jobs", run) else { return };
        let condition = json!({ "type": how, "status": "True", "reason": reason, "message": "says the cluster" });
        job["status"] = json!({ "conditions": [condition] });
        self.put("jobs", job);
    }

    fn one(&self, kind: &str, name: &str) -> Option<Value> {
        self.with(|inner| inner.objects.get(&(kind.to_owned(), name.to_owned())).cloned())
    }

    /// Makes or changes an object.
    fn put(&self, kind: &str, mut object: Value) -> Value {
        self.with(|inner| {
            inner.version += 1;
            object["metadata"]["resourceVersion"] = inner.version.to_string().into();
            let known = inner.objects.insert((kind.to_owned(), name(&object)), object.clone());
            let what = if known.is_some() { "MODIFIED" } else { "ADDED" };
            inner.tell(kind, what, object.clone());
        });
        object
    }

    /// Takes an object away.
    fn take(&self, kind: &str, name: &str) -> Option<Value> {
        self.with(|inner| {
            let object = inner.objects.remove(&(kind.to_owned(), name.to_owned()))?;
            inner.version += 1;
            inner.tell(kind, "DELETED", object.clone());
            Some(object)
        })
    }

    fn create(&self, kind: &str, mut object: Value) -> Response {
        let (name, uid) = (name(&object), self.with(|inner| inner.version + 1));
        if self.one(kind, &name).is_some() {
            let text = format!("{kind} \"{name}\" already exists");
            return status(409, "AlreadyExists", &text, None);
        }
        if self.with(|inner| inner.faults.is_empty()) {
            let is_ours = object["metadata"]["labels"]["dispatchyard/owner"].is_string();
            assert!(is_ours, "everything says whose it is: {object}");
        }
        object["metadata"]["uid"] = format!("uid-{uid}").into();
        object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
        if kind == "jobs" {
            self.with(|inner| inner.made.push(name.clone()));
        }
        let object = self.put(kind, object);
        match kind {
            "jobs" => {
                let mut pod = object["spec"]["template"].clone();
                pod["apiVersion"] = "v1".into();
                pod["kind"] = "Pod".into();
                pod["metadata"]["name"] = format!("{name}-x7k2p").into();
                pod["metadata"]["ownerReferences"] = json!([{ "uid": object["metadata"]["uid"] }]);
                pod["status"] = json!({ "phase": "Pending" });
                kubelet::start(self, self.put("pods", pod));
            }
            "pods" => kubelet::start(self, object.clone()),
            _ => self.collect_garbage(),
        }
        (StatusCode::CREATED, axum::Json(object)).into_response()
    }

    /// The same, as a request with that body says it.
    fn delete_as_asked(&self, kind: &str, name: &str, body: &[u8]) -> bool {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        if let Some(seconds) = body["gracePeriodSeconds"].as_u64() {
            assert!(kind == "pods" && seconds > 0, "what is not confirmed is not gone: {body}");
            self.with(|inner| inner.graces.insert(name.to_owned(), seconds));
        }
        self.delete(kind, name)
    }

    /// In the foreground: what belongs to it goes first.
    fn delete(&self, kind: &str, name: &str) -> bool {
        let Some(mut object) = self.one(kind, name) else { return false };
        if kind == "secrets" {
            return self.take(kind, name).is_some();
        }
        object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        let uid = object["metadata"]["uid"].clone();
        self.put(kind, object);
        let (cluster, kind, name) = (self.clone(), kind.to_owned(), name.to_owned());
        tokio::spawn(async move {
            for of in ["pods", "secrets"] {
                for thing in cluster.all(of) {
                    if thing["metadata"]["ownerReferences"][0]["uid"] == uid {
                        cluster.end(of, &self::name(&thing)).await;
                    }
                }
            }
            cluster.end(&kind, &name).await;
            cluster.collect_garbage();
        });
        true
    }

    /// Takes away what belonged to something that is gone, also when it was made after that.
    fn collect_garbage(&self) {
        let owners: Vec<Value> =
            self.all("jobs").iter().map(|job| job["metadata"]["uid"].clone()).collect();
        for secret in self.all("secrets") {
            let owner = &secret["metadata"]["ownerReferences"][0]["uid"];
            if owner.is_string() && !owners.contains(owner) {
                self.take("secrets", &name(&secret));
            }
        }
    }

    /// Takes an object away, once its process has ended.
    async fn end(&self, kind: &str, name: &str) {
        if kind == "pods" {
            self.stop(name);
            kubelet::has_ended(self, name).await;
        }
        self.take(kind, name);
    }
}

impl Inner {
    fn tell(&mut self, kind: &str, what: &'static str, object: Value) {
        let (version, kind) = (self.version, kind.to_owned());
        self.changes.push(Told { version, kind, what, object });
    }

    fn fault(&mut self, what: &str) -> Option<Fault> {
        let at = self.faults.iter().position(|(on, _)| *on == what)?;
        Some(self.faults.remove(at).1)
    }
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The job's name in its workload.
fn job_of(object: &Value) -> &str {
    let namespace = object["metadata"]["annotations"]["dispatchyard/namespace"].as_str();
    namespace.and_then(|it| it.rsplit("::").next()).unwrap_or_default()
}

/// A `Status` of the API.
fn status(code: u16, reason: &str, message: &str, retry_after: Option<u32>) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
        "message": message,
    });
    let mut response = (StatusCode::from_u16(code).unwrap(), axum::Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

/// The head of an answer, and a connection that breaks then.
fn broken(code: StatusCode) -> Response {
    let error = Err::<Vec<u8>, _>(std::io::Error::other("as it was told to"));
    (code, Body::from_stream(futures_util::stream::iter([error]))).into_response()
}

async fn serve(State(cluster): State<Cluster>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let token = head.headers.get("authorization").and_then(|it| it.to_str().ok());
    if token != Some(&format!("Bearer {}", Cluster::TOKEN)) {
        return status(401, "Unauthorized", "Unauthorized", None);
    }
    let path: Vec<&str> = head.uri.path().trim_matches('/').split('/').collect();
    let (kind, name) = match path[..] {
        ["apis", "batch", "v1", "namespaces", NAMESPACE, "jobs", ref rest @ ..] => ("jobs", rest),
        ["api", "v1", "namespaces", NAMESPACE, kind @ ("pods" | "secrets"), ref rest @ ..] => {
            (kind, rest)
        }
        // Another one, in which nothing is.
        ["apis", "batch", "v1", "namespaces", _, _, ref rest @ ..] => ("elsewhere", rest),
        ["api", "v1", "namespaces", _, _, ref rest @ ..] => ("elsewhere", rest),
        _ => return status(404, "NotFound", "the server could not find it", None),
    };
    let query: BTreeMap<String, String> =
        form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect();
    let is_watch = query.get("watch").is_some_and(|it| it == "true");
    let verb = if is_watch { "WATCH" } else { head.method.as_str() };
    let fault = cluster.with(|inner| inner.fault(&format!("{verb} {kind}")));
    match fault {
        Some(Fault::Answer(code, after)) => {
            return status(code, "Planted", "as it was told to", after);
        }
        Some(Fault::Cut) => return broken(StatusCode::OK),
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::Lost) | None => {}
    }
    let bytes = axum::body::to_bytes(body, 16 << 20).await.unwrap();
    let answer = match (verb, name) {
        ("POST", []) if kind == "elsewhere" => status(403, "Forbidden", "not there", None),
        ("POST", []) => cluster.create(kind, serde_json::from_slice(&bytes).unwrap()),
        ("WATCH", []) => streams::watch(&cluster, kind, &query),
        ("GET", []) => streams::list(&cluster, kind, &query),
        ("GET", [name, "log"]) => streams::log(&cluster, name, &query),
        ("GET", [name]) => match cluster.one(kind, name) {
            Some(object) => axum::Json(object).into_response(),
            None => status(404, "NotFound", &format!("{kind} \"{name}\" not found"), None),
        },
        ("DELETE", [name]) => match cluster.delete_as_asked(kind, name, &bytes) {
            true => axum::Json(json!({ "kind": "Status", "status": "Success" })).into_response(),
            false => status(404, "NotFound", &format!("{kind} \"{name}\" not found"), None),
        },
        _ => status(405, "MethodNotAllowed", "not here", None),
    };
    match fault {
        Some(Fault::Lost) => broken(answer.status()),
        _ => answer,
    }
}
