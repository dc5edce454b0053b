//! Real runners that die, come back, drain, and outlive their server.

use std::path::Path;
use std::time::Duration;

use dispatchyard::api::wire::RunnerView;
use dispatchyard::model::{AttemptOutcome, JobStateKind, RequeueReason, RunnerState};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::fake_runner::{job, job_with, registration};
use crate::support::wait::{Stopwatch, within};
use crate::support::{FakeRunner, RunnerProcess, RunnerSetup, Server, ServerProcess, Setup, until};

/// A job that says in a file which attempt runs, and runs until it may go (or the folder is gone).
fn waits_in(folder: &Path) -> Value {
    let run = format!(
        "cd {} && touch began-$DISPATCHYARD_ATTEMPT_NUMBER && \
         while test -d . && ! test -e go; do sleep 0.02; test -d {0} || exit 1; done",
        folder.display()
    );
    job_with("waits", json!({ "work": { "steps": [{ "run": run }] } }))
}

async fn began(folder: &Path, attempt: u32) {
    let file = folder.join(format!("began-{attempt}"));
    until(&format!("attempt {attempt} runs"), async || file.exists().then_some(())).await;
}

#[tokio::test]
async fn a_killed_runners_job_is_completed_by_another_one_within_the_lease() {
    let server = Server::start(&Setup::default()).await;
    let mut first = RunnerProcess::start(&server.home, &server.api, "first").await;
    let folder = server.home.path();
    let (_, jobs) = server.api.submit(json!([waits_in(folder)])).await;
    began(folder, 1).await;
    let _second = RunnerProcess::start(&server.home, &server.api, "second").await;
    let watch = Stopwatch::start();
    first.kill().await;
    began(folder, 2).await;
    let waited = watch.elapsed();
    assert!(waited < Duration::from_millis(1_500 + 1_000), "after {waited:?}");
    std::fs::write(folder.join("go"), "").unwrap();
    let job = server.api.job_is(jobs[0], JobStateKind::Completed).await;
    let ends: Vec<_> = job.attempts.iter().map(|it| (it.outcome, it.requeue_reason)).collect();
    let lost = (AttemptOutcome::Requeued, Some(RequeueReason::LeaseLost));
    assert_eq!(ends, [lost, (AttemptOutcome::Completed, None)]);
}

/// The same work folder is the same runner; what its dead predecessor had is lost at once, long
/// before the lease ends, and its processes are killed.
#[tokio::test]
async fn a_runner_that_comes_back_gives_up_what_its_predecessor_had() {
    let server = Server::start(&Setup::default().patient()).await;
    let mut first = RunnerProcess::start(&server.home, &server.api, "one").await;
    let folder = server.home.path();
    let (_, jobs) = server.api.submit(json!([waits_in(folder)])).await;
    began(folder, 1).await;
    first.kill().await;
    let mut second = RunnerSetup::new("one").spawn(&server.home, &server.api);
    began(folder, 2).await;
    std::fs::write(folder.join("go"), "").unwrap();
    let job = server.api.job_is(jobs[0], JobStateKind::Completed).await;
    assert_eq!(job.attempts[0].requeue_reason, Some(RequeueReason::RunnerLost));
    assert_eq!(job.attempts[1].runner_id, first.id, "the same runner");
    second.signal(Signal::KILL);
    second.ended().await;
}

#[tokio::test]
async fn a_second_process_on_the_same_work_folder_is_refused() {
    let server = Server::start(&Setup::default()).await;
    let _first = RunnerProcess::start(&server.home, &server.api, "one").await;
    let mut second = RunnerSetup::new("one").spawn(&server.home, &server.api);
    assert_eq!(second.ended().await.code(), Some(2), "{}", second.told());
    assert!(second.told().contains("runner-one"), "{}", second.told());
}

#[tokio::test]
async fn a_drained_runner_finishes_its_job_and_leaves() {
    let server = Server::start(&Setup::default().patient()).await;
    let mut runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let folder = server.home.path();
    let (_, jobs) = server.api.submit(json!([waits_in(folder), job("next")])).await;
    began(folder, 1).await;
    let patch = json!({ "draining": true, "reason": "maintenance" });
    let path = format!("/runners/{}", runner.id);
    let answer = server.api.ask(Method::PATCH, &path, Some(&patch)).await;
    assert_eq!(answer.json::<RunnerView>().state, RunnerState::Draining);
    std::fs::write(folder.join("go"), "").unwrap();
    server.api.job_is(jobs[0], JobStateKind::Completed).await;
    assert!(runner.ended().await.success());
    assert_eq!(server.api.job(jobs[1]).await.job.state, JobStateKind::Pending);
}

