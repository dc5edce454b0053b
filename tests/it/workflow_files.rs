//! Workflow files as people have them (`fixtures/workflows`), from a delivery to their last job, on a real runner.

use std::collections::BTreeMap;
use std::path::Path;

use dispatchyard::api::wire::{DeliveryAccepted, WorkloadDetail};
use dispatchyard::model::{JobStateKind, WorkloadId, WorkloadState};
use serde_json::{Value, json};

use crate::support::hook::{fixture, push_with};
use crate::support::wait::until;
use crate::support::{RunnerProcess, RunnerSetup, Server, Setup, on_both};

fn text(name: &str) -> String {
    let path = format!("{}/fixtures/workflows/{name}.yml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

/// A server that has the file alone, which starts itself by its `on`, and a runner for its jobs.
struct Yard {
    server: Server,
    _runner: RunnerProcess,
}

impl Yard {
    async fn start(setup: Setup, file: &str, vars: &str) -> Self {
        let rules = format!("[workflow]\nstart_by_on = true\n{vars}");
        let setup = setup.patient().rules(&rules).workflow(file, text(file));
        let server = Server::start(&setup).await;
        let labels = ["--labels", "ubuntu-latest,self-hosted,linux"];
        let runner = RunnerSetup::new("one").slots(4).arguments(&labels);
        let runner = runner.start(&server.home, &server.api).await;
        Self { server, _runner: runner }
    }

    async fn sends(&self, event: &str, id: &str, body: Vec<u8>) -> WorkloadId {
        let answer = self.server.hook().send(event, id, body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let accepted: DeliveryAccepted = answer.json();
        assert_eq!(accepted.state, "dispatched", "{accepted:?}");
        accepted.workloads[0]
    }

    async fn ends(&self, id: WorkloadId, state: WorkloadState) -> Ended<'_> {
        let workload = self.server.api.workload_is(id, state).await;
        Ended { yard: self, workload }
    }

    /// A push, and how the file ends for it.
    async fn push(&self, state: WorkloadState) -> Ended<'_> {
        let id = self.sends("push", "d-1", fixture("push")).await;
        self.ends(id, state).await
    }
}

struct Ended<'a> {
    yard: &'a Yard,
    workload: WorkloadDetail,
}

impl Ended<'_> {
    /// How each job ended, by its name.
    fn states(&self) -> BTreeMap<&str, JobStateKind> {
        self.workload.jobs.iter().map(|job| (job.name.as_str(), job.state)).collect()
    }

    async fn log(&self, job: &str) -> String {
        let id = self.workload.jobs.iter().find(|it| it.name == job).unwrap().id;
        self.yard.server.api.log(id).await
    }

    async fn says(&self, job: &str, what: &[&str]) {
        let log = self.log(job).await;
        what.iter().for_each(|what| assert!(log.contains(what), "`{what}` is not in:\n{log}"));
    }

    async fn outputs(&self, job: &str) -> BTreeMap<String, String> {
        let id = self.workload.jobs.iter().find(|it| it.name == job).unwrap().id;
        self.yard.server.api.job(id).await.outputs
    }
}

use JobStateKind::{Cancelled, Completed, Failed, Skipped};

async fn outputs_and_environments_reach_who_needs_them(setup: Setup) {
    let yard = Yard::start(setup, "ci", "").await;
    let ended = yard.push(WorkloadState::Completed).await;
    assert!(ended.states().values().all(|state| *state == Completed));
    let title = ended.workload.terms.title.as_deref();
    assert_eq!(title, Some("CI of main by octo-dev"));
    ended.says("lint", &["profile=debug event=push"]).await;
    ended.says("test", &["running with release"]).await;
    ended.says("package", &["package-release-17", "lint was success"]).await;
    assert_eq!(ended.outputs("test").await["passed"], "17");
}

