//! The lanes of one class, and what was answered about them last.

use std::collections::{BTreeMap, BTreeSet};

use super::line::Line;
use super::{Head, Scene};
use crate::model::{ClassId, JobId, JobPriority, PoolId, TenantId};

/// Who asked for the head of a class: a pool, which ranks by its policy and leaves out barred jobs,
/// or (`None`) nobody in particular, who ranks by urgency.
pub(super) type Asker = Option<PoolId>;

/// The heads of the tenants of a class as one asker saw them last.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) asker: Asker,
    openings: u64,
    /// How many runners could take jobs of the class.
    runners: usize,
    heads: Vec<TenantHead>,
    /// Tenants whose lanes have another head since, or may have opened.
    stale: Vec<TenantId>,
}

/// The best open head of a tenant's lanes.
#[derive(Clone, Copy, Debug)]
struct TenantHead {
    tenant: TenantId,
    head: Option<Head>,
    /// From when to when (wall) no head of these lanes changes its level.
    since_ms: i64,
    until_ms: i64,
}

/// The lanes of one class.
#[derive(Clone, Debug, Default)]
pub(super) struct ClassLanes {
    /// Of each level, the non-empty lanes by tenant.
    pub(super) levels: [BTreeMap<TenantId, Line>; JobPriority::ALL.len()],
    /// Jobs that some fitting runner may not have. They are few, and each is looked at by itself,
    /// so that one of them does not block the head of a lane.
    pub(super) barred: BTreeSet<(JobPriority, i64, JobId, TenantId)>,
    /// Jobs in all lanes and in `barred`.
    pub(super) len: usize,
    /// One for each that asked: as few as pools that the class names.
    kept: Vec<Kept>,
}

impl ClassLanes {
    pub(super) fn lanes(&self) -> impl Iterator<Item = (JobPriority, TenantId, &Line)> {
        JobPriority::ALL.into_iter().zip(&self.levels).flat_map(|(level, lanes)| {
            lanes.iter().map(move |(tenant, lane)| (level, *tenant, lane))
        })
    }

    /// Jobs beside their lanes: those of one tenant, or of all.
    pub(super) fn beside(
        &self,
        tenant: Option<TenantId>,
    ) -> impl Iterator<Item = (JobPriority, TenantId, (i64, JobId))> {
        let jobs = self.barred.iter().map(|&(level, key, id, tenant)| (level, tenant, (key, id)));
        jobs.filter(move |(_, owner, _)| tenant.is_none_or(|tenant| tenant == *owner))
    }

    pub(super) fn has(&self, tenant: TenantId) -> bool {
        self.levels.iter().any(|lanes| lanes.contains_key(&tenant))
            || self.beside(Some(tenant)).next().is_some()
    }

    /// Another job is first in a lane of a tenant, or it may have opened: these lanes are looked at
    /// again, by those who look `beside` lanes or by all.
    pub(super) fn changed(&mut self, tenant: TenantId, beside: bool) {
        for kept in self.kept.iter_mut().filter(|kept| !beside || kept.asker.is_none()) {
            if !kept.stale.contains(&tenant) {
                kept.stale.push(tenant);
            }
        }
    }

    /// The best of the heads that are open, by `key`.
    ///
    /// Of each tenant the best is kept, and of these only what may have changed is looked at again:
    /// a decision of one job changes one tenant. A tenant's virtual time only grows, so that a kept
    /// place can only be too good: it is enough to put right what seems the best.
    pub(super) fn best<K: Ord>(
        &mut self,
        class_id: ClassId,
        asker: Asker,
        scene: &Scene<'_>,
        open: impl Fn(TenantId, JobPriority, JobId) -> bool,
        key: impl Fn(&Head) -> K,
    ) -> Option<Head> {
        let (openings, runners) = (scene.openings, scene.runners);
        let at = self.kept.iter().position(|kept| kept.asker == asker);
        // Out of its place, so that the lanes can be read meanwhile.
        let kept = at.map(|at| self.kept.swap_remove(at));
        let kept = kept.filter(|kept| kept.openings == openings && kept.runners == runners);
        let look = |tenant| self.look(class_id, asker, tenant, scene, &open, &key);
        let mut kept = kept.unwrap_or_else(|| {
            let heads = self.tenants(asker).into_iter().map(look).collect();
            Kept { asker, openings, runners, heads, stale: Vec::new() }
        });
        for tenant in std::mem::take(&mut kept.stale) {
            let again = look(tenant);
            match kept.heads.iter_mut().find(|it| it.tenant == tenant) {
                Some(head) => *head = again,
                None => kept.heads.push(again),
            }
        }
        // Whose lanes are empty or closed is told when that changes.
        kept.heads.retain(|it| it.head.is_some());
        for it in &mut kept.heads {
            if !(it.since_ms..it.until_ms).contains(&scene.wall_ms) {
                *it = look(it.tenant);
            }
        }
        let best = loop {
            let heads = kept.heads.iter_mut().filter_map(|it| Some((key(&it.head?), it)));
            let Some((_, best)) = heads.min_by(|(one, _), (other, _)| one.cmp(other)) else {
                break None;
            };
            let Some(head) = best.head else { break None };
            let facts = head.facts;
            if facts.virtual_time == scene.shares.virtual_time(facts.tenant_id)
                && open(facts.tenant_id, head.lane, facts.job_id)
            {
                break Some(head);
            }
            *best = look(best.tenant);
            let seen = best.head.map(|it| it.facts.virtual_time);
            debug_assert!(seen.is_none_or(|time| time == scene.shares.virtual_time(best.tenant)));
        };
        self.kept.push(kept);
        best
    }

    /// Whose lanes there are.
    fn tenants(&self, asker: Asker) -> BTreeSet<TenantId> {
        let beside = self.barred.iter().filter(|_| asker.is_none()).map(|it| it.3);
        self.levels.iter().flat_map(BTreeMap::keys).copied().chain(beside).collect()
    }

    /// The best open head of one tenant's lanes, and when the level of one of them changes.
    fn look<K: Ord>(
        &self,
        class_id: ClassId,
        asker: Asker,
        tenant: TenantId,
        scene: &Scene<'_>,
        open: &impl Fn(TenantId, JobPriority, JobId) -> bool,
        key: &impl Fn(&Head) -> K,
    ) -> TenantHead {
        let mut best: Option<(K, Head)> = None;
        let mut until_ms = i64::MAX;
        let lanes = JobPriority::ALL.into_iter().zip(&self.levels);
        let heads = lanes.filter_map(|(level, lanes)| Some((level, lanes.get(&tenant)?.first()?)));
        let beside = self.beside(Some(tenant)).filter(|_| asker.is_none());
        for (level, at) in heads.chain(beside.map(|(level, _, at)| (level, at))) {
            until_ms = until_ms.min(scene.raising.effective(level, at.0, scene.wall_ms).1);
            if open(tenant, level, at.1) {
                let head = scene.head_at(class_id, tenant, level, at);
                let place = key(&head);
                if best.as_ref().is_none_or(|(other, _)| place < *other) {
                    best = Some((place, head));
                }
            }
        }
        let head = best.map(|(_, head)| head);
        TenantHead { tenant, head, since_ms: scene.wall_ms, until_ms }
    }
}
