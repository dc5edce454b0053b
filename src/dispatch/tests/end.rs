//! Ends, and what they mean for those that need the job.

use super::yard::{Yard, after, job, slots};
use crate::model::{Change, EndReason, JobStateKind, RecordName, WorkloadState};

use JobStateKind::{Cancelled, Completed, Failed, Pending, Skipped};

#[test]
fn what_needs_a_failed_job_is_skipped_all_the_way_down() {
    let mut yard = Yard::new();
    let mut jobs = vec![job("0")];
    for at in 1..500 {
        jobs.push(after(&at.to_string(), &[&(at - 1).to_string()]));
    }
    jobs.push(job("beside"));
    let ids = yard.submit(jobs);
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    assert_eq!(yard.fail(&given[0]), Failed);
    assert!(ids[1..500].iter().all(|id| yard.state(*id) == Skipped));
    assert_eq!(yard.end_of(ids[499]), EndReason::NeedNotMet);
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Running, "one job still runs");
    yard.succeed(&given[1]);
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Failed);
}

#[test]
fn a_job_with_several_needs_is_skipped_once() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), job("b"), after("c", &["a", "b"])]);
    let runner = yard.register("r", slots(2));
    for given in yard.take(runner) {
        yard.fail(&given);
    }
    assert_eq!(yard.states(&ids), [Failed, Failed, Skipped]);
    let skipped = yard.records.iter().filter(|it| it.name == RecordName::JobSkipped);
    assert_eq!(skipped.count(), 1);
}

#[test]
fn a_cancelled_need_skips_too_and_ends_the_workload_as_cancelled() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), after("b", &["a"])]);
    yard.cancel(ids[0]).unwrap();
    assert_eq!(yard.states(&ids), [Cancelled, Skipped]);
    assert_eq!(yard.workload_of(ids[0]).state, WorkloadState::Cancelled);
}

#[test]
fn a_diamond_opens_when_both_sides_have_completed() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![
        job("top"),
        after("left", &["top"]),
        after("right", &["top"]),
        after("end", &["left", "right"]),
    ]);
    let runner = yard.register("r", slots(2));
    let top = yard.run(runner);
    yard.succeed(&top);
    let sides = yard.take(runner);
    assert_eq!(sides.len(), 2);
    yard.succeed(&sides[1]);
    assert_eq!(yard.state(ids[3]), JobStateKind::Blocked);
    yard.succeed(&sides[0]);
    assert_eq!(yard.state(ids[3]), Pending);
}

#[test]
fn an_ended_workload_leaves_memory_and_the_hot_tables_at_once() {
    let mut yard = Yard::new();
    let ids = yard.submit(vec![job("a"), after("b", &["a"])]);
    let runner = yard.register("r", slots(1));
    for _ in 0..2 {
        let given = yard.run(runner);
        assert_eq!(yard.succeed(&given), Completed);
    }
    let workload_id = yard.jobs[&ids[0]].workload_id;
    assert!(yard.changes.contains(&Change::WorkloadArchived(workload_id, ids)));
    let live = yard.scheduler.durable();
    assert!(live.jobs.is_empty() && live.workloads.is_empty() && live.edges.is_empty());
    assert_eq!(yard.records.last().map(|it| it.name), Some(RecordName::WorkloadEnded));
}
