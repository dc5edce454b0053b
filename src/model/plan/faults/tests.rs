//! What is refused, in which words.

use super::super::tests::workload;
use super::*;
use crate::model::{JobTerms, Preference, ResourceNeed, WorkloadTerms};

fn group(key: &str, limit: u32) -> Option<GroupTerms> {
    let pending = PendingPolicy::Latest;
    Some(GroupTerms { key: key.into(), limit, cancel_in_progress: false, pending })
}

/// What is said of a workload of two jobs whose first one was changed.
fn said(change: impl FnOnce(&mut PlannedWorkload)) -> Vec<String> {
    let mut planned = workload(&[("a", &[]), ("b", &[])]);
    change(&mut planned);
    let said: Vec<_> = planned.faults().iter().map(ToString::to_string).collect();
    let checked = planned.check(9);
    assert_eq!(matches!(checked, Err(PlanError::Terms(_))), !said.is_empty());
    said
}

fn requires(change: impl FnOnce(&mut RunnerRequirements)) -> Vec<String> {
    said(|planned| {
        let needs = &mut planned.jobs[0].requirements;
        change(needs);
        *needs = needs.clone().normalised();
    })
}

fn terms(change: impl FnOnce(&mut JobTerms)) -> Vec<String> {
    said(|planned| change(&mut planned.jobs[0].terms))
}

#[test]
fn a_group_needs_a_key_and_a_limit() {
    let whole =
        |group| said(|planned| planned.terms = WorkloadTerms { group, ..Default::default() });
    assert_eq!(whole(group("", 1)), ["group: a group needs a key"]);
    assert_eq!(
        terms(|it| it.group = group("g", 0)),
        ["job `a`: group: the limit 0 lets nothing run"]
    );
    assert_eq!(whole(group("g", 1)), [""; 0]);
}

#[test]
fn one_group_has_one_limit_and_a_job_does_not_wait_for_its_own_workload() {
    let two = said(|planned| {
        planned.jobs[0].terms.group = group("g", 1);
        planned.jobs[1].terms.group = group("g", 2);
    });
    assert_eq!(two, ["job `b`: group: `g` has the limits 1 and 2"]);
    let own = said(|planned| {
        planned.terms.group = group("g", 1);
        planned.jobs[0].terms.group = group("g", 1);
    });
    assert_eq!(own, ["job `a`: group: it would wait for its workload, which is in `g`"]);
}

#[test]
fn jobs_of_one_matrix_agree() {
    let matrix =
        |max_parallel| Some(MatrixTerms { key: "m".into(), max_parallel, fail_fast: false });
    let differ = said(|planned| {
        planned.jobs[0].terms.matrix = matrix(Some(1));
        planned.jobs[1].terms.matrix = matrix(Some(2));
    });
    assert_eq!(differ, ["job `b`: matrix: `m` has different terms in two jobs"]);
    let zero = ["job `a`: matrix: max_parallel 0 lets nothing run"];
    assert_eq!(terms(|it| it.matrix = matrix(Some(0))), zero);
    let whole = said(|planned| planned.terms.max_parallel = Some(0));
    assert_eq!(whole, ["max_parallel: 0 lets nothing run"]);
}

#[test]
fn spans_are_at_least_a_millisecond() {
    assert_eq!(terms(|it| it.max_wait_ms = Some(0)), ["job `a`: max_wait: 0 ms is less than 1 ms"]);
    let timeout = terms(|it| it.queue_timeout_ms = Some(-5));
    assert_eq!(timeout, ["job `a`: queue_timeout: -5 ms is less than 1 ms"]);
}

#[test]
fn a_label_term_names_a_label_and_is_not_required_and_forbidden() {
    let labels = |labels: &[&str]| {
        requires(|it| it.labels = labels.iter().map(|label| (*label).into()).collect())
    };
    assert_eq!(labels(&["linux", "disk=ssd", "disk=*", "!spot", "!gpu=*", "!disk=hdd"]), [""; 0]);
    assert_eq!(labels(&["!"]), ["job `a`: labels: `!` names no label"]);
    assert_eq!(labels(&["=*"]), ["job `a`: labels: `=*` has no key before `=*`"]);
    assert_eq!(labels(&["!!x"]), ["job `a`: labels: `!!x` has `!` twice"]);
    let both = "is required, and";
    for pair in [["x", "!X"], ["disk=ssd", "!disk=*"], ["disk=*", "!disk=*"], ["a=b", "!a=b"]] {
        let said = labels(&pair);
        assert!(said.len() == 1 && said[0].contains(both), "{said:?}");
    }
}

#[test]
fn weights_regions_and_resources_are_bounded() {
    let preferred = Preference { label: "ssd".into(), weight: -101 };
    assert_eq!(
        requires(|it| it.preferred = vec![preferred]),
        ["job `a`: preferred: the weight -101 is not from -100 to 100"]
    );
    assert_eq!(
        requires(|it| it.required_regions = vec!["".into()]),
        ["job `a`: region: a name is empty"]
    );
    let need = |name: &str, units| ResourceNeed { name: name.into(), units };
    assert_eq!(
        requires(|it| it.resources = vec![need("gpu", 0)]),
        ["job `a`: resources: 0 units of `gpu`"]
    );
    assert_eq!(
        requires(|it| it.resources = vec![need("gpu", 1), need("gpu", 2)]),
        ["job `a`: resources: `gpu` is named twice"]
    );
}

#[test]
fn lists_and_names_have_an_end() {
    let many = requires(|it| it.labels = (0..257).map(|at| format!("l{at}").into()).collect());
    assert_eq!(many, ["job `a`: labels: 257 entries, at most 256"]);
    let long = terms(|it| it.group = group(&"x".repeat(201), 1));
    assert_eq!(long, ["job `a`: group: a name has 201 characters, at most 200"]);
    let odd = terms(|it| it.placement.affinity = Some("a\nb".into()));
    assert_eq!(odd, ["job `a`: affinity: `a\\nb` has control characters"]);
}
