//! Advice finds the bottleneck that was planted, and what it saves is right.

use super::forecast::teach;
use super::yard::*;
use crate::dispatch::{Advice, Command, PoolSettings, Suggestion, TenantSettings};
use crate::model::{
    GroupTerms, JobTerms, Pause, PauseScope, PlannedJob, PoolId, ResourceNeed, RunnerRequirements,
    TenantId,
};

const RUN_MS: i64 = 10_000;
const DAY_MS: i64 = 24 * 3_600_000;

fn advice(yard: &Yard) -> Advice {
    let excerpt = yard.scheduler.excerpt(yard.now, 100);
    let advice = excerpt.advise(None);
    assert_eq!(excerpt.advise(None), advice, "asked again");
    let saved = |found: &crate::dispatch::Found| found.saved_ms_total;
    assert!(advice.found.is_sorted_by(|one, next| saved(one) >= saved(next)));
    assert!(advice.found.iter().all(|found| saved(found) > 0));
    advice
}

/// The first suggestion in words, and what it saves.
fn best(yard: &Yard) -> (String, i64) {
    let advice = advice(yard);
    let first = advice.found.first().unwrap_or_else(|| panic!("nothing helps: {advice:?}"));
    (first.suggestion.to_string(), first.saved_ms_total)
}

/// Two jobs that are known to take 10 s, and two runners that could take them.
fn two(change: impl FnOnce(&mut crate::dispatch::Settings), like: fn(&str) -> PlannedJob) -> Yard {
    let mut yard = Yard::with(change);
    for name in ["r", "s"] {
        yard.register(name, slots(1));
    }
    let ids = yard.submit(vec![like("a"), like("b")]);
    teach(&mut yard, ids[0]);
    yard
}

#[test]
fn nothing_is_suggested_where_nothing_helps() {
    let yard = two(|_| {}, job);
    let advice = advice(&yard);
    assert_eq!((advice.jobs_waiting, advice.jobs_played, advice.wait_ms_total), (2, 2, 0));
    assert_eq!(advice.found, []);
}

#[test]
fn maximums_and_quotas_are_raised_where_they_keep_jobs_back() {
    let yard = two(|settings| settings.max_global_concurrency = 1, job);
    let raised = ("raise max_global_concurrency from 1 to 2".to_owned(), RUN_MS);
    assert_eq!(best(&yard), raised);
    let yard = two(
        |settings| {
            let pool = PoolSettings { jobs_max: Some(1), ..PoolSettings::default() };
            settings.pools = [(PoolId::DEFAULT, pool)].into();
        },
        job,
    );
    assert_eq!(best(&yard), ("raise jobs_max of pool default from 1 to 2".to_owned(), RUN_MS));
    let yard = two(
        |settings| {
            let own = TenantSettings { running_max: Some(1), ..TenantSettings::default() };
            settings.tenants = [(TenantId::DEFAULT, own)].into();
        },
        job,
    );
    let raised = ("raise running_max of tenant default from 1 to 2".to_owned(), RUN_MS);
    assert_eq!(best(&yard), raised);
}

#[test]
fn a_group_and_a_resource_are_raised_where_they_keep_jobs_back() {
    let grouped = |name: &str| {
        let pending = Default::default();
        let group = GroupTerms { key: "g".into(), limit: 1, cancel_in_progress: false, pending };
        PlannedJob { terms: JobTerms { group: Some(group), ..JobTerms::default() }, ..job(name) }
    };
    let yard = two(|_| {}, grouped);
    assert_eq!(best(&yard), ("raise the limit of group `g` from 1 to 2".to_owned(), RUN_MS));
    let holding = |name: &str| {
        let resources = vec![ResourceNeed { name: "db:eu".into(), units: 1 }];
        let requirements = RunnerRequirements { resources, ..RunnerRequirements::default() };
        PlannedJob { requirements, ..job(name) }
    };
    let units = |settings: &mut crate::dispatch::Settings| {
        settings.catalogue.resources = [("db:*".into(), 1)].into();
    };
    let yard = two(units, holding);
    let raised = ("raise the units of resource `db:*` from 1 to 2".to_owned(), RUN_MS);
    assert_eq!(best(&yard), raised);
}

