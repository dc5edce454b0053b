//! Jobs as containers, and runners as containers, of a daemon that stands in for Docker's: what runs is real, and so is
//! each fault of the connection to it.

use std::time::Duration;

use dispatchyard::api::wire::{ExecutorView, JobDetail, List};
use dispatchyard::executor::{
    ContainerOptions, ContainerProvisioner, ContainerTemplate, Provisioned, Provisioner as _, Pull,
    RunnerOrder, TOKEN_VARIABLE,
};
use dispatchyard::model::{AttemptOutcome, EndReason, JobId, JobStateKind, RequeueReason};
use serde_json::{Value, json};

use crate::support::daemon::{Daemon, Fault};
use crate::support::fake_runner::job_with;
use crate::support::{Api, Server, ServerProcess, Setup, on_both, until};

/// Waits for a file of the workspace, in a bounded number of looks.
pub(crate) const WAIT: &str =
    "i=0; while [ ! -e go ] && [ $i -lt 600 ]; do sleep 0.05; i=$((i+1)); done";

/// An executor, with more keys of its own.
fn executor(name: &str, socket: &str, image: &str, more: &str) -> String {
    format!(
        "[[executor]]\nname = \"{name}\"\nmax_concurrent = 8\n[executor.container]\n\
         socket = \"{socket}\"\nimage = \"{image}\"\n{more}\n"
    )
}

/// An executor `box` that has all jobs, with more keys of its own.
pub(crate) fn setup(setup: Setup, daemon: &Daemon, more: &str) -> Setup {
    let route = "[[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"box\"]\n";
    setup.patient().more(&executor("box", &daemon.socket(), "alpine:3", more)).more(route)
}

pub(crate) async fn start(daemon: &Daemon, more: &str) -> Server {
    Server::start(&setup(Setup::default(), daemon, more)).await
}

fn script(name: &str, run: &str, more: Value) -> Value {
    let mut job = job_with(name, json!({ "work": { "steps": [{ "name": "say", "run": run }] } }));
    let (Value::Object(fields), Value::Object(more)) = (&mut job, more) else { unreachable!() };
    fields.extend(more);
    job
}

pub(crate) async fn submit(api: &Api, run: &str) -> JobId {
    api.submit(json!([script("a", run, json!({}))])).await.1[0]
}

pub(crate) async fn done(api: &Api, run: &str) -> JobDetail {
    let id = submit(api, run).await;
    api.job_is(id, JobStateKind::Completed).await
}

/// Lets the job of a container that waits go on.
pub(crate) fn go(daemon: &Daemon, name: &str) {
    daemon.write_file(name, "dispatchyard/work/workspace/go", "");
}

#[tokio::test]
async fn jobs_run_in_containers_that_leave_outputs_and_logs_and_are_removed() {
    let daemon = Daemon::start();
    let more = "memory_mb = 64\nnetwork = \"none\"\nenv = { TEAM = \"ci\" }\n\
                agents = { shout = \"cat; echo !\" }";
    let server = start(&daemon, more).await;
    let api = &server.api;
    let first =
        "echo \"$TEAM $FROM_IMAGE $A\"; echo oops >&2; echo url=x=1 >> \"$DISPATCHYARD_OUTPUT\"";
    let second = "cat \"$DISPATCHYARD_NEEDS_PATH\"; echo; echo ::add-mask::hunter-two; echo hunter-two; exit 3";
    let (_, ids) = api
        .submit(json!([
            script("first", first, json!({ "env": { "A": "$(id)" } })),
            script("second", second, json!({ "needs": ["first"] })),
            job_with("ask", json!({ "work": { "agent": { "profile": "shout", "prompt": "hi" } } })),
            job_with("nobody", json!({ "work": { "agent": { "profile": "x", "prompt": "" } } })),
        ]))
        .await;
    let ended = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!((&*ended.outputs["url"], ended.attempts[0].exit_code), ("x=1", Some(0)));
    let log = api.log(ids[0]).await;
    assert!(log.starts_with("##[step] say\n") && log.contains("ci yes $(id)\n"), "{log}");
    assert!(log.contains("oops\n"), "{log}");
    let failed = api.job_is(ids[1], JobStateKind::Failed).await;
    let attempt = &failed.attempts[0];
    let error = "step `say` failed with exit code 3";
    assert_eq!((attempt.exit_code, attempt.error.as_deref()), (Some(3), Some(error)));
    let log = api.log(ids[1]).await;
    assert!(log.contains("{\"first\":{\"url\":\"x=1\"}}") && !log.contains("hunter-two"), "{log}");
    api.job_is(ids[2], JobStateKind::Completed).await;
    assert_eq!(api.log(ids[2]).await, "##[step] agent shout\nhi!\n");
    let failed = api.job_is(ids[3], JobStateKind::Failed).await;
    assert!(failed.attempts[0].error.as_deref().unwrap().contains("it has: shout"), "{failed:?}");
    daemon.is_empty().await;
    assert_eq!(daemon.started().len(), 3);
}

