//! Logs as their callers see them, in real files and in real rows.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::*;
use crate::store::tests::schema::Schema;
use crate::store::{Location, Store, StoreOptions};

const JOB: JobId = JobId(7);

/// Long enough for any machine; only a failing test waits for it.
const BOUND: Duration = Duration::from_secs(20);

/// Where the logs of a test are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum On {
    Files,
    Rows,
}

/// Makes two tests of each of these functions, one for each place.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod in_files {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::On::Files).await;
            })*
        }

        mod in_rows {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(super::On::Rows).await;
            })*
        }
    };
}

mod append;
mod follow;
mod instances;

/// A place for logs that goes away with the value.
struct Home {
    store: Option<Store>,
    folder: tempfile::TempDir,
    _schema: Option<Schema>,
}

impl Home {
    async fn new(on: On) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, mut schema) = (None, None);
        if on == On::Rows {
            let new = Schema::new().await;
            let options = StoreOptions::at(Location::Server(new.url()), folder.path());
            (store, schema) = (Some(Store::open(options).await.unwrap().0), Some(new));
        }
        Self { store, folder, _schema: schema }
    }

    /// The logs of a server, which has nothing of another one's memory.
    fn logs(&self, limits: LogLimits) -> JobLogs {
        match &self.store {
            Some(store) => JobLogs::in_rows(store.log_rows().unwrap(), limits),
            None => JobLogs::open(self.folder.path().join("logs"), limits).unwrap(),
        }
    }
}

/// Nobody looks by himself.
fn limits(log_bytes_max: u64) -> LogLimits {
    LogLimits {
        log_bytes_max,
        open_files_max: 2,
        follow_poll_ms: 60_000,
        follow_rows_poll_ms: 60_000,
    }
}

fn polling() -> LogLimits {
    LogLimits { follow_poll_ms: 5, follow_rows_poll_ms: 5, ..limits(1_000) }
}

/// Another server on the same logs: nothing of the first one's memory.
fn restarted(logs: &JobLogs) -> JobLogs {
    JobLogs::at(logs.0.place.clone(), logs.0.limits)
}

async fn append(logs: &JobLogs, offset: u64, text: &str) -> Result<Appended, LogError> {
    logs.append(JOB, 1, offset, Bytes::copy_from_slice(text.as_bytes())).await
}

async fn page(logs: &JobLogs) -> LogPage {
    logs.read(JOB, 1, 0, u64::MAX).await.unwrap()
}

async fn text(logs: &JobLogs) -> String {
    String::from_utf8(page(logs).await.bytes.to_vec()).unwrap()
}

/// All that a follower hands out until the log is sealed.
async fn followed(logs: &JobLogs, offset: u64) -> Vec<u8> {
    let all = async {
        let mut stream = Box::pin(logs.follow(JOB, 1, offset));
        let (mut bytes, mut next) = (Vec::new(), offset);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.unwrap();
            assert_eq!(chunk.offset, next);
            next += chunk.bytes.len() as u64;
            bytes.extend_from_slice(&chunk.bytes);
        }
        bytes
    };
    tokio::time::timeout(BOUND, all).await.expect("the follower did not end")
}
