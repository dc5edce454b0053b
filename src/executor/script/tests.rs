//! The script, carried out by the shell of this machine.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::*;
use crate::executor::ExecutionStatus;
use crate::model::{
    HeldUnits, JobId, JobPriority, LeaseToken, Nonce, Trust, WorkflowJob, WorkloadId, WorkloadKind,
};

fn event() -> TaskReadyEvent {
    TaskReadyEvent {
        job_id: JobId(7),
        workload_id: WorkloadId(3),
        run: 1,
        kind: WorkloadKind::Workflow,
        name: "a".into(),
        namespace: "default::workflow::w::a".into(),
        priority: JobPriority::Normal,
        attempt: 2,
        max_attempts: 2,
        timeout_ms: 60_000,
        units: HeldUnits([("gpu".into(), vec![1])].into()),
        lease: LeaseToken::new(1, 1),
        nonce: Nonce(1),
        attempt_key: "job-7-attempt-2".into(),
    }
}

fn context(work: JobWork) -> JobContext {
    JobContext {
        job_id: JobId(7),
        attempt: 2,
        idempotency_key: "job-7-run-1".into(),
        work,
        env: BTreeMap::new(),
        trust: Trust::default(),
        event: None,
        has_payload: false,
        needs: BTreeMap::new(),
        traceparent: None,
        workflow: None,
        session: None,
    }
}

fn step(run: &str) -> Step {
    Step { run: run.to_owned(), ..Step::default() }
}

fn steps(runs: &[&str]) -> JobContext {
    context(JobWork::Steps(runs.iter().map(|run| step(run)).collect()))
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Begins a job below this folder.
fn begin(folder: &Path, context: &JobContext, bytes_max: Option<u32>) -> Child {
    let at = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (bundle, work, report) = (at("bundle"), at("work"), at("report"));
    let places =
        Places { bundle: &bundle, work: &work, report: &report, report_bytes_max: bytes_max };
    let agents = env(&[("echo", "cat; printf ' by %s' \"$DISPATCHYARD_AGENT_PROFILE\"")]);
    let payload = context.has_payload.then(|| b"raw\0".to_vec());
    let made = Bundle::new("box", &event(), context, payload, &agents, places).unwrap();
    std::fs::create_dir(&bundle).unwrap();
    for (name, content) in &made.files {
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)), "{name}");
        std::fs::write(Path::new(&bundle).join(name), content).unwrap();
    }
    let log = std::fs::File::create(folder.join("log")).unwrap();
    Command::new(&made.command[0])
        .args(&made.command[1..])
        .env("FROM_IMAGE", "yes")
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn end(folder: &Path, mut child: Child) -> (ExecutionResult, String) {
    let code = child.wait().unwrap().code().unwrap();
    let report = Report::read(&std::fs::read(folder.join("report")).unwrap(), &Secrets::default());
    (report.result(code), std::fs::read_to_string(folder.join("log")).unwrap())
}

fn run(context: &JobContext) -> (ExecutionResult, String) {
    let folder = tempfile::tempdir().unwrap();
    let child = begin(folder.path(), context, None);
    end(folder.path(), child)
}

#[test]
fn steps_run_one_after_the_other_in_one_workspace_until_one_fails() {
    let (done, log) = run(&steps(&[
        "echo one > file\necho first=1 >> \"$DISPATCHYARD_OUTPUT\"",
        "cat file; test \"$PWD\" = \"$DISPATCHYARD_WORKSPACE\"; printf second=2 >> $DISPATCHYARD_OUTPUT",
    ]));
    assert_eq!((done.status, done.exit_code), (ExecutionStatus::Completed, Some(0)), "{log}");
    assert_eq!(done.outputs, env(&[("first", "1"), ("second", "2")]));
    assert!(log.contains("##[step] echo one > file\n") && log.contains("\none\n"), "{log}");

    let (failed, log) = run(&steps(&["echo a=b >> $DISPATCHYARD_OUTPUT; false | true", "echo no"]));
    // With a bash a pipe fails for any of its parts.
    assert_eq!((failed.status, failed.exit_code), (ExecutionStatus::Failed, Some(1)), "{log}");
    assert!(failed.error.unwrap().ends_with("` failed with exit code 1"));
    assert_eq!(failed.outputs, env(&[("a", "b")]));
    assert!(!log.contains("\nno\n"), "{log}");
}

