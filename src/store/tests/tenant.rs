//! What is one tenant's.

use super::fixture::{self, Opened, on_both};
use crate::model::{Change, Job, JobId, JobPriority, JobState, TenantId, Workload};
use crate::store::connection::Kind;
use crate::store::{LevelUsage, Page};

const OTHER: TenantId = TenantId(9);

async fn lists_are_of_one_tenant_where_that_is_asked(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut changes = Vec::new();
    for id in 1..=4_i64 {
        let tenant_id = if id % 2 == 0 { OTHER } else { TenantId::DEFAULT };
        let mut delivery = fixture::delivery(id.unsigned_abs().into());
        delivery.tenant_id = tenant_id;
        changes.push(Change::DeliveryInserted(Box::new(delivery)));
        changes.push(Change::WorkloadInserted(Workload { tenant_id, ..fixture::workload(id) }));
        changes.push(fixture::new_job(Job { tenant_id, ..fixture::job(id, id) }, &[]));
    }
    opened.write(&changes).await.unwrap();
    let store = &opened.store;
    let deliveries = |tenant| async move {
        let page = Page { tenant, ..Page::first(9) };
        let found = store.deliveries(page).await.unwrap();
        found.iter().map(|head| head.id.0.as_u128()).collect::<Vec<_>>()
    };
    assert_eq!(deliveries(Some(OTHER)).await, [4, 2]);
    assert_eq!(deliveries(None).await, [4, 3, 2, 1]);
    let workloads = store.workloads(Page { tenant: Some(OTHER), ..Page::first(9) }).await.unwrap();
    assert_eq!(workloads.iter().map(|row| row.id.0).collect::<Vec<_>>(), [4, 2]);
    let kind = fixture::job(1, 1).kind();
    let page = Page { state: Some(kind), before: Some(JobId(4)), limit: 9, tenant: Some(OTHER) };
    let jobs = store.jobs(page).await.unwrap();
    assert_eq!(jobs.iter().map(|row| row.id.0).collect::<Vec<_>>(), [2]);
}

async fn usage_is_counted_by_level_over_what_is_live(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut changes = vec![Change::WorkloadInserted(fixture::workload(1))];
    let job = |id, priority, state, queued_at_ms| {
        let row = Job { tenant_id: OTHER, priority, state, queued_at_ms, ..fixture::job(id, 1) };
        Job { ready_at_ms: 0, ..row }
    };
    let lease = Box::new(fixture::lease());
    let high = JobPriority::High;
    for row in [
        job(1, high, JobState::Pending, 30),
        job(2, high, JobState::Blocked, 20),
        job(3, high, JobState::Claimed(lease.clone()), 10),
        job(4, JobPriority::Low, JobState::Running { lease: lease.clone(), started_at_ms: 99 }, 5),
        Job { tenant_id: TenantId::DEFAULT, ..job(5, high, JobState::Pending, 1) },
    ] {
        changes.push(fixture::new_job(row, &[]));
    }
    opened.write(&changes).await.unwrap();
    let waited_ms = lease.assigned_at_ms;
    let level = |priority, waiting, running, oldest_queued_at_ms| LevelUsage {
        priority,
        waiting,
        running,
        oldest_queued_at_ms,
        waited_ms,
    };
    let usage = opened.store.usage(Some(OTHER)).await.unwrap();
    assert_eq!(usage, [level(high, 2, 1, Some(20)), level(JobPriority::Low, 0, 1, None)]);
    assert!(opened.store.usage(Some(TenantId(77))).await.unwrap().is_empty());
}

on_both!(lists_are_of_one_tenant_where_that_is_asked, usage_is_counted_by_level_over_what_is_live,);
