//! What is said once a round is durable.

use super::batch::Envelope;
use super::decide::{Round, tell};
use super::flight::Flight;
use super::handle::CommandError;
use super::run::Driver;
use crate::dispatch::{Command, LeaseChange};

impl Driver {
    /// Everything is durable: tells everyone who waits.
    pub(super) fn speak(&mut self, flight: Flight) {
        let Flight { round: Round { envelopes, replies, .. }, output, .. } = flight;
        self.views.apply_leases(&output.leases);
        if let Some(ended) = &self.options.ended {
            for change in &output.leases {
                if let LeaseChange::Ended(_, owner) = change {
                    let _ = ended.try_send(*owner);
                }
            }
        }
        self.views.apply_credentials(output.credentials);
        tell(&self.options.metrics, &output.records);
        self.views.records.push(output.records);
        for (mut envelope, reply) in envelopes.into_iter().zip(replies) {
            match (&envelope.command, envelope.poll.take()) {
                (Command::Poll(poll), Some(waiter)) if reply.is_ok() => {
                    self.parked.insert(poll.poll_id, waiter);
                }
                (Command::PollGone(poll_id), _) => drop(self.parked.remove(poll_id)),
                _ => {}
            }
            envelope.answer(reply.map_err(CommandError::Refused));
        }
        let mut undelivered = Vec::new();
        for answer in output.answers {
            let Some(waiter) = self.parked.remove(&answer.poll_id) else {
                undelivered.extend(answer.jobs.iter().map(|job| job.lease.token));
                continue;
            };
            if let Err(answer) = waiter.send(answer) {
                undelivered.extend(answer.jobs.iter().map(|job| job.lease.token));
            }
        }
        self.options.metrics.polls_parked.set(self.parked.len() as i64);
        if !undelivered.is_empty() {
            let command = Command::Undelivered(undelivered);
            self.inbox.first.push_back(Envelope { command, reply: None, poll: None });
        }
    }
}
