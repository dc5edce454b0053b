//! Notices rare states, so that none goes untested for want of being reached.

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::model::{JobId, JobPriority, JobStateKind, PauseScope};

use super::World;
use crate::known::trigger_paused;
use crate::naive::{Decision, Naive};

/// What keeps jobs back before a match.
pub(super) fn before(naive: &Naive<'_>) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut note = |there: bool, what| {
        if there {
            found.insert(what);
        }
    };
    note(naive.running() >= naive.settings.max_global_concurrency, "stopped at capacity");
    for runner in naive.rows.runners.values() {
        let known = &naive.known.runners[&runner.id];
        let ours = naive.has.get(&runner.id).map_or(0, BTreeSet::len) as u32;
        let only_foreign = ours < runner.capabilities.max_parallel_jobs && naive.free(runner) == 0;
        note(known.parked.is_some() && only_foreign, "foreign jobs in the way");
    }
    for job in naive.rows.jobs.values() {
        let pending = job.kind() == JobStateKind::Pending;
        note(pending && trigger_paused(naive.rows, job).is_some(), "pause of a trigger");
    }
    for (id, level) in &naive.known.ready {
        let job = naive.job(*id);
        note(*level < job.priority, "raise by deadline");
        note(naive.fitting(job).next().is_none(), "nobody could take it");
        note(naive.quota(job).is_some(), "quota closed");
        for runner in naive.fitting(job).filter(|it| naive.room(it) > 0) {
            let pool = PauseScope::Pool(runner.pool_id);
            note(naive.paused(&pool), "pause of a pool");
            note(naive.paused(&PauseScope::Tenant(job.tenant_id)), "pause of a tenant");
            note(naive.paused(&PauseScope::Everything), "pause of everything");
            note(naive.pool_full(runner.pool_id), "pool full");
            note(!naive.lacking(job).is_empty(), "waited for a resource");
            match naive.barrier(job, runner) {
                Some("kept apart") => note(true, "anti-affinity kept apart"),
                Some("not near") => note(true, "affinity waited"),
                Some("too little left") => note(true, "too little left"),
                _ => {}
            }
        }
    }
    for name in naive.known.overtaken.keys() {
        note(true, "overtaken");
        note(naive.reserved(name).is_some(), "reservation made");
    }
    found
}

impl World {
    /// What the decisions of a match show; the rows are as they were before it.
    pub(super) fn note_decisions(
        &mut self,
        decided: &[Decision],
        closed: &BTreeMap<JobId, &'static str>,
        idle: bool,
    ) {
        for decision in decided {
            let Decision::Give(id, runner) = *decision else {
                self.reached.mark("hold given");
                continue;
            };
            let job = &self.rows.jobs[&id];
            let pool = self.rows.runners[&runner].pool_id;
            if self.rows.classes[&job.class_id].requirements.pool_id != pool {
                self.reached.mark("fallback pool used");
            }
            if job.extras.avoid_runner_id == Some(runner) {
                self.reached.mark("avoided runner took it");
            }
            let was_closed = self.closed.remove(&id).filter(|_| !closed.contains_key(&id));
            if let Some(quota) = was_closed {
                self.reached.mark("quota reopened");
                if quota == "starts_per_minute_max" && idle {
                    self.reached.mark("rate reopened by its timer");
                }
            }
            let naive = self.naive();
            let lane = naive.known.ready.get(&id).copied();
            let overtook = lane.is_some_and(|lane| {
                let level = naive.level(job);
                let others = naive.known.ready.iter();
                let others = others.filter(|(other, own)| **other != id && **own < lane);
                level < lane
                    && lane > JobPriority::High
                    && others.map(|(other, _)| naive.level(naive.job(*other))).any(|it| it > level)
            });
            if overtook {
                self.reached.mark("aging overtook");
            }
        }
    }
}
