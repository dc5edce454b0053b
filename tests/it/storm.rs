//! All runners of a fleet lose their connections in the same moment, because their server has died, and come
//! back at once: each is parked again or has work, nobody loses what it was doing, and no job is given twice.
//!
//! `STORM_RUNNERS=10000` is the long form.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dispatchyard::api::wire::{Assignment, HeartbeatResponse, PollResponse, StatusView};
use dispatchyard::model::{JobId, JobStateKind};
use futures_util::StreamExt as _;
use reqwest::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::fake_runner::{job, lease, registration};
use crate::support::home::{ADMIN_TOKEN, REGISTRATION_TOKEN};
use crate::support::instances::is;
use crate::support::server::ServerProcess;
use crate::support::wait::{Stopwatch, until_for};
use crate::support::{Answer, Api, FakeRunner, Setup};

const RUNNERS: usize = 1_000;
/// One of so many has a job when it happens, and so many jobs come while they return.
const ONE_IN: usize = 10;
/// Calls of the test's own at the same time.
const AT_ONCE: usize = 32;
/// How long a runner waits before it tries again.
const PAUSE: Duration = Duration::from_millis(50);
/// For ten thousand on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// All runners, and what came of their calls.
struct Fleet {
    apis: Vec<Api>,
    /// Which address is tried first.
    first: AtomicUsize,
    runners: Vec<FakeRunner>,
    /// What each job was told to whom, and how often.
    given: Mutex<BTreeMap<JobId, usize>>,
    /// Heartbeats that were answered since the storm.
    beats: Mutex<BTreeMap<usize, HeartbeatResponse>>,
}

impl Fleet {
    /// Registers so many.
    async fn register(apis: Vec<Api>, many: usize) -> Self {
        let api = apis[0].with_token(REGISTRATION_TOKEN);
        let runners = futures_util::stream::iter(0..many).map(|at| {
            let api = api.clone();
            async move {
                FakeRunner::with_request(&api, registration(&format!("r{at}"), &["x"], 1)).await
            }
        });
        let runners = runners.buffered(AT_ONCE).collect().await;
        let (given, beats) = (Mutex::default(), Mutex::default());
        Self { apis, first: AtomicUsize::new(0), runners, given, beats }
    }

