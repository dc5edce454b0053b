//! SIGKILL at random moments under load: what was answered is there, and every job ends once.
//!
//! Senders and runners go on through every crash: a sender repeats a delivery until it is
//! acknowledged (as an operator's redelivery would), a runner repeats a call until it is answered.
//! The runner here is the test's own, so that it may misbehave: it completes twice, hangs up, and
//! forgets. `DISPATCHYARD_IT_SEED` chooses the moments.

mod instances;
mod load;
mod points;
mod restarts;
mod sessions;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dispatchyard::api::wire::{DeliveryView, List, StatusView};
use dispatchyard::model::{AttemptOutcome, DeliveryId, JobStateKind};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::support::wait::{until_for, within};
use crate::support::{Api, RunnerSetup, ServerProcess, Setup};
use load::Load;

const CRASHES: usize = 20;
const CRASHES_ON_POSTGRES: usize = 6;
const SENDERS: u64 = 3;
const RUNNERS: u64 = 3;
/// Enough work between two crashes that each falls into something.
const ALIVE_MS: std::ops::Range<u64> = 50..700;

const WORKFLOW: &str = r#"
x-dispatch: { backoff_ms: 0, max_retries: 2 }
jobs:
  build: { runs-on: [x], steps: [{ run: "true" }] }
  test: { runs-on: [x], needs: build, steps: [{ run: "true" }] }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_at_random_moments_loses_nothing_and_does_nothing_twice() {
    killed_at_random_moments(Setup::default(), CRASHES).await;
}

/// What was killed may still be committing there when the next one starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_postgresql() {
    killed_at_random_moments(Setup::default().on_postgres().await, CRASHES_ON_POSTGRES).await;
}

async fn killed_at_random_moments(setup: Setup, crashes: usize) {
    let seed = std::env::var("DISPATCHYARD_IT_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut random = StdRng::seed_from_u64(seed.unwrap_or(7));
    // A lost runner is none of a job's faults, and here there are many.
    let setup = setup.own_port().workflow("ci", WORKFLOW).scheduler("retry_max_attempts", 100);
    let home = setup.build();
    let mut server = ServerProcess::start(&home).await;
    let load = Arc::new(Load::new(vec![server.api.clone()]));
    let mut tasks = begin(&load, RUNNERS);
    let mut real = RunnerSetup::new("real").slots(2).spawn(&home, &server.api);

    for _ in 0..crashes {
        tokio::time::sleep(Duration::from_millis(random.random_range(ALIVE_MS))).await;
        server.kill().await;
        server = ServerProcess::start(&home).await;
    }
    let (status, checked) = conclude(&server, &load, &mut tasks).await;
    real.signal(Signal::TERM);
    assert!(real.ended().await.success(), "{}", real.told());

    let starts = i64::try_from(crashes).unwrap() + 1;
    let (counters, told) = (load.counters(), server.told());
    let seen = format!("{checked}, {counters}");
    // On PostgreSQL one may be killed before the lock of the one before it was free.
    let is_shared = home.schema().is_some();
    let loads = status.epoch == starts || (is_shared && status.epoch < starts);
    assert!(loads, "{} loads, and one between two starts is a fault: {seen}\n{told}", status.epoch);
    load.assert_reached();
}

/// Lets everything end that was begun, and looks at all of it.
async fn conclude(
    server: &ServerProcess,
    load: &Load,
    tasks: &mut JoinSet<()>,
) -> (StatusView, Checked) {
    let status = all_ended(&server.api, load).await;
    load.stop_working();
    while let Some(ended) = within("senders and runners end", tasks.join_next()).await {
        ended.unwrap_or_else(|error| panic!("{error}\nthe server told:\n{}", server.told()));
    }
    (status, check(&server.api, load).await)
}

/// Starts its senders and runners.
fn begin(load: &Arc<Load>, runners: u64) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for sender in 0..SENDERS {
        tasks.spawn(Arc::clone(load).send(sender));
    }
    for runner in 0..runners {
        tasks.spawn(Arc::clone(load).work(runner, StdRng::seed_from_u64(runner)));
    }
    tasks
}

