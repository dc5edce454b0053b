//! Who waits in one pool, in order; who takes new jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use crate::runner::{RunnerSlot, SelectionPolicy};

/// The runners of one pool.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    pub(super) policy: Arc<dyn SelectionPolicy>,
    /// Runners that have room and a poll, best first.
    pub(super) waiting: BTreeMap<(u64, u64), RunnerSlot>,
    /// The same as bits by their places, to be met with those that fit a class.
    pub(super) waiting_slots: FixedBitSet,
    /// Runners that have room, and no poll just now, least loaded first.
    pub(super) absent: BTreeSet<(u64, RunnerSlot)>,
    /// Jobs that its runners have from us.
    pub(super) running: u64,
}

impl Pool {
    /// Nobody yet.
    pub(super) fn new(policy: Arc<dyn SelectionPolicy>) -> Self {
        Self {
            policy,
            waiting: BTreeMap::new(),
            waiting_slots: FixedBitSet::new(),
            absent: BTreeSet::new(),
            running: 0,
        }
    }

    pub(super) fn enter(&mut self, rank: (u64, u64), slot: RunnerSlot) {
        let other = self.waiting.insert(rank, slot);
        debug_assert!(other.is_none(), "two runners have rank {rank:?}");
        self.waiting_slots.grow_and_insert(slot.0);
    }

    pub(super) fn leave(&mut self, rank: &(u64, u64)) {
        if let Some(slot) = self.waiting.remove(rank) {
            self.waiting_slots.remove(slot.0);
        }
    }
}

/// Runners that take new jobs, as bits by their places.
#[derive(Clone, Debug, Default)]
pub(super) struct Open {
    /// Those that are online.
    pub(super) all: FixedBitSet,
    /// Of these, those that have room for one.
    pub(super) roomy: FixedBitSet,
}

impl Open {
    pub(super) fn note(&mut self, slot: RunnerSlot, is_open: bool, is_roomy: bool) {
        for (bits, is) in [(&mut self.all, is_open), (&mut self.roomy, is_roomy)] {
            bits.grow(slot.0 + 1);
            bits.set(slot.0, is);
        }
    }
}
