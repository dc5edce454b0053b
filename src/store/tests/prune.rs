//! Rows that are kept no longer, and the space that they leave.

use bytes::Bytes;

use super::fixture::{self, Opened, delivery_id, on_both};
use crate::model::{
    Body, Change, DeliveryId, DeliveryState, JobId, KeyScope, PrunedRows, Record, RecordName,
    SoftState, TriggerVerdict, UniqueKey, WorkloadId,
};
use crate::store::connection::Kind;

fn pruned(rows: PrunedRows) -> [Change; 1] {
    [Change::Pruned(Box::new(rows))]
}

/// A workload of two jobs that has ended at 20, with an attempt of each and a record.
fn history(id: i64) -> Vec<Change> {
    let (first, second) = (id * 10, id * 10 + 1);
    let record = Record {
        workload_id: Some(WorkloadId(id)),
        job_id: Some(JobId(first)),
        ..Record::new(RecordName::JobRequeued, 15)
    };
    vec![
        Change::WorkloadInserted(fixture::ended_workload(id)),
        fixture::new_job(fixture::ended_job(first, id), &[]),
        fixture::new_job(fixture::ended_job(second, id), &[first]),
        Change::AttemptEnded(Box::new(fixture::attempt(first, first))),
        Change::AttemptEnded(Box::new(fixture::attempt(second, second))),
        Change::Recorded(record),
        Change::WorkloadArchived(WorkloadId(id), vec![JobId(first), JobId(second)]),
    ]
}

/// How many rows each table of history has.
const ROWS: &str = "SELECT n FROM (
        SELECT 1 AS o, CAST(count(*) AS text) AS n FROM workload_done
        UNION ALL SELECT 2, CAST(count(*) AS text) FROM job_done
        UNION ALL SELECT 3, CAST(count(*) AS text) FROM job_spec
        UNION ALL SELECT 4, CAST(count(*) AS text) FROM edge
        UNION ALL SELECT 5, CAST(count(*) AS text) FROM attempt
        UNION ALL SELECT 6, CAST(count(*) AS text) FROM record
    ) AS counts ORDER BY o";

async fn a_workload_goes_with_all_that_is_its_own_and_nothing_else(on: Kind) {
    let mut opened = Opened::new(on).await;
    opened
        .write(&[vec![Change::ClassInserted(fixture::class(1))], history(1), history(2)].concat())
        .await
        .unwrap();
    let old = opened.store.old_workloads((0, WorkloadId(0)), 20, 10).await.unwrap();
    assert_eq!(old.len(), 2);
    let first = &old[0];
    assert_eq!((first.id, first.ended_at_ms), (WorkloadId(1), 20));
    assert_eq!((first.jobs, first.edges, first.attempts, first.records), (2, 1, 2, 1));
    assert_eq!(
        opened.store.old_workloads((20, WorkloadId(1)), 20, 10).await.unwrap(),
        [old[1].clone()]
    );
    assert!(opened.store.old_workloads((0, WorkloadId(0)), 19, 10).await.unwrap().is_empty());
    let jobs = opened.store.job_ids_of([WorkloadId(1)].into_iter()).await.unwrap();
    assert_eq!(jobs, [(WorkloadId(1), JobId(10)), (WorkloadId(1), JobId(11))]);
    let ids = [WorkloadId(1), WorkloadId(7)].into_iter();
    assert_eq!(opened.store.kept_workloads(ids).await.unwrap(), [WorkloadId(1)].into());

    // The second ended at another time than was read: it was retried meanwhile.
    let workloads = vec![(WorkloadId(1), 20), (WorkloadId(2), 19)];
    opened.write(&pruned(PrunedRows { workloads, ..PrunedRows::default() })).await.unwrap();
    assert_eq!(opened.texts(ROWS).await, ["1", "2", "2", "1", "2", "1"]);
    assert!(opened.store.archived(WorkloadId(1)).await.unwrap().is_none());
    assert_eq!(opened.store.archived(WorkloadId(2)).await.unwrap().unwrap().jobs.len(), 2);
    let ages = opened.store.log_ages(&[JobId(10), JobId(20)]).await.unwrap();
    assert_eq!(ages, [(JobId(20), Some(20))]);
}

