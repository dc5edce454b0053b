//! The lanes of one class, and what was answered about them last.

use std::collections::{BTreeMap, BTreeSet};

use super::line::Line;
use super::{Head, Scene};
use crate::model::{ClassId, JobId, JobPriority, PoolId, TenantId};

/// Who asked for the head of a class: a pool, which ranks by its policy and leaves out barred jobs,
/// or (`None`) nobody in particular, who ranks by urgency.
pub(super) type Asker = Option<PoolId>;

/// The last answer of a class, and how long it holds.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) asker: Asker,
    head: Option<Head>,
    openings: u64,
    /// When the level of some head of the class changes (wall).
    until_ms: i64,
    since_ms: i64,
    /// Tenants whose lanes may have opened since: these alone are looked at again.
    pub(super) reopened: Vec<TenantId>,
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
    /// One for each that asked since something changed: as few as pools that the class names.
    pub(super) kept: Vec<Kept>,
}

impl ClassLanes {
    pub(super) fn lanes(&self) -> impl Iterator<Item = (JobPriority, TenantId, &Line)> {
        JobPriority::ALL.into_iter().zip(&self.levels).flat_map(|(level, lanes)| {
            lanes.iter().map(move |(tenant, lane)| (level, *tenant, lane))
        })
    }

    /// The heads of lanes, with the level and the tenant of each: those of one tenant, or of all.
    fn heads(
        &self,
        tenant: Option<TenantId>,
    ) -> impl Iterator<Item = (JobPriority, TenantId, (i64, JobId))> {
        let levels = JobPriority::ALL.into_iter().zip(&self.levels);
        levels.flat_map(move |(level, lanes)| {
            let of_one = tenant.and_then(|tenant| Some((tenant, lanes.get(&tenant)?)));
            let of_all = lanes.iter().filter(move |_| tenant.is_none());
            let lanes = of_all.map(|(tenant, lane)| (*tenant, lane)).chain(of_one);
            lanes.filter_map(move |(tenant, lane)| Some((level, tenant, lane.first()?)))
        })
    }

    /// Jobs beside their lanes, in the same form.
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

    /// The best of the heads that are open, by `key`, as it was kept or looked for again.
    pub(super) fn best<K: Ord>(
        &mut self,
        class_id: ClassId,
        asker: Asker,
        scene: &Scene<'_>,
        open: impl Fn(TenantId, JobPriority, JobId) -> bool,
        key: impl Fn(&Head) -> K,
    ) -> Option<Head> {
        let at = self.kept.iter().position(|kept| kept.asker == asker);
        let holds = |kept: &Kept| {
            kept.openings == scene.openings
                && (kept.since_ms..kept.until_ms).contains(&scene.wall_ms)
        };
        if let Some(at) = at.filter(|at| holds(&self.kept[*at])) {
            let mut best = self.kept[at].head;
            for tenant in std::mem::take(&mut self.kept[at].reopened) {
                let (again, _) = self.look(class_id, asker, Some(tenant), scene, &open, &key);
                best = best.into_iter().chain(again).min_by_key(&key);
            }
            self.kept[at].head = best;
            let head = best?;
            let facts = head.facts;
            if facts.virtual_time == scene.shares.virtual_time(facts.tenant_id)
                && facts.runners == scene.runners
                && open(facts.tenant_id, head.lane, facts.job_id)
            {
                return Some(head);
            }
        }
        let (head, until_ms) = self.look(class_id, asker, None, scene, &open, &key);
        let kept = Kept {
            asker,
            head,
            openings: scene.openings,
            until_ms,
            since_ms: scene.wall_ms,
            reopened: Vec::new(),
        };
        match at {
            Some(at) => self.kept[at] = kept,
            None => self.kept.push(kept),
        }
        head
    }

    /// The best open head of one tenant's lanes or of all, and when the level of one of them
    /// changes (wall).
    fn look<K: Ord>(
        &self,
        class_id: ClassId,
        asker: Asker,
        tenant: Option<TenantId>,
        scene: &Scene<'_>,
        open: &impl Fn(TenantId, JobPriority, JobId) -> bool,
        key: &impl Fn(&Head) -> K,
    ) -> (Option<Head>, i64) {
        let mut best: Option<(K, Head)> = None;
        let mut until_ms = i64::MAX;
        let beside = self.beside(tenant).filter(|_| asker.is_none());
        for (level, tenant, at) in self.heads(tenant).chain(beside) {
            until_ms = until_ms.min(scene.raising.effective(level, at.0, scene.wall_ms).1);
            if open(tenant, level, at.1) {
                let head = scene.head_at(class_id, tenant, level, at);
                let place = key(&head);
                if best.as_ref().is_none_or(|(other, _)| place < *other) {
                    best = Some((place, head));
                }
            }
        }
        (best.map(|(_, head)| head), until_ms)
    }
}
