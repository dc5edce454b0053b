//! Copies of a SQLite database that is in use.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::fixture::{self, Opened, delivery_id};
use crate::model::{Body, Change, DeliveryId, PrunedRows};
use crate::store::connection::Kind;
use crate::store::log_claim::LogWatch;
use crate::store::{Backup, Location, Store, StoreError, StoreOptions};

/// Longer than anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a copy goes.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("bodies")).unwrap();
        Self(folder)
    }

    fn database(&self) -> PathBuf {
        self.0.path().join("d.db")
    }

    fn bodies(&self) -> PathBuf {
        self.0.path().join("bodies")
    }

    async fn open(&self) -> Store {
        Store::open(StoreOptions::new(self.database(), self.bodies())).await.unwrap().0
    }
}

/// Two deliveries with large bodies; the names of their files.
async fn spill(opened: &mut Opened) -> [PathBuf; 2] {
    let mut changes = Vec::new();
    let mut files = Vec::new();
    for number in [1, 2] {
        let mut delivery = fixture::delivery(number);
        let bytes = Bytes::from(vec![7; 300_000]);
        delivery.body = opened.store.write_body(delivery.id, bytes).await.unwrap();
        let Body::Spilled { file, .. } = &delivery.body else { panic!("it is large") };
        files.push(opened.home.options().bodies_dir.join(&**file));
        changes.push(Change::DeliveryInserted(Box::new(delivery)));
    }
    opened.write(&changes).await.unwrap();
    files.try_into().unwrap()
}

/// Forgets the body of a delivery, as pruning does.
async fn prune(opened: &mut Opened, id: DeliveryId, file: &Path) {
    let rows = PrunedRows { bodies: vec![id], ..PrunedRows::default() };
    opened.write(&[Change::Pruned(Box::new(rows))]).await.unwrap();
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    opened.store.remove_pruned_bodies(&[name]).await.unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn a_body_that_is_pruned_before_it_is_copied_is_pruned_in_the_copy_too() {
    let mut opened = Opened::new(Kind::Sqlite).await;
    let [first, _] = spill(&mut opened).await;
    let copy = Copy::new();
    let backup = Backup::begin(&opened.home.options(), &copy.database()).await.unwrap();
    prune(&mut opened, delivery_id(1), &first).await;
    backup.copy_bodies(&copy.bodies()).await.unwrap();

    let copied = copy.open().await;
    let pruned = copied.delivery(delivery_id(1)).await.unwrap().unwrap();
    assert!(!pruned.has_body && pruned.head.body_bytes == 300_000);
    assert_eq!(copied.delivery_body(delivery_id(1)).await.unwrap(), None);
    let kept = copied.delivery_body(delivery_id(2)).await.unwrap();
    assert_eq!(kept.map(|it| it.len()), Some(300_000));
    assert_eq!(copied.sweep_orphans(0, i64::MAX).await.unwrap(), 0, "no file without a row");
}

#[tokio::test]
async fn a_body_that_is_lost_is_not_taken_for_one_that_was_pruned() {
    let mut opened = Opened::new(Kind::Sqlite).await;
    let [lost, _] = spill(&mut opened).await;
    std::fs::remove_file(&lost).unwrap();
    let copy = Copy::new();
    let backup = Backup::begin(&opened.home.options(), &copy.database()).await.unwrap();
    let error = backup.copy_bodies(&copy.bodies()).await.unwrap_err();
    assert!(matches!(&error, StoreError::File { path, .. } if *path == lost), "{error}");
}

#[tokio::test]
async fn a_copy_lets_go_of_the_log_when_the_writer_begins_it_anew() {
    let mut opened = Opened::new(Kind::Sqlite).await;
    for round in 0..20 {
        let deliveries = (round * 100..(round + 1) * 100).map(fixture::delivery);
        let changes: Vec<_> = deliveries.map(|it| Change::DeliveryInserted(Box::new(it))).collect();
        opened.write(&changes).await.unwrap();
    }
    let mut options = opened.home.options();
    let Location::File(database) = &options.location else { panic!("it is a file") };
    // The copy stands still in its midst until the log is needed.
    let watch = LogWatch::of(&database.canonicalize().unwrap()).unwrap();
    let (under_way, is_under_way) = tokio::sync::oneshot::channel();
    let under_way = Mutex::new(Some(under_way));
    let was_needed = Arc::new(AtomicBool::new(false));
    let needed = Arc::clone(&was_needed);
    options.planted.backup_looks = Some(Arc::new(move || {
        let Some(under_way) = under_way.lock().unwrap().take() else { return };
        let _ = under_way.send(());
        for _ in 0..PATIENCE.as_millis() {
            if watch.is_claimed() {
                return needed.store(true, Ordering::Relaxed);
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }));
    let copy = Copy::new();
    let to = copy.database();
    let copying = tokio::spawn(async move { Backup::begin(&options, &to).await });
    is_under_way.await.unwrap();
    // It would be refused after the busy timeout, which is shorter than the copy stands still.
    opened.load().await;
    assert!(was_needed.load(Ordering::Relaxed), "nobody had to let go");

    let backup = tokio::time::timeout(PATIENCE, copying).await.unwrap().unwrap().unwrap();
    backup.copy_bodies(&copy.bodies()).await.unwrap();
    let copied = copy.open().await;
    let ids = [0, 1_999].map(delivery_id);
    for id in ids {
        assert!(copied.delivery(id).await.unwrap().is_some(), "{id} is in the copy");
    }
}