#[tokio::test]
async fn trouble_before_the_start_makes_no_second_container() {
    let daemon = Daemon::start();
    let server = start(&daemon, "timeout_ms = 1000").await;
    let api = &server.api;
    for (number, (call, fault)) in [
        // The answer is lost, and it is there.
        ("create", Fault::Cut),
        ("create", Fault::Refuse(500, "no more devices")),
        ("create", Fault::Silence),
        ("upload", Fault::Cut),
        ("start", Fault::Cut),
        ("inspect", Fault::Cut),
    ]
    .into_iter()
    .enumerate()
    {
        daemon.fails(call, fault);
        let done = done(api, "echo once").await;
        assert_eq!(done.attempts.len(), 1, "{call} {fault:?}: {done:?}");
        assert_eq!(daemon.started().len(), number + 1, "{call} {fault:?}");
        assert_eq!(api.log(done.job.id).await, "##[step] say\nonce\n", "{call} {fault:?}");
    }
    daemon.is_empty().await;
}

#[tokio::test]
async fn an_image_is_pulled_when_it_is_missing_and_one_that_is_nowhere_is_told() {
    let daemon = Daemon::start();
    daemon.has_images(&[]);
    let auth = "registry_auth = { user = \"me\", password = { file = \"hook-secret\" } }";
    let server = start(&daemon, auth).await;
    let (_, ids) = server
        .api
        .submit(json!([script("a", "true", json!({})), script("b", "true", json!({})),]))
        .await;
    for id in ids {
        server.api.job_is(id, JobStateKind::Completed).await;
    }
    assert_eq!(daemon.calls("pull"), 1);
    assert!(daemon.auth().is_some_and(|auth| auth.starts_with("eyJ")));
    drop(server);

    let socket = daemon.socket();
    let route =
        "[[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"odd\", \"away\", \"box\"]\n";
    let setup = Setup::default()
        .patient()
        .more(&executor("odd", &socket, "missing/it:1", ""))
        .more(&executor("away", "/nowhere/d.sock", "alpine:3", ""))
        .more(&executor("box", &socket, "alpine:3", ""))
        .more(route);
    let server = Server::start(&setup).await;
    let (_, ids) = server.api.submit(json!([script("other", "true", json!({}))])).await;
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    let errors: Vec<_> = done.attempts.iter().filter_map(|it| it.error.as_deref()).collect();
    assert_eq!(done.attempts.len(), 3, "{done:?}");
    assert!(
        errors[0].contains("missing/it:1 cannot be pulled")
            && errors[0].contains("manifest unknown")
    );
    assert!(errors[1].contains("it cannot be reached"), "{errors:?}");
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::ExecutorUnavailable));
    let list: List<ExecutorView> = server.api.get("/executors").await;
    let odd = list.items.iter().find(|it| it.name == "odd").unwrap();
    assert_ne!(odd.breaker, "closed", "{odd:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_while_a_job_runs_costs_it_nothing() {
    let daemon = Daemon::start();
    let server = start(&daemon, "").await;
    daemon.fails("logs", Fault::Break(11));
    daemon.fails("logs", Fault::Break(30));
    daemon.fails("wait", Fault::Cut);
    daemon.fails("wait", Fault::Refuse(500, "restarting"));
    daemon.fails("download", Fault::Cut);
    daemon.fails("remove", Fault::Refuse(500, "busy"));
    let run = format!("echo one; echo a=b >> $DISPATCHYARD_OUTPUT; {WAIT}; echo two");
    let id = submit(&server.api, &run).await;
    let name = daemon.running().await;
    until("everything went wrong", async || {
        (daemon.calls("logs") > 2 && daemon.calls("wait") > 2).then_some(())
    })
    .await;
    daemon.fails("inspect", Fault::Refuse(500, "restarting"));
    go(&daemon, &name);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), &*done.outputs["a"]), (1, "b"));
    assert_eq!(server.api.log(id).await, "##[step] say\none\ntwo\n");
    daemon.is_empty().await;
    assert_eq!(daemon.started().len(), 1);
}

