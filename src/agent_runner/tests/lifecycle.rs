//! What a job gets, does and leaves.

use serde_json::json;

use crate::agent_runner::workspace_lock::WorkspaceLock;
use crate::model::{
    AttemptOutcome, HeldUnits, JobWork, RequeueReason, Step, TrustLevel, Untrusted,
};

use super::Runner;
use super::fake::{Fake, World};

#[tokio::test]
async fn steps_run_in_order_in_one_workspace_and_give_outputs_and_a_log() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |o| o.labels = vec!["Fast".into()]);
    let lease = fake.submit(&[
        "echo one > file; echo out; echo err >&2",
        "cat file; echo result=42 >> \"$DISPATCHYARD_OUTPUT\"; printf 'no line end'",
    ]);
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, end.exit_code, end.error), (AttemptOutcome::Completed, Some(0), None));
    assert_eq!(end.outputs["result"], "42");
    let lines = seen.lines();
    assert!(lines[0].starts_with("##[step] echo one"), "{lines:?}");
    assert_eq!(lines[1..3], ["out", "err"]);
    assert!(lines[3].starts_with("##[step] cat file"), "{lines:?}");
    assert_eq!(lines[4..], ["one", "no line end"]);
    let stamp = seen.text()[..24].to_owned();
    assert!(stamp.parse::<jiff::Timestamp>().is_ok() && stamp.ends_with('Z'), "{stamp}");

    let registered = fake.world().registrations[0].clone();
    assert_eq!(registered.name, "tester");
    assert!(registered.capabilities.labels.iter().any(|label| **label == *"fast"));
    runner.drain().await;
}

#[tokio::test]
async fn the_first_failing_step_ends_the_job_and_is_named() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["true", "false | true", "echo never"]);
    let killed = fake.submit(&["kill -9 $$"]);
    let told_of = fake.submit(&["sh -c 'kill -9 $$'"]);
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, end.exit_code), (AttemptOutcome::Failed, Some(1)));
    let error = end.error.unwrap_or_default();
    assert_eq!(error.lines().next(), Some("step `false | true` failed with exit code 1"));
    assert!(seen.lines().contains(&"##[skipped] echo never".to_owned()), "{}", seen.text());
    assert!(!seen.lines().contains(&"never".to_owned()), "{}", seen.text());
    let (end, _) = fake.completed(killed).await;
    assert_eq!((end.outcome, end.exit_code, end.signal), (AttemptOutcome::Failed, None, Some(9)));
    assert!(end.error.is_some_and(|error| error.contains("signal 9 (SIGKILL)")));
    let (end, _) = fake.completed(told_of).await;
    assert_eq!((end.exit_code, end.signal), (Some(137), None));
    runner.drain().await;
}

#[tokio::test]
async fn event_text_reaches_a_step_as_data_and_nothing_of_the_runners_secrets_does() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let script = r#"
        echo "title: $DISPATCHYARD_EVENT_TITLE"
        grep -c 'pwned' "$DISPATCHYARD_EVENT_PATH"
        cat "$DISPATCHYARD_PAYLOAD_PATH"; echo
        cat "$DISPATCHYARD_NEEDS_PATH"; echo
        echo "$DISPATCHYARD_IDEMPOTENCY_KEY $DISPATCHYARD_JOB_ID $CI $TRACEPARENT $FROM_FILE"
        env
        tr '\0' '\n' < /proc/$$/cmdline
    "#;
    let step = crate::model::Step {
        name: Some("look".into()),
        run: script.into(),
        env: [("FROM_FILE".to_owned(), "step".to_owned())].into(),
        ..Default::default()
    };
    let lease = fake.submit_with(JobWork::Steps(vec![step]), |lease| {
        lease.context.event = Some(json!({
            "kind": "issues", "subject": { "title": "$(touch pwned); `id`" },
        }));
        lease.context.env = [("FROM_FILE".to_owned(), "job".to_owned())].into();
        lease.context.traceparent = Some("00-trace".into());
        lease.context.needs =
            [("setup".to_owned(), [("v".to_owned(), "1".to_owned())].into())].into();
        lease.context.has_payload = true;
        lease.payload = "raw body".into();
    });
    fake.change(|world| world.refuse.insert("event", 2));
    let (end, seen) = fake.completed(lease).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{:?}", end.error);
    let lines = seen.lines();
    assert_eq!(
        lines[1..6],
        [
            "title: $(touch pwned); `id`",
            "1",
            "raw body",
            r#"{"setup":{"v":"1"}}"#,
            "job-1 1 true 00-trace step",
        ]
    );
    let commands = lines.iter().rev().take_while(|line| !line.contains('='));
    assert!(commands.into_iter().all(|argument| !argument.contains("pwned")));
    // A mask would mean that a secret was there to be masked.
    for secret in ["registration-secret", "runner-secret", "CARGO", "***"] {
        assert!(!seen.text().contains(secret), "{secret}");
    }
    runner.drain().await;
}

