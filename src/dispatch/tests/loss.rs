//! Leases that are lost, the runner to avoid, and poison.

use super::yard::{Yard, job, retried, slots};
use crate::model::{EndReason, JobStateKind, RequeueReason};

#[test]
fn an_unstarted_lease_returns_after_the_ack_window_and_goes_to_another_runner() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.take(runner);
    yard.pass(yard.settings.ack_window_ms - 1);
    assert_eq!(yard.state(id), JobStateKind::Claimed);
    yard.pass(1);
    assert_eq!(yard.state(id), JobStateKind::Pending);
    let row = &yard.jobs[&id];
    assert_eq!((row.extras.infra_failures, row.extras.avoid_runner_id), (1, Some(runner)));
    assert_eq!(yard.take(runner), [], "another runner fits");
    assert_eq!(yard.take(other).len(), 1);
}

#[test]
fn a_heartbeat_does_not_keep_what_was_never_started() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.take(runner).remove(0);
    yard.pass(yard.settings.ack_window_ms - 1);
    yard.beat(runner, &[&given]);
    yard.pass(1);
    assert_eq!(yard.state(id), JobStateKind::Pending);
}

#[test]
fn heartbeats_keep_a_lease_and_write_nothing() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    for _ in 0..5 {
        yard.pass(yard.settings.lease_ms - 1);
        assert_eq!(yard.beat(runner, &[&given]), (vec![], vec![]));
        assert_eq!(yard.changes, []);
    }
    assert_eq!(yard.state(id), JobStateKind::Running);
}

#[test]
fn a_silent_runners_job_goes_to_another_when_the_lease_is_over() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    let given = yard.run(runner);
    let mut poll = yard.poll_of(other);
    poll.wait_ms = 50_000;
    yard.pass(20_000);
    let poll = yard.poll_with(poll);
    yard.pass(yard.settings.lease_ms - 20_000);
    let again = yard.given(poll);
    assert_eq!((again[0].attempt, again[0].retry_count), (2, 0));
    assert_eq!(yard.attempts[0].requeue_reason, Some(RequeueReason::LeaseLost));
    assert_eq!(yard.jobs[&id].extras.infra_failures, 1);
    assert_eq!(yard.beat(runner, &[&given]), (vec![given.lease.token], vec![]));
}

#[test]
fn the_avoided_runner_takes_the_job_when_no_other_could() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.take(runner);
    yard.pass(yard.settings.ack_window_ms);
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None, "another one is online");
    yard.patch(other, Some(Some("ada: away")), None);
    assert_eq!(yard.given(poll)[0].job_id, id);
}

#[test]
fn the_avoided_runner_takes_the_job_when_the_other_falls_silent() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let [runner, _silent] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.take(runner);
    yard.pass(yard.settings.heartbeat_timeout_ms - 20_000);
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None);
    yard.pass(20_000);
    assert_eq!(yard.given(poll).len(), 1);
}

#[test]
fn alone_the_avoided_runner_gets_the_job_at_once() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let runner = yard.register("r", slots(1));
    yard.take(runner);
    yard.pass(yard.settings.ack_window_ms);
    assert_eq!(yard.take(runner).len(), 1);
}

#[test]
fn a_barred_job_does_not_hold_up_the_jobs_behind_it() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("lost")])[0];
    let [runner, _other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.take(runner);
    yard.pass(yard.settings.ack_window_ms);
    yard.submit(vec![job("next")]);
    let given = yard.take(runner);
    assert_eq!(&*given[0].name, "next");
    assert_eq!(yard.state(id), JobStateKind::Pending);
}

#[test]
fn a_job_that_loses_too_many_runners_is_poisoned() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![retried("a", 9, 0)])[0];
    let runner = yard.register("r", slots(1));
    for lost in 1..=2 {
        yard.run(runner);
        yard.pass(yard.settings.lease_ms);
        assert_eq!(
            (yard.state(id), yard.jobs[&id].extras.infra_failures),
            (JobStateKind::Pending, lost)
        );
    }
    yard.run(runner);
    yard.pass(yard.settings.lease_ms);
    assert_eq!((yard.state(id), yard.end_of(id)), (JobStateKind::Failed, EndReason::Poisoned));
    assert_eq!(yard.take(runner), [], "it is never in the way again");
}

#[test]
fn a_charged_failure_forgets_whom_to_avoid() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![retried("a", 1, 0)])[0];
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.take(runner);
    yard.pass(yard.settings.ack_window_ms);
    let given = yard.run(other);
    yard.fail(&given);
    assert_eq!(yard.jobs[&id].extras.avoid_runner_id, None);
    assert_eq!(yard.take(runner).len(), 1);
}
