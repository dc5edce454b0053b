//! One try at a job: given, started, ended, by nobody but its owner.

use super::yard::{Yard, job, lease, retried, slots};
use crate::dispatch::{Command, Refusal, Reply};
use crate::model::{
    AssignedJob, AttemptOutcome, EndReason, JobResult, JobStateKind, LeaseRef, LeaseToken, Nonce,
    RequeueReason, RunnerId, WorkloadState,
};

fn complete(lease: LeaseRef) -> Command {
    Command::Complete { lease, result: Box::new(JobResult::success()) }
}

#[test]
fn a_job_goes_from_pending_to_completed_and_takes_its_workload_along() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.take(runner).remove(0);
    assert_eq!(
        (yard.state(id), yard.workload_of(id).state),
        (JobStateKind::Claimed, WorkloadState::Claimed)
    );
    let started = yard.start(&given);
    let workload_id = given.workload_id;
    assert_eq!(started, Ok(Reply::Started { job_id: id, workload_id, run: 1, attempt: 1 }));
    assert_eq!(
        (yard.state(id), yard.workload_of(id).state),
        (JobStateKind::Running, WorkloadState::Running)
    );
    yard.pass(5);
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
    assert_eq!(yard.end_of(id), EndReason::Succeeded);
    assert_eq!(yard.workload_of(id).ended_at_ms, Some(yard.now.wall_ms));
    assert_eq!(yard.scheduler.job(id), None, "ended work leaves memory");
    let attempt = &yard.attempts[0];
    assert_eq!((attempt.number, attempt.run, attempt.outcome), (1, 1, AttemptOutcome::Completed));
    assert_eq!(attempt.ended_at_ms - attempt.started_at_ms.unwrap(), 5);
}

#[test]
fn an_assignment_says_which_try_it_is_and_how_many_are_left() {
    let mut yard = Yard::new();
    yard.submit(vec![retried("a", 2, 0)]);
    let runner = yard.register("r", slots(1));
    let counts = |job: &AssignedJob| (job.attempt, job.retry_count, job.max_retries);
    let first = yard.run(runner);
    assert_eq!(counts(&first), (1, 0, 2));
    assert_eq!(yard.fail(&first), JobStateKind::Pending);
    let second = yard.run(runner);
    assert_eq!(counts(&second), (2, 1, 2));
    assert!(second.lease.token > first.lease.token);
    assert_eq!(first.namespace, "default::workflow::build::a");
}

#[test]
fn with_no_backoff_the_very_next_poll_gets_the_failed_job_again() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![retried("a", 1, 0)])[0];
    let runner = yard.register("r", slots(1));
    let first = yard.run(runner);
    yard.fail(&first);
    assert_eq!(yard.jobs[&id].not_before_ms, 0);
    let second = yard.run(runner);
    assert_eq!(yard.fail(&second), JobStateKind::Failed);
    assert_eq!(yard.end_of(id), EndReason::Failed);
    let reasons: Vec<_> = yard.attempts.iter().map(|it| it.requeue_reason).collect();
    assert_eq!(reasons, [Some(RequeueReason::Failed), None]);
}

#[test]
fn a_backoff_holds_the_job_for_a_while_and_lets_others_pass() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![retried("a", 1, 10_000)])[0];
    let runner = yard.register("r", slots(1));
    let first = yard.run(runner);
    yard.fail(&first);
    let wait = yard.jobs[&id].not_before_ms - yard.now.wall_ms;
    assert!((1..=10_000).contains(&wait), "{wait}");
    let poll = yard.poll(runner);
    yard.pass(wait - 1);
    assert_eq!(yard.answer(poll), None);
    yard.pass(1);
    assert_eq!(yard.given(poll)[0].attempt, 2);
}

