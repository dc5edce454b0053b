//! What operators and programs can ask for.

use dispatchyard::api::wire::{DeliveryAccepted, SubmitResponse, WorkloadView};
use dispatchyard::model::{AttemptOutcome, JobStateKind, RequeueReason, WorkloadState};
use reqwest::Method;
use rustix::process::{Pid, test_kill_process_group};
use serde_json::json;

use crate::support::fake_runner::{job, job_with};
use crate::support::hook::answer;
use crate::support::{FakeRunner, RunnerProcess, Server, Setup, until};

#[tokio::test]
async fn a_waiting_job_is_cancelled_at_once_and_what_needs_it_is_skipped() {
    let server = Server::start(&Setup::default()).await;
    let jobs = json!([job("a"), job_with("b", json!({ "needs": ["a"] }))]);
    let (workload, jobs) = server.api.submit(jobs).await;
    let cancelled = server.api.post(&format!("/jobs/{}/cancel", jobs[0]), json!({})).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let ended = server.api.workload_is(workload, WorkloadState::Cancelled).await;
    let states: Vec<_> = ended.jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [JobStateKind::Cancelled, JobStateKind::Skipped]);
    let again = server.api.post(&format!("/jobs/{}/cancel", jobs[0]), json!({})).await;
    assert_eq!(again.problem(), (409, "conflict".into()));
}

/// The whole process group of a cancelled job is gone, the part that ignores SIGTERM too.
#[tokio::test]
async fn a_running_job_is_cancelled_with_all_its_processes() {
    let setup = Setup::default().patient().scheduler("cancel_grace_ms", 20_000);
    let server = Server::start(&setup).await;
    let _runner = RunnerProcess::start(&server.home, &server.api, "one").await;
    let pid_file = server.home.file("group");
    let run = format!("sleep 60 &\necho $$ > {0}.new; mv {0}.new {0}\nwait", pid_file.display());
    let steps = json!({ "work": { "steps": [{ "run": run }] } });
    let (workload, jobs) = server.api.submit(json!([job_with("a", steps)])).await;
    let shell = until("the step runs", async || std::fs::read_to_string(&pid_file).ok()).await;
    let shell: i32 = shell.trim().parse().unwrap();
    let group = group_of(shell);
    test_kill_process_group(group).unwrap();

    let reason = json!({ "reason": "no longer needed" });
    server.api.done::<WorkloadView>(&format!("/workloads/{workload}/cancel"), reason).await;
    let ended = server.api.job_is(jobs[0], JobStateKind::Cancelled).await;
    assert_eq!(ended.attempts[0].outcome, AttemptOutcome::Cancelled);
    assert!(ended.records.iter().any(|record| record.detail == "no longer needed"), "{ended:?}");
    until("the group is gone", async || test_kill_process_group(group).is_err().then_some(()))
        .await;
}

