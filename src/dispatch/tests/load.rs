//! A restart: what is kept, and the full term that everyone gets.

use super::yard::{Yard, after, job, lease, slots};
use crate::dispatch::Command;
use crate::model::{JobStateKind, RequeueReason};

#[test]
fn after_a_load_leases_are_good_for_one_full_term() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b")]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.start(&given[0]).unwrap();
    yard.pass(yard.settings.ack_window_ms - 1);
    yard.restart();
    yard.pass(yard.settings.ack_window_ms - 1);
    assert_eq!(yard.states(&ids), [JobStateKind::Running, JobStateKind::Claimed]);
    yard.pass(1);
    assert_eq!(yard.states(&ids), [JobStateKind::Running, JobStateKind::Pending]);
    yard.pass(yard.settings.lease_ms - yard.settings.ack_window_ms);
    assert_eq!(yard.states(&ids), [JobStateKind::Pending, JobStateKind::Pending]);
}

#[test]
fn a_runner_goes_on_with_its_lease_after_a_restart() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a"), after("b", &["a"])]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.restart();
    assert_eq!(yard.beat(runner, &[&given]), (vec![], vec![]));
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
    assert_eq!(&*yard.run(runner).name, "b");
}

#[test]
fn an_unstarted_lease_is_given_again_after_a_restart() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let runner = yard.register("r", slots(1));
    let given = yard.take(runner);
    yard.restart();
    assert_eq!(yard.take(runner), given);
}

#[test]
fn a_cancel_request_and_a_runner_to_avoid_survive_a_restart() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b")]);
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(2)));
    let given = yard.take(runner);
    for job in &given {
        yard.start(job).unwrap();
    }
    yard.cancel(ids[0]).unwrap();
    let reason = RequeueReason::Evicted;
    yard.apply(Command::Release { lease: lease(&given[1]), reason, why: None }).unwrap();
    yard.restart();
    yard.beat(other, &[]);
    let poll = yard.poll(runner);
    let answer = yard.answer(poll).unwrap();
    assert_eq!((answer.jobs, answer.cancel), (vec![], vec![given[0].lease.token]));
    yard.pass(yard.settings.cancel_grace_ms);
    assert_eq!(yard.state(ids[0]), JobStateKind::Cancelled);
}

#[test]
fn a_blocked_job_still_waits_for_the_rest_of_its_needs() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b"), after("c", &["a", "b"])]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.succeed(&given[0]);
    yard.restart();
    assert_eq!(yard.scheduler.job(ids[2]).unwrap().kind(), JobStateKind::Blocked);
    yard.succeed(&given[1]);
    assert_eq!(yard.state(ids[2]), JobStateKind::Pending);
}

#[test]
fn a_job_may_use_up_the_rest_of_its_timeout_after_a_restart() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![crate::model::PlannedJob { timeout_ms: 100_000, ..job("a") }])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.pass(50_000);
    yard.restart();
    // 50 s are left, and one full term for a runner that could not be heard meanwhile.
    for _ in 0..2 {
        yard.pass(54_999);
        yard.beat(runner, &[&given]);
    }
    assert_eq!(yard.state(id), JobStateKind::Running);
    yard.pass(2);
    assert_eq!(yard.state(id), JobStateKind::Failed);
}

#[test]
fn memory_after_a_load_equals_memory_before_it() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a"), after("b", &["a"]), job("c")]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.fail(&given[1]);
    let before = yard.scheduler.durable();
    yard.restart();
    assert_eq!(yard.scheduler.durable(), before);
}
