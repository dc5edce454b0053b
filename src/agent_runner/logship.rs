//! Ships a spooled log to the server: in order, without gaps, for as long as it takes.
//!
//! Each call says at which byte it begins, and its answer says where to go on. So a call whose
//! answer was lost is simply sent again, and a server that has less than it once had gets it again.

use std::io::{self, SeekFrom};
use std::time::Duration;

use bytes::Bytes;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::watch;

use crate::api::wire::{HeldLease, LogAck};
use crate::clock::OsEntropy;

use super::http::CallError;
use super::shared::Shared;
use super::spool::{Spool, SpoolState};

/// How shipping ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shipped {
    /// The server has the whole log, or has said that it wants no more of it.
    All,
    /// The lease is somebody else's.
    LeaseLost,
    /// The server refuses this log, or it cannot be read: it stays incomplete there.
    Refused,
}

/// Ships until the spool is closed and everything is there. Dropping it is safe.
pub(super) async fn ship(shared: &Shared, held: &HeldLease, spool: &Spool) -> Shipped {
    let mut shipper = Shipper { shared, held, offset: 0, states: spool.subscribe() };
    match shipper.run(spool).await {
        Ok(Ended::Done) => Shipped::All,
        Ok(Ended::Truncated) => {
            spool.discard().await;
            Shipped::All
        }
        Err(ShipError::Call(CallError::LeaseLost)) => Shipped::LeaseLost,
        Err(error) => {
            tracing::error!(lease = %held.lease, %error, "the rest of a job's log is not sent");
            spool.discard().await;
            Shipped::Refused
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum ShipError {
    #[error("cannot read the spooled log: {0}")]
    Read(#[from] io::Error),
    #[error("the server refused it: {0}")]
    Call(#[from] CallError),
}

enum Ended {
    Done,
    Truncated,
}

struct Shipper<'a> {
    shared: &'a Shared,
    held: &'a HeldLease,
    /// The first byte that the server lacks.
    offset: u64,
    states: watch::Receiver<SpoolState>,
}

impl Shipper<'_> {
    async fn run(&mut self, spool: &Spool) -> Result<Ended, ShipError> {
        let mut file = File::open(spool.path()).await?;
        let mut backoff = self.shared.client.backoff();
        loop {
            let state = self.something_to_ship().await;
            if state.len <= self.offset {
                return Ok(Ended::Done);
            }
            let batch = self.read(&mut file, state.len).await?;
            let sent = batch.len() as u64;
            let ack = self.shared.client.append_log(self.held, self.offset, batch).await?;
            if ack.truncated {
                return Ok(Ended::Truncated);
            }
            let before = self.offset;
            self.offset = next_offset(ack, state.len);
            if self.offset > before {
                backoff = self.shared.client.backoff();
                continue;
            }
            let delay = backoff.delay(None, &mut OsEntropy);
            tracing::warn!(lease = %self.held.lease, sent, from = before, to = self.offset,
                "the server has less of a log than before: sending it again");
            tokio::time::sleep(delay).await;
        }
    }

    /// Waits for bytes, and a little longer for their company; or for the end.
    async fn something_to_ship(&mut self) -> SpoolState {
        let offset = self.offset;
        let full = self.shared.options.log_batch_bytes_max as u64;
        let some = wait_for(&mut self.states, |state| state.closed || state.len > offset).await;
        if some.closed || some.len - offset >= full {
            return some;
        }
        let company = Duration::from_millis(self.shared.options.log_flush_ms);
        let enough = wait_for(&mut self.states, |s| s.closed || s.len - offset >= full);
        match tokio::time::timeout(company, enough).await {
            Ok(state) => state,
            Err(_) => *self.states.borrow(),
        }
    }

    async fn read(&self, file: &mut File, len: u64) -> io::Result<Bytes> {
        let most = self.shared.options.log_batch_bytes_max;
        let size = usize::try_from(len - self.offset).unwrap_or(most).min(most);
        let mut batch = vec![0; size];
        file.seek(SeekFrom::Start(self.offset)).await?;
        file.read_exact(&mut batch).await?;
        Ok(batch.into())
    }
}

/// The spool outlives its shipper; if it were gone, the last state would be the final one.
async fn wait_for(
    states: &mut watch::Receiver<SpoolState>,
    reached: impl Fn(&SpoolState) -> bool,
) -> SpoolState {
    let state = states.wait_for(|state| reached(state)).await.map(|state| *state);
    state.unwrap_or_else(|_| SpoolState { closed: true, ..*states.borrow() })
}

/// Where the server wants us to go on, which cannot be beyond what there is.
fn next_offset(ack: LogAck, len: u64) -> u64 {
    ack.next_offset.min(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_send_the_shipper_beyond_the_log() {
        let ack = |next_offset| LogAck { next_offset, truncated: false };
        assert_eq!(next_offset(ack(5), 10), 5);
        assert_eq!(next_offset(ack(50), 10), 10);
    }
}
