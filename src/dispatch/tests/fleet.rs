//! Runners: registration, what they report, cordon, drain and leave.

use super::yard::{Yard, job, labelled, slots, with_label};
use crate::dispatch::{Command, HeldLease, Refusal, Register, Reply};
use crate::model::{
    AssignedJob, Change, JobStateKind, RecordName, RequeueReason, RunnerCapabilities, RunnerId,
    RunnerState,
};

fn heartbeat(runner_id: RunnerId, current_jobs: u32, jobs: &[&AssignedJob]) -> Command {
    let held = |job: &&AssignedJob| HeldLease { token: job.lease.token, nonce: job.lease.nonce };
    Command::Heartbeat {
        runner_id,
        leases: jobs.iter().map(held).collect(),
        capabilities: None,
        current_jobs: Some(current_jobs),
    }
}

fn replaced(name: &str) -> Command {
    let hello = Yard::hello(name, slots(2));
    Command::Register(Box::new(Register { boot_id: "boot-2".into(), ..hello }))
}

#[test]
fn the_same_instance_is_the_same_runner_and_the_same_process_keeps_its_leases() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    assert_eq!(yard.register("r", slots(3)), runner);
    assert_eq!(yard.scheduler.runner(yard.now, runner).unwrap().row.capabilities, slots(3));
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
}

#[test]
fn another_process_of_the_instance_has_lost_what_the_old_one_had() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.run(runner);
    yard.apply(replaced("r")).unwrap();
    assert_eq!(yard.attempts[0].requeue_reason, Some(RequeueReason::RunnerLost));
    assert_eq!(yard.jobs[&id].extras.infra_failures, 1);
    assert_eq!(yard.take(other).len(), 1);
}

#[test]
fn another_process_of_the_instance_has_no_foreign_jobs_until_it_says_so() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    yard.apply(heartbeat(runner, 2, &[])).unwrap();
    yard.apply(replaced("r")).unwrap();
    yard.submit(vec![job("a")]);
    assert_eq!(yard.take(runner).len(), 1);
}

#[test]
fn a_cordon_outlives_the_runners_process_and_a_drain_does_not() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    yard.patch(runner, Some(Some("ada: disk")), Some(true));
    yard.apply(replaced("r")).unwrap();
    let row = yard.scheduler.runner(yard.now, runner).unwrap().row;
    assert_eq!((row.cordoned.as_deref(), row.draining), (Some("ada: disk"), false));
}

#[test]
fn jobs_from_elsewhere_take_slots() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(3));
    yard.submit(vec![job("a"), job("b"), job("c")]);
    let mut poll = yard.poll_of(runner);
    poll.current_jobs = Some(2);
    let poll = yard.poll_with(poll);
    let given = yard.given(poll);
    assert_eq!(given.len(), 1);
    yard.start(&given[0]).unwrap();
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None);
    // Its own job among two: one from elsewhere is left, and one slot is free.
    yard.apply(heartbeat(runner, 2, &[&given[0]])).unwrap();
    assert_eq!(yard.given(poll).len(), 1);
}

#[test]
fn a_runner_that_names_no_lease_counts_all_that_it_was_given() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    yard.submit(vec![job("a"), job("b")]);
    let mut poll = yard.poll_of(runner);
    poll.jobs_max = Some(1);
    let poll = yard.poll_with(poll);
    yard.given(poll);
    let mut poll = yard.poll_of(runner);
    poll.current_jobs = Some(1);
    let poll = yard.poll_with(poll);
    assert_eq!(yard.given(poll).len(), 2, "the unstarted one again, and one for the free slot");
}

#[test]
fn a_changed_offer_is_stored_once_and_counts_at_once() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![labelled("a", "gpu")])[0];
    let runner = yard.register("r", slots(1));
    let poll = yard.poll(runner);
    let offer = |label: &str| Command::Heartbeat {
        runner_id: runner,
        leases: Vec::new(),
        capabilities: Some(Box::new(with_label(label))),
        current_jobs: None,
    };
    yard.apply(offer("GPU")).unwrap();
    assert_eq!(yard.given(poll).len(), 1, "labels are compared without their case");
    assert_eq!(yard.state(id), JobStateKind::Claimed);
    yard.apply(offer("gpu")).unwrap();
    assert_eq!(yard.changes, [], "the same offer again writes nothing");
}

#[test]
fn a_cordoned_runner_gets_nothing_new_until_the_cordon_is_lifted() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.patch(runner, Some(Some("ada: disk")), None);
    let poll = yard.poll(runner);
    yard.submit(vec![job("a")]);
    assert_eq!(yard.answer(poll), None);
    assert_eq!(yard.scheduler.runner(yard.now, runner).unwrap().state, RunnerState::Cordoned);
    yard.patch(runner, Some(None), None);
    assert_eq!(yard.given(poll).len(), 1);
    let changed = yard.records.iter().filter(|it| it.name == RecordName::RunnerChanged);
    let details: Vec<_> = changed.map(|it| (&*it.detail, it.author.as_deref())).collect();
    assert_eq!(details, [("cordoned: ada: disk", Some("ada")), ("takes jobs", Some("ada"))]);
}

#[test]
fn a_draining_runner_is_told_at_once_and_finishes_what_it_has() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let runner = yard.register("r", slots(2));
    let given = yard.run(runner);
    let poll = yard.poll(runner);
    yard.patch(runner, None, Some(true));
    assert!(yard.answer(poll).unwrap().drain);
    let beat = yard.apply(heartbeat(runner, 1, &[&given])).unwrap();
    assert!(matches!(beat, Reply::Heartbeat { drain: true, .. }), "{beat:?}");
    yard.submit(vec![job("b")]);
    assert_eq!(yard.take(runner), []);
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
}

#[test]
fn a_runner_that_leaves_gives_everything_back_at_no_charge() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b")]);
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(3)));
    for given in yard.take(runner) {
        yard.start(&given).unwrap();
    }
    let [parked, waiting] = [runner, other].map(|id| yard.poll(id));
    yard.apply(Command::Deregister(runner)).unwrap();
    assert_eq!(yard.answer(parked).map(|it| it.jobs), Some(vec![]), "its own poll ends");
    assert_eq!(yard.given(waiting).len(), 2);
    assert!(ids.iter().all(|id| yard.jobs[id].extras.infra_failures == 0));
    assert!(yard.attempts.iter().all(|it| it.requeue_reason == Some(RequeueReason::Drained)));
    assert!(yard.changes.contains(&Change::RunnerRemoved(runner)));
    assert_eq!(yard.refused(Command::Deregister(runner)), Refusal::UnknownRunner(runner));
}

#[test]
fn a_runner_that_is_not_registered_is_told_so() {
    let mut yard = Yard::new();
    let nobody = RunnerId(9);
    let poll = yard.poll_of(nobody);
    assert_eq!(yard.refused(Command::Poll(Box::new(poll))), Refusal::UnknownRunner(nobody));
    assert_eq!(yard.refused(heartbeat(nobody, 0, &[])), Refusal::UnknownRunner(nobody));
}

#[test]
fn what_a_runner_says_of_its_load_when_it_registers_is_no_part_of_its_row() {
    let mut yard = Yard::new();
    let runner = yard.register("r", RunnerCapabilities { current_jobs: 1, ..slots(1) });
    assert_eq!(yard.scheduler.runner(yard.now, runner).unwrap().row.capabilities, slots(1));
}
