//! The pure part of a round: lets time pass, applies each command, matches once. And what of it
//! needs the store first: the claims of unique keys.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use super::batch::Envelope;
use super::run::Driver;
use crate::dispatch::{Output, Refusal, Reply, Verdict};
use crate::model::{Now, UniqueKey};
use crate::store::{Batch, Claim, StoreError};

/// What was decided together, and is one transaction: commands with their replies.
#[derive(Default)]
pub(super) struct Round {
    /// The commands, in the order in which they were applied.
    pub(super) envelopes: Vec<Envelope>,
    /// One for each of them.
    pub(super) replies: Vec<Result<Reply, Refusal>>,
    /// Seconds that were spent on deciding.
    pub(super) seconds: f64,
}

/// Why a round is not durable. The scheduler in memory is then worthless.
pub(super) enum Failure {
    /// The store could not be written, or it is not known whether it was.
    Store(StoreError),
    /// Something in the round is wrong, in its data or in our code.
    Culprit(String),
    /// Our code failed on none of the commands: while time passed, or while jobs were matched.
    Own(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_data() { Self::Culprit(error.to_string()) } else { Self::Store(error) }
    }
}

impl Driver {
    /// Applies a command, which from here on is the round's, come what may.
    pub(super) fn apply(&mut self, envelope: Envelope, verdict: Verdict) -> Result<(), Failure> {
        let began = self.options.clock.seconds();
        let command = envelope.command.clone();
        self.round.envelopes.push(envelope);
        let now = self.pass_time()?;
        let Some(scheduler) = self.scheduler.as_mut() else {
            return Err(Failure::Store(not_loaded()));
        };
        let entropy = &mut *self.options.entropy;
        let probe = self.options.probe.as_deref();
        let reply = guarded(|| {
            if let Some(probe) = probe {
                probe(&command);
            }
            scheduler.apply(now, command, verdict, entropy)
        });
        self.round.replies.push(reply.map_err(Failure::Culprit)?);
        self.round.seconds += self.options.clock.seconds() - began;
        Ok(())
    }

    /// Matches, once all is applied, and says what follows from the round.
    pub(super) fn settle(&mut self) -> Result<(Now, Output), Failure> {
        let began = self.options.clock.seconds();
        let now = self.pass_time()?;
        let Some(scheduler) = self.scheduler.as_mut() else {
            return Err(Failure::Store(not_loaded()));
        };
        let entropy = &mut *self.options.entropy;
        let output = guarded(|| {
            scheduler.settle(now, entropy);
            scheduler.take_output()
        });
        self.round.seconds += self.options.clock.seconds() - began;
        Ok((now, output.map_err(Failure::Own)?))
    }

    /// Lets time pass in the scheduler, once a millisecond at most. A fault in it is our own, so
    /// that nobody is blamed for what he did not bring.
    fn pass_time(&mut self) -> Result<Now, Failure> {
        let now = self.now();
        if let Some(scheduler) = self.scheduler.as_mut().filter(|_| self.ticked_at != Some(now)) {
            let entropy = &mut *self.options.entropy;
            let looked_at = self.ticked_at.unwrap_or(now);
            let away_ms = self.absence.between(looked_at.mono_ms, now.mono_ms);
            if let Some(away_ms) = away_ms {
                tracing::warn!(away_ms, "no runner could be heard: every lease gets a full term");
            }
            let pass = || {
                if away_ms.is_some() {
                    scheduler.listen_again(now);
                }
                scheduler.tick(now, entropy);
            };
            guarded(pass).map_err(Failure::Own)?;
            self.ticked_at = Some(now);
        }
        Ok(now)
    }
}

/// Runs our own code; a panic in it becomes its text.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(run)).map_err(|panic| panic_text(&*panic))
}

/// Claims the keys of commands, before any of them is applied.
pub(super) async fn claim(
    batch: &mut Batch,
    keys: &[Option<(UniqueKey, Box<str>)>],
    now: Now,
    verdicts: &mut [Verdict],
) -> Result<(), StoreError> {
    let (places, keys): (Vec<_>, Vec<_>) =
        keys.iter().enumerate().filter_map(|(at, key)| Some((at, key.clone()?))).unzip();
    let claims = batch.claim(&keys, now.wall_ms).await?;
    for (at, claim) in places.into_iter().zip(claims) {
        if let Claim::Taken(first) = claim {
            verdicts[at] = Verdict::Duplicate(first);
        }
    }
    Ok(())
}

/// What everybody is told between a failed commit and the next load.
pub(super) fn not_loaded() -> StoreError {
    let what = "the live jobs could not be loaded".to_owned();
    StoreError::Unavailable { statement: "load", what }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a fault in the server: {}", text.unwrap_or("no message"))
}
