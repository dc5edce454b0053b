//! Limits over the jobs of a matrix or a workload, and their common fate.

use super::yard::{Yard, after, job, names, retried, slots, urgent, workload};
use crate::model::{
    EndReason, JobPriority, JobStateKind, JobTerms, MatrixTerms, PlannedJob, PlannedWorkload,
    RunIf, WorkloadState, WorkloadTerms,
};

use JobStateKind::{Blocked, Cancelled, Failed, Pending, Running};

/// A job of the matrix `m`.
fn of_matrix(job: PlannedJob, max_parallel: Option<u32>, fail_fast: bool) -> PlannedJob {
    let matrix = Some(MatrixTerms { key: "m".into(), max_parallel, fail_fast });
    PlannedJob { terms: JobTerms { matrix, ..job.terms }, ..job }
}

fn limited(jobs: Vec<PlannedJob>, max_parallel: u32) -> PlannedWorkload {
    let terms = WorkloadTerms { max_parallel: Some(max_parallel), ..WorkloadTerms::default() };
    PlannedWorkload { terms, ..workload(jobs) }
}

#[test]
fn no_more_jobs_of_a_matrix_are_with_runners_than_it_says() {
    let mut yard = Yard::new();
    let mut jobs: Vec<_> =
        ["a", "b", "c"].map(|name| of_matrix(job(name), Some(2), false)).to_vec();
    jobs.push(job("beside"));
    let ids = yard.submit(jobs);
    assert_eq!(yard.said(ids[2])[0], "2 of 2 jobs of matrix `m` are offered or running");
    yard.restart();
    let runner = yard.register("r", slots(9));
    let given = yard.take(runner);
    assert_eq!(names(&given), ["a", "b", "beside"]);
    yard.restart();
    assert_eq!(yard.take(runner).len(), 3, "the same again after a load");
    yard.succeed(&given[0]);
    assert!(names(&yard.take(runner)).contains(&"c"));
}

#[test]
fn a_workload_limits_all_its_jobs_and_urgent_ones_are_offered_first() {
    let mut yard = Yard::new();
    let ids = yard.submit_whole(limited(
        vec![job("a"), job("b"), urgent("c", JobPriority::High), after("d", &["c"])],
        1,
    ));
    assert_eq!(yard.said(ids[0])[0], "1 of 1 jobs of its workload are offered or running");
    let runner = yard.register("r", slots(9));
    for name in ["c", "a", "b", "d"] {
        let given = yard.run(runner);
        assert_eq!(&*given.name, name);
        yard.succeed(&given);
    }
}

#[test]
fn a_job_in_its_backoff_keeps_nobody_out() {
    let mut yard = Yard::new();
    yard.submit_whole(limited(vec![retried("a", 1, 60_000), job("b")], 1));
    let runner = yard.register("r", slots(9));
    let given = yard.run(runner);
    yard.fail(&given);
    let next = yard.run(runner);
    assert_eq!(&*next.name, "b");
    for _ in 0..2 {
        yard.pass(30_000);
        yard.beat(runner, &[&next]);
    }
    yard.restart();
    let mut poll = yard.poll_of(runner);
    poll.known = vec![next.lease.token];
    let waiting = yard.poll_with(poll);
    assert_eq!(yard.answer(waiting), None, "one runs, and one is enough");
    yard.succeed(&next);
    assert_eq!(names(&yard.given(waiting)), ["a"]);
}

#[test]
fn a_matrix_and_its_workload_hold_both() {
    let mut yard = Yard::new();
    let mut jobs: Vec<_> = ["a", "b"].map(|name| of_matrix(job(name), Some(1), false)).to_vec();
    jobs.extend([job("c"), job("d")]);
    let ids = yard.submit_whole(limited(jobs, 2));
    let runner = yard.register("r", slots(9));
    let given = yard.take(runner);
    assert_eq!(names(&given), ["a", "c"], "what waits for its matrix takes no place");
    yard.succeed(&given[1]);
    let next = yard.take(runner);
    assert!(names(&next).contains(&"d"), "{next:?}");
    yard.succeed(&given[0]);
    assert_eq!(yard.states(&ids)[1], Pending);
    assert!(names(&yard.take(runner)).contains(&"b"));
}

