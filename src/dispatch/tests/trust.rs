//! Work that is not trusted, and pools that take only what is.

use std::sync::Arc;

use super::yard::{Yard, job, names, slots, workload};
use crate::dispatch::{Command, PoolSettings, Refusal, Register, Reply};
use crate::executor::router::{RoutingConfig, RoutingRule};
use crate::model::{PlannedJob, PoolId, RunnerId, Trust, TrustLevel};

const SAFE: PoolId = PoolId(2);

fn yard(accepts_untrusted: bool) -> Yard {
    Yard::with(|settings| {
        settings.catalogue.pools.insert("safe".into(), SAFE);
        settings.pools.insert(SAFE, PoolSettings { accepts_untrusted, ..PoolSettings::default() });
    })
}

fn of(level: TrustLevel, name: &str, pools: &[PoolId]) -> PlannedJob {
    let mut job = job(name);
    Arc::make_mut(&mut job.spec).trust = Trust::new(level, "so it is");
    job.requirements.pool_id = pools[0];
    job.requirements.fallback_pools = pools[1..].to_vec();
    job
}

fn register(yard: &mut Yard, pool_id: PoolId) -> RunnerId {
    let hello = Register { pool_id, ..Yard::hello("safe", slots(9)) };
    match yard.apply(Command::Register(Box::new(hello))) {
        Ok(Reply::Registered(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn refused(yard: &mut Yard, job: PlannedJob) -> Refusal {
    yard.refused(Yard::submission(workload(vec![job])))
}

#[test]
fn work_that_is_not_trusted_goes_only_where_it_is_taken() {
    let mut yard = yard(false);
    let safe = register(&mut yard, SAFE);
    let both = [SAFE, PoolId::DEFAULT];
    let ids = yard.submit(vec![
        of(TrustLevel::Untrusted, "stranger", &both),
        of(TrustLevel::Unknown, "unknown", &both),
        of(TrustLevel::Trusted, "known", &both),
    ]);
    assert_eq!(names(&yard.take(safe)), ["known"]);
    let told = yard.said(ids[0]);
    assert!(
        told.iter().any(|it| it.contains("is of a pool that takes only trusted work")),
        "{told:?}"
    );
    yard.restart();
    // What it has is told again.
    assert_eq!(names(&yard.take(safe)), ["known"], "it is not forgotten");
    let open = yard.register("open", slots(9));
    assert_eq!(names(&yard.take(open)), ["stranger", "unknown"]);
}

#[test]
fn work_that_no_pool_may_take_is_refused() {
    let mut yard = yard(false);
    let job = of(TrustLevel::Untrusted, "stranger", &[SAFE]);
    let Refusal::Invalid(why) = refused(&mut yard, job) else { panic!() };
    assert!(why.contains("it is not trusted, and `safe` takes only trusted work"), "{why}");
    let ids = yard.submit(vec![of(TrustLevel::Trusted, "known", &[SAFE])]);
    assert_eq!(ids.len(), 1);
}

#[test]
fn a_route_leads_no_stranger_into_a_closed_pool() {
    let mut yard = Yard::with(|settings| {
        settings.catalogue.pools.insert("safe".into(), SAFE);
        let closed = PoolSettings { accepts_untrusted: false, ..PoolSettings::default() };
        settings.pools.insert(SAFE, closed);
        let rule = RoutingRule { pools: vec![SAFE], ..RoutingRule::new("**", "runners") };
        settings.router = RoutingConfig::default().with_rule(rule).compile().unwrap();
    });
    let job = of(TrustLevel::Untrusted, "stranger", &[PoolId::DEFAULT]);
    assert!(matches!(refused(&mut yard, job), Refusal::Invalid(_)));
}

/// What waits was taken in before the operator closed the pool.
#[test]
fn a_pool_that_is_closed_later_is_closed_to_what_waits() {
    let mut yard = yard(true);
    yard.submit(vec![of(TrustLevel::Untrusted, "stranger", &[SAFE])]);
    yard.settings.pools.get_mut(&SAFE).unwrap().accepts_untrusted = false;
    yard.restart();
    let safe = register(&mut yard, SAFE);
    assert_eq!(names(&yard.take(safe)), [""; 0]);
    yard.settings.pools.get_mut(&SAFE).unwrap().accepts_untrusted = true;
    yard.restart();
    assert_eq!(names(&yard.take(safe)), ["stranger"]);
}
