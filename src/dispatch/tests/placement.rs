//! Where a job goes beside what a runner offers: pools in order, room that is left, other jobs.

use super::yard::{Yard, job, names, slots, workload};
use crate::dispatch::{Command, PoolSettings, Register, Reply};
use crate::model::{
    JobTerms, Placement, PlannedJob, PoolId, RunnerCapabilities, RunnerId, RunnerRequirements,
    TenantId,
};

const FAST: PoolId = PoolId(2);

fn register(yard: &mut Yard, name: &str, pool_id: PoolId, offers: RunnerCapabilities) -> RunnerId {
    let register = Register { pool_id, ..Yard::hello(name, offers) };
    match yard.apply(Command::Register(Box::new(register))) {
        Ok(Reply::Registered(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn placed(name: &str, placement: Placement) -> PlannedJob {
    PlannedJob { terms: JobTerms { placement, ..JobTerms::default() }, ..job(name) }
}

#[test]
fn a_job_goes_to_its_first_pool_and_to_the_next_when_nobody_there_waits() {
    let mut yard = Yard::new();
    let general = register(&mut yard, "g", PoolId::DEFAULT, slots(2));
    let fast = register(&mut yard, "f", FAST, slots(1));
    let polls = [general, fast].map(|runner| yard.poll(runner));
    let requirements = RunnerRequirements {
        pool_id: FAST,
        fallback_pools: vec![PoolId::DEFAULT],
        ..RunnerRequirements::default()
    };
    let skilled = |name: &str| PlannedJob { requirements: requirements.clone(), ..job(name) };
    yard.submit(vec![skilled("a"), skilled("b")]);
    assert_eq!(names(&yard.given(polls[1])), ["a"]);
    assert_eq!(names(&yard.given(polls[0])), ["b"]);
}

#[test]
fn a_pool_of_one_tenant_takes_no_jobs_of_others() {
    let mut yard = Yard::with(|settings| {
        let pool = PoolSettings { tenant_id: Some(TenantId(5)), ..PoolSettings::default() };
        settings.pools.insert(FAST, pool);
        settings.catalogue.pools.insert("fast".into(), FAST);
    });
    let requirements = RunnerRequirements { pool_id: FAST, ..RunnerRequirements::default() };
    let workload = workload(vec![PlannedJob { requirements, ..job("a") }]);
    let refusal = yard.refused(Yard::submission(workload));
    assert_eq!(refusal.to_string(), "job `a`: pool `fast` belongs to another tenant");
}

#[test]
fn a_pool_that_reserves_compares_with_what_is_left() {
    let reserving = |reserve_resources| {
        let mut yard = Yard::with(|settings| {
            let pool = PoolSettings { reserve_resources, ..PoolSettings::default() };
            settings.pools.insert(PoolId::DEFAULT, PoolSettings { balance_hold_ms: 0, ..pool });
        });
        let offers = RunnerCapabilities { memory_gb: 8, ..slots(4) };
        let runner = yard.register("r", offers);
        let needs = |name: &str, min_memory_gb| PlannedJob {
            requirements: RunnerRequirements { min_memory_gb, ..RunnerRequirements::default() },
            ..job(name)
        };
        yard.submit(vec![needs("six", 6), needs("four", 4), needs("two", 2)]);
        let given = yard.take_started(runner);
        let first = names(&given).join(" ");
        let poll = yard.poll(runner);
        yard.succeed(&given[0]);
        (first, names(&yard.given(poll)).join(" "))
    };
    assert_eq!(reserving(false), ("six four two".into(), String::new()));
    assert_eq!(reserving(true), ("six two".into(), "four".into()));
}

#[test]
fn jobs_that_are_kept_apart_never_share_a_runner() {
    let mut yard = Yard::new();
    let [r, s] = ["r", "s"].map(|name| yard.register(name, slots(4)));
    let apart = |name: &str| {
        placed(name, Placement { anti_affinity: Some("db".into()), ..Placement::default() })
    };
    yard.submit(vec![apart("a"), apart("b"), job("plain")]);
    let given = yard.take_started(r);
    assert_eq!(names(&given), ["a", "plain"]);
    let poll = yard.poll(r);
    yard.succeed(&given[0]);
    assert_eq!(names(&yard.given(poll)), ["b"], "it may have it as soon as the other is gone");
    assert_eq!(names(&yard.take(s)), [""; 0]);
}

#[test]
fn a_required_affinity_waits_for_the_runner_that_had_the_key_while_it_is_there() {
    let mut yard = Yard::new();
    let [r, s] = ["r", "s"].map(|name| yard.register(name, slots(4)));
    let near = |name: &str| {
        let affinity = Some("cache".into());
        placed(name, Placement { affinity, affinity_required: true, ..Placement::default() })
    };
    yard.submit(vec![near("a")]);
    assert_eq!(names(&yard.take_started(r)), ["a"]);
    yard.submit(vec![near("b")]);
    let poll = yard.poll(s);
    assert_eq!(yard.answer(poll), None);
    assert_eq!(names(&yard.take_started(r)), ["b"]);
    yard.submit(vec![near("c")]);
    assert_eq!(yard.answer(poll), None);
    yard.apply(Command::Deregister(r)).unwrap();
    assert!(names(&yard.given(poll)).contains(&"c"), "nobody else has the key any more");
}