#[test]
fn nobody_but_the_owner_of_a_lease_can_use_it() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let [runner, other] = ["r", "s"].map(|name| yard.register(name, slots(1)));
    let given = yard.run(runner);
    let own = lease(&given);
    let wrong = [
        LeaseRef { nonce: Nonce(own.nonce.0 ^ 1), ..own },
        LeaseRef { runner_id: other, ..own },
        LeaseRef { runner_id: RunnerId(99), ..own },
        LeaseRef { token: LeaseToken(own.token.0 + 1), ..own },
    ];
    for lease in wrong {
        for command in [
            Command::Start(lease),
            complete(lease),
            Command::Release { lease, reason: RequeueReason::Drained, why: None },
        ] {
            assert_eq!(yard.refused(command), Refusal::LeaseLost(lease.token));
        }
    }
    assert_eq!(yard.succeed(&given), JobStateKind::Completed);
}

#[test]
fn a_stale_attempt_cannot_finish() {
    let mut yard = Yard::new();
    yard.submit(vec![retried("a", 1, 0)]);
    let runner = yard.register("r", slots(1));
    let first = yard.run(runner);
    yard.fail(&first);
    assert_eq!(yard.refused(complete(lease(&first))), Refusal::LeaseLost(first.lease.token));
    let second = yard.run(runner);
    assert_eq!(yard.refused(complete(lease(&first))), Refusal::LeaseLost(first.lease.token));
    yard.succeed(&second);
    // The second of two equal completions is answered from the attempt's row, by the API.
    assert_eq!(yard.refused(complete(lease(&second))), Refusal::LeaseLost(second.lease.token));
    let row = yard.attempts.last().unwrap();
    assert_eq!((row.nonce, row.job_state), (second.lease.nonce, JobStateKind::Completed));
}

#[test]
fn a_start_can_be_repeated_and_a_completion_may_come_without_one() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b")]);
    let runner = yard.register("r", slots(2));
    let jobs = yard.take(runner);
    let first = yard.start(&jobs[0]);
    yard.pass(5);
    assert_eq!(yard.start(&jobs[0]), first);
    assert_eq!(yard.changes, [], "a repeated start writes nothing");
    assert_eq!(yard.succeed(&jobs[1]), JobStateKind::Completed);
    assert_eq!(yard.state(ids[1]), JobStateKind::Completed);
}

#[test]
fn a_job_that_is_given_back_waits_for_anyone_unless_infrastructure_failed() {
    let mut yard = Yard::new();
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    let release =
        |job: &AssignedJob, reason| Command::Release { lease: lease(job), reason, why: None };
    yard.apply(release(&given, RequeueReason::Drained)).unwrap();
    let row = &yard.jobs[&id];
    assert_eq!((row.extras.infra_failures, row.extras.avoid_runner_id), (0, None));
    let given = yard.run(runner);
    yard.apply(release(&given, RequeueReason::Evicted)).unwrap();
    let row = &yard.jobs[&id];
    assert_eq!((row.extras.infra_failures, row.extras.avoid_runner_id), (1, Some(runner)));
    assert_eq!(row.retry_count, 0, "the job's own retries do not pay");
}

#[test]
fn only_the_reasons_of_a_runner_give_a_job_back() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    for reason in [RequeueReason::Failed, RequeueReason::Manual, RequeueReason::LeaseLost] {
        let refusal = yard.refused(Command::Release { lease: lease(&given), reason, why: None });
        assert!(refusal.to_string().contains(reason.as_str()), "{refusal}");
    }
    let result = Box::new(JobResult { outcome: AttemptOutcome::Requeued, ..JobResult::success() });
    let refusal = yard.refused(Command::Complete { lease: lease(&given), result });
    assert_eq!(refusal.to_string(), "an attempt is given back by `release`");
}

#[test]
fn tokens_grow_over_epochs_and_are_never_used_again() {
    let mut yard = Yard::new();
    yard.submit(vec![retried("a", 3, 0)]);
    let runner = yard.register("r", slots(1));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let given = yard.run(runner);
        tokens.push(given.lease.token);
        yard.fail(&given);
        yard.restart();
    }
    assert!(tokens.is_sorted_by(|a, b| a < b), "{tokens:?}");
    assert_eq!(tokens.iter().map(|it| it.epoch()).collect::<Vec<_>>(), [1, 2, 3]);
}
