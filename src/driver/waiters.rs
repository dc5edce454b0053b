//! Who waits for what the scheduler gives to runners: polls for one answer, streams for all.

use rustc_hash::FxHashMap;
use tokio::sync::{mpsc, oneshot};

use crate::dispatch::Answer;
use crate::model::LeaseToken;
use crate::runner::PollId;
use crate::telemetry::Metrics;

/// Where the answers of one poll or stream go.
#[derive(Debug)]
pub enum Waiter {
    /// To a poll, which has one.
    Poll(oneshot::Sender<Answer>),
    /// To a stream.
    Stream(mpsc::Sender<Box<Answer>>),
}

/// An answer that found nobody.
pub(super) struct Missed {
    /// What it would have given.
    pub(super) leases: Vec<LeaseToken>,
    /// The stream that did not take it, which is over with that: its client is gone, or reads too
    /// slowly.
    pub(super) stream: Option<PollId>,
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    polls: FxHashMap<PollId, oneshot::Sender<Answer>>,
    streams: FxHashMap<PollId, mpsc::Sender<Box<Answer>>>,
}

impl Waiters {
    pub(super) fn add(&mut self, poll_id: PollId, waiter: Waiter) {
        match waiter {
            Waiter::Poll(waiter) => drop(self.polls.insert(poll_id, waiter)),
            Waiter::Stream(waiter) => drop(self.streams.insert(poll_id, waiter)),
        }
    }

    pub(super) fn remove(&mut self, poll_id: PollId) {
        self.polls.remove(&poll_id);
        self.streams.remove(&poll_id);
    }

    /// Hands an answer over, without waiting for anybody.
    pub(super) fn tell(&mut self, answer: Answer) -> Result<(), Missed> {
        let poll_id = answer.poll_id;
        if let Some(stream) = self.streams.get(&poll_id) {
            let ends = answer.ends;
            let told = stream.try_send(Box::new(answer));
            if ends || told.is_err() {
                self.streams.remove(&poll_id);
            }
            return told.map_err(|error| {
                let (mpsc::error::TrySendError::Full(answer)
                | mpsc::error::TrySendError::Closed(answer)) = error;
                Missed { leases: answer.leases(), stream: Some(poll_id) }
            });
        }
        let missed = match self.polls.remove(&poll_id) {
            Some(poll) => poll.send(answer).err(),
            None => Some(answer),
        };
        match missed {
            Some(answer) => Err(Missed { leases: answer.leases(), stream: None }),
            None => Ok(()),
        }
    }

    /// Forgets everybody, who learns of it by that and asks again.
    pub(super) fn clear(&mut self) {
        self.polls.clear();
        self.streams.clear();
    }

    /// Lets everybody go, and polls with an answer.
    pub(super) fn let_go(&mut self) {
        for (poll_id, poll) in self.polls.drain() {
            let _ = poll.send(Answer::nothing(poll_id));
        }
        self.streams.clear();
    }

    /// Shows how many there are.
    pub(super) fn count(&self, metrics: &Metrics) {
        metrics.polls_parked.set(self.polls.len() as i64);
        metrics.runner_streams.set(self.streams.len() as i64);
    }
}
