//! A job is kept back for a moment for a less busy runner that is between two polls.

use super::yard::{Yard, job, names, slots};
use crate::dispatch::{Poll, PoolSettings, Reason};
use crate::model::{JobTerms, PlannedJob, PoolId, RunnerId};

const HOLD_MS: i64 = 50;

/// Runner 1 has 3 of 4 jobs, runner 2 has 1 of 4, and neither has a poll parked.
fn two_runners() -> (Yard, RunnerId, RunnerId) {
    let mut yard = Yard::with(|settings| {
        let pool = PoolSettings { balance_hold_ms: HOLD_MS, ..PoolSettings::default() };
        settings.pools.insert(PoolId::DEFAULT, pool);
    });
    let busy = yard.register("busy", slots(4));
    for name in ["a", "b", "c"] {
        yard.submit(vec![job(name)]);
        yard.run(busy);
    }
    let free = yard.register("free", slots(4));
    yard.submit(vec![job("d")]);
    yard.run(free);
    (yard, busy, free)
}

/// A poll that does not wait, and what it is given.
fn glance(yard: &mut Yard, runner_id: RunnerId) -> Vec<String> {
    let poll = Poll { wait_ms: 0, ..yard.poll_of(runner_id) };
    let poll_id = yard.poll_with(poll);
    let given = yard.answer(poll_id).expect("a poll that does not wait is answered").jobs;
    names(&given).into_iter().map(str::to_owned).collect()
}

#[test]
fn the_less_busy_runner_gets_the_job_although_the_other_asked_first() {
    let (mut yard, busy, free) = two_runners();
    let id = yard.submit(vec![job("e")])[0];
    assert_eq!(glance(&mut yard, busy), [""; 0]);
    let reasons = yard.scheduler.explain(yard.now, id).unwrap().reasons;
    assert_eq!(reasons[0], Reason::HeldFor { runner_id: free, in_ms: HOLD_MS });
    assert_eq!(glance(&mut yard, free), ["e"]);
}

#[test]
fn the_busier_runner_gets_it_when_the_other_does_not_come() {
    let (mut yard, busy, _) = two_runners();
    yard.submit(vec![job("e")]);
    assert_eq!(glance(&mut yard, busy), [""; 0]);
    yard.pass(HOLD_MS - 1);
    assert_eq!(glance(&mut yard, busy), [""; 0]);
    yard.pass(1);
    assert_eq!(glance(&mut yard, busy), ["e"]);
}

#[test]
fn a_hold_that_is_over_was_missed_although_its_job_is_given_up_at_the_same_moment() {
    let (mut yard, busy, free) = two_runners();
    let terms = JobTerms { queue_timeout_ms: Some(HOLD_MS), ..JobTerms::default() };
    yard.submit(vec![PlannedJob { terms, ..job("e") }]);
    assert_eq!(glance(&mut yard, busy), [""; 0], "it is kept for the other");
    yard.pass(HOLD_MS);
    yard.submit(vec![job("f")]);
    assert_eq!(glance(&mut yard, busy), ["f"], "nothing is kept for who did not come");
    yard.submit(vec![job("g")]);
    assert_eq!(glance(&mut yard, free), ["g"]);
}

#[test]
fn nothing_is_kept_for_a_runner_that_missed_it_or_was_not_heard_of_lately() {
    let (mut yard, busy, free) = two_runners();
    yard.submit(vec![job("e")]);
    glance(&mut yard, busy);
    yard.pass(HOLD_MS);
    // Heard of, but it did not ask for work: a deaf runner.
    yard.beat(free, &[]);
    let poll = yard.poll(busy);
    assert_eq!(names(&yard.given(poll)), ["e"]);

    let (mut yard, busy, _) = two_runners();
    yard.pass(yard.settings.balance_seen_ms + 1);
    yard.submit(vec![job("e")]);
    assert_eq!(glance(&mut yard, busy), ["e"]);
}

#[test]
fn a_parked_poll_of_a_busier_runner_is_answered_when_the_hold_is_over() {
    let (mut yard, busy, _) = two_runners();
    let poll = yard.poll(busy);
    yard.submit(vec![job("e")]);
    assert_eq!(yard.answer(poll), None);
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(HOLD_MS));
    yard.pass(HOLD_MS);
    assert_eq!(names(&yard.given(poll)), ["e"]);
}

#[test]
fn no_more_is_kept_for_a_runner_than_it_has_room_for() {
    let (mut yard, busy, _) = two_runners();
    let poll = yard.poll(busy);
    yard.submit(["e", "f", "g", "h"].map(job).into());
    // Two more jobs make it as busy as the other is, which a third would not change.
    assert_eq!(names(&yard.given(poll)), ["g"]);
}

#[test]
fn what_is_held_is_released_when_the_runner_leaves() {
    let (mut yard, busy, free) = two_runners();
    let poll = yard.poll(busy);
    yard.submit(vec![job("e")]);
    assert_eq!(yard.answer(poll), None);
    yard.patch(free, Some(Some("ada: disk")), None);
    assert_eq!(names(&yard.given(poll)), ["e"]);
}
