//! Executors that jobs are pushed to: one external run for each attempt, whatever happens to the executor or to the
//! server; and where a job goes when its executor is away.

use std::sync::Arc;
use std::time::Duration;

use dispatchyard::api::wire::{ExecutorView, JobDetail, List};
use dispatchyard::app::{AppOptions, OwnExecutor};
use dispatchyard::dispatch::Command;
use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
use dispatchyard::executor::{DispatchError, ExecutionResult, FunctionExecutor, in_process};
use dispatchyard::model::{AttemptOutcome, EndReason, JobStateKind, RequeueReason};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::backend::Backend;
use crate::support::fake_runner::{job, job_with};
use crate::support::{Api, Server, Setup, on_both, until};

async fn executor(api: &Api, name: &str) -> ExecutorView {
    let list: List<ExecutorView> = api.get("/executors").await;
    list.items.into_iter().find(|it| it.name == name).unwrap()
}

/// How each attempt ended.
fn ends(job: &JobDetail) -> Vec<(AttemptOutcome, Option<RequeueReason>)> {
    job.attempts.iter().map(|it| (it.outcome, it.requeue_reason)).collect()
}

async fn a_job_is_handed_over_once_and_leaves_its_outputs_and_its_log(setup: Setup) {
    let backend = Backend::default();
    let server = Server::with(&setup, Backend::options(&[("cloud", &backend)], vec![])).await;
    let (_, ids) = server.api.submit(json!([job("a")])).await;
    let key = backend.has(1).await.remove(0);
    assert_eq!(key, format!("job-{}-attempt-1", ids[0]));
    let running = server.api.job_is(ids[0], JobStateKind::Running).await;
    assert!(running.attempts.is_empty());
    assert_eq!(executor(&server.api, "cloud").await.attempts, 1);
    backend.ends(&key, ExecutionResult::success([("url", "https://x.example/1")]));
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.outputs["url"], "https://x.example/1");
    assert_eq!(server.api.log(ids[0]).await, "a is handed over\n");
    assert_eq!(backend.with(|state| state.starts[&key]), 1);
}

async fn a_job_falls_back_at_once_and_the_first_is_used_again_when_it_is_back(setup: Setup) {
    let [first, second] = [Backend::default(), Backend::default()];
    let options = Backend::options(&[("first", &first), ("second", &second)], vec![]);
    let server = Server::with(&setup, options).await;
    let api = &server.api;
    // Both are known to be there.
    until("both are there", async || {
        let list: List<ExecutorView> = api.get("/executors").await;
        (list.items.len() == 2).then_some(())
    })
    .await;
    api.polls_parked(2).await;
    first.refuses(Some(DispatchError::unavailable("connection refused")));
    let (_, ids) = api.submit(json!([job("a")])).await;
    let key = second.has(1).await.remove(0);
    assert_eq!(key, format!("job-{}-attempt-2", ids[0]));
    second.ends(&key, ExecutionResult::success([("by", "second")]));
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    let reason = Some(RequeueReason::ExecutorUnavailable);
    let wanted = [(AttemptOutcome::Requeued, reason), (AttemptOutcome::Completed, None)];
    assert_eq!(ends(&done), wanted, "{done:?}");
    let why = "executor first: connection refused";
    assert_eq!(done.attempts[0].error.as_deref(), Some(why), "the fallback is in the attempt");
    let away = executor(api, "first").await;
    assert_eq!((&*away.breaker, away.why.as_deref()), ("open", Some(why)));

    first.refuses(None);
    let back: ExecutorView = api.done("/executors/first/reset", json!({})).await;
    assert_eq!((&*back.breaker, back.why), ("closed", None));
    let (_, ids) = api.submit(json!([job("b")])).await;
    let key = first.has(1).await.remove(0);
    first.ends(&key, ExecutionResult::success([("by", "first")]));
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), &*done.outputs["by"]), (1, "first"));
    assert_eq!(api.post("/executors/nobody/reset", json!({})).await.status, 404);
}

