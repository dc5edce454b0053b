//! Jobs that somebody outside decides about, jobs that never run, and failures that are allowed.

use super::yard::{Yard, after, job, labelled, slots, with_label, workload};
use crate::dispatch::{Command, Forecast, Refusal, Unforeseen};
use crate::model::JobStateKind::{Blocked, Cancelled, Completed, Failed, Pending, Skipped};
use crate::model::{
    Change, Decision, EndReason, GroupTerms, JobId, JobPriority, JobTerms, MatrixTerms, PlannedJob,
    PlannedWorkload, RUN_ID, RecordName, RunIf, WorkloadState, WorkloadTerms,
};

fn when(name: &str, run_if: RunIf, needs: &[&str]) -> PlannedJob {
    PlannedJob { terms: JobTerms { run_if, ..JobTerms::default() }, ..after(name, needs) }
}

/// A job of a matrix, which runs however its needs ended.
fn cell(name: &str, key: &str) -> PlannedJob {
    let matrix = MatrixTerms { key: key.into(), max_parallel: Some(1), fail_fast: true };
    let terms = JobTerms { run_if: RunIf::Always, matrix: Some(matrix), ..JobTerms::default() };
    PlannedJob { terms, ..job(name) }
}

fn may_fail(name: &str) -> PlannedJob {
    PlannedJob { terms: JobTerms { allow_failure: true, ..JobTerms::default() }, ..job(name) }
}

fn expand(jobs: Vec<PlannedJob>) -> Decision {
    Decision::Expand { jobs }
}

/// A workload with a job that waits for a decision, and one that needs it; both told of.
fn undecided(yard: &mut Yard) -> [JobId; 2] {
    let ids = yard.submit(vec![when("build", RunIf::Decide, &[]), after("ship", &["build"])]);
    [ids[0], ids[1]]
}

#[test]
fn a_job_is_told_when_all_that_it_needs_has_ended_and_waits_until_it_is_decided() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    let ids = yard.submit(vec![job("a"), job("b"), when("c", RunIf::Decide, &["a", "b"])]);
    let given = yard.take_started(runner);
    yard.fail(&given[0]);
    assert_eq!(yard.undecided, [], "one of its needs has not ended");
    yard.succeed(&given[1]);
    assert_eq!(yard.undecided, [ids[2]]);
    assert_eq!(yard.state(ids[2]), Blocked);
    assert!(yard.jobs[&ids[2]].need_failed, "what failure() would say");
    assert_eq!(yard.said(ids[2]), ["its condition is being decided"]);
    yard.pass(1_000);
    assert_eq!(yard.undecided, [ids[2]], "it is told once");
    yard.restart();
    assert_eq!(yard.undecided, [ids[2], ids[2]], "and after a load again");
    yard.decide(ids[2], Decision::Run).unwrap();
    assert_eq!(&*yard.run(runner).name, "c");
}

#[test]
fn a_job_that_needs_nothing_is_told_at_once() {
    let mut yard = Yard::new();
    yard.register("r", slots(1));
    let [build, ship] = undecided(&mut yard);
    assert_eq!(yard.undecided, [build]);
    assert_eq!(yard.said(build), ["its condition is being decided"]);
    let counts = yard.scheduler.explain_all(yard.now, None, 9).gates;
    let planning = counts.iter().find(|gate| gate.code == "planning").unwrap();
    assert_eq!(planning.jobs, 1);
    let unknown = Some(Forecast::Unknown(Unforeseen::Decision));
    let forecasts = [build, ship].map(|id| yard.scheduler.forecast(yard.now, id));
    assert_eq!(forecasts, [unknown, unknown]);
}

#[test]
fn a_false_condition_skips_the_job_and_what_needs_it() {
    let mut yard = Yard::new();
    let [build, ship] = undecided(&mut yard);
    yard.decide(build, Decision::Skip { why: "false".into() }).unwrap();
    assert_eq!((yard.state(build), yard.end_of(build)), (Skipped, EndReason::ConditionFalse));
    assert_eq!((yard.state(ship), yard.end_of(ship)), (Skipped, EndReason::NeedNotMet));
    assert_eq!(yard.workload_of(build).state, WorkloadState::Completed);
}

