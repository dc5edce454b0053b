//! Deliveries that wait for an approval.

use bytes::Bytes;

use super::yard::Yard;
use crate::dispatch::held::HELD_MAX;
use crate::dispatch::{Command, Deliver, HeldAnswer, Refusal, Reply};
use crate::model::{
    About, Answered, Body, Change, Delivery, DeliveryId, DeliveryState, Plan, RecordName, TenantId,
    Trust,
};

fn id(number: u128) -> DeliveryId {
    DeliveryId(uuid::Uuid::from_u128(number))
}

fn about(subject: &str, sha: &str) -> Option<About> {
    let sha = (!sha.is_empty()).then(|| sha.into());
    Some(About { subject: subject.into(), sha })
}

fn deliver(number: u128, state: DeliveryState, about: Option<About>) -> Command {
    let delivery = Delivery {
        id: id(number),
        source: "github".into(),
        external_id: None,
        event_kind: "pull_request".into(),
        action: None,
        state,
        reason: Some("waits for approval".into()),
        verdicts: Vec::new(),
        trust: Trust::default(),
        tenant_id: TenantId::DEFAULT,
        replay_of: None,
        attempts: 1,
        received_at_ms: 1,
        headers: "{}".into(),
        event: None,
        traceparent: None,
        approval: None,
        body: Body::Inline(Bytes::new()),
    };
    let (plan, key, ended) = (Plan::default(), None, Vec::new());
    Command::Deliver(Box::new(Deliver { delivery, plan, key, ended, adopted: false, about }))
}

fn say(number: u128, approved: bool, sha: Option<&str>) -> Command {
    let (author, reason) = ("ops".into(), "looked at it".into());
    let sha = sha.map(Into::into);
    Command::AnswerHeld(Box::new(HeldAnswer {
        delivery_id: id(number),
        approved,
        sha,
        author,
        reason,
        limited_to: None,
    }))
}

/// What was said of held deliveries, in order.
fn answers(yard: &Yard) -> Vec<Answered> {
    let of = |change: &Change| match change {
        Change::DeliveryAnswered(answered) => Some((**answered).clone()),
        _ => None,
    };
    yard.changes.iter().filter_map(of).collect()
}

fn state_of(reply: &Reply) -> DeliveryState {
    let Reply::Delivered { state, .. } = reply else { panic!("{reply:?}") };
    *state
}

const HELD: DeliveryState = DeliveryState::Held;

#[test]
fn an_approved_delivery_goes_on_and_a_denied_one_does_not() {
    let mut yard = Yard::new();
    for number in [1, 2] {
        let subject = format!("pull {number}");
        assert_eq!(
            state_of(&yard.apply(deliver(number, HELD, about(&subject, "a"))).unwrap()),
            HELD
        );
    }
    let both = yard.batch([say(1, true, Some("a")), say(2, false, None)]);
    assert_eq!(both, [Ok(Reply::Done), Ok(Reply::Done)]);
    let said = answers(&yard);
    let told: Vec<_> =
        said.iter().map(|it| (it.state, &*it.reason, it.approval.by.as_deref())).collect();
    assert_eq!(
        told,
        [
            (DeliveryState::Planning, "approved by ops at a: looked at it", Some("ops")),
            (DeliveryState::Ignored, "denied by ops at a: looked at it", None),
        ]
    );
    let kept: Vec<_> =
        yard.records.iter().filter(|it| it.name.is_kept()).map(|it| it.name).collect();
    assert_eq!(kept, [RecordName::DeliveryApproved, RecordName::DeliveryDenied]);
    // Once.
    for number in [1, 2, 3] {
        let Err(Refusal::WrongState(why)) = yard.apply(say(number, true, None)) else { panic!() };
        assert!(why.contains("waits for no approval"), "{why}");
    }
}

#[test]
fn an_approval_of_another_commit_is_refused_and_changes_nothing() {
    let mut yard = Yard::new();
    yard.apply(deliver(1, HELD, about("pull 1", "a"))).unwrap();
    yard.apply(deliver(2, HELD, None)).unwrap();
    for (number, why) in [(1, "is about a, not about b"), (2, "is about no commit, not about b")] {
        let Err(Refusal::WrongState(told)) = yard.apply(say(number, true, Some("b"))) else {
            panic!()
        };
        assert!(told.contains(why), "{told}");
    }
    assert_eq!(answers(&yard), []);
    assert_eq!(yard.apply(say(1, true, Some("a"))), Ok(Reply::Done));
}

