//! What is known of each runner now.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{Candidate, RunnerSlot, SelectionPolicy};
use crate::model::{AssignedJob, LeaseToken, Runner, RunnerId, RunnerState};

/// Names one poll for as long as it is parked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct PollId(pub u64);

/// A poll that waits for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parked {
    /// Which poll.
    pub poll_id: PollId,
    /// When it ends without work (mono).
    pub until_ms: i64,
    /// The most jobs that it takes.
    pub jobs_max: u32,
    /// When it began, as a count of polls.
    pub parked_at: u64,
}

/// A registered runner.
#[derive(Debug)]
pub struct LiveRunner {
    /// The durable row.
    pub row: Runner,
    /// Its live leases, claimed and running.
    pub leases: Vec<LeaseToken>,
    /// Jobs that it has from elsewhere, by its last report.
    pub foreign_jobs: u32,
    /// When it was last heard of (mono).
    pub seen_at_ms: i64,
    /// Whether it was silent for longer than the heartbeat timeout.
    pub offline: bool,
    /// Whether it was heard of since the last load.
    pub heard: bool,
    /// Its poll, if one is parked: at most one.
    pub parked: Option<Parked>,
    /// Jobs for the parked poll, given since the last answer.
    pub given: Vec<AssignedJob>,
    /// Cancels for the parked poll.
    pub cancels: Vec<LeaseToken>,
    /// Its place among those that wait, while it has room and a poll.
    rank: Option<(u64, u64)>,
}

impl LiveRunner {
    /// Jobs that it has, ours and others.
    pub fn used(&self) -> u32 {
        u32::try_from(self.leases.len()).unwrap_or(u32::MAX).saturating_add(self.foreign_jobs)
    }

    /// Jobs that it can have.
    pub fn slots(&self) -> u32 {
        self.row.capabilities.max_parallel_jobs
    }

    /// Whether new jobs may be given to it at all.
    pub fn takes_new(&self) -> bool {
        self.row.cordoned.is_none() && !self.row.draining
    }

    /// How many jobs the parked poll can still be given.
    pub fn room(&self) -> u32 {
        let Some(parked) = self.parked else { return 0 };
        if !self.takes_new() {
            return 0;
        }
        let given = u32::try_from(self.given.len()).unwrap_or(u32::MAX);
        self.slots().saturating_sub(self.used()).min(parked.jobs_max.saturating_sub(given))
    }

    /// What people are shown.
    pub fn state(&self) -> RunnerState {
        if self.offline {
            RunnerState::Offline
        } else if self.row.cordoned.is_some() {
            RunnerState::Cordoned
        } else if self.row.draining {
            RunnerState::Draining
        } else if self.used() >= self.slots() {
            RunnerState::Busy
        } else {
            RunnerState::Online
        }
    }
}

/// All registered runners, and those of them that wait with room, in order of preference.
#[derive(Debug)]
pub struct RunnerRegistry {
    slots: Vec<Option<LiveRunner>>,
    free: Vec<usize>,
    by_id: FxHashMap<RunnerId, RunnerSlot>,
    by_instance: FxHashMap<Box<str>, RunnerId>,
    polls: FxHashMap<PollId, RunnerSlot>,
    /// Runners that have room and a poll, best first.
    waiting: BTreeMap<(u64, u64), RunnerSlot>,
    /// Runners that began to wait since they were last asked for.
    newly_waiting: Vec<RunnerSlot>,
    policy: Box<dyn SelectionPolicy>,
    polls_seen: u64,
}