#[tokio::test]
async fn a_cordoned_runner_gets_nothing_until_it_is_lifted() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let path = format!("/runners/{}", runner.id);
    let patch = json!({ "cordoned": true, "reason": "odd disk" });
    let view: RunnerView = server.api.ask(Method::PATCH, &path, Some(&patch)).await.json();
    assert_eq!(
        (view.state, view.cordon_reason.as_deref()),
        (RunnerState::Cordoned, Some("admin: odd disk"))
    );
    server.api.submit(json!([job("a")])).await;
    assert!(runner.look().await.is_empty());
    let parked = tokio::spawn({
        let runner = runner.clone();
        async move { runner.take().await }
    });
    server.api.polls_parked(1).await;
    let lift = json!({ "cordoned": false });
    assert_eq!(server.api.ask(Method::PATCH, &path, Some(&lift)).await.status, 200);
    within("the parked poll", parked).await.unwrap();
}

#[tokio::test]
async fn changed_capabilities_and_foreign_jobs_come_with_a_poll() {
    let server = Server::start(&Setup::default().patient()).await;
    let runner = FakeRunner::register(&server.api, "one", &["y"]).await;
    server.api.submit(json!([job("a")])).await;
    assert!(runner.look().await.is_empty(), "it has not the label");
    let capabilities = registration("one", &["x"], 1)["capabilities"].clone();
    let full = json!({ "wait_ms": 0, "capabilities": capabilities, "current_jobs": 1 });
    assert!(runner.ask(full).await.jobs.is_empty(), "its slot is taken by somebody else's job");
    assert_eq!(runner.ask(json!({ "wait_ms": 0, "current_jobs": 0 })).await.jobs.len(), 1);
}

#[tokio::test]
async fn sigterm_lets_a_runner_finish_what_it_has() {
    let server = Server::start(&Setup::default().patient()).await;
    let mut runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let folder = server.home.path();
    let (_, jobs) = server.api.submit(json!([waits_in(folder), job("next")])).await;
    began(folder, 1).await;
    runner.signal(Signal::TERM);
    std::fs::write(folder.join("go"), "").unwrap();
    assert!(runner.ended().await.success());
    server.api.job_is(jobs[0], JobStateKind::Completed).await;
    assert_eq!(server.api.job(jobs[1]).await.job.state, JobStateKind::Pending);
}

#[tokio::test]
async fn a_second_sigterm_makes_a_runner_give_its_job_back() {
    let server = Server::start(&Setup::default().patient()).await;
    let mut runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let (_, jobs) = server.api.submit(json!([waits_in(server.home.path())])).await;
    began(server.home.path(), 1).await;
    runner.signal(Signal::TERM);
    until("the runner drains", async || runner.told().contains("draining").then_some(())).await;
    runner.signal(Signal::TERM);
    runner.ended().await;
    let job = server.api.job_is(jobs[0], JobStateKind::Pending).await;
    assert_eq!(job.attempts[0].requeue_reason, Some(RequeueReason::Drained));
}

/// The server is killed and comes back on the same address with the same data: the runner keeps
/// its lease and the job is done once.
#[tokio::test]
async fn a_runner_keeps_its_lease_over_a_restart_of_the_server() {
    let home = Setup::default().patient().own_port().build();
    let mut server = ServerProcess::start(&home).await;
    let runner = RunnerProcess::start(&home, &server.api, "one").await;
    let (_, jobs) = server.api.submit(json!([waits_in(home.path()), job("next")])).await;
    began(home.path(), 1).await;
    server.kill().await;
    let server = ServerProcess::start(&home).await;
    assert_eq!(server.api.job(jobs[0]).await.job.state, JobStateKind::Running);
    std::fs::write(home.path().join("go"), "").unwrap();
    let job = server.api.job_is(jobs[0], JobStateKind::Completed).await;
    assert_eq!(job.attempts.len(), 1, "{job:?}");
    assert_eq!(job.attempts[0].runner_id, runner.id);
    server.api.job_is(jobs[1], JobStateKind::Completed).await;
}
