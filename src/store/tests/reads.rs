//! Pages, deliveries with their bodies, and what a job starts with.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::fixture::{self, Opened, on_both};
use crate::model::{
    Attempt, AttemptOutcome, Body, Change, DeliveryState, JobId, JobStateKind, TriggerVerdict,
    Workload, WorkloadId,
};
use crate::store::Page;
use crate::store::connection::Kind;

async fn deliveries_are_listed_newest_first_and_page_by_page(on: Kind) {
    let mut opened = Opened::new(on).await;
    let changes: Vec<Change> = (1..=5)
        .map(|number| {
            let mut delivery = fixture::delivery(number);
            if number % 2 == 0 {
                delivery.state = DeliveryState::Failed;
                delivery.reason = Some("broken JSON".into());
            }
            Change::DeliveryInserted(Box::new(delivery))
        })
        .collect();
    opened.write(&changes).await.unwrap();
    let store = &opened.store;
    let ids = |page: Vec<crate::store::DeliveryHead>| -> Vec<u128> {
        page.iter().map(|head| head.id.0.as_u128()).collect()
    };
    assert_eq!(ids(store.deliveries(Page::first(3)).await.unwrap()), [5, 4, 3]);
    let next = Page { before: Some(fixture::delivery_id(3)), ..Page::first(3) };
    assert_eq!(ids(store.deliveries(next).await.unwrap()), [2, 1]);
    let failed = Page { state: Some(DeliveryState::Failed), ..Page::first(3) };
    assert_eq!(ids(store.deliveries(failed).await.unwrap()), [4, 2]);
}

async fn a_delivery_comes_back_with_its_body_byte_for_byte(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut inline = fixture::delivery(1);
    inline.verdicts = vec![TriggerVerdict {
        trigger: "ci".into(),
        matched: true,
        why: "branch `main`".into(),
        workload_id: Some(WorkloadId(7)),
    }];
    inline.replay_of = Some(fixture::delivery_id(9));
    let large = Bytes::from(vec![7; 300_000]);
    let mut spilled = fixture::delivery(2);
    spilled.body = opened.store.write_body(spilled.id, large.clone()).await.unwrap();
    assert!(matches!(&spilled.body, Body::Spilled { bytes: 300_000, .. }));
    let changes = [inline.clone(), spilled.clone()].map(Box::new).map(Change::DeliveryInserted);
    opened.write(&changes).await.unwrap();

    let store = &opened.store;
    let found = store.delivery(inline.id).await.unwrap().unwrap();
    assert_eq!((&found.headers, &found.event), (&inline.headers, &inline.event));
    assert_eq!((&found.head.verdicts, &found.head.trust), (&inline.verdicts, &inline.trust));
    assert_eq!((found.head.replay_of, found.head.body_bytes), (inline.replay_of, 5));
    let body = store.delivery_body(inline.id).await.unwrap().unwrap();
    assert_eq!(Body::Inline(body), inline.body);
    assert_eq!(store.delivery_body(spilled.id).await.unwrap(), Some(large));
    assert_eq!(store.delivery_body(fixture::delivery_id(3)).await.unwrap(), None);
}

async fn a_nul_in_a_text_stops_nobody_and_bytes_keep_it(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut delivery = fixture::delivery(1);
    delivery.action = Some("a\0b".into());
    delivery.body = Body::Inline(Bytes::from_static(b"\0\0"));
    let changes = [
        Change::DeliveryInserted(Box::new(delivery)),
        Change::DeliveryInserted(Box::new(fixture::delivery(2))),
        Change::WorkloadInserted(Workload { name: "w\0".into(), ..fixture::workload(1) }),
    ];
    opened.write(&changes).await.unwrap();
    let found = opened.store.delivery(fixture::delivery_id(1)).await.unwrap().unwrap();
    assert_eq!(found.head.action.as_deref(), Some("a\u{fffd}b"));
    let body = opened.store.delivery_body(fixture::delivery_id(1)).await.unwrap();
    assert_eq!(body, Some(Bytes::from_static(b"\0\0")));
    assert_eq!(&*opened.load().await.workloads[0].name, "w\u{fffd}");
}

async fn only_old_files_that_no_delivery_names_are_swept(on: Kind) {
    let mut opened = Opened::new(on).await;
    let body = Bytes::from_static(b"large");
    let mut kept = fixture::delivery(1);
    kept.body = opened.store.write_body(kept.id, body.clone()).await.unwrap();
    opened.store.write_body(fixture::delivery_id(2), body.clone()).await.unwrap();
    opened.write(&[Change::DeliveryInserted(Box::new(kept.clone()))]).await.unwrap();

    // Files have the machine's time: far before it nothing is old, far after it everything is.
    assert_eq!(opened.store.sweep_orphans(0, 0).await.unwrap(), 0);
    assert_eq!(opened.store.sweep_orphans(0, i64::MAX).await.unwrap(), 1);
    assert_eq!(opened.store.delivery_body(kept.id).await.unwrap(), Some(body));
}

