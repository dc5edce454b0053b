//! Asks for work, always: with free slots for jobs, without them for cancels alone.
//!
//! ```text
//! stream ──broken──> poll at once, again and again ──> stream, tried beside the polls with backoff
//! ```
//!
//! Of what a runner has open the server takes the last for good, and tells again what it gave and the
//! runner does not know; so neither change loses anything, and a job that comes both ways is one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::wire::{Assignment, HeldLease, PollRequest, PollResponse};
use crate::clock::OsEntropy;
use crate::model::RequeueReason;

use super::job::Attempt;
use super::shared::Shared;
use super::stream::{News, WorkStream};
use super::table::Order;
use super::tries::Tries;

/// Asks for work and starts attempts until the runner is to leave and the last attempt has ended.
///
/// Dropping it stops every attempt and kills its processes.
pub(super) async fn run(shared: &Arc<Shared>) {
    let mut attempts = JoinSet::new();
    let mut tries = Tries::new(shared);
    let mut stream = None;
    if tries.wanted() {
        stream = tokio::select! {
            first = tries.attempt(shared) => first,
            () = shared.stop.draining() => None,
        };
    }
    loop {
        let mut changed = shared.table.subscribe();
        let draining = shared.stop.is_draining();
        if shared.may_leave() {
            break;
        }
        if draining {
            tries.give_up();
        }
        while let Some(ended) = attempts.try_join_next() {
            report(ended);
        }
        stream = match stream.take() {
            // While it drains it must say that it wants nothing more, which a poll does.
            Some(mut open) if !draining => {
                follow(shared, &mut open, &mut attempts).await;
                tries.broke(shared, &open);
                None
            }
            _ => poll(shared, draining, &mut changed, &mut tries, &mut attempts).await,
        };
    }
    while let Some(ended) = attempts.join_next().await {
        report(ended);
    }
}

/// Does what a stream says until it breaks or the runner is to leave.
async fn follow(shared: &Arc<Shared>, stream: &mut WorkStream, attempts: &mut JoinSet<()>) {
    tracing::info!("work comes by a stream");
    shared.streaming.send_replace(true);
    let why = loop {
        tokio::select! {
            news = stream.next() => match news {
                Ok(Some(News::Lost(lease))) => shared.table.lost(lease),
                Ok(Some(News::Cancel(lease))) => shared.table.order(lease, Order::Cancel),
                Ok(Some(News::Job(job))) => drop(take(shared, &job, attempts)),
                Ok(Some(News::Drain)) => {
                    tracing::info!("the server asks this runner to drain");
                    shared.stop.drain();
                }
                Ok(None) => break Some("the server ended it".to_owned()),
                Err(error) => break Some(error.to_string()),
            },
            () = shared.stop.draining() => break None,
            Some(ended) = attempts.join_next() => report(ended),
        }
    };
    shared.streaming.send_replace(false);
    if let Some(why) = why {
        tracing::warn!(error = why, "the stream broke: polling until there is another");
    }
}

/// Polls once, and tries to have a stream meanwhile, which is then in the place of further polls.
async fn poll(
    shared: &Arc<Shared>,
    draining: bool,
    changed: &mut watch::Receiver<u64>,
    tries: &mut Tries,
    attempts: &mut JoinSet<()>,
) -> Option<WorkStream> {
    // A try that goes on may have taken the last poll's place: another poll must not take it back.
    if tries.is_opening() {
        let stream = tokio::select! {
            stream = tries.attempt(shared) => stream,
            () = shared.stop.draining() => return None,
        };
        if stream.is_some() {
            return stream;
        }
    }
    let floor = tokio::time::sleep(Duration::from_millis(shared.options.poll_floor_ms));
    let request = request(shared, draining);
    let answer = tokio::select! {
        answer = shared.client.poll(&request) => answer,
        stream = tries.opened(shared) => return Some(stream),
        // What the parked poll says of slots and leases is no longer true. An answer that is
        // lost by this is given again: its leases are not among those of the next poll.
        () = shared.news(changed, draining) => return None,
    };
    let brought_news = match answer {
        Ok(answer) => obey(shared, &answer, attempts),
        Err(error) => {
            let delay = shared.client.backoff().delay(None, &mut OsEntropy);
            tracing::error!(%error, "poll refused: see the server's log for the reason");
            tokio::time::sleep(delay).await;
            false
        }
    };
    // A parked poll took longer than the floor. One that was answered at once, with leases or cancels
    // that are known, must not become a busy loop.
    if !brought_news && !tries.is_opening() {
        tokio::select! {
            () = floor => {}
            () = shared.news(changed, draining) => {}
        }
    }
    None
}

fn request(shared: &Shared, draining: bool) -> PollRequest {
    let options = &shared.options;
    let known = shared.table.len();
    let longest = shared.client.session().answer.poll_wait_max_ms.max(0);
    PollRequest {
        wait_ms: i64::try_from(options.poll_wait_ms).unwrap_or(i64::MAX).min(longest),
        max_jobs: Some(match draining {
            true => 0,
            false => options.slots.saturating_sub(known).min(shared.takes_more()),
        }),
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
    let Some((orders, place)) = shared.table.insert(job.lease, job.nonce) else { return false };
    let draining = shared.stop.is_draining();
    let shared = Arc::clone(shared);
    if !draining {
        shared.count_taken();
        attempts.spawn(Attempt::new(shared, job.clone(), orders, place).run());
        return true;
    }
    let held = HeldLease { lease: job.lease, nonce: job.nonce };
    attempts.spawn(async move {
        tracing::info!(lease = %held.lease, "draining: this job is given back");
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
