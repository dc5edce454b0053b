//! Routes: new jobs go where the first rule that matches their name says, whoever makes them.

use super::yard::{Yard, job, names, slots, with_label, workload};
use crate::executor::router::{RoutingConfig, RoutingRule};
use crate::model::{JobPriority, PlannedWorkload, TenantId};

fn yard(rules: impl IntoIterator<Item = RoutingRule>) -> Yard {
    let config = rules.into_iter().fold(RoutingConfig::default(), RoutingConfig::with_rule);
    Yard::with(|settings| {
        settings.catalogue.tenants.insert("acme".into(), TenantId(2));
        settings.catalogue.resources.insert("route:few".into(), 1);
        settings.router = config.compile().unwrap();
    })
}

/// A rule for all jobs, of which one may run.
fn one_at_once() -> RoutingRule {
    RoutingRule { name: "few".into(), running_max: Some(1), ..RoutingRule::new("**", "runners") }
}

#[test]
fn a_rule_adds_its_labels_and_sets_the_priority() {
    let mut yard = yard([RoutingRule {
        labels: vec!["gpu".into()],
        priority: Some(JobPriority::High),
        ..RoutingRule::new("**::train", "runners")
    }]);
    let plain = yard.register("plain", slots(2));
    let ids = yard.submit(vec![job("train"), job("build")]);
    assert_eq!(names(&yard.take(plain)), ["build"]);
    let gpu = yard.register("gpu", with_label("gpu"));
    assert_eq!(names(&yard.take(gpu)), ["train"]);
    assert_eq!(yard.jobs[&ids[0]].priority, JobPriority::High);
    yard.restart();
}

#[test]
fn the_tenant_the_namespace_and_jobs_that_join_count() {
    let gpu = |pattern: &str| RoutingRule {
        labels: vec!["gpu".into()],
        ..RoutingRule::new(pattern, "runners")
    };
    let mut yard = yard([gpu("acme::*::*::a"), gpu("**::ml::*::*"), gpu("**::late")]);
    let runner = yard.register("plain", slots(9));
    let mut in_ml = job("b");
    in_ml.terms.namespace = Some("ml".into());
    let open = PlannedWorkload { open: true, ..workload(vec![job("a"), in_ml, job("c")]) };
    let ids = yard.submit_whole(open);
    let id = yard.workload_of(ids[0]).id;
    yard.join(id, vec![job("late"), job("soon")]);
    assert_eq!(names(&yard.take(runner)), ["a", "c", "soon"]);
    yard.submit_as(TenantId(2), vec![job("a"), job("c")]);
    let another = yard.register("another", slots(9));
    assert_eq!(names(&yard.take(another)), ["c"]);
}

#[test]
fn a_rule_bounds_how_many_of_its_jobs_run() {
    let mut yard = yard([one_at_once()]);
    let runner = yard.register("r", slots(4));
    let ids = yard.submit(vec![job("a"), job("b")]);
    let given = yard.take(runner);
    assert_eq!(names(&given), ["a"]);
    assert_eq!(yard.said(ids[1])[0], "needs 1 of 1 units of route:few; held: 0 by job 1");
    yard.restart();
    yard.succeed(&given[0]);
    assert_eq!(names(&yard.take(runner)), ["b"]);
}

#[test]
fn a_bound_that_is_gone_keeps_nobody_waiting() {
    let mut yard = yard([one_at_once()]);
    let runner = yard.register("r", slots(4));
    yard.submit(vec![job("a"), job("b"), job("c")]);
    assert_eq!(names(&yard.take(runner)), ["a"]);
    yard.settings.catalogue.resources.clear();
    yard.restart();
    assert_eq!(names(&yard.take(runner)), ["a", "b", "c"]);
}