async fn lists_run_over_live_and_ended_rows_alike(on: Kind) {
    let mut opened = Opened::new(on).await;
    let changes: Vec<Change> = (1..=6)
        .flat_map(|id| {
            let ended = id % 2 == 0;
            let (workload, job) = if ended {
                (fixture::ended_workload(id), fixture::ended_job(id, id))
            } else {
                (fixture::workload(id), fixture::job(id, id))
            };
            let archive = Change::WorkloadArchived(WorkloadId(id), vec![JobId(id)]);
            let insert = [Change::WorkloadInserted(workload), fixture::new_job(job, &[])];
            insert.into_iter().chain(ended.then_some(archive))
        })
        .collect();
    opened.write(&changes).await.unwrap();
    let store = &opened.store;
    let jobs = async |page| -> Vec<i64> {
        store.jobs(page).await.unwrap().iter().map(|job| job.id.0).collect()
    };
    assert_eq!(jobs(Page::first(4)).await, [6, 5, 4, 3]);
    assert_eq!(jobs(Page { before: Some(JobId(3)), ..Page::first(9) }).await, [2, 1]);
    let pending = Page { state: Some(JobStateKind::Pending), ..Page::first(2) };
    assert_eq!(jobs(pending).await, [5, 3]);
    let completed = Page { state: Some(JobStateKind::Completed), ..Page::first(2) };
    assert_eq!(jobs(completed).await, [6, 4]);
    let page = Page { before: Some(WorkloadId(4)), ..Page::first(2) };
    let workloads = store.workloads(page).await.unwrap();
    assert_eq!(workloads, [fixture::workload(3), fixture::ended_workload(2)]);
    let found = store.workload(WorkloadId(6)).await.unwrap();
    assert_eq!(found, Some(fixture::ended_workload(6)));
}

async fn a_job_starts_with_its_event_and_what_its_needs_put_out(on: Kind) {
    let mut opened = Opened::new(on).await;
    let delivery = fixture::delivery(1);
    let workload = Workload { delivery_id: Some(delivery.id), ..fixture::workload(1) };
    let again = fixture::attempt(11, 1);
    // A job that may fail has outputs too.
    let failed = Attempt {
        outcome: AttemptOutcome::Failed,
        outputs: BTreeMap::from([("exit".to_owned(), "3".to_owned())]),
        ..fixture::attempt(12, 2)
    };
    let changes = [
        Change::ClassInserted(fixture::class(1)),
        Change::DeliveryInserted(Box::new(delivery.clone())),
        Change::WorkloadInserted(workload.clone()),
        fixture::new_job(fixture::ended_job(1, 1), &[]),
        fixture::new_job(fixture::ended_job(2, 1), &[]),
        fixture::new_job(fixture::job(3, 1), &[1, 2]),
        Change::AttemptEnded(Box::new(fixture::attempt(10, 1))),
        Change::AttemptEnded(Box::new(again.clone())),
        Change::AttemptEnded(Box::new(failed.clone())),
    ];
    opened.write(&changes).await.unwrap();
    let store = &opened.store;
    let context = store.job_context(JobId(3)).await.unwrap().unwrap();
    assert_eq!((context.job, context.workload), (fixture::job(3, 1), workload));
    assert_eq!(context.spec, *fixture::spec());
    assert_eq!((context.event, context.body_bytes), (delivery.event, Some(5)));
    let needs = [("job-1".into(), again.outputs), ("job-2".into(), failed.outputs)];
    assert_eq!(context.needs, needs.into());
    assert_eq!(store.job_context(JobId(4)).await.unwrap(), None);
    assert_eq!(store.job_spec(JobId(3)).await.unwrap(), Some(context.spec));
    let class = fixture::class(1);
    assert_eq!(store.requirements(class.id).await.unwrap(), Some(class.requirements));
    assert_eq!(store.edges_of(WorkloadId(1)).await.unwrap().len(), 2);
}

on_both!(
    a_nul_in_a_text_stops_nobody_and_bytes_keep_it,
    deliveries_are_listed_newest_first_and_page_by_page,
    a_delivery_comes_back_with_its_body_byte_for_byte,
    only_old_files_that_no_delivery_names_are_swept,
    lists_run_over_live_and_ended_rows_alike,
    a_job_starts_with_its_event_and_what_its_needs_put_out,
);
