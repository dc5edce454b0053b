//! The leases that the runner knows of, and what each attempt is ordered to do.
//!
//! Where polls, heartbeats, signals and attempts meet. An attempt is in the table from its
//! assignment until the server has answered its end: that is what `leases` of a poll names and
//! what uses a slot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::api::wire::HeldLease;
use crate::model::{LeaseToken, Nonce};

/// What an attempt is to do. It only ever gets stronger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Order {
    /// Do the work.
    Work,
    /// Stop it and complete as cancelled.
    Cancel,
    /// Stop it and give it back: the runner is forced to leave.
    GiveBack,
    /// Kill it and say nothing: the lease belongs to somebody else.
    Forget,
}

#[derive(Debug)]
struct Entry {
    nonce: Nonce,
    /// Written here, read by the attempt.
    order: watch::Sender<Order>,
}

/// All known leases. The version in `changed` grows when one comes or goes.
#[derive(Debug)]
pub(super) struct LeaseTable {
    entries: Mutex<BTreeMap<LeaseToken, Entry>>,
    changed: watch::Sender<u64>,
}

impl LeaseTable {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { entries: Mutex::default(), changed: watch::Sender::new(0) })
    }

    /// Takes a lease in; `None` when it is known already, which repeated answers are.
    pub(super) fn insert(
        self: &Arc<Self>,
        lease: LeaseToken,
        nonce: Nonce,
    ) -> Option<(watch::Receiver<Order>, Membership)> {
        let mut entries = self.entries();
        if entries.contains_key(&lease) {
            return None;
        }
        let (order, orders) = watch::channel(Order::Work);
        entries.insert(lease, Entry { nonce, order });
        drop(entries);
        self.changed.send_modify(|version| *version += 1);
        Some((orders, Membership { table: Arc::clone(self), lease }))
    }

    /// Orders one attempt; one that has gone hears nothing, and an order that is repeated is one.
    pub(super) fn order(&self, lease: LeaseToken, order: Order) {
        if let Some(entry) = self.entries().get(&lease) {
            raise(entry, order);
        }
    }

    /// The lease belongs to somebody else, or to nobody.
    pub(super) fn lost(&self, lease: LeaseToken) {
        if let Some(entry) = self.entries().get(&lease)
            && raise(entry, Order::Forget)
        {
            tracing::warn!(%lease, "lease lost: its work is killed");
        }
    }

    /// Orders every attempt.
    pub(super) fn order_all(&self, order: Order) {
        for entry in self.entries().values() {
            raise(entry, order);
        }
    }

    /// Leases with both halves, for a heartbeat.
    pub(super) fn held(&self) -> Vec<HeldLease> {
        let entries = self.entries();
        entries.iter().map(|(lease, e)| HeldLease { lease: *lease, nonce: e.nonce }).collect()
    }

    /// Leases, for a poll.
    pub(super) fn tokens(&self) -> Vec<LeaseToken> {
        self.entries().keys().copied().collect()
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.entries().len()).unwrap_or(u32::MAX)
    }

    /// Hears of leases that come or go after this call.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<LeaseToken, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the order is a stronger one than before.
fn raise(entry: &Entry, order: Order) -> bool {
    entry.order.send_if_modified(|now| {
        let stronger = order > *now;
        *now = order.max(*now);
        stronger
    })
}

/// The attempt's place in the table; dropping it, even by a panic, frees the slot.
#[derive(Debug)]
pub(super) struct Membership {
    table: Arc<LeaseTable>,
    lease: LeaseToken,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.table.entries().remove(&self.lease);
        self.table.changed.send_modify(|version| *version += 1);
    }
}

/// Waits until the order is at least this strong; answers with it.
pub(super) async fn ordered(orders: &mut watch::Receiver<Order>, at_least: Order) -> Order {
    let reached = orders.wait_for(|order| *order >= at_least).await.map(|order| *order);
    match reached {
        Ok(order) => order,
        // The entry goes only with the attempt's own membership.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_taken_once_and_frees_its_slot_when_its_attempt_ends() {
        let table = LeaseTable::new();
        let place = table.insert(LeaseToken(5), Nonce(1));
        assert!(place.is_some());
        assert!(table.insert(LeaseToken(5), Nonce(1)).is_none());
        assert_eq!((table.len(), table.tokens()), (1, vec![LeaseToken(5)]));
        drop(place);
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn an_order_is_never_weakened() {
        let table = LeaseTable::new();
        let (orders, _place) = table.insert(LeaseToken(5), Nonce(1)).expect("new");
        table.order(LeaseToken(5), Order::Forget);
        table.order_all(Order::Cancel);
        assert_eq!(*orders.borrow(), Order::Forget);
    }
}
