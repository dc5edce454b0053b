//! Faults that only a test plants: does the simulator notice them?
//!
//! A checker that has never failed may be blind. So `tests/sim` plays its worlds with a fault planted
//! and must fail each time. It plants most of them itself, in what goes into a scheduler and what
//! comes out; here are those that can only be inside a decision. [`Settings::planted`] turns one of
//! them on. No configuration names it, and where nobody does there is none.
//!
//! [`Settings::planted`]: super::Settings::planted

use super::scheduler::Scheduler;

/// What goes wrong.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Planted {
    /// A job may run when the first of its needs has ended.
    ReadyEarly,
    /// New jobs are not told what ended before they came.
    DeadParent,
    /// A cancel is forgotten when the attempt is lost.
    CancelForgotten,
    /// A lost lease is not counted against the job.
    LossNotCounted,
    /// A pool gives out jobs while it is paused.
    PausedPoolServed,
    /// The runner that a job avoids gets it.
    AvoidedTakes,
    /// Jobs that are kept apart meet.
    ApartMeet,
    /// Units of resources do not come back.
    UnitsKept,
    /// Quotas do not come back.
    QuotaKept,
    /// Tenants are not charged.
    ShareNotCharged,
    /// Waits for each other stay.
    CycleKept,
    /// A failure stops nobody.
    FateNotShared,
    /// Whoever ends stays in its group.
    GroupKept,
    /// Limits on jobs that run at once do not count.
    LimitIgnored,
    /// Nobody hears that a job waits for a decision.
    NotTold,
    /// Who needs a job does not need those that stand in its place.
    PlaceForgotten,
    /// The body of a delivery is forgotten whose jobs wait or run.
    LivePruned,
    /// A workload is forgotten that something live needs.
    NeededPruned,
}

impl Scheduler {
    /// Whether a test planted this.
    pub(super) fn planted(&self, fault: Planted) -> bool {
        self.settings.planted == Some(fault)
    }
}
