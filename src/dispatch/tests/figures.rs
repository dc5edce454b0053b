//! What is counted, and what is measured by asking.

use super::yard::{Yard, job, labelled, lease, slots, urgent};
use crate::dispatch::{Command, Figures, TenantSettings};
use crate::model::{
    AssignmentOutcome, JobPriority, JobTerms, Measure, PlannedJob, PoolId, Promise, RecordName,
    RequeueReason, RunnerRequirements, TenantId,
};

const POOL: PoolId = PoolId::DEFAULT;

fn became(outcome: AssignmentOutcome) -> Measure {
    Measure::Became { pool_id: POOL, outcome }
}

fn given(priority: JobPriority, wait_ms: u64) -> Measure {
    Measure::Given { pool_id: POOL, priority, wait_ms }
}

#[test]
fn each_assignment_is_counted_with_what_became_of_it() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    yard.submit(vec![urgent("a", JobPriority::High)]);
    yard.pass(40);
    yard.measures.clear();
    let run = yard.run(runner);
    yard.pass(2_000);
    yard.succeed(&run);
    let ran = Measure::Ran { pool_id: POOL, run_ms: 2_000 };
    let started = became(AssignmentOutcome::Started);
    assert_eq!(yard.measures, [given(JobPriority::High, 40), started, ran]);

    // Not started in time, given back, and cancelled before the start.
    let ids = yard.submit(vec![job("b")]);
    yard.measures.clear();
    yard.take(runner);
    yard.pass(10_000);
    let other = yard.register("other", slots(1));
    let again = yard.take(other).remove(0);
    let reason = RequeueReason::Drained;
    yard.apply(Command::Release { lease: lease(&again), reason, why: None }).unwrap();
    yard.take(other);
    let (author, reason) = ("me".into(), "".into());
    yard.apply(Command::CancelJob { job_id: ids[0], author, reason }).unwrap();
    let outcomes: Vec<_> = yard
        .measures
        .iter()
        .filter_map(|it| match it {
            Measure::Became { outcome, .. } => Some(outcome.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes, ["not_started", "released", "cancelled"]);
    let offered = yard.measures.iter().filter(|it| matches!(it, Measure::Given { .. })).count();
    assert_eq!(offered, 3);
}

#[test]
fn a_broken_promise_is_counted_where_and_for_whom_it_was_broken() {
    let mut yard = Yard::with(|settings| settings.queue_timeout_ms = Some(1_000));
    let promised = |name, terms| PlannedJob { terms, ..job(name) };
    let wait = JobTerms { max_wait_ms: Some(500), ..JobTerms::default() };
    let end_by = Some(yard.now.wall_ms + 100);
    let deadline = JobTerms { deadline_ms: end_by, ..JobTerms::default() };
    let tenant_id = TenantId(3);
    yard.submit_as(tenant_id, vec![promised("late", deadline), promised("never", wait)]);
    let runner = yard.register("r", slots(1));
    // The first is given out, and ends late; the other is given up in the queue.
    let run = yard.run(runner);
    assert_eq!(&*run.name, "late");
    yard.pass(200);
    yard.succeed(&run);
    yard.apply(Command::Deregister(runner)).unwrap();
    yard.pass(1_000);
    let late = |promise| Measure::Late { pool_id: POOL, tenant_id, promise };
    let told: Vec<_> =
        yard.measures.iter().filter(|it| matches!(it, Measure::Late { .. })).copied().collect();
    assert_eq!(told, [late(Promise::Deadline), late(Promise::MaxWait)]);
    let records = yard.records.iter().filter(|record| record.name == RecordName::JobLate);
    assert_eq!(records.map(|it| &*it.detail).collect::<Vec<_>>(), ["deadline", "max_wait"]);
}

fn in_pool(name: &str, pool_id: PoolId) -> PlannedJob {
    let requirements = RunnerRequirements { pool_id, ..RunnerRequirements::default() };
    PlannedJob { requirements, ..job(name) }
}

#[test]
fn figures_are_by_pool_by_tenant_and_by_gate() {
    let (fast, acme) = (PoolId(2), TenantId(3));
    let mut yard = Yard::with(|settings| {
        let quotas = TenantSettings { running_max: Some(4), ..TenantSettings::default() };
        settings.tenants = [(acme, quotas)].into();
        settings.unschedulable_after_ms = 5_000;
    });
    let began_ms = yard.now.wall_ms;
    yard.submit_as(acme, vec![in_pool("a", fast), urgent("b", JobPriority::Low), job("c")]);
    yard.submit(vec![labelled("nobody", "gpu")]);
    let runner = yard.register("r", slots(2));
    let mut poll = yard.poll_of(runner);
    poll.jobs_max = Some(1);
    yard.poll_with(poll);
    yard.pass(10_000);
    yard.pass(20_000);
    let figures = yard.scheduler.figures(yard.now);
    let Figures { pools, tenants, .. } = &figures;
    assert_eq!(pools.iter().map(|pool| pool.usage.pool_id).collect::<Vec<_>>(), [POOL, fast]);
    let levels: Vec<_> = pools.iter().map(|pool| pool.queue.by_level).collect();
    assert_eq!(levels, [[0, 0, 2, 1, 0], [0, 0, 1, 0, 0]]);
    assert_eq!(pools[0].queue.oldest_by_level[3], Some(began_ms));
    assert_eq!(figures.unschedulable_jobs, 2, "nobody has the label, and nobody is in the pool");
    // One of two slots had a job until the ack window closed, 10 of 30 seconds.
    assert!((pools[0].busy.share_of(1) - 10.0 / 60.0).abs() < 1e-9, "{figures:?}");
    let shown = yard.scheduler.runner(yard.now, runner).unwrap();
    assert!((shown.busy.share_of(2) - 10.0 / 60.0).abs() < 1e-9);
    let of_acme = tenants.iter().find(|it| it.tenant_id == acme).unwrap();
    assert_eq!((of_acme.waiting, of_acme.running), (3, 0));
    assert_eq!(of_acme.busy.used_ms, 10_000);
    let quotas: Vec<_> = of_acme.quotas.iter().map(|it| (it.quota, it.used, it.limit)).collect();
    assert_eq!(quotas, [("running_max", 0, 4)]);
    assert!(of_acme.share.is_some());
}

#[test]
fn gates_are_counted_without_a_look_at_the_jobs() {
    let mut yard = Yard::with(|settings| {
        settings.catalogue.resources = [("db".into(), 1)].into();
    });
    let needing = |name: &str| {
        let needs = vec![crate::model::ResourceNeed { name: "db".into(), units: 1 }];
        let requirements = RunnerRequirements { resources: needs, ..RunnerRequirements::default() };
        PlannedJob { requirements, ..job(name) }
    };
    let grouped = |name: &str| {
        let group = serde_json::from_str(r#"{ "key": "deploy" }"#).unwrap();
        PlannedJob { terms: JobTerms { group: Some(group), ..JobTerms::default() }, ..job(name) }
    };
    let runner = yard.register("r", slots(2));
    yard.submit(vec![needing("one"), grouped("in")]);
    assert_eq!(yard.take_started(runner).len(), 2);
    yard.submit(vec![needing("two"), needing("three"), grouped("next")]);
    let gated: Vec<_> = yard.scheduler.figures(yard.now).gated;
    let gated: Vec<_> = gated.into_iter().filter(|(_, jobs)| *jobs > 0).collect();
    assert_eq!(gated, [("group", 1), ("resource", 2)]);
}