#[tokio::test]
async fn an_agent_gets_its_prompt_on_standard_input_and_only_known_profiles_run() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| {
        options.agents = [
            ("echo".to_owned(), "cat; echo \"by $DISPATCHYARD_AGENT_PROFILE\"".to_owned()),
            ("deaf".to_owned(), "exec 0<&-; echo done".to_owned()),
        ]
        .into();
    });
    let agent = |profile: &str, prompt: String| {
        let prompt = Untrusted::new(prompt);
        fake.submit_with(JobWork::Agent { profile: profile.into(), prompt }, |_| {})
    };
    let heard = agent("echo", "do $(this)\n".into());
    let deaf = agent("deaf", "x".repeat(1 << 20));
    let unknown = agent("other", "hello".into());
    let (end, seen) = fake.completed(heard).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed);
    assert_eq!(seen.lines(), ["##[step] agent echo", "do $(this)", "by echo"]);
    let (end, _) = fake.completed(deaf).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{:?}", end.error);
    let (end, _) = fake.completed(unknown).await;
    let error = end.error.expect("an error");
    assert_eq!(end.outcome, AttemptOutcome::Failed);
    assert!(error.contains("no agent profile `other` (it has: deaf, echo)"), "{error}");
    runner.drain().await;
}

#[tokio::test]
async fn background_children_serve_later_steps_and_die_with_the_job() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&[
        "sleep 600 & echo $! > in-group; setsid sleep 600 & echo $! > escaped",
        "env -i sleep 600 & echo $! > unmarked",
        "kill -0 $(cat in-group) $(cat escaped) && echo both live",
        "cat in-group escaped unmarked",
    ]);
    let (end, seen) = fake.completed(lease).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{}", seen.text());
    let lines = seen.lines();
    assert!(lines.contains(&"both live".to_owned()), "{lines:?}");
    for pid in &lines[lines.len() - 3..] {
        let process = super::super::procfs::Process::find(pid.parse().expect("a pid"));
        assert!(process.is_none_or(|process| process.dead), "{pid} lives");
    }
    runner.drain().await;
}

#[tokio::test]
async fn a_folder_goes_with_its_attempt_unless_it_is_to_be_kept() {
    for keep in [false, true] {
        let fake = Fake::start();
        let runner = Runner::start(&fake, |options| options.keep_workspaces = keep);
        let lease = fake.submit(&["echo x > made"]);
        fake.completed(lease).await;
        let made = runner.jobs().join("1-1/workspace/made");
        let folder = runner.folder.path().to_owned();
        runner.stop.drain();
        let Runner { task, folder: temp, .. } = runner;
        task.await.expect("no panic").expect("no error");
        assert_eq!(made.exists(), keep, "{}", folder.display());
        drop(temp);
    }
}

#[tokio::test]
async fn a_kept_workspace_is_waited_for_and_then_the_job_is_given_back() {
    for wait_ms in [60_000, 1] {
        let fake = Fake::start();
        let warm = tempfile::tempdir().expect("tempdir");
        let slot = warm.path().join("slot-0");
        let other = WorkspaceLock::try_take(&WorkspaceLock::path(&slot)).expect("no error");
        assert!(other.is_some(), "another runner has it");
        let runner = Runner::start(&fake, |options| {
            options.warm_workspaces = vec!["slot".into()];
            options.warm_dir = Some(warm.path().to_owned());
            options.workspace_wait_ms = wait_ms;
        });
        let (run, env) = ("pwd".to_owned(), Default::default());
        let work = JobWork::Steps(vec![Step { run, env, ..Step::default() }]);
        let lease = fake.submit_with(work, |lease| {
            lease.context.trust.level = TrustLevel::Trusted;
            lease.assignment.units = HeldUnits([("slot".into(), vec![0])].into());
        });
        let warned = "##[warning] another runner still uses this workspace: waiting for it";
        fake.logged(lease, warned).await;
        if wait_ms > 1 {
            drop(other);
            let (end, seen) = fake.completed(lease).await;
            assert_eq!(end.outcome, AttemptOutcome::Completed, "{:?}", end.error);
            let slot = slot.canonicalize().expect("made");
            assert_eq!(seen.lines().last(), Some(&slot.display().to_string()));
        } else {
            let given_back = |world: &World| world.leases[&lease].released;
            let reason = fake.wait("given back", given_back).await;
            assert_eq!(reason, RequeueReason::ExecutorUnavailable);
            assert_eq!(fake.world().leases[&lease].lines(), [warned], "no step was run");
        }
        runner.drain().await;
    }
}
