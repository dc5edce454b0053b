//! Jobs that are decided when everything that they need has ended: by their conditions, over restarts and
//! crashes, and by whoever leads then.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dispatchyard::api::wire::{Assignment, JobContext, WorkloadView};
use dispatchyard::app::AppOptions;
use dispatchyard::dispatch::{Command, Reply};
use dispatchyard::model::{
    AttemptOutcome, Decision, EndReason, Facts, JobId, JobPriority, JobSpec, JobStateKind,
    JobTerms, JobWork, MatrixTerms, PlannedJob, PlannedWorkload, RetryPolicy, RunIf,
    RunnerRequirements, Step, TenantId, Trust, WorkflowJob, WorkloadId, WorkloadKind,
    WorkloadState,
};
use dispatchyard::store::{Planted, Point};
use serde_json::json;

use crate::support::fake_runner::lease;
use crate::support::instances::{admin, is, runner_at};
use crate::support::{Api, FakeRunner, Server, Setup, on_both, until};

/// A job of a workflow file.
fn job(name: &str, needs: &[&str], condition: Option<&str>) -> PlannedJob {
    let known = WorkflowJob {
        key: name.to_owned(),
        condition: condition.map(str::to_owned),
        ..WorkflowJob::default()
    };
    PlannedJob {
        name: name.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        requirements: RunnerRequirements::default(),
        priority: JobPriority::Normal,
        timeout_ms: 600_000,
        retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
        not_before_ms: 0,
        terms: JobTerms {
            run_if: condition.map_or(RunIf::Success, |_| RunIf::Decide),
            ..JobTerms::default()
        },
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(vec![Step { run: "true".to_owned(), ..Step::default() }]),
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
            workflow: Some(Box::new(known)),
        }),
    }
}

/// Submits them; their numbers, in their order.
async fn submit(server: &Server, api: &Api, jobs: Vec<PlannedJob>) -> (WorkloadId, Vec<JobId>) {
    let workload = PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: "ci".to_owned(),
        trigger: String::new(),
        tenant_id: TenantId::DEFAULT,
        session: None,
        terms: Default::default(),
        open: false,
        jobs,
    };
    let submit =
        Command::Submit { workload: Box::new(workload), idempotency_key: None, ended: Vec::new() };
    let reply = server.handle().send(submit).await.unwrap();
    let Reply::Submitted { workload_id, .. } = reply else { panic!("{reply:?}") };
    let detail = api.workload(workload_id).await;
    (workload_id, detail.jobs.iter().map(|job| job.id).collect())
}

/// The job that everything waits for, one that waits for its output, and one for another output of it.
fn jobs() -> Vec<PlannedJob> {
    vec![
        job("build", &[], None),
        job("deploy", &["build"], Some("needs.build.outputs.x == '1'")),
        job("undo", &["build"], Some("${{ needs.build.outputs.x == '2' }}")),
    ]
}