/// Sends nothing more, and waits until nothing is left to do.
async fn all_ended(api: &Api, load: &Load) -> StatusView {
    load.stop_sending();
    until_for(ENDED_WITHIN, "everything has ended", async || {
        // In the order in which work goes: sent, accepted while nobody led, queued.
        let all_sent = load.all_sent();
        let open = ask::<List<DeliveryView>>(api, "/deliveries?state=accepted").await?;
        let status: StatusView = ask(api, "/status").await?;
        let idle = status.queue_size == 0 && status.running_jobs == 0;
        (all_sent && open.items.is_empty() && idle).then_some(status)
    })
    .await
}

/// How long what was begun may take to its end on a machine that is busy with other work.
const ENDED_WITHIN: Duration = Duration::from_secs(120);
/// The same where deliveries may wait for a leader.
async fn conclude_at(api: &Api, load: &Load, tasks: &mut JoinSet<()>) -> Checked {
    all_ended(api, load).await;
    load.stop_working();
    while let Some(ended) = within("senders and runners end", tasks.join_next()).await {
        ended.unwrap_or_else(|error| panic!("{error}"));
    }
    check(api, load).await
}

/// What the final look found.
#[derive(Debug, Default)]
struct Checked {
    deliveries: usize,
    jobs: usize,
    attempts: usize,
    /// When each attempt was given out (wall).
    assigned_at_ms: Vec<i64>,
}

impl Checked {
    /// The longest time in which nothing was given out.
    fn longest_gap_ms(&self) -> i64 {
        let mut times = self.assigned_at_ms.clone();
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
    }
}

impl std::fmt::Display for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "deliveries {}, jobs {}, attempts {}", self.deliveries, self.jobs, self.attempts)
    }
}

/// Every acknowledged delivery is there, once, with its jobs; every job has one completed attempt.
async fn check(api: &Api, load: &Load) -> Checked {
    let mut checked = Checked::default();
    let rows = all_deliveries(api).await;
    let ids: BTreeSet<DeliveryId> = rows.iter().map(|row| row.id).collect();
    let names: BTreeSet<_> = rows.iter().map(|row| row.external_id.clone().unwrap()).collect();
    assert_eq!(names.len(), rows.len(), "no delivery is there twice");
    for (name, id) in load.acknowledged() {
        assert!(
            names.contains(&name) && ids.contains(&id),
            "{name} ({id}) was answered and is lost"
        );
    }
    for row in rows {
        checked.deliveries += 1;
        let verdict = row.triggers.first().unwrap_or_else(|| panic!("undecided: {row:?}"));
        let workload = verdict.workload_id.unwrap_or_else(|| panic!("no work: {row:?}"));
        let jobs = api.workload(workload).await.jobs;
        assert_eq!(jobs.len(), 2, "{row:?}");
        for job in jobs {
            let job = api.job(job.id).await;
            assert_eq!(job.job.state, JobStateKind::Completed, "{job:?}");
            let completed =
                job.attempts.iter().filter(|it| it.outcome == AttemptOutcome::Completed).count();
            assert_eq!(completed, 1, "a job is completed exactly once: {job:?}");
            let tokens: BTreeSet<_> = job.attempts.iter().map(|it| it.lease).collect();
            assert_eq!(tokens.len(), job.attempts.len(), "no lease was given twice: {job:?}");
            load.assert_told(job.job.id, &job.attempts);
            for attempt in &job.attempts {
                load.assert_logged(api, job.job.id, attempt.number).await;
            }
            checked.jobs += 1;
            checked.attempts += job.attempts.len();
            checked.assigned_at_ms.extend(job.attempts.iter().map(|it| it.assigned_at_ms));
        }
    }
    checked
}

async fn all_deliveries(api: &Api) -> Vec<DeliveryView> {
    let (mut rows, mut path) = (Vec::new(), "/deliveries?limit=500".to_owned());
    loop {
        let page: List<DeliveryView> = api.get(&path).await;
        rows.extend(page.items);
        let Some(before) = page.next_before else { return rows };
        path = format!("/deliveries?limit=500&before={before}");
    }
}

async fn ask<T: serde::de::DeserializeOwned>(api: &Api, path: &str) -> Option<T> {
    let answer = api.try_ask(Method::GET, path, None).await?;
    (answer.status == 200).then(|| answer.json())
}