async fn a_matrix_runs_every_combination_and_bears_one_that_may_fail(setup: Setup) {
    let yard = Yard::start(setup, "matrix", "").await;
    let ended = yard.push(WorkloadState::Completed).await;
    let states = ended.states();
    assert_eq!(
        states,
        BTreeMap::from([
            ("test (debian, 1)", Completed),
            ("test (debian, 2)", Completed),
            ("test (alpine, 2)", Completed),
            ("test (debian, 3, true)", Failed),
            ("done", Completed),
        ])
    );
    ended.says("test (alpine, 2)", &["os=alpine version=2", "leg 2 of 4"]).await;
    ended.says("done", &["the matrix was success, the experiment ended with 3"]).await;
}

async fn a_matrix_is_made_of_what_a_job_found(setup: Setup) {
    let yard = Yard::start(setup, "generated", "").await;
    let ended = yard.push(WorkloadState::Completed).await;
    let states = ended.states();
    assert_eq!((states["build (api)"], states["build (web)"]), (Completed, Completed));
    assert_eq!(states["publish"], Completed);
    ended.says("build (web)", &["building web"]).await;
    ended.says("publish", &["published after success"]).await;
    assert_eq!(ended.outputs("build (api)").await["last"], "api");
}

async fn conditions_over_outputs_are_decided_when_these_are_there(setup: Setup) {
    let yard = Yard::start(setup, "changes", "").await;
    let ended = yard.push(WorkloadState::Completed).await;
    let states = ended.states();
    assert_eq!((states["code"], states["docs"], states["report"]), (Completed, Skipped, Completed));
    ended.says("report", &["code success, docs skipped"]).await;
}

async fn only_what_failed_is_run_again(setup: Setup) {
    let folder = tempfile::TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    let vars = format!("[vars]\nREGION = \"eu\"\nGATE = \"{}\"\n", gate.display());
    let yard = Yard::start(setup, "deploy", &vars).await;
    let ended = yard.push(WorkloadState::Failed).await;
    let states = ended.states();
    assert_eq!(
        (states["build"], states["roll-out"], states["smoke-test"]),
        (Completed, Failed, Skipped)
    );
    let id = ended.workload.workload.id;
    ended.says("roll-out", &[&format!("rolling out app:{id} in eu")]).await;
    let group = ended.workload.terms.group.as_ref().unwrap();
    assert_eq!(&*group.key, "octo-org/example/deploy-eu");

    std::fs::write(&gate, "").unwrap();
    let answer = yard.server.api.post(&format!("/workloads/{id}/retry"), json!({})).await;
    assert!(answer.status < 300, "{answer:?}");
    let again = yard.ends(id, WorkloadState::Completed).await;
    assert!(again.states().values().all(|state| *state == Completed));
    assert_eq!(again.workload.workload.run, 2);
    again.says("smoke-test", &["smoke test of run 2"]).await;
    let build = again.workload.jobs.iter().find(|job| job.name == "build").unwrap();
    assert_eq!(yard.server.api.job(build.id).await.attempts.len(), 1, "it had ended well");
}

