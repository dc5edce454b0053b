//! Steps of a submitted job on a real runner: conditions, what a failure tells, and what is refused.

use dispatchyard::model::{AttemptOutcome, JobStateKind};
use serde_json::{Value, json};

use crate::support::{RunnerSetup, Server, Setup};

fn job(steps: &Value) -> Value {
    json!({ "name": "a", "requirements": { "labels": ["x"] }, "work": { "steps": steps } })
}

#[tokio::test]
async fn a_failed_job_tells_its_step_and_its_last_lines_after_those_that_tidied_up() {
    let server = Server::start(&Setup::default().patient()).await;
    let _runner = RunnerSetup::new("one").start(&server.home, &server.api).await;
    let steps = json!([
        { "id": "soft", "run": "exit 9", "continue_on_error": "true" },
        { "name": "break", "run": "echo the reason; exit 4",
          "if": "steps.soft.outcome == 'failure'" },
        { "run": "echo not this" },
        { "run": "echo tidied", "if": "failure()" },
    ]);
    let (_, ids) = server.api.submit(json!([job(&steps)])).await;
    let done = server.api.job_is(ids[0], JobStateKind::Failed).await;
    let attempt = done.attempts.last().unwrap();
    assert_eq!((attempt.outcome, attempt.exit_code), (AttemptOutcome::Failed, Some(4)));
    let error = attempt.error.clone().unwrap();
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines[0], "step `break` failed with exit code 4");
    assert!(lines[1].starts_with("it was step 2 of 4, and ran "), "{error}");
    assert_eq!(lines[2..], ["  the reason"]);
    let log = server.api.log(ids[0]).await;
    assert!(log.contains("##[skipped] echo not this") && log.contains("tidied"), "{log}");
}

#[tokio::test]
async fn an_action_is_carried_out_by_the_command_of_a_runner_that_has_one() {
    let server = Server::start(&Setup::default().patient()).await;
    let command = "echo \"does $DISPATCHYARD_ACTION with $INPUT_DEPTH\"";
    let runner = RunnerSetup::new("one").arguments(&["--actions", command]);
    let _runner = runner.start(&server.home, &server.api).await;
    let steps = json!([{ "uses": "acme/checkout@v1", "with": { "depth": "2; false" } }]);
    let mut job = job(&steps);
    job["requirements"]["labels"] = json!(["actions"]);
    let (_, ids) = server.api.submit(json!([job])).await;
    server.api.job_is(ids[0], JobStateKind::Completed).await;
    let log = server.api.log(ids[0]).await;
    assert!(log.contains("does acme/checkout@v1 with 2; false"), "{log}");
}

#[tokio::test]
async fn a_step_that_nobody_could_run_is_refused_with_its_place() {
    let server = Server::start(&Setup::default()).await;
    let table = [
        (json!([{ "name": "n" }]), "job `a`: step 1: it has neither `run` nor `uses`"),
        (
            json!([{ "run": "x" }, { "run": "x", "uses": "a/b@v1" }]),
            "job `a`: step 2: it has both `run` and `uses`",
        ),
    ];
    for (steps, expected) in table {
        let answer =
            server.api.post("/workloads", json!({ "name": "w", "jobs": [job(&steps)] })).await;
        assert_eq!(answer.status, 400, "{answer:?}");
        assert!(format!("{answer:?}").contains(expected), "{answer:?}");
    }
}
