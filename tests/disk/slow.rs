//! A disk that is slow: every write and every flush takes its time, and one flush takes longer than a
//! sender waits and longer than a lease lives. The real server, asked over HTTP, on the layer below SQLite.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatchyard::api::wire::{
    Assignment, DeliveryAccepted, HeartbeatResponse, PollResponse, RegisterResponse, StatusView,
};
use dispatchyard::app::{App, AppOptions};
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::config::Config;
use dispatchyard::model::{DeliveryId, RunnerId};
use dispatchyard::store::Planted;
use dispatchyard::webhook::{Secret, sign};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::disk::{Disk, Pace};
use crate::folder;
use crate::rows::{Fact, look};
use crate::server::database;
use crate::vfs;

/// How long a sender waits, of which the server says so: `store_wait_ms`.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// What a busy machine may take beyond that.
const BUSY: Duration = Duration::from_millis(1_500);
/// Shorter than the window in which a job is to be started, which begins before its commit.
const LEASE: Duration = Duration::from_millis(4_000);
const HEARTBEAT: Duration = Duration::from_millis(400);
/// Between two looks, and between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than all that is waited for.
const LIMIT: Duration = Duration::from_secs(60);
/// Deliveries of the slow time, and those that are sent at once.
const DELIVERIES: u64 = 12;
const AT_ONCE: u64 = 6;
const SECRET: &str = "a secret of this test";

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
data_dir = "data"
[database]
url = "sqlite:data/d.db"
[scheduler]
store_wait_ms = 1500
lease_ms = 4000
heartbeat_timeout_ms = 4000
heartbeat_interval_ms = 400
[[source]]
name = "github"
secrets = [{ file = "secret" }]
[[trigger]]
name = "ci"
source = "github"
workflow = "ci"
[trigger.on.push]
"#;

const WORKFLOW: &str = "jobs:\n  build:\n    runs-on: [x]\n    steps:\n      - run: 'true'\n";

/// A server on a disk of ours, and those who use it.
#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    base: String,
    push: Arc<[u8]>,
    /// Deliveries that were answered with a 2xx.
    acknowledged: Arc<Mutex<Vec<DeliveryId>>>,
    /// How often a delivery was refused, and the longest time until an answer.
    seen: Arc<Mutex<(u64, Duration)>>,
}

/// What a runner is known by.
#[derive(Clone)]
struct Runner {
    client: Client,
    id: RunnerId,
    token: String,
}

