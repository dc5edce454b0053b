//! Why all jobs wait that do: how many stand at each closed gate, and in each lane.
//!
//! The counts come from the gates and the lanes themselves, not from a look at every job, and a
//! question has so many steps and no more: a fleet with a million jobs is not made to wait for it.

use std::collections::BTreeMap;

use super::reason::Reason;
use super::scheduler::Scheduler;
use crate::model::{
    ClassId, Job, JobId, JobPriority, JobStateKind, Now, PauseScope, RunnerRequirements, TenantId,
    WorkloadId,
};

/// The most looks at single jobs, lanes, members of groups and runners.
const STEPS_MAX: usize = 20_000;

/// Everything that waits, by what it waits for.
#[derive(Clone, PartialEq, Debug)]
pub struct WaitSummary {
    /// Jobs that wait, gated or not.
    pub waiting: u64,
    /// Of these, jobs in lanes: nothing that they name keeps them back.
    pub ready: u64,
    /// Closed gates, the one with most jobs first.
    pub gates: Vec<GateCount>,
    /// Lanes, the longest first.
    pub lanes: Vec<LaneCount>,
    /// Whether there was more than could be looked at: then numbers are too small.
    pub truncated: bool,
}

/// Jobs that one closed gate keeps back. A job counts at each gate that does; one that waits before
/// the lanes counts where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GateCount {
    /// The name of the reason: see [`Reason::code`].
    pub code: &'static str,
    /// Which group, pause, quota, resource, pool, limit or runner, where there are several.
    pub key: Option<Box<str>>,
    /// Whose gate it is, where each tenant has one.
    pub tenant_id: Option<TenantId>,
    /// How many jobs.
    pub jobs: u64,
}

/// One lane: ready jobs of equal requirements, of one tenant, at one level.
#[derive(Clone, PartialEq, Debug)]
pub struct LaneCount {
    /// The class.
    pub class_id: ClassId,
    /// What its jobs require.
    pub requirements: RunnerRequirements,
    /// Whose they are.
    pub tenant_id: TenantId,
    /// Their level, raised or not.
    pub level: JobPriority,
    /// How many.
    pub jobs: u64,
    /// The first in order.
    pub first_job_id: JobId,
    /// Since when that one waits (wall).
    pub first_queued_at_ms: i64,
    /// Why the first is not given out; not known when the summary was cut short.
    pub reasons: Vec<Reason>,
}