#[tokio::test]
async fn what_happens_to_a_container_from_outside_is_told_apart() {
    let daemon = Daemon::start();
    let server = start(&daemon, "memory_mb = 64").await;
    let api = &server.api;
    for (what, reason) in [("kill", "stopped from outside"), ("remove", "removed from outside")] {
        let id = submit(api, WAIT).await;
        let first = daemon.running().await;
        match what {
            "kill" => daemon.kill(&first, false),
            _ => daemon.remove(&first),
        }
        let second = until("another attempt", async || {
            let running = daemon.names().into_iter().find(|name| *name != first)?;
            daemon.with(&running, |it| it.status == "running").then_some(running)
        })
        .await;
        go(&daemon, &second);
        let done = api.job_is(id, JobStateKind::Completed).await;
        assert_eq!(done.attempts.len(), 2, "{what}");
        assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::Evicted), "{what}");
        let error = done.attempts[0].error.as_deref().unwrap();
        assert!(error.contains(reason), "{what}: {error}");
        daemon.is_empty().await;
    }
    let id = submit(api, WAIT).await;
    daemon.kill(&daemon.running().await, true);
    let failed = api.job_is(id, JobStateKind::Failed).await;
    let error = failed.attempts[0].error.as_deref().unwrap();
    assert!(error.contains("its memory was not enough (memory_mb = 64)"), "{error}");
    assert_eq!(failed.attempts[0].exit_code, Some(137));
    // An image without a shell.
    daemon.fails("start", Fault::Refuse(400, "exec: \"/bin/sh\": no such file or directory"));
    let id = submit(api, "true").await;
    let failed = api.job_is(id, JobStateKind::Failed).await;
    assert!(failed.attempts[0].error.as_deref().unwrap().contains("no such file"), "{failed:?}");
    daemon.is_empty().await;
}

#[tokio::test]
async fn work_that_is_cancelled_or_late_is_stopped_and_may_clean_up() {
    let daemon = Daemon::start();
    let server = start(&daemon, "stop_grace_ms = 5000").await;
    let api = &server.api;
    let run = format!("trap 'echo cleaned; exit 0' TERM; echo ready; {WAIT}");
    let (workload, ids) = api.submit(json!([script("a", &run, json!({}))])).await;
    daemon.running().await;
    until("it is at work", async || api.log(ids[0]).await.contains("ready").then_some(())).await;
    api.done::<Value>(&format!("/workloads/{workload}/cancel"), json!({})).await;
    let ended = api.job_is(ids[0], JobStateKind::Cancelled).await;
    assert_eq!(ended.attempts[0].outcome, AttemptOutcome::Cancelled);
    let log = api.log(ids[0]).await;
    assert!(log.contains("cleaned\n##[cancelled] step `say` is stopped"), "{log}");
    daemon.is_empty().await;
    // It does not want to.
    let late = script("late", &format!("trap '' TERM; {WAIT}"), json!({ "timeout_ms": 400 }));
    let (_, ids) = api.submit(json!([late])).await;
    let late = api.job_is(ids[0], JobStateKind::Failed).await;
    assert_eq!(late.job.reason, Some(EndReason::TimedOut), "{late:?}");
    daemon.is_empty().await;
    assert_eq!(daemon.started().len(), 2);
}

async fn a_server_that_was_killed_goes_on_with_its_containers_and_clears_up(with: Setup) {
    let daemon = Daemon::start();
    let home = setup(with, &daemon, "").own_port().build();
    let mut server = ServerProcess::start(&home).await;
    let run = format!("echo one; {WAIT}; echo two; echo a=b >> $DISPATCHYARD_OUTPUT");
    let first = submit(&server.api, &run).await;
    let running = daemon.running().await;
    until("its log is read", async || server.api.log(first).await.contains("one").then_some(()))
        .await;
    // One whose container is made and not started yet.
    daemon.fails("upload", Fault::Silence);
    let second = submit(&server.api, "echo second").await;
    until("it is to be filled", async || (daemon.calls("upload") == 2).then_some(())).await;
    server.kill().await;
    go(&daemon, &running);
    until("it ends unseen", async || {
        daemon.with(&running, |it| it.status == "exited").then_some(())
    })
    .await;
    // Left over by an attempt that is over, and somebody else's.
    let label = |it: &str| daemon.with(&running, |container| container.label(it).to_owned());
    let (owner, executor) = (label("dispatchyard.owner"), label("dispatchyard.executor"));
    daemon.plant(
        "left",
        &json!({ "dispatchyard.owner": owner, "dispatchyard.executor": executor,
        "dispatchyard.attempt": "job-999-attempt-1" }),
    );
    daemon.plant(
        "other",
        &json!({ "dispatchyard.owner": "another", "dispatchyard.executor": "box",
        "dispatchyard.attempt": "job-999-attempt-1" }),
    );
    let server = ServerProcess::start(&home).await;
    let done = server.api.job_is(first, JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), &*done.outputs["a"]), (1, "b"), "{done:?}");
    assert_eq!(server.api.log(first).await, "##[step] say\none\ntwo\n");
    let done = server.api.job_is(second, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1, "{done:?}");
    assert_eq!(server.api.log(second).await, "##[step] say\nsecond\n");
    until("only the stranger's is left", async || (daemon.names() == ["other"]).then_some(()))
        .await;
    let wanted = [format!("job-{first}-attempt-1"), format!("job-{second}-attempt-1")];
    assert_eq!(daemon.started(), wanted, "one run for each attempt");
}