#[test]
fn a_condition_that_cannot_be_evaluated_fails_the_job_and_says_why() {
    let mut yard = Yard::new();
    let [build, _] = undecided(&mut yard);
    yard.decide(build, Decision::Fail { why: "if: unknown function `foo`".into() }).unwrap();
    assert_eq!((yard.state(build), yard.end_of(build)), (Failed, EndReason::Unplannable));
    let kept = yard.records.iter().find(|record| record.name == RecordName::JobDecided).unwrap();
    assert_eq!((kept.job_id, &*kept.detail), (Some(build), "if: unknown function `foo`"));
    assert!(RecordName::JobDecided.is_kept());
    assert_eq!(yard.workload_of(build).state, WorkloadState::Failed);
}

#[test]
fn a_decision_that_comes_too_late_changes_nothing() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), when("b", RunIf::Decide, &["a"])]);
    let run = |job_id, run| Command::Decide { job_id, run, decision: Decision::Run };
    let superseded = |id| Refusal::Superseded(id);
    assert_eq!(yard.refused(run(ids[1], 1)), superseded(ids[1]), "its need has not ended");
    assert_eq!(yard.refused(run(ids[0], 1)), superseded(ids[0]), "nobody decides about it");
    let runner = yard.register("r", slots(1));
    yard.work_off(runner, 1);
    assert_eq!(yard.refused(run(ids[1], 2)), superseded(ids[1]), "that is not its run");
    yard.apply(run(ids[1], 1)).unwrap();
    assert_eq!(yard.refused(run(ids[1], 1)), superseded(ids[1]), "it was decided");
    let [build, _] = undecided(&mut yard);
    yard.cancel(build).unwrap();
    assert_eq!(yard.refused(run(build, 1)), superseded(build), "it was cancelled");
}

#[test]
fn a_matrix_takes_the_place_of_its_job_for_everybody_who_needs_it() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(4));
    let ids = yard.submit(vec![
        job("list"),
        when("build", RunIf::Decide, &["list"]),
        after("ship", &["build"]),
        when("report", RunIf::Always, &["build", "list"]),
    ]);
    yard.work_off(runner, 1);
    yard.pass(50);
    yard.decide(ids[1], expand(vec![cell("build (1)", "build"), cell("build (2)", "build")]))
        .unwrap();
    assert_eq!((yard.state(ids[1]), yard.end_of(ids[1])), (Completed, EndReason::Expanded));
    let new = [4, 5].map(|at| JobId(ids[0].0 + at));
    assert_eq!(yard.states(&new), [Pending, Pending]);
    assert_eq!(yard.jobs[&new[0]].lane_key, yard.jobs[&ids[1]].lane_key, "it is as old");
    assert_eq!(yard.states(&ids[2..]), [Blocked, Blocked], "nobody who needs it is let go");
    let needs = |id: JobId| {
        let edges = yard.edges.iter().filter(|edge| edge.job_id == id);
        edges.map(|edge| edge.needs_job_id).collect::<Vec<_>>()
    };
    assert_eq!(needs(new[0]), [ids[0]], "what the job needed, its matrix needs");
    assert_eq!(needs(ids[2]), [ids[1], new[0], new[1]]);
    yard.restart();
    let first = yard.take_started(runner);
    assert_eq!(first.len(), 1, "the matrix has a limit");
    yard.succeed(&first[0]);
    assert_eq!(yard.states(&ids[2..]), [Blocked, Blocked]);
    let second = yard.take_started(runner);
    yard.succeed(&second[0]);
    assert_eq!(yard.states(&ids[2..]), [Pending, Pending]);
}

