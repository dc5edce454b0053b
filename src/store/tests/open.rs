//! Opening a database.

use super::fixture::{self, Opened};
use crate::model::{Marks, Snapshot};
use crate::store::schema::MIGRATIONS;
use crate::store::{Store, StoreError, StoreOptions, Synchronous};

#[tokio::test]
async fn a_fresh_file_has_the_schema_and_the_defaults() {
    let mut opened = Opened::new().await;
    assert_eq!(opened.epoch, 1);
    let snapshot = opened.load().await;
    let empty = Snapshot { epoch: 2, marks: Marks::default(), ..Snapshot::default() };
    assert_eq!(snapshot, empty);
    let connection = opened.writer.connection.as_mut().unwrap();
    let names: Vec<(i64, String)> =
        sqlx::query_as("SELECT id, name FROM tenant UNION ALL SELECT id, name FROM pool")
            .fetch_all(connection)
            .await
            .unwrap();
    assert_eq!(names, [(1, "default".to_owned()), (1, "default".to_owned())]);
}

#[tokio::test]
async fn a_second_open_is_refused_until_the_first_is_gone() {
    let opened = Opened::new().await;
    let error = Store::open(fixture::options(&opened.folder)).await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("d.db.lock; stop that server"), "{error}");
    let Opened { store, writer, folder, .. } = opened;
    drop((store, writer));
    let (_store, mut writer) = Store::open(fixture::options(&folder)).await.unwrap();
    assert_eq!(writer.load("second", 9).await.unwrap().epoch, 2);
}

#[tokio::test]
async fn a_schema_newer_than_the_program_is_refused() {
    let mut opened = Opened::new().await;
    opened
        .raw(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (9999, 'from the future', 1, x'00', 0)",
        )
        .await;
    let Opened { store, writer, folder, .. } = opened;
    drop((store, writer));
    let error = Store::open(fixture::options(&folder)).await.map(drop).unwrap_err();
    let known = i64::try_from(MIGRATIONS.iter().count()).unwrap();
    assert!(
        matches!(error, StoreError::SchemaNewer { found: 9999, known: at } if at == known),
        "{error}"
    );
}

#[tokio::test]
async fn the_writer_flushes_every_commit_unless_a_test_says_otherwise() {
    for (synchronous, wanted) in [(Synchronous::Full, 2_i64), (Synchronous::Normal, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions { synchronous, ..fixture::options(&folder) };
        let (_store, mut writer) = Store::open(options).await.unwrap();
        writer.load("test", 1).await.unwrap();
        let connection = writer.connection.as_mut().unwrap();
        let found: (i64, String) = sqlx::query_as(
            "SELECT synchronous, journal_mode FROM pragma_synchronous, pragma_journal_mode",
        )
        .fetch_one(connection)
        .await
        .unwrap();
        assert_eq!(found, (wanted, "wal".to_owned()));
    }
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let opened = Opened::new().await;
    let written = sqlx::query("DELETE FROM leader").execute(&opened.store.readers).await;
    assert!(written.unwrap_err().to_string().contains("readonly"));
}