async fn a_newer_push_and_a_person_cancel_a_run_which_can_be_run_again(setup: Setup) {
    let folder = tempfile::TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    let vars = format!("[vars]\nGATE = \"{}\"\n", gate.display());
    let yard = Yard::start(setup, "superseded", &vars).await;
    let checking = async |id| {
        let api = &yard.server.api;
        api.workload_is(id, WorkloadState::Running).await;
        let workload: WorkloadDetail = api.get(&format!("/workloads/{id}")).await;
        let job = workload.jobs.iter().find(|job| job.name == "check").unwrap().id;
        until("the step has begun", async || api.log(job).await.contains("checking").then_some(()))
            .await;
    };
    let older = yard.sends("push", "d-1", fixture("push")).await;
    checking(older).await;
    let elsewhere = push_with("/repository/full_name", "octo-org/other");
    let elsewhere = yard.sends("push", "d-2", elsewhere).await;
    checking(elsewhere).await;
    let newer = yard.sends("push", "d-3", push_with("/after", "b".repeat(40))).await;
    let ended = yard.ends(older, WorkloadState::Cancelled).await;
    let states = ended.states();
    assert_eq!(
        (states["check"], states["publish"], states["tidy"]),
        (Cancelled, Cancelled, Completed)
    );
    ended.says("check", &["tidied after a cancel"]).await;
    ended.says("tidy", &["the check was cancelled"]).await;
    checking(newer).await;
    let cancel = format!("/workloads/{newer}/cancel");
    let answer = yard.server.api.post(&cancel, json!({ "reason": "not now" })).await;
    assert!(answer.status < 300, "{answer:?}");
    yard.ends(newer, WorkloadState::Cancelled).await;

    std::fs::write(&gate, "").unwrap();
    let elsewhere = yard.ends(elsewhere, WorkloadState::Completed).await;
    assert_eq!(elsewhere.states()["tidy"], Skipped);
    let answer = yard.server.api.post(&format!("/workloads/{newer}/retry"), json!({})).await;
    assert!(answer.status < 300, "{answer:?}");
    let again = yard.ends(newer, WorkloadState::Completed).await;
    again.says("publish", &["published by run 2"]).await;
}

on_both!(
    a_newer_push_and_a_person_cancel_a_run_which_can_be_run_again,
    outputs_and_environments_reach_who_needs_them,
    a_matrix_runs_every_combination_and_bears_one_that_may_fail,
    a_matrix_is_made_of_what_a_job_found,
    conditions_over_outputs_are_decided_when_these_are_there,
    only_what_failed_is_run_again,
);

#[tokio::test]
async fn a_job_is_for_tags_or_for_branches() {
    let yard = Yard::start(Setup::default(), "release", "").await;
    let branch = yard.push(WorkloadState::Completed).await;
    let states = branch.states();
    assert_eq!((states["publish"], states["snapshot"]), (Skipped, Completed));
    let tag = push_with("/ref", "refs/tags/v1.2.3");
    let id = yard.sends("push", "d-2", tag).await;
    let tag = yard.ends(id, WorkloadState::Completed).await;
    let states = tag.states();
    assert_eq!((states["publish"], states["snapshot"]), (Completed, Skipped));
    tag.says("publish", &["publishing 1.2.3"]).await;
    tag.says("build", &["built v1.2.3 (tag)"]).await;
}

#[tokio::test]
async fn a_failure_is_told_and_what_reports_it_runs() {
    let yard = Yard::start(Setup::default(), "failing", "").await;
    let ended = yard.push(WorkloadState::Failed).await;
    let states = ended.states();
    assert_eq!((states["test"], states["deploy"], states["alarm"]), (Failed, Skipped, Completed));
    ended
        .says(
            "test",
            &[
                "##[warning]",
                "flaky was failure and is success",
                "timeout-minutes: `failure` is no whole number from 1",
                "##[error]",
                "assertion failed",
                "collecting what is left",
                "cleaning up after failure",
            ],
        )
        .await;
    assert!(!ended.log("test").await.contains("this never begins"));
    assert!(!ended.log("test").await.contains("this is never seen"));
    ended.says("alarm", &["test was failure and deploy skipped"]).await;
    let id = ended.workload.jobs.iter().find(|job| job.name == "test").unwrap().id;
    let job = yard.server.api.job(id).await;
    let error = job.attempts[0].error.clone().unwrap();
    assert!(error.contains("The test itself") && error.contains("exit code 7"), "{error}");
    assert!(error.contains("expected 3, got 4"), "the last lines are in it: {error}");
}

