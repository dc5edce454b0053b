//! Opening a database.

use super::fixture::{Home, Opened, on_both};
use crate::model::{Marks, Snapshot};
use crate::store::connection::{Connection, Kind};
use crate::store::read::Readers;
use crate::store::{Store, StoreError, StoreOptions, Synchronous, schema};

async fn a_fresh_file_has_the_schema_and_the_defaults(on: Kind) {
    let mut opened = Opened::new(on).await;
    assert_eq!(opened.epoch, 1);
    let snapshot = opened.load().await;
    let empty = Snapshot { epoch: 2, marks: Marks::default(), ..Snapshot::default() };
    assert_eq!(snapshot, empty);
    let text = "SELECT CAST(id AS TEXT) || name FROM tenant UNION ALL \
                SELECT CAST(id AS TEXT) || name FROM pool";
    assert_eq!(opened.texts(text).await, ["1default", "1default"]);
}

async fn a_second_open_is_refused_until_the_first_is_gone(on: Kind) {
    let opened = Opened::new(on).await;
    let error = Store::open(opened.home.options()).await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    let (holder, instead) = match on {
        Kind::Sqlite => ("d.db.lock; stop that server", "a data folder of its own"),
        Kind::Postgres => ("holds its lock (backend ", "a database of its own"),
    };
    let text = error.to_string();
    assert!(text.contains(holder) && text.ends_with(instead), "{text}");
    let Opened { store, writer, home, .. } = opened;
    drop((store, writer));
    let (_store, mut writer) = Store::open(home.options()).await.unwrap();
    assert_eq!(writer.load("second", 9).await.unwrap().epoch, 2);
}

async fn a_schema_newer_than_the_program_is_refused(on: Kind) {
    let mut opened = Opened::new(on).await;
    let text = "INSERT INTO _sqlx_migrations
                (version, description, success, checksum, execution_time)
                SELECT 9999, 'from the future', success, checksum, 0
                FROM _sqlx_migrations WHERE version = 1";
    opened.raw(text).await;
    let Opened { store, writer, home, .. } = opened;
    drop((store, writer));
    let error = Store::open(home.options()).await.map(drop).unwrap_err();
    let migrations = match on {
        Kind::Sqlite => &schema::SQLITE,
        Kind::Postgres => &schema::POSTGRES,
    };
    let known = migrations.iter().map(|migration| migration.version).max().unwrap();
    assert!(
        matches!(error, StoreError::SchemaNewer { found: 9999, known: at } if at == known),
        "{error}"
    );
}

#[tokio::test]
async fn the_writer_flushes_every_commit_unless_a_test_says_otherwise() {
    for (synchronous, wanted) in [(Synchronous::Full, 2_i64), (Synchronous::Normal, 1)] {
        let home = Home::of(Kind::Sqlite).await;
        let options = StoreOptions { synchronous, ..home.options() };
        let (_store, mut writer) = Store::open(options).await.unwrap();
        writer.load("test", 1).await.unwrap();
        let Some(Connection::Sqlite(connection)) = &mut writer.connection else { unreachable!() };
        let found: (i64, String) = sqlx::query_as(
            "SELECT synchronous, journal_mode FROM pragma_synchronous, pragma_journal_mode",
        )
        .fetch_one(connection)
        .await
        .unwrap();
        assert_eq!(found, (wanted, "wal".to_owned()));
    }
}

async fn a_reader_cannot_write(on: Kind) {
    let opened = Opened::new(on).await;
    let text = "DELETE FROM leader";
    let (written, refusal) = match &opened.store.readers {
        Readers::Sqlite(pool) => (sqlx::query(text).execute(pool).await.map(drop), "readonly"),
        Readers::Postgres(pool) => (sqlx::query(text).execute(pool).await.map(drop), "read-only"),
    };
    assert!(written.unwrap_err().to_string().contains(refusal));
}

/// Cuts the connection that holds the lock, as a restart of the server does.
const CUT: &str = "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'
    AND classid = 1148806511 AND objid::int8 = (hashtext(current_schema())::int8 & 4294967295)";

#[tokio::test]
async fn a_lost_lock_is_taken_again_by_the_next_load() {
    let mut opened = Opened::new(Kind::Postgres).await;
    opened.raw(CUT).await;
    let epoch = opened.epoch;
    assert_eq!(opened.load().await.epoch, epoch + 1);
    let error = Store::open(opened.home.options()).await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_lost_its_lock_to_another_one_writes_nothing_more() {
    let mut opened = Opened::new(Kind::Postgres).await;
    opened.raw(CUT).await;
    let (_store, mut other) = Store::open(opened.home.options()).await.unwrap();
    other.load("the other", 5).await.unwrap();
    let fenced = opened.write(&[]).await.unwrap_err();
    assert!(matches!(fenced, StoreError::Fenced), "{fenced}");
    let error = opened.writer.load("test", 9).await.unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

on_both!(
    a_fresh_file_has_the_schema_and_the_defaults,
    a_second_open_is_refused_until_the_first_is_gone,
    a_schema_newer_than_the_program_is_refused,
    a_reader_cannot_write,
);
