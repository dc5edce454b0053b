//! What no job's log, outputs or error may show, and who gets it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::agent_runner::RunnerOptions;
use crate::model::{AttemptOutcome, JobWork, LeaseToken, Step, Trust, TrustLevel};

use super::Runner;
use super::fake::Fake;

/// A variable that the test's own environment has, with a value that is nowhere else in a log.
const SECRET: &str = "CARGO_PKG_DESCRIPTION";

fn secret() -> String {
    std::env::var(SECRET).expect("cargo and nextest set it")
}

fn with_secret(options: &mut RunnerOptions) {
    options.secret_env = vec![SECRET.into()];
}

fn submit(fake: &Fake, level: TrustLevel, script: &str) -> LeaseToken {
    let run = script.to_owned();
    let step = Step { run, ..Step::default() };
    fake.submit_with(JobWork::Steps(vec![step]), |lease| {
        lease.context.trust = Trust { level, reason: "a test says so".into() };
    })
}

#[tokio::test]
async fn a_trusted_step_gets_the_runners_secrets_and_nothing_that_is_sent_shows_them() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, with_secret);
    let whole = secret();
    let script = format!(
        "fail '{whole}' # {whole}\n\
         printf '%s' \"${{{SECRET}:0:9}}\"; printf '%s\\n' \"${{{SECRET}:9}}\" >&2\n\
         printf '%s' \"user:${SECRET}\" | base64 -w0; echo\n\
         echo \"a=<${SECRET}>\" >> \"$DISPATCHYARD_OUTPUT\"\n\
         echo \"no output ${SECRET}\" >> \"$DISPATCHYARD_OUTPUT\"\n\
         cat ../../../../token ../../../runner.json\n\
         exit 1"
    );
    let script = format!("fail() {{ echo \"got $#\"; }}; {script}");
    let lease = submit(&fake, TrustLevel::Trusted, &script);
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, end.exit_code), (AttemptOutcome::Failed, Some(1)));
    let lines = seen.lines();
    assert_eq!(lines[1..3], ["got 1", "***"], "{}", seen.text());
    assert!(lines[3].ends_with("***"), "{}", lines[3]);
    assert_eq!(end.outputs["a"], "<***>");
    let error = end.error.expect("an error");
    assert!(error.contains("***"), "{error}");
    let sent = format!("{}{error}{:?}", seen.text(), end.outputs);
    let encoded = STANDARD.encode(&whole);
    for part in [&whole[..20], &encoded[..20], "registration-secret", "runner-secret"] {
        assert!(!sent.contains(part), "{part}: {sent}");
    }
    assert!(sent.contains("`no output ***` is no output"), "{sent}");
    runner.drain().await;
}

#[tokio::test]
async fn a_stranger_gets_no_secrets_unless_the_operator_says_so() {
    let script = format!("test -n \"${SECRET}\" && echo has || echo none");
    for (level, may) in [
        (TrustLevel::Untrusted, false),
        (TrustLevel::Unknown, false),
        (TrustLevel::Untrusted, true),
    ] {
        let fake = Fake::start();
        let runner = Runner::start(&fake, |options| {
            with_secret(options);
            options.secrets_for_untrusted = may;
        });
        let (_, seen) = fake.completed(submit(&fake, level, &script)).await;
        let lines = seen.lines();
        assert_eq!(lines.contains(&"has".to_owned()), may, "{lines:?}");
        let told = "##[warning] not trusted, so without secrets: a test says so";
        assert_eq!(lines.contains(&told.to_owned()), !may, "{lines:?}");
        runner.drain().await;
    }
}

#[tokio::test]
async fn a_value_that_a_step_names_is_masked_in_all_that_follows_of_its_job_alone() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&[
        "echo open sesame; echo ::add-mask::sesame; echo open sesame",
        "echo again sesame; echo v=sesame >> \"$DISPATCHYARD_OUTPUT\"; printf 'sesa'",
    ]);
    let other = fake.submit(&["echo sesame"]);
    let (end, seen) = fake.completed(lease).await;
    let lines = seen.lines();
    let named = lines.iter().position(|line| line == "::add-mask::***").expect("it is logged");
    assert_eq!(lines[named - 1], "open sesame");
    assert!(!lines[named..].join("\n").contains("sesame"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("sesa"));
    assert_eq!(end.outputs["v"], "***");
    let (_, seen) = fake.completed(other).await;
    assert!(seen.lines().contains(&"sesame".to_owned()), "{}", seen.text());
    runner.drain().await;
}

#[tokio::test]
async fn a_secret_is_masked_when_a_background_child_writes_its_end_after_the_step() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&[
        "echo ::add-mask::open-sesame\n\
         (while [ ! -e go ]; do sleep 0.01; done; echo sesame; echo done > went) & printf open-",
        "touch go; while [ ! -e went ]; do sleep 0.01; done",
    ]);
    let (_, seen) = fake.completed(lease).await;
    let lines = seen.lines();
    assert!(lines.contains(&"***".to_owned()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.starts_with("open-") || line == "sesame"), "{lines:?}");
    runner.drain().await;
}

#[tokio::test]
async fn a_secret_that_the_runner_does_not_have_keeps_it_from_starting() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |o| o.secret_env = vec!["NO_SUCH_VARIABLE".into()]);
    let error = runner.task.await.expect("no panic").expect_err("refused").to_string();
    assert!(error.contains("--secret-env") && error.contains("`NO_SUCH_VARIABLE`"), "{error}");
}

#[tokio::test]
async fn a_step_finds_exactly_what_is_documented_in_its_environment() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, with_secret);
    let script = "env | cut -d= -f1; echo sockets $(readlink /proc/$$/fd/* | grep -c socket)";
    let lease = submit(&fake, TrustLevel::Trusted, script);
    let (_, seen) = fake.completed(lease).await;
    let expected = [
        SECRET,
        "CI",
        "DISPATCHYARD_ATTEMPT",
        "DISPATCHYARD_ATTEMPT_NUMBER",
        "DISPATCHYARD_CAUSE",
        "DISPATCHYARD_IDEMPOTENCY_KEY",
        "DISPATCHYARD_JOB_ID",
        "DISPATCHYARD_JOB_NAME",
        "DISPATCHYARD_NAMESPACE",
        "DISPATCHYARD_NEEDS_PATH",
        "DISPATCHYARD_OUTPUT",
        "DISPATCHYARD_RUN",
        "DISPATCHYARD_RUNNER",
        "DISPATCHYARD_TRUST",
        "DISPATCHYARD_WORKLOAD_ID",
        "DISPATCHYARD_WORKSPACE",
        "GITHUB_ENV",
        "GITHUB_OUTPUT",
        "GITHUB_PATH",
        "GITHUB_STATE",
        "GITHUB_STEP_SUMMARY",
        "HOME",
        "LANG",
        "PATH",
    ];
    // The shell itself sets a few, and the runner hands TMPDIR on where it has one.
    let own = ["_", "OLDPWD", "PWD", "SHLVL", "TMPDIR"];
    let lines = seen.lines();
    let mut found: Vec<&str> = lines[1..].iter().map(String::as_str).collect();
    assert_eq!(found.pop(), Some("sockets 0"), "{lines:?}");
    found.retain(|name| !own.contains(name));
    found.sort_unstable();
    assert_eq!(found, expected);
    runner.drain().await;
}
