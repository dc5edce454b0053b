//! A round on its way to the disk, and what is decided meanwhile.
//!
//! ```text
//!   commit of n      |##########|                |##########|
//!   decide n+1         ####### settle, send off               the commands that arrive beside it
//!   speak of n                            ####
//! ```
//!
//! Deciding costs about as much as writing, so both at the same time nearly doubles what one
//! instance carries. Law 1 stands: one round at a time is with the store, and of what is decided
//! beside its commit nobody hears before its own. Until then the scheduler is ahead of the rows, so
//! while somebody waits for the answer to a question nothing is decided ahead. A command with a
//! unique key waits for the transaction that claims it.

use std::pin::Pin;
use std::sync::Arc;

use super::batch::Envelope;
use super::decide::{Failure, Round, claim};
use super::handle::Control;
use super::run::Driver;
use super::seat;
use crate::dispatch::{Output, Verdict};
use crate::model::Now;
use crate::store::{Batch, Lent, StoreError};

/// Of so many commands it is spoken before the next round is sent off: that takes less than the
/// statements which claim its keys.
const SAID_FIRST_MAX: usize = 64;

/// A commit that is waited for beside other work; it is part of the driver, no task of its own.
type Commit = Pin<Box<dyn Future<Output = Result<Lent, StoreError>> + Send>>;

/// A round that was decided, and is being committed.
pub(super) struct Flight {
    pub(super) round: Round,
    /// What follows, without the rows.
    pub(super) output: Output,
    /// `None` when the round changes no row: idle polls, heartbeats. Then there is no transaction.
    commit: Option<Commit>,
    /// When it was decided (wall).
    wall_ms: i64,
    /// When it was sent off, in seconds.
    began: f64,
}

impl Driver {
    /// Waits for the commit in hand, if there is one, sends the next round after it, and only then
    /// speaks of the first, unless that is short: the disk does not wait for long talk, and nobody
    /// waits for the disk longer than he must.
    pub(super) async fn turn(&mut self) {
        if let Some(mut flight) = self.flight.take() {
            let landed = self.land(&mut flight).await;
            self.say();
            match landed {
                Ok(()) => {
                    let few = flight.round.envelopes.len() <= SAID_FIRST_MAX;
                    self.unsaid = Some(flight);
                    if few {
                        self.say();
                    }
                }
                Err(error) => return self.fell(flight, error).await,
            }
        }
        if self.round.envelopes.is_empty() && self.asked.is_some() {
            self.say();
            self.answer_questions();
        }
        let max = self.options.limits.batch_commands_max;
        let batch = self.inbox.take(max.saturating_sub(self.round.envelopes.len()));
        // After a second failure in a row one of the commands may be the reason, such as a row
        // for which the disk has no room: then the others are not kept from theirs.
        if self.failures > 1 && batch.len() > 1 {
            return self.one_by_one(batch).await;
        }
        let sent = self.send_off(batch).await;
        if let Ok(flight) = sent {
            if flight.commit.is_some() {
                self.flight = Some(flight);
                return;
            }
            self.say();
            self.speak(flight);
            self.answer_questions();
        } else if let Err(failure) = sent {
            self.say();
            self.failed(failure).await;
        }
    }

    /// Decides one command alone and waits for its commit. After a failure it is the round's.
    pub(super) async fn alone(&mut self, envelope: Envelope) -> Result<(), Failure> {
        let mut flight = self.send_off(vec![envelope]).await?;
        if let Some(commit) = flight.commit.take() {
            match self.while_seated(commit).await {
                Ok(lent) => self.landed(&flight, lent),
                Err(error) => {
                    self.round = flight.round;
                    return Err(error.into());
                }
            }
        }
        self.speak(flight);
        Ok(())
    }

