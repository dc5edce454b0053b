//! The group gate: at most N members of a concurrency group are in it, the others wait in order or
//! give way.
//!
//! What it holds follows from the rows of its members alone (who is in is a bit of the row, a
//! member that could be in and is not waits), so a load makes the same gate again.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::model::{Job, JobId, JobPriority, PendingPolicy, TenantId, WorkloadId};

/// Which group: groups of two tenants are two groups.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GroupKey {
    /// Whose.
    pub tenant_id: TenantId,
    /// Its name.
    pub key: Box<str>,
}

/// Who is in a group, or waits to be: a whole workload, or one of its jobs. The greater one was
/// made later, except that a job which joined an open workload counts with its workload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Member {
    /// The workload.
    pub workload_id: WorkloadId,
    /// The job, where only that is the member.
    pub job_id: Option<JobId>,
}

impl Member {
    /// A whole workload.
    pub fn workload(workload_id: WorkloadId) -> Self {
        Self { workload_id, job_id: None }
    }

    /// One job.
    pub fn job(job: &Job) -> Self {
        Self { workload_id: job.workload_id, job_id: Some(job.id) }
    }
}

/// A place among those that wait for the same: smaller goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Turn {
    /// The more urgent goes first.
    pub priority: JobPriority,
    /// Then what was queued, or moved to the front, earlier.
    pub lane_key: i64,
    /// Breaks ties by age.
    pub member: Member,
}

impl Turn {
    /// The turn of a job.
    pub fn of(job: &Job) -> Self {
        Self { priority: job.priority, lane_key: job.lane_key, member: Member::job(job) }
    }
}

/// What asking came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// It is in.
    In,
    /// It waits, and these wait no longer.
    Waits {
        /// Members that gave way.
        replaced: Vec<Member>,
    },
    /// Too many wait already: it may not.
    Refused,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Arrived,
    Waits(Turn),
    In,
}

#[derive(Clone, Debug, Default)]
struct Group {
    /// Everyone, with the limit that each names.
    members: BTreeMap<Member, (u32, Place)>,
    inside: usize,
    waiting: BTreeSet<Turn>,
}

impl Group {
    /// The limit: what the member that was made last says.
    fn limit(&self) -> usize {
        self.members.last_key_value().map_or(0, |(_, (limit, _))| *limit as usize)
    }

    fn put(&mut self, member: Member, place: Place) {
        let Some((_, at)) = self.members.get_mut(&member) else { return };
        let before = std::mem::replace(at, place);
        self.count(before, false);
        self.count(place, true);
    }

    fn count(&mut self, place: Place, comes: bool) {
        match place {
            Place::Arrived => {}
            Place::In if comes => self.inside += 1,
            Place::In => self.inside -= 1,
            Place::Waits(turn) if comes => drop(self.waiting.insert(turn)),
            Place::Waits(turn) => drop(self.waiting.remove(&turn)),
        }
    }
}

/// All groups that have a member.
#[derive(Clone, Debug, Default)]
pub struct GroupGate {
    groups: FxHashMap<GroupKey, Group>,
}

impl GroupGate {
    /// Makes a member known, so that its limit counts; it is not in and does not wait.
    pub fn arrive(&mut self, key: &GroupKey, member: Member, limit: u32) {
        let group = self.groups.entry(key.clone()).or_default();
        group.members.entry(member).or_insert((limit, Place::Arrived));
    }

    /// A member that arrived asks to be in. Those that wait go first: [`GroupGate::next`] must have
    /// had nobody to let in.
    pub fn ask(&mut self, key: &GroupKey, turn: Turn, policy: PendingPolicy) -> Asked {
        let Some(group) = self.groups.get_mut(key) else { return Asked::Refused };
        if group.inside < group.limit() && group.waiting.is_empty() {
            group.put(turn.member, Place::In);
            return Asked::In;
        }
        let mut replaced = Vec::new();
        match policy {
            PendingPolicy::Queue { max } if group.waiting.len() >= max as usize => {
                self.leave(key, turn.member);
                return Asked::Refused;
            }
            PendingPolicy::Queue { .. } => {}
            PendingPolicy::Latest => {
                replaced.extend(group.waiting.iter().map(|turn| turn.member));
                for member in &replaced {
                    group.put(*member, Place::Arrived);
                    group.members.remove(member);
                }
            }
        }
        group.put(turn.member, Place::Waits(turn));
        Asked::Waits { replaced }
    }

    /// Puts back a member that was in, or waited, before a load.
    pub fn restore(&mut self, key: &GroupKey, member: Member, limit: u32, waits: Option<Turn>) {
        self.arrive(key, member, limit);
        let place = waits.map_or(Place::In, Place::Waits);
        if let Some(group) = self.groups.get_mut(key) {
            group.put(member, place);
        }
    }

    /// Lets the next one in, if there is room.
    pub fn next(&mut self, key: &GroupKey) -> Option<Member> {
        let group = self.groups.get_mut(key)?;
        if group.inside >= group.limit() {
            return None;
        }
        let member = group.waiting.first()?.member;
        group.put(member, Place::In);
        Some(member)
    }

    /// A member ended. Whether it was one.
    pub fn leave(&mut self, key: &GroupKey, member: Member) -> bool {
        let Some(group) = self.groups.get_mut(key) else { return false };
        group.put(member, Place::Arrived);
        let known = group.members.remove(&member).is_some();
        if group.members.is_empty() {
            self.groups.remove(key);
        }
        known
    }

    /// The turn of a member that waits has changed.
    pub fn reorder(&mut self, key: &GroupKey, turn: Turn) {
        if self.is_waiting(key, turn.member)
            && let Some(group) = self.groups.get_mut(key)
        {
            group.put(turn.member, Place::Waits(turn));
        }
    }