async fn work_for_an_executor_that_is_away_waits_and_begins_when_it_is_back(setup: Setup) {
    let only = Backend::default();
    let server = Server::with(&setup, Backend::options(&[("only", &only)], vec![])).await;
    let api = &server.api;
    only.refuses(Some(DispatchError::unavailable("no route to host")));
    let (_, ids) = api.submit(json!([job("a")])).await;
    let sentence = "executor only is unavailable: executor only: no route to host";
    until("it says why it waits", async || {
        let explained: serde_json::Value = api.get(&format!("/jobs/{}/explain", ids[0])).await;
        explained.to_string().contains(sentence).then_some(())
    })
    .await;
    only.refuses(None);
    // Without a word from anybody.
    let key = only.has(1).await.remove(0);
    only.ends(&key, ExecutionResult::success([("a", "b")]));
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert!(done.attempts.len() >= 2, "{done:?}");
    until("it is there again", async || {
        (executor(api, "only").await.breaker == "closed").then_some(())
    })
    .await;
}

async fn a_long_attempt_keeps_no_executor_from_being_tried_and_a_load_forgets_no_absence(
    setup: Setup,
) {
    let [first, second] = [Backend::default(), Backend::default()];
    let mut options = Backend::options(&[("first", &first), ("second", &second)], vec![]);
    // A fault of our own leads to a load.
    options.apply_probe = Some(Arc::new(|command: &Command| {
        let boom = matches!(command, Command::Submit { workload, .. } if workload.name == "boom");
        assert!(!boom, "as it was told to");
    }));
    let server = Server::with(&setup, options).await;
    let api = &server.api;
    let (_, long) = api.submit(json!([job("long")])).await;
    let long_key = first.has(1).await.remove(0);
    let retry_after = Some(Duration::from_secs(20));
    let why = "connection refused".to_owned();
    first.refuses(Some(DispatchError::Unavailable { why, retry_after }));
    let (_, ids) = api.submit(json!([job("a")])).await;
    let key = second.has(1).await.remove(0);
    let epoch = server.handle().views().epoch();
    let boom = json!({ "name": "boom", "jobs": [job("b")] });
    assert_eq!(api.post("/workloads", boom).await.status, 422);
    until("it was loaded", async || (server.handle().views().epoch() > epoch).then_some(())).await;
    first.refuses(None);
    let (_, more) = api.submit(json!([job("b")])).await;
    let keys = second.has(2).await;
    assert_eq!(first.with(|state| state.starts.len()), 1, "it is still away");
    let back: ExecutorView = api.done("/executors/first/reset", json!({})).await;
    assert_eq!(back.attempts, 1);
    let (_, last) = api.submit(json!([job("c")])).await;
    let last_key = first.has(2).await.into_iter().find(|it| *it != long_key).unwrap();
    for (backend, key) in [(&second, &key), (&second, &keys[0]), (&second, &keys[1])] {
        backend.ends(key, ExecutionResult::success([("a", "b")]));
    }
    first.ends(&long_key, ExecutionResult::success([("a", "b")]));
    first.ends(&last_key, ExecutionResult::success([("a", "b")]));
    for id in [long[0], ids[0], more[0], last[0]] {
        api.job_is(id, JobStateKind::Completed).await;
    }
    // By itself: one that is busy with something long is tried all the same.
    api.submit(json!([job("long")])).await;
    first.has(3).await;
    first.refuses(Some(DispatchError::unavailable("connection refused")));
    api.submit(json!([job("d")])).await;
    second.has(3).await;
    first.refuses(None);
    // More than the second has room for.
    api.submit(json!((0..6).map(|at| job(&format!("e{at}"))).collect::<Vec<_>>())).await;
    until("it is there again, and has more of them", async || {
        let closed = executor(api, "first").await.breaker == "closed";
        (closed && first.with(|state| state.starts.len()) > 4).then_some(())
    })
    .await;
}

async fn without_room_a_job_stays_and_does_not_fall_back(setup: Setup) {
    let [first, second] = [Backend::default(), Backend::default()];
    let options = Backend::options(&[("first", &first), ("second", &second)], vec![]);
    let server = Server::with(&setup, options).await;
    let retry_after = Some(Duration::from_millis(50));
    first.refuses(Some(DispatchError::NoCapacity { retry_after }));
    let (_, ids) = server.api.submit(json!([job("a")])).await;
    until("it was asked more than once", async || {
        (server.api.job(ids[0]).await.attempts.len() > 1).then_some(())
    })
    .await;
    assert_eq!(executor(&server.api, "first").await.breaker, "closed");
    first.refuses(None);
    let key = first.has(1).await.remove(0);
    first.ends(&key, ExecutionResult::success([("a", "b")]));
    server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert!(second.with(|state| state.starts.is_empty()));
}

