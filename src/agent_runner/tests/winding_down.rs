//! What still runs when work is stopped: steps that tidy up, within one grace time.

use serde_json::{Value, json};

use crate::agent_runner::RunnerOptions;
use crate::model::{AttemptOutcome, JobWork, RequeueReason, Step};

use super::Runner;
use super::fake::Fake;

fn steps(fields: &[Value]) -> JobWork {
    let step = |fields: &Value| serde_json::from_value::<Step>(fields.clone()).expect("a step");
    JobWork::Steps(fields.iter().map(step).collect())
}

fn has(lines: &[String], line: &str) -> bool {
    lines.iter().any(|have| have == line)
}

#[tokio::test]
async fn a_cancel_lets_steps_run_that_ask_for_it_and_no_others() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| options.grace_ms = 20_000);
    let lease = fake.submit_with(
        steps(&[
            json!({ "id": "long", "run": "echo up; sleep 600" }),
            json!({ "name": "next", "run": "echo next" }),
            json!({ "name": "failed", "if": "failure()", "run": "echo failed" }),
            json!({ "if": "cancelled() && steps.long.outcome == 'cancelled'", "run": "echo tidy one" }),
            json!({ "if": "always()", "run": "echo tidy two; exit 1" }),
        ]),
        |_| {},
    );
    fake.logged(lease, "up").await;
    fake.change(|world| world.cancel.insert(lease));
    let (end, seen) = fake.completed(lease).await;
    let lines = seen.lines();
    assert_eq!((end.outcome, end.signal), (AttemptOutcome::Cancelled, Some(15)), "{lines:?}");
    for line in ["##[skipped] next", "##[skipped] failed", "tidy one", "tidy two"] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
    runner.drain().await;
}

#[tokio::test]
async fn what_tidies_up_has_what_is_left_of_one_grace_and_not_more() {
    for by_time in [false, true] {
        let fake = Fake::start();
        let runner = Runner::start(&fake, |options| options.grace_ms = 2_500);
        let work = steps(&[
            json!({ "run": "echo up; sleep 600" }),
            json!({ "if": "always()", "run": "trap '' TERM; echo tidying; while :; do sleep 600 || true; done" }),
            json!({ "if": "always()", "run": "echo too late" }),
        ]);
        let lease = fake.submit_with(work, |lease| {
            if by_time {
                lease.assignment.timeout_ms = 2_000;
            }
        });
        fake.logged(lease, "up").await;
        if !by_time {
            fake.change(|world| world.cancel.insert(lease));
        }
        let (end, seen) = fake.completed(lease).await;
        let lines = seen.lines();
        let expected = if by_time { AttemptOutcome::TimedOut } else { AttemptOutcome::Cancelled };
        assert_eq!(end.outcome, expected, "{lines:?}");
        assert!(has(&lines, "tidying") && !has(&lines, "too late"), "{lines:?}");
        if by_time {
            let error = end.error.unwrap_or_default();
            assert!(error.contains("the job ran longer than 2000 ms"), "{error}");
        }
        runner.drain().await;
    }
}

#[tokio::test]
async fn a_forced_stop_and_a_lost_lease_let_nothing_more_run() {
    for is_lost in [false, true] {
        let fake = Fake::start();
        let runner = Runner::start(&fake, |_: &mut RunnerOptions| {});
        let lease = fake.submit_with(
            steps(&[
                json!({ "run": "echo up; sleep 600" }),
                json!({ "if": "always()", "run": "echo more > ../more; echo more" }),
            ]),
            |_| {},
        );
        fake.logged(lease, "up").await;
        if is_lost {
            fake.change(|world| world.lost.insert(lease));
            let next = fake.submit(&["test ! -e ../../1-1/more && echo nothing"]);
            let (end, _) = fake.completed(next).await;
            assert_eq!(end.outcome, AttemptOutcome::Completed);
            runner.drain().await;
        } else {
            runner.stop.force();
            let reason =
                fake.wait("the job is given back", |world| world.leases[&lease].released).await;
            assert_eq!(reason, RequeueReason::Drained);
            runner.left().await;
        }
        let world = fake.world();
        assert!(!has(&world.leases[&lease].lines(), "more"));
        assert!(world.leases[&lease].completions.is_empty());
    }
}

#[tokio::test]
async fn a_step_that_takes_too_long_has_failed_and_the_job_goes_on_where_it_may() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit_with(
        steps(&[
            json!({ "id": "slow", "name": "slow", "run": "sleep 600", "timeout_ms": 100 }),
            json!({ "name": "next", "run": "echo next" }),
            json!({ "if": "failure() && steps.slow.outcome == 'failure'", "run": "echo report" }),
        ]),
        |_| {},
    );
    let (end, seen) = fake.completed(lease).await;
    assert_eq!(end.outcome, AttemptOutcome::TimedOut);
    let lines = seen.lines();
    assert!(has(&lines, "report") && has(&lines, "##[skipped] next"), "{lines:?}");
    let error = end.error.expect("told");
    assert!(
        error.starts_with("step `slow` ran longer than its 100 ms\nit was step 1 of 3"),
        "{error}"
    );
    runner.drain().await;
}
