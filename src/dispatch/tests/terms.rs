//! Terms of joining jobs that contradict themselves are refused and change nothing.

use super::group::{group, grouped};
use super::yard::{Yard, job, workload};
use crate::dispatch::Command;
use crate::model::{
    GroupTerms, JobTerms, MatrixTerms, PendingPolicy, PlannedJob, PlannedWorkload, WorkloadId,
};

/// What jobs are told that want to join an open workload.
fn refused(jobs: Vec<PlannedJob>) -> String {
    let mut yard = Yard::new();
    yard.submit_whole(PlannedWorkload { open: true, ..workload(vec![job("first")]) });
    let (workload_id, ended) = (WorkloadId(1), Vec::new());
    yard.refused(Command::Join { workload_id, jobs, ended }).to_string()
}

fn of_matrix(name: &str, key: &str, max_parallel: Option<u32>) -> PlannedJob {
    let matrix = Some(MatrixTerms { key: key.into(), max_parallel, fail_fast: false });
    PlannedJob { terms: JobTerms { matrix, ..JobTerms::default() }, ..job(name) }
}

#[test]
fn a_group_needs_a_key_and_room_for_one() {
    let in_group = |terms| refused(vec![grouped(job("a"), terms)]);
    assert_eq!(in_group(group("")), "job `a` names a group without a key");
    let nobody = GroupTerms { limit: 0, ..group("g") };
    assert_eq!(in_group(nobody), "job `a` limits group `g` to 0 members");
    let pending = PendingPolicy::Queue { max: 0 };
    let absurd = GroupTerms { pending, cancel_in_progress: true, ..group("g") };
    assert_eq!(
        in_group(absurd),
        "job `a` cancels what is in group `g` in order to wait, and lets nobody wait"
    );
}

#[test]
fn a_matrix_needs_a_key_and_room_for_one_and_says_the_same_for_all() {
    assert_eq!(refused(vec![of_matrix("a", "", None)]), "job `a` is of a matrix without a key");
    assert_eq!(refused(vec![of_matrix("a", "m", Some(0))]), "job `a` lets 0 jobs run at once");
    let two = vec![of_matrix("a", "m", Some(1)), of_matrix("b", "m", Some(2))];
    assert_eq!(refused(two), "job `b` says otherwise than another job what holds for matrix `m`");
}

#[test]
fn a_queue_timeout_leaves_time() {
    let terms = JobTerms { queue_timeout_ms: Some(0), ..JobTerms::default() };
    assert_eq!(
        refused(vec![PlannedJob { terms, ..job("a") }]),
        "job `a` has a queue timeout of 0 ms"
    );
}