async fn what_goes_on_outside_is_found_again_by_the_next_server(setup: Setup) {
    let backend = Backend::default();
    let options = || Backend::options(&[("cloud", &backend)], vec![]);
    let server = Server::with(&setup, options()).await;
    let (_, ids) = server.api.submit(json!([job("goes-on"), job("ends"), job("is-gone")])).await;
    let keys = backend.has(3).await;
    for id in &ids {
        server.api.job_is(*id, JobStateKind::Running).await;
    }
    let home = server.stop().await;
    backend.ends(&keys[1], ExecutionResult::success([("when", "nobody looked")]));
    backend.with(|state| state.starts.remove(&keys[2]));
    backend.is_blind(true);
    let server = Server::again_with(home, options()).await;
    // Nobody can say what became of them: nothing is queued again.
    server.api.polls_parked(1).await;
    for id in &ids {
        assert_eq!(server.api.job(*id).await.job.state, JobStateKind::Running);
    }
    backend.is_blind(false);
    let ended = server.api.job_is(ids[1], JobStateKind::Completed).await;
    assert_eq!((ended.attempts.len(), &*ended.outputs["when"]), (1, "nobody looked"));
    let again = format!("job-{}-attempt-2", ids[2]);
    until("what is gone is tried again", async || {
        backend.with(|state| state.starts.contains_key(&again)).then_some(())
    })
    .await;
    for key in [&keys[0], &again] {
        backend.ends(key, ExecutionResult::success([("a", "b")]));
    }
    let adopted = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(adopted.attempts.len(), 1, "{adopted:?}");
    let gone = server.api.job_is(ids[2], JobStateKind::Completed).await;
    let reason = Some(RequeueReason::RunnerLost);
    let wanted = [(AttemptOutcome::Requeued, reason), (AttemptOutcome::Completed, None)];
    assert_eq!(ends(&gone), wanted);
    assert!(backend.with(|state| state.starts.values().all(|times| *times == 1)));
}

async fn work_is_stopped_by_a_cancel_by_its_time_and_by_a_fault(setup: Setup) {
    let backend = Backend::default();
    let options = Backend::options(&[("cloud", &backend)], vec![]);
    let server = Server::with(&setup.patient(), options).await;
    let api = &server.api;
    let jobs =
        json!([job("cancelled"), job_with("late", json!({ "timeout_ms": 100 })), job("panics"),]);
    let (_, ids) = api.submit(jobs).await;
    backend.has(3).await;
    api.job_is(ids[0], JobStateKind::Running).await;
    api.post(&format!("/jobs/{}/cancel", ids[0]), json!({ "reason": "enough" })).await;
    let cancelled = api.job_is(ids[0], JobStateKind::Cancelled).await;
    assert_eq!(cancelled.job.reason, Some(EndReason::CancelRequested));
    let late = api.job_is(ids[1], JobStateKind::Failed).await;
    assert_eq!(late.job.reason, Some(EndReason::TimedOut));
    assert!(late.attempts[0].error.as_deref().unwrap().starts_with("it took longer than 100 ms"));
    let fault = api.job_is(ids[2], JobStateKind::Failed).await;
    assert!(fault.attempts[0].error.as_deref().unwrap().contains("panicked"), "{fault:?}");
    let stopped = backend.with(|state| state.stopped.len());
    assert_eq!(stopped, 2);
}