    /// Asks until there is an answer that is one, at whichever address gives it.
    async fn ask(&self, token: &str, path: &str, body: &Value) -> Answer {
        loop {
            let at = self.first.load(Ordering::Relaxed);
            let api = self.apis[at % self.apis.len()].with_token(token);
            let request = api.request(Method::POST, &format!("/api/v1{path}")).json(body);
            let answer = async { Answer::of(request.send().await.ok()?).await.ok() };
            match answer.await {
                Some(answer) if answer.status != 503 => return answer,
                // Nobody there.
                None => drop(self.first.compare_exchange(
                    at,
                    at + 1,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                )),
                Some(_) => {}
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits for a job.
    async fn take(&self, at: usize) -> Assignment {
        let runner = &self.runners[at];
        let path = format!("/runners/{}/poll", runner.id);
        loop {
            let answer = self.ask(&runner.token, &path, &json!({ "wait_ms": 60_000 })).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let mut jobs = answer.json::<PollResponse>().jobs;
            assert!(jobs.len() <= 1, "{jobs:?}");
            let Some(job) = jobs.pop() else { continue };
            *self.given.lock().unwrap().entry(job.job_id).or_default() += 1;
            return job;
        }
    }

    async fn say(&self, at: usize, held: &Assignment, call: &str, mut body: Value) {
        body["nonce"] = json!(held.nonce);
        let answer = self.ask(&self.runners[at].token, &lease(held, call), &body).await;
        assert_eq!(answer.status, 200, "{call}: {answer:?}");
    }

    /// Takes jobs and does them, for ever.
    async fn work(self: Arc<Self>, at: usize) {
        loop {
            let held = self.take(at).await;
            self.say(at, &held, "start", json!({})).await;
            self.say(at, &held, "complete", json!({ "outcome": "completed" })).await;
        }
    }

    /// Says again and again that it has this job, for ever.
    async fn beat(self: Arc<Self>, at: usize, held: Assignment) {
        let runner = &self.runners[at];
        let path = format!("/runners/{}/heartbeat", runner.id);
        let leases = json!({ "leases": [{ "lease": held.lease, "nonce": held.nonce }] });
        loop {
            let answer = self.ask(&runner.token, &path, &leases).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            self.beats.lock().unwrap().insert(at, answer.json());
            tokio::time::sleep(PAUSE * 10).await;
        }
    }
}

/// How many polls are parked, as far as the server tells.
async fn parked(api: &Api) -> Option<usize> {
    let metrics = api.request(Method::GET, "/metrics").send().await.ok()?.text().await.ok()?;
    let line = metrics.lines().find_map(|it| it.strip_prefix("dispatchyard_polls_parked "))?;
    line.trim().parse().ok()
}

fn setup(setup: Setup) -> Setup {
    let instances = "\n[instances]\nleader_ttl_ms = 1500\nlook_interval_ms = 50\n";
    let setup = setup.patient().own_port().tokens().server("connections_max", 20_000);
    setup.scheduler("max_global_concurrency", 20_000).more(instances)
}

fn size() -> usize {
    let size = std::env::var("STORM_RUNNERS").ok().and_then(|many| many.parse().ok());
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    size.unwrap_or(RUNNERS)
}

async fn storm(
    apis: Vec<Api>,
    leads_then: usize,
    break_it: impl AsyncFnOnce() -> Option<ServerProcess>,
) -> String {
    let many = size();
    let api = |at: usize| apis[at].with_token(ADMIN_TOKEN);
    let watch = Stopwatch::start();
    let fleet = Arc::new(Fleet::register(apis.clone(), many).await);
    let some = many / ONE_IN;
    let jobs = |name: &str| (0..some).map(|at| job(&format!("{name}-{at}"))).collect::<Vec<_>>();
    let (_, held_jobs) = api(0).submit(json!(jobs("held"))).await;
    let held = futures_util::stream::iter(0..some).map(|at| {
        let fleet = Arc::clone(&fleet);
        async move {
            let held = fleet.take(at).await;
            fleet.say(at, &held, "start", json!({})).await;
            held
        }
    });
    let held: Vec<_> = held.buffered(AT_ONCE).collect().await;
    let mut tasks = JoinSet::new();
    for (at, held) in held.iter().enumerate() {
        tasks.spawn(Arc::clone(&fleet).beat(at, held.clone()));
    }
    for at in some..many {
        tasks.spawn(Arc::clone(&fleet).work(at));
    }
    let all_parked = async |api: Api| {
        until_for(LIMIT, "all are parked", async || {
            (parked(&api).await? == many - some).then_some(())
        })
        .await;
    };
    all_parked(api(0)).await;
    let there_ms = watch.elapsed().as_millis();

    let watch = Stopwatch::start();
    let _server = break_it().await;
    let again_ms = watch.elapsed().as_millis();
    fleet.beats.lock().unwrap().clear();
    let api = api(leads_then);
    let (_, new_jobs) = api.submit(json!(jobs("new"))).await;
    until_for(LIMIT, "all that came meanwhile is done", async || {
        let status: StatusView = api.get("/status").await;
        (status.queue_size == 0 && status.running_jobs == some as u64).then_some(())
    })
    .await;
    until_for(LIMIT, "all that had a job were heard of", async || {
        (fleet.beats.lock().unwrap().len() == some).then_some(())
    })
    .await;
    all_parked(api.clone()).await;
    let back_ms = watch.elapsed().as_millis();

    let lost = fleet.beats.lock().unwrap().values().filter(|it| !it.lost.is_empty()).count();
    assert_eq!(lost, 0, "leases that were alive");
    tasks.shutdown().await;
    for (at, held) in held.iter().enumerate() {
        fleet.say(at, held, "complete", json!({ "outcome": "completed" })).await;
    }
    let given = fleet.given.lock().unwrap().clone();
    for id in held_jobs.into_iter().chain(new_jobs) {
        assert_eq!(given.get(&id), Some(&1), "job {id} was given more than once, or never");
        let job = api.job(id).await;
        assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1), "{job:?}");
    }
    format!(
        "{many} runners and {some} jobs of theirs in {there_ms} ms; then a server again after {again_ms} \
         ms, and all back, with {some} new jobs done, after {back_ms} ms"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_returns_to_a_server_that_was_killed_and_started_again() {
    let home = setup(Setup::default()).build();
    size();
    let mut server = ServerProcess::start(&home).await;
    let apis = vec![server.api.clone()];
    let seen = storm(apis, 0, async || {
        server.kill().await;
        Some(ServerProcess::start(&home).await)
    });
    println!("{}", seen.await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_goes_to_the_instance_that_takes_over() {
    let setup = setup(Setup::default().on_postgres().await);
    let (home, other) = (setup.build(), setup.clone().own_port().build());
    size();
    let mut server = ServerProcess::start(&home).await;
    let standby = ServerProcess::start(&other).await;
    let apis = vec![server.api.clone(), standby.api.clone()];
    let seen = storm(apis, 1, async || {
        server.kill().await;
        is(&standby.api, "running").await;
        None
    });
    println!("{}", seen.await);
}
