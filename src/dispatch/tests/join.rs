//! Open workloads: who joins, who waits for whom, and what closing decides.

use super::yard::{Yard, after, job, slots, workload};
use crate::dispatch::{Command, Refusal, Reply, Verdict};
use crate::model::{
    Change, EndReason, JobId, JobStateKind, JobTerms, MatrixTerms, PlannedJob, PlannedWorkload,
    RecordName, RunIf, WorkloadId, WorkloadState, WorkloadTerms,
};

use JobStateKind::{Blocked, Cancelled, Completed, Failed, Pending, Skipped};

const FIRST: WorkloadId = WorkloadId(1);

fn open(jobs: Vec<PlannedJob>) -> PlannedWorkload {
    PlannedWorkload { open: true, ..workload(jobs) }
}

fn when(name: &str, run_if: RunIf, needs: &[&str]) -> PlannedJob {
    PlannedJob { terms: JobTerms { run_if, ..JobTerms::default() }, ..after(name, needs) }
}

fn after_workload(name: &str, id: WorkloadId) -> PlannedJob {
    let terms = JobTerms { needs_workloads: vec![id], ..JobTerms::default() };
    PlannedJob { terms, ..job(name) }
}

fn join(jobs: Vec<PlannedJob>) -> Command {
    Command::Join { workload_id: FIRST, jobs, idempotency_key: None, ended: Vec::new() }
}

#[test]
fn an_open_workload_does_not_end_until_it_is_closed() {
    let mut yard = Yard::new();
    let id = yard.submit_whole(open(vec![job("a")]))[0];
    assert_eq!(yard.workload_of(id).state, WorkloadState::Pending);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.succeed(&given);
    assert_eq!(yard.workload_of(id).state, WorkloadState::Running);
    yard.restart();
    let reply = yard.close(FIRST).unwrap();
    let Reply::Workload(row) = reply else { panic!("{reply:?}") };
    assert_eq!((row.state, row.open), (WorkloadState::Completed, false));
    assert!(yard.scheduler.durable().workloads.is_empty());
    let closed = yard.records.iter().find(|it| it.name == RecordName::WorkloadClosed).unwrap();
    assert_eq!(closed.author.as_deref(), Some("ada"));
}

#[test]
fn jobs_join_with_needs_among_those_that_are_there_even_ended_ones() {
    let mut yard = Yard::new();
    let first = yard.submit_whole(open(vec![job("good"), job("bad")]));
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.succeed(&given[0]);
    yard.fail(&given[1]);
    let ids = yard.join(
        FIRST,
        vec![
            after("after-good", &["good"]),
            after("after-bad", &["bad"]),
            when("report", RunIf::Failure, &["after-bad"]),
            after("later", &["after-good"]),
        ],
    );
    assert_eq!(yard.states(&ids), [Pending, Skipped, Pending, Blocked]);
    assert!(ids.iter().all(|id| yard.jobs[id].workload_id == yard.jobs[&first[0]].workload_id));
    let joined = yard.records.iter().find(|it| it.name == RecordName::WorkloadJoined).unwrap();
    assert_eq!(&*joined.detail, "build: 4 jobs");
}

#[test]
fn a_need_that_is_no_job_yet_keeps_a_job_blocked_and_explained_until_it_joins() {
    let mut yard = Yard::new();
    let id = yard.submit_whole(open(vec![after("deploy", &["test"])]))[0];
    assert_eq!(yard.state(id), Blocked);
    assert_eq!(yard.said(id), ["waits for job `test`, which has not joined"]);
    yard.restart();
    let test = yard.join(FIRST, vec![job("test")])[0];
    assert_eq!(yard.said(id), ["blocked by test (job 2, pending)"]);
    yard.restart();
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    assert_eq!(given.job_id, test);
    yard.succeed(&given);
    assert_eq!(yard.state(id), Pending);
}

#[test]
fn closing_decides_about_needs_that_never_came_by_condition() {
    let mut yard = Yard::new();
    let ids = yard.submit_whole(open(vec![
        after("success", &["ghost"]),
        when("failure", RunIf::Failure, &["ghost"]),
        when("always", RunIf::Always, &["ghost"]),
        when("both", RunIf::Always, &["ghost", "failure"]),
        after("child", &["success"]),
        job("free"),
    ]));
    yard.close(FIRST).unwrap();
    assert_eq!(yard.states(&ids), [Failed, Pending, Pending, Blocked, Skipped, Pending]);
    assert_eq!(yard.end_of(ids[0]), EndReason::NeedNeverCame);
    yard.restart();
    assert_eq!(yard.said(ids[3]), ["blocked by failure (job 2, pending)"]);
    yard.cancel(ids[1]).unwrap();
    assert_eq!(yard.state(ids[3]), Pending);
}

