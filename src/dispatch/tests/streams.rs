//! Streams: polls that stay parked, and when they end.

use super::yard::{Yard, job, lease, names, slots};
use crate::dispatch::{Command, Refusal};
use crate::model::{JobStateKind, RequeueReason, RunnerState};

#[test]
fn a_stream_is_told_of_one_job_after_the_other_without_asking_again() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    let stream = yard.stream(runner);
    assert_eq!(yard.answer(stream), None);
    assert_eq!(yard.changes, [], "an idle stream writes nothing");
    yard.submit(vec![job("a")]);
    let first = yard.answer(stream).unwrap();
    assert_eq!((names(&first.jobs), first.ends), (vec!["a"], false));
    yard.submit(vec![job("b"), job("c")]);
    assert_eq!(names(&yard.given(stream)), ["b"], "it has two slots");
    yard.start(&first.jobs[0]).unwrap();
    yard.succeed(&first.jobs[0]);
    assert_eq!(names(&yard.given(stream)), ["c"], "the slot is free again");
    assert_eq!(yard.scheduler.status().parked_polls, 1);
}

#[test]
fn a_stream_that_is_opened_again_tells_again_what_was_not_started() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(3));
    let stream = yard.stream(runner);
    yard.submit(vec![job("a"), job("b"), job("c")]);
    let given = yard.given(stream);
    yard.start(&given[0]).unwrap();
    let mut poll = yard.poll_of(runner);
    poll.known = vec![given[1].lease.token];
    let again = yard.stream_with(poll);
    assert_eq!(yard.given(again), given[2..], "the same lease, not another one");
    assert!(yard.answer(stream).unwrap().ends, "the first is superseded");
    // A poll takes a stream's place as a stream takes a poll's.
    let poll = yard.poll(runner);
    assert!(yard.answer(again).unwrap().ends);
    assert_eq!(yard.given(poll), given[1..]);
}

#[test]
fn a_stream_is_told_what_is_to_stop_and_what_is_lost() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(4));
    let stream = yard.stream(runner);
    let ids = yard.submit(vec![job("a"), job("b"), job("c")]);
    let given = yard.given(stream);
    for job in &given[..2] {
        yard.start(job).unwrap();
    }
    let tokens: Vec<_> = given.iter().map(|job| job.lease.token).collect();
    let told = |yard: &mut Yard| {
        let answer = yard.answer(stream).unwrap();
        assert!(!answer.ends);
        (answer.cancel, answer.lost)
    };
    yard.cancel(ids[0]).unwrap();
    assert_eq!(told(&mut yard), (vec![tokens[0]], vec![]), "it runs: it is to stop");
    yard.cancel(ids[2]).unwrap();
    assert_eq!(told(&mut yard), (vec![], vec![tokens[2]]), "it was not started: it is over");
    let (author, reason) = ("op".into(), "test".into());
    let requeue = Command::Requeue { job_id: ids[1], avoid_runner: false, author, reason };
    yard.apply(requeue).unwrap();
    let answer = yard.answer(stream).unwrap();
    assert_eq!((answer.cancel, answer.lost), (vec![], vec![tokens[1]]));
    yard.start(&answer.jobs[0]).unwrap();
    yard.pass(yard.settings.cancel_grace_ms);
    assert_eq!(told(&mut yard), (vec![], vec![tokens[0]]), "it did not stop in time");
}

#[test]
fn a_stream_stays_while_its_runner_is_heard_of_and_ends_when_it_is_silent() {
    let mut yard = Yard::with(|settings| settings.poll_wait_max_ms = 30_000);
    let timeout_ms = yard.settings.heartbeat_timeout_ms;
    let runner = yard.register("r", slots(1));
    let stream = yard.stream(runner);
    for _ in 0..5 {
        yard.pass(29_999);
        assert_eq!(yard.answer(stream), None);
        yard.beat(runner, &[]);
    }
    yard.pass(30_000);
    let last = yard.answer(stream).unwrap();
    assert!(last.ends && last.jobs.is_empty());
    let id = yard.submit(vec![job("a")])[0];
    assert_eq!(yard.state(id), JobStateKind::Pending, "nothing is assigned to nobody");
    yard.pass(timeout_ms);
    assert_eq!(yard.scheduler.runner(yard.now, runner).unwrap().state, RunnerState::Offline);
    assert_eq!(yard.jobs[&id].attempt, 0);
}

#[test]
fn a_stream_whose_job_is_not_started_is_not_trusted_with_another() {
    let mut yard = Yard::new();
    let runner = yard.register("deaf", slots(2));
    let stream = yard.stream(runner);
    let id = yard.submit(vec![job("a")])[0];
    let given = yard.given(stream);
    let half = yard.settings.ack_window_ms / 2;
    yard.pass(half);
    yard.beat(runner, &[&given[0]]);
    yard.pass(yard.settings.ack_window_ms - half);
    assert_eq!(yard.attempts[0].requeue_reason, Some(RequeueReason::LeaseLost));
    assert!(yard.answer(stream).unwrap().ends);
    assert_eq!(yard.state(id), JobStateKind::Pending, "it is not given to the same stream again");
    assert_eq!(
        yard.refused(Command::Start(lease(&given[0]))),
        Refusal::LeaseLost(given[0].lease.token)
    );
    // It is there after all, and has nobody beside it.
    let again = yard.stream(runner);
    assert_eq!(yard.given(again).len(), 1);
}

#[test]
fn a_stream_whose_client_is_gone_is_given_nothing() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let other = yard.register("other", slots(1));
    let stream = yard.stream(runner);
    let ids = yard.submit(vec![job("a")]);
    let given = yard.given(stream);
    let poll = yard.poll(other);
    let lost = given.iter().map(|job| job.lease.token).collect();
    yard.batch([Command::PollGone(stream), Command::Undelivered(lost)]);
    assert_eq!(names(&yard.given(poll)), ["a"], "whoever waits has it at once");
    assert_eq!(yard.jobs[&ids[0]].extras.infra_failures, 0);
}

#[test]
fn a_stream_that_had_a_job_waits_behind_those_that_had_none() {
    let mut yard = Yard::new();
    let [first, second] = ["first", "second"].map(|name| yard.register(name, slots(1)));
    let [one, two] = [first, second].map(|id| yard.stream(id));
    for stream in [one, two, one] {
        yard.submit(vec![job("a")]);
        let given = yard.given(stream);
        assert_eq!(given.len(), 1, "they take turns");
        yard.start(&given[0]).unwrap();
        yard.succeed(&given[0]);
    }
}

#[test]
fn a_drain_is_told_and_a_runner_that_leaves_has_no_stream() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let stream = yard.stream(runner);
    yard.patch(runner, None, Some(true));
    let told = yard.answer(stream).unwrap();
    assert!(told.drain && !told.ends);
    yard.submit(vec![job("a")]);
    assert_eq!(yard.answer(stream), None);
    yard.apply(Command::Deregister(runner)).unwrap();
    assert!(yard.answer(stream).unwrap().ends);
    assert_eq!(yard.scheduler.status().parked_polls, 0);
}
