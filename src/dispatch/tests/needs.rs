//! What the ends of jobs and workloads mean for those that need them, by condition.

use super::yard::{Yard, after, job, slots, workload};
use crate::dispatch::{Command, Refusal, Reply};
use crate::model::{
    EndReason, JobId, JobStateKind, JobTerms, PlannedJob, PlannedWorkload, RunIf, WorkloadId,
    WorkloadState,
};

use JobStateKind::{Blocked, Cancelled, Completed, Failed, Pending, Skipped};

/// A job that needs others and runs under a condition.
fn when(name: &str, run_if: RunIf, needs: &[&str]) -> PlannedJob {
    PlannedJob { terms: JobTerms { run_if, ..JobTerms::default() }, ..after(name, needs) }
}

/// A job that needs workloads.
fn after_workloads(name: &str, run_if: RunIf, ids: &[WorkloadId]) -> PlannedJob {
    let terms = JobTerms { run_if, needs_workloads: ids.to_vec(), ..JobTerms::default() };
    PlannedJob { terms, ..job(name) }
}

fn submit_with(
    yard: &mut Yard,
    jobs: Vec<PlannedJob>,
    ended: Vec<(WorkloadId, WorkloadState)>,
) -> Vec<JobId> {
    let workload = Box::new(workload(jobs));
    let reply = yard.apply(Command::Submit { workload, idempotency_key: None, ended });
    let Ok(Reply::Submitted { workload_id, .. }) = reply else { panic!("{reply:?}") };
    yard.jobs.values().filter(|job| job.workload_id == workload_id).map(|job| job.id).collect()
}

fn workload_id(yard: &Yard, job: JobId) -> WorkloadId {
    yard.jobs[&job].workload_id
}

#[test]
fn each_condition_runs_after_the_ends_that_it_names_and_is_skipped_after_others() {
    // How the need ends, and what becomes of success, failure and always.
    let cases = [
        (Completed, [Pending, Skipped, Pending]),
        (Failed, [Skipped, Pending, Pending]),
        (Cancelled, [Skipped, Skipped, Pending]),
    ];
    for (end, states) in cases {
        let mut yard = Yard::new();
        let ids = yard.submit(vec![
            job("need"),
            when("success", RunIf::Success, &["need"]),
            when("failure", RunIf::Failure, &["need"]),
            when("always", RunIf::Always, &["need"]),
        ]);
        let runner = yard.register("r", slots(1));
        match end {
            Cancelled => drop(yard.cancel(ids[0])),
            _ => {
                let given = yard.run(runner);
                if end == Failed {
                    yard.fail(&given)
                } else {
                    yard.succeed(&given)
                };
            }
        }
        assert_eq!(yard.states(&ids[1..]), states, "after {end}");
    }
}

#[test]
fn a_job_that_runs_after_a_failure_waits_until_all_that_it_needs_have_ended() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b"), when("report", RunIf::Failure, &["a", "b"])]);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.fail(&given[0]);
    assert_eq!(yard.state(ids[2]), Blocked);
    assert!(yard.jobs[&ids[2]].need_failed, "the row remembers the failure");
    yard.restart();
    yard.succeed(&given[1]);
    assert_eq!(yard.state(ids[2]), Pending);
    assert_eq!(yard.jobs[&ids[2]].ready_at_ms, yard.now.wall_ms);
}

#[test]
fn a_failure_is_seen_through_jobs_that_were_skipped_for_it() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![
        job("build"),
        after("test", &["build"]),
        after("deploy", &["test"]),
        when("report", RunIf::Failure, &["deploy"]),
        when("sweep", RunIf::Always, &["deploy"]),
    ]);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.fail(&given);
    assert_eq!(yard.states(&ids), [Failed, Skipped, Skipped, Pending, Pending]);
}

#[test]
fn a_job_that_was_skipped_after_a_cancel_is_no_failure() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![
        job("a"),
        after("b", &["a"]),
        when("report", RunIf::Failure, &["b"]),
        when("sweep", RunIf::Always, &["b"]),
    ]);
    yard.cancel(ids[0]).unwrap();
    assert_eq!(yard.states(&ids), [Cancelled, Skipped, Skipped, Pending]);
}

#[test]
fn a_long_chain_of_conditions_is_decided_without_recursion() {
    let mut yard = Yard::new();
    let mut jobs = vec![job("0")];
    for at in 1..1_000 {
        jobs.push(after(&at.to_string(), &[&(at - 1).to_string()]));
    }
    let ids = yard.submit(jobs);
    yard.cancel(ids[0]).unwrap();
    assert_eq!(yard.state(ids[999]), Skipped);
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Cancelled);
}

#[test]
fn a_job_waits_for_another_workload_and_goes_by_how_it_ended() {
    for (end, states) in [
        (Completed, [Pending, Skipped, Pending]),
        (Failed, [Skipped, Pending, Pending]),
        (Cancelled, [Skipped, Skipped, Pending]),
    ] {
        let mut yard = Yard::new();
        let first = yard.submit(vec![job("a")])[0];
        let needed = [workload_id(&yard, first)];
        let conditions = [RunIf::Success, RunIf::Failure, RunIf::Always];
        let jobs =
            conditions.map(|run_if| after_workloads(&format!("{run_if:?}"), run_if, &needed));
        let ids = yard.submit(jobs.to_vec());
        assert_eq!(yard.states(&ids), [Blocked; 3]);
        assert_eq!(yard.said(ids[0]), ["blocked by build (workload 1, pending)"]);
        yard.restart();
        let runner = yard.register("r", slots(1));
        match end {
            Cancelled => drop(yard.cancel(first)),
            _ => {
                let given = yard.run(runner);
                if end == Failed {
                    yard.fail(&given)
                } else {
                    yard.succeed(&given)
                };
            }
        }
        assert_eq!(yard.states(&ids), states, "after {end}");
    }
}