/// Field 5 of `proc_pid_stat(5)`.
fn group_of(pid: i32) -> Pid {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    Pid::from_raw(fields[2].parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_runner_that_does_not_stop_cancelled_work_loses_its_lease() {
    let server = Server::start(&Setup::default().patient()).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let job = runner.begin().await;
    server.api.post(&format!("/jobs/{}/cancel", jobs[0]), json!({})).await;
    assert_eq!(runner.heartbeat(&[&job]).await.cancel, [job.lease], "it is told");
    assert_eq!(runner.ask(json!({ "leases": [job.lease] })).await.cancel, [job.lease]);
    server.api.job_is(jobs[0], JobStateKind::Cancelled).await;
    let late = runner.end(&job, AttemptOutcome::Completed).await;
    assert_eq!(late.problem(), (409, "lease-lost".into()));
}

#[tokio::test]
async fn a_job_that_is_requeued_away_from_its_runner_goes_to_another_one() {
    let server = Server::start(&Setup::default().patient()).await;
    let (_, jobs) = server.api.submit(json!([job("a")])).await;
    let first = FakeRunner::register(&server.api, "first", &["x"]).await;
    let second = FakeRunner::register(&server.api, "second", &["x"]).await;
    let taken = first.begin().await;
    let request = json!({ "reason": "that machine is odd", "avoid_runner": true });
    let requeued = server.api.post(&format!("/jobs/{}/requeue", jobs[0]), request).await;
    assert_eq!(requeued.status, 200, "{requeued:?}");
    assert_eq!(first.heartbeat(&[&taken]).await.lost, [taken.lease], "it is told to stop");
    let late = first.end(&taken, AttemptOutcome::Completed).await;
    assert_eq!(late.problem(), (409, "lease-lost".into()), "and is fenced");
    assert!(first.look().await.is_empty(), "another runner is online and fits");
    let job = second.begin().await;
    assert_eq!((job.attempt, job.retry_count), (2, 0));
    second.complete(&job).await;
    let detail = server.api.job(jobs[0]).await;
    let attempts = detail.attempts.iter().map(|it| (it.number, it.requeue_reason));
    let attempts: Vec<_> = attempts.collect();
    assert_eq!(attempts, [(1, Some(RequeueReason::Manual)), (2, None)]);
    assert_eq!((detail.job.state, detail.job.retry_count), (JobStateKind::Completed, 0));
    assert!(detail.records.iter().any(|it| it.author.as_deref() == Some("admin")), "{detail:?}");
}

#[tokio::test]
async fn a_failed_workload_runs_again_as_run_2_without_what_went_well() {
    let server = Server::start(&Setup::default().patient()).await;
    let jobs = json!([
        job("good"),
        job_with("bad", json!({ "needs": ["good"] })),
        job_with("last", json!({ "needs": ["bad"] })),
    ]);
    let (workload, jobs) = server.api.submit(jobs).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let good = runner.begin().await;
    runner.complete(&good).await;
    let bad = runner.begin().await;
    runner.fail(&bad).await;
    server.api.workload_is(workload, WorkloadState::Failed).await;
    assert_eq!(server.api.job(jobs[2]).await.job.state, JobStateKind::Skipped);

    let path = format!("/workloads/{workload}/retry");
    assert_eq!(server.api.done::<WorkloadView>(&path, json!({})).await.run, 2);
    let live = server.api.post(&path, json!({})).await;
    assert_eq!(live.problem(), (409, "conflict".into()), "it is live now");
    let mut runs = Vec::new();
    for _ in 0..2 {
        let job = runner.begin().await;
        runs.push((job.name.clone(), job.run));
        runner.complete(&job).await;
    }
    assert_eq!(runs, [("bad".to_owned(), 2), ("last".to_owned(), 2)]);
    let ended = server.api.workload_is(workload, WorkloadState::Completed).await;
    assert_eq!(ended.workload.run, 2);
    let completed = server.api.post(&path, json!({})).await;
    assert_eq!(completed.problem(), (409, "conflict".into()), "nothing is left to retry");
}

/// GitHub repeats a delivery with the same id, which is a duplicate to us; a replay is not.
#[tokio::test]
async fn a_replay_is_a_new_delivery_that_says_what_it_repeats() {
    let server = Server::start(&Setup::default()).await;
    let first = server.hook().push("d-1").await;
    let path = format!("/deliveries/{}/replay", first.delivery_id);
    let replay: DeliveryAccepted = server.api.done(&path, json!({})).await;
    assert!(!replay.duplicate && replay.delivery_id != first.delivery_id);
    assert_ne!(replay.workloads, first.workloads);
    let delivery = server.api.delivery(replay.delivery_id).await;
    assert_eq!(delivery.replay_of, Some(first.delivery_id));
    assert_eq!(delivery.external_id.as_deref(), Some("d-1"));
    let unknown = "/deliveries/00000000-0000-7000-8000-000000000000/replay";
    assert_eq!(server.api.post(unknown, json!({})).await.problem(), (404, "not-found".into()));
}

const OWN_RULES: &str = r#"
[[trigger]]
name = "on-deploy"
workflow = "ci"
[trigger.on.deploy_wanted]
types = ["production"]
"#;

#[tokio::test]
async fn an_event_of_ones_own_goes_through_the_triggers() {
    let server = Server::start(&Setup::default().rules(OWN_RULES)).await;
    let event =
        json!({ "kind": "deploy_wanted", "action": "production", "ref": "refs/heads/main" });
    let accepted: DeliveryAccepted = server.api.done("/events", &event).await;
    assert_eq!((accepted.state.as_str(), accepted.workloads.len()), ("dispatched", 1));
    let delivery = server.api.delivery(accepted.delivery_id).await;
    assert_eq!((delivery.source.as_str(), delivery.event.as_str()), ("api", "deploy_wanted"));
    let other = json!({ "kind": "deploy_wanted", "action": "staging" });
    let ignored: DeliveryAccepted = server.api.done("/events", other).await;
    assert_eq!(ignored.state, "ignored");

    let keyed = || {
        let request = server.api.request(Method::POST, "/api/v1/events");
        answer(request.header("idempotency-key", "k").json(&event))
    };
    let (first, second) = (keyed().await, keyed().await);
    assert_eq!([first.status, second.status], [202, 200]);
    let ids = [&first, &second].map(|it| it.json::<DeliveryAccepted>().delivery_id);
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_submission_with_a_used_key_is_the_first_one() {
    let server = Server::start(&Setup::default()).await;
    let submit = |name: &str| {
        let request = server.api.request(Method::POST, "/api/v1/workloads");
        let body = json!({ "name": name, "jobs": [job("a")] });
        answer(request.header("idempotency-key", "same").json(&body))
    };
    let first: SubmitResponse = submit("first").await.json();
    let second: SubmitResponse = submit("second").await.json();
    assert_eq!((first.duplicate, second.duplicate), (false, true));
    assert_eq!(first.workload_id, second.workload_id);
    assert_eq!(server.api.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_submission_that_cannot_work_makes_nothing() {
    let server = Server::start(&Setup::default()).await;
    let cycle =
        json!(
            [job_with("a", json!({ "needs": ["b"] })), job_with("b", json!({ "needs": ["a"] })),]
        );
    let unknown = json!([job_with("a", json!({ "needs": ["z"] }))]);
    for (jobs, word) in [(cycle, "a"), (unknown, "z"), (json!([job("a"), job("a")]), "a")] {
        let answer = server.api.post("/workloads", json!({ "name": "w", "jobs": jobs })).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        let detail = answer.json::<dispatchyard::api::wire::Problem>().detail;
        assert!(detail.contains(word), "{detail}");
    }
    let typo = json!({ "name": "w", "jobs": [], "jbos": [] });
    assert_eq!(server.api.post("/workloads", typo).await.status, 400);
    assert!(server.api.jobs().await.is_empty());
}

#[tokio::test]
async fn a_workflow_is_started_by_hand() {
    let server = Server::start(&Setup::default()).await;
    let request = json!({ "ref": "release", "priority": "high", "inputs": { "level": 3 } });
    let accepted: DeliveryAccepted = server.api.done("/workflows/ci/run", request).await;
    let workload = server.api.workload(accepted.workloads[0]).await;
    assert_eq!(workload.jobs.len(), 2);
    assert_eq!(workload.jobs[0].priority, dispatchyard::model::JobPriority::High);
    let delivery = server.api.delivery(accepted.delivery_id).await;
    assert_eq!((delivery.source.as_str(), delivery.event.as_str()), ("cli", "workflow_dispatch"));
    let runner = FakeRunner::register(&server.api, "one", &["self-hosted"]).await;
    let job = runner.take().await;
    let context = runner.start(&job).await;
    assert_eq!(context.event.unwrap()["ref"], "refs/heads/release");
    let unknown = server.api.post("/workflows/cj/run", json!({})).await;
    assert_eq!(unknown.problem(), (404, "not-found".into()));
    assert!(unknown.text.contains("known are ci"), "it says what there is: {}", unknown.text);
}
