//! An attempt's log on disk, between the processes that write it and the shipper that reads it:
//! a long outage of the server costs disk, not memory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Mutex, watch};

use crate::clock::Clock;

use super::secrets::Secrets;

/// How far the log has got: written by the spool, read by the shipper.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SpoolState {
    /// Bytes that are in the file, whole lines.
    pub(super) len: u64,
    /// Nothing more will come.
    pub(super) closed: bool,
}

/// The writing side. Lines get the wall time at which they were read.
pub(super) struct Spool {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    bytes_max: u64,
    /// What no line may show.
    secrets: Arc<Secrets>,
    writer: Mutex<Writer>,
    state: watch::Sender<SpoolState>,
}

struct Writer {
    file: File,
    /// Why nothing is written any more: the limit, the server's, or a broken disk.
    full: bool,
}

impl Spool {
    /// A new log file.
    pub(super) async fn create(
        path: PathBuf,
        clock: Arc<dyn Clock>,
        bytes_max: u64,
        secrets: Arc<Secrets>,
    ) -> std::io::Result<Self> {
        let file = File::create(&path).await?;
        let writer = Mutex::new(Writer { file, full: false });
        Ok(Self { path, clock, bytes_max, secrets, writer, state: watch::Sender::default() })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn secrets(&self) -> &Arc<Secrets> {
        &self.secrets
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<SpoolState> {
        self.state.subscribe()
    }

    /// A line's beginning: RFC 3339 in UTC with milliseconds, and a space.
    pub(super) fn stamp(&self) -> String {
        let now = jiff::Timestamp::from_millisecond(self.clock.now().wall_ms);
        format!("{:.3} ", now.unwrap_or_default())
    }

    /// Writes one line of the runner's own, masked.
    pub(super) async fn line(&self, text: &str) {
        let text = self.secrets.mask(text);
        let text = format!("{}{}\n", self.stamp(), text.replace(['\n', '\r'], " "));
        self.append(text.as_bytes()).await;
    }

    /// Writes whole lines, which have been masked. What does not fit, or cannot be written, is dropped: the work is worth
    /// more than its log.
    pub(super) async fn append(&self, lines: &[u8]) {
        let mut writer = self.writer.lock().await;
        if writer.full || lines.is_empty() {
            return;
        }
        let len = self.state.borrow().len;
        let mut written = lines;
        let mark;
        if len + lines.len() as u64 > self.bytes_max {
            writer.full = true;
            mark = format!(
                "{}##[warning] the log is longer than {} bytes: the rest is dropped\n",
                self.stamp(),
                self.bytes_max
            );
            written = mark.as_bytes();
        }
        match writer.write(written).await {
            Ok(()) => self.state.send_modify(|state| state.len += written.len() as u64),
            Err(error) => {
                // The file may end in a part of a line now; `len` does not count it.
                tracing::error!(%error, log = %self.path.display(), "cannot write a job's log");
                writer.full = true;
            }
        }
    }

    /// Drops whatever comes from now on: the server takes no more.
    pub(super) async fn discard(&self) {
        self.writer.lock().await.full = true;
    }

    /// Says that nothing more will come.
    pub(super) fn close(&self) {
        self.state.send_modify(|state| state.closed = true);
    }
}

impl Writer {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes).await?;
        self.file.flush().await
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::ManualClock;
    use crate::model::Now;

    use super::*;

    async fn spool(folder: &Path, bytes_max: u64) -> Spool {
        let clock = ManualClock::new(Now { mono_ms: 0, wall_ms: 1_700_000_000_123 });
        let secrets = Secrets::new([&b"sesame"[..]]);
        Spool::create(folder.join("log"), Arc::new(clock), bytes_max, secrets).await.expect("made")
    }

    #[tokio::test]
    async fn lines_begin_with_their_time_and_the_length_is_what_can_be_read() {
        let folder = tempfile::tempdir().expect("tempdir");
        let spool = spool(folder.path(), 1_000).await;
        spool.line("hello\nworld sesame").await;
        let text = std::fs::read_to_string(spool.path()).expect("read");
        assert_eq!(text, "2023-11-14T22:13:20.123Z hello world ***\n");
        assert_eq!(spool.subscribe().borrow().len, text.len() as u64);
    }

    #[tokio::test]
    async fn a_log_over_its_limit_is_marked_once_and_ends() {
        let folder = tempfile::tempdir().expect("tempdir");
        let spool = spool(folder.path(), 60).await;
        for _ in 0..5 {
            spool.line("0123456789").await;
        }
        let text = std::fs::read_to_string(spool.path()).expect("read");
        assert_eq!((text.lines().count(), text.matches("##[warning]").count()), (2, 1), "{text}");
    }
}
