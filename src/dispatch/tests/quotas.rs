//! Quotas of tenants, the maximum of a pool, the room of the queue.

use super::yard::{Yard, job, names, slots, urgent, workload};
use crate::dispatch::{PoolSettings, Reason, Refusal, TenantSettings};
use crate::model::{
    JobPriority, PlannedJob, PlannedWorkload, PoolId, RunnerRequirements, TenantId,
};

const T: TenantId = TenantId(2);

fn limited(change: impl FnOnce(&mut TenantSettings)) -> Yard {
    let mut tenant = TenantSettings::default();
    change(&mut tenant);
    Yard::with(|settings| {
        settings.tenants.insert(T, tenant);
    })
}

fn submit(yard: &mut Yard, jobs: Vec<PlannedJob>) -> Refusal {
    yard.refused(Yard::submission(PlannedWorkload { tenant_id: T, ..workload(jobs) }))
}

#[test]
fn a_tenant_at_its_maximum_waits_while_others_go_on() {
    let mut yard = limited(|tenant| tenant.running_max = Some(1));
    let runner = yard.register("r", slots(4));
    let ids = yard.submit_as(T, vec![job("t1"), job("t2")]);
    yard.submit(vec![urgent("other", JobPriority::Low)]);
    let given = yard.take_started(runner);
    assert_eq!(names(&given), ["t1", "other"]);
    let reasons = yard.scheduler.explain(yard.now, ids[1]).unwrap().reasons;
    assert_eq!(reasons[0].to_string(), "its tenant's quota: running_max is 1, 1 used");
    let poll = yard.poll(runner);
    yard.succeed(&given[0]);
    assert_eq!(names(&yard.given(poll)), ["t2"]);
}

#[test]
fn held_cores_and_critical_jobs_have_quotas_of_their_own() {
    let mut yard = limited(|tenant| {
        tenant.cpu_cores_max = Some(4);
        tenant.critical_running_max = Some(1);
    });
    let runner = yard.register("r", crate::model::RunnerCapabilities { cpu_cores: 8, ..slots(9) });
    let cores = |name: &str, min_cpu_cores| PlannedJob {
        requirements: RunnerRequirements { min_cpu_cores, ..RunnerRequirements::default() },
        ..job(name)
    };
    yard.submit_as(T, vec![cores("three", 3), cores("two", 2), cores("one", 1)]);
    yard.submit_as(
        T,
        vec![urgent("c1", JobPriority::Critical), urgent("c2", JobPriority::Critical)],
    );
    assert_eq!(names(&yard.take(runner)), ["c1", "three", "one"]);
    let refusal = submit(&mut yard, vec![cores("five", 5)]);
    assert_eq!(
        refusal.to_string(),
        "job `five`: it requires 5 and its tenant's cpu_cores_max is 4"
    );
}

#[test]
fn a_rate_lets_the_next_job_through_when_its_minute_is_over() {
    let mut yard = limited(|tenant| tenant.starts_per_minute_max = Some(2));
    let runner = yard.register("r", slots(4));
    yard.submit_as(T, vec![job("a"), job("b"), job("c")]);
    for given in yard.take_started(runner) {
        yard.succeed(&given);
    }
    let poll = yard.poll(runner);
    yard.pass(29_000);
    assert_eq!(yard.answer(poll), None);
    yard.pass(1_000);
    assert_eq!(yard.given(poll), [], "the poll ended");
    let poll = yard.poll(runner);
    yard.pass(29_999);
    assert_eq!(yard.answer(poll), None);
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(1));
    yard.pass(1);
    assert_eq!(names(&yard.given(poll)), ["c"]);
}

#[test]
fn the_maximum_of_a_pool_holds_over_its_runners() {
    let mut yard = Yard::with(|settings| {
        let pool = PoolSettings { jobs_max: Some(2), ..PoolSettings::default() };
        settings.pools.insert(PoolId::DEFAULT, PoolSettings { balance_hold_ms: 0, ..pool });
    });
    let [r, s] = ["r", "s"].map(|name| yard.register(name, slots(4)));
    let ids = yard.submit(["a", "b", "c"].map(job).into());
    let given = yard.take_started(r);
    assert_eq!(names(&given), ["a", "b"]);
    let poll = yard.poll(s);
    let reasons = yard.scheduler.explain(yard.now, ids[2]).unwrap().reasons;
    let full = Reason::PoolLimit { pool: "default".into(), running: 2, max: 2 };
    assert!(reasons.contains(&full), "{reasons:?}");
    yard.succeed(&given[0]);
    assert_eq!(names(&yard.given(poll)), ["c"]);
}

#[test]
fn a_full_queue_refuses_and_what_waits_stays() {
    let mut yard = limited(|tenant| tenant.queued_max = Some(1));
    yard.submit_as(T, vec![job("a")]);
    let refusal = submit(&mut yard, vec![job("b")]);
    assert_eq!(refusal.to_string(), "too many jobs of the tenant wait: queued_max is 1");
    let mut yard = Yard::with(|settings| settings.queue_jobs_max = 2);
    yard.submit(vec![job("a"), job("b")]);
    let refusal = submit(&mut yard, vec![job("c")]);
    assert_eq!(refusal.to_string(), "too many jobs wait: queue_jobs_max is 2");
}