#[test]
fn no_value_is_ever_more_than_a_value() {
    let hostile = "'\"`$(touch pwned)`\\$HOME;\n--\n\t*\u{e9} \n\n";
    let mut job = steps(&[
        "printf %s \"$V\" > v; printf %s \"$DISPATCHYARD_EVENT_TITLE\" > title; cp v title \
         \"$DISPATCHYARD_EVENT_PATH\" \"$DISPATCHYARD_NEEDS_PATH\" \"$DISPATCHYARD_PAYLOAD_PATH\" ../..",
        "env > ../../env; echo \"$STEP $OVER\"; ls",
    ]);
    let JobWork::Steps(all) = &mut job.work else { unreachable!() };
    all[0].name = Some("$(touch pwned)`'\"\nsecond line".into());
    all[1].env = env(&[("STEP", "s"), ("OVER", "step"), ("a.b-c", "odd"), ("-i", "no")]);
    job.env = env(&[
        ("V", hostile),
        ("OVER", "job"),
        ("IFS", "/"),
        ("PPID", "1"),
        ("DISPATCHYARD_JOB_ID", "8"),
        ("A=B", "x"),
        ("$(touch pwned)", "x"),
    ]);
    job.event = Some(json!({ "kind": "push", "subject": { "title": hostile } }));
    job.needs = [("n".to_owned(), env(&[("o", hostile)]))].into();
    job.has_payload = true;
    let folder = tempfile::tempdir().unwrap();
    let child = begin(folder.path(), &job, None);
    let (done, log) = end(folder.path(), child);
    assert_eq!(done.status, ExecutionStatus::Completed, "{log}");
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("v"), hostile.as_bytes());
    assert_eq!(read("title"), hostile.as_bytes());
    assert_eq!(read("payload"), b"raw\0");
    let event: serde_json::Value = serde_json::from_slice(&read("event.json")).unwrap();
    assert_eq!(event["subject"]["title"], hostile);
    let needs: serde_json::Value = serde_json::from_slice(&read("needs.json")).unwrap();
    assert_eq!(needs["n"]["o"], hostile);
    assert!(log.contains("s step\n") && !log.contains("pwned\n"), "{log}");
    assert!(log.contains("##[step] $(touch pwned)`'\" second line\n"), "{log}");
    for name in ["A=B", "DISPATCHYARD_JOB_ID", "$(touch pwned)", "-i"] {
        let told = format!("##[warning] variable `{name}` cannot be set\n");
        assert!(log.contains(&told), "{name}: {log}");
    }
    let variables = String::from_utf8(read("env")).unwrap();
    for line in [
        "CI=true",
        "FROM_IMAGE=yes",
        "DISPATCHYARD_JOB_ID=7",
        "DISPATCHYARD_ATTEMPT_NUMBER=2",
        "DISPATCHYARD_IDEMPOTENCY_KEY=job-7-run-1",
        "DISPATCHYARD_RUNNER=box",
        "DISPATCHYARD_TRUST=unknown",
        "DISPATCHYARD_UNIT_GPU=1",
        "DISPATCHYARD_EVENT_KIND=push",
        "a.b-c=odd",
    ] {
        assert!(variables.lines().any(|it| it == line), "{line} is not in {variables}");
    }
}

#[test]
fn an_agent_reads_its_prompt_and_one_that_nobody_knows_is_told_of() {
    let work =
        |profile: &str| JobWork::Agent { profile: profile.into(), prompt: "do $(this)\n".into() };
    let (done, log) = run(&context(work("echo")));
    assert_eq!(done.status, ExecutionStatus::Completed);
    assert_eq!(log, "##[step] agent echo\ndo $(this)\n by echo");
    let places = Places { bundle: "/b", work: "/w", report: "/r", report_bytes_max: None };
    let none = BTreeMap::new();
    let error = Bundle::new("box", &event(), &context(work("x")), None, &none, places).unwrap_err();
    assert!(error.to_string().contains("no agent profile `x` (it has: none)"), "{error}");
}

#[test]
fn a_step_that_takes_too_long_is_stopped() {
    let mut job = steps(&["sleep 60", "echo no"]);
    let JobWork::Steps(all) = &mut job.work else { unreachable!() };
    all[0].timeout_ms = Some(200);
    let (done, log) = run(&job);
    assert_eq!(done.status, ExecutionStatus::Failed, "{log}");
    assert_eq!(done.error.as_deref(), Some("step `sleep 60` ran longer than its time"));
    assert!(log.contains("ran longer than its 1 s"), "{log}");
}

#[test]
fn a_stop_is_told_to_the_step_which_may_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let job =
        steps(&["trap 'echo cleaned; exit 0' TERM; echo ready; sleep 60 & wait; wait", "echo no"]);
    let child = begin(folder.path(), &job, None);
    while !std::fs::read_to_string(folder.path().join("log")).unwrap().contains("\nready\n") {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let (done, log) = end(folder.path(), child);
    assert_eq!((done.status, done.exit_code), (ExecutionStatus::Cancelled, Some(143)), "{log}");
    assert!(log.contains("cleaned\n") && !log.contains("\nno\n"), "{log}");
}

