//! Culprits, a full disk, and connections that must not be used again.

use bytes::Bytes;

use super::fixture::{self, Opened, on_both};
use crate::model::{Body, Change, JobId, RunnerId, WorkloadId};
use crate::store::StoreError;
use crate::store::connection::{BEGIN_BATCH, COMMIT, Kind, Plain};
use crate::store::read::Readers;
use crate::store::sqlite::is_clean;

async fn a_row_that_is_not_there_is_the_culprits_fault(on: Kind) {
    let ids = || vec![JobId(8)];
    let cases = [
        Change::JobUpdated(fixture::job(8, 1)),
        Change::WorkloadUpdated(fixture::workload(8)),
        Change::RunnerUpdated(fixture::runner(8)),
        Change::RunnerRemoved(RunnerId(8)),
        Change::WorkloadArchived(WorkloadId(8), ids()),
        Change::WorkloadReopened(WorkloadId(8), ids()),
        // There, but live already.
        Change::WorkloadReopened(WorkloadId(1), Vec::new()),
    ];
    let mut opened = Opened::new(on).await;
    opened.write(&[Change::WorkloadInserted(fixture::workload(1))]).await.unwrap();
    for change in cases {
        let good = Change::RunnerInserted(fixture::runner(1));
        let error = opened.write(&[good, change.clone()]).await.unwrap_err();
        assert!(error.is_data(), "{change:?}: {error}");
        let refused = opened.write(&[]).await.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused}");
        // Nothing of the batch was written.
        assert_eq!(opened.load().await.runners, []);
    }
}

async fn a_value_that_the_schema_refuses_is_the_culprits_fault(on: Kind) {
    let mut opened = Opened::new(on).await;
    let attempt = Change::AttemptEnded(Box::new(fixture::attempt(1, 1)));
    opened.write(std::slice::from_ref(&attempt)).await.unwrap();
    let error = opened.write(&[attempt]).await.unwrap_err();
    assert!(error.is_data(), "{error}");
    let which = match on {
        Kind::Sqlite => "attempt.token",
        Kind::Postgres => "attempt_pkey",
    };
    assert!(error.to_string().contains(which), "{error}");
}

#[tokio::test]
async fn after_a_full_disk_nothing_is_acknowledged_until_a_load() {
    let mut opened = Opened::new(Kind::Sqlite).await;
    opened.write(&[Change::RunnerInserted(fixture::runner(1))]).await.unwrap();
    // The limit is this connection's; pages beyond the ones that there are cannot be had.
    opened.raw("PRAGMA max_page_count = 1").await;
    let mut large = fixture::delivery(1);
    large.body = Body::Inline(Bytes::from(vec![1; 1_000_000]));
    let error = opened.write(&[Change::DeliveryInserted(Box::new(large))]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
    for id in 2..5 {
        let refused = opened.write(&[Change::RunnerInserted(fixture::runner(id))]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    }

    // The load's fresh connection has space again, and what it acknowledges is durable: another
    // connection sees it, which it would not if it were still in a transaction.
    let before = opened.load().await;
    assert_eq!(before.runners, [fixture::runner(1)]);
    opened.write(&[Change::RunnerInserted(fixture::runner(2))]).await.unwrap();
    let store = opened.store.clone();
    let Readers::Sqlite(readers) = &store.readers else { unreachable!() };
    let count = sqlx::query_scalar("SELECT count(*) FROM runner").fetch_one(readers);
    let count: i64 = count.await.unwrap();
    assert_eq!(count, 2);
    assert_eq!(opened.store.deliveries(crate::store::Page::first(9)).await.unwrap(), []);
    assert_eq!(opened.load().await.runners.len(), 2);
}

async fn a_load_waits_for_what_is_still_in_flight_and_raises_the_epoch(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut forgotten = opened.writer.connection.take().unwrap();
    let text = "UPDATE leader SET next_job = 42";
    forgotten.session().plain(BEGIN_BATCH).await.unwrap();
    forgotten.session().plain(Plain { sqlite: text, postgres: text }).await.unwrap();
    let (snapshot, committed) =
        tokio::join!(opened.writer.load("test", 9), forgotten.session().plain(COMMIT));
    committed.unwrap();
    let snapshot = snapshot.unwrap();
    assert_eq!((snapshot.epoch, snapshot.marks.next_job), (opened.epoch + 1, 42));
}

#[tokio::test]
async fn the_guard_knows_what_sqlx_and_what_sqlite_think() {
    let mut opened = Opened::new(Kind::Sqlite).await;
    let connection = opened.sqlite();
    assert!(is_clean(connection).await.unwrap());
    // SQLite is in a transaction that sqlx does not know of.
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await.unwrap();
    assert!(!is_clean(connection).await.unwrap());
    sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.unwrap();
    assert!(is_clean(connection).await.unwrap());
    // sqlx counts a transaction that SQLite has rolled back.
    let mut transaction = sqlx::Connection::begin(&mut *connection).await.unwrap();
    sqlx::raw_sql("ROLLBACK").execute(&mut *transaction).await.unwrap();
    assert!(!is_clean(&mut transaction).await.unwrap());
}

async fn a_reader_that_was_given_up_in_its_snapshot_is_not_used_again(on: Kind) {
    let opened = Opened::new(on).await;
    drop(opened.store.snapshot_reader().await.unwrap());
    let mut reader = opened.store.reader().await.unwrap();
    // A second BEGIN would be refused inside the forgotten one.
    let row = reader.first(crate::store::statement::LEADER_SELECT, |to| to).await.unwrap();
    assert!(row.is_some());
    let again = opened.store.snapshot_reader().await.unwrap();
    again.end().await.unwrap();
}

on_both!(
    a_row_that_is_not_there_is_the_culprits_fault,
    a_value_that_the_schema_refuses_is_the_culprits_fault,
    a_load_waits_for_what_is_still_in_flight_and_raises_the_epoch,
    a_reader_that_was_given_up_in_its_snapshot_is_not_used_again,
);