#[test]
fn a_better_placed_job_takes_the_offer_of_one_that_no_runner_has() {
    let mut yard = Yard::new();
    let mut jobs = vec![of_matrix(job("a"), Some(1), false), job("need")];
    let late = of_matrix(after("urgent", &["need"]), Some(1), false);
    jobs.push(PlannedJob { priority: JobPriority::High, ..late });
    let ids = yard.submit_whole(limited(jobs, 2));
    let runner = yard.register("r", slots(9));
    // Only `need` is taken: the poll asks for one job, and it stands behind `a`.
    yard.cancel(ids[1]).unwrap();
    assert_eq!(yard.state(ids[2]), JobStateKind::Skipped);
    let ids = yard.submit_whole(limited(
        vec![
            PlannedJob { priority: JobPriority::High, ..job("need") },
            of_matrix(job("x"), Some(1), false),
            PlannedJob {
                priority: JobPriority::High,
                ..of_matrix(after("y", &["need"]), Some(1), false)
            },
        ],
        2,
    ));
    let mut poll = yard.poll_of(runner);
    poll.jobs_max = Some(1);
    let poll = yard.poll_with(poll);
    let given = yard.given(poll);
    assert_eq!(names(&given), ["need"]);
    yard.succeed(&given[0]);
    assert_eq!(yard.said(ids[1])[0], "1 of 1 jobs of matrix `m` are offered or running");
    let given = yard.take(runner);
    assert_eq!(names(&given), ["y", "a"]);
}

#[test]
fn the_first_failure_in_a_matrix_cancels_the_others_of_it() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![
        of_matrix(job("a"), None, true),
        of_matrix(job("b"), None, true),
        of_matrix(job("c"), None, true),
        of_matrix(after("d", &["beside"]), None, true),
        job("beside"),
    ]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.start(&given[1]).unwrap();
    yard.fail(&given[0]);
    assert_eq!(yard.states(&ids), [Failed, Running, Cancelled, Cancelled, Pending]);
    assert_eq!(yard.end_of(ids[2]), EndReason::FailFast);
    assert_eq!(yard.beat(runner, &[&given[1]]).1, [given[1].lease.token]);
    assert_eq!(yard.fail(&given[1]), Cancelled, "and is no second failure");
}

#[test]
fn a_claimed_job_is_fenced_by_a_failure_beside_it() {
    let mut yard = Yard::new();
    let ids = yard.submit(["a", "b"].map(|name| of_matrix(job(name), None, true)).to_vec());
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.fail(&given[0]);
    assert_eq!((yard.state(ids[1]), yard.end_of(ids[1])), (Cancelled, EndReason::FailFast));
    assert!(yard.start(&given[1]).is_err());
}

#[test]
fn a_retry_that_is_left_is_no_failure_yet() {
    let mut yard = Yard::new();
    let ids = yard
        .submit(vec![of_matrix(retried("a", 1, 0), None, true), of_matrix(job("b"), None, true)]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.fail(&given);
    assert_eq!(yard.states(&ids), [Pending, Pending]);
}

#[test]
fn a_workload_that_fails_fast_spares_what_is_to_run_after_a_failure() {
    let mut yard = Yard::new();
    let terms = WorkloadTerms { fail_fast: true, ..WorkloadTerms::default() };
    let when = |name, run_if| PlannedJob {
        terms: JobTerms { run_if, ..JobTerms::default() },
        ..after(name, &["b"])
    };
    let jobs = vec![
        job("a"),
        job("b"),
        after("c", &["b"]),
        when("sweep", RunIf::Always),
        when("report", RunIf::Failure),
        PlannedJob {
            terms: JobTerms { run_if: RunIf::Failure, ..JobTerms::default() },
            ..after("tell", &["a"])
        },
    ];
    let ids = yard.submit_whole(PlannedWorkload { terms, ..workload(jobs) });
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.fail(&given);
    assert_eq!(
        yard.states(&ids),
        [Failed, Cancelled, Cancelled, Pending, JobStateKind::Skipped, Pending],
        "b was cancelled, so nothing that `report` needs has failed; what `tell` needs has"
    );
    for _ in ["sweep", "tell"] {
        let given = yard.run(runner);
        yard.succeed(&given);
    }
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Failed);
    yard.retry(yard.jobs[&ids[0]].workload_id).unwrap();
    assert_eq!(yard.states(&ids)[..3], [Pending, Pending, Blocked]);
}
