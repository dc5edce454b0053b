//! Figures of jobs that are pushed over HTTP: the memory of 1,000 at the same time, and how long a fallback
//! takes. They measure and bound only what would be a fault, so they are run by hand:
//!
//! ```sh
//! scripts/with-postgres cargo nextest run --test it push_figures --run-ignored only --no-capture
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::model::{JobId, JobStateKind};
use serde_json::{Value, json};

use crate::support::backend::call_back;
use crate::support::fake_runner::job;
use crate::support::{ServerProcess, Setup, until};

/// How many jobs there are at once: the most that one executor has.
const JOBS: usize = 1_000;
/// How often a fallback is measured.
const FALLBACKS: usize = 50;

/// A backend, and when it was called and had answered, in seconds of one clock.
#[derive(Clone)]
struct Farm {
    status: StatusCode,
    /// It keeps its answer to itself.
    holds: bool,
    posted: Arc<Mutex<Vec<(f64, Value)>>>,
    clock: Arc<SystemClock>,
}

impl Farm {
    async fn start(status: u16, holds: bool, clock: &Arc<SystemClock>) -> (Self, SocketAddr) {
        let status = StatusCode::from_u16(status).unwrap();
        let farm = Self { status, holds, posted: Arc::default(), clock: Arc::clone(clock) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let run = async |State(farm): State<Self>, body: String| {
            let body = serde_json::from_str(&body).unwrap();
            farm.posted.lock().unwrap().push((farm.clock.seconds(), body));
            if farm.holds {
                std::future::pending::<()>().await;
            }
            farm.status
        };
        let router = axum::Router::new().route("/run", post(run)).with_state(farm.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (farm, address)
    }

    fn posted(&self) -> Vec<(f64, Value)> {
        self.posted.lock().unwrap().clone()
    }
}

fn executor(name: &str, address: SocketAddr) -> String {
    format!(
        "[[executor]]\nname = \"{name}\"\nmax_concurrent = {JOBS}\n[executor.http]\n\
         url = \"http://{address}/run\"\nprivate_addresses = true\n"
    )
}

async fn databases() -> [(&'static str, Setup); 2] {
    [("SQLite", Setup::default()), ("PostgreSQL", Setup::default().on_postgres().await)]
}

/// Memory of the process in kB, as the kernel counts it.
fn resident_kb(server: &ServerProcess) -> u64 {
    let path = format!("/proc/{}/status", server.pid());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn submit(server: &ServerProcess, many: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for at in (0..many).step_by(100) {
        let jobs = (at..many.min(at + 100)).map(|at| job(&format!("j{at}")));
        ids.extend(server.api.submit(json!(jobs.collect::<Vec<_>>())).await.1);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and has a thousand connections open"]
async fn memory_of_a_thousand_pushed_jobs() {
    for (database, setup) in databases().await {
        for (how, status, holds) in [("called back", 202, false), ("answer waited for", 200, true)]
        {
            let clock = Arc::new(SystemClock::new());
            let (farm, address) = Farm::start(status, holds, &clock).await;
            let route = "[[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"farm\"]\n";
            let text = executor("farm", address) + route;
            let home = setup.clone().patient().more(&text).build();
            let server = ServerProcess::start(&home).await;
            submit(&server, 10).await;
            until("it is warm", async || (farm.posted().len() == 10).then_some(())).await;
            let before_kb = resident_kb(&server);
            let ids = submit(&server, JOBS - 10).await;
            until("it has them all", async || (farm.posted().len() == JOBS).then_some(())).await;
            server.api.job_is(*ids.last().unwrap(), JobStateKind::Running).await;
            let after_kb = resident_kb(&server);
            println!(
                "{database}, {how}: {before_kb} kB with 10 jobs, {after_kb} kB with {JOBS}: {:.1} kB each",
                (after_kb - before_kb) as f64 / (JOBS - 10) as f64
            );
            assert!(after_kb - before_kb < 200 * JOBS as u64, "more than 200 kB for each");
            if !holds {
                for (_, posted) in farm.posted() {
                    let end = json!({ "status": "completed" });
                    assert_eq!(call_back(&server.api, &posted, end).await, 204);
                }
                server.api.job_is(ids[0], JobStateKind::Completed).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures"]
async fn time_of_a_fallback() {
    for (database, setup) in databases().await {
        let clock = Arc::new(SystemClock::new());
        let (first, at_first) = Farm::start(503, false, &clock).await;
        let (second, at_second) = Farm::start(204, false, &clock).await;
        let route =
            "[[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"first\", \"second\"]\n";
        let text = executor("first", at_first) + &executor("second", at_second) + route;
        let home = setup.patient().more(&text).build();
        let server = ServerProcess::start(&home).await;
        server.api.polls_parked(2).await;
        let mut took_ms = Vec::new();
        for at in 0..FALLBACKS {
            let ids = submit(&server, 1).await;
            server.api.job_is(ids[0], JobStateKind::Completed).await;
            let (refused, taken) = (first.posted(), second.posted());
            assert_eq!((refused.len(), taken.len()), (at + 1, at + 1));
            took_ms.push((taken[at].0 - refused[at].0) * 1_000.0);
            server.api.post("/executors/first/reset", json!({})).await;
            server.api.polls_parked(2).await;
        }
        took_ms.sort_by(f64::total_cmp);
        let at = |percent: usize| took_ms[FALLBACKS * percent / 100];
        println!(
            "{database}, from a 503 of the first to the request to the second, {FALLBACKS} times: \
             p50 {:.1} ms, p90 {:.1} ms, longest {:.1} ms",
            at(50),
            at(90),
            took_ms[FALLBACKS - 1]
        );
        assert!(at(50) < 100.0, "{took_ms:?}");
    }
}
