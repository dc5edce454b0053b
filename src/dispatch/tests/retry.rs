//! What people ask for after something went wrong.

use super::yard::{Yard, after, job, slots};
use crate::dispatch::{Command, Refusal, Reply};
use crate::model::{JobId, JobStateKind, RecordName, RequeueReason, WorkloadId, WorkloadState};

use JobStateKind::{Blocked, Completed, Failed, Pending, Skipped};

fn requeue(job_id: JobId, avoid_runner: bool) -> Command {
    Command::Requeue { job_id, avoid_runner, author: "ada".into(), reason: "stuck".into() }
}

fn retry(yard: &Yard, workload_id: WorkloadId) -> Command {
    let archived = yard.workloads.contains_key(&workload_id).then(|| yard.archived(workload_id));
    Command::Retry { workload_id, archived, ended: Vec::new(), author: "ada".into() }
}

/// A workload of `a <- b <- c` and a job beside, in which `b` failed.
fn failed_yard() -> (Yard, Vec<JobId>, WorkloadId) {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), after("b", &["a"]), after("c", &["b"]), job("beside")]);
    let runner = yard.register("r", slots(1));
    for _ in 0..3 {
        let given = yard.run(runner);
        if &*given.name == "b" {
            yard.fail(&given)
        } else {
            yard.succeed(&given)
        };
    }
    assert_eq!(yard.states(&ids), [Completed, Failed, Skipped, Completed]);
    let workload_id = yard.jobs[&ids[0]].workload_id;
    (yard, ids, workload_id)
}

#[test]
fn a_retry_runs_what_did_not_complete_again_as_the_next_run() {
    let (mut yard, ids, workload_id) = failed_yard();
    let command = retry(&yard, workload_id);
    let reply = yard.apply(command).unwrap();
    let Reply::Workload(row) = reply else { panic!("{reply:?}") };
    assert_eq!((row.run, row.ended_at_ms), (2, None));
    assert_eq!(yard.states(&ids), [Completed, Pending, Blocked, Completed]);
    for name in ["b", "c"] {
        let runner = yard.register("r", slots(1));
        let given = yard.run(runner);
        assert_eq!((&*given.name, given.run, given.retry_count), (name, 2, 0));
        assert_eq!(given.attempt, if name == "b" { 2 } else { 1 }, "tries count over all runs");
        yard.succeed(&given);
    }
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Completed);
    let retried = yard.records.iter().find(|it| it.name == RecordName::WorkloadRetried).unwrap();
    assert_eq!((retried.author.as_deref(), &*retried.detail), (Some("ada"), "run 2"));
}

#[test]
fn a_retried_job_starts_with_a_clean_slate() {
    let mut yard = Yard::with(|settings| settings.infra_retries_max = 0);
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    yard.run(runner);
    yard.pass(yard.settings.lease_ms);
    assert_eq!(yard.state(id), Failed, "poisoned");
    let command = retry(&yard, yard.jobs[&id].workload_id);
    yard.apply(command).unwrap();
    let row = &yard.jobs[&id];
    assert_eq!(
        (row.extras.infra_failures, row.retry_count, row.extras.avoid_runner_id),
        (0, 0, None)
    );
    assert_eq!((row.extras.cancel_requested_at_ms, row.queued_at_ms), (None, yard.now.wall_ms));
}

#[test]
fn a_retry_needs_a_workload_that_ended_badly() {
    let (mut yard, ids, workload_id) = failed_yard();
    let command = retry(&yard, workload_id);
    yard.apply(command).unwrap();
    let again = retry(&yard, workload_id);
    assert_eq!(
        yard.refused(again).to_string(),
        "workload 1 has not ended: wait for it, or cancel it first"
    );
    let runner = yard.register("r", slots(1));
    for _ in 0..2 {
        let given = yard.run(runner);
        yard.succeed(&given);
    }
    assert_eq!(yard.state(ids[2]), Completed);
    let done = retry(&yard, workload_id);
    assert_eq!(yard.refused(done).to_string(), "workload 1 completed: there is nothing to retry");
    let unknown = retry(&yard, WorkloadId(9));
    assert_eq!(yard.refused(unknown), Refusal::UnknownWorkload(WorkloadId(9)));
}

#[test]
fn a_requeued_job_costs_nothing_and_its_runner_is_told_to_stop() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(2));
    let given = yard.run(runner);
    yard.apply(requeue(id, true)).unwrap();
    let row = &yard.jobs[&id];
    assert_eq!(
        (row.retry_count, row.extras.infra_failures, row.extras.avoid_runner_id),
        (0, 0, Some(runner))
    );
    assert_eq!(yard.attempts[0].requeue_reason, Some(RequeueReason::Manual));
    assert_eq!(yard.attempts[0].error.as_deref(), Some("requeued by ada: stuck"));
    // It names what it still works on: that is to be stopped, and said once.
    let mut poll = yard.poll_of(runner);
    poll.known = vec![given.lease.token];
    let poll = yard.poll_with(poll);
    assert_eq!(yard.answer(poll).unwrap().cancel, [given.lease.token]);
    let record = yard.records.iter().find(|it| it.name == RecordName::JobRequeued).unwrap();
    assert_eq!((record.author.as_deref(), &*record.detail), (Some("ada"), "manual"));
}

#[test]
fn without_the_wish_to_avoid_it_the_same_runner_may_take_a_requeued_job() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let [runner, _other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    yard.run(runner);
    yard.apply(requeue(id, false)).unwrap();
    assert_eq!(yard.take(runner).len(), 1);
}

#[test]
fn only_a_job_in_a_runners_hands_can_be_requeued() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    assert_eq!(
        yard.refused(requeue(id, true)).to_string(),
        "job 1 is pending: only a job that a runner has goes back"
    );
    let runner = yard.register("r", slots(1));
    yard.run(runner);
    yard.cancel(id).unwrap();
    assert_eq!(yard.refused(requeue(id, true)).to_string(), "job 1 is being cancelled");
    assert_eq!(yard.refused(requeue(JobId(7), true)), Refusal::UnknownJob(JobId(7)));
}
