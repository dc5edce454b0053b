//! What is old goes, and what something live refers to stays.

use super::intake::deliver;
use super::plan::workload;
use super::yard::{Yard, job, slots};
use crate::dispatch::{Command, GoneRunners, Prune, Refusal, Reply};
use crate::model::{
    Change, DeliveryId, JobTerms, PlannedJob, PrunedRows, RunnerId, SoftState, WorkloadId,
    WorkloadState,
};

fn prune(yard: &mut Yard, prune: Prune) -> (PrunedRows, u64) {
    let before = yard.scheduler.durable();
    let reply = yard.apply(Command::Prune(Box::new(prune))).unwrap();
    let Reply::Pruned { rows, runners } = reply else { panic!("{reply:?}") };
    if runners == 0 {
        assert_eq!(yard.scheduler.durable(), before, "nothing of it is in memory");
    }
    (*rows, runners)
}

fn prune_workloads(yard: &mut Yard, ids: &[WorkloadId]) -> Vec<WorkloadId> {
    let ended = |id: &WorkloadId| (*id, yard.workloads[id].ended_at_ms.unwrap_or(0));
    let workloads = ids.iter().map(ended).collect();
    let (rows, _) = prune(yard, Prune { workloads, ..Prune::default() });
    rows.workloads.into_iter().map(|(id, _)| id).collect()
}

/// A workload of one job that has failed.
fn failed(yard: &mut Yard) -> WorkloadId {
    let id = yard.submit(vec![job("a")])[0];
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.fail(&given);
    yard.jobs[&id].workload_id
}

#[test]
fn a_workload_that_a_waiting_job_needs_is_kept_until_that_has_ended() {
    let mut yard = Yard::new();
    let (needed, other) = (failed(&mut yard), failed(&mut yard));
    let terms = JobTerms {
        needs_workloads: vec![needed],
        run_if: crate::model::RunIf::Always,
        ..JobTerms::default()
    };
    let later = Box::new(workload(vec![PlannedJob { terms, ..job("later") }]));
    let ended = vec![(needed, WorkloadState::Failed)];
    yard.apply(Command::Submit { workload: later, idempotency_key: None, ended }).unwrap();
    assert_eq!(prune_workloads(&mut yard, &[needed, other]), [other]);
    yard.restart();
    assert_eq!(prune_workloads(&mut yard, &[needed]), [], "also as it was loaded");
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    yard.succeed(&given);
    assert_eq!(prune_workloads(&mut yard, &[needed]), [needed]);
}

#[test]
fn a_workload_that_was_retried_meanwhile_is_kept() {
    let mut yard = Yard::new();
    let id = failed(&mut yard);
    let old = (id, yard.workloads[&id].ended_at_ms.unwrap());
    yard.retry(id).unwrap();
    let (rows, _) = prune(&mut yard, Prune { workloads: vec![old], ..Prune::default() });
    assert_eq!(rows, PrunedRows::default());
    assert!(!yard.changes.iter().any(|it| matches!(it, Change::Pruned(_))));
}

#[test]
fn a_retry_whose_rows_were_read_before_they_went_finds_nothing() {
    let mut yard = Yard::new();
    let id = failed(&mut yard);
    let archived = Some(yard.archived(id));
    assert_eq!(prune_workloads(&mut yard, &[id]), [id]);
    let author: Box<str> = "ada".into();
    let retry = Command::Retry { workload_id: id, archived, ended: Vec::new(), author };
    assert_eq!(yard.refused(retry), Refusal::UnknownWorkload(id));
}

#[test]
fn up_to_when_history_went_is_kept_and_never_falls() {
    let mut yard = Yard::new();
    let first = failed(&mut yard);
    yard.pass(1_000);
    let second = failed(&mut yard);
    let until = |yard: &Yard| {
        let kept = yard.soft.iter().find(|it| &*it.key == SoftState::PRUNED_UNTIL);
        kept.map(|it| it.value.parse::<i64>().unwrap())
    };
    let end_ms = yard.workloads[&second].ended_at_ms;
    prune_workloads(&mut yard, &[second]);
    assert_eq!(until(&yard), end_ms);
    yard.restart();
    prune_workloads(&mut yard, &[first]);
    assert_eq!(until(&yard), end_ms);
}

#[test]
fn the_body_of_an_event_stays_while_a_job_of_it_waits_or_runs() {
    let mut yard = Yard::new();
    yard.apply(deliver(1, vec![workload(vec![job("a")])])).unwrap();
    let (&id, delivery) = yard.workloads.iter().next().unwrap();
    let delivery: DeliveryId = delivery.delivery_id.unwrap();
    let bodies = Prune { bodies: vec![(delivery, vec![id])], ..Prune::default() };
    assert_eq!(prune(&mut yard, bodies.clone()).0.bodies, []);
    let runner = yard.register("r", slots(1));
    let given = yard.run(runner);
    assert_eq!(prune(&mut yard, bodies.clone()).0.bodies, []);
    yard.succeed(&given);
    assert_eq!(prune(&mut yard, bodies).0.bodies, [delivery]);
}

#[test]
fn runners_that_are_gone_leave_but_for_those_that_somebody_took_out() {
    let mut yard = Yard::new();
    let gone: RunnerId = yard.register("gone", slots(1));
    let cordoned = yard.register("cordoned", slots(1));
    yard.patch(cordoned, Some(Some("ada: disk")), None);
    let all = GoneRunners { silent_ms: 100_000, max: 10, dry_run: false };
    let runners = |gone| Prune { runners: Some(gone), ..Prune::default() };
    yard.pass(61_000);
    assert_eq!(prune(&mut yard, runners(all)).1, 0, "offline, and not for long");
    yard.pass(61_000);
    let seen = yard.register("seen", slots(1));
    assert_eq!(prune(&mut yard, runners(GoneRunners { dry_run: true, ..all })).1, 1);
    assert_eq!(prune(&mut yard, runners(all)).1, 1);
    let is_there = |id| yard.scheduler.runner(yard.now, id).is_some();
    assert_eq!([gone, cordoned, seen].map(is_there), [false, true, true]);
}
