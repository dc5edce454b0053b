//! What is to be told to others, as rows: in order, in lines, guarded, and forgotten with its workload.

use super::fixture::{self, Opened, on_both};
use crate::model::{
    Change, JobId, OutboxEntry, OutboxId, OutboxPayload, OutboxProgress, OutboxRoom, OutboxRow,
    OutboxState, OutboxTarget, OutboxTold, PrunedRows, TenantId, WorkloadId,
};
use crate::store::OutboxExtent;
use crate::store::connection::Kind;

fn entry(url: &str, text: &str, at_ms: i64) -> Change {
    Change::OutboxAdded(Box::new(OutboxEntry {
        target: OutboxTarget::Callback { url: url.into() },
        tenant_id: TenantId::DEFAULT,
        workload_id: Some(WorkloadId(1)),
        session_id: None,
        job_id: Some(JobId(3)),
        payload: OutboxPayload::Text { text: text.into() },
        created_at_ms: at_ms,
    }))
}

fn told(row: &OutboxRow, state: OutboxState, next_at_ms: i64) -> OutboxTold {
    let attempts = row.progress.attempts;
    let progress = OutboxProgress {
        state,
        attempts: attempts + 1,
        next_at_ms,
        unsure: true,
        reference: Some("r".into()),
        note: Some("it answered 500".into()),
    };
    OutboxTold { id: row.id, attempts, progress }
}

fn texts(rows: &[OutboxRow]) -> Vec<&str> {
    let text = |row: &'_ OutboxRow| match &row.entry.payload {
        OutboxPayload::Text { text } => Box::leak(text.clone()) as &str,
        other => panic!("{other:?}"),
    };
    rows.iter().map(text).collect()
}

async fn of_each_line_the_first_is_due_and_what_became_of_it_is_kept(on: Kind) {
    let mut opened = Opened::new(on).await;
    let all = [entry("a", "a1", 10), entry("a", "a2", 11), entry("b", "b1", 12)];
    opened.write(&all).await.unwrap();
    let due = opened.store.outbox_due(OutboxRoom::Callback, 12, 10).await.unwrap();
    assert_eq!(texts(&due), ["a1", "b1"]);
    assert_eq!(
        texts(&opened.store.outbox_due(OutboxRoom::Callback, 11, 10).await.unwrap()),
        ["a1"]
    );
    assert_eq!(opened.store.outbox_next_ms().await.unwrap(), Some(10));
    let later = told(&due[0], OutboxState::Waiting, 50);
    opened.write(&[Change::OutboxTold(Box::new(later.clone()))]).await.unwrap();
    // A stale word changes nothing, and is no error.
    let stale = told(&due[0], OutboxState::Sent, 1);
    opened.write(&[Change::OutboxTold(Box::new(stale))]).await.unwrap();
    assert_eq!(
        texts(&opened.store.outbox_due(OutboxRoom::Callback, 49, 10).await.unwrap()),
        ["b1"],
        "a2 waits for a1"
    );
    let line = opened.store.outbox_of(&due[0].entry.line()).await.unwrap();
    assert_eq!(texts(&line), ["a1", "a2"]);
    assert_eq!(line[0].progress, later.progress);
    assert_eq!(line[0].entry, due[0].entry);
    let references = opened.store.outbox_references(&due[0].entry.line()).await.unwrap();
    assert_eq!(references, ["r".into()]);
    // Two words about one entry in one batch are carried out in their order.
    let dead = OutboxTold { attempts: 2, ..told(&line[0], OutboxState::Dead, 60) };
    let begun = told(&line[0], OutboxState::Waiting, 55);
    let both = [Change::OutboxTold(Box::new(begun)), Change::OutboxTold(Box::new(dead))];
    opened.write(&both).await.unwrap();
    let extent = OutboxExtent { waiting: 2, dead: 1, oldest_at_ms: Some(11) };
    assert_eq!(opened.store.outbox_extent().await.unwrap(), extent);
    let listed = opened.store.outbox(None, 10, Some(OutboxState::Dead), None).await.unwrap();
    assert_eq!(texts(&listed), ["a1"]);
    let others = opened.store.outbox(None, 10, None, Some(TenantId(9))).await.unwrap();
    assert_eq!(others, []);
    // What was given up waits again, before those behind it; what was not is left alone.
    let retried = Change::OutboxRetried(vec![listed[0].id, due[1].id, OutboxId(999)], 70);
    opened.write(&[retried]).await.unwrap();
    assert_eq!(
        texts(&opened.store.outbox_due(OutboxRoom::Callback, 70, 10).await.unwrap()),
        ["b1", "a1"]
    );
    let again = opened.store.outbox_entry(listed[0].id).await.unwrap().unwrap();
    assert_eq!((again.progress.attempts, again.progress.unsure), (0, true));
    assert_eq!((again.since_ms, again.entry.created_at_ms), (70, 10), "its time begins anew");
    assert_eq!(opened.store.outbox_due(OutboxRoom::Forge, 70, 10).await.unwrap(), []);
}

async fn a_workload_stays_until_all_of_it_is_told_and_takes_that_with_it(on: Kind) {
    let mut opened = Opened::new(on).await;
    let ended = [
        Change::ClassInserted(fixture::class(1)),
        Change::WorkloadInserted(fixture::ended_workload(1)),
        fixture::new_job(fixture::ended_job(10, 1), &[]),
        Change::WorkloadArchived(WorkloadId(1), vec![JobId(10)]),
        entry("a", "a1", 10),
    ];
    opened.write(&ended).await.unwrap();
    let old = async |opened: &Opened| {
        opened.store.old_workloads((0, WorkloadId(0)), 20, 10).await.unwrap().len()
    };
    assert_eq!(old(&opened).await, 0, "something of it is to be told");
    let due = opened.store.outbox_due(OutboxRoom::Callback, 10, 10).await.unwrap();
    let sent = told(&due[0], OutboxState::Sent, 11);
    opened.write(&[Change::OutboxTold(Box::new(sent))]).await.unwrap();
    assert_eq!(old(&opened).await, 1);
    let rows = PrunedRows { workloads: vec![(WorkloadId(1), 20)], ..PrunedRows::default() };
    opened.write(&[Change::Pruned(Box::new(rows))]).await.unwrap();
    assert_eq!(opened.store.outbox(None, 10, None, None).await.unwrap(), []);
}

on_both!(
    of_each_line_the_first_is_due_and_what_became_of_it_is_kept,
    a_workload_stays_until_all_of_it_is_told_and_takes_that_with_it,
);
