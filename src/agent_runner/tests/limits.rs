//! Steps that use more than they may.

use crate::agent_runner::StepLimits;
use crate::model::AttemptOutcome;

use super::Runner;
use super::fake::Fake;

#[tokio::test]
async fn a_step_over_a_limit_ends_and_its_result_names_the_signal() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| {
        options.step_limits =
            StepLimits { cpu_s: Some(1), file_mb: Some(1), ..StepLimits::default() };
    });
    let busy = fake.submit(&["while :; do :; done"]);
    let wordy = fake.submit(&["exec head -c 1048577 /dev/zero > long"]);
    let child = fake.submit(&["head -c 1048577 /dev/zero > long"]);
    let fits = fake.submit(&["head -c 1048576 /dev/zero > long; stat -c %s long"]);

    let (end, _) = fake.completed(busy).await;
    assert_eq!((end.outcome, end.exit_code, end.signal), (AttemptOutcome::Failed, None, Some(24)));
    assert!(end.error.is_some_and(|error| error.contains("signal 24 (SIGXCPU)")));
    let (end, _) = fake.completed(wordy).await;
    assert_eq!((end.outcome, end.exit_code, end.signal), (AttemptOutcome::Failed, None, Some(25)));
    // Here the shell ends by itself, and says of which signal its command died.
    let (end, _) = fake.completed(child).await;
    assert_eq!((end.outcome, end.exit_code, end.signal), (AttemptOutcome::Failed, Some(153), None));
    assert!(end.error.is_some_and(|error| error.contains("(a shell's for SIGXFSZ)")));
    let (end, seen) = fake.completed(fits).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{}", seen.text());
    runner.drain().await;
}

#[tokio::test]
async fn memory_and_open_files_are_limited_too_and_a_step_cannot_get_more() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| {
        options.step_limits =
            StepLimits { memory_mb: Some(256), open_files: Some(20), ..StepLimits::default() };
    });
    let lease = fake.submit(&[
        "ulimit -v; ulimit -n; ulimit -c",
        "if dd if=/dev/zero of=/dev/null bs=600M count=1; then echo much; else echo little; fi",
    ]);
    let (end, seen) = fake.completed(lease).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{}", seen.text());
    let lines = seen.lines();
    assert_eq!(lines[1..4], ["262144", "20", "0"], "{lines:?}");
    assert!(lines.contains(&"little".to_owned()), "{lines:?}");
    runner.drain().await;
}
