//! Live leases and the timers of everything that ends by itself. Times here are monotonic.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;

use crate::model::{JobId, LeaseRef, LeaseToken, Nonce, RunnerId, TenantId};
use crate::runner::PollId;

/// Who may speak for a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaseOwner {
    /// The job.
    pub job_id: JobId,
    /// The attempt.
    pub attempt: u32,
    /// The runner.
    pub runner_id: RunnerId,
    /// The unguessable half.
    pub nonce: Nonce,
}

/// When a lease ends unless something is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct LiveLease {
    pub(super) owner: LeaseOwner,
    /// What its tenant was charged for it.
    pub(super) charged_ms: i64,
    /// Start (while claimed) or heartbeat (while running) is due.
    pub(super) renew_by_ms: i64,
    /// The job's timeout and grace are over; set at the start.
    pub(super) run_until_ms: i64,
    /// The grace after a cancel request is over; set by the request.
    pub(super) stop_by_ms: i64,
}

impl LiveLease {
    pub(super) fn due_ms(&self) -> i64 {
        self.renew_by_ms.min(self.run_until_ms).min(self.stop_by_ms)
    }
}

/// Something that may be due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Timer {
    Lease(LeaseToken),
    Silence(RunnerId),
    PollEnd(PollId),
    /// A runner's cool-off is over.
    Health(RunnerId),
    /// A tenant's rate may let the next job through.
    Rate(TenantId),
}

/// All live leases, and one heap of timers.
///
/// A timer is not moved when its lease is renewed: when it comes up, whoever handles it looks at
/// the real time and sets it again. So a heartbeat costs no heap operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    by_token: FxHashMap<LeaseToken, LiveLease>,
    timers: BinaryHeap<Reverse<(i64, Timer)>>,
}

impl Leases {
    pub(super) fn insert(&mut self, token: LeaseToken, lease: LiveLease) {
        self.set_timer(lease.due_ms(), Timer::Lease(token));
        self.by_token.insert(token, lease);
    }

    pub(super) fn remove(&mut self, token: LeaseToken) -> Option<LiveLease> {
        self.by_token.remove(&token)
    }

    pub(super) fn get(&self, token: LeaseToken) -> Option<&LiveLease> {
        self.by_token.get(&token)
    }

    /// The lease, if the caller named both halves and is its owner.
    pub(super) fn check(&self, lease: LeaseRef) -> Option<&LiveLease> {
        self.by_token.get(&lease.token).filter(|live| {
            live.owner.nonce == lease.nonce && live.owner.runner_id == lease.runner_id
        })
    }

    /// Changes a lease's times; when it may now be due earlier, a timer is added.
    pub(super) fn update(&mut self, token: LeaseToken, change: impl FnOnce(&mut LiveLease)) {
        let Some(lease) = self.by_token.get_mut(&token) else { return };
        let before = lease.due_ms();
        change(lease);
        let after = lease.due_ms();
        if after < before {
            self.set_timer(after, Timer::Lease(token));
        }
    }

    /// Changes the times of all leases, none of which may be due earlier by that.
    pub(super) fn extend(&mut self, mut change: impl FnMut(&mut LiveLease)) {
        self.by_token.values_mut().for_each(&mut change);
    }

    pub(super) fn set_timer(&mut self, at_ms: i64, timer: Timer) {
        self.timers.push(Reverse((at_ms, timer)));
    }

    /// Takes out the next timer that has come up.
    pub(super) fn pop_due(&mut self, mono_ms: i64) -> Option<Timer> {
        let Reverse((at_ms, _)) = self.timers.peek()?;
        if *at_ms > mono_ms {
            return None;
        }
        self.timers.pop().map(|Reverse((_, timer))| timer)
    }

    pub(super) fn next_due_ms(&self) -> Option<i64> {
        self.timers.peek().map(|Reverse((at_ms, _))| *at_ms)
    }

    pub(super) fn len(&self) -> usize {
        self.by_token.len()
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = (LeaseToken, LeaseOwner)> {
        self.by_token.iter().map(|(token, lease)| (*token, lease.owner))
    }
}