/// Completes with outputs.
async fn complete(runner: &FakeRunner, job: &Assignment, x: &str) {
    let outcome = AttemptOutcome::Completed;
    let request = json!({ "nonce": job.nonce, "outcome": outcome, "outputs": { "x": x } });
    let answer = runner.api.post(&lease(job, "complete"), request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Takes the next job, which has this name, and starts it.
async fn begin(runner: &FakeRunner, name: &str) -> (Assignment, JobContext) {
    let job = runner.take().await;
    assert_eq!(job.name, name);
    let context = runner.start(&job).await;
    (job, context)
}

async fn is_skipped(api: &Api, id: JobId) {
    let skipped = api.job_is(id, JobStateKind::Skipped).await;
    assert_eq!(skipped.job.reason, Some(EndReason::ConditionFalse));
}

/// Counts decisions, and fails on each: the scheduler never hears one.
fn deaf() -> (AppOptions, Arc<AtomicUsize>) {
    let heard = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&heard);
    let probe = move |command: &Command| {
        if matches!(command, Command::Decide { .. }) {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("planted");
        }
    };
    let options = AppOptions { apply_probe: Some(Arc::new(probe)), ..AppOptions::default() };
    (options, heard)
}

/// Waits until both jobs were given up: a decision, and then that it failed.
async fn are_given_up(heard: &AtomicUsize) {
    until("both jobs are left undecided", async || {
        (heard.load(Ordering::SeqCst) >= 4).then_some(())
    })
    .await;
}

async fn a_condition_is_decided_by_what_the_needs_put_out(setup: Setup) {
    let server = Server::start(&setup).await;
    let api = &server.api;
    let runner = FakeRunner::register(api, "one", &["x"]).await;
    let (id, ids) = submit(&server, api, jobs()).await;
    let (build, _) = begin(&runner, "build").await;
    complete(&runner, &build, "1").await;
    is_skipped(api, ids[2]).await;
    let (deploy, context) = begin(&runner, "deploy").await;
    let known = context.workflow.unwrap().contexts;
    let needs = json!({ "build": { "result": "success", "outputs": { "x": "1" } } });
    assert_eq!(known["needs"], needs);
    let github = json!({
        "run_id": id.to_string(), "run_number": id.to_string(), "run_attempt": "1", "job": "deploy",
    });
    assert_eq!(known["github"], github);
    runner.complete(&deploy).await;
    let detail = api.workload_is(id, WorkloadState::Completed).await;
    assert_eq!(detail.graph[1].needs, [ids[0]]);
    assert_eq!(detail.graph[2].ran_ms, None);
    assert_eq!(detail.critical_path, ids[..2]);
}

async fn a_condition_that_fails_fails_its_job_and_says_why(setup: Setup) {
    let server = Server::start(&setup).await;
    let api = &server.api;
    let bad = vec![job("a", &[], Some("fromJSON('{') == 1")), job("b", &[], Some("failure()"))];
    let (_, ids) = submit(&server, api, bad).await;
    let failed = api.job_is(ids[0], JobStateKind::Failed).await;
    assert_eq!(failed.job.reason, Some(EndReason::Unplannable));
    let told = failed.records.iter().find(|record| record.name == "job.decided").unwrap();
    assert!(told.detail.starts_with("if: "), "{told:?}");
    is_skipped(api, ids[1]).await;
}

async fn what_was_not_decided_is_decided_after_a_restart(setup: Setup) {
    let (options, heard) = deaf();
    let server = Server::with(&setup, options).await;
    let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
    let (_, ids) = submit(&server, &server.api, jobs()).await;
    let (build, _) = begin(&runner, "build").await;
    complete(&runner, &build, "1").await;
    are_given_up(&heard).await;
    server.api.job_is(ids[1], JobStateKind::Blocked).await;
    let server = Server::again(server.stop().await).await;
    is_skipped(&server.api, ids[2]).await;
    let runner = FakeRunner { api: server.api.with_token(&runner.token), ..runner };
    begin(&runner, "deploy").await;
}

/// The commit of a decision fails, or its answer is lost: it is made once all the same.
async fn a_commit_that_fails_in_the_middle_of_a_decision_costs_nothing(setup: Setup) {
    for point in [Point::Written, Point::Committed] {
        let (armed, reached) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (arm, reach) = (Arc::clone(&armed), Arc::clone(&reached));
        let probe = move |command: &Command| {
            if matches!(command, Command::Decide { .. }) && !reach.load(Ordering::SeqCst) {
                arm.store(true, Ordering::SeqCst);
            }
        };
        let reach = Arc::clone(&reached);
        let at = move |at: Point| {
            if at != point || !armed.swap(false, Ordering::SeqCst) {
                return Ok(());
            }
            reach.store(true, Ordering::SeqCst);
            Err("planted".to_owned())
        };
        let options = AppOptions {
            apply_probe: Some(Arc::new(probe)),
            planted: Planted { at: Some(Arc::new(at)), ..Planted::default() },
            ..AppOptions::default()
        };
        let server = Server::with(&setup, options).await;
        let runner = FakeRunner::register(&server.api, "one", &["x"]).await;
        let (_, ids) = submit(&server, &server.api, jobs()).await;
        let (build, _) = begin(&runner, "build").await;
        complete(&runner, &build, "1").await;
        is_skipped(&server.api, ids[2]).await;
        server.api.job_is(ids[1], JobStateKind::Pending).await;
        is(&server.api, "running").await;
        let (deploy, _) = begin(&runner, "deploy").await;
        runner.complete(&deploy).await;
        let done = server.api.job_is(ids[1], JobStateKind::Completed).await;
        assert_eq!(done.attempts.len(), 1, "{point:?}");
        assert!(reached.load(Ordering::SeqCst), "{point:?} was not reached");
        server.stop().await;
    }
}

/// A job named `build` becomes two, any other one runs.
fn expand(spec: &JobSpec, facts: &Facts<'_>) -> Decision {
    assert_eq!(spec.workflow.as_ref().unwrap().key, "build");
    let cell = |name: &str| {
        let matrix = MatrixTerms { key: "build".into(), max_parallel: None, fail_fast: false };
        let mut job = PlannedJob { name: name.to_owned(), ..facts.job.clone() };
        job.terms = JobTerms { matrix: Some(matrix), ..JobTerms::default() };
        job
    };
    Decision::Expand { jobs: vec![cell("build (a)"), cell("build (b)")] }
}

async fn a_retry_runs_what_failed_of_a_matrix_and_what_was_skipped_for_it(setup: Setup) {
    let options = AppOptions { decide: Some(Arc::new(expand)), ..AppOptions::default() };
    let server = Server::with(&setup, options).await;
    let api = &server.api;
    let runner = FakeRunner::register(api, "one", &["x"]).await;
    let jobs = vec![
        job("list", &[], None),
        job("build", &["list"], Some("true")),
        job("ship", &["build"], None),
        job("tell", &["ship"], None),
    ];
    let (id, ids) = submit(&server, api, jobs).await;
    let (list, _) = begin(&runner, "list").await;
    complete(&runner, &list, "[\"a\",\"b\"]").await;
    let (first, _) = begin(&runner, "build (a)").await;
    complete(&runner, &first, "a").await;
    let (second, _) = begin(&runner, "build (b)").await;
    runner.fail(&second).await;
    let failed = api.workload_is(id, WorkloadState::Failed).await;
    let states: Vec<_> = failed.jobs.iter().map(|job| job.state).collect();
    use JobStateKind::{Blocked, Completed, Failed, Pending, Skipped};
    assert_eq!(states, [Completed, Completed, Skipped, Skipped, Completed, Failed]);

    let again: WorkloadView = api.done(&format!("/workloads/{id}/retry"), json!({})).await;
    assert_eq!(again.run, 2);
    let detail = api.workload(id).await;
    let states: Vec<_> = detail.jobs.iter().map(|job| job.state).collect();
    assert_eq!(states, [Completed, Completed, Blocked, Blocked, Completed, Pending]);
    let (second, _) = begin(&runner, "build (b)").await;
    complete(&runner, &second, "b").await;
    let (ship, context) = begin(&runner, "ship").await;
    let known = context.workflow.unwrap().contexts;
    assert_eq!(
        known["needs"],
        json!({ "build": { "result": "success", "outputs": { "x": "b" } } })
    );
    assert_eq!(known["github"]["run_attempt"], "2");
    runner.complete(&ship).await;
    let (tell, _) = begin(&runner, "tell").await;
    runner.complete(&tell).await;
    let done = api.workload_is(id, WorkloadState::Completed).await;
    let needs_of_ship = &done.graph[2].needs;
    assert_eq!(needs_of_ship[..], [ids[1], done.jobs[4].id, done.jobs[5].id]);
}

on_both!(
    a_condition_is_decided_by_what_the_needs_put_out,
    a_condition_that_fails_fails_its_job_and_says_why,
    what_was_not_decided_is_decided_after_a_restart,
    a_commit_that_fails_in_the_middle_of_a_decision_costs_nothing,
    a_retry_runs_what_failed_of_a_matrix_and_what_was_skipped_for_it,
);

#[tokio::test]
async fn what_a_leader_did_not_decide_the_next_one_does() {
    let setup = crate::support::instances::setup().await;
    let (options, heard) = deaf();
    let first = Server::with(&setup, options).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&first.api).await;
    let (_, ids) = submit(&first, &admin(&first.api), jobs()).await;
    let (build, _) = begin(&runner, "build").await;
    complete(&runner, &build, "2").await;
    are_given_up(&heard).await;
    first.stop().await;
    is(&second.api, "running").await;
    is_skipped(&admin(&second.api), ids[1]).await;
    let runner = FakeRunner { api: second.api.with_token(&runner.token), ..runner };
    begin(&runner, "undo").await;
}
