//! Times of schedules: each comes once, and the row goes on with it.

use super::intake::deliver;
use super::yard::{Yard, job, workload};
use crate::dispatch::{Command, Fire, Refusal, Reply, Verdict};
use crate::model::{Change, DeliveryId, KeyScope, ScheduleMark, UniqueKey};

fn mark(handled_ms: i64) -> ScheduleMark {
    ScheduleMark::begin("nightly#1", "unix UTC @daily", handled_ms)
}

/// A time that comes after another one was handled.
fn fire(number: u128, at_ms: i64, after_ms: Option<i64>) -> Command {
    let Command::Deliver(mut deliver) = deliver(number, vec![workload(vec![job("a")])]) else {
        panic!("a delivery")
    };
    deliver.key = Some(UniqueKey { scope: KeyScope::Schedule, key: format!("k{at_ms}").into() });
    let mark = ScheduleMark { fired_ms: Some(at_ms), ..mark(at_ms) };
    Command::Fire(Box::new(Fire { mark, after_ms, deliver: Some(deliver) }))
}

fn pass(through_ms: i64, after_ms: Option<i64>) -> Command {
    Command::Fire(Box::new(Fire { mark: mark(through_ms), after_ms, deliver: None }))
}

fn id(number: u128) -> DeliveryId {
    DeliveryId(uuid::Uuid::from_u128(number))
}

#[test]
fn a_time_becomes_a_delivery_and_moves_its_row_in_one_batch() {
    let mut yard = Yard::new();
    assert_eq!(yard.apply(pass(10, None)), Ok(Reply::Kept));
    let reply = yard.apply(fire(1, 20, Some(10))).unwrap();
    assert!(
        matches!(reply, Reply::Delivered { delivery_id, duplicate: false, .. } if delivery_id == id(1))
    );
    let kept = yard.scheduler.schedules();
    assert_eq!((kept[0].handled_ms, kept[0].delivery_id), (20, Some(id(1))));
    let wrote = |is: fn(&Change) -> bool| yard.changes.iter().filter(|it| is(it)).count();
    assert_eq!(wrote(|it| matches!(it, Change::DeliveryInserted(_))), 1);
    assert_eq!(wrote(|it| matches!(it, Change::ScheduleKept(_))), 1);
    let (key, stands_for) = fire(1, 20, Some(10)).unique_key().unwrap();
    assert_eq!((key.scope, &*stands_for), (KeyScope::Schedule, &*id(1).to_string()));
    assert!(fire(1, 20, Some(10)).is_intake());
}

#[test]
fn what_was_decided_of_an_older_row_changes_nothing() {
    let mut yard = Yard::new();
    yard.apply(pass(10, None)).unwrap();
    yard.apply(fire(1, 20, Some(10))).unwrap();
    for stale in [fire(2, 20, Some(10)), pass(30, Some(10)), pass(30, None)] {
        assert!(matches!(yard.refused(stale), Refusal::WrongState(_)));
    }
    assert_eq!(yard.workloads.len(), 1);
}

#[test]
fn a_time_whose_key_is_taken_starts_nothing_and_is_handled() {
    let mut yard = Yard::new();
    yard.apply(pass(10, None)).unwrap();
    let taken = Verdict::Duplicate(id(7).to_string().into());
    let replies = yard.batch_with(vec![(fire(1, 20, Some(10)), taken)]);
    assert!(matches!(replies[0], Ok(Reply::Delivered { duplicate: true, .. })), "{replies:?}");
    let kept = yard.scheduler.schedules();
    assert_eq!((kept[0].handled_ms, kept[0].delivery_id), (20, Some(id(7))));
    // The same once more, as after a commit of which nobody knew that it went well.
    let own = Verdict::Duplicate(id(1).to_string().into());
    let replies = yard.batch_with(vec![(fire(1, 20, Some(10)), own)]);
    assert!(matches!(replies[0], Ok(Reply::Delivered { duplicate: false, .. })), "{replies:?}");
    assert_eq!((yard.workloads.len(), yard.changes.len()), (0, 0));
}

#[test]
fn schedules_that_are_configured_no_longer_are_forgotten() {
    let mut yard = Yard::new();
    yard.apply(pass(10, None)).unwrap();
    let forget = |name: &str| Command::ForgetSchedules(vec![name.into()]);
    yard.apply(forget("other#1")).unwrap();
    assert_eq!(yard.changes, []);
    yard.apply(forget("nightly#1")).unwrap();
    assert_eq!(yard.changes, [Change::ScheduleForgotten("nightly#1".into())]);
    assert_eq!(yard.scheduler.schedules(), []);
}
