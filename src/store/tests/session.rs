//! Sessions: every field there and back, keys, and what an agent is to be told.

use std::sync::Arc;

use super::fixture::{Opened, on_both};
use crate::model::{
    Change, Direction, JobPriority, LeaseToken, MessageKind, RetryPolicy, RunnerId,
    RunnerRequirements, Session, SessionDay, SessionDelivered, SessionId, SessionLimits,
    SessionMessage, SessionState, SessionTemplate, Spent, TenantId, Trust, WorkloadId,
};
use crate::store::connection::Kind;
use crate::store::{MessagePage, Page};

fn session(id: i64, key: &str) -> Session {
    Session {
        id: SessionId(id),
        tenant_id: TenantId(4),
        key: key.into(),
        agent: "fixer".into(),
        state: SessionState::Starting,
        workload_id: Some(WorkloadId(id)),
        runner_id: None,
        created_at_ms: 1,
        active_at_ms: 2,
        ended_at_ms: None,
        end_reason: None,
        last_sequence: 3,
        said: 2,
        delivered: 1,
        resumed_from: 0,
        given: 2,
        lease: None,
        heard: 0,
        spent: Spent { turns: 1, input_tokens: 2, output_tokens: 3, cost_micros: 4 },
        limits: SessionLimits { idle_ms: 5, turns_max: 6, total_ms: 7, cost_micros_max: Some(8) },
        approvals: vec![2, 3],
        origin: r#"{"kind":"api"}"#.into(),
        template: Arc::new(SessionTemplate {
            trigger: "t".into(),
            job: "session".into(),
            requirements: RunnerRequirements::default(),
            priority: JobPriority::High,
            timeout_ms: 9,
            retry: RetryPolicy { max_retries: 1, backoff_ms: 2 },
            terms: Default::default(),
            workload: Default::default(),
            env: [("A".into(), "b".into())].into(),
            trust: Trust::default(),
        }),
    }
}

fn message(sequence: i64, direction: Direction, kind: MessageKind) -> SessionMessage {
    SessionMessage {
        session_id: SessionId(1),
        sequence,
        direction,
        kind,
        author: "ada".into(),
        text: "\"'; DROP TABLE session; --\u{1F600}".into(),
        reference: None,
        at_ms: 5,
        lease: None,
    }
}

async fn sessions_come_back_field_for_field(on: Kind) {
    let mut opened = Opened::new(on).await;
    let first = session(1, "a");
    let day = SessionDay { tenant_id: TenantId(4), day: 7, sessions: 1, cost_micros: 2 };
    let changes = [Change::SessionInserted(Box::new(first.clone())), Change::SessionSpent(day)];
    opened.write(&changes).await.unwrap();
    let snapshot = opened.load().await;
    assert_eq!((snapshot.sessions, snapshot.session_days), (vec![first.clone()], vec![day]));
    let changed = Session {
        state: SessionState::WaitingApproval,
        workload_id: None,
        runner_id: Some(RunnerId(3)),
        active_at_ms: 11,
        last_sequence: 12,
        said: 11,
        delivered: 10,
        resumed_from: 9,
        given: 8,
        lease: Some(LeaseToken(99)),
        heard: 7,
        spent: Spent::default(),
        approvals: vec![12],
        ..first
    };
    let later = SessionDay { day: 8, ..day };
    let changes = [Change::SessionUpdated(Box::new(changed.clone())), Change::SessionSpent(later)];
    opened.write(&changes).await.unwrap();
    let snapshot = opened.load().await;
    assert_eq!((snapshot.sessions, snapshot.session_days), (vec![changed.clone()], vec![later]));
    assert_eq!(opened.store.session(SessionId(1)).await.unwrap(), Some(changed.clone()));
    let page = Page { tenant: Some(TenantId(4)), ..Page::first(9) };
    assert_eq!(opened.store.sessions(page).await.unwrap(), [changed]);
    let other = Page { tenant: Some(TenantId(5)), ..Page::first(9) };
    assert_eq!(opened.store.sessions(other).await.unwrap(), []);
}

async fn a_key_is_free_in_the_batch_in_which_its_session_ends(on: Kind) {
    let mut opened = Opened::new(on).await;
    let first = session(1, "a");
    opened.write(&[Change::SessionInserted(Box::new(first.clone()))]).await.unwrap();
    let second = Change::SessionInserted(Box::new(session(2, "a")));
    assert!(opened.write(std::slice::from_ref(&second)).await.is_err(), "both would be live");
    let mut opened = Opened::new(on).await;
    opened.write(&[Change::SessionInserted(Box::new(first.clone()))]).await.unwrap();
    let ended = Session {
        state: SessionState::Ended,
        ended_at_ms: Some(4),
        end_reason: Some("over".into()),
        ..first
    };
    opened.write(&[second, Change::SessionUpdated(Box::new(ended.clone()))]).await.unwrap();
    assert_eq!(opened.load().await.sessions, [session(2, "a")]);
    assert_eq!(opened.store.session(SessionId(1)).await.unwrap(), Some(ended));
}

async fn an_agent_is_told_what_goes_to_it_and_what_it_called_its_request(on: Kind) {
    use Direction::{In, Out};
    let mut opened = Opened::new(on).await;
    let request = SessionMessage {
        reference: Some("r1".into()),
        ..message(2, Out, MessageKind::ApprovalRequest)
    };
    let answer =
        SessionMessage { reference: Some("2".into()), ..message(3, In, MessageKind::Approval) };
    let messages = [message(1, In, MessageKind::Message), request.clone(), answer.clone()];
    let mut changes = vec![Change::SessionInserted(Box::new(session(1, "a")))];
    changes.extend(messages.iter().map(|it| Change::SessionSaid(Box::new(it.clone()))));
    let (session_id, lease) = (SessionId(1), LeaseToken(77));
    let delivered = SessionDelivered { session_id, after: 0, up_to: 2, lease };
    changes.push(Change::SessionDelivered(delivered));
    opened.write(&changes).await.unwrap();
    let page = MessagePage { session_id, after: 0, up_to: 9, limit: 9 };
    let first = SessionMessage { lease: Some(lease), ..message(1, In, MessageKind::Message) };
    let all = opened.store.messages(page).await.unwrap();
    assert_eq!(all, [first.clone(), request, answer.clone()]);
    let told = opened.store.messages_to_agent(page).await.unwrap();
    let called = SessionMessage { reference: Some("r1".into()), ..answer };
    assert_eq!(told, [first, called.clone()]);
    let rest = MessagePage { after: 1, ..page };
    assert_eq!(opened.store.messages_to_agent(rest).await.unwrap(), [called]);
}

on_both!(
    sessions_come_back_field_for_field,
    a_key_is_free_in_the_batch_in_which_its_session_ends,
    an_agent_is_told_what_goes_to_it_and_what_it_called_its_request,
);
