//! How often triggers start something.

use super::plan::workload;
use super::yard::{Yard, job};
use crate::dispatch::{Command, Reply};
use crate::model::{DeliveryState, Pause, PauseScope, RecordName, StartLimit, StartLimits};

fn limit(starts: u32) -> Option<StartLimit> {
    Some(StartLimit { starts, window_ms: 1_000 })
}

/// A delivery about something, and what became of it.
fn deliver(yard: &mut Yard, number: u128, limits: StartLimits) -> (DeliveryState, String) {
    let Command::Deliver(mut deliver) =
        super::intake::deliver(number, vec![workload(vec![job("a")])])
    else {
        panic!("a delivery")
    };
    deliver.key = None;
    deliver.plan.limits = [("on-push".to_owned(), limits)].into();
    match yard.apply(Command::Deliver(deliver)) {
        Ok(Reply::Delivered { state, verdicts, .. }) => (state, verdicts[0].why.clone()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trigger_starts_so_often_for_one_thing_within_a_time() {
    let mut yard = Yard::new();
    let about = |subject: &str| StartLimits {
        subject: subject.into(),
        per_subject: limit(2),
        breaker: None,
    };
    let said = |yard: &mut Yard, number, subject| deliver(yard, number, about(subject));
    for number in 0..2 {
        assert_eq!(said(&mut yard, number, "pull 1").0, DeliveryState::Dispatched);
    }
    let (state, why) = said(&mut yard, 2, "pull 1");
    assert_eq!(state, DeliveryState::Ignored);
    assert!(why.ends_with("not started: it has started 2 within 1000 ms for the same"), "{why}");
    assert_eq!(said(&mut yard, 3, "pull 2").0, DeliveryState::Dispatched);
    yard.pass(1_000);
    assert_eq!(said(&mut yard, 4, "pull 1").0, DeliveryState::Dispatched);
}

#[test]
fn a_breaker_stops_a_trigger_until_somebody_lifts_that() {
    let mut yard = Yard::new();
    let limits = || StartLimits { breaker: limit(3), ..StartLimits::default() };
    for number in 0..3 {
        assert_eq!(deliver(&mut yard, number, limits()).0, DeliveryState::Dispatched);
    }
    let (state, why) = deliver(&mut yard, 3, limits());
    assert_eq!(state, DeliveryState::Ignored);
    assert!(why.contains("its breaker has stopped it: more than 3 starts within 1000 ms"), "{why}");
    let scope = PauseScope::Trigger("on-push".into());
    let pauses = yard.scheduler.pauses();
    assert_eq!((&pauses[0].scope, &*pauses[0].author), (&scope, Pause::BREAKER));
    assert!(yard.records.iter().any(|it| it.name == RecordName::Paused && it.name.is_kept()));
    // It lasts, also over a restart, and however long nothing comes.
    yard.restart();
    yard.pass(10_000);
    assert_eq!(deliver(&mut yard, 4, limits()).0, DeliveryState::Ignored);
    let resume = Command::Resume { scope, author: "ops".into() };
    assert!(yard.apply(resume).is_ok());
    assert_eq!(deliver(&mut yard, 5, limits()).0, DeliveryState::Dispatched);
}

#[test]
fn a_pause_of_people_and_a_stop_by_the_breaker_are_lifted_one_by_one() {
    let limits = || StartLimits { breaker: limit(1), ..StartLimits::default() };
    let scope = PauseScope::Trigger("on-push".into());
    let pause = || {
        let (author, reason) = ("ops".into(), "freeze".into());
        Command::Pause(Pause { scope: scope.clone(), author, reason, at_ms: 5, breaker: None })
    };
    let resume = || Command::Resume { scope: scope.clone(), author: "ops".into() };
    // Whichever comes first.
    for people_first in [true, false] {
        let mut yard = Yard::new();
        deliver(&mut yard, 0, limits());
        if people_first {
            yard.apply(pause()).unwrap();
        }
        assert_eq!(deliver(&mut yard, 1, limits()).0, DeliveryState::Ignored);
        if !people_first {
            yard.apply(pause()).unwrap();
        }
        yard.restart();
        let both = yard.scheduler.pauses().remove(0);
        assert_eq!((&*both.author, &*both.reason), ("ops", "freeze"), "{people_first}");
        assert_eq!(both.breaker.as_deref(), Some("more than 1 starts within 1000 ms"));
        yard.pass(10_000);
        yard.apply(resume()).unwrap();
        yard.restart();
        assert_eq!(deliver(&mut yard, 2, limits()).0, DeliveryState::Ignored, "{people_first}");
        assert_eq!(&*yard.scheduler.pauses()[0].author, Pause::BREAKER);
        yard.apply(resume()).unwrap();
        assert_eq!(yard.scheduler.pauses(), []);
        assert_eq!(deliver(&mut yard, 3, limits()).0, DeliveryState::Dispatched);
    }
}

#[test]
fn a_flood_of_things_ends_no_breaker_and_forgets_the_oldest_first() {
    let mut yard = Yard::new();
    let counted = |yard: &mut Yard, subject: &str, breaker: Option<StartLimit>| {
        let per_subject = Some(StartLimit { starts: 1, window_ms: 1_000_000 });
        let limits = StartLimits { subject: subject.into(), per_subject, breaker };
        let now = yard.now;
        let stopped = yard.scheduler.stopped(now, "t", Some(&limits));
        if stopped.is_none() {
            yard.scheduler.note_start(now, "t", Some(&limits));
        }
        stopped.is_some()
    };
    let breaker = Some(StartLimit { starts: 2, window_ms: 1_000_000 });
    assert!(!counted(&mut yard, "mine", breaker));
    assert!(!counted(&mut yard, "yours", breaker));
    for number in 0..2 * crate::dispatch::starts::WINDOWS_MAX {
        yard.now.mono_ms += 1;
        assert!(!counted(&mut yard, &number.to_string(), None));
    }
    let last = 2 * crate::dispatch::starts::WINDOWS_MAX - 1;
    assert!(counted(&mut yard, &last.to_string(), None), "the newest are known");
    assert!(!counted(&mut yard, "mine", None), "the oldest are not");
    assert!(counted(&mut yard, "other", breaker), "the breaker has counted all along");
}