async fn a_body_goes_before_its_delivery_and_the_key_stays(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut inline = fixture::delivery(1);
    inline.verdicts = vec![TriggerVerdict {
        trigger: "ci".into(),
        matched: true,
        why: "".into(),
        workload_id: Some(WorkloadId(7)),
    }];
    let mut spilled = fixture::delivery(2);
    let large = Bytes::from(vec![7; 300_000]);
    spilled.body = opened.store.write_body(spilled.id, large.clone()).await.unwrap();
    let mut replayed = fixture::delivery(3);
    replayed.body = spilled.body.clone();
    // Not decided yet, so it is live.
    replayed.state = DeliveryState::Accepted;
    let Body::Spilled { file, .. } = spilled.body.clone() else { panic!("it is large") };
    let key = UniqueKey { scope: KeyScope::Delivery, key: "github guid".into() };
    let all = [inline, spilled, replayed].map(|it| Change::DeliveryInserted(Box::new(it)));
    let mut batch = opened.begin().await.unwrap();
    batch.claim(&[(key.clone(), "1".into())], 5).await.unwrap();
    let lent = batch.commit(opened.epoch, &all, Default::default(), 5).await.unwrap();
    opened.writer.take_back(lent);

    let old = opened.store.old_deliveries(delivery_id(0), delivery_id(4), 10).await.unwrap();
    let seen: Vec<_> = old.iter().map(|it| (it.id, it.has_body, it.body_bytes)).collect();
    assert_eq!(seen, [(delivery_id(1), true, 5), (delivery_id(2), true, 300_000)]);
    assert_eq!(old[0].workloads, [WorkloadId(7)]);
    let bodies: Vec<DeliveryId> = old.iter().map(|it| it.id).collect();
    opened.write(&pruned(PrunedRows { bodies, ..PrunedRows::default() })).await.unwrap();
    let store = &opened.store;
    for number in [1, 2] {
        let kept = store.delivery(delivery_id(number)).await.unwrap().unwrap();
        assert!(!kept.has_body && kept.head.body_bytes > 0 && kept.event.is_some());
        assert_eq!(store.delivery_body(delivery_id(number)).await.unwrap(), None);
    }
    // Another delivery still has the large one.
    store.remove_pruned_bodies(&[file.to_string()]).await.unwrap();
    assert_eq!(store.delivery_body(delivery_id(3)).await.unwrap(), Some(large));

    let deliveries = vec![delivery_id(1), delivery_id(3)];
    opened.write(&pruned(PrunedRows { deliveries, ..PrunedRows::default() })).await.unwrap();
    opened.store.remove_pruned_bodies(&[file.to_string()]).await.unwrap();
    assert_eq!(opened.store.sweep_orphans(0, i64::MAX).await.unwrap(), 0, "it went at once");
    assert!(opened.store.delivery(delivery_id(1)).await.unwrap().is_none());
    assert!(opened.store.delivery(delivery_id(2)).await.unwrap().is_some());

    let old = opened.store.old_keys(KeyScope::Delivery, (0, ""), 5, 10).await.unwrap();
    assert_eq!(old.iter().map(|it| &it.key).collect::<Vec<_>>(), [&key]);
    assert!(opened.store.old_keys(KeyScope::Delivery, (0, ""), 4, 10).await.unwrap().is_empty());
    opened.write(&pruned(PrunedRows { keys: vec![key], ..PrunedRows::default() })).await.unwrap();
    assert!(opened.store.old_keys(KeyScope::Delivery, (0, ""), 5, 10).await.unwrap().is_empty());
}

async fn records_about_no_workload_go_by_themselves(on: Kind) {
    let mut opened = Opened::new(on).await;
    let alone = Change::Recorded(Record::new(RecordName::Paused, 15));
    let until = SoftState { key: SoftState::PRUNED_UNTIL.into(), value: "77".into(), at_ms: 1 };
    assert_eq!(opened.store.pruned_until_ms().await.unwrap(), None);
    let changes = [vec![alone, Change::SoftSaved(until)], history(1)].concat();
    opened.write(&changes).await.unwrap();
    let old = opened.store.old_records((0, 0), 15, 10).await.unwrap();
    assert_eq!(old.len(), 1, "the other is its workload's");
    let records = vec![old[0].seq];
    opened.write(&pruned(PrunedRows { records, ..PrunedRows::default() })).await.unwrap();
    assert_eq!(opened.texts(ROWS).await[5], "1");
    assert_eq!(opened.store.pruned_until_ms().await.unwrap(), Some(77));
    let extent = opened.store.extent().await.unwrap();
    assert!(extent.used_bytes > 100_000 && extent.taken_bytes >= extent.used_bytes);
    assert_eq!((extent.oldest_end_ms, extent.newest_end_ms), (Some(20), Some(20)));
}

