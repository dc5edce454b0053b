//! Cancels of work that waits, that was given, and that runs.

use super::yard::{Yard, after, job, lease, retried, slots};
use crate::dispatch::{Command, Refusal, Reply};
use crate::model::{
    AssignedJob, AttemptOutcome, Decision, EndReason, JobId, JobResult, JobStateKind, JobTerms,
    PlannedJob, RequeueReason, RunIf, WorkloadState,
};

use JobStateKind::{Cancelled, Completed, Running, Skipped};

#[test]
fn a_pending_job_ends_at_once_and_nobody_gets_it() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let reply = yard.cancel(id).unwrap();
    let Reply::Job(row) = reply else { panic!("{reply:?}") };
    assert_eq!((row.kind(), yard.state(id)), (Cancelled, Cancelled));
    assert_eq!(yard.end_of(id), EndReason::CancelRequested);
    let runner = yard.register("r", slots(1));
    assert_eq!(yard.take(runner), []);
    assert!(yard.attempts.is_empty());
}

#[test]
fn a_delayed_and_a_blocked_job_end_at_once() {
    let mut yard = Yard::new();
    let later = yard.now.wall_ms + 1_000;
    let delayed = crate::model::PlannedJob { not_before_ms: later, ..job("delayed") };
    let ids = yard.submit(vec![delayed, job("a"), after("b", &["a"]), after("c", &["b"])]);
    yard.cancel(ids[0]).unwrap();
    yard.cancel(ids[2]).unwrap();
    assert_eq!(yard.states(&ids), [Cancelled, JobStateKind::Pending, Cancelled, Skipped]);
    yard.pass(2_000);
    let runner = yard.register("r", slots(4));
    assert_eq!(yard.take(runner).len(), 1);
}

#[test]
fn a_job_that_was_given_but_not_started_ends_and_its_start_is_refused() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.take(runner).remove(0);
    yard.cancel(id).unwrap();
    assert_eq!(yard.state(id), Cancelled);
    assert_eq!(yard.refused(Command::Start(lease(&given))), Refusal::LeaseLost(given.lease.token));
    let mut poll = yard.poll_of(runner);
    poll.known = vec![given.lease.token];
    let poll = yard.poll_with(poll);
    assert_eq!(yard.answer(poll).unwrap().cancel, [given.lease.token]);
}

#[test]
fn a_running_job_is_asked_to_stop_by_heartbeat_and_by_poll() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(2));
    let given = yard.run(runner);
    let poll = yard.poll(runner);
    yard.cancel(id).unwrap();
    assert_eq!(yard.state(id), Running, "asking is not a state");
    assert_eq!(yard.answer(poll).unwrap().cancel, [given.lease.token]);
    assert_eq!(yard.beat(runner, &[&given]), (vec![], vec![given.lease.token]));
    let stopped = JobResult { outcome: AttemptOutcome::Cancelled, ..JobResult::failed("stopped") };
    assert_eq!(yard.complete(&given, stopped), Cancelled);
    assert_eq!(yard.workload_of(id).state, WorkloadState::Cancelled);
}

#[test]
fn a_completion_that_comes_first_wins_over_the_cancel() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.cancel(id).unwrap();
    assert_eq!(yard.succeed(&given), Completed);
}

#[test]
fn after_a_cancel_a_failure_and_a_loss_end_as_cancelled_and_are_not_retried() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![retried("a", 9, 0), retried("b", 9, 0)]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    for job in &given {
        yard.start(job).unwrap();
        yard.cancel(job.job_id).unwrap();
    }
    assert_eq!(yard.fail(&given[0]), Cancelled);
    let release =
        Command::Release { lease: lease(&given[1]), reason: RequeueReason::RunnerLost, why: None };
    yard.apply(release).unwrap();
    assert_eq!(yard.states(&ids), [Cancelled, Cancelled]);
}

#[test]
fn a_runner_that_does_not_stop_in_time_is_fenced() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.cancel(id).unwrap();
    let grace = yard.settings.cancel_grace_ms;
    yard.pass(grace - 1);
    assert_eq!(yard.beat(runner, &[&given]), (vec![], vec![given.lease.token]));
    yard.pass(1);
    assert_eq!(yard.state(id), Cancelled, "a heartbeat does not lengthen the grace");
    assert_eq!(yard.beat(runner, &[&given]), (vec![given.lease.token], vec![]));
}