/// A function that lives in the server: what it did when that stopped is done again.
async fn work_in_the_process_ends_with_it_and_is_done_again(setup: Setup) {
    let (began, may_end) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let options = || {
        let (began, may_end) = (Arc::clone(&began), Arc::clone(&may_end));
        let function = move |event: dispatchyard::executor::TaskReadyEvent,
                             ctx: dispatchyard::executor::TaskContext| {
            let (began, may_end) = (Arc::clone(&began), Arc::clone(&may_end));
            async move {
                began.add_permits(1);
                tokio::select! {
                    permit = may_end.acquire() => permit.unwrap().forget(),
                    () = ctx.cancelled() => return Ok(ExecutionResult::cancelled()),
                }
                let context = ctx.load().await.map_err(|error| error.to_string())?;
                let attempt = (event.attempt, context.attempt).0.to_string();
                Ok(ExecutionResult::success([("attempt", attempt)]))
            }
        };
        let executor = in_process(Arc::new(FunctionExecutor::new("here", 2, function)));
        let own = OwnExecutor { executor, max_concurrent: 2, pool: None };
        let routes = RoutingConfig::default().with_rule(RoutingRule::new("**", "here"));
        AppOptions {
            executors: [("here".into(), own)].into(),
            routing: Some(routes),
            ..AppOptions::default()
        }
    };
    let setup = setup.server("graceful_shutdown_timeout_ms", 50);
    let server = Server::with(&setup, options()).await;
    let (_, ids) = server.api.submit(json!([job("a")])).await;
    began.acquire().await.unwrap().forget();
    let server = Server::again_with(server.stop().await, options()).await;
    began.acquire().await.unwrap().forget();
    may_end.add_permits(1);
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    let reason = Some(RequeueReason::Drained);
    let wanted = [(AttemptOutcome::Requeued, reason), (AttemptOutcome::Completed, None)];
    assert_eq!((ends(&done), &*done.outputs["attempt"]), (wanted.to_vec(), "2"));
    let view = executor(&server.api, "here").await;
    assert_eq!((view.total_executed, view.total_failed), (1, 0));
}

/// Leases are kept, and attempts told to stop, by whoever asks it whether it is there.
async fn an_executor_that_does_not_say_whether_it_is_there_delays_nothing(setup: Setup) {
    let only = Backend::default();
    let setup = setup.patient().scheduler("heartbeat_interval_ms", 200);
    let server = Server::with(&setup, Backend::options(&[("only", &only)], vec![])).await;
    let api = &server.api;
    let (_, ids) = api.submit(json!([job("a"), job("b")])).await;
    let keys = only.has(2).await;
    for id in &ids {
        api.job_is(*id, JobStateKind::Running).await;
    }
    only.with(|state| state.is_mute = true);
    only.refuses(Some(DispatchError::unavailable("connection refused")));
    api.submit(json!([job("c")])).await;
    until("it is asked", async || only.with(|state| (state.probes.0 == 1).then_some(()))).await;
    api.post(&format!("/jobs/{}/cancel", ids[0]), json!({ "reason": "enough" })).await;
    api.job_is(ids[0], JobStateKind::Cancelled).await;
    assert_eq!(only.with(|state| state.stopped.clone()), [&*keys[0]]);
    assert_eq!(only.with(|state| state.stopped_beside), 1, "it was still being asked");
    only.ends(&keys[1], ExecutionResult::success([("a", "b")]));
    api.job_is(ids[1], JobStateKind::Completed).await;
}

/// Whoever leads no more leaves to the next one what is left over in a backend.
async fn tidying_up_ends_with_the_lead(setup: Setup) {
    let only = Backend::default();
    only.with(|state| state.tidies_for_ever = true);
    let mut options = Backend::options(&[("only", &only)], vec![]);
    // A fault of our own ends the epoch.
    options.apply_probe = Some(Arc::new(|command: &Command| {
        let boom = matches!(command, Command::Submit { workload, .. } if workload.name == "boom");
        assert!(!boom, "as it was told to");
    }));
    let server = Server::with(&setup, options).await;
    let tidied = async |wanted: (usize, usize)| {
        until(&format!("it tidied up {wanted:?} times"), async || {
            only.with(|state| (state.tidied == wanted).then_some(()))
        })
        .await;
    };
    tidied((1, 0)).await;
    let boom = json!({ "name": "boom", "jobs": [job("b")] });
    assert_eq!(server.api.post("/workloads", boom).await.status, 422);
    tidied((2, 1)).await;
    server.stop().await;
    tidied((2, 2)).await;
}

on_both![
    an_executor_that_does_not_say_whether_it_is_there_delays_nothing,
    tidying_up_ends_with_the_lead,
    a_job_is_handed_over_once_and_leaves_its_outputs_and_its_log,
    a_job_falls_back_at_once_and_the_first_is_used_again_when_it_is_back,
    work_for_an_executor_that_is_away_waits_and_begins_when_it_is_back,
    a_long_attempt_keeps_no_executor_from_being_tried_and_a_load_forgets_no_absence,
    without_room_a_job_stays_and_does_not_fall_back,
    what_goes_on_outside_is_found_again_by_the_next_server,
    work_is_stopped_by_a_cancel_by_its_time_and_by_a_fault,
    work_in_the_process_ends_with_it_and_is_done_again,
];