    /// Waits for a commit, speaks of the one before it, and applies what arrives.
    async fn land(&mut self, flight: &mut Flight) -> Result<(), StoreError> {
        let Some(mut commit) = flight.commit.take() else { return Ok(()) };
        let max = self.options.limits.batch_commands_max;
        let unseated = seat::unseated(Arc::clone(&self.views), Arc::clone(&self.options.clock));
        tokio::pin!(unseated);
        let lent = loop {
            let used = self.round.envelopes.len() + self.inbox.first.len();
            let ahead = self.asked.is_none() && self.ahead_failed.is_none();
            let ahead = ahead && !self.inbox.stopping;
            tokio::select! {
                biased;
                lent = &mut commit => break lent?,
                () = &mut unseated => return Err(StoreError::NotLeading),
                () = std::future::ready(()), if self.unsaid.is_some() => self.say(),
                Some(question) = self.questions.recv(), if self.asked.is_none() => {
                    self.asked = Some(question);
                }
                control = self.inbox.control.recv(), if ahead && used < max - max / 4 => {
                    match control {
                        Some(Control::Command(envelope)) => self.apply_ahead(envelope),
                        Some(Control::Stop) | None => self.inbox.stopping = true,
                    }
                }
                Some(envelope) = self.inbox.intake.recv(), if ahead && used < max => {
                    self.apply_ahead(envelope);
                }
            }
        };
        self.landed(flight, lent);
        Ok(())
    }

    /// As [`seat::while_seated`].
    async fn while_seated<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let (views, clock) = (Arc::clone(&self.views), Arc::clone(&self.options.clock));
        seat::while_seated(views, clock, work).await
    }

    /// Applies a command beside a commit, unless it must wait for that or nobody wants it any more.
    /// New work behind such work waits too, so that it keeps its order.
    fn apply_ahead(&mut self, envelope: Envelope) {
        let command = &envelope.command;
        let behind = command.is_intake() && !self.inbox.first.is_empty();
        if behind || command.unique_key().is_some() {
            self.inbox.first.push_back(envelope);
        } else if !envelope.is_unwanted() {
            self.ahead_failed = self.apply(envelope, Verdict::New).err();
        }
    }

    fn landed(&mut self, flight: &Flight, lent: Lent) {
        self.options.writer.take_back(lent);
        self.views.committed(flight.wall_ms);
        self.failures = 0;
        let (metrics, many) = (&self.options.metrics, flight.round.envelopes.len());
        metrics.batch_commands.observe(many as f64);
        metrics.decision_seconds.observe(flight.round.seconds / many.max(1) as f64);
        metrics.commit_seconds.observe(self.options.clock.seconds() - flight.began);
    }

    /// Speaks of what was committed last, if that is still to be done.
    fn say(&mut self) {
        if let Some(flight) = self.unsaid.take() {
            self.speak(flight);
        }
    }

    /// Applies these too, settles the round and sends it to the store, where nothing else may be.
    /// After a failure all commands are still the round's.
    async fn send_off(&mut self, batch: Vec<Envelope>) -> Result<Flight, Failure> {
        let mut batch = batch.into_iter();
        let decided = self.decide(&mut batch).await;
        self.round.envelopes.extend(batch);
        let (open, now, mut output) = decided?;
        let (began, wall_ms) = (self.options.clock.seconds(), now.wall_ms);
        let changes = std::mem::take(&mut output.changes);
        let mut commit = None;
        if !changes.is_empty() {
            let open = match open {
                Some(open) => open,
                None => {
                    let lent = self.options.writer.lend()?;
                    self.while_seated(lent.begin()).await?
                }
            };
            let (epoch, marks) = (self.views.epoch(), output.marks);
            let ending = async move { open.commit(epoch, &changes, marks, wall_ms).await };
            commit = Some(Box::pin(ending) as Commit);
        } else if let Some(open) = open {
            let lent = self.while_seated(open.rollback()).await?;
            self.options.writer.take_back(lent);
        }
        Ok(Flight { round: std::mem::take(&mut self.round), output, commit, wall_ms, began })
    }

    /// Claims the keys of a batch, applies it and settles. What was not reached is left in it.
    async fn decide(
        &mut self,
        batch: &mut std::vec::IntoIter<Envelope>,
    ) -> Result<(Option<Batch>, Now, Output), Failure> {
        if let Some(failure) = self.ahead_failed.take() {
            return Err(failure);
        }
        let keys: Vec<_> = batch.as_slice().iter().map(|it| it.command.unique_key()).collect();
        let mut verdicts = vec![Verdict::New; keys.len()];
        let mut open = None;
        if keys.iter().any(Option::is_some) {
            let lent = self.options.writer.lend()?;
            let open = open.insert(self.while_seated(lent.begin()).await?);
            let now = self.now();
            self.while_seated(claim(open, &keys, now, &mut verdicts)).await?;
        }
        for verdict in verdicts {
            let Some(envelope) = batch.next() else { break };
            self.apply(envelope, verdict)?;
        }
        let (now, output) = self.settle()?;
        Ok((open, now, output))
    }
}
