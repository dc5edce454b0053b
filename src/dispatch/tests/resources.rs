//! Resources: all or nothing, with indexes, over a restart, and nobody is overtaken for ever.

use super::yard::{Yard, job, names, slots, workload};
use crate::dispatch::{Reason, Seen};
use crate::model::{PlannedJob, ResourceNeed, RunnerRequirements, TenantId};

fn needing(name: &str, needs: &[(&str, u32)]) -> PlannedJob {
    let need = |(name, units): &(&str, u32)| ResourceNeed { name: (*name).into(), units: *units };
    let resources = needs.iter().map(need).collect();
    let requirements = RunnerRequirements { resources, ..RunnerRequirements::default() };
    PlannedJob { requirements, ..job(name) }
}

fn yard(overtake_max: u32) -> Yard {
    Yard::with(|settings| {
        settings.overtake_max = overtake_max;
        let resources = [("db", 2), ("port", 1), ("repo:*", 1)];
        settings.catalogue.resources = resources.map(|(name, units)| (name.into(), units)).into();
    })
}

#[test]
fn a_job_takes_all_its_units_with_the_assignment_and_is_told_which() {
    let mut yard = yard(9);
    let runner = yard.register("r", slots(4));
    let ids = yard.submit(vec![
        needing("a", &[("db", 1), ("port", 1)]),
        needing("b", &[("db", 1), ("port", 1)]),
        needing("c", &[("db", 1)]),
    ]);
    let given = yard.take(runner);
    assert_eq!(names(&given), ["a", "c"]);
    assert_eq!(given[0].units.0["db"], [0]);
    assert_eq!(given[1].units.0["db"], [1]);
    let reasons = yard.scheduler.explain(yard.now, ids[1]).unwrap().reasons;
    assert_eq!(reasons[0].to_string(), "needs 1 of 2 units of db; held: 0 by job 1, 1 by job 3");
    yard.restart();
    assert_eq!(yard.scheduler.durable().units.len(), 3);
    yard.succeed(&given[0]);
    assert_eq!(yard.jobs[&ids[0]].extras.units, None);
    let next = yard.take(runner);
    let next = next.iter().find(|job| &*job.name == "b").expect("it is free now");
    assert_eq!(next.units.0["db"], [0]);
}

#[test]
fn a_pattern_is_a_resource_of_its_own_for_each_name() {
    let mut yard = yard(9);
    let runner = yard.register("r", slots(4));
    yard.submit(vec![
        needing("a1", &[("repo:acme/a", 1)]),
        needing("a2", &[("repo:acme/a", 1)]),
        needing("b1", &[("repo:acme/b", 1)]),
    ]);
    assert_eq!(names(&yard.take(runner)), ["a1", "b1"]);
}

#[test]
fn after_too_many_overtakes_what_is_freed_is_kept_for_the_first() {
    let mut yard = yard(2);
    let runner = yard.register("r", slots(9));
    yard.submit(vec![needing("first", &[("db", 1)])]);
    let mut holder = yard.take(runner).remove(0);
    let big = yard.submit(vec![needing("big", &[("db", 2)])])[0];
    yard.submit((0..4).map(|at| needing(&format!("s{at}"), &[("db", 1)])).collect());
    // Two small ones may go before it; the third may not.
    let mut overtakes = Vec::new();
    for _ in 0..4 {
        let poll = yard.poll(runner);
        overtakes.extend(yard.given(poll));
        yard.succeed(&holder);
        let poll = yard.poll(runner);
        overtakes.extend(yard.given(poll));
        let Some(next) = overtakes.pop() else { break };
        holder = next;
        if &*holder.name == "big" {
            break;
        }
    }
    let taken: Vec<_> = yard
        .records
        .iter()
        .filter(|record| record.name == crate::model::RecordName::JobAssigned)
        .map(|record| &*record.detail)
        .collect();
    let at = taken.iter().position(|name| *name == "big");
    assert!(at.is_some_and(|at| at <= 3), "{taken:?}");
    assert!(yard.jobs[&big].lease().is_some() || yard.jobs[&big].attempt > 0);
}

#[test]
fn a_reservation_is_explained() {
    let mut yard = yard(1);
    let runner = yard.register("r", slots(9));
    yard.submit(vec![needing("first", &[("db", 1)])]);
    yard.take_started(runner);
    let big = yard.submit(vec![needing("big", &[("db", 2)])])[0];
    let small = yard.submit(vec![needing("s1", &[("db", 1)]), needing("s2", &[("db", 1)])]);
    let given = yard.take_started(runner);
    assert_eq!(names(&given), ["s1"]);
    yard.succeed(&given[0]);
    let reasons = yard.scheduler.explain(yard.now, small[1]).unwrap().reasons;
    let Reason::Resource { reserved_for, .. } = &reasons[0] else { panic!("{reasons:?}") };
    assert_eq!(*reserved_for, Some(Seen::This(big)));
}

#[test]
fn more_units_than_there_are_and_unknown_resources_are_refused() {
    let mut yard = yard(1);
    let mut refuse = |needs: &[(&str, u32)]| {
        yard.refused(Yard::submission(workload(vec![needing("a", needs)]))).to_string()
    };
    assert_eq!(refuse(&[("db", 3)]), "job `a`: it needs 3 units of resource `db`, and there are 2");
    assert_eq!(refuse(&[("db", 0)]), "job `a`: resources: 0 units of `db`");
    assert_eq!(refuse(&[("gpu", 1)]), "job `a`: there is no resource `gpu`");
}

#[test]
fn people_see_who_holds_which_unit_and_a_tenant_only_what_it_has_a_part_in() {
    let mut yard = yard(9);
    let runner = yard.register("r", slots(4));
    let mine = yard.submit(vec![needing("a", &[("db", 1), ("repo:acme/a", 1)])])[0];
    yard.take(runner);
    let other = TenantId(2);
    let jobs = vec![needing("b", &[("db", 2)]), needing("c", &[("db", 2)])];
    yard.submit_as(other, jobs);
    let names = |of| -> Vec<_> {
        yard.scheduler.resources(of).into_iter().map(|it| String::from(it.name)).collect()
    };
    assert_eq!(names(None), ["db", "repo:acme/a"]);
    assert_eq!(names(Some(TenantId::DEFAULT)), ["db", "repo:acme/a"]);
    assert_eq!(names(Some(other)), ["db"]);
    let db = yard.scheduler.resource("db", Some(other)).unwrap();
    assert_eq!((db.units, db.held, db.waiting), (2, vec![(0, mine)], 2));
    assert_eq!(yard.scheduler.resource("repo:acme/a", Some(other)), None);
    assert_eq!(yard.scheduler.resource("port", None), None, "nobody needs it");
}
