//! Keeps leases and the stream alive, also while polls hang or fail, and hears what the server says
//! of them.

use std::time::Duration;

use crate::api::wire::{HeartbeatRequest, HeartbeatResponse};
use crate::clock::OsEntropy;

use super::shared::Shared;
use super::table::Order;

/// The shortest interval that is obeyed: a zero from the server must not become a busy loop.
const INTERVAL_MIN: Duration = Duration::from_millis(50);

/// Sends heartbeats while leases are held or a stream is open. Never returns.
pub(super) async fn run(shared: &Shared) {
    let mut backoff = shared.client.backoff();
    let mut wait = interval(shared);
    loop {
        let (mut changed, mut streaming) = (shared.table.subscribe(), shared.streaming.subscribe());
        if shared.table.len() == 0 && !*streaming.borrow_and_update() {
            // The senders live as long as this runs: they cannot be gone.
            tokio::select! {
                _ = changed.changed() => {}
                _ = streaming.changed() => {}
            }
            continue;
        }
        tokio::time::sleep(wait).await;
        let leases = shared.table.held();
        let request = HeartbeatRequest {
            current_jobs: u32::try_from(leases.len()).ok(),
            leases,
            capabilities: None,
        };
        wait = match shared.client.heartbeat(&request).await {
            Ok(answer) => {
                obey(shared, &answer);
                backoff = shared.client.backoff();
                interval(shared)
            }
            Err(error) => {
                let delay = backoff.delay(error.retry_after(), &mut OsEntropy);
                tracing::warn!(%error, delay_ms = delay.as_millis(), "heartbeat not answered");
                delay
            }
        };
    }
}

fn interval(shared: &Shared) -> Duration {
    let asked = shared.client.session().answer.heartbeat_interval_ms;
    Duration::from_millis(u64::try_from(asked).unwrap_or(0)).max(INTERVAL_MIN)
}

fn obey(shared: &Shared, answer: &HeartbeatResponse) {
    for lease in &answer.lost {
        shared.table.lost(*lease);
    }
    for lease in &answer.cancel {
        shared.table.order(*lease, Order::Cancel);
    }
    if answer.drain {
        shared.stop.drain();
    }
}
