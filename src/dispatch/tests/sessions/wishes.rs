//! Deliveries that want something of a live session, but to start one.

use super::*;
use crate::dispatch::tests::intake::deliver;
use crate::model::DeliveryState;

fn wants(wish: SessionWish, text: &str) -> PlannedWorkload {
    let mut workload = planned(Some("chat:T/C/1"), text);
    workload.session.as_mut().unwrap().wish = wish;
    workload
}

/// What became of a delivery, and what its trigger says.
fn sent(yard: &mut Yard, number: u128, wish: SessionWish, text: &str) -> (DeliveryState, String) {
    let reply = yard.apply(deliver(number, vec![wants(wish, text)]));
    let Ok(Reply::Delivered { state, verdicts, .. }) = reply else { panic!("{reply:?}") };
    (state, verdicts[0].why.clone())
}

fn answer(request: Option<i64>) -> SessionWish {
    SessionWish::Answer { request, approve: true }
}

/// A session that was asked for by a delivery.
fn begun() -> (Yard, SessionId) {
    let mut yard = Yard::new();
    let (state, _) = sent(&mut yard, 1, SessionWish::Talk, "one");
    assert_eq!(state, DeliveryState::Dispatched);
    let id = *yard.sessions.keys().next().unwrap();
    (yard, id)
}

#[test]
fn where_no_session_is_live_nothing_is_started_and_the_delivery_says_so() {
    let mut yard = Yard::new();
    for (number, wish, why) in [
        (1, SessionWish::Join, "no session is live there to join"),
        (2, answer(Some(3)), "no session is live there whose agent could be answered"),
        (3, SessionWish::End, "no session is live there to stop"),
    ] {
        let told = sent(&mut yard, number, wish, "x");
        assert_eq!(told, (DeliveryState::Ignored, format!("it is a push; not started: {why}")));
    }
    assert!(yard.sessions.is_empty() && yard.workloads.is_empty());
}

#[test]
fn what_joins_is_said_in_the_live_session() {
    let (mut yard, id) = begun();
    assert_eq!(sent(&mut yard, 2, SessionWish::Join, "two").0, DeliveryState::Dispatched);
    let heard: Vec<_> = yard.heard(id).iter().map(|it| it.2).collect();
    assert_eq!(heard, ["one", "two"]);
    assert_eq!(yard.sessions.len(), 1);
}

#[test]
fn a_request_is_answered_once_and_by_its_number_where_there_are_several() {
    let (mut yard, id) = begun();
    let runner = yard.register("r", slots(1));
    let work = yard.run(runner);
    let none = format!("session {id} has no request that waits for an answer");
    assert!(sent(&mut yard, 2, answer(None), "").1.ends_with(&none));
    let asks = [(MessageKind::ApprovalRequest, "push?"), (MessageKind::ApprovalRequest, "tag?")];
    yard.apply(told(&work, 1, &asks, Some(1))).unwrap();
    let (state, why) = sent(&mut yard, 3, answer(None), "");
    assert_eq!(state, DeliveryState::Ignored);
    assert!(why.ends_with(&format!("say which request of session {id} is meant: 2, 3")), "{why}");
    let (_, why) = sent(&mut yard, 4, answer(Some(9)), "");
    assert!(why.ends_with("has no request 9: 2, 3 wait"), "{why}");
    assert_eq!(sent(&mut yard, 5, answer(Some(2)), "go").0, DeliveryState::Dispatched);
    assert_eq!(yard.session(id).approvals, [3]);
    // Another one may wait by now than the one that was read: to approve takes its number.
    assert_eq!(sent(&mut yard, 8, answer(None), "").0, DeliveryState::Ignored);
    let no = SessionWish::Answer { request: None, approve: false };
    assert_eq!(sent(&mut yard, 6, no, "").0, DeliveryState::Dispatched);
    assert_eq!(sent(&mut yard, 7, answer(Some(2)), "").0, DeliveryState::Ignored);
    let answers: Vec<_> =
        yard.heard(id).into_iter().filter(|it| it.1 == MessageKind::Approval).collect();
    assert_eq!(answers[0].2, r#"{"approve":true,"note":"go"}"#);
    assert_eq!(answers.len(), 2);
}

#[test]
fn a_session_is_ended_by_a_delivery_and_its_key_is_free() {
    let (mut yard, id) = begun();
    assert_eq!(sent(&mut yard, 2, SessionWish::End, "").0, DeliveryState::Dispatched);
    assert!(!yard.sessions.contains_key(&id));
    assert_eq!(yard.heard(id).last().unwrap().2, "ended by ada");
    assert_eq!(sent(&mut yard, 3, SessionWish::End, "").0, DeliveryState::Ignored);
    assert_eq!(sent(&mut yard, 4, SessionWish::Talk, "again").0, DeliveryState::Dispatched);
    assert_eq!(yard.sessions.len(), 1);
}

#[test]
fn who_is_not_trusted_neither_answers_nor_ends_the_session_of_somebody_who_is() {
    let (mut yard, id) = begun();
    let trusted = |level| {
        let mut workload = wants(SessionWish::End, "");
        let spec = Arc::make_mut(&mut workload.jobs[0].spec);
        spec.trust = Trust::new(level, "said so");
        workload
    };
    let mut first = trusted(TrustLevel::Trusted);
    yard.apply(deliver(2, vec![trusted(TrustLevel::Trusted)])).unwrap();
    first.session.as_mut().unwrap().wish = SessionWish::Talk;
    yard.apply(deliver(3, vec![first])).unwrap();
    let live = *yard.sessions.keys().next().unwrap();
    assert_ne!(live, id);
    let reply = yard.apply(deliver(4, vec![trusted(TrustLevel::Unknown)]));
    let Ok(Reply::Delivered { state, verdicts, .. }) = reply else { panic!("{reply:?}") };
    assert_eq!(state, DeliveryState::Ignored, "{verdicts:?}");
    assert!(
        verdicts[0].why.contains("is trusted, and who would speak in it is not"),
        "{verdicts:?}"
    );
    assert!(yard.sessions.contains_key(&live), "it goes on");
}
