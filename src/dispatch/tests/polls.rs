//! Polls: parked, answered, repeated, superseded, gone.

use super::yard::{Yard, job, lease, names, slots};
use crate::dispatch::{Command, Reply};
use crate::model::{JobStateKind, RequeueReason};

#[test]
fn a_parked_poll_is_answered_by_the_batch_that_brings_its_job() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None);
    yard.submit(vec![job("a")]);
    assert_eq!(names(&yard.given(poll)), ["a"]);
    assert_eq!(yard.scheduler.status().parked_polls, 0);
}

#[test]
fn a_poll_ends_without_work_when_its_time_is_over_and_writes_nothing() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let poll = yard.poll(runner);
    assert_eq!(yard.changes, []);
    yard.pass(29_999);
    assert_eq!(yard.answer(poll), None);
    yard.pass(1);
    assert_eq!(yard.answer(poll).map(|it| (it.jobs, it.drain)), Some((vec![], false)));
    assert_eq!(yard.changes, []);
    yard.submit(vec![job("a")]);
    assert_eq!(yard.take(runner).len(), 1);
}

#[test]
fn a_poll_that_does_not_wait_is_answered_at_once() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let mut poll = yard.poll_of(runner);
    poll.wait_ms = 0;
    let poll = yard.poll_with(poll);
    assert!(yard.answer(poll).is_some());
}

#[test]
fn a_repeated_poll_returns_what_was_given_and_not_started() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a"), job("b")]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    let again = yard.take(runner);
    assert_eq!(again, given, "the same leases, not new ones");
    yard.start(&given[0]).unwrap();
    assert_eq!(yard.take(runner), given[1..]);
    // A lease that the runner names is not given again.
    let mut poll = yard.poll_of(runner);
    poll.known = vec![given[1].lease.token];
    let poll = yard.poll_with(poll);
    assert_eq!(yard.answer(poll), None);
}

#[test]
fn a_second_poll_supersedes_the_first() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let [first, second] = [(); 2].map(|()| yard.poll(runner));
    assert_eq!(yard.given(first), []);
    yard.submit(vec![job("a")]);
    assert_eq!(yard.given(second).len(), 1);
    assert_eq!(yard.answer(first), None);
}

#[test]
fn a_poll_whose_client_is_gone_gets_nothing() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let poll = yard.poll(runner);
    yard.apply(Command::PollGone(poll)).unwrap();
    let id = yard.submit(vec![job("a")])[0];
    assert_eq!(yard.state(id), JobStateKind::Pending);
    assert_eq!(yard.answer(poll), None);
    assert_eq!(yard.apply(Command::PollGone(poll)), Ok(Reply::Done), "a late word is harmless");
}

#[test]
fn what_reached_nobody_goes_back_at_once_and_at_no_charge() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b")]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.start(&given[1]).unwrap();
    let tokens = given.iter().map(|job| job.lease.token).collect();
    yard.apply(Command::Undelivered(tokens)).unwrap();
    assert_eq!(yard.states(&ids), [JobStateKind::Pending, JobStateKind::Running]);
    let attempt = &yard.attempts[0];
    assert_eq!(attempt.requeue_reason, Some(RequeueReason::RunnerLost));
    assert_eq!(attempt.started_at_ms, None);
    let why = "the answer could not be delivered to the runner; it never started";
    assert_eq!(attempt.error.as_deref(), Some(why), "whoever reads of it is not alarmed");
    assert_eq!(
        (yard.jobs[&ids[0]].extras.infra_failures, yard.jobs[&ids[0]].extras.avoid_runner_id),
        (0, None)
    );
}

#[test]
fn a_poll_takes_no_more_than_it_asks_for() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a"), job("b"), job("c")]);
    let runner = yard.register("r", slots(3));
    let mut poll = yard.poll_of(runner);
    poll.jobs_max = Some(2);
    let poll = yard.poll_with(poll);
    assert_eq!(yard.given(poll).len(), 2);
}

#[test]
fn a_lease_that_is_no_longer_the_runners_is_named_by_its_next_poll() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.apply(Command::Release {
        lease: lease(&given),
        reason: RequeueReason::Preempted,
        why: None,
    })
    .unwrap();
    let mut poll = yard.poll_of(runner);
    poll.known = vec![given.lease.token];
    let poll = yard.poll_with(poll);
    assert_eq!(yard.answer(poll).unwrap().cancel, [given.lease.token]);
}