#[test]
fn a_retry_of_a_closed_workload_knows_which_needs_came() {
    let mut yard = Yard::new();
    let ids = yard.submit_whole(open(vec![after("a", &["late"]), after("b", &["ghost"])]));
    // It had ended when what it needs joined: the edge is there all the same.
    yard.cancel(ids[0]).unwrap();
    let late = yard.join(FIRST, vec![job("late")])[0];
    yard.cancel(late).unwrap();
    yard.close(FIRST).unwrap();
    assert_eq!(yard.workload_of(late).state, WorkloadState::Failed);
    yard.retry(FIRST).unwrap();
    assert_eq!(yard.states(&[ids[0], ids[1], late]), [Blocked, Failed, Pending]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.succeed(&given);
    assert_eq!(yard.state(ids[0]), Pending);
}

#[test]
fn what_joins_must_have_new_names_and_fit_the_limits() {
    let mut yard = Yard::with(|settings| {
        settings.workload_jobs_max = 4;
        settings.changes_per_command_max = 5;
    });
    yard.submit_whole(open(vec![job("a"), after("b", &["late"])]));
    assert_eq!(yard.refused(join(vec![job("a")])).to_string(), "two jobs are called `a`");
    assert_eq!(yard.refused(join(vec![job("c"), job("c")])).to_string(), "two jobs are called `c`");
    assert_eq!(
        yard.refused(join(vec![job("c"), job("d"), job("e")])).to_string(),
        "5 jobs in one workload, workload_jobs_max is 4"
    );
    // Two jobs are four rows, and each late need that is found is one more.
    yard.settings.changes_per_command_max = 4;
    yard.restart();
    let refusal = yard.refused(join(vec![job("late"), job("d")]));
    assert!(matches!(refusal, Refusal::TooMany { limit: "changes_per_command_max", .. }));
    assert!(matches!(yard.refused(join(vec![])), Refusal::Invalid(_)));
    yard.join(FIRST, vec![job("c"), job("d")]);
}

#[test]
fn only_an_open_live_workload_can_be_joined_or_closed() {
    let mut yard = Yard::new();
    yard.submit(vec![job("a")]);
    let close = |id| Command::Close { workload_id: id, author: "ada".into() };
    let refusal = yard.refused(join(vec![job("b")]));
    assert_eq!(refusal.to_string(), "workload 1 is not open: nothing joins it");
    assert!(matches!(yard.refused(close(FIRST)), Refusal::WrongState(_)));
    assert_eq!(yard.refused(close(WorkloadId(9))), Refusal::UnknownWorkload(WorkloadId(9)));
    let refusal = yard.refused(Yard::submission(workload(vec![PlannedJob {
        terms: JobTerms { late_needs: vec!["x".into()], ..JobTerms::default() },
        ..job("b")
    }])));
    assert_eq!(refusal.to_string(), "job `b`: needs: `x` can only join a workload that is open");
}

#[test]
fn a_circle_through_a_late_need_is_refused_with_its_path() {
    let mut yard = Yard::new();
    let ids = yard.submit_whole(open(vec![after("a", &["b"]), after("x", &["y"])]));
    let refusal = yard.refused(join(vec![after("b", &["c"]), after("c", &["a"])]));
    assert_eq!(refusal.to_string(), "jobs wait for each other: b -> c -> a (job 1) -> b");
    assert_eq!(
        yard.refused(join(vec![after("z", &["z"])])).to_string(),
        "jobs wait for each other: z -> z"
    );
    // Nor through a job that has ended: a retry would wait for ever.
    yard.cancel(ids[1]).unwrap();
    assert!(matches!(yard.refused(join(vec![after("y", &["x"])])), Refusal::Invalid(_)));
    yard.join(FIRST, vec![job("b")]);
}

#[test]
fn a_circle_over_two_workloads_is_refused_with_its_path() {
    let mut yard = Yard::new();
    yard.submit_whole(open(vec![job("a")]));
    let second = yard.submit(vec![after_workload("b", FIRST)])[0];
    let second = yard.jobs[&second].workload_id;
    let refusal = yard.refused(join(vec![after_workload("c", second)]));
    assert_eq!(
        refusal.to_string(),
        "jobs wait for each other: c -> build (workload 2) -> b (job 2) -> build (workload 1) -> c"
    );
    let own = yard.refused(join(vec![after_workload("c", FIRST)]));
    assert_eq!(own.to_string(), "jobs wait for each other: c -> build (workload 1) -> c");
}

#[test]
fn a_cancelled_workload_is_closed_too_and_ends() {
    let mut yard = Yard::new();
    let ids = yard.submit_whole(open(vec![job("a"), after("b", &["ghost"])]));
    let (author, reason) = ("ada".into(), "enough".into());
    yard.apply(Command::CancelWorkload { workload_id: FIRST, author, reason }).unwrap();
    assert_eq!(yard.states(&ids), [Cancelled, Cancelled]);
    let row = yard.workload_of(ids[0]);
    assert_eq!((row.state, row.open), (WorkloadState::Cancelled, false));
}

#[test]
fn nothing_joins_what_fails_fast_and_has_failed() {
    let mut yard = Yard::new();
    let terms = WorkloadTerms { fail_fast: true, ..WorkloadTerms::default() };
    yard.submit_whole(PlannedWorkload { terms, ..open(vec![job("a")]) });
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.fail(&given);
    assert_eq!(
        yard.refused(join(vec![job("b")])).to_string(),
        "job `b` would share the fate of one that has failed"
    );
}

#[test]
fn a_matrix_is_the_same_for_all_its_jobs() {
    let of = |name: &str, max_parallel| {
        let matrix = Some(MatrixTerms { key: "m".into(), max_parallel, fail_fast: false });
        PlannedJob { terms: JobTerms { matrix, ..JobTerms::default() }, ..job(name) }
    };
    let mut yard = Yard::new();
    yard.submit_whole(open(vec![of("a", Some(1))]));
    assert_eq!(
        yard.refused(join(vec![of("b", Some(2))])).to_string(),
        "job `b`: matrix: `m` has different terms in two jobs"
    );
    yard.join(FIRST, vec![of("b", Some(1))]);
}

#[test]
fn a_need_that_is_decided_in_the_command_in_which_it_joins_counts_once() {
    let mut yard = Yard::new();
    yard.submit_whole(open(vec![job("bad"), job("slow")]));
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.fail(&given[0]);
    let jobs = vec![after("skipped", &["bad"]), when("sweep", RunIf::Always, &["skipped", "slow"])];
    let ids = yard.join(FIRST, jobs);
    assert_eq!(yard.states(&ids), [Skipped, Blocked]);
    yard.succeed(&given[1]);
    assert_eq!(yard.state(ids[1]), Pending);
}

#[test]
fn whoever_joins_when_its_need_has_completed_runs_at_once() {
    let mut yard = Yard::new();
    let ids: Vec<JobId> = yard.submit_whole(open(vec![job("a")]));
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    assert_eq!(yard.succeed(&given), Completed);
    let waiting = yard.poll(runner);
    let new = yard.join(FIRST, vec![after("b", &["a"])]);
    assert_eq!(yard.given(waiting)[0].job_id, new[0]);
    assert_eq!(yard.state(ids[0]), Completed);
}

#[test]
fn a_second_join_with_a_key_is_answered_with_the_first_also_when_nothing_joins_any_more() {
    let mut yard = Yard::new();
    yard.submit_whole(open(vec![job("a")]));
    let join = || Command::Join {
        workload_id: FIRST,
        jobs: vec![job("b"), after("c", &["b"])],
        idempotency_key: Some("once".into()),
        ended: Vec::new(),
    };
    let (key, _) = join().unique_key().unwrap();
    // The first use was refused, in a batch that was committed for others.
    let refused = yard.batch_with(vec![(join(), Verdict::Duplicate("".into()))]).remove(0);
    let joined = |duplicate| {
        let jobs = vec![JobId(2), JobId(3)];
        Ok(Reply::Joined { workload_id: FIRST, jobs, duplicate, outlooks: Vec::new() })
    };
    assert_eq!(refused, joined(false));
    assert!(yard.changes.contains(&Change::KeyAnswered(key, "2-3".into())));
    yard.close(FIRST).unwrap();
    let again = yard.batch_with(vec![(join(), Verdict::Duplicate("2-3".into()))]).remove(0);
    assert_eq!(again, joined(true));
    assert_eq!(yard.changes, []);
}
