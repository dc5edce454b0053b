//! What is known of each runner now.

mod pool;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use pool::{Open, Pool};

use super::{
    BusyMeter, LeastLoaded, LiveRunner, Parked, PollId, RunnerHealth, RunnerSlot, SelectionPolicy,
    Standing,
};
use crate::model::{AssignedJob, LeaseToken, PoolId, Runner, RunnerId};

/// All registered runners, and those of them that wait with room, in order of preference.
#[derive(Clone, Debug, Default)]
pub struct RunnerRegistry {
    slots: Vec<Option<LiveRunner>>,
    free: Vec<usize>,
    by_id: FxHashMap<RunnerId, RunnerSlot>,
    by_instance: FxHashMap<Box<str>, RunnerId>,
    polls: FxHashMap<PollId, RunnerSlot>,
    pools: BTreeMap<PoolId, Pool>,
    policies: FxHashMap<PoolId, Arc<dyn SelectionPolicy>>,
    /// How many runners wait with room.
    waiting_len: usize,
    /// Runners that began to wait, or have more left, since they were last asked for.
    newly_waiting: Vec<RunnerSlot>,
    polls_seen: u64,
    /// How many of the parked polls are streams.
    streams_len: usize,
    /// Runners that take new jobs.
    open: Open,
}

impl RunnerRegistry {
    /// An empty registry whose pools prefer as these policies say; other pools prefer the least
    /// loaded runner.
    pub fn new(policies: impl IntoIterator<Item = (PoolId, Arc<dyn SelectionPolicy>)>) -> Self {
        Self { policies: policies.into_iter().collect(), ..Self::default() }
    }

    fn pool_mut(&mut self, id: PoolId) -> &mut Pool {
        let policies = &self.policies;
        self.pools.entry(id).or_insert_with(|| {
            let policy = policies.get(&id).cloned();
            Pool::new(policy.unwrap_or_else(|| Arc::new(LeastLoaded)))
        })
    }