type GateKey = (&'static str, Option<Box<str>>, Option<TenantId>);

/// What is being counted, and for whom.
struct Count {
    limited_to: Option<TenantId>,
    steps: usize,
    truncated: bool,
    gates: BTreeMap<GateKey, u64>,
}

impl Count {
    /// Whether so much more may be looked at.
    fn may(&mut self, steps: usize) -> bool {
        let left = self.steps.checked_sub(steps);
        self.truncated |= left.is_none();
        self.steps = left.unwrap_or(self.steps);
        left.is_some()
    }

    fn sees(&self, tenant: TenantId) -> bool {
        self.limited_to.is_none_or(|own| own == tenant)
    }

    fn add(
        &mut self,
        code: &'static str,
        key: Option<Box<str>>,
        whose: Option<TenantId>,
        jobs: u64,
    ) {
        if jobs > 0 {
            *self.gates.entry((code, key, whose)).or_default() += jobs;
        }
    }
}

impl Scheduler {
    /// Why all jobs wait that the caller sees, who is limited to a tenant or is not. At most
    /// `limit` gates and `limit` lanes are listed; nothing else is cut off by it.
    pub fn explain_all(&self, now: Now, limited_to: Option<TenantId>, limit: usize) -> WaitSummary {
        let mut count =
            Count { limited_to, steps: STEPS_MAX, truncated: false, gates: BTreeMap::new() };
        self.count_gates(&mut count);
        let (ready, lanes) = self.count_lanes(now, &mut count, limit);
        let Count { truncated, gates, .. } = count;
        let mut gates: Vec<_> = gates
            .into_iter()
            .map(|((code, key, tenant_id), jobs)| GateCount { code, key, tenant_id, jobs })
            .collect();
        gates.sort_by_key(|gate| std::cmp::Reverse(gate.jobs));
        gates.truncate(limit);
        let waiting = match limited_to {
            None => self.quota.waiting(),
            Some(tenant) => self.quota.waiting_of(tenant),
        };
        WaitSummary { waiting, ready, gates, lanes, truncated }
    }

    /// The gates before the lanes.
    fn count_gates(&self, count: &mut Count) {
        let blocked = self.count_jobs(count, self.dependencies.blocked());
        count.add("blocked_by", None, None, blocked);
        let undecided = self.count_jobs(count, self.undecided.iter().copied());
        count.add("planning", None, None, undecided);
        let delayed = self.count_jobs(count, self.time_gate.jobs());
        count.add("delayed_until", None, None, delayed);
        let quiet = self.lines.quiet().flat_map(|id| self.unended_jobs(id));
        let quiet: Vec<_> = quiet.take(STEPS_MAX).collect();
        let quiet = self.count_jobs(count, quiet.into_iter());
        count.add("debounced", None, None, quiet);
        for (trigger, jobs) in self.paused_triggers.iter() {
            let jobs = self.count_jobs(count, jobs.iter().copied());
            let what = self.scope_name(&PauseScope::Trigger(trigger.into()));
            count.add("paused", Some(what.into()), None, jobs);
        }
        for (runner, jobs) in self.holds.by_runner() {
            let jobs = self.count_jobs(count, jobs.iter().copied());
            count.add("held_for_runner", Some(format!("runner {runner}").into()), None, jobs);
        }
        for (key, jobs) in self.parallel.waiting() {
            let workload = self.workload(key.workload_id).filter(|it| count.sees(it.tenant_id));
            if workload.is_some() && count.may(1) {
                let workload = format!("workload {}", key.workload_id);
                let name = match &key.matrix {
                    None => workload,
                    Some(matrix) => format!("{workload}, matrix {matrix}"),
                };
                count.add("matrix_limit", Some(name.into()), None, jobs as u64);
            }
        }
        for key in self.groups.keys().filter(|key| count.sees(key.tenant_id)).collect::<Vec<_>>() {
            let mut jobs = 0;
            for member in self.groups.waiting(key) {
                if !count.may(1) {
                    break;
                }
                jobs += match member.job_id {
                    Some(_) => 1,
                    None => self.waiting_jobs_of(member.workload_id),
                };
            }
            count.add("group_held", Some(key.key.clone()), Some(key.tenant_id), jobs);
        }
    }

    /// Jobs of a workload that wait.
    fn waiting_jobs_of(&self, id: WorkloadId) -> u64 {
        let Some(workload) = self.workloads.get(&id) else { return 0 };
        let waiting = [JobStateKind::Blocked, JobStateKind::Pending];
        waiting.into_iter().map(|kind| u64::from(workload.count(kind))).sum()
    }

    /// How many of these jobs the caller sees; who sees all costs no look at each.
    fn count_jobs(&self, count: &mut Count, jobs: impl ExactSizeIterator<Item = JobId>) -> u64 {
        let Some(tenant) = count.limited_to else { return jobs.len() as u64 };
        let mut own = 0;
        for id in jobs {
            if !count.may(1) {
                break;
            }
            own += u64::from(self.job(id).is_some_and(|job| job.tenant_id == tenant));
        }
        own
    }

    /// The first `limit` lanes, the longest first, with what closes each; and how many jobs are in all
    /// of them.
    fn count_lanes(&self, now: Now, count: &mut Count, limit: usize) -> (u64, Vec<LaneCount>) {
        let (mut ready, mut lanes, mut listed) = (0, Vec::new(), Vec::new());
        for (class, level, tenant, jobs, first) in self.queue.lanes() {
            if !count.sees(tenant) {
                continue;
            }
            if !count.may(1) {
                break;
            }
            ready += jobs as u64;
            lanes.push((std::cmp::Reverse(jobs), level, class, tenant, first));
        }
        lanes.sort_unstable();
        for (jobs, level, class, tenant, first) in lanes {
            let jobs = jobs.0 as u64;
            let (Some(job), Some(needs)) = (self.job(first), self.index.requirements(class)) else {
                continue;
            };
            // Where no runner fits, all are looked at for the nearest.
            let looks = match self.index.runners_len(class) {
                0 => self.runners.len(),
                fitting => fitting,
            };
            let mut reasons = Vec::new();
            if count.may(1 + looks) {
                reasons = self.explain_lane(now, job, count.limited_to);
            }
            for reason in &reasons {
                let whose = matches!(reason, Reason::Quota(_)).then_some(tenant);
                count.add(reason.code(), reason.key(), whose, jobs);
            }
            if listed.len() < limit {
                listed.push(LaneCount {
                    class_id: class,
                    requirements: needs.clone(),
                    tenant_id: tenant,
                    level,
                    jobs,
                    first_job_id: first,
                    first_queued_at_ms: job.queued_at_ms,
                    reasons,
                });
            }
        }
        (ready, listed)
    }

    /// Why the first job of a lane is not given out: what closes the lane, then the runner side.
    fn explain_lane(&self, now: Now, job: &Job, limited_to: Option<TenantId>) -> Vec<Reason> {
        let mut reasons = Vec::new();
        self.explain_pauses(job, &mut reasons);
        self.explain_closed(now, job, limited_to, &mut reasons);
        self.explain_runners(job, limited_to, &mut reasons);
        reasons
    }
}