#[test]
fn what_needs_a_matrix_hears_of_the_failure_of_any_of_it() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(4));
    let [build, ship] = undecided(&mut yard);
    yard.decide(build, expand(vec![cell("build (1)", "build"), cell("build (2)", "build")]))
        .unwrap();
    let first = yard.take_started(runner);
    yard.fail(&first[0]);
    assert_eq!((yard.state(ship), yard.end_of(ship)), (Skipped, EndReason::NeedNotMet));
    assert_eq!(yard.workload_of(build).state, WorkloadState::Failed);
    // Only what did not complete runs again; the job in whose place the others stand did.
    yard.retry(yard.jobs[&build].workload_id).unwrap();
    let new = [2, 3].map(|at| JobId(build.0 + at));
    assert_eq!(yard.states(&[build, ship, new[0], new[1]]), [Completed, Blocked, Pending, Pending]);
    assert_eq!(yard.work_off(runner, 3), ["build (1)", "build (2)", "ship"]);
    assert_eq!(yard.workload_of(build).state, WorkloadState::Completed);
}

#[test]
fn jobs_of_a_matrix_that_can_never_run_end_at_once_and_count_once() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(4));
    let ids = yard.submit(vec![
        job("list"),
        when("build", RunIf::Decide, &["list"]),
        when("sweep", RunIf::Always, &["build"]),
    ]);
    let given = yard.run(runner);
    yard.fail(&given);
    // They want their needs to complete, and `list` failed.
    yard.decide(ids[1], expand(vec![job("build (1)"), job("build (2)")])).unwrap();
    assert_eq!(yard.state(ids[2]), Pending);
    let new = [3, 4].map(|at| JobId(ids[0].0 + at));
    assert_eq!(yard.states(&new), [Skipped, Skipped]);
}

#[test]
fn a_matrix_that_cannot_be_fails_its_job_and_says_why() {
    let mut yard = Yard::with(|settings| settings.workload_jobs_max = 4);
    let [build, ship] = undecided(&mut yard);
    let cells = (0..3).map(|at| cell(&format!("build ({at})"), "build"));
    yard.decide(build, expand(cells.collect())).unwrap();
    assert_eq!((yard.state(build), yard.end_of(build)), (Failed, EndReason::Unplannable));
    assert_eq!(yard.state(ship), Skipped);
    let kept = yard.records.iter().find(|record| record.name == RecordName::JobDecided).unwrap();
    assert_eq!(&*kept.detail, "5 jobs in one workload, workload_jobs_max is 4");
    let [build, _] = undecided(&mut yard);
    yard.decide(build, expand(vec![job("ship")])).unwrap();
    assert_eq!(yard.end_of(build), EndReason::Unplannable, "a name is taken");
    let [build, _] = undecided(&mut yard);
    yard.decide(build, expand(vec![after("build (1)", &["ship"])])).unwrap();
    assert_eq!(yard.end_of(build), EndReason::Unplannable, "what it needs needs it");
    let [build, _] = undecided(&mut yard);
    yard.decide(build, expand(vec![])).unwrap();
    assert_eq!(yard.end_of(build), EndReason::Unplannable, "a matrix of nothing");
}

#[test]
fn a_job_may_be_planned_anew_in_its_place() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), when("b", RunIf::Decide, &["a"]), after("c", &["b"])]);
    let [plain, gpu] = [yard.register("r", slots(1)), yard.register("g", with_label("gpu"))];
    yard.work_off(plain, 1);
    let mut planned = labelled("another name", "gpu");
    planned.timeout_ms = 7_000;
    planned.priority = JobPriority::High;
    planned.terms.run_if = RunIf::Decide;
    planned.terms.max_wait_ms = Some(500);
    yard.decide(ids[1], Decision::Replan { job: Box::new(planned.clone()) }).unwrap();
    let replanned = yard.changes.iter().find_map(|change| match change {
        Change::JobReplanned { job, spec } => Some((job.id, spec.clone())),
        _ => None,
    });
    assert_eq!(replanned, Some((ids[1], planned.spec)));
    let row = &yard.jobs[&ids[1]];
    // How urgent it is stays: somebody may have changed it meanwhile.
    assert_eq!((row.timeout_ms, row.priority, &*row.name), (7_000, JobPriority::Normal, "b"));
    assert_eq!(yard.scheduler.queue_metrics().by_level, [0, 0, 2, 0, 0]);
    yard.restart();
    assert_eq!(yard.take(plain), [], "it lacks the label");
    let given = yard.run(gpu);
    assert_eq!(&*given.name, "b");
    yard.fail(&given);
    // In the next run it is decided again.
    yard.undecided.clear();
    yard.retry(yard.jobs[&ids[1]].workload_id).unwrap();
    assert_eq!((yard.state(ids[1]), &*yard.undecided), (Blocked, &[ids[1]][..]));
}

