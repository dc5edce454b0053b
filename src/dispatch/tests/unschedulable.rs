//! The mark of jobs that nobody could take.

use super::yard::*;
use crate::model::{JobId, Record, RecordName};

const AFTER_MS: i64 = 60_000;

fn marked(yard: &Yard) -> Vec<JobId> {
    yard.jobs.values().filter(|job| job.unschedulable).map(|job| job.id).collect()
}

fn records(yard: &Yard, name: RecordName) -> Vec<&Record> {
    yard.records.iter().filter(|record| record.name == name).collect()
}

#[test]
fn a_job_that_nobody_could_take_is_marked_after_a_while_and_once() {
    let mut yard = Yard::new();
    yard.register("plain", slots(1));
    let id = yard.submit(vec![labelled("a", "gpu"), job("b")])[0];
    yard.pass(AFTER_MS - 1);
    assert!(marked(&yard).is_empty(), "a fleet that restarts raises no alarm");
    yard.pass(1);
    assert_eq!((marked(&yard), yard.scheduler.status().unschedulable_jobs), (vec![id], 1));
    let told = records(&yard, RecordName::JobUnschedulable);
    let [record] = told[..] else { panic!("{told:?}") };
    assert_eq!(record.job_id, Some(id));
    assert!(record.detail.contains("plain, lacks label `gpu`"), "{}", record.detail);

    yard.restart();
    yard.pass(2 * AFTER_MS);
    assert_eq!(yard.scheduler.status().unschedulable_jobs, 1, "the row says it");
    assert_eq!(records(&yard, RecordName::JobUnschedulable).len(), 1, "and it is not told again");
}

#[test]
fn the_mark_goes_when_somebody_comes_who_could_take_the_job() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![labelled("a", "gpu")])[0];
    yard.pass(AFTER_MS);
    assert_eq!(marked(&yard), [id], "also where nobody is registered at all");
    yard.register("other", slots(1));
    yard.pass(0);
    assert_eq!(marked(&yard), [id]);
    let fits = yard.register("fits", with_label("gpu"));
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(0));
    yard.pass(0);
    assert_eq!((marked(&yard), yard.scheduler.status().unschedulable_jobs), (vec![], 0));
    assert_eq!(records(&yard, RecordName::JobSchedulable)[0].job_id, Some(id));
    // It leaves again: the class is watched anew.
    yard.apply(crate::dispatch::Command::Deregister(fits)).unwrap();
    yard.pass(0);
    yard.pass(AFTER_MS - 1);
    assert!(marked(&yard).is_empty());
    yard.pass(1);
    assert_eq!(marked(&yard), [id]);
}

#[test]
fn a_job_that_is_taken_or_ends_is_marked_no_longer() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![labelled("a", "gpu"), labelled("b", "gpu")]);
    yard.pass(AFTER_MS);
    assert_eq!(marked(&yard), ids);
    yard.cancel(ids[1]).unwrap();
    assert_eq!(marked(&yard), ids[..1]);
    // Both in one batch: there is no tick between them.
    let runner = yard.register("fits", with_label("gpu"));
    assert_eq!(yard.take(runner).len(), 1);
    assert!(marked(&yard).is_empty());
    assert_eq!(records(&yard, RecordName::JobSchedulable).len(), 1);
}

#[test]
fn marks_are_set_and_taken_a_few_at_a_time_and_late_comers_at_once() {
    let mut yard = Yard::new();
    yard.submit((0..450).map(|at| labelled(&format!("j{at}"), "gpu")).collect());
    yard.pass(AFTER_MS);
    assert_eq!(marked(&yard).len(), 200);
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(0), "there are more");
    yard.pass(0);
    yard.pass(0);
    assert_eq!(marked(&yard).len(), 450);
    yard.submit(vec![labelled("late", "gpu")]);
    yard.pass(0);
    assert_eq!(marked(&yard).len(), 451, "that nobody could take it is known for long");
    yard.register("fits", with_label("gpu"));
    yard.pass(0);
    assert_eq!(marked(&yard).len(), 251);
    (0..2).for_each(|_| yard.pass(0));
    assert!(marked(&yard).is_empty());
    assert_eq!(records(&yard, RecordName::JobSchedulable).len(), 451);
}
