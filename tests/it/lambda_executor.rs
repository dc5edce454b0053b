//! Jobs as invocations of a Lambda function, against a stand-in that verifies what is signed: what it returns,
//! how it fails, and that none is begun beside one that may still run.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatchyard::api::wire::{ExecutorView, List};
use dispatchyard::app::{AppOptions, OwnExecutor};
use dispatchyard::clock::SystemClock;
use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
use dispatchyard::executor::{Invocation, LambdaCredentials, LambdaExecutor, LambdaOptions};
use dispatchyard::model::{JobStateKind, RequeueReason};
use serde_json::json;

use crate::support::backend::{call_back, tries};
use crate::support::fake_runner::{job, job_with};
use crate::support::home::HOOK_SECRET;
use crate::support::lambda::{KEY_ID, Lambda};
use crate::support::wait::Stopwatch;
use crate::support::{Server, ServerProcess, Setup, on_both, until};

/// An executor `cloud` that has all jobs, with more keys of its own.
fn setup(setup: Setup, address: SocketAddr, more: &str) -> Setup {
    setup.more(&format!(
        "[[executor]]\nname = \"cloud\"\n[executor.lambda]\n\
         function = \"arn:aws:lambda:eu-west-1:123456789012:function:build\"\nqualifier = \"$LATEST\"\n\
         endpoint = \"http://{address}\"\nprivate_addresses = true\nbackoff_ms = 1\n\
         credentials = {{ keys = {{ id = \"{KEY_ID}\", secret = {{ file = \"hook-secret\" }} }} }}\n\
         {more}\n[[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"cloud\"]\n"
    ))
}

/// The same executor, of a function that may run for a moment only.
fn short_lived(address: SocketAddr, function_timeout: Duration) -> AppOptions {
    let options = LambdaOptions {
        function: "build".to_owned(),
        qualifier: None,
        region: Some("eu-west-1".to_owned()),
        endpoint: Some(format!("http://{address}").parse().unwrap()),
        invocation: Invocation::Sync,
        credentials: LambdaCredentials::keys(KEY_ID, HOOK_SECRET),
        inline_context: false,
        connect_timeout: Duration::from_secs(2),
        function_timeout,
        margin: Duration::from_millis(100),
        private_addresses: true,
        tries_max: 3,
        backoff: Duration::from_millis(1),
        retry_after_max: Duration::from_secs(1),
        heartbeat: None,
        max_concurrent: 1,
        callback_base: String::new(),
        variables: [].into(),
    };
    let executor = LambdaExecutor::new("cloud", options, Arc::new(SystemClock::new())).unwrap();
    let own = OwnExecutor { executor: Arc::new(executor), max_concurrent: 1, pool: None };
    AppOptions {
        executors: [("cloud".into(), own)].into(),
        routing: Some(RoutingConfig::default().with_rule(RoutingRule::new("**", "cloud"))),
        ..AppOptions::default()
    }
}

async fn what_a_function_returns_is_the_end(with: Setup) {
    let lambda = Lambda::default();
    let server = Server::start(&setup(with, lambda.start().await, "inline_context = true")).await;
    let tail = STANDARD.encode("START\nhello\nEND\n");
    lambda.returns(&[("x-amz-log-result", &tail)], &json!({ "url": "x", "count": 3 }));
    let (_, ids) = server.api.submit(json!([job("a")])).await;
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((&*done.outputs["url"], &*done.outputs["count"]), ("x", "3"));
    assert_eq!(server.api.log(ids[0]).await, "START\nhello\nEND\n");
    let (headers, event) = lambda.invoked(1).await.remove(0);
    assert_eq!(headers["x-amz-invocation-type"], "RequestResponse");
    assert_eq!(event["attempt_key"], format!("job-{}-attempt-1", ids[0]));
    assert_eq!(event["context"]["job_id"], json!(done.job.id));
    let tried = tries(&done);
    let wanted = format!("?Qualifier=*** (job-{}-attempt-1, the-id-of-aws): 200, ", ids[0]);
    assert!(tried.len() == 1 && tried[0].contains(&wanted), "{tried:?}");

    let failed = json!({ "errorMessage": "no such file", "errorType": "OSError" });
    lambda.returns(&[("x-amz-function-error", "Unhandled")], &failed);
    lambda.returns(&[], &json!(null));
    let (_, ids) = server.api.submit(json!([job_with("b", json!({ "max_retries": 1 }))])).await;
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    let error = done.attempts[0].error.as_deref();
    assert_eq!(error, Some("the function failed (unhandled): OSError: no such file"));
    assert_eq!(done.attempts.len(), 2, "the work's own retries pay for it");
}