    /// Whether a member waits.
    pub fn is_waiting(&self, key: &GroupKey, member: Member) -> bool {
        let place = self.groups.get(key).and_then(|group| group.members.get(&member));
        matches!(place, Some((_, Place::Waits(_))))
    }

    /// Who is in, in the order of their ids.
    pub fn inside(&self, key: &GroupKey) -> Vec<Member> {
        let members = self.groups.get(key).into_iter().flat_map(|group| &group.members);
        let inside = members.filter(|(_, (_, place))| matches!(place, Place::In));
        inside.map(|(member, _)| *member).collect()
    }

    /// Who waits, in order.
    pub fn waiting(&self, key: &GroupKey) -> impl Iterator<Item = Member> {
        self.groups.get(key).into_iter().flat_map(|group| &group.waiting).map(|turn| turn.member)
    }

    /// How many wait.
    pub fn waiting_len(&self, key: &GroupKey) -> usize {
        self.groups.get(key).map_or(0, |group| group.waiting.len())
    }

    /// How many may be in.
    pub fn limit(&self, key: &GroupKey) -> usize {
        self.groups.get(key).map_or(0, Group::limit)
    }

    /// All groups that have a member, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &GroupKey> {
        self.groups.keys()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> GroupKey {
        GroupKey { tenant_id: TenantId::DEFAULT, key: "g".into() }
    }

    fn turn(id: i64, priority: JobPriority) -> Turn {
        let member = Member::workload(WorkloadId(id));
        Turn { priority, lane_key: id, member }
    }

    /// As the scheduler asks: who waits goes first.
    fn ask(gate: &mut GroupGate, turn: Turn, limit: u32, policy: PendingPolicy) -> Asked {
        gate.arrive(&key(), turn.member, limit);
        while gate.next(&key()).is_some() {}
        gate.ask(&key(), turn, policy)
    }

    #[test]
    fn the_member_that_was_made_last_decides_how_many_may_be_in() {
        let mut gate = GroupGate::default();
        let all = PendingPolicy::default();
        let [a, b, c] = [1, 2, 3].map(|id| turn(id, JobPriority::Normal));
        assert_eq!(ask(&mut gate, a, 1, all), Asked::In);
        assert_eq!(ask(&mut gate, b, 1, all), Asked::Waits { replaced: vec![] });
        assert_eq!(ask(&mut gate, c, 3, all), Asked::In, "and b went before it");
        assert_eq!(gate.inside(&key()), [a.member, b.member, c.member]);
        assert!(gate.leave(&key(), c.member));
        assert_eq!(gate.limit(&key()), 1);
        assert!(gate.leave(&key(), a.member) && gate.leave(&key(), b.member));
        assert!(gate.groups.is_empty());
    }

    #[test]
    fn a_member_whose_turn_changes_goes_by_the_new_one() {
        let mut gate = GroupGate::default();
        let [a, b, c] = [1, 2, 3].map(|id| turn(id, JobPriority::Normal));
        for each in [a, b, c] {
            ask(&mut gate, each, 1, PendingPolicy::default());
        }
        gate.reorder(&key(), Turn { priority: JobPriority::High, ..c });
        assert_eq!(gate.waiting(&key()).collect::<Vec<_>>(), [c.member, b.member]);
        gate.leave(&key(), a.member);
        assert_eq!(gate.next(&key()), Some(c.member));
        gate.reorder(&key(), Turn { priority: JobPriority::Low, ..c });
        assert_eq!(gate.inside(&key()), [c.member], "who is in has no turn");
    }

    proptest! {
        /// Random members come and go; the gate is compared with a plain list.
        #[test]
        fn never_more_than_the_limit_come_in_and_they_come_in_order(
            limit in 1u32..4,
            moves in prop::collection::vec((0u8..8, 0usize..5, 0u8..3), 1..60),
        ) {
            let mut gate = GroupGate::default();
            let (mut inside, mut waiting) = (Vec::<Member>::new(), Vec::<Turn>::new());
            for (at, (what, level, kind)) in moves.into_iter().enumerate() {
                if what < 5 || inside.is_empty() {
                    let new = turn(at as i64 + 1, JobPriority::ALL[level]);
                    let policy = match kind {
                        0 => PendingPolicy::Latest,
                        1 => PendingPolicy::Queue { max: 2 },
                        _ => PendingPolicy::default(),
                    };
                    match ask(&mut gate, new, limit, policy) {
                        Asked::In => {
                            prop_assert!(waiting.is_empty());
                            inside.push(new.member);
                        }
                        Asked::Refused => prop_assert!(kind == 1 && waiting.len() >= 2),
                        Asked::Waits { replaced } => {
                            prop_assert_eq!(inside.len(), limit as usize);
                            waiting.retain(|turn| !replaced.contains(&turn.member));
                            prop_assert!(kind != 0 || waiting.is_empty());
                            waiting.push(new);
                        }
                    }
                } else {
                    let left = inside.remove(usize::from(what) % inside.len());
                    prop_assert!(gate.leave(&key(), left));
                    if let Some(entered) = gate.next(&key()) {
                        let first = *waiting.iter().min().expect("somebody waited");
                        prop_assert_eq!(entered, first.member);
                        waiting.retain(|turn| *turn != first);
                        inside.push(entered);
                    } else {
                        prop_assert!(waiting.is_empty());
                    }
                }
                waiting.sort_unstable();
                inside.sort_unstable();
                prop_assert!(inside.len() <= limit as usize);
                prop_assert_eq!(gate.inside(&key()), inside.clone());
                let order: Vec<_> = waiting.iter().map(|turn| turn.member).collect();
                prop_assert_eq!(gate.waiting(&key()).collect::<Vec<_>>(), order);
            }
        }
    }
}