    /// Adds a runner that was just heard of, or just loaded.
    pub fn insert(&mut self, row: Runner, seen_at_ms: i64, heard: bool) -> RunnerSlot {
        let slot = RunnerSlot(self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        }));
        self.pool_mut(row.pool_id);
        self.by_id.insert(row.id, slot);
        self.by_instance.insert(row.instance_id.clone(), row.id);
        self.slots[slot.0] = Some(LiveRunner {
            row: Arc::new(row),
            leases: Vec::new(),
            foreign_jobs: 0,
            seen_at_ms,
            offline: false,
            heard,
            parked: None,
            given: Vec::new(),
            cancels: Vec::new(),
            held: [0; 3],
            keys: FxHashMap::default(),
            given_at: 0,
            holds: 0,
            missed: false,
            health: RunnerHealth::default(),
            unhealthy: false,
            on_probation: false,
            busy: BusyMeter::new(seen_at_ms),
            rank: None,
            absent: None,
        });
        self.update(slot, |_| {});
        slot
    }

    /// Replaces the row of a runner; its id stays.
    pub fn set_row(&mut self, slot: RunnerSlot, row: Runner) {
        if let Some(old) = self.at(slot).map(|runner| runner.row.instance_id.clone()) {
            self.by_instance.remove(&old);
        }
        self.by_instance.insert(row.instance_id.clone(), row.id);
        self.update(slot, |runner| runner.row = Arc::new(row));
    }

    /// Removes a runner; its leases must be gone.
    pub fn remove(&mut self, id: RunnerId) -> Option<(RunnerSlot, LiveRunner)> {
        let slot = self.by_id.remove(&id)?;
        let runner = self.slots[slot.0].take()?;
        self.by_instance.remove(&runner.row.instance_id);
        if let Some(parked) = runner.parked {
            self.polls.remove(&parked.poll_id);
            self.streams_len -= usize::from(parked.stays);
        }
        if let Some((pool, rank)) = runner.rank {
            self.waiting_len -= 1;
            self.pool_mut(pool).leave(&rank);
        }
        if let Some((pool, place)) = runner.absent {
            self.pool_mut(pool).absent.remove(&place);
        }
        self.open.note(slot, false, false);
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

    /// Changes a runner, and its place among those that wait where that follows. Its pool does not
    /// change while it has leases.
    pub fn update<R>(
        &mut self,
        slot: RunnerSlot,
        change: impl FnOnce(&mut LiveRunner) -> R,
    ) -> Option<R> {
        let runner = self.slots.get_mut(slot.0)?.as_mut()?;
        let (had, pool_before) = (runner.leases.len(), runner.row.pool_id);
        let streamed = runner.streams();
        let result = change(runner);
        self.streams_len = self.streams_len + usize::from(runner.streams()) - usize::from(streamed);
        let pool_id = runner.row.pool_id;
        let (has, waits, room) = (runner.leases.len(), runner.parked, runner.room());
        let standing = Standing {
            used: runner.used(),
            slots: runner.slots(),
            parked_at: waits.map_or(0, |parked| parked.parked_at),
            given_at: runner.given_at,
        };
        let is_open = !runner.offline && runner.takes_new();
        let is_roomy = is_open && runner.free() > 0;
        let is_absent = is_roomy && waits.is_none() && !runner.missed;
        let (old_rank, old_absent) = (runner.rank, runner.absent);
        self.open.note(slot, is_open, is_roomy);
        if pool_before != pool_id {
            let before = self.pool_mut(pool_before);
            before.running -= had as u64;
            self.pool_mut(pool_id).running += had as u64;
        }
        let pool = self.pool_mut(pool_id);
        pool.running = pool.running + has as u64 - had as u64;
        let rank = (room > 0).then(|| (pool_id, pool.policy.standing(&standing)));
        let load = LeastLoaded::rank(&standing).0;
        let absent = is_absent.then_some((pool_id, (load, slot)));
        if absent != old_absent {
            if let Some((pool, place)) = old_absent {
                self.pool_mut(pool).absent.remove(&place);
            }
            if let Some((pool, place)) = absent {
                self.pool_mut(pool).absent.insert(place);
            }
        }
        if rank != old_rank {
            if let Some((pool, place)) = old_rank {
                self.waiting_len -= 1;
                self.pool_mut(pool).leave(&place);
            }
            if let Some((pool, place)) = rank {
                self.waiting_len += 1;
                self.pool_mut(pool).enter(place, slot);
            }
        }
        // What it has less may be what a job needs that it could not take before.
        if rank.is_some() && (old_rank.is_none() || has < had) {
            self.newly_waiting.push(slot);
        }
        if let Some(runner) = self.slots[slot.0].as_mut() {
            (runner.rank, runner.absent) = (rank, absent);
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
        let parked_at = self.polls_seen;
        let parked = Parked { poll_id, until_ms, jobs_max, parked_at, stays: false };
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

    /// Takes what a runner's stream is to be told; the stream stays. What was given jobs waits from
    /// then on as if it had polled again, so that a stream is not preferred for its age.
    pub fn tell(
        &mut self,
        slot: RunnerSlot,
    ) -> Option<(PollId, Vec<AssignedJob>, Vec<LeaseToken>)> {
        self.polls_seen += 1;
        let parked_at = self.polls_seen;
        self.update(slot, |runner| {
            let parked = runner.parked.as_mut()?;
            if !runner.given.is_empty() {
                parked.parked_at = parked_at;
            }
            let given = std::mem::take(&mut runner.given);
            Some((parked.poll_id, given, std::mem::take(&mut runner.cancels)))
        })?
    }

    /// How many polls are parked, streams among them.
    pub fn parked_len(&self) -> usize {
        self.polls.len()
    }

    /// How many of them are streams.
    pub fn streams_len(&self) -> usize {
        self.streams_len
    }

    /// Runners of a pool that wait with room, best first.
    pub fn waiting(&self, pool: PoolId) -> impl Iterator<Item = RunnerSlot> {
        self.pools.get(&pool).into_iter().flat_map(|pool| pool.waiting.values().copied())
    }

    /// How many runners of a pool wait with room.
    pub fn waiting_in(&self, pool: PoolId) -> usize {
        self.pools.get(&pool).map_or(0, |pool| pool.waiting.len())
    }

    /// The same, as bits by their places.
    pub fn waiting_slots(&self, pool: PoolId) -> Option<&FixedBitSet> {
        self.pools.get(&pool).map(|pool| &pool.waiting_slots)
    }

    /// Runners of a pool that have room and no poll just now, least loaded first, each with its
    /// load as [`LeastLoaded`] reckons it.
    pub fn absent(&self, pool: PoolId) -> impl Iterator<Item = (u64, RunnerSlot)> {
        self.pools.get(&pool).into_iter().flat_map(|pool| pool.absent.iter().copied())
    }

    /// Runners that are online and take new jobs, as bits by their places.
    pub fn open_slots(&self) -> &FixedBitSet {
        &self.open.all
    }

    /// Those of them that have room for one.
    pub fn roomy_slots(&self) -> &FixedBitSet {
        &self.open.roomy
    }

    /// Jobs that the runners of a pool have from us.
    pub fn running_in(&self, pool: PoolId) -> u64 {
        self.pools.get(&pool).map_or(0, |pool| pool.running)
    }

    /// The policy of a pool that has, or had, runners.
    pub fn policy(&self, pool: PoolId) -> Option<&Arc<dyn SelectionPolicy>> {
        self.pools.get(&pool).map(|pool| &pool.policy)
    }

    /// Pools that have, or had, runners.
    pub fn pools(&self) -> impl Iterator<Item = PoolId> {
        self.pools.keys().copied()
    }

    /// Runners that began to wait, or have more left while they wait, since the last call.
    pub fn take_newly_waiting(&mut self) -> Vec<RunnerSlot> {
        std::mem::take(&mut self.newly_waiting)
    }

    /// How many runners wait with room.
    pub fn waiting_len(&self) -> usize {
        self.waiting_len
    }

    /// The place of a waiting runner in its pool's order of preference.
    pub fn rank(&self, slot: RunnerSlot) -> Option<(u64, u64)> {
        self.at(slot)?.rank.map(|(_, rank)| rank)
    }
}