#[test]
fn a_workload_that_has_ended_is_judged_by_the_facts_that_come_with_the_command() {
    let mut yard = Yard::new();
    let first = yard.submit(vec![job("a")])[0];
    yard.cancel(first).unwrap();
    let needed = workload_id(&yard, first);
    let jobs = || {
        vec![
            after_workloads("success", RunIf::Success, &[needed, needed]),
            after_workloads("failure", RunIf::Failure, &[needed]),
            after("child", &["success"]),
        ]
    };
    for (state, states) in [
        (WorkloadState::Completed, [Pending, Skipped, Blocked]),
        (WorkloadState::Failed, [Skipped, Pending, Skipped]),
        (WorkloadState::Cancelled, [Skipped, Skipped, Skipped]),
    ] {
        let ids = submit_with(&mut yard, jobs(), vec![(needed, state)]);
        assert_eq!(yard.states(&ids), states, "{state:?}");
    }
}

#[test]
fn an_end_of_which_nobody_knows_is_asked_for_and_a_workload_that_never_was_is_refused() {
    let mut yard = Yard::new();
    let first = yard.submit(vec![job("a")])[0];
    yard.cancel(first).unwrap();
    let needed = workload_id(&yard, first);
    let submit = |id| Yard::submission(workload(vec![after_workloads("b", RunIf::Success, &[id])]));
    let refusal = yard.refused(submit(needed));
    assert_eq!(refusal, Refusal::LookUp(vec![needed]));
    assert_eq!(refusal.to_string(), "how these workloads ended was not said: 1");
    let refusal = yard.refused(submit(WorkloadId(2)));
    assert_eq!(refusal.to_string(), "job `b` needs workload 2, which never was");
    // A state that is no end says nothing.
    let workload = Box::new(workload(vec![after_workloads("b", RunIf::Success, &[needed])]));
    let ended = vec![(needed, WorkloadState::Running)];
    let refusal = yard.refused(Command::Submit { workload, idempotency_key: None, ended });
    assert_eq!(refusal, Refusal::LookUp(vec![needed]));
}

#[test]
fn a_failed_workload_that_has_left_memory_is_remembered_by_the_job() {
    let mut yard = Yard::new();
    let [one, two] = ["one", "two"].map(|name| yard.submit(vec![job(name)])[0]);
    let needed = [workload_id(&yard, one), workload_id(&yard, two)];
    let id = yard.submit(vec![after_workloads("report", RunIf::Failure, &needed)])[0];
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    yard.fail(&given[0]);
    assert_eq!((yard.state(id), yard.jobs[&id].need_failed), (Blocked, true));
    yard.restart();
    yard.succeed(&given[1]);
    assert_eq!(yard.state(id), Pending);
}

#[test]
fn a_workload_that_is_retried_is_waited_for_again() {
    let mut yard = Yard::new();
    let [one, two] = ["one", "two"].map(|name| yard.submit(vec![job(name)])[0]);
    let needed = [workload_id(&yard, one), workload_id(&yard, two)];
    let id = yard.submit(vec![after_workloads("sweep", RunIf::Always, &needed)])[0];
    yard.cancel(one).unwrap();
    yard.retry(needed[0]).unwrap();
    yard.cancel(two).unwrap();
    assert_eq!(yard.state(id), Blocked, "the retried one has not ended");
    yard.cancel(one).unwrap();
    assert_eq!(yard.state(id), Pending);
}

#[test]
fn a_retry_judges_needed_workloads_by_the_facts_too() {
    let mut yard = Yard::new();
    let first = yard.submit(vec![job("a")])[0];
    let needed = workload_id(&yard, first);
    let id = yard.submit(vec![after_workloads("b", RunIf::Success, &[needed])])[0];
    yard.cancel(first).unwrap();
    assert_eq!((yard.state(id), yard.end_of(id)), (Skipped, EndReason::NeedNotMet));
    let second = workload_id(&yard, id);
    // It completed, being only skipped: a retry of it has nothing to do.
    assert!(yard.retry(second).is_err());
    let ids = yard.submit(vec![job("c")]);
    yard.cancel(ids[0]).unwrap();
    let jobs = vec![after_workloads("d", RunIf::Always, &[needed]), job("e")];
    let ended = vec![(needed, WorkloadState::Cancelled)];
    let ids = submit_with(&mut yard, jobs, ended);
    yard.cancel(ids[0]).unwrap();
    yard.cancel(ids[1]).unwrap();
    let third = workload_id(&yard, ids[0]);
    let archived = Some(yard.archived(third));
    let author = "ada".into();
    let blind = Command::Retry { workload_id: third, archived, ended: Vec::new(), author };
    assert_eq!(yard.refused(blind), Refusal::LookUp(vec![needed]));
    yard.retry(third).unwrap();
    assert_eq!(yard.states(&ids), [Pending, Pending]);
}

#[test]
fn a_job_that_runs_on_failure_of_nothing_is_refused() {
    let mut yard = Yard::new();
    let report = when("report", RunIf::Failure, &[]);
    let open = PlannedWorkload { open: true, ..workload(vec![job("a")]) };
    yard.submit_whole(open);
    let jobs = vec![report.clone()];
    let join = Command::Join {
        workload_id: WorkloadId(1),
        jobs,
        idempotency_key: None,
        ended: Vec::new(),
    };
    let workload = Box::new(workload(vec![report]));
    let submit = Command::Submit { workload, idempotency_key: None, ended: Vec::new() };
    for command in [join, submit] {
        let refusal = yard.apply(command).unwrap_err();
        assert!(refusal.to_string().contains("needs nothing that can fail"), "{refusal}");
    }
}