impl RunnerRegistry {
    /// An empty registry that prefers as the policy says.
    pub fn new(policy: Box<dyn SelectionPolicy>) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_id: FxHashMap::default(),
            by_instance: FxHashMap::default(),
            polls: FxHashMap::default(),
            waiting: BTreeMap::new(),
            newly_waiting: Vec::new(),
            policy,
            polls_seen: 0,
        }
    }

    /// Adds a runner that was just heard of, or just loaded.
    pub fn insert(&mut self, row: Runner, seen_at_ms: i64, heard: bool) -> RunnerSlot {
        let slot = RunnerSlot(self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        }));
        self.by_id.insert(row.id, slot);
        self.by_instance.insert(row.instance_id.clone(), row.id);
        self.slots[slot.0] = Some(LiveRunner {
            row,
            leases: Vec::new(),
            foreign_jobs: 0,
            seen_at_ms,
            offline: false,
            heard,
            parked: None,
            given: Vec::new(),
            cancels: Vec::new(),
            rank: None,
        });
        slot
    }

    /// Removes a runner; its leases must be gone.
    pub fn remove(&mut self, id: RunnerId) -> Option<(RunnerSlot, LiveRunner)> {
        let slot = self.by_id.remove(&id)?;
        let runner = self.slots[slot.0].take()?;
        self.by_instance.remove(&runner.row.instance_id);
        if let Some(parked) = runner.parked {
            self.polls.remove(&parked.poll_id);
        }
        if let Some(rank) = runner.rank {
            self.waiting.remove(&rank);
        }
        self.free.push(slot.0);
        Some((slot, runner))
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none is registered.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The place of a runner.
    pub fn slot(&self, id: RunnerId) -> Option<RunnerSlot> {
        self.by_id.get(&id).copied()
    }

    /// The runner with that instance id.
    pub fn by_instance(&self, instance_id: &str) -> Option<RunnerId> {
        self.by_instance.get(instance_id).copied()
    }

    /// The runner whose poll that is.
    pub fn by_poll(&self, poll_id: PollId) -> Option<RunnerSlot> {
        self.polls.get(&poll_id).copied()
    }

    /// A runner by its id.
    pub fn get(&self, id: RunnerId) -> Option<&LiveRunner> {
        self.at(self.slot(id)?)
    }

    /// A runner by its place.
    pub fn at(&self, slot: RunnerSlot) -> Option<&LiveRunner> {
        self.slots.get(slot.0)?.as_ref()
    }

    /// All runners with their places, in the order of places.
    pub fn iter(&self) -> impl Iterator<Item = (RunnerSlot, &LiveRunner)> {
        let places = self.slots.iter().enumerate();
        places.filter_map(|(at, runner)| Some((RunnerSlot(at), runner.as_ref()?)))
    }

    /// Changes a runner, and its place among those that wait where that follows.
    pub fn update<R>(
        &mut self,
        slot: RunnerSlot,
        change: impl FnOnce(&mut LiveRunner) -> R,
    ) -> Option<R> {
        let runner = self.slots.get_mut(slot.0)?.as_mut()?;
        let result = change(runner);
        let rank = (runner.room() > 0).then_some(runner.parked).flatten().map(|parked| {
            self.policy.rank(&Candidate {
                slot,
                used: runner.used(),
                slots: runner.slots(),
                parked_at: parked.parked_at,
            })
        });
        if rank != runner.rank {
            match std::mem::replace(&mut runner.rank, rank) {
                Some(old) => drop(self.waiting.remove(&old)),
                None => self.newly_waiting.push(slot),
            }
            if let Some(new) = rank {
                let other = self.waiting.insert(new, slot);
                debug_assert!(other.is_none(), "two runners have rank {new:?}");
            }
        }
        Some(result)
    }

    /// Parks a poll. An earlier one of the same runner is superseded and its id returned.
    pub fn park(
        &mut self,
        slot: RunnerSlot,
        poll_id: PollId,
        until_ms: i64,
        jobs_max: u32,
    ) -> Option<PollId> {
        self.polls_seen += 1;
        let parked = Parked { poll_id, until_ms, jobs_max, parked_at: self.polls_seen };
        self.polls.insert(poll_id, slot);
        let old = self.update(slot, |runner| runner.parked.replace(parked))??;
        self.polls.remove(&old.poll_id);
        Some(old.poll_id)
    }

    /// Takes a runner's poll away, with what it was given.
    pub fn unpark(
        &mut self,
        slot: RunnerSlot,
    ) -> Option<(PollId, Vec<AssignedJob>, Vec<LeaseToken>)> {
        let (parked, given, cancels) = self.update(slot, |runner| {
            let given = std::mem::take(&mut runner.given);
            (runner.parked.take(), given, std::mem::take(&mut runner.cancels))
        })?;
        let parked = parked?;
        self.polls.remove(&parked.poll_id);
        Some((parked.poll_id, given, cancels))
    }

    /// How many polls are parked.
    pub fn parked_len(&self) -> usize {
        self.polls.len()
    }

    /// Runners that wait with room, best first.
    pub fn waiting(&self) -> impl Iterator<Item = RunnerSlot> {
        self.waiting.values().copied()
    }

    /// Runners that began to wait, or got room while they waited, since the last call.
    pub fn take_newly_waiting(&mut self) -> Vec<RunnerSlot> {
        std::mem::take(&mut self.newly_waiting)
    }

    /// How many runners wait with room.
    pub fn waiting_len(&self) -> usize {
        self.waiting.len()
    }

    /// The place of a waiting runner in the order of preference.
    pub fn rank(&self, slot: RunnerSlot) -> Option<(u64, u64)> {
        self.at(slot)?.rank
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{PoolId, RunnerCapabilities};
    use crate::runner::LeastLoaded;

    pub(crate) fn runner(id: i64, slots: u32) -> Runner {
        Runner {
            id: RunnerId(id),
            name: format!("r{id}").into(),
            instance_id: format!("i{id}").into(),
            boot_id: "b".into(),
            pool_id: PoolId::DEFAULT,
            token_hash: "".into(),
            capabilities: RunnerCapabilities {
                max_parallel_jobs: slots,
                ..RunnerCapabilities::default()
            },
            cordoned: None,
            draining: false,
            version: "".into(),
            registered_at_ms: 0,
        }
    }

    #[test]
    fn waiting_follows_load_room_and_cordon() {
        let mut registry = RunnerRegistry::new(Box::new(LeastLoaded));
        let [a, b] = [1, 2].map(|id| registry.insert(runner(id, 2), 0, true));
        registry.park(a, PollId(1), 10, 9);
        registry.park(b, PollId(2), 10, 9);
        assert_eq!(registry.waiting().collect::<Vec<_>>(), [a, b]);
        registry.update(a, |runner| runner.foreign_jobs = 1);
        assert_eq!(registry.waiting().collect::<Vec<_>>(), [b, a]);
        registry.update(a, |runner| runner.foreign_jobs = 2);
        assert_eq!(registry.waiting().collect::<Vec<_>>(), [b]);
        registry.update(b, |runner| runner.row.cordoned = Some("why".into()));
        assert_eq!(registry.waiting_len(), 0);
        assert_eq!(registry.parked_len(), 2);
    }

    #[test]
    fn a_second_poll_supersedes_the_first() {
        let mut registry = RunnerRegistry::new(Box::new(LeastLoaded));
        let slot = registry.insert(runner(1, 1), 0, true);
        assert_eq!(registry.park(slot, PollId(1), 10, 1), None);
        assert_eq!(registry.park(slot, PollId(2), 10, 1), Some(PollId(1)));
        assert_eq!(registry.by_poll(PollId(1)), None);
        assert_eq!(registry.by_poll(PollId(2)), Some(slot));
        assert_eq!(registry.waiting_len(), 1);
    }

    #[test]
    fn a_place_is_reused_and_the_old_runner_is_gone() {
        let mut registry = RunnerRegistry::new(Box::new(LeastLoaded));
        let slot = registry.insert(runner(1, 1), 0, true);
        registry.park(slot, PollId(1), 10, 1);
        registry.remove(RunnerId(1));
        assert_eq!(registry.waiting_len() + registry.parked_len() + registry.len(), 0);
        assert_eq!(registry.insert(runner(2, 1), 0, true), slot);
        assert_eq!(registry.get(RunnerId(1)).map(|runner| runner.row.id), None);
    }
}
