//! From a webhook's scheduled sending to its job in a waiting runner's hands, over HTTP and
//! durable: an open loop of signed pushes against a server in a process of its own, with leases,
//! heartbeat deadlines and limits on. `cargo bench --bench webhook`.
//!
//! `WEBHOOK_RATE` (deliveries a second, 100) and `WEBHOOK_SECONDS` (10) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatchyard::api::wire::{
    CompleteRequest, DeliveryAccepted, LeaseBody, PollRequest, PollResponse, RegisterRequest,
    RegisterResponse,
};
use dispatchyard::cli::sign_like_github;
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::model::{AttemptOutcome, RunnerCapabilities, WorkloadId};
use dispatchyard::webhook::Secret;

const SECRET: &str = "a secret of the bench";
const PUSH: &str = include_str!("../fixtures/github/push.json");
const RUNNERS: u32 = 4;
const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
data_dir = "data"
[[source]]
name = "github"
kind = "github"
secrets = [{ env = "BENCH_SECRET" }]
[[trigger]]
name = "one-job"
on = "push"
agent = { profile = "bench", prompt = "{{ event.title }}" }
"#;

fn secret() -> Secret {
    Secret::new(SECRET.as_bytes()).expect("it is not empty")
}

struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let config = folder.join("bench.toml");
        std::fs::write(&config, CONFIG).expect("a folder to write to");
        let mut child = Command::new(env!("CARGO_BIN_EXE_dispatchyard"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("BENCH_SECRET", SECRET)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let line: serde_json::Value = serde_json::from_str(&line).ok()?;
                Some(format!("http://{}", line.get("address")?.as_str()?))
            })
            .expect("the server says where it listens");
        // Nobody else reads the log lines; a full pipe would stop the server.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// When each workload's job reached a runner, in seconds of the bench's clock.
type Arrivals = Arc<Mutex<HashMap<WorkloadId, f64>>>;

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let number = |name: &str, or: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
    };
    let (rate, seconds) = (number("WEBHOOK_RATE", 100), number("WEBHOOK_SECONDS", 10));
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut waits = runtime.block_on(measure(&server.address, rate, seconds));
    waits.sort_unstable_by(f64::total_cmp);
    let at = |share: f64| waits[((waits.len() - 1) as f64 * share) as usize] * 1_000.0;
    println!(
        "webhook sent -> job in a waiting runner's hands, {rate} deliveries/s for {seconds} s, \
         synchronous=FULL, {} deliveries: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        waits.len(),
        at(0.50),
        at(0.99),
        at(1.0),
    );
}

async fn measure(address: &str, rate: u64, seconds: u64) -> Vec<f64> {
    let clock = Arc::new(SystemClock::new());
    let arrivals = Arrivals::default();
    for number in 0..RUNNERS {
        let (clock, arrivals) = (Arc::clone(&clock), Arc::clone(&arrivals));
        tokio::spawn(run_jobs(address.to_owned(), number, clock, arrivals));
    }
    let http = reqwest::Client::new();
    let url = format!("{address}/hooks/github");
    let mut tick = tokio::time::interval(Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1));
    let mut sent = Vec::new();
    // The first second warms up and is not counted.
    for number in 0..rate * (seconds + 1) {
        tick.tick().await;
        let scheduled = clock.seconds();
        let (http, url) = (http.clone(), url.clone());
        sent.push(tokio::spawn(async move {
            let id = format!("bench-{number}");
            let signed = sign_like_github(PUSH.into(), "push", &id, &secret());
            let signed = signed.expect("a signed push");
            let request = http.post(url).headers(signed.headers).body(signed.body);
            let answer = request.send().await.expect("an answer");
            assert_eq!(answer.status(), 202);
            let accepted: DeliveryAccepted = answer.json().await.expect("an accepted delivery");
            (number >= rate).then_some((accepted.workloads[0], scheduled))
        }));
    }
    let mut waits = Vec::with_capacity(sent.len());
    for task in sent {
        let Some((workload, scheduled)) = task.await.expect("sent") else { continue };
        let arrived = loop {
            let seen = arrivals.lock().expect("no panic").get(&workload).copied();
            match seen {
                Some(at) => break at,
                None => tokio::task::yield_now().await,
            }
        };
        waits.push(arrived - scheduled);
    }
    waits
}

/// A runner with a poll always open, which starts and completes what it gets.
async fn run_jobs(address: String, number: u32, clock: Arc<SystemClock>, arrivals: Arrivals) {
    let http = reqwest::Client::new();
    let hello = RegisterRequest {
        name: format!("bench-{number}"),
        instance_id: format!("bench-{number}"),
        boot_id: "1".into(),
        pool: None,
        capabilities: RunnerCapabilities { max_parallel_jobs: 100, ..Default::default() },
        version: "bench".into(),
    };
    let url = format!("{address}/api/v1/runners/register");
    let me: RegisterResponse =
        post(&http, &url, "", &hello).await.expect("registered").json().await.expect("a token");
    let url = format!("{address}/api/v1/runners/{}/poll", me.runner_id);
    let mut leases = Vec::new();
    loop {
        let poll = PollRequest { wait_ms: 20_000, leases: leases.clone(), ..Default::default() };
        let Some(answer) = post(&http, &url, &me.token, &poll).await else { return };
        let Ok(answer) = answer.json::<PollResponse>().await else { return };
        let now = clock.seconds();
        leases = answer.jobs.iter().map(|job| job.lease).collect();
        for job in answer.jobs {
            arrivals.lock().expect("no panic").entry(job.workload_id).or_insert(now);
            let (http, token, address) = (http.clone(), me.token.clone(), address.clone());
            tokio::spawn(async move {
                let lease = format!("{address}/api/v1/leases/{}", job.lease);
                let start = LeaseBody { nonce: job.nonce };
                post(&http, &format!("{lease}/start"), &token, &start).await;
                let done = CompleteRequest {
                    nonce: job.nonce,
                    outcome: AttemptOutcome::Completed,
                    exit_code: Some(0),
                    error: None,
                    outputs: Default::default(),
                };
                post(&http, &format!("{lease}/complete"), &token, &done).await;
            });
        }
    }
}

async fn post(
    http: &reqwest::Client,
    url: &str,
    token: &str,
    body: &impl serde::Serialize,
) -> Option<reqwest::Response> {
    http.post(url).bearer_auth(token).json(body).send().await.ok()
}