#[test]
fn a_label_is_given_to_the_runner_that_lacks_nothing_else() {
    let mut yard = Yard::new();
    yard.register("has", with_label("x"));
    yard.register("busy", slots(1));
    let busy = yard.submit(vec![job("busy")])[0];
    let runner = yard.scheduler.runner_list(yard.now, None, 1)[0].row.id;
    yard.run(runner);
    yard.register("lacks", slots(1));
    let ids = yard.submit(vec![labelled("a", "x"), labelled("b", "x")]);
    teach(&mut yard, ids[0]);
    teach(&mut yard, busy);
    assert_eq!(best(&yard), ("give runner lacks the label `x`".to_owned(), RUN_MS));
}

#[test]
fn a_cordon_and_a_pause_are_lifted() {
    let mut yard = two(|_| {}, job);
    let second = yard.scheduler.runner_list(yard.now, None, 1)[0].row.id;
    yard.patch(second, Some(Some("why")), None);
    assert_eq!(best(&yard), ("uncordon runner s".to_owned(), RUN_MS));

    let mut yard = two(|_| {}, job);
    for scope in [PauseScope::Tenant(TenantId::DEFAULT), PauseScope::Trigger("other".into())] {
        let pause =
            Pause { scope, author: "ada".into(), reason: "".into(), at_ms: 0, breaker: None };
        yard.apply(Command::Pause(pause)).unwrap();
    }
    let stuck = advice(&yard);
    assert_eq!((stuck.jobs_stuck, stuck.wait_ms_total), (2, 2 * DAY_MS));
    assert_eq!(stuck.found.len(), 1, "the other pause keeps nobody back");
    assert_eq!(stuck.found[0].jobs_freed, 2);
    assert_eq!(best(&yard), ("resume tenant default".to_owned(), 2 * DAY_MS));
}

#[test]
fn one_more_runner_is_the_advice_where_all_are_busy_or_none_fits() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(1));
    let ids = yard.submit(vec![job("a"), job("b"), job("c")]);
    teach(&mut yard, ids[0]);
    yard.run(runner);
    yard.pass(4_000);
    // b after 6 s and c after 16; with one more both at once, b now and c when a has ended.
    let advice = advice(&yard);
    assert_eq!(advice.wait_ms_total, 22_000);
    let [found] = &advice.found[..] else { panic!("{advice:?}") };
    assert_eq!(found.suggestion.to_string(), "add a runner to pool default, like r, with 1 slots");
    assert_eq!((found.saved_ms_total, found.saved_ms_mean), (16_000, 8_000));

    let mut yard = Yard::new();
    yard.submit(vec![labelled("a", "gpu=big")]);
    let (text, saved) = best(&yard);
    assert_eq!(text, "add a runner to pool default, with labels gpu=big");
    assert_eq!(saved, DAY_MS);
}

#[test]
fn a_tenant_is_told_of_its_own_alone() {
    let (acme, other) = (TenantId(7), TenantId(8));
    let pool = PoolId(5);
    let mut yard = Yard::with(|settings| {
        settings.max_global_concurrency = 1;
        let own = PoolSettings { tenant_id: Some(acme), ..PoolSettings::default() };
        settings.pools.insert(pool, own);
    });
    for name in ["r", "s"] {
        yard.register(name, slots(1));
    }
    let ids = yard.submit_as(acme, vec![job("a"), job("b")]);
    yard.submit_as(other, vec![job("c")]);
    teach(&mut yard, ids[0]);
    let excerpt = yard.scheduler.excerpt(yard.now, 100);
    let all = excerpt.advise(None);
    assert_eq!(all.jobs_waiting, 3);
    let raises = |advice: &Advice| {
        advice.found.iter().any(|it| matches!(it.suggestion, Suggestion::RaiseGlobal { .. }))
    };
    assert!(raises(&all));
    let own = excerpt.advise(Some(acme));
    assert_eq!((own.jobs_waiting, own.jobs_played), (2, 2));
    assert_eq!(own.found, [], "the maximum and the pool are not its own");
}

#[test]
fn only_the_first_jobs_of_a_long_queue_are_played() {
    let mut yard = Yard::new();
    yard.register("r", slots(2));
    let ids = yard.submit((0..500).map(|at| job(&format!("j{at}"))).collect());
    yard.submit((0..300).map(|at| job(&format!("k{at}"))).collect());
    teach(&mut yard, ids[0]);
    let advice = advice(&yard);
    assert_eq!((advice.jobs_waiting, advice.jobs_played), (800, 100));
    // Two at a time: 0, 0, 10, 10, ... 490, 490 s.
    assert_eq!(advice.wait_ms_total, 2 * RUN_MS * (0..50).sum::<i64>());
}