#[test]
fn a_report_that_has_no_room_loses_whole_outputs_and_says_so() {
    let write = "i=0; while [ $i -lt 200 ]; do echo \"name-$i=0123456789\" >> $DISPATCHYARD_OUTPUT; i=$((i+1)); done";
    let folder = tempfile::tempdir().unwrap();
    let child = begin(folder.path(), &steps(&[write, "exit 3"]), Some(1_024));
    let (done, log) = end(folder.path(), child);
    assert!(std::fs::metadata(folder.path().join("report")).unwrap().len() <= 1_024);
    assert_eq!(done.exit_code, Some(3));
    assert!(done.outputs.len() > 10 && done.outputs.values().all(|it| it == "0123456789"));
    assert!(log.contains("##[warning] outputs beyond 512 bytes are dropped"), "{log}");
}

#[test]
fn what_was_never_reported_is_told_by_its_exit_code() {
    let killed = Report::read(b"", &Secrets::default()).result(137);
    assert_eq!(
        killed.error.as_deref(),
        Some("it ended with exit code 137 (a shell's for SIGKILL)")
    );
    let forged = Report::read(b"a=b\n##[end] completed 0 whole x\n", &Secrets::default());
    assert_eq!(forged.result(9).status, ExecutionStatus::Failed);
}

/// Makes the bundle of a job, or tells why there is none.
fn made(context: &JobContext) -> Result<Bundle, String> {
    let places = Places { bundle: "/b", work: "/w", report: "/r", report_bytes_max: None };
    let made = Bundle::new("box", &event(), context, Some(b"{}".to_vec()), &env(&[]), places);
    made.map_err(|error| error.to_string())
}

fn of_workflow(step: Step) -> JobContext {
    let contexts = json!({ "github": { "ref": "refs/heads/$(id)", "event_name": "push" } });
    let contexts = contexts.as_object().unwrap().clone();
    let workflow = WorkflowJob { key: "k".into(), contexts, ..WorkflowJob::default() };
    let mut context = context(JobWork::Steps(vec![step]));
    context.workflow = Some(Box::new(workflow));
    context
}

#[test]
fn a_job_of_a_workflow_without_expressions_finds_githubs_variables() {
    let files = made(&of_workflow(step("env"))).unwrap().files;
    let own: Vec<&[u8]> = files
        .iter()
        .filter(|(name, _)| name.starts_with("own-"))
        .map(|(_, content)| content.as_slice())
        .collect();
    for line in ["GITHUB_REF=refs/heads/$(id)", "GITHUB_JOB=k", "GITHUB_EVENT_PATH=/b/payload"] {
        assert!(own.contains(&line.as_bytes()), "{line}");
    }
}

#[test]
fn what_takes_a_runner_is_refused_with_what_to_do() {
    let route = "which the executor `box` cannot carry out: route the job to `runners` or to an \
                 executor of the kind `process`";
    let table = [
        (json!({ "run": "x", "if": "always()" }), "step `x` has `if`"),
        (json!({ "name": "n", "uses": "a/b@v1" }), "step `n` has `uses`"),
        (json!({ "run": "x", "shell": "python" }), "step `x` has `shell`"),
        (json!({ "run": "echo ${{ 1 }}" }), "step `echo ${{ 1 }}` has expressions"),
        (json!({ "run": "x", "env": { "A": "${{ 1 }}" } }), "step `x` has expressions"),
        (json!({ "run": "x >> $GITHUB_ENV" }), "step `x >> $GITHUB_ENV` has `GITHUB_ENV`"),
    ];
    for (fields, expected) in table {
        let step: Step = serde_json::from_value(fields).unwrap();
        assert_eq!(made(&of_workflow(step)), Err(format!("{expected}, {route}")));
    }
    let mut with_outputs = of_workflow(step("x"));
    let workflow = with_outputs.workflow.as_mut().unwrap();
    workflow.outputs = env(&[("a", "1")]);
    assert!(made(&with_outputs).unwrap_err().starts_with("the job has `outputs`, "));
    // Text of a job that was submitted is only text.
    assert!(made(&steps(&["echo ${{ 1 }} $GITHUB_ENV"])).is_ok());
    assert!(
        made(&context(JobWork::Steps(vec![Step { uses: Some("a".into()), ..step("") }]))).is_err()
    );
}
