//! Who could run what is not there yet.

use super::yard::{Yard, job, slots};
use crate::dispatch::{Can, Command, Fit, PoolSettings, TenantSettings};
use crate::model::{
    Pause, PauseScope, PlannedJob, PoolId, RunnerCapabilities, RunnerRequirements, TenantId,
};

const OWN: PoolId = PoolId(7);
const T: TenantId = TenantId(2);

fn yard() -> Yard {
    Yard::with(|settings| {
        let own = PoolSettings { tenant_id: Some(T), ..PoolSettings::default() };
        settings.pools.insert(OWN, own);
        settings.catalogue.pools.insert("own".into(), OWN);
        let tenant = TenantSettings { gpu_max: Some(4), ..TenantSettings::default() };
        settings.tenants.insert(TenantId::DEFAULT, tenant);
        settings.pools.get_mut(&PoolId::DEFAULT).unwrap().reserve_resources = true;
    })
}

fn labels(labels: &[&str]) -> RunnerRequirements {
    let labels = labels.iter().map(|label| (*label).into()).collect();
    RunnerRequirements { labels, ..RunnerRequirements::default() }.normalised()
}

fn with(labels: &[&str], slots: u32) -> RunnerCapabilities {
    let labels = labels.iter().map(|label| (*label).into()).collect();
    RunnerCapabilities { labels, cpu_cores: 8, ..super::yard::slots(slots) }
}

fn fit(yard: &Yard, needs: &RunnerRequirements) -> Fit {
    yard.scheduler.fit(needs, TenantId::DEFAULT, None, 10)
}

/// `name: can` of each runner, with what it lacks.
fn said(fit: &Fit) -> Vec<String> {
    let said = fit.runners.iter().map(|it| {
        let lacks = it.lacks.iter().map(ToString::to_string).chain(it.obstacles.clone());
        let lacks: Vec<_> = lacks.collect();
        format!("{} {}: {}", it.name, it.can.as_str(), lacks.join(", "))
    });
    said.collect()
}

#[test]
fn the_nearest_stands_first_and_each_says_what_it_lacks() {
    let mut yard = yard();
    assert_eq!(fit(&yard, &labels(&["x"])).counts, [0; 3]);
    yard.register("bare", slots(1));
    yard.register("close", with(&["x", "y"], 1));
    let busy = yard.register("busy", with(&["x", "z"], 1));
    yard.submit(vec![PlannedJob { requirements: labels(&["x", "z"]), ..job("a") }]);
    yard.run(busy);
    yard.register("free", with(&["x", "z"], 1));
    yard.register("freer", with(&["x", "z"], 2));
    let cordoned = yard.register("away", with(&["x", "z"], 3));
    yard.patch(cordoned, Some(Some("repair")), Some(true));
    let found = fit(&yard, &labels(&["x", "z"]));
    assert_eq!(
        said(&found),
        [
            "freer now: ",
            "free now: ",
            "away later: is cordoned: repair, is draining",
            "busy later: has no free slot",
            "close never: lacks label `z`",
            "bare never: lacks label `x`, lacks label `z`",
        ]
    );
    assert_eq!((found.counts, found.impossible, found.truncated), ([2, 2, 2], None, false));
    assert_eq!(found.runners[0].can, Can::Now);
    let short = yard.scheduler.fit(&labels(&["x", "z"]), TenantId::DEFAULT, None, 1);
    assert_eq!((short.runners.len(), short.counts), (1, [2, 2, 2]));
}

#[test]
fn what_a_runner_has_left_counts_where_its_pool_reserves() {
    let mut yard = yard();
    let runner = yard.register("r", with(&[], 4));
    let cores =
        |min_cpu_cores| RunnerRequirements { min_cpu_cores, ..RunnerRequirements::default() };
    yard.submit(vec![PlannedJob { requirements: cores(6), ..job("a") }]);
    yard.run(runner);
    assert_eq!(said(&fit(&yard, &cores(2))), ["r now: "]);
    assert_eq!(
        said(&fit(&yard, &cores(3))),
        ["r later: has 2 cpu_cores left where 3 are required"]
    );
    assert_eq!(said(&fit(&yard, &cores(9))), ["r never: has cpu_cores 8 where 9 is required"]);
    let (scope, at_ms) = (PauseScope::Pool(PoolId::DEFAULT), yard.now.wall_ms);
    let (author, reason) = ("ada".into(), "why".into());
    yard.apply(Command::Pause(Pause { scope, author, reason, at_ms, breaker: None })).unwrap();
    assert_eq!(said(&fit(&yard, &cores(1))), ["r later: is of pool default, which is paused"]);
}

#[test]
fn what_no_runner_could_change_is_impossible() {
    let yard = yard();
    let gpus = RunnerRequirements { gpu: 5, ..RunnerRequirements::default() };
    assert_eq!(
        fit(&yard, &gpus).impossible.unwrap(),
        "it requires 5 and its tenant's gpu_max is 4"
    );
    let theirs = RunnerRequirements { pool_id: OWN, ..RunnerRequirements::default() };
    assert_eq!(fit(&yard, &theirs).impossible.unwrap(), "pool `own` belongs to another tenant");
    assert_eq!(yard.scheduler.fit(&theirs, T, Some(T), 10).impossible, None);
}

#[test]
fn a_tenant_is_told_of_its_own_runners_and_of_those_that_all_share() {
    let mut yard = yard();
    yard.register("shared", slots(1));
    let mut hello = Yard::hello("own", slots(1));
    hello.pool_id = OWN;
    yard.apply(Command::Register(Box::new(hello))).unwrap();
    let mut gone = Yard::hello("gone", slots(1));
    gone.pool_id = PoolId(99);
    yard.apply(Command::Register(Box::new(gone))).unwrap();
    let names = |limited_to| {
        let found = yard.scheduler.fit(&labels(&[]), T, limited_to, 10);
        let mut names: Vec<_> = found.runners.iter().map(|it| it.name.to_string()).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(None), ["gone", "own", "shared"]);
    assert_eq!(names(Some(T)), ["own", "shared"]);
    assert_eq!(names(Some(TenantId(3))), ["shared"]);
}
