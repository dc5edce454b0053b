//! A matcher that looks at every job and every runner, to compare the real one with.

use std::collections::BTreeMap;

use dispatchyard::dispatch::Durable;
use dispatchyard::model::{ClassId, JobId, JobStateKind, Now, RunnerId, RunnerRequirements};

/// What the world knows of a runner.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownRunner {
    pub(crate) foreign_jobs: u32,
    pub(crate) offline: bool,
    /// Of the parked poll: its place in the order of polls, and the most jobs that it takes.
    pub(crate) parked: Option<(u64, u32)>,
    /// Jobs that the parked poll has been given and not told of.
    pub(crate) given: u32,
}

/// Which ready job goes to which runner, in the order of the decisions.
pub(crate) fn decide(
    state: &Durable,
    classes: &BTreeMap<ClassId, RunnerRequirements>,
    known: &BTreeMap<RunnerId, KnownRunner>,
    max_global_concurrency: u64,
    now: Now,
) -> Vec<(JobId, RunnerId)> {
    let mut known = known.clone();
    let mut leases: BTreeMap<RunnerId, u32> = BTreeMap::new();
    for (_, runner) in state.leases.values() {
        *leases.entry(*runner).or_default() += 1;
    }
    let mut running = state.leases.len() as u64;
    let mut ready: Vec<_> = state
        .jobs
        .values()
        .filter(|job| job.kind() == JobStateKind::Pending && job.not_before_ms <= now.wall_ms)
        .collect();
    ready.sort_by_key(|job| (job.priority, job.lane_key, job.id));
    let mut decisions = Vec::new();
    for job in ready {
        if running >= max_global_concurrency {
            break;
        }
        let needs = &classes[&job.class_id];
        let fitting: Vec<_> = state
            .runners
            .values()
            .filter(|runner| runner.capabilities.satisfies(runner.pool_id, needs))
            .collect();
        let alone = |id: RunnerId| {
            fitting.iter().all(|other| {
                other.id == id
                    || known[&other.id].offline
                    || other.cordoned.is_some()
                    || other.draining
            })
        };
        let best = fitting
            .iter()
            .filter(|runner| runner.cordoned.is_none() && !runner.draining)
            .filter_map(|runner| {
                let it = &known[&runner.id];
                let (parked_at, jobs_max) = it.parked?;
                let used = leases.get(&runner.id).copied().unwrap_or(0) + it.foreign_jobs;
                let slots = runner.capabilities.max_parallel_jobs;
                let room = slots.saturating_sub(used).min(jobs_max.saturating_sub(it.given));
                let avoided = job.avoid_runner_id == Some(runner.id);
                if room == 0 || (avoided && !alone(runner.id)) {
                    return None;
                }
                // The load as a fraction, compared by cross-multiplication of small numbers.
                let load = u64::from(used) * 720_720 / u64::from(slots);
                Some(((avoided, load, parked_at), runner.id))
            })
            .min();
        if let Some((_, runner)) = best {
            decisions.push((job.id, runner));
            *leases.entry(runner).or_default() += 1;
            known.get_mut(&runner).expect("known").given += 1;
            running += 1;
        }
    }
    decisions
}
