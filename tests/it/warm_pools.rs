//! Runners that the server starts, as processes: they stand by, are replaced, outlive the server, and are taken
//! down; none is lost, and none is there twice.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use dispatchyard::api::wire::{ExecutorView, List, PoolScaleView, RunnerView};
use dispatchyard::model::{JobStateKind, RequeueReason};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fake_runner::job_with;
use crate::support::server::ServerProcess;
use crate::support::{Api, Home, Server, Setup, on_both, until};

/// What a test starts is ended with it, whatever the server that started it became.
struct Started(PathBuf);

impl Started {
    fn of(home: &Home) -> Self {
        Self(home.file("data/runners"))
    }

    /// The processes that are noted, by the names of their runners.
    fn pids(&self) -> Vec<(String, i32)> {
        let entries = |path: &Path| {
            let found = std::fs::read_dir(path).into_iter().flatten().flatten();
            found.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let runners = entries(&self.0).into_iter().flat_map(|folder| entries(&folder));
        let noted = runners.filter_map(|runner| {
            let text = std::fs::read(runner.join("process.json")).ok()?;
            let note: Value = serde_json::from_slice(&text).ok()?;
            let name = runner.file_name()?.to_str()?.to_owned();
            Some((name, i32::try_from(note["pid"].as_i64()?).ok()?))
        });
        noted.collect()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        for (_, pid) in self.pids() {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// All jobs go to the pool `warm`, which is kept so.
fn warm(keys: &str) -> String {
    warm_with(env!("CARGO_BIN_EXE_dispatchyard"), keys)
}

fn warm_with(program: &str, keys: &str) -> String {
    format!(
        r#"
[[provisioner]]
name = "local"
list_interval_ms = 100
[provisioner.process]
program = "{program}"
stop_grace_ms = 2000
[agent_pools.warm.warm]
provisioner = "local"
labels = ["x"]
{keys}
[[route]]
name = "all"
match = "**"
pools = ["warm"]
"#
    )
}

async fn scale(api: &Api) -> PoolScaleView {
    api.get("/pools/warm/scale").await
}

async fn runners(api: &Api) -> Vec<RunnerView> {
    let list: List<RunnerView> = api.get("/runners").await;
    list.items
}

async fn idle(api: &Api, many: usize) -> BTreeSet<String> {
    until(&format!("{many} stand by"), async || {
        let waiting = runners(api).await.into_iter().filter(|it| it.waiting && it.jobs.is_empty());
        let names: BTreeSet<String> = waiting.map(|it| it.name).collect();
        (names.len() == many).then_some(names)
    })
    .await
}

fn step(script: &str) -> Value {
    json!([job_with("a", json!({ "work": { "steps": [{ "run": script }] } }))])
}

async fn a_claimed_runner_is_replaced_and_one_that_is_done_goes(setup: Setup) {
    let server = Server::start(&setup.patient().rules(&warm("min_idle = 1\nmax = 2"))).await;
    let (api, started) = (&server.api, Started::of(&server.home));
    let first = idle(api, 1).await;
    assert_eq!(scale(api).await.desired, 1);
    let gate = server.home.file("gate");
    let script = format!(
        "echo by $DISPATCHYARD_RUNNER; while ! test -e {}; do sleep 0.02; done",
        gate.display()
    );
    let (_, ids) = api.submit(step(&script)).await;
    api.job_is(ids[0], JobStateKind::Running).await;
    let second = idle(api, 1).await;
    assert_ne!(first, second, "another one stands by while the first works");
    let now = scale(api).await;
    assert_eq!((now.runners, now.idle, now.running, now.desired), (2, 1, 1, 2));
    // At most two: a second job gets the one that stands by, and nothing is started beside them.
    let (_, more) = api.submit(step("true")).await;
    std::fs::write(&gate, "").unwrap();
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    let by = format!(" by {}\n", first.first().unwrap());
    assert!(api.log(ids[0]).await.ends_with(&by));
    assert_eq!(done.attempts.len(), 1);
    api.job_is(more[0], JobStateKind::Completed).await;
    until("those that are done have gone, and another one stands by", async || {
        let left = idle(api, 1).await;
        let is_new = left.is_disjoint(&first) && left.is_disjoint(&second);
        (is_new && runners(api).await.len() == 1 && started.pids().len() == 1).then_some(())
    })
    .await;
}

async fn a_runner_that_is_not_needed_goes_when_its_time_is_over(setup: Setup) {
    let keys = "max = 3\nreusable = true\nidle_ttl_ms = 300";
    let server = Server::start(&setup.patient().rules(&warm(keys))).await;
    let (api, started) = (&server.api, Started::of(&server.home));
    assert_eq!((scale(api).await.desired, runners(api).await.len()), (0, 0));
    let (_, ids) = api.submit(step("true")).await;
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1);
    until("it is gone", async || {
        (runners(api).await.is_empty() && started.pids().is_empty()).then_some(())
    })
    .await;
}

async fn a_start_that_fails_is_told_and_tried_again(setup: Setup) {
    let text = warm_with("/bin/false", "min_idle = 1\nmax = 1");
    let server = Server::start(&setup.rules(&text)).await;
    let api = &server.api;
    let (_, ids) = api.submit(step("true")).await;
    let failed = until("a start failed twice", async || {
        Some(scale(api).await).filter(|it| it.warm.as_ref().is_some_and(|it| it.failures >= 2))
    })
    .await;
    let warm = failed.warm.unwrap();
    assert!(warm.why.unwrap().contains("its process has ended") && warm.held_until_ms.is_some());
    let explained: Value = api.get(&format!("/jobs/{}/explain", ids[0])).await;
    let sentences = explained["reasons"].to_string();
    assert!(
        sentences.contains("warming_up") && sentences.contains("its process has ended"),
        "{sentences}"
    );
}

async fn a_runner_that_is_killed_loses_its_job_at_once_and_what_it_left_is_ended(setup: Setup) {
    let server = Server::start(&setup.patient().rules(&warm("min_idle = 1\nmax = 2"))).await;
    let (api, started) = (&server.api, Started::of(&server.home));
    let first = idle(api, 1).await;
    let marks = server.home.file("pids");
    let script = format!(
        "echo $$ >> {}; test $(wc -l < {}) -gt 1 || sleep 600",
        marks.display(),
        marks.display()
    );
    let (_, ids) = api.submit(step(&script)).await;
    until("the step runs", async || {
        std::fs::read_to_string(&marks).ok().filter(|it| !it.is_empty())
    })
    .await;
    let (_, pid) = started.pids().into_iter().find(|(name, _)| first.contains(name)).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    let done = api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::RunnerLost));
    let left = std::fs::read_to_string(&marks).unwrap();
    let orphan: i32 = left.lines().next().unwrap().parse().unwrap();
    until("what it left is gone", async || {
        let stat = std::fs::read_to_string(format!("/proc/{orphan}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    })
    .await;
}

/// SIGKILL ends the server; runners and their work go on, and the next server has them again.
async fn runners_outlive_the_server_and_there_are_no_more_of_them(setup: Setup) {
    let setup = setup.patient().own_port().rules(&warm("min_idle = 2\nmax = 4"));
    let home = setup.build();
    let mut server = ServerProcess::start(&home).await;
    let started = Started::of(&home);
    idle(&server.api, 2).await;
    let gate = home.file("gate");
    let script = format!("while ! test -e {}; do sleep 0.02; done", gate.display());
    let (_, ids) = server.api.submit(step(&script)).await;
    server.api.job_is(ids[0], JobStateKind::Running).await;
    let before = idle(&server.api, 2).await;
    let pids: BTreeSet<_> = started.pids().into_iter().collect();
    assert_eq!(pids.len(), 3);
    server.kill().await;
    let server = ServerProcess::start(&home).await;
    assert_eq!(idle(&server.api, 2).await, before);
    std::fs::write(&gate, "").unwrap();
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1, "the attempt went on");
    assert_eq!(idle(&server.api, 2).await, before);
    let after: BTreeSet<_> = started.pids().into_iter().collect();
    assert!(after.is_subset(&pids), "{after:?} of {pids:?}");
}

const HERE: &str = r#"
[[executor]]
name = "here"
max_concurrent = 2
[executor.process]
program = "PROGRAM"
labels = ["x"]
warm_workspaces = ["slot"]
stop_grace_ms = 2000
[resources.slot]
units = 1
[[route]]
name = "all"
match = "**"
executors = ["here", "runners"]
"#;

async fn an_executor_of_processes_is_a_runner_that_outlives_the_server(setup: Setup) {
    let text = HERE.replace("PROGRAM", env!("CARGO_BIN_EXE_dispatchyard"));
    let home = setup.patient().own_port().rules(&text).build();
    let mut server = ServerProcess::start(&home).await;
    let _started = Started::of(&home);
    let (gate, secret) = (home.file("gate"), "echo ${DISPATCHYARD_TOKEN-none}");
    let script =
        format!("{secret}; touch kept; while ! test -e {}; do sleep 0.02; done", gate.display());
    let job = |script: &str| {
        let requirements =
            json!({ "labels": ["x"], "resources": [{ "name": "slot", "units": 1 }] });
        let work = json!({ "steps": [{ "run": script }] });
        json!([job_with("a", json!({ "requirements": requirements, "work": work }))])
    };
    let (_, ids) = server.api.submit(job(&script)).await;
    server.api.job_is(ids[0], JobStateKind::Running).await;
    let list: List<ExecutorView> = server.api.get("/executors").await;
    assert_eq!(
        (&*list.items[0].name, &*list.items[0].breaker, list.items[0].attempts),
        ("here", "closed", 1)
    );
    server.kill().await;
    let server = ServerProcess::start(&home).await;
    std::fs::write(&gate, "").unwrap();
    let done = server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1, "the attempt went on");
    let log = server.api.log(ids[0]).await;
    assert!(log.ends_with(" none\n"), "a step does not see the runner's token: {log}");
    // The next job that holds the unit finds what the last one left.
    let (_, ids) = server.api.submit(job("ls")).await;
    server.api.job_is(ids[0], JobStateKind::Completed).await;
    assert!(server.api.log(ids[0]).await.ends_with(" kept\n"));
}

async fn while_its_runner_is_not_there_jobs_of_an_executor_go_to_the_next(setup: Setup) {
    let server =
        Server::start(&setup.patient().rules(&HERE.replace("PROGRAM", "/bin/false"))).await;
    let api = &server.api;
    until("it is known to be away", async || {
        let list: List<ExecutorView> = api.get("/executors").await;
        let here = list.items.into_iter().find(|it| it.name == "here")?;
        here.why.filter(|_| here.breaker == "open")
    })
    .await;
    let polling = crate::support::RunnerProcess::start(&server.home, api, "poller").await;
    let (_, ids) = api.submit(step("true")).await;
    api.job_is(ids[0], JobStateKind::Completed).await;
    drop(polling);
}

on_both!(
    a_claimed_runner_is_replaced_and_one_that_is_done_goes,
    a_runner_that_is_not_needed_goes_when_its_time_is_over,
    a_start_that_fails_is_told_and_tried_again,
    a_runner_that_is_killed_loses_its_job_at_once_and_what_it_left_is_ended,
    runners_outlive_the_server_and_there_are_no_more_of_them,
    an_executor_of_processes_is_a_runner_that_outlives_the_server,
    while_its_runner_is_not_there_jobs_of_an_executor_go_to_the_next,
);

#[tokio::test]
async fn a_pool_that_cannot_be_kept_warm_is_refused_at_start() {
    let text = r#"
[agent_pools.a.warm]
provisioner = "nobody"
min_idle = 3
max = 2
slots = 2
"#;
    let home = Setup::default().rules(text).build();
    let said = run(["check".as_ref(), home.config_file().as_os_str()]).await;
    let told = format!("{}{}", said.out, said.err);
    assert_ne!(said.code(), 0);
    for wrong in ["names the provisioner `nobody`", "3 is more than max, 2", "has 2 slots"] {
        assert!(told.contains(wrong), "{told}");
    }
}
