//! Waits that can never end are found, and the youngest of a circle is given up.

use super::group::{group, grouped, whole};
use super::yard::{Yard, after, job, slots, workload};
use crate::model::{
    EndReason, GroupTerms, JobId, JobStateKind, JobTerms, PlannedJob, PlannedWorkload, RecordName,
    RunIf, WorkloadId, WorkloadState,
};

use JobStateKind::{Blocked, Completed, Failed, Pending, Running, Skipped};

fn after_workload(name: &str, id: WorkloadId) -> PlannedJob {
    let terms =
        JobTerms { needs_workloads: vec![id], run_if: RunIf::Always, ..JobTerms::default() };
    PlannedJob { terms, ..job(name) }
}

fn path_of(yard: &Yard, id: JobId) -> &str {
    let record = yard.records.iter();
    let mut record =
        record.filter(|it| it.name == RecordName::JobWaitCycle && it.job_id == Some(id));
    &record.next().expect("the path is recorded").detail
}

#[test]
fn two_workloads_that_hold_each_others_group_are_parted_by_failing_the_younger_job() {
    let mut yard = Yard::new();
    let first = yard.submit_whole(whole(
        vec![job("a"), grouped(after("a2", &["a"]), group("g2"))],
        group("g1"),
    ));
    let second = yard.submit_whole(whole(
        vec![job("b"), grouped(after("b2", &["b"]), group("g1"))],
        group("g2"),
    ));
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    assert_eq!(given.len(), 2);
    yard.succeed(&given[0]);
    assert_eq!(yard.state(first[1]), Pending, "the second can still end");
    yard.succeed(&given[1]);
    assert_eq!((yard.state(second[1]), yard.end_of(second[1])), (Failed, EndReason::WaitCycle));
    assert_eq!(yard.workload_of(second[0]).state, WorkloadState::Failed);
    let path = path_of(&yard, second[1]);
    for part in ["a2 (job 2)", "group `g2`", "build (workload 2)", "b2 (job 4)", "group `g1`"] {
        assert!(path.contains(part), "{part} is not in {path}");
    }
    assert!(yard.jobs[&first[1]].in_group, "the first goes on");
    let given = yard.run(runner);
    assert_eq!((given.job_id, yard.succeed(&given)), (first[1], Completed));
}

#[test]
fn those_that_stand_behind_a_circle_are_spared() {
    let mut yard = Yard::new();
    let first = yard.submit_whole(whole(
        vec![job("a"), grouped(after("a2", &["a"]), group("g2"))],
        group("g1"),
    ));
    let second = yard.submit_whole(whole(
        vec![job("b"), grouped(after("b2", &["b"]), group("g1"))],
        group("g2"),
    ));
    let behind: Vec<_> =
        (0..3).map(|_| yard.submit(vec![grouped(job("c"), group("g1"))])[0]).collect();
    let runner = yard.register("r", slots(2));
    for given in yard.take(runner) {
        yard.succeed(&given);
    }
    assert_eq!(yard.state(second[1]), Failed);
    assert_eq!(yard.states(&behind), [Pending; 3]);
    for _ in 0..4 {
        let given = yard.run(runner);
        yard.succeed(&given);
    }
    assert_eq!(yard.state(first[1]), Completed);
    assert_eq!(yard.states(&behind), [Completed; 3]);
}

#[test]
fn a_workload_that_waits_for_a_group_whose_member_waits_for_it_is_given_up_as_a_whole() {
    let mut yard = Yard::new();
    let first = PlannedWorkload { open: true, ..whole(vec![job("a")], group("g")) };
    let first = yard.submit_whole(first)[0];
    let ids =
        yard.submit_whole(whole((0..50).map(|at| job(&at.to_string())).collect(), group("g")));
    assert_eq!(yard.state(ids[0]), Pending);
    let second = yard.jobs[&ids[0]].workload_id;
    let joined = yard.join(WorkloadId(1), vec![after_workload("b", second)])[0];
    // The youngest of the circle is the job that joined.
    assert_eq!((yard.state(joined), yard.end_of(joined)), (Failed, EndReason::WaitCycle));
    assert_eq!(yard.states(&[first, ids[0]]), [Pending, Pending]);
    // The other way round: the waiting workload is younger.
    let holder =
        yard.submit_whole(PlannedWorkload { open: true, ..whole(vec![job("a")], group("h")) })[0];
    let holder_id = yard.jobs[&holder].workload_id;
    let middle = yard.submit_whole(PlannedWorkload { open: true, ..workload(vec![job("m")]) })[0];
    let middle_id = yard.jobs[&middle].workload_id;
    yard.join(holder_id, vec![after_workload("n", middle_id)]);
    let last = PlannedWorkload { open: true, ..whole(vec![job("y"), job("z")], group("h")) };
    let last = yard.submit_whole(last);
    let last_id = yard.jobs[&last[0]].workload_id;
    assert_eq!(yard.states(&last), [Pending, Pending]);
    let closing = yard.join(middle_id, vec![after_workload("o", last_id)])[0];
    assert_eq!(yard.end_of(closing), EndReason::WaitCycle, "{}", path_of(&yard, closing));
    assert_eq!(yard.states(&last), [Pending, Pending]);
}