#[test]
fn a_plan_that_nothing_can_carry_out_fails_the_job() {
    let mut yard = Yard::new();
    let [build, _] = undecided(&mut yard);
    let mut planned = labelled("x", "gpu");
    planned.requirements.labels.push("!gpu".into());
    yard.decide(build, Decision::Replan { job: Box::new(planned) }).unwrap();
    assert_eq!((yard.state(build), yard.end_of(build)), (Failed, EndReason::Unplannable));
}

#[test]
fn a_retry_decides_again_whatever_did_not_complete() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let ids = yard.submit(vec![job("a"), when("b", RunIf::Decide, &["a"]), job("c")]);
    let given = yard.run(runner);
    yard.succeed(&given);
    yard.decide(ids[1], Decision::Skip { why: "".into() }).unwrap();
    let given = yard.run(runner);
    yard.fail(&given);
    yard.undecided.clear();
    yard.retry(yard.jobs[&ids[0]].workload_id).unwrap();
    assert_eq!(yard.undecided, [ids[1]], "what it needs completed in the run before");
    yard.decide(ids[1], Decision::Run).unwrap();
    assert_eq!(yard.state(ids[1]), Pending);
}

#[test]
fn a_job_is_no_longer_due_when_a_workload_that_it_needs_runs_again() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let needed = yard.submit(vec![job("a")])[0];
    let needed = yard.jobs[&needed].workload_id;
    let mut waits = when("b", RunIf::Decide, &[]);
    waits.terms.needs_workloads = vec![needed];
    let id = yard.submit(vec![waits])[0];
    assert_eq!(yard.undecided, []);
    let given = yard.run(runner);
    yard.fail(&given);
    assert_eq!(yard.undecided, [id]);
    yard.retry(needed).unwrap();
    assert_eq!(yard.decide(id, Decision::Run), Err(Refusal::Superseded(id)));
    yard.work_off(runner, 1);
    assert_eq!(yard.undecided, [id, id]);
}

#[test]
fn a_job_that_never_runs_waits_for_what_is_before_it_and_is_skipped() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    let ids = yard.submit(vec![
        job("a"),
        job("b"),
        when("off", RunIf::Never, &["a", "b"]),
        when("report", RunIf::Failure, &["off"]),
        when("alone", RunIf::Never, &[]),
        when("after-alone", RunIf::Always, &["alone"]),
    ]);
    assert_eq!((yard.state(ids[4]), yard.end_of(ids[4])), (Skipped, EndReason::ConditionFalse));
    assert_eq!(yard.state(ids[5]), Pending, "its need has ended");
    let given = yard.take_started(runner);
    yard.succeed(&given[0]);
    assert_eq!(yard.state(ids[2]), Blocked);
    yard.fail(&given[1]);
    assert_eq!((yard.state(ids[2]), yard.end_of(ids[2])), (Skipped, EndReason::ConditionFalse));
    assert_eq!(yard.state(ids[3]), Pending, "a failure is seen through it");
}

#[test]
fn a_workload_of_nothing_that_runs_ends_in_the_batch_that_makes_it() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![when("a", RunIf::Never, &[]), after("b", &["a"])]);
    assert_eq!(yard.states(&ids), [Skipped, Skipped]);
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Completed);
}

