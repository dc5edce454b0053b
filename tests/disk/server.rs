//! A store on the layer under test, and the real driver on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dispatchyard::clock::{OsEntropy, SystemClock};
use dispatchyard::dispatch::{PoolSettings, Settings};
use dispatchyard::driver::{self, DriverOptions, Handle, Limits};
use dispatchyard::model::PoolId;
use dispatchyard::store::{Planted, Store, StoreError, StoreOptions, Synchronous};
use dispatchyard::telemetry::Metrics;
use tokio::sync::oneshot;

use crate::vfs;

/// What a server is made of.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) synchronous: Synchronous,
    /// Without law 1.
    pub(crate) unguarded: bool,
}

impl<'a> Setup<'a> {
    /// As users have it.
    pub(crate) fn new(folder: &'a Path) -> Self {
        Self { folder, synchronous: Synchronous::Full, unguarded: false }
    }

    pub(crate) fn options(&self) -> StoreOptions {
        let (sqlite_vfs, unguarded) = (Some(vfs::NAME), self.unguarded);
        let planted = Planted { sqlite_vfs, unguarded, ..Planted::default() };
        let synchronous = self.synchronous;
        let options = StoreOptions::new(database(self.folder), self.folder.join("bodies"));
        StoreOptions { synchronous, planted, busy_timeout_ms: 50, ..options }
    }
}

/// Where the database of a folder is.
pub(crate) fn database(folder: &Path) -> PathBuf {
    folder.join("d.db")
}

/// Nothing ends by itself while a story is told.
pub(crate) fn settings() -> Settings {
    Settings {
        heartbeat_timeout_ms: 600_000,
        lease_ms: 600_000,
        ack_window_ms: 600_000,
        pools: [(PoolId::DEFAULT, PoolSettings { balance_hold_ms: 0, ..PoolSettings::default() })]
            .into(),
        ..Settings::default()
    }
}

/// The real writer and the real loop.
pub(crate) struct Server {
    pub(crate) handle: Handle,
    pub(crate) store: Store,
    ended: oneshot::Receiver<()>,
}

impl Server {
    /// Opens the database and begins to load it.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub(crate) async fn start(setup: &Setup<'_>) -> Result<Self, StoreError> {
        let (store, writer) = Store::open(setup.options()).await?;
        let options = DriverOptions {
            writer,
            settings: settings(),
            limits: Limits {
                batch_commands_max: 64,
                control_queue_max: 256,
                intake_queue_max: 256,
            },
            records_max: 100,
            clock: Arc::new(SystemClock::new()),
            entropy: Box::new(OsEntropy),
            seat: None,
            holder: "test".into(),
            metrics: Arc::new(Metrics::new()),
            ended: None,
            probe: None,
        };
        let (handle, ended) = driver::spawn(options).unwrap();
        Ok(Self { handle, store, ended })
    }

    /// Ends the driver and closes the store.
    pub(crate) async fn stop(self) {
        self.handle.stop().await;
        let _ = self.ended.await;
        self.store.close().await;
    }
}