#[test]
fn all_jobs_of_a_workload_that_waits_for_its_group_are_given_up_together() {
    let mut yard = Yard::new();
    // The holder's job waits for a workload that is made later, by way of a late need.
    let holder = whole(vec![after("x", &["late"])], group("g"));
    let holder = yard.submit_whole(PlannedWorkload { open: true, ..holder })[0];
    let middle = yard.submit_whole(PlannedWorkload { open: true, ..workload(vec![job("m")]) })[0];
    let middle_id = yard.jobs[&middle].workload_id;
    let late = yard.join(WorkloadId(1), vec![after_workload("late", middle_id)])[0];
    let inner = grouped(job("n"), group("g"));
    let inner = yard.join(middle_id, vec![inner])[0];
    assert_eq!(yard.end_of(inner), EndReason::WaitCycle);
    assert_eq!(yard.states(&[holder, late, middle]), [Blocked, Blocked, Pending]);
    yard.close(middle_id).unwrap();
    yard.cancel(middle).unwrap();
    assert_eq!(yard.states(&[late, holder]), [Pending, Blocked]);
}

#[test]
fn a_wait_that_people_can_end_is_none_that_never_ends() {
    let mut yard = Yard::new();
    let held = PlannedWorkload { open: true, ..whole(vec![after("a", &["late"])], group("g")) };
    let held = yard.submit_whole(held)[0];
    let waits = yard.submit_whole(whole(vec![job("b")], group("g")))[0];
    assert_eq!(yard.states(&[held, waits]), [Blocked, Pending]);
    yard.close(WorkloadId(1)).unwrap();
    assert_eq!(yard.states(&[held, waits]), [Failed, Pending]);
    assert!(yard.workload_of(waits).in_group);
}

#[test]
fn a_circle_that_a_leaving_member_closes_is_found() {
    let mut yard = Yard::new();
    let two = |key| GroupTerms { limit: 2, ..group(key) };
    // `r` and workload 2 are in g; workload 2's job waits for h, which workload 3 holds, whose job
    // waits for g: as long as `r` runs it can have its place.
    let r = yard.submit(vec![grouped(job("r"), two("g"))])[0];
    let inner = grouped(after("c", &["b"]), group("h"));
    let b = yard.submit_whole(whole(vec![job("b"), inner], two("g")));
    let inner = grouped(after("e", &["d"]), group("g"));
    let d = yard.submit_whole(whole(vec![job("d"), inner], group("h")));
    let runner = yard.register("r", slots(3));
    let given = yard.take(runner);
    let by = |id: JobId| given.iter().find(|job| job.job_id == id).unwrap();
    yard.start(by(r)).unwrap();
    yard.succeed(by(b[0]));
    yard.succeed(by(d[0]));
    assert_eq!(yard.states(&[r, b[1], d[1]]), [Running, Pending, Pending]);
    // The newest member of g says that one may be in, so nobody enters when `r` ends.
    yard.succeed(by(r));
    assert_eq!((yard.state(d[1]), yard.end_of(d[1])), (Failed, EndReason::WaitCycle));
    assert!(yard.jobs[&b[1]].in_group);
}

#[test]
fn what_needs_a_job_that_was_given_up_goes_by_its_condition() {
    let mut yard = Yard::new();
    let terms = JobTerms { run_if: RunIf::Failure, ..JobTerms::default() };
    let report = PlannedJob { terms, ..after("report", &["b"]) };
    let open = PlannedWorkload { open: true, ..whole(vec![job("d")], group("g")) };
    yard.submit_whole(open);
    let second = yard.submit_whole(whole(vec![job("e")], group("g")))[0];
    let second = yard.jobs[&second].workload_id;
    let jobs = vec![after_workload("b", second), after("c", &["b"]), report];
    let ids = yard.join(WorkloadId(1), jobs);
    assert_eq!(yard.states(&ids), [Failed, Skipped, Pending]);
}
