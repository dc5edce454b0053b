//! Who holds what, for people: resources with their units, and concurrency groups. Read right after
//! a commit, never changed from outside.

use super::scheduler::Scheduler;
use super::wait_graph::Node;
use crate::model::{JobId, TenantId};
use crate::queue::{GroupKey, Member};

/// A resource that somebody needs or holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResourceSnapshot {
    /// Its name; of a pattern the name that somebody asked for.
    pub name: Box<str>,
    /// How many units there are.
    pub units: u32,
    /// The units that jobs hold, in the order of their indexes.
    pub held: Vec<(u32, JobId)>,
    /// Jobs that nothing but a runner, a quota or a unit keeps waiting, over all tenants.
    pub waiting: usize,
    /// For whom the next free units are kept, because others went before it too often.
    pub reserved_for: Option<JobId>,
}

/// A concurrency group that has a member.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSnapshot {
    /// Which.
    pub key: GroupKey,
    /// How many may be in.
    pub limit: usize,
    /// Who is in, each with its name.
    pub holders: Vec<(Member, Box<str>)>,
    /// The first of those that wait, in order, each with its name.
    pub waiting: Vec<(Member, Box<str>)>,
    /// How many wait.
    pub waiting_len: usize,
}

impl Scheduler {
    /// A resource by its name; `None` when no live job needs or holds it, or, for a tenant, none of
    /// its own.
    pub fn resource(&self, name: &str, of: Option<TenantId>) -> Option<ResourceSnapshot> {
        let (units, held) = self.resources.holders(name)?;
        let own = |tenant: TenantId| {
            let is_own = |id| self.job(id).is_some_and(|job| job.tenant_id == tenant);
            let mut classes = self.resources.classes(name);
            held.iter().any(|(_, id)| is_own(*id))
                || classes.any(|class| self.queue.class_len_of(class, tenant) > 0)
        };
        if of.is_some_and(|tenant| !own(tenant)) {
            return None;
        }
        let waiting = self.resources.classes(name).map(|class| self.queue.class_len(class)).sum();
        let reserved_for = self.resources.reserved(name, self.settings.overtake_max);
        Some(ResourceSnapshot { name: name.into(), units, held, waiting, reserved_for })
    }

    /// All such resources, in the order of their names.
    pub fn resources(&self, of: Option<TenantId>) -> Vec<ResourceSnapshot> {
        let names = self.resources.names().into_iter();
        names.filter_map(|name| self.resource(&name, of)).collect()
    }

    /// How many concurrency groups have a member, of one tenant or of all, and the first `limit` of
    /// them: those for which most wait. Of each the first `waiting_max` that wait.
    pub fn groups(
        &self,
        of: Option<TenantId>,
        limit: usize,
        waiting_max: usize,
    ) -> (usize, Vec<GroupSnapshot>) {
        let keys = self.groups.keys().filter(|key| of.is_none_or(|own| own == key.tenant_id));
        let order = |key| (std::cmp::Reverse(self.groups.waiting_len(key)), key);
        let mut keys: Vec<_> = keys.map(order).collect();
        keys.sort_unstable();
        let named = |member: Member| (member, self.node_name(&Node::of(member)).into());
        let groups = keys.iter().take(limit).map(|(_, key)| GroupSnapshot {
            key: (*key).clone(),
            limit: self.groups.limit(key),
            holders: self.groups.inside(key).into_iter().map(named).collect(),
            waiting: self.groups.waiting(key).take(waiting_max).map(named).collect(),
            waiting_len: self.groups.waiting_len(key),
        });
        (keys.len(), groups.collect())
    }
}