#[test]
fn a_second_cancel_changes_nothing_of_the_first() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    yard.run(runner);
    yard.cancel(id).unwrap();
    let requested = yard.jobs[&id].extras.cancel_requested_at_ms;
    yard.pass(yard.settings.cancel_grace_ms - 1);
    yard.cancel(id).unwrap();
    assert_eq!(yard.jobs[&id].extras.cancel_requested_at_ms, requested);
    yard.pass(1);
    assert_eq!(yard.state(id), Cancelled);
}

#[test]
fn a_whole_workload_is_cancelled_wherever_its_jobs_are() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b"), after("c", &["b"])]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    let workload_id = given.workload_id;
    let cancel =
        || Command::CancelWorkload { workload_id, author: "ada".into(), reason: "enough".into() };
    yard.apply(cancel()).unwrap();
    assert_eq!(yard.states(&ids), [Running, Cancelled, Cancelled]);
    assert_eq!(yard.fail(&given), Cancelled);
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Cancelled);
    assert_eq!(yard.refused(cancel()), Refusal::UnknownWorkload(workload_id));
}

#[test]
fn a_job_that_has_ended_or_never_was_cannot_be_cancelled() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b")]);
    yard.cancel(ids[0]).unwrap();
    let cancel = |job_id| Command::CancelJob { job_id, author: "ada".into(), reason: "".into() };
    let refusal = yard.refused(cancel(ids[0]));
    assert_eq!(refusal.to_string(), "job 1 has ended: cancelled");
    assert_eq!(yard.refused(cancel(JobId(77))), Refusal::UnknownJob(JobId(77)));
}

fn when(name: &str, run_if: RunIf, needs: &[&str]) -> PlannedJob {
    PlannedJob { terms: JobTerms { run_if, ..JobTerms::default() }, ..after(name, needs) }
}

/// Cancels the workload of a job.
fn cancel_all(yard: &mut Yard, id: JobId) {
    let workload_id = yard.jobs[&id].workload_id;
    let (author, reason) = ("ada".into(), "enough".into());
    yard.apply(Command::CancelWorkload { workload_id, author, reason }).unwrap();
}

/// A workload of which `build` runs, and others wait for its end.
fn tidying(yard: &mut Yard) -> (Vec<JobId>, AssignedJob) {
    let ids = yard.submit(vec![
        job("build"),
        after("ship", &["build"]),
        when("alarm", RunIf::Failure, &["build"]),
        when("sweep", RunIf::Always, &["build", "ship"]),
        when("report", RunIf::Decide, &["build"]),
    ]);
    let runner = yard.register("r", slots(4));
    let given = yard.run(runner);
    (ids, given)
}

#[test]
fn what_runs_however_others_end_is_spared_by_a_cancel_of_all() {
    let mut yard = Yard::new();
    let (ids, given) = tidying(&mut yard);
    cancel_all(&mut yard, ids[0]);
    let blocked = JobStateKind::Blocked;
    assert_eq!(yard.states(&ids), [Running, Cancelled, Cancelled, blocked, blocked]);
    yard.restart();
    let stopped = JobResult { outcome: AttemptOutcome::Cancelled, ..JobResult::failed("stopped") };
    assert_eq!(yard.complete(&given, stopped), Cancelled);
    assert_eq!(yard.state(ids[3]), JobStateKind::Pending);
    assert!(yard.undecided.contains(&ids[4]), "its condition is asked");
    let asked = yard.jobs[&ids[4]].extras.cancel_requested_at_ms;
    assert!(asked.is_some(), "what cancelled() would say");
    yard.decide(ids[4], Decision::Run).unwrap();
    let runner = given.lease.runner_id;
    for given in yard.take_started(runner) {
        assert_eq!(yard.jobs[&given.job_id].extras.cancel_requested_at_ms, None);
        assert_eq!(yard.succeed(&given), Completed);
    }
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Cancelled);
}

#[test]
fn a_second_cancel_ends_what_the_first_one_spared() {
    let mut yard = Yard::new();
    let (ids, _) = tidying(&mut yard);
    cancel_all(&mut yard, ids[0]);
    cancel_all(&mut yard, ids[0]);
    assert_eq!(yard.states(&ids[1..]), [Cancelled; 4]);
    assert_eq!(yard.state(ids[0]), Running);
}
