//! What becomes of commands whose round is not durable.

use std::collections::VecDeque;

use super::batch::Envelope;
use super::decide::{Failure, not_loaded};
use super::flight::Flight;
use super::handle::CommandError;
use super::run::Driver;
use super::views::ServerState;
use crate::dispatch::{Command, Refusal};
use crate::model::{DeliveryState, Plan};
use crate::store::StoreError;

impl Driver {
    /// The commit in hand failed, or it is not known whether it did. What was decided upon it falls
    /// with it: none of that was sent to the store.
    pub(super) async fn fell(&mut self, flight: Flight, error: StoreError) {
        self.ahead_failed = None;
        let ahead = std::mem::take(&mut self.round).envelopes;
        self.round = flight.round;
        let failure = Failure::from(error);
        if matches!(failure, Failure::Culprit(_)) {
            self.inbox.first.extend(ahead);
        } else {
            self.round.envelopes.extend(ahead);
        }
        self.failed(failure).await;
    }

    /// The round could not be decided, or not be sent off.
    pub(super) async fn failed(&mut self, failure: Failure) {
        let batch = std::mem::take(&mut self.round).envelopes;
        match failure {
            Failure::Store(error) => self.not_done(batch, &error),
            Failure::Own(error) => self.not_done(batch, &error),
            Failure::Culprit(why) => {
                tracing::error!(why, commands = batch.len(), "carrying out a batch one by one");
                self.scheduler = None;
                self.one_by_one(batch).await;
            }
        }
    }

    /// Law 12: one bad command hurts only itself. Loads once, then gives each command a
    /// transaction of its own.
    pub(super) async fn one_by_one(&mut self, batch: Vec<Envelope>) {
        let mut rest = VecDeque::from(batch);
        while let Some(mut envelope) = rest.pop_front() {
            if self.scheduler.is_none() {
                self.load().await;
            }
            if self.scheduler.is_none() {
                rest.push_front(envelope);
                return self.not_done(rest.into(), &not_loaded());
            }
            let Err(failed) = self.alone(envelope).await else { continue };
            // It is the only one of its round.
            let Some(returned) = std::mem::take(&mut self.round).envelopes.pop() else { continue };
            envelope = returned;
            self.scheduler = None;
            match failed {
                Failure::Store(error) => {
                    rest.push_front(envelope);
                    return self.not_done(rest.into(), &error);
                }
                Failure::Own(error) => {
                    rest.push_front(envelope);
                    return self.not_done(rest.into(), &error);
                }
                Failure::Culprit(why) => match as_failed(&mut envelope.command, &why) {
                    true => rest.push_front(envelope),
                    false => {
                        let refusal = Refusal::Panicked(why.into());
                        envelope.answer(Err(CommandError::Refused(refusal)));
                    }
                },
            }
        }
    }

    /// This instance leads no more, or could not find out in time that it still does.
    pub(super) fn step_down(&mut self) {
        let batch = std::mem::take(&mut self.round).envelopes;
        self.not_done(batch, &StoreError::NotLeading);
    }

    /// The batch is not durable, or it is not known whether it is, and none of its commands is to
    /// blame. Work that has a key can safely be tried again after the load, so its sender goes on
    /// waiting; everybody else is told to ask again.
    fn not_done(&mut self, batch: Vec<Envelope>, error: &dyn std::fmt::Display) {
        tracing::error!(%error, commands = batch.len(), "a batch was not committed");
        self.scheduler = None;
        self.asked = None;
        self.failures = self.failures.saturating_add(1);
        self.views.set_state(ServerState::StoreUnavailable);
        // Whoever polls asks again and is then told what it was given.
        self.parked.clear();
        self.parked.count(&self.options.metrics);
        for envelope in batch {
            if envelope.command.is_intake() && envelope.command.unique_key().is_some() {
                self.inbox.put_off(envelope);
            } else {
                envelope.answer(Err(CommandError::Unavailable));
            }
        }
    }
}

/// A delivery that our own code fails on is stored as failed, to be replayed once that is mended.
/// Whether the command was one.
fn as_failed(command: &mut Command, why: &str) -> bool {
    let deliver = match command {
        Command::Deliver(deliver) => deliver,
        Command::Fire(fire) => match &mut fire.deliver {
            Some(deliver) => deliver,
            None => return false,
        },
        _ => return false,
    };
    if deliver.delivery.state == DeliveryState::Failed {
        return false;
    }
    deliver.plan = Plan::default();
    deliver.delivery.state = DeliveryState::Failed;
    deliver.delivery.reason = Some(why.into());
    true
}