async fn each_trouble_has_its_answer(with: Setup) {
    let lambda = Lambda::default();
    let more = "tries_max = 2\n[executor.breaker]\nopen_ms = 50";
    let server = Server::start(&setup(with, lambda.start().await, more)).await;
    let api = &server.api;
    // The function did not run: asked again in the same attempt.
    lambda.refuses(500, "ServiceException");
    lambda.returns(&[], &json!(null));
    let (_, ids) = api.submit(json!([job("a")])).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), tries(&done).len()), (1, 2));
    // Throttled: it stays, and is asked again.
    lambda.refuses(429, "TooManyRequestsException");
    lambda.returns(&[], &json!(null));
    let (_, ids) = api.submit(json!([job("b")])).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::ExecutorUnavailable));
    let list: List<ExecutorView> = api.get("/executors").await;
    assert_eq!(list.items[0].breaker, "closed", "no room is no absence");
    // Away, and back by itself.
    lambda.refuses(403, "AccessDeniedException");
    lambda.returns(&[], &json!(null));
    let (_, ids) = api.submit(json!([job("c")])).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    let why = done.attempts[0].error.as_deref().unwrap();
    assert!(why.contains("403 AccessDeniedException: as it was told to"), "{why}");
    // Not wanted.
    lambda.refuses(413, "RequestTooLargeException");
    let (_, ids) = api.submit(json!([job("d")])).await;
    let done = api.job_is(ids[0], JobStateKind::Failed).await;
    assert!(done.attempts[0].error.as_deref().unwrap().contains("RequestTooLarge"), "{done:?}");
    // Nobody there.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let server = Server::with(&Setup::default(), short_lived(gone, Duration::from_secs(9))).await;
    let (_, ids) = server.api.submit(json!([job("e")])).await;
    until("it says why it waits", async || {
        let path = format!("/jobs/{}/explain", ids[0]);
        let explained: serde_json::Value = server.api.get(&path).await;
        explained.to_string().contains("executor cloud is unavailable").then_some(())
    })
    .await;
}

async fn a_function_that_calls_back_does_so_once_and_is_waited_for_no_longer_than_it_may(
    with: Setup,
) {
    let lambda = Lambda::default();
    let more = "invocation = \"async\"\nheartbeat_ms = 100";
    let setup = setup(with, lambda.start().await, more);
    let server = Server::start(&setup.scheduler("lease_ms", 1_000)).await;
    let api = &server.api;
    let (_, ids) = api.submit(json!([job("a")])).await;
    let (headers, first) = lambda.invoked(1).await.remove(0);
    assert_eq!(headers["x-amz-invocation-type"], "Event");
    // It was silent for too long: it lost the attempt.
    let (_, again) = lambda.invoked(2).await.remove(1);
    assert_eq!(again["attempt"], 2);
    let end = json!({ "status": "completed", "outputs": { "a": "b" }, "log": "done\n" });
    assert_eq!(call_back(api, &first, end.clone()).await, 409, "a lost lease");
    assert_eq!(call_back(api, &again, end.clone()).await, 204);
    assert_eq!(call_back(api, &again, end).await, 204, "the same twice is answered the same");
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::LeaseLost));
    assert_eq!((&*done.outputs["a"], lambda.invoked(2).await.len()), ("b", 2));
}

async fn what_may_run_is_not_begun_beside_by_the_server_that_was_killed_and_started_again(
    with: Setup,
) {
    for how in ["sync", "async"] {
        let lambda = Lambda::default();
        let more = format!("invocation = \"{how}\"");
        let home = setup(with.clone(), lambda.start().await, &more).own_port().build();
        let mut server = ServerProcess::start(&home).await;
        let (_, ids) = server.api.submit(json!([job(how)])).await;
        let (_, event) = lambda.invoked(1).await.remove(0);
        server.api.job_is(ids[0], JobStateKind::Running).await;
        server.kill().await;
        let server = ServerProcess::start(&home).await;
        until("the callback is taken", async || {
            let end = json!({ "status": "completed", "outputs": { "how": how } });
            (call_back(&server.api, &event, end).await == 204).then_some(())
        })
        .await;
        let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
        assert_eq!((done.attempts.len(), &*done.outputs["how"]), (1, how));
        assert_eq!(lambda.invoked(1).await.len(), 1, "one invocation for one attempt");
    }
}

async fn what_may_run_is_begun_again_once_its_time_is_over(with: Setup) {
    // No answer in time.
    let lambda = Lambda::default();
    let address = lambda.start().await;
    let options = || short_lived(address, Duration::from_millis(400));
    let server = Server::with(&with.server("graceful_shutdown_timeout_ms", 50), options()).await;
    let (_, ids) = server.api.submit(json!([job("a")])).await;
    lambda.invoked(1).await;
    lambda.returns(&[], &json!("second"));
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), &*done.outputs["payload"]), (2, "second"));
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::Evicted));
    assert_eq!(done.attempts[0].error.as_deref(), Some("no answer in time"));

    // A server that stops waits, but not for long; the next one waits for the rest.
    let (_, ids) = server.api.submit(json!([job("b")])).await;
    lambda.invoked(3).await;
    let server = Server::again_with(server.stop().await, options()).await;
    lambda.returns(&[], &json!("fourth"));
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), &*done.outputs["payload"]), (2, "fourth"));
    assert_eq!(lambda.invoked(4).await.len(), 4);

    // One that is away for longer finds nothing to wait for.
    let (_, ids) = server.api.submit(json!([job("c")])).await;
    lambda.invoked(5).await;
    let invoked = Stopwatch::start();
    let home = server.stop().await;
    let is_over = || invoked.elapsed() > Duration::from_millis(600);
    until("the function's time is over", async || is_over().then_some(())).await;
    lambda.returns(&[], &json!("sixth"));
    let server = Server::again_with(home, options()).await;
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::RunnerLost));
    assert_eq!(&*done.outputs["payload"], "sixth");
}

on_both![
    what_a_function_returns_is_the_end,
    each_trouble_has_its_answer,
    a_function_that_calls_back_does_so_once_and_is_waited_for_no_longer_than_it_may,
    what_may_run_is_not_begun_beside_by_the_server_that_was_killed_and_started_again,
    what_may_run_is_begun_again_once_its_time_is_over,
];
