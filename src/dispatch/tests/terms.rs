//! Jobs that contradict themselves, or could never run, are refused and change nothing: those of a
//! new workload and those that join one, for the same faults in the same words.

use super::group::{group, grouped, whole};
use super::yard::{Yard, job, workload};
use crate::dispatch::{Command, PoolSettings, TenantSettings};
use crate::model::{
    GroupTerms, JobTerms, MatrixTerms, PendingPolicy, PlannedJob, PlannedWorkload, PoolId,
    Preference, ResourceNeed, RunnerRequirements, TenantId, WorkloadId,
};

fn yard() -> Yard {
    Yard::with(|settings| {
        settings.catalogue.resources = [("db".into(), 2)].into();
        let tenant = TenantSettings { gpu_max: Some(4), ..TenantSettings::default() };
        settings.tenants.insert(TenantId::DEFAULT, tenant);
        let foreign = PoolSettings { tenant_id: Some(TenantId(9)), ..PoolSettings::default() };
        settings.pools.insert(PoolId(7), foreign);
        settings.catalogue.pools.insert("theirs".into(), PoolId(7));
    })
}

/// What both are told that bring these jobs: a submission, and a join.
fn refused(jobs: &[PlannedJob]) -> String {
    let submitted = yard().refused(Yard::submission(workload(jobs.to_vec()))).to_string();
    let mut yard = yard();
    yard.submit_whole(PlannedWorkload { open: true, ..workload(vec![job("first")]) });
    assert_eq!(yard.refused(joining(jobs.to_vec())).to_string(), submitted);
    submitted
}

fn joining(jobs: Vec<PlannedJob>) -> Command {
    let (idempotency_key, ended) = (None, Vec::new());
    Command::Join { workload_id: WorkloadId(1), jobs, idempotency_key, ended }
}

fn of_matrix(name: &str, key: &str, max_parallel: Option<u32>) -> PlannedJob {
    let matrix = Some(MatrixTerms { key: key.into(), max_parallel, fail_fast: false });
    PlannedJob { terms: JobTerms { matrix, ..JobTerms::default() }, ..job(name) }
}

fn with(change: impl FnOnce(&mut JobTerms)) -> Vec<PlannedJob> {
    let mut one = job("a");
    change(&mut one.terms);
    vec![one]
}

fn requiring(change: impl FnOnce(&mut RunnerRequirements)) -> Vec<PlannedJob> {
    let mut one = job("a");
    change(&mut one.requirements);
    vec![one]
}

fn units(name: &str, units: u32) -> Vec<PlannedJob> {
    requiring(|it| it.resources = vec![ResourceNeed { name: name.into(), units }])
}

#[test]
fn a_join_is_refused_for_what_a_submission_is_refused_for() {
    let nobody = GroupTerms { limit: 0, ..group("g") };
    let pending = PendingPolicy::Queue { max: 0 };
    let absurd = GroupTerms { pending, cancel_in_progress: true, ..group("g") };
    let wider = GroupTerms { limit: 2, ..group("g") };
    let weight = Preference { label: "ssd".into(), weight: -101 };
    for (jobs, said) in [
        (vec![grouped(job("a"), group(""))], "job `a`: group: a group needs a key"),
        (vec![grouped(job("a"), nobody)], "job `a`: group: the limit 0 lets nothing run"),
        (
            vec![grouped(job("a"), absurd)],
            "job `a`: group: it cancels what runs in order to wait, and lets nobody wait",
        ),
        (
            vec![grouped(job("a"), group("g")), grouped(job("b"), wider)],
            "job `b`: group: `g` has the limits 1 and 2",
        ),
        (vec![of_matrix("a", "", None)], "job `a`: matrix: a name is empty"),
        (vec![of_matrix("a", "m", Some(0))], "job `a`: matrix: max_parallel 0 lets nothing run"),
        (
            vec![of_matrix("a", "m", Some(1)), of_matrix("b", "m", Some(2))],
            "job `b`: matrix: `m` has different terms in two jobs",
        ),
        (
            with(|it| it.queue_timeout_ms = Some(0)),
            "job `a`: queue_timeout: 0 ms is less than 1 ms",
        ),
        (with(|it| it.max_wait_ms = Some(-1)), "job `a`: max_wait: -1 ms is less than 1 ms"),
        (with(|it| it.placement.affinity = Some("".into())), "job `a`: affinity: a name is empty"),
        (
            requiring(|it| it.labels = vec!["!spot".into(), "spot".into()]),
            "job `a`: labels: `spot` is required, and `!spot` forbids it",
        ),
        (
            requiring(|it| it.preferred = vec![weight]),
            "job `a`: preferred: the weight -101 is not from -100 to 100",
        ),
        (units("db", 0), "job `a`: resources: 0 units of `db`"),
        (units("db", 3), "job `a`: it needs 3 units of resource `db`, and there are 2"),
        (units("toner", 1), "job `a`: there is no resource `toner`"),
        (requiring(|it| it.gpu = 5), "job `a`: it requires 5 and its tenant's gpu_max is 4"),
        (
            requiring(|it| it.pool_id = PoolId(7)),
            "job `a`: pool `theirs` belongs to another tenant",
        ),
        (vec![job("a"), job("a")], "two jobs are called `a`"),
    ] {
        assert_eq!(refused(&jobs), said);
    }
}

#[test]
fn what_joins_must_agree_with_the_jobs_that_are_there_and_with_the_workload() {
    let mut yard = yard();
    let there = vec![grouped(of_matrix("first", "m", Some(1)), group("g"))];
    yard.submit_whole(PlannedWorkload { open: true, ..whole(there, group("all")) });
    let wider = GroupTerms { limit: 2, ..group("g") };
    for (one, said) in [
        (grouped(job("a"), wider), "job `a`: group: `g` has the limits 1 and 2"),
        (
            grouped(job("a"), group("all")),
            "job `a`: group: it would wait for its workload, which is in `all`",
        ),
        (of_matrix("a", "m", None), "job `a`: matrix: `m` has different terms in two jobs"),
    ] {
        assert_eq!(yard.refused(joining(vec![one])).to_string(), said);
    }
    yard.join(WorkloadId(1), vec![grouped(of_matrix("a", "m", Some(1)), group("g"))]);
}