/// One round of what comes in: workloads that have ended, and deliveries with bodies and keys.
async fn round(opened: &mut Opened, round: i64, many: i64) {
    let mut changes = Vec::new();
    let mut keys = Vec::new();
    for number in round * many + 1..=(round + 1) * many {
        changes.extend(history(number));
        let mut delivery = fixture::delivery(number.unsigned_abs().into());
        delivery.body = Body::Inline(Bytes::from(vec![b'x'; 3_000]));
        changes.push(Change::DeliveryInserted(Box::new(delivery)));
        let key =
            UniqueKey { scope: KeyScope::Delivery, key: format!("{:x}", number * 7_919).into() };
        keys.push((key, "".into()));
    }
    let mut batch = opened.begin().await.unwrap();
    batch.claim(&keys, round).await.unwrap();
    let lent = batch.commit(opened.epoch, &changes, Default::default(), 5).await.unwrap();
    opened.writer.take_back(lent);
}

async fn forget_round(opened: &mut Opened, round: i64, many: i64) {
    let numbers = || round * many + 1..=(round + 1) * many;
    let rows = PrunedRows {
        workloads: numbers().map(|id| (WorkloadId(id), 20)).collect(),
        deliveries: numbers().map(|id| delivery_id(id.unsigned_abs().into())).collect(),
        keys: opened
            .store
            .old_keys(KeyScope::Delivery, (-1, ""), round, 256)
            .await
            .unwrap()
            .into_iter()
            .map(|it| it.key)
            .collect(),
        ..PrunedRows::default()
    };
    opened.write(&pruned(rows)).await.unwrap();
    if opened.home.kind() == Kind::Postgres {
        // What autovacuum does by itself, sooner or later.
        opened.raw("VACUUM").await;
    }
}

/// Bytes that the tables take.
async fn taken(opened: &mut Opened) -> u64 {
    match opened.home.kind() {
        Kind::Sqlite => opened.store.extent().await.unwrap().taken_bytes,
        Kind::Postgres => {
            let query = "SELECT sum(pg_total_relation_size(c.oid))::text FROM pg_class AS c
                 WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace";
            opened.texts(query).await[0].parse().unwrap()
        }
    }
}

/// The short form of the soak: as much goes as comes. `SOAK_ROUNDS` makes it long.
async fn the_size_stays_level_while_as_much_goes_as_comes(on: Kind) {
    const MANY: i64 = 100;
    const KEPT: i64 = 2;
    let rounds = std::env::var("SOAK_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(24);
    let mut opened = Opened::new(on).await;
    opened.write(&[Change::ClassInserted(fixture::class(1))]).await.unwrap();
    let mut level = 0;
    for number in 0..rounds {
        round(&mut opened, number, MANY).await;
        if number >= KEPT {
            forget_round(&mut opened, number - KEPT, MANY).await;
        }
        let bytes = taken(&mut opened).await;
        match number {
            6 => level = bytes,
            // Pages that are not full; on PostgreSQL also rows that another test's snapshot still sees
            // when they are vacuumed. Without pruning it would be three times as much.
            7.. => {
                let most = if on == Kind::Sqlite { level + level / 4 } else { 2 * level };
                assert!(bytes <= most, "{bytes} after round {number}, {level} before");
            }
            _ => {}
        }
    }
    let kept = (MANY * KEPT).to_string();
    assert_eq!(opened.texts(ROWS).await[0], kept);
}

on_both!(
    a_workload_goes_with_all_that_is_its_own_and_nothing_else,
    a_body_goes_before_its_delivery_and_the_key_stays,
    records_about_no_workload_go_by_themselves,
    the_size_stays_level_while_as_much_goes_as_comes,
);
