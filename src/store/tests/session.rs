//! Sessions: every field there and back, keys, and what an agent is to be told.

use std::sync::Arc;

use super::fixture::{Opened, on_both};
use crate::model::{
    Change, Direction, JobPriority, LeaseToken, MessageKind, OutboxEntry, OutboxPayload,
    OutboxProgress, OutboxState, OutboxTarget, OutboxTold, PrunedRows, PrunedSession, ReplyOn,
    ReplyTo, RetryPolicy, RunnerId, RunnerRequirements, Session, SessionDay, SessionDelivered,
    SessionId, SessionLimits, SessionMessage, SessionState, SessionTemplate, Spent, TenantId,
    Trust, WorkloadId,
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
        reply_to: Some(Arc::new(ReplyTo {
            target: OutboxTarget::Callback { url: "https://x.test".into() },
            on: ReplyOn::All,
            units_max: 9,
        })),
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

fn ended(id: i64, ended_at_ms: i64) -> Session {
    let ended_at_ms = Some(ended_at_ms);
    Session { state: SessionState::Ended, workload_id: None, ended_at_ms, ..session(id, "a") }
}

/// What a session told when no work carried it out.
fn answer(session_id: i64) -> OutboxEntry {
    OutboxEntry {
        target: OutboxTarget::Callback { url: "https://x.test".into() },
        tenant_id: TenantId::DEFAULT,
        workload_id: None,
        session_id: Some(SessionId(session_id)),
        job_id: None,
        payload: OutboxPayload::Text { text: "it rests".into() },
        created_at_ms: 5,
    }
}

async fn ended_sessions_go_piece_by_piece_and_no_others(on: Kind) {
    use Direction::In;
    let mut opened = Opened::new(on).await;
    let rows = [ended(2, 20), ended(1, 10), session(3, "live"), ended(4, 40)];
    let mut changes: Vec<_> =
        rows.iter().map(|row| Change::SessionInserted(Box::new(row.clone()))).collect();
    for (session_id, many) in [(1, 3), (2, 1), (3, 2)] {
        changes.extend((1..=many).map(|sequence| {
            let session_id = SessionId(session_id);
            let said = message(sequence, In, MessageKind::Message);
            Change::SessionSaid(Box::new(SessionMessage { session_id, ..said }))
        }));
    }
    opened.write(&changes).await.unwrap();
    let outbox = async |opened: &Opened| {
        let all = opened.store.outbox(None, 9, None, None).await.unwrap();
        all.iter().map(|it| it.entry.session_id.map_or(0, |id| id.0)).collect::<Vec<_>>()
    };
    let said: Vec<_> = [1, 3].map(|id| Change::OutboxAdded(Box::new(answer(id)))).into();
    opened.write(&said).await.unwrap();
    let nothing = (i64::MIN, SessionId(i64::MIN));
    let waits = opened.store.old_sessions(nothing, 30, 9).await.unwrap();
    assert_eq!(waits.iter().map(|it| it.id.0).collect::<Vec<_>>(), [2], "1 has something to tell");
    let told = opened.store.outbox(None, 9, None, None).await.unwrap();
    let told: Vec<_> = told
        .iter()
        .map(|row| OutboxTold {
            id: row.id,
            attempts: 0,
            progress: OutboxProgress { state: OutboxState::Sent, ..row.progress.clone() },
        })
        .map(|told| Change::OutboxTold(Box::new(told)))
        .collect();
    opened.write(&told).await.unwrap();
    let old = opened.store.old_sessions(nothing, 30, 9).await.unwrap();
    let told: Vec<_> = old.iter().map(|it| (it.id.0, it.ended_at_ms, it.first, it.last)).collect();
    assert_eq!(told, [(1, 10, 1, 3), (2, 20, 1, 3)], "its last message is told by its row");
    let after = opened.store.old_sessions((10, SessionId(1)), 40, 1).await.unwrap();
    assert_eq!(after.iter().map(|it| it.id.0).collect::<Vec<_>>(), [2]);

    let piece = |id, ended_at_ms, first, up_to, whole| PrunedSession {
        id: SessionId(id),
        ended_at_ms,
        first,
        up_to,
        whole,
    };
    let mut prune = async |sessions: Vec<PrunedSession>| {
        let rows = PrunedRows { sessions, ..PrunedRows::default() };
        opened.write(&[Change::Pruned(Box::new(rows))]).await.unwrap();
        let mut left = Vec::new();
        for id in 1..=3 {
            let session_id = SessionId(id);
            let page = MessagePage { session_id, after: 0, up_to: 99, limit: 99 };
            let numbers = opened.store.messages(page).await.unwrap();
            let numbers: Vec<_> = numbers.iter().map(|it| it.sequence).collect();
            let row = opened.store.session(session_id).await.unwrap();
            left.push((row.is_some(), numbers));
        }
        left
    };
    let left = prune(vec![piece(1, 10, 1, 2, false), piece(2, 99, 1, 3, true)]).await;
    assert_eq!(left, [(true, vec![3]), (true, vec![1]), (true, vec![1, 2])], "2 ended at 20");
    let left = prune(vec![piece(1, 10, 3, 3, true), piece(2, 20, 1, 3, true)]).await;
    assert_eq!(left, [(false, vec![]), (false, vec![]), (true, vec![1, 2])]);
    assert_eq!(outbox(&opened).await, [3], "what was told of a session goes with it");
    let old = opened.store.old_sessions(nothing, i64::MAX, 9).await.unwrap();
    let told: Vec<_> = old.iter().map(|it| (it.id.0, it.first, it.last)).collect();
    assert_eq!(told, [(4, 4, 3)], "none of its messages is there");
}

on_both!(
    ended_sessions_go_piece_by_piece_and_no_others,
    sessions_come_back_field_for_field,
    a_key_is_free_in_the_batch_in_which_its_session_ends,
    an_agent_is_told_what_goes_to_it_and_what_it_called_its_request,
);
