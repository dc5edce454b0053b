//! Fair shares: how much each tenant has had, as weighted virtual time.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996) over jobs: a tenant is charged the time that
//! its job is expected to take, divided by its weight, when the job is given out, and the tenant
//! with the least virtual time is next. When the job ends the charge is corrected: a job that took
//! longer adds the rest, one that was shorter leaves a credit, from which later charges are paid.
//! So virtual time never falls, which lets the queue keep what it worked out before. A tenant that
//! returns after a while is lifted to the least of those that have work: absence is not saved up.
//!
//! Bound: between two tenants that have jobs at one level all the time, what they were charged
//! differs by weight by at most one largest charge of each.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::model::TenantId;

/// Virtual time of one millisecond at weight 1: leaves room for weights up to this.
const SCALE: u64 = 1_000;

#[derive(Clone, Copy, Debug, Default)]
struct Share {
    /// Never falls.
    virtual_time: u64,
    /// Charges that were too high and are not used up.
    credit: u64,
    /// Jobs that could be given out or are with runners.
    active: u64,
    /// All that was charged and corrected, in milliseconds.
    used_ms: u64,
}

/// What each tenant has had.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    tenants: FxHashMap<TenantId, Share>,
    weights: FxHashMap<TenantId, u32>,
    /// Tenants with active jobs, by virtual time.
    active: BTreeSet<(u64, TenantId)>,
}

/// A tenant's share as people are shown it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShareUsage {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its weight.
    pub weight: u32,
    /// Time of runners that it was charged, in milliseconds.
    pub used_ms: u64,
    /// How far it is ahead of the tenant that is next, in milliseconds of its own time.
    pub ahead_ms: u64,
    /// Its virtual time: the smallest is next.
    pub virtual_time: u64,
    /// Charges that were too high and are not used up, as virtual time.
    pub credit: u64,
}

impl Shares {
    /// Shares by these weights; who is not among them has weight 1.
    pub fn new(weights: impl IntoIterator<Item = (TenantId, u32)>) -> Self {
        Self { weights: weights.into_iter().collect(), ..Self::default() }
    }

    fn weight(&self, tenant: TenantId) -> u64 {
        self.weights.get(&tenant).map_or(1, |weight| u64::from((*weight).max(1)))
    }

    /// The tenant's virtual time: the smallest is next.
    pub fn virtual_time(&self, tenant: TenantId) -> u64 {
        self.tenants.get(&tenant).map_or(0, |share| share.virtual_time)
    }

    /// A job of the tenant can be given out, or is with a runner again.
    pub fn enter(&mut self, tenant: TenantId) {
        let least = self.active.first().map(|(time, _)| *time);
        let share = self.tenants.entry(tenant).or_default();
        share.active += 1;
        if share.active == 1 {
            share.virtual_time = share.virtual_time.max(least.unwrap_or(0));
            self.active.insert((share.virtual_time, tenant));
        }
    }

    /// A job of the tenant is neither any more.
    pub fn leave(&mut self, tenant: TenantId) {
        let Some(share) = self.tenants.get_mut(&tenant) else { return };
        share.active = share.active.saturating_sub(1);
        if share.active == 0 {
            self.active.remove(&(share.virtual_time, tenant));
        }
    }

    /// A job that is expected to take so long is given out.
    pub fn charge(&mut self, tenant: TenantId, expected_ms: i64) {
        self.add(tenant, expected_ms.max(0).unsigned_abs());
    }

    /// A job that was charged `expected_ms` took `actual_ms`.
    pub fn correct(&mut self, tenant: TenantId, expected_ms: i64, actual_ms: i64) {
        let (expected, actual) =
            (expected_ms.max(0).unsigned_abs(), actual_ms.max(0).unsigned_abs());
        if actual >= expected {
            self.add(tenant, actual - expected);
            return;
        }
        let weight = self.weight(tenant);
        let share = self.tenants.entry(tenant).or_default();
        let back = expected - actual;
        share.credit = share.credit.saturating_add(back.saturating_mul(SCALE) / weight);
        share.used_ms = share.used_ms.saturating_sub(back);
    }

