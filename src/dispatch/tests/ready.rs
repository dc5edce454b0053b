//! Since when a job may run, and how long it may wait for that.

use super::group::{group, grouped};
use super::yard::{Yard, after, job, retried, slots};
use crate::model::{EndReason, JobStateKind, JobTerms, PlannedJob};

use JobStateKind::{Failed, Pending, Running, Skipped};

fn impatient(job: PlannedJob, queue_timeout_ms: i64) -> PlannedJob {
    let terms = JobTerms { queue_timeout_ms: Some(queue_timeout_ms), ..job.terms };
    PlannedJob { terms, ..job }
}

#[test]
fn a_job_that_nobody_takes_in_its_time_fails_and_what_needs_it_is_skipped() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![impatient(job("a"), 5_000), after("b", &["a"])]);
    yard.pass(4_999);
    assert_eq!(yard.state(ids[0]), Pending);
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(1));
    yard.restart();
    yard.pass(1);
    assert_eq!(yard.states(&ids), [Failed, Skipped]);
    assert_eq!(yard.end_of(ids[0]), EndReason::QueueTimeout);
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), None);
}

#[test]
fn the_setting_holds_where_a_job_says_nothing_itself() {
    let mut yard = Yard::with(|settings| settings.queue_timeout_ms = Some(1_000));
    let ids = yard.submit(vec![job("a"), impatient(job("b"), 2_000)]);
    yard.pass(1_000);
    assert_eq!(yard.states(&ids), [Failed, Pending]);
}

#[test]
fn a_wait_for_needs_or_for_a_time_does_not_count() {
    let mut yard = Yard::new();
    let not_before_ms = yard.now.wall_ms + 10_000;
    let later = PlannedJob { not_before_ms, ..impatient(job("later"), 1_000) };
    let ids = yard.submit(vec![job("need"), impatient(after("a", &["need"]), 1_000), later]);
    yard.pass(10_500);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.succeed(&given);
    assert_eq!(yard.jobs[&ids[1]].ready_at_ms, yard.now.wall_ms);
    yard.pass(500);
    assert_eq!(yard.states(&ids[1..]), [Pending, Failed]);
    yard.pass(500);
    assert_eq!(yard.state(ids[1]), Failed);
}

#[test]
fn a_job_that_goes_back_to_the_queue_has_its_time_anew() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![impatient(retried("a", 1, 0), 5_000)])[0];
    let runner = yard.register("r", slots(1));
    yard.pass(4_000);
    let given = yard.run(runner);
    yard.pass(4_000);
    assert_eq!(yard.state(id), Running, "it waits no longer");
    yard.fail(&given);
    assert_eq!(yard.jobs[&id].ready_at_ms, yard.now.wall_ms);
    assert_eq!(yard.attempts[0].waited_ms, 4_000, "of the first wait");
    yard.pass(4_999);
    assert_eq!(yard.state(id), Pending);
    yard.pass(1);
    assert_eq!(yard.state(id), Failed);
}

#[test]
fn a_wait_for_a_group_counts() {
    let mut yard = Yard::new();
    let waits = impatient(grouped(job("b"), group("g")), 5_000);
    let ids =
        yard.submit(vec![grouped(job("a"), group("g")), waits, grouped(job("c"), group("g"))]);
    yard.pass(5_000);
    assert_eq!(yard.states(&ids), [Pending, Failed, Pending]);
    yard.cancel(ids[0]).unwrap();
    assert!(yard.jobs[&ids[2]].in_group);
}