impl Client {
    async fn ask<T: DeserializeOwned>(&self, token: &str, path: &str, body: &Value) -> T {
        let mut request = self.http.post(format!("{}/api/v1{path}", self.base)).json(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = request.timeout(LIMIT).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{path}: {status} {:?}", answer.text().await);
        answer.json().await.unwrap()
    }

    async fn status(&self) -> StatusView {
        let request = self.http.get(format!("{}/api/v1/status", self.base));
        request.timeout(LIMIT).send().await.unwrap().json().await.unwrap()
    }

    async fn register(&self, name: &str, label: &str) -> Runner {
        let hello = json!({
            "name": name, "instance_id": name, "boot_id": "first",
            "capabilities": { "labels": [label], "max_parallel_jobs": 1 },
        });
        let known: RegisterResponse = self.ask("", "/runners/register", &hello).await;
        Runner { client: self.clone(), id: known.runner_id, token: known.token }
    }

    async fn submit(&self, label: &str) {
        let job = json!({ "name": "a", "requirements": { "labels": [label] },
                          "work": { "steps": [{ "run": "true" }] } });
        let _: Value = self.ask("", "/workloads", &json!({ "name": "own", "jobs": [job] })).await;
    }

    /// Sends a delivery once: whether it was taken. No answer may take longer than its sender waits.
    async fn deliver(&self, name: &str) -> Option<DeliveryAccepted> {
        let clock = SystemClock::new();
        let request = self.http.post(format!("{}/hooks/github", self.base));
        let request = request
            .header("content-type", "application/json")
            .header("x-github-event", "push")
            .header("x-github-delivery", name)
            .header(
                "x-hub-signature-256",
                sign(&Secret::new(SECRET.as_bytes()).unwrap(), &self.push),
            )
            .body(self.push.to_vec());
        let answer = request.timeout(LIMIT).send().await.unwrap();
        let took = Duration::from_secs_f64(clock.seconds());
        assert!(took < PATIENCE + BUSY, "{name} was answered after {took:?}");
        let status = answer.status();
        self.note(!status.is_success(), took);
        if !status.is_success() {
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{name}");
            return None;
        }
        let accepted: DeliveryAccepted = answer.json().await.unwrap();
        self.acknowledged.lock().unwrap().push(accepted.delivery_id);
        Some(accepted)
    }

    fn note(&self, refused: bool, took: Duration) {
        let mut seen = self.seen.lock().unwrap();
        seen.0 += u64::from(refused);
        seen.1 = seen.1.max(took);
    }

    /// Sends a delivery until it is taken, as a forge's redelivery would.
    async fn insist(&self, name: &str) -> DeliveryAccepted {
        loop {
            if let Some(accepted) = self.deliver(name).await {
                return accepted;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until nothing waits and so many run.
    async fn all_ended_but(&self, running: u64) -> StatusView {
        loop {
            let status = self.status().await;
            if (status.queue_size, status.running_jobs) == (0, running) {
                return status;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Runner {
    async fn poll(&self) -> Vec<Assignment> {
        let path = format!("/runners/{}/poll", self.id);
        let wait = json!({ "wait_ms": 30_000 });
        self.client.ask::<PollResponse>(&self.token, &path, &wait).await.jobs
    }

    async fn start(&self, job: &Assignment) {
        let path = format!("/leases/{}/start", job.lease);
        let _: Value = self.client.ask(&self.token, &path, &json!({ "nonce": job.nonce })).await;
    }

    async fn complete(&self, job: &Assignment) {
        let path = format!("/leases/{}/complete", job.lease);
        let body = json!({ "nonce": job.nonce, "outcome": "completed" });
        let _: Value = self.client.ask(&self.token, &path, &body).await;
    }

    /// Says that it is there; no lease of its own may be lost.
    async fn beat(&self, job: &Assignment) {
        let path = format!("/runners/{}/heartbeat", self.id);
        let body = json!({ "leases": [{ "lease": job.lease, "nonce": job.nonce }] });
        let heard: HeartbeatResponse = self.client.ask(&self.token, &path, &body).await;
        assert_eq!(heard.lost, [], "the lease was lost behind a slow disk");
    }

    /// Carries out what it is given, for ever.
    async fn work(self) {
        loop {
            for job in self.poll().await {
                self.start(&job).await;
                self.beat(&job).await;
                self.complete(&job).await;
            }
        }
    }
}

async fn start(folder: &Path) -> (App, Client) {
    std::fs::create_dir_all(folder.join("workflows")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("secret", SECRET);
    write("workflows/ci.yml", WORKFLOW);
    write("dispatchyard.toml", CONFIG);
    let config = Config::load(&folder.join("dispatchyard.toml"), []).unwrap();
    let secrets = config.load_secrets(|_| None).unwrap();
    let planted = Planted { sqlite_vfs: Some(vfs::NAME), ..Planted::default() };
    let options = AppOptions { planted, ..AppOptions::default() };
    let app = App::start(config, secrets, options).await.unwrap();
    // Only a second installation fails, and any is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let push = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/github/push.json");
    let client = Client {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        base: format!("http://{}", app.address()),
        push: std::fs::read(push).unwrap().into(),
        acknowledged: Arc::default(),
        seen: Arc::default(),
    };
    while client.status().await.state != "running" {
        tokio::time::sleep(PAUSE).await;
    }
    (app, client)
}

/// Every write and every flush takes long: deliveries are taken or refused in time, and what runs goes on.
async fn while_all_is_slow(client: &Client, disk: &Disk, busy: &Runner, held: &Assignment) {
    disk.slow(Some(Pace { write_ms: 0..3, flush_ms: 50..300 }));
    let mut senders = JoinSet::new();
    for sender in 0..4 {
        let client = client.clone();
        senders.spawn(async move {
            for number in (sender..DELIVERIES).step_by(4) {
                client.insist(&format!("slow-{number}")).await;
            }
        });
    }
    while !senders.is_empty() {
        busy.beat(held).await;
        while let Some(sent) = senders.try_join_next() {
            sent.unwrap();
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
    disk.slow(None);
    busy.beat(held).await;
    client.all_ended_but(1).await;
}

/// One flush takes longer than senders wait, and longer than a lease: they are told, and the lease lives by
/// its heartbeats although these are answered only then.
async fn while_a_flush_takes_long(client: &Client, disk: &Disk, busy: &Runner, held: &Assignment) {
    disk.hold_flush();
    let names: Vec<_> = (0..AT_ONCE).map(|number| format!("held-{number}")).collect();
    let mut tasks = JoinSet::new();
    for name in names.clone() {
        let client = client.clone();
        tasks.spawn(async move {
            assert!(client.deliver(&name).await.is_none(), "{name} cannot be on the disk");
        });
    }
    while !disk.is_held() {
        tokio::time::sleep(PAUSE).await;
    }
    let clock = SystemClock::new();
    while clock.seconds() < (LEASE + HEARTBEAT).as_secs_f64() {
        let (busy, held) = (busy.clone(), held.clone());
        tasks.spawn(async move { busy.beat(&held).await });
        tokio::time::sleep(HEARTBEAT).await;
    }
    disk.release_flush();
    while let Some(told) = tasks.join_next().await {
        told.unwrap();
    }
    // By itself, and without a load: what waited in the flush is there, the rest is sent again.
    let mut duplicates = 0;
    for name in names {
        duplicates += u64::from(client.insist(&name).await.duplicate);
    }
    assert!((1..=AT_ONCE).contains(&duplicates), "the flush was about something");
}

async fn on_a_slow_disk(folder: &Path, disk: &Disk) -> (Vec<Fact>, String) {
    let (app, client) = start(folder).await;
    let [busy, idle, worker] = [("busy", "busy"), ("idle", "idle"), ("worker", "x")];
    let busy = client.register(busy.0, busy.1).await;
    let idle = client.register(idle.0, idle.1).await;
    let working = tokio::spawn(client.register(worker.0, worker.1).await.work());
    client.submit("busy").await;
    let held = busy.poll().await.remove(0);
    busy.start(&held).await;
    // Parked all the time.
    let parked = tokio::spawn({
        let idle = idle.clone();
        async move { idle.poll().await }
    });
    let before = client.status().await;

    while_all_is_slow(&client, disk, &busy, &held).await;
    while_a_flush_takes_long(&client, disk, &busy, &held).await;

    assert!(!parked.is_finished(), "a poll that waits for nothing of it is not ended");
    client.submit("idle").await;
    let given = parked.await.unwrap();
    idle.start(&given[0]).await;
    for (runner, job) in [(&idle, &given[0]), (&busy, &held)] {
        runner.complete(job).await;
    }
    let after = client.all_ended_but(0).await;
    assert_eq!((after.epoch, &*after.state), (before.epoch, "running"), "nothing was loaded again");
    working.abort();
    assert!(working.await.unwrap_err().is_cancelled(), "the worker has worked");
    let mut facts: Vec<_> =
        client.acknowledged.lock().unwrap().iter().map(|id| Fact::Delivered(*id)).collect();
    let done = [&held, &given[0]].map(|job| Fact::Completed(job.job_id, job.lease));
    facts.extend(done);
    let (refused, longest) = *client.seen.lock().unwrap();
    app.stop().await;
    let told = format!(
        "{} answers looked up, {refused} deliveries refused, the longest wait for an answer was {} ms",
        facts.len(),
        longest.as_millis()
    );
    (facts, told)
}

#[test]
fn a_slow_disk_costs_time_and_nothing_else() {
    let (folder, disk) = (folder(), Arc::new(Disk::sound()));
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let mounted = vfs::mount(&data, &disk);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let played = runtime.unwrap().block_on(async {
        tokio::time::timeout(LIMIT, on_a_slow_disk(folder.path(), &disk)).await
    });
    let (facts, told) = played.expect("nothing takes that long");
    println!("{told}");
    drop(mounted);
    crate::block_on(look(&database(&data), &facts)).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    assert!(facts.len() as u64 >= DELIVERIES + AT_ONCE + 2);
}