    fn add(&mut self, tenant: TenantId, ms: u64) {
        let charge = ms.saturating_mul(SCALE) / self.weight(tenant);
        let share = self.tenants.entry(tenant).or_default();
        let paid = charge.min(share.credit);
        share.credit -= paid;
        share.used_ms = share.used_ms.saturating_add(ms);
        let before = share.virtual_time;
        share.virtual_time = before.saturating_add(charge - paid);
        if share.active > 0 && share.virtual_time != before {
            let after = share.virtual_time;
            self.active.remove(&(before, tenant));
            self.active.insert((after, tenant));
        }
    }

    /// Each tenant that had anything, by id.
    pub fn usage(&self) -> Vec<ShareUsage> {
        let least = self.active.first().map_or(0, |(time, _)| *time);
        let mut usage: Vec<_> = self
            .tenants
            .iter()
            .map(|(&tenant_id, share)| ShareUsage {
                tenant_id,
                weight: self.weights.get(&tenant_id).copied().unwrap_or(1),
                used_ms: share.used_ms,
                ahead_ms: share.virtual_time.saturating_sub(least) * self.weight(tenant_id) / SCALE,
                virtual_time: share.virtual_time,
                credit: share.credit,
            })
            .collect();
        usage.sort_unstable_by_key(|share| share.tenant_id);
        usage
    }

    /// Virtual time and used milliseconds by tenant, to be kept.
    pub fn kept(&self) -> BTreeMap<i64, (u64, u64)> {
        let share = |(id, it): (&TenantId, &Share)| (id.0, (it.virtual_time, it.used_ms));
        self.tenants.iter().map(share).collect()
    }

    /// Takes over what was kept, before anything is charged.
    pub fn restore(&mut self, kept: &BTreeMap<i64, (u64, u64)>) {
        for (&id, &(virtual_time, used_ms)) in kept {
            let share = Share { virtual_time, used_ms, ..Share::default() };
            self.tenants.entry(TenantId(id)).or_insert(share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TenantId = TenantId(1);
    const B: TenantId = TenantId(2);

    /// Gives out `jobs` jobs, always of the tenant that is next, and counts them.
    fn give(shares: &mut Shares, jobs: usize) -> (usize, usize) {
        let mut counts = (0, 0);
        for _ in 0..jobs {
            if (shares.virtual_time(A), A) <= (shares.virtual_time(B), B) {
                shares.charge(A, 100);
                counts.0 += 1;
            } else {
                shares.charge(B, 100);
                counts.1 += 1;
            }
        }
        counts
    }

    #[test]
    fn tenants_that_always_have_work_get_what_their_weights_say() {
        let mut shares = Shares::new([(A, 3), (B, 1)]);
        shares.enter(A);
        shares.enter(B);
        assert_eq!(give(&mut shares, 400), (300, 100));
    }

    #[test]
    fn absence_is_not_saved_up() {
        let mut shares = Shares::default();
        shares.enter(A);
        for _ in 0..1_000 {
            shares.charge(A, 100);
        }
        shares.enter(B);
        assert_eq!(give(&mut shares, 10), (5, 5));
    }

    #[test]
    fn a_wrong_estimate_is_corrected_and_virtual_time_never_falls() {
        let mut shares = Shares::default();
        shares.enter(A);
        shares.enter(B);
        shares.charge(A, 1_000);
        let charged = shares.virtual_time(A);
        shares.correct(A, 1_000, 100);
        assert_eq!(shares.virtual_time(A), charged);
        shares.charge(A, 900);
        assert_eq!(shares.virtual_time(A), charged, "the credit pays for what follows");
        shares.correct(A, 900, 1_000);
        assert_eq!(shares.virtual_time(A), charged + 100 * SCALE);
        assert_eq!(shares.usage()[0].used_ms, 1_100);
    }

    #[test]
    fn what_was_kept_comes_back() {
        let mut shares = Shares::default();
        shares.enter(A);
        shares.charge(A, 70);
        let mut again = Shares::default();
        again.restore(&shares.kept());
        again.enter(A);
        assert_eq!(again.virtual_time(A), shares.virtual_time(A));
    }
}