#[test]
fn a_failure_that_is_allowed_is_one_for_its_job_alone() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(4));
    let mut jobs = vec![
        may_fail("flaky"),
        after("ship", &["flaky"]),
        when("report", RunIf::Failure, &["flaky"]),
        job("other"),
    ];
    let matrix = MatrixTerms { key: "m".into(), max_parallel: None, fail_fast: true };
    jobs[0].terms.matrix = Some(matrix.clone());
    jobs[3].terms.matrix = Some(matrix);
    let terms = WorkloadTerms { fail_fast: true, ..WorkloadTerms::default() };
    let ids = yard.submit_whole(PlannedWorkload { terms, ..workload(jobs) });
    let given = yard.take_started(runner);
    yard.fail(&given[0]);
    assert_eq!((yard.state(ids[0]), yard.end_of(ids[0])), (Failed, EndReason::Failed));
    assert_eq!(yard.state(ids[1]), Pending);
    assert_eq!((yard.state(ids[2]), yard.end_of(ids[2])), (Skipped, EndReason::NeedNotMet));
    yard.restart();
    yard.succeed(&given[1]);
    yard.work_off(runner, 1);
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Completed);
}

#[test]
fn a_failure_stops_the_matrix_even_after_one_that_was_allowed() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(4));
    let matrix = MatrixTerms { key: "m".into(), max_parallel: None, fail_fast: true };
    let mut jobs = vec![may_fail("flaky"), job("bad"), labelled("waits", "nobody")];
    jobs.iter_mut().for_each(|job| job.terms.matrix = Some(matrix.clone()));
    let ids = yard.submit(jobs);
    let given = yard.take_started(runner);
    yard.fail(&given[0]);
    assert_eq!(yard.state(ids[2]), Pending);
    yard.fail(&given[1]);
    assert_eq!((yard.state(ids[2]), yard.end_of(ids[2])), (Cancelled, EndReason::FailFast));
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Failed);
}

#[test]
fn the_key_of_a_group_may_name_its_workload() {
    let mut yard = Yard::new();
    let key = format!("deploy-{RUN_ID}").into();
    let group = GroupTerms {
        key,
        limit: 1,
        cancel_in_progress: false,
        pending: crate::model::PendingPolicy::default(),
    };
    let submit = |yard: &mut Yard| {
        let own = PlannedJob {
            terms: JobTerms {
                group: Some(GroupTerms { key: RUN_ID.into(), ..group.clone() }),
                ..JobTerms::default()
            },
            ..job("a")
        };
        let terms = WorkloadTerms { group: Some(group.clone()), ..WorkloadTerms::default() };
        yard.submit_whole(PlannedWorkload { terms, ..workload(vec![own]) })[0]
    };
    let ids = [submit(&mut yard), submit(&mut yard)];
    for id in ids {
        let row = yard.workload_of(id);
        assert_eq!(*row.group().unwrap().key, *format!("deploy-{}", row.id));
        assert!(row.in_group, "each is in a group of its own");
        assert_eq!(*yard.jobs[&id].group().unwrap().key, *row.id.to_string());
    }
}

#[test]
fn an_open_workload_is_closed_over_a_job_that_waits_for_a_name_that_never_came() {
    let mut yard = Yard::new();
    let jobs = vec![when("b", RunIf::Decide, &["ghost"]), job("c")];
    let ids = yard.submit_whole(PlannedWorkload { open: true, ..workload(jobs) });
    assert_eq!(yard.undecided, []);
    yard.close(yard.jobs[&ids[0]].workload_id).unwrap();
    assert_eq!(yard.undecided, [ids[0]]);
    assert!(yard.jobs[&ids[0]].need_failed);
    // What never came does not come now, under a name that a matrix happens to have.
    yard.decide(ids[0], expand(vec![job("ghost")])).unwrap();
    assert_eq!(yard.end_of(ids[0]), EndReason::Unplannable);
}