on_both![a_server_that_was_killed_goes_on_with_its_containers_and_clears_up];

#[tokio::test]
async fn runners_are_containers_with_a_token_that_is_no_argument() {
    let daemon = Daemon::start();
    let options = ContainerOptions {
        daemon: daemon.socket().parse().unwrap(),
        timeout: Duration::from_secs(5),
        template: ContainerTemplate { image: "new:1".into(), ..ContainerTemplate::default() },
        pull: Pull::Missing,
        pull_timeout: Duration::from_secs(5),
        registry_auth: None,
        owner: "me".into(),
        name_prefix: "dispatchyard-".into(),
        stop_grace: Duration::ZERO,
        keep_ended: false,
        agents: Default::default(),
        max_concurrent: 0,
    };
    let program = ["/bin/sh", "-c", "echo \"$0 $*\"; sleep 60", "dispatchyard"].map(str::to_owned);
    let url = Some("http://yard:1".to_owned());
    let warm = ContainerProvisioner::new("warm", options, url, program.into()).unwrap();
    let order = RunnerOrder {
        name: "warm-7-linux".into(),
        server_url: "http://127.0.0.1:7878".into(),
        token: "s3cret".into(),
        pool: "linux".into(),
        labels: vec![],
        slots: 1,
        ephemeral: true,
    };
    daemon.fails("create", Fault::Refuse(500, "busy"));
    assert!(warm.create(&order).await.is_err());
    // Made, and not started.
    daemon.fails("start", Fault::Refuse(500, "busy"));
    assert!(warm.create(&order).await.is_err());
    warm.create(&order).await.unwrap();
    warm.create(&order).await.unwrap();
    assert_eq!((daemon.started().len(), daemon.calls("pull")), (1, 1));
    let name = "dispatchyard-warm-7-linux";
    let body = daemon.with(name, |it| it.body.clone());
    assert_eq!(body["Env"], json!([format!("{TOKEN_VARIABLE}=s3cret")]));
    assert!(!body["Cmd"].to_string().contains("s3cret"));
    assert_eq!(body["Cmd"][2], "http://yard:1");
    daemon.plant("other", &json!({ "dispatchyard.owner": "you" }));
    let seen = |ended: Option<&str>| {
        vec![Provisioned { name: "warm-7-linux".into(), ended: ended.map(str::to_owned) }]
    };
    assert_eq!(warm.list().await.unwrap(), seen(None));
    daemon.kill(name, false);
    until("its end is seen", async || {
        (warm.list().await.unwrap() == seen(Some("Exited (137)"))).then_some(())
    })
    .await;
    warm.destroy("warm-7-linux").await.unwrap();
    warm.destroy("warm-7-linux").await.unwrap();
    assert_eq!((warm.list().await.unwrap(), daemon.names()), (vec![], vec!["other".to_owned()]));
}

#[tokio::test]
async fn a_warm_pool_has_its_runners_in_containers_that_go_when_they_are_done() {
    let daemon = Daemon::start();
    let (socket, program) = (daemon.socket(), env!("CARGO_BIN_EXE_dispatchyard"));
    let rules = format!(
        r#"
[[provisioner]]
name = "box"
list_interval_ms = 100
[provisioner.container]
socket = "{socket}"
image = "alpine:3"
program = ["{program}"]
[agent_pools.warm.warm]
provisioner = "box"
labels = ["x"]
min_idle = 1
max = 2
[[route]]
name = "all"
match = "**"
pools = ["warm"]
"#
    );
    daemon.fails("create", Fault::Cut);
    let server = Server::start(&Setup::default().patient().rules(&rules)).await;
    let done = done(&server.api, "echo by $DISPATCHYARD_RUNNER").await;
    let log = server.api.log(done.job.id).await;
    let runner = log.rsplit("by ").next().unwrap().trim();
    assert!(runner.starts_with("warm-"), "{log}");
    until("it is taken down, and another one stands by", async || {
        let names = daemon.names();
        let is_gone = !names.contains(&format!("dispatchyard-{runner}"));
        (is_gone && names.len() == 1).then_some(())
    })
    .await;
}
