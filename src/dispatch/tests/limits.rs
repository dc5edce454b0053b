//! Everything has a limit, and a refused command leaves nothing behind.

use super::yard::{Yard, job, labelled, slots, workload};
use crate::dispatch::{Command, Refusal, Settings};
use crate::model::{Decision, EndReason, JobId, JobTerms, PlannedJob, RunIf};

fn submit(jobs: Vec<PlannedJob>) -> Command {
    Yard::submission(workload(jobs))
}

#[test]
fn a_command_that_makes_too_many_rows_is_refused() {
    let mut yard = Yard::with(|settings| settings.changes_per_command_max = 4);
    let refusal = yard.refused(submit(vec![job("a"), job("b")]));
    assert_eq!(
        refusal.to_string(),
        "one request makes too many rows: changes_per_command_max is 4"
    );
    yard.submit(vec![job("a")]);
}

#[test]
fn a_workload_of_too_many_jobs_is_refused() {
    let mut yard = Yard::with(|settings| settings.workload_jobs_max = 1);
    let refusal = yard.refused(submit(vec![job("a"), job("b")]));
    assert_eq!(refusal.to_string(), "2 jobs in one workload, workload_jobs_max is 1");
    assert!(matches!(yard.refused(submit(Vec::new())), Refusal::Invalid(_)));
}

#[test]
fn classes_without_jobs_are_forgotten_when_there_is_no_room_for_new_ones() {
    let mut yard = Yard::with(|settings| settings.classes_max = 2);
    let ids = yard.submit(vec![labelled("a", "a"), labelled("b", "b")]);
    let refusal = yard.refused(submit(vec![labelled("c", "c")]));
    assert_eq!(
        refusal.to_string(),
        "too many different requirements among waiting jobs: classes_max is 2"
    );
    yard.cancel(ids[0]).unwrap();
    // Half of the workload still lives, and with it both classes.
    assert!(matches!(yard.refused(submit(vec![labelled("c", "c")])), Refusal::TooMany { .. }));
    yard.cancel(ids[1]).unwrap();
    yard.submit(vec![labelled("c", "c"), labelled("d", "d")]);
}

#[test]
fn an_unused_class_that_is_wanted_again_counts_like_a_new_one() {
    let mut yard = Yard::with(|settings| settings.classes_max = 2);
    let first = yard.submit(vec![labelled("a", "a")]);
    yard.cancel(first[0]).unwrap();
    yard.submit(vec![labelled("b", "b")]);
    // `a` is known but unused, `b` is in use, `c` is new: three would be one too many.
    let refusal = yard.apply(submit(vec![labelled("a", "a"), labelled("c", "c")]));
    assert!(matches!(refusal, Err(Refusal::TooMany { .. })), "{refusal:?}");
    yard.submit(vec![labelled("a", "a")]);
}

#[test]
fn one_runner_too_many_is_refused_and_a_known_one_may_come_back() {
    let mut yard = Yard::with(|settings| settings.runners_max = 1);
    let id = yard.register("a", slots(1));
    let refusal = yard.refused(Command::Register(Box::new(Yard::hello("b", slots(1)))));
    assert_eq!(refusal.to_string(), "too many runners: runners_max is 1");
    assert_eq!(yard.register("a", slots(1)), id);
    yard.apply(Command::Deregister(id)).unwrap();
    assert_ne!(yard.register("b", slots(1)), id, "an id is never given again");
}

#[test]
fn no_more_jobs_run_than_max_global_concurrency() {
    let mut yard = Yard::with(|settings| settings.max_global_concurrency = 2);
    yard.submit(vec![job("a"), job("b"), job("c")]);
    let [one, two] = ["one", "two"].map(|name| yard.register(name, slots(2)));
    let jobs = yard.take(one);
    assert_eq!(jobs.len(), 2);
    let waiting = yard.poll(two);
    assert_eq!(yard.answer(waiting), None);
    yard.succeed(&jobs[0]);
    assert_eq!(yard.given(waiting).len(), 1, "room is given to whoever waits");
}

#[test]
fn the_longest_park_is_poll_wait_max_ms() {
    let mut yard = Yard::with(|settings| settings.poll_wait_max_ms = 100);
    let runner = yard.register("r", slots(1));
    let mut poll = yard.poll_of(runner);
    poll.wait_ms = i64::MAX;
    let poll = yard.poll_with(poll);
    yard.pass(99);
    assert_eq!(yard.answer(poll), None);
    yard.pass(1);
    assert!(yard.answer(poll).is_some());
}

/// A job that somebody decides about, of a yard with these settings.
fn undecided(change: impl FnOnce(&mut Settings)) -> (Yard, JobId) {
    let mut yard = Yard::with(change);
    let terms = JobTerms { run_if: RunIf::Decide, ..JobTerms::default() };
    let id = yard.submit(vec![PlannedJob { terms, ..job("matrix") }])[0];
    (yard, id)
}

#[test]
fn a_matrix_of_accepted_work_has_room_in_a_full_queue() {
    let (mut yard, id) = undecided(|settings| settings.queue_jobs_max = 1);
    assert!(matches!(yard.refused(submit(vec![job("b")])), Refusal::TooMany { .. }));
    yard.decide(id, Decision::Expand { jobs: vec![job("a"), job("b")] }).unwrap();
    assert_eq!(yard.end_of(id), EndReason::Expanded);
    assert!(matches!(yard.refused(submit(vec![job("c")])), Refusal::TooMany { .. }));
}

#[test]
fn a_matrix_of_more_rows_than_a_command_may_write_is_no_plan() {
    let (mut yard, id) = undecided(|settings| settings.changes_per_command_max = 5);
    yard.decide(id, Decision::Expand { jobs: vec![job("a"), job("b"), job("c")] }).unwrap();
    assert_eq!(yard.end_of(id), EndReason::Unplannable);
}

#[test]
fn a_decision_for_whose_requirements_there_is_no_room_waits_for_it() {
    let (mut yard, id) = undecided(|settings| settings.classes_max = 2);
    let other = yard.submit(vec![labelled("a", "a")])[0];
    let decision = || Decision::Expand { jobs: vec![labelled("b", "b")] };
    let refusal = yard.decide(id, decision()).unwrap_err();
    assert!(matches!(refusal, Refusal::TooMany { limit: "classes_max", .. }), "{refusal}");
    yard.cancel(other).unwrap();
    yard.decide(id, decision()).unwrap();
    assert_eq!(yard.end_of(id), EndReason::Expanded);
}
