//! Asks for work, always: with free slots for jobs, without them for cancels alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::api::wire::{Assignment, HeldLease, PollRequest, PollResponse};
use crate::clock::OsEntropy;
use crate::model::RequeueReason;

use super::job::Attempt;
use super::shared::Shared;
use super::table::Order;

/// Polls and starts attempts until the runner is to leave and the last attempt has ended.
///
/// Dropping it stops every attempt and kills its processes.
pub(super) async fn run(shared: &Arc<Shared>) {
    let mut attempts = JoinSet::new();
    loop {
        let mut changed = shared.table.subscribe();
        let draining = shared.stop.is_draining();
        if shared.may_leave() {
            break;
        }
        while let Some(ended) = attempts.try_join_next() {
            report(ended);
        }
        let floor = tokio::time::sleep(Duration::from_millis(shared.options.poll_floor_ms));
        let request = request(shared, draining);
        let answer = tokio::select! {
            answer = shared.client.poll(&request) => answer,
            // What the parked poll says of slots and leases is no longer true. An answer that is
            // lost by this is given again: its leases are not among those of the next poll.
            () = shared.news(&mut changed, draining) => continue,
        };
        let brought_news = match answer {
            Ok(answer) => obey(shared, &answer, &mut attempts),
            Err(error) => {
                let delay = shared.client.backoff().delay(None, &mut OsEntropy);
                tracing::error!(%error, "poll refused: see the server's log for the reason");
                tokio::time::sleep(delay).await;
                false
            }
        };
        if !brought_news {
            // A parked poll took longer than the floor. One that was answered at once, with
            // leases or cancels that are known, must not become a busy loop.
            tokio::select! {
                () = floor => {}
                () = shared.news(&mut changed, draining) => {}
            }
        }
    }
    while let Some(ended) = attempts.join_next().await {
        report(ended);
    }
}

fn request(shared: &Shared, draining: bool) -> PollRequest {
    let options = &shared.options;
    let known = shared.table.len();
    let longest = shared.client.session().answer.poll_wait_max_ms.max(0);
    PollRequest {
        wait_ms: i64::try_from(options.poll_wait_ms).unwrap_or(i64::MAX).min(longest),
        max_jobs: Some(if draining { 0 } else { options.slots.saturating_sub(known) }),
        leases: shared.table.tokens(),
        capabilities: None,
        current_jobs: Some(known),
    }
}

/// Does what the answer says; whether there was anything new in it.
fn obey(shared: &Arc<Shared>, answer: &PollResponse, attempts: &mut JoinSet<()>) -> bool {
    for lease in &answer.cancel {
        shared.table.order(*lease, Order::Cancel);
    }
    let mut news = false;
    for job in &answer.jobs {
        news |= take(shared, job, attempts);
    }
    if answer.drain && !shared.stop.is_draining() {
        tracing::info!("the server asks this runner to drain");
        shared.stop.drain();
        news = true;
    }
    news
}

fn take(shared: &Arc<Shared>, job: &Assignment, attempts: &mut JoinSet<()>) -> bool {
    if shared.table.tokens().contains(&job.lease) {
        return false;
    }
    let room = !shared.stop.is_draining() && shared.table.len() < shared.options.slots;
    let Some((orders, place)) = shared.table.insert(job.lease, job.nonce) else { return false };
    let shared = Arc::clone(shared);
    if room {
        attempts.spawn(Attempt::new(shared, job.clone(), orders, place).run());
        return true;
    }
    let held = HeldLease { lease: job.lease, nonce: job.nonce };
    attempts.spawn(async move {
        tracing::warn!(lease = %held.lease, "no room for this job: it is given back");
        let wait = Duration::from_millis(shared.options.release_wait_ms);
        let release = shared.client.release(&held, RequeueReason::Drained);
        // Without an answer it goes back by itself after the ack window.
        let _ = tokio::time::timeout(wait, release).await;
        drop(place);
    });
    true
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "an attempt panicked: its lease will expire");
    }
}
