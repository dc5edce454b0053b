//! A scheduler that a fault may be planted in: does the checker notice?
//!
//! The worlds talk to the scheduler through [`Core`], which hands on what it is told. With a fault it
//! tampers with that: with the settings (`settings`), with the policies (`policies`), with commands
//! before they are heard (`heard`), with rows before they are written or after they were read
//! (`rows`). So the fault is one of the whole product, and the product's code knows nothing of it.
//! The few that can only be inside a decision are the product's own [`Planted`].
//!
//! What a fault tampers with is consistent in itself wherever that is possible: memory equals a load,
//! and only the check that is about the thing itself can notice.

mod heard;
mod policies;
mod rows;
mod settings;
mod tests;

use std::collections::BTreeMap;
use std::ops::Deref;

use dispatchyard::dispatch::{
    Command, Durable, LeaseChange, LeaseOwner, Output, Planted, Refusal, Reply, Scheduler,
    Settings, Verdict,
};
use dispatchyard::model::{Entropy, LeaseToken, Now, RunnerId, Snapshot};

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Inside a decision.
    Inside(Planted),
    /// A lease that has ended still speaks for the job.
    NoFence,
    /// Whoever knows a token need not know the nonce.
    NonceIgnored,
    /// A repeated poll is not told again what it was given.
    RepeatForgotten,
    /// What a client that left was given stays with it.
    UndeliveredKept,
    /// A group lets in one more than it may.
    GroupOffByOne,
    /// An answer goes out though its commit failed. The world itself does this.
    SpeaksTooSoon,
    /// A commit that was said to fail, and did not, is taken for one that did. So does this.
    AmbiguousForgotten,
    /// A load does not raise the epoch.
    TokensAgain,
    /// A load forgets that jobs wait for a time.
    LoadForgetsTime,
    /// A load forgets how often jobs were tried.
    LoadForgetsRetries,
    /// A load forgets that cancels were asked for.
    LoadForgetsCancels,
    /// A load forgets which runners jobs avoid.
    LoadForgetsAvoided,
    /// The row of a job that starts is not written.
    RowLost,
    /// The end of an attempt is written twice.
    EndedTwice,
    /// Units of resources are all number 0.
    UnitTwice,
    /// A runner that takes nothing new gets jobs.
    CordonIgnored,
    /// The most urgent jobs come last.
    UrgentLast,
    /// The tenant that had most goes first.
    GreedyFirst,
    /// The busiest runner gets the job.
    BusiestFirst,
    /// Waiting raises nobody.
    NoAging,
    /// A due start raises nobody.
    NoDueStart,
    /// A job is held for a runner for ever.
    HeldForEver,
    /// A job is held for no runner.
    NeverHeld,
    /// Nobody who was overtaken gets a reservation.
    NoReservation,
    /// A job whose runners are lost is never given up.
    NeverPoisoned,
    /// Quotas of tenants do not count.
    NoQuota,
    /// All tenants weigh the same.
    NoWeights,
    /// Pools have no maximum.
    NoPoolMaximum,
    /// There is no global maximum.
    NoGlobalMaximum,
    /// A resource has one unit more than there are.
    OneUnitMore,
    /// What a runner's jobs require is not taken from what it offers.
    NothingReserved,
    /// The queue takes whatever comes.
    QueueHasNoEnd,
    /// Leases do not end by silence.
    LeaseForEver,
    /// Jobs that were given and not started do not come back.
    AckForEver,
    /// A runner need not stop what was cancelled.
    CancelGraceForEver,
    /// Nobody waits before the next try.
    NoBackoff,
    /// Nobody is given up for waiting too long.
    NoQueueTimeout,
    /// Silent runners count as there.
    NeverOffline,
    /// The key of a delivery goes with its body.
    KeyPrunedWithBody,
}

/// The scheduler of a world, sound or not.
#[derive(Clone)]
pub(crate) struct Core {
    inner: Scheduler,
    fault: Option<Fault>,
    /// Every lease that ever was.
    owners: BTreeMap<LeaseToken, LeaseOwner>,
    /// Runners of which it is not known that they take nothing new.
    cordons: BTreeMap<RunnerId, Box<str>>,
}

impl Deref for Core {
    type Target = Scheduler;

    fn deref(&self) -> &Scheduler {
        &self.inner
    }
}

impl Core {
    pub(crate) fn load(
        mut snapshot: Snapshot,
        mut settings: Settings,
        now: Now,
        fault: Option<Fault>,
    ) -> Self {
        let cordons = rows::read(fault, &mut snapshot);
        settings::tamper(fault, &mut settings);
        let inner = Scheduler::load(snapshot, settings, now);
        Self { inner, fault, owners: BTreeMap::new(), cordons }
    }

    /// What the same server would be after a restart.
    pub(crate) fn loaded(&self, snapshot: Snapshot, settings: Settings, now: Now) -> Self {
        Self::load(snapshot, settings, now, self.fault)
    }

    /// The same server restarts.
    pub(crate) fn load_again(&mut self, snapshot: Snapshot, settings: Settings, now: Now) {
        let owners = std::mem::take(&mut self.owners);
        *self = Self { owners, ..self.loaded(snapshot, settings, now) };
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(crate) fn tick(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.inner.tick(now, entropy);
    }

    pub(crate) fn settle(&mut self, now: Now, entropy: &mut dyn Entropy) {
        self.inner.settle(now, entropy);
    }

    pub(crate) fn apply(
        &mut self,
        now: Now,
        command: Command,
        entropy: &mut dyn Entropy,
    ) -> Result<Reply, Refusal> {
        self.apply_as(now, command, Verdict::New, entropy)
    }

    pub(crate) fn apply_as(
        &mut self,
        now: Now,
        command: Command,
        verdict: Verdict,
        entropy: &mut dyn Entropy,
    ) -> Result<Reply, Refusal> {
        match self.hear(command) {
            Ok(command) => self.inner.apply(now, command, verdict, entropy),
            Err(reply) => Ok(reply),
        }
    }

    pub(crate) fn take_output(&mut self) -> Output {
        let mut output = self.inner.take_output();
        for change in &output.leases {
            if let LeaseChange::Began(token, owner) = change {
                self.owners.insert(*token, *owner);
            }
        }
        self.tamper_with_changes(&mut output.changes);
        output
    }

    pub(crate) fn durable(&self) -> Durable {
        let mut durable = self.inner.durable();
        for (id, why) in &self.cordons {
            if let Some(runner) = durable.runners.get_mut(id) {
                runner.cordoned = Some(why.clone());
            }
        }
        durable
    }
}
