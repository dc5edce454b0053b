//! The parallel gate: at most N jobs of a matrix, or of a workload, are offered or with runners.
//!
//! Offered are always those whose turn is first; one that is better placed takes the offer of one
//! that no runner has yet. So who is offered follows from the rows, and a load finds the same.
//! A job in its backoff is with no runner and is not offered: it keeps nobody out.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::group::Turn;
use crate::model::{JobId, WorkloadId};

/// Which jobs share a limit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ParallelKey {
    /// Jobs of this workload.
    pub workload_id: WorkloadId,
    /// Of this matrix only; `None` for all.
    pub matrix: Option<Box<str>>,
}

/// Something that a limit wants to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParallelMove {
    /// This job may be offered.
    Offer(JobId),
    /// This one no longer.
    Withdraw(JobId),
}

#[derive(Clone, Debug, Default)]
struct Limit {
    max: usize,
    /// Jobs that runners have.
    taken: usize,
    offered: BTreeSet<Turn>,
    waiting: BTreeSet<Turn>,
}

/// All limits that keep a job back, or might.
#[derive(Clone, Debug, Default)]
pub struct ParallelGate {
    limits: FxHashMap<ParallelKey, Limit>,
}

impl ParallelGate {
    /// A job waits for its offer; [`ParallelGate::next_move`] says whether it gets it.
    pub fn wait(&mut self, key: &ParallelKey, max: u32, turn: Turn) {
        let limit = self.limits.entry(key.clone()).or_default();
        limit.max = max as usize;
        if !limit.offered.contains(&turn) {
            limit.waiting.insert(turn);
        }
    }

    /// A job neither waits nor is offered any more. Whether it did or was.
    pub fn leave(&mut self, key: &ParallelKey, turn: Turn) -> bool {
        let Some(limit) = self.limits.get_mut(key) else { return false };
        let found = limit.offered.remove(&turn) || limit.waiting.remove(&turn);
        self.forget_if_empty(key);
        found
    }

    /// A runner has one of the jobs.
    pub fn take(&mut self, key: &ParallelKey, max: u32) {
        let limit = self.limits.entry(key.clone()).or_default();
        limit.max = max as usize;
        limit.taken += 1;
    }

    /// A runner has it no longer.
    pub fn give_back(&mut self, key: &ParallelKey) {
        if let Some(limit) = self.limits.get_mut(key) {
            limit.taken = limit.taken.saturating_sub(1);
        }
        self.forget_if_empty(key);
    }

    /// The next thing to do, until there is nothing.
    pub fn next_move(&mut self, key: &ParallelKey) -> Option<ParallelMove> {
        let limit = self.limits.get_mut(key)?;
        let first = *limit.waiting.first()?;
        if limit.taken + limit.offered.len() < limit.max {
            limit.waiting.remove(&first);
            limit.offered.insert(first);
            return first.member.job_id.map(ParallelMove::Offer);
        }
        let last = *limit.offered.last().filter(|last| first < **last)?;
        limit.offered.remove(&last);
        limit.waiting.insert(last);
        last.member.job_id.map(ParallelMove::Withdraw)
    }

    /// Whether a job waits for its offer.
    pub fn is_waiting(&self, key: &ParallelKey, turn: Turn) -> bool {
        self.limits.get(key).is_some_and(|limit| limit.waiting.contains(&turn))
    }

    /// How many jobs are offered or with runners.
    pub fn used(&self, key: &ParallelKey) -> usize {
        self.limits.get(key).map_or(0, |limit| limit.taken + limit.offered.len())
    }

    /// How many jobs wait for their offer, by limit, in no order.
    pub fn waiting(&self) -> impl Iterator<Item = (&ParallelKey, usize)> {
        self.limits.iter().map(|(key, limit)| (key, limit.waiting.len()))
    }

    /// Of each limit: how many jobs runners have, and which are offered.
    pub fn view(&self) -> BTreeMap<ParallelKey, (usize, Vec<JobId>)> {
        let jobs =
            |turns: &BTreeSet<Turn>| turns.iter().filter_map(|it| it.member.job_id).collect();
        let limits = self.limits.iter();
        limits.map(|(key, it)| (key.clone(), (it.taken, jobs(&it.offered)))).collect()
    }

    fn forget_if_empty(&mut self, key: &ParallelKey) {
        let empty = |it: &Limit| it.taken == 0 && it.offered.is_empty() && it.waiting.is_empty();
        if self.limits.get(key).is_some_and(empty) {
            self.limits.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::JobPriority;
    use crate::queue::gate::group::Member;

    fn key() -> ParallelKey {
        ParallelKey { workload_id: WorkloadId(1), matrix: None }
    }

    fn turn(id: i64, priority: JobPriority) -> Turn {
        let member = Member { workload_id: WorkloadId(1), job_id: Some(JobId(id)) };
        Turn { priority, lane_key: 0, member }
    }

    fn moves(gate: &mut ParallelGate) -> Vec<ParallelMove> {
        std::iter::from_fn(|| gate.next_move(&key())).collect()
    }

    use ParallelMove::{Offer, Withdraw};

    #[test]
    fn the_first_in_order_are_offered_and_a_better_one_takes_the_offer_of_the_last() {
        let mut gate = ParallelGate::default();
        for id in [1, 2, 3] {
            gate.wait(&key(), 2, turn(id, JobPriority::Normal));
        }
        assert_eq!(moves(&mut gate), [Offer(JobId(1)), Offer(JobId(2))]);
        gate.wait(&key(), 2, turn(4, JobPriority::High));
        assert_eq!(moves(&mut gate), [Withdraw(JobId(2)), Offer(JobId(4))]);
        assert!(gate.is_waiting(&key(), turn(2, JobPriority::Normal)));
    }

    #[test]
    fn a_job_that_a_runner_has_counts_until_it_gives_it_back() {
        let mut gate = ParallelGate::default();
        for id in [1, 2] {
            gate.wait(&key(), 1, turn(id, JobPriority::Normal));
        }
        assert_eq!(moves(&mut gate), [Offer(JobId(1))]);
        assert!(gate.leave(&key(), turn(1, JobPriority::Normal)));
        gate.take(&key(), 1);
        assert_eq!((moves(&mut gate), gate.used(&key())), (vec![], 1));
        gate.give_back(&key());
        assert_eq!(moves(&mut gate), [Offer(JobId(2))]);
        assert!(gate.leave(&key(), turn(2, JobPriority::Normal)));
        assert!(gate.limits.is_empty());
    }
}