#[tokio::test]
async fn inputs_of_a_start_by_hand_have_their_kinds() {
    let yard = Yard::start(Setup::default(), "by-hand", "").await;
    let run = |inputs: Value| json!({ "ref": "main", "inputs": inputs });
    let path = "/workflows/by-hand/run";
    let started = yard.server.api.post(path, run(json!({"version": "1.0; touch pwned"}))).await;
    assert_eq!(started.status, 202, "{started:?}");
    let accepted: DeliveryAccepted = started.json();
    let ended = yard.ends(accepted.workloads[0], WorkloadState::Completed).await;
    ended.says("deploy", &["deploying 1.0; touch pwned to staging with 2 replicas"]).await;
    assert!(!ended.log("deploy").await.contains("would deploy"));

    let wrong = yard.server.api.post(path, run(json!({"version": "1", "target": "moon"}))).await;
    let (status, detail) = wrong.problem();
    assert_eq!(status, 400);
    assert!(
        wrong.json::<Value>()["detail"].as_str().unwrap().contains("`moon` is none of"),
        "{detail}"
    );
    let missing = yard.server.api.post(path, run(json!({}))).await;
    assert_eq!(missing.status, 400, "{missing:?}");
}

#[tokio::test]
async fn shells_files_and_commands_work_as_githubs() {
    let yard = Yard::start(Setup::default(), "shells", "").await;
    let ended = yard.push(WorkloadState::Completed).await;
    let expected = [
        "tool says hello",
        "colour=blue",
        "first line\n",
        "second line",
        "in sub with",
        "python sees refs/heads/main",
        "the password is ***",
        "all shells work",
    ];
    ended.says("all", &expected).await;
    assert!(!ended.log("all").await.contains("password is hunter2"));
}

/// The hostile corpus in every place that a stranger writes: nothing of it is carried out.
#[tokio::test]
async fn what_strangers_write_is_never_part_of_a_script() {
    let yard = Yard::start(Setup::default(), "comment", "").await;
    let folder = tempfile::TempDir::new().unwrap();
    let canary = folder.path().join("pwned");
    let attacks = [
        format!("\"; touch {0}; echo \"", canary.display()),
        format!("$(touch {0}) `touch {0}`", canary.display()),
        format!("' ; touch {0} ; '", canary.display()),
        format!("x\nEOF\ntouch {0}\n", canary.display()),
    ];
    for (number, attack) in attacks.iter().enumerate() {
        let mut body: Value = serde_json::from_slice(&fixture("issue_comment_on_pr")).unwrap();
        body["action"] = json!("created");
        body["issue"]["title"] = json!(attack);
        body["comment"]["body"] = json!(format!("/check {attack}"));
        let body = serde_json::to_vec(&body).unwrap();
        let id = yard.sends("issue_comment", &format!("c-{number}"), body).await;
        let ended = yard.ends(id, WorkloadState::Completed).await;
        let first = attack.lines().next().unwrap();
        let (title, comment) = (format!("title is {first}"), format!("comment is /check {first}"));
        ended.says("answer", &[&title, &comment, "number="]).await;
        assert!(!Path::new(&canary).exists(), "`{attack}` was carried out");
    }
}

/// Every example is sound, and says what it becomes.
#[tokio::test]
async fn every_example_can_be_tried_without_a_server() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");
    let push = format!("{fixtures}/github/push.json");
    for name in [
        "ci",
        "matrix",
        "generated",
        "release",
        "changes",
        "failing",
        "shells",
        "deploy",
        "superseded",
    ] {
        let file = format!("{fixtures}/workflows/{name}.yml");
        let said =
            crate::support::command::run(["try", "workflow", &file, "--event", &push, "--json"])
                .await;
        let tried = said.json();
        assert_eq!(tried["starts"]["run"], true, "{name}: {tried}");
        assert!(!tried["jobs"].as_array().unwrap().is_empty());
    }
    let file = format!("{fixtures}/workflows/by-hand.yml");
    let said =
        crate::support::command::run(["try", "workflow", &file, "--input", "version=3"]).await;
    assert!(said.out.contains("Deploy 3 to staging"), "{}", said.out);
    let said = crate::support::command::run(["try", "workflow", &file]).await;
    assert_eq!(said.code(), 2);
    assert!(said.err.contains("input `version` is required"), "{}", said.err);
}