#[test]
fn a_newer_delivery_with_another_commit_ends_what_waits() {
    let mut yard = Yard::new();
    let all = [("pull 1", "a"), ("pull 1", "a"), ("pull 2", "a"), ("pull 1", "")];
    let all = (1..).zip(all).map(|(at, (subject, sha))| deliver(at, HELD, about(subject, sha)));
    assert!(yard.batch(all).iter().all(Result::is_ok));
    assert_eq!(answers(&yard), [], "the same commit, another pull request, and no commit");
    // Whatever becomes of the newer one.
    yard.apply(deliver(5, DeliveryState::Ignored, about("pull 1", "b"))).unwrap();
    let ended: Vec<_> = answers(&yard).iter().map(|it| (it.id, it.state)).collect();
    assert_eq!(ended, [(id(1), DeliveryState::Ignored), (id(2), DeliveryState::Ignored)]);
    let told = format!("superseded by a new push: delivery {} at b", id(5));
    assert_eq!(&*answers(&yard)[0].reason, told);
    assert!(yard.apply(say(1, true, None)).is_err());
    assert_eq!(yard.apply(say(4, true, None)), Ok(Reply::Done));
    assert_eq!(yard.apply(say(3, true, None)), Ok(Reply::Done));
}

#[test]
fn one_that_comes_to_wait_after_a_newer_one_is_over_at_once() {
    let mut yard = Yard::new();
    yard.apply(deliver(9, HELD, about("pull 1", "new"))).unwrap();
    // It waited for its forge meanwhile.
    assert_eq!(
        state_of(&yard.apply(deliver(1, HELD, about("pull 1", "old"))).unwrap()),
        DeliveryState::Ignored
    );
    assert_eq!(answers(&yard), [], "an older one ends no newer one");
    assert_eq!(yard.apply(say(9, true, None)), Ok(Reply::Done));
}

#[test]
fn strangers_cannot_fill_the_memory() {
    let mut yard = Yard::new();
    // In one batch: after each of them all is loaded and compared.
    let all = (0..HELD_MAX as u128).map(|it| deliver(it, HELD, about(&it.to_string(), "a")));
    assert!(yard.batch(all).iter().all(Result::is_ok));
    assert_eq!(
        state_of(&yard.apply(deliver(20_000, HELD, about("x", "a"))).unwrap()),
        DeliveryState::Failed
    );
    yard.apply(say(0, false, None)).unwrap();
    assert_eq!(state_of(&yard.apply(deliver(20_001, HELD, about("x", "a"))).unwrap()), HELD);
}

#[test]
fn one_that_nobody_answers_is_over_after_a_while() {
    let mut yard = Yard::with(|settings| settings.held_expires_after_ms = Some(5_000));
    yard.apply(deliver(1, HELD, about("pull 1", "a"))).unwrap();
    yard.pass(3_000);
    yard.apply(deliver(2, HELD, about("pull 2", "a"))).unwrap();
    assert_eq!(yard.scheduler.figures(yard.now).held, (2, Some(yard.now.wall_ms - 3_000)));
    // Also while nobody is there.
    yard.restart();
    assert_eq!(yard.scheduler.next_tick_in_ms(yard.now), Some(1_000), "the clock may be set");
    yard.pass(1_999);
    assert_eq!(answers(&yard), []);
    yard.pass(1);
    let [over] = answers(&yard).try_into().unwrap();
    assert_eq!((over.id, over.state), (id(1), DeliveryState::Ignored));
    assert_eq!(&*over.reason, "nobody approved it within 5 s (`held_expires_after_ms`)");
    assert_eq!(yard.scheduler.figures(yard.now).held.0, 1);
    assert!(yard.apply(say(1, true, None)).is_err());
    assert_eq!(yard.apply(say(2, true, None)), Ok(Reply::Done));
}

#[test]
fn an_approval_says_when_it_was_given_and_for_whose_work() {
    let mut yard = Yard::new();
    yard.apply(deliver(1, HELD, about("pull 1", "a"))).unwrap();
    let held_at_ms = yard.now.wall_ms;
    yard.pass(77);
    let Command::AnswerHeld(mut answer) = say(1, true, None) else { panic!() };
    answer.limited_to = Some(TenantId(7));
    yard.apply(Command::AnswerHeld(answer)).unwrap();
    let [said] = answers(&yard).try_into().unwrap();
    let told = said.approval;
    assert_eq!((told.held_at_ms, told.at_ms), (Some(held_at_ms), Some(held_at_ms + 77)));
    assert_eq!(told.limited_to, Some(TenantId(7)));
}
