//! The quota gate: what a tenant has, and whether its lanes are closed for that.

use std::collections::VecDeque;
use std::fmt;

use rustc_hash::FxHashMap;

use crate::model::{JobPriority, RunnerRequirements, TenantId};

/// The window of `starts_per_minute_max`.
const WINDOW_MS: i64 = 60_000;

/// What a tenant may have at once; `None` for no maximum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QuotaLimits {
    /// Jobs that runners have.
    pub running_max: Option<u64>,
    /// Jobs at level `critical` that runners have.
    pub critical_running_max: Option<u64>,
    /// Jobs that wait.
    pub queued_max: Option<u64>,
    /// Jobs given out in any minute.
    pub starts_per_minute_max: Option<u32>,
    /// Cores, gigabytes of memory and graphics processors that its running jobs require together.
    pub held_max: [Option<u64>; 3],
}

/// What one job takes of a quota while a runner has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Demand {
    /// Cores, gigabytes of memory, graphics processors.
    pub amounts: [u32; 3],
}

impl Demand {
    /// Of jobs with these requirements.
    pub fn of(needs: &RunnerRequirements) -> Self {
        Self { amounts: [needs.min_cpu_cores, needs.min_memory_gb, needs.gpu] }
    }
}

/// A quota that is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaReached {
    /// The key of the quota in the configuration.
    pub quota: &'static str,
    /// What is used, without the job that waits.
    pub used: u64,
    /// What may be used.
    pub limit: u64,
}

impl fmt::Display for QuotaReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {}, {} used", self.quota, self.limit, self.used)
    }
}

/// What a tenant uses.
#[derive(Clone, Debug, Default)]
struct Usage {
    running: u64,
    critical: u64,
    waiting: u64,
    held: [u64; 3],
    /// When jobs were given out in the last minute (mono); kept only where that is limited.
    starts: VecDeque<i64>,
}

/// What every tenant uses, and what it may.
#[derive(Clone, Debug, Default)]
pub struct QuotaGate {
    limits: FxHashMap<TenantId, QuotaLimits>,
    usage: FxHashMap<TenantId, Usage>,
    waiting: u64,
    /// The most of each amount that jobs of any class require.
    largest: [u64; 3],
}

impl QuotaGate {
    /// Nobody uses anything yet. Who has no limits is not limited.
    pub fn new(limits: impl IntoIterator<Item = (TenantId, QuotaLimits)>) -> Self {
        Self { limits: limits.into_iter().collect(), ..Self::default() }
    }

    fn limits(&self, tenant: TenantId) -> QuotaLimits {
        self.limits.get(&tenant).copied().unwrap_or_default()
    }

    /// Jobs of some class require so much.
    pub fn expect(&mut self, demand: Demand) {
        for (largest, amount) in self.largest.iter_mut().zip(demand.amounts) {
            *largest = u64::from(amount).max(*largest);
        }
    }

    /// A job begins to wait, gated or not.
    pub fn waits(&mut self, tenant: TenantId) {
        self.waiting += 1;
        self.usage.entry(tenant).or_default().waiting += 1;
    }

    /// A job waits no longer.
    pub fn waits_no_longer(&mut self, tenant: TenantId) {
        self.waiting -= 1;
        self.usage.entry(tenant).or_default().waiting -= 1;
    }

    /// How many jobs wait, of all tenants.
    pub fn waiting(&self) -> u64 {
        self.waiting
    }

    /// How many jobs of a tenant wait.
    pub fn waiting_of(&self, tenant: TenantId) -> u64 {
        self.usage.get(&tenant).map_or(0, |usage| usage.waiting)
    }

    /// A runner gets a job; `started_ms` (mono) counts for the rate, and is absent for a job that
    /// a runner had before a load.
    pub fn given(
        &mut self,
        tenant: TenantId,
        demand: Demand,
        priority: JobPriority,
        started_ms: Option<i64>,
    ) {
        let rated = self.limits(tenant).starts_per_minute_max.is_some();
        let usage = self.usage.entry(tenant).or_default();
        usage.running += 1;
        usage.critical += u64::from(priority == JobPriority::Critical);
        for (held, amount) in usage.held.iter_mut().zip(demand.amounts) {
            *held += u64::from(amount);
        }
        if let Some(at_ms) = started_ms.filter(|_| rated) {
            usage.starts.push_back(at_ms);
        }
    }

    /// A runner has it no longer. Whether that may open a lane: something that comes back was used
    /// up, or there was too little left of it for some job.
    #[must_use]
    pub fn given_back(&mut self, tenant: TenantId, demand: Demand, priority: JobPriority) -> bool {
        let limits = self.limits(tenant);
        let usage = self.usage.entry(tenant).or_default();
        let critical = priority == JobPriority::Critical;
        let reached = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
        let mut opens = reached(usage.running, limits.running_max)
            || (critical && reached(usage.critical, limits.critical_running_max));
        usage.running -= 1;
        usage.critical -= u64::from(critical);
        for (at, amount) in demand.amounts.into_iter().enumerate() {
            let short = |limit: u64| usage.held[at] + self.largest[at] > limit;
            opens |= amount > 0 && limits.held_max[at].is_some_and(short);
            usage.held[at] -= u64::from(amount);
        }
        opens
    }

    /// The first quota that keeps a job back, if one does.
    pub fn closed(
        &self,
        tenant: TenantId,
        demand: Demand,
        priority: JobPriority,
        mono_ms: i64,
    ) -> Option<QuotaReached> {
        let limits = self.limits.get(&tenant)?;
        let none = Usage::default();
        let usage = self.usage.get(&tenant).unwrap_or(&none);
        let reached = |quota, used: u64, more: u64, limit: Option<u64>| {
            let limit = limit?;
            (used + more > limit).then_some(QuotaReached { quota, used, limit })
        };
        let critical = limits.critical_running_max.filter(|_| priority == JobPriority::Critical);
        let mut found = reached("running_max", usage.running, 1, limits.running_max)
            .or_else(|| reached("critical_running_max", usage.critical, 1, critical));
        let names = ["cpu_cores_max", "memory_gb_max", "gpu_max"];
        for (at, name) in names.into_iter().enumerate() {
            let more = u64::from(demand.amounts[at]);
            // What needs none of it is not kept back by who has too much of it.
            let limit = limits.held_max[at].filter(|_| more > 0);
            found = found.or_else(|| reached(name, usage.held[at], more, limit));
        }
        found.or_else(|| {
            let limit = limits.starts_per_minute_max?;
            // Oldest first.
            let over = usage.starts.partition_point(|at| mono_ms - at >= WINDOW_MS);
            let starts = usage.starts.len() - over;
            reached("starts_per_minute_max", starts as u64, 1, Some(u64::from(limit)))
        })
    }

    /// When the tenant's rate lets the next job through (mono), while it keeps jobs back.
    pub fn rate_opens_at_ms(&mut self, tenant: TenantId, mono_ms: i64) -> Option<i64> {
        let limit = self.limits(tenant).starts_per_minute_max? as usize;
        let usage = self.usage.get_mut(&tenant)?;
        while usage.starts.front().is_some_and(|at_ms| mono_ms - at_ms >= WINDOW_MS) {
            usage.starts.pop_front();
        }
        let over = usage.starts.len().checked_sub(limit)?;
        usage.starts.get(over).map(|at_ms| at_ms + WINDOW_MS)
    }

    /// Whether so many more jobs of the tenant may wait; otherwise what keeps them out.
    ///
    /// # Errors
    ///
    /// [`QuotaReached`].
    pub fn may_wait(&self, tenant: TenantId, jobs: u64) -> Result<(), QuotaReached> {
        let used = self.waiting_of(tenant);
        match self.limits(tenant).queued_max {
            Some(limit) if used + jobs > limit => {
                Err(QuotaReached { quota: "queued_max", used, limit })
            }
            _ => Ok(()),
        }
    }

    /// Why a job can never run under the tenant's quotas, if it cannot.
    pub fn never(&self, tenant: TenantId, demand: Demand) -> Option<QuotaReached> {
        let limits = self.limits(tenant);
        let names = ["cpu_cores_max", "memory_gb_max", "gpu_max"];
        names.into_iter().enumerate().find_map(|(at, quota)| {
            let (limit, used) = (limits.held_max[at]?, u64::from(demand.amounts[at]));
            (used > limit).then_some(QuotaReached { quota, used, limit })
        })
    }

    /// Jobs of the tenant that runners have.
    pub fn running(&self, tenant: TenantId) -> u64 {
        self.usage.get(&tenant).map_or(0, |usage| usage.running)
    }

    /// Of these, those at level `critical`; and what all of them require together, as
    /// [`Demand::amounts`].
    pub fn held(&self, tenant: TenantId) -> (u64, [u64; 3]) {
        self.usage.get(&tenant).map_or((0, [0; 3]), |usage| (usage.critical, usage.held))
    }

    /// The quotas that are set for the tenant, each with what is used of it.
    pub fn used(&self, tenant: TenantId, mono_ms: i64) -> Vec<QuotaReached> {
        let (limits, none) = (self.limits(tenant), Usage::default());
        let usage = self.usage.get(&tenant).unwrap_or(&none);
        let starts = usage.starts.iter().filter(|at| mono_ms - **at < WINDOW_MS).count() as u64;
        let [cpu, memory, gpu] = limits.held_max;
        [
            ("running_max", usage.running, limits.running_max),
            ("critical_running_max", usage.critical, limits.critical_running_max),
            ("queued_max", usage.waiting, limits.queued_max),
            ("starts_per_minute_max", starts, limits.starts_per_minute_max.map(u64::from)),
            ("cpu_cores_max", usage.held[0], cpu),
            ("memory_gb_max", usage.held[1], memory),
            ("gpu_max", usage.held[2], gpu),
        ]
        .into_iter()
        .filter_map(|(quota, used, limit)| Some(QuotaReached { quota, used, limit: limit? }))
        .collect()
    }

    /// Jobs that runners have and jobs that wait, of each tenant, by id.
    pub fn counts(&self) -> Vec<(TenantId, u64, u64)> {
        let count = |(id, usage): (&TenantId, &Usage)| (*id, usage.running, usage.waiting);
        let mut counts: Vec<_> = self.usage.iter().map(count).collect();
        counts.sort_unstable();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobPriority::{Critical, Normal};

    const T: TenantId = TenantId(3);

    fn gate(limits: QuotaLimits) -> QuotaGate {
        QuotaGate::new([(T, limits)])
    }

    fn quota(
        gate: &QuotaGate,
        gpus: u32,
        priority: JobPriority,
        at_ms: i64,
    ) -> Option<&'static str> {
        let demand = Demand { amounts: [0, 0, gpus] };
        gate.closed(T, demand, priority, at_ms).map(|reached| reached.quota)
    }

    #[test]
    fn each_quota_closes_only_what_it_counts() {
        let mut gate = gate(QuotaLimits {
            running_max: Some(3),
            critical_running_max: Some(1),
            held_max: [None, None, Some(2)],
            ..QuotaLimits::default()
        });
        gate.given(T, Demand { amounts: [4, 8, 2] }, Critical, Some(0));
        assert_eq!(quota(&gate, 0, Critical, 0), Some("critical_running_max"));
        assert_eq!(quota(&gate, 1, Normal, 0), Some("gpu_max"));
        assert_eq!(quota(&gate, 0, Normal, 0), None);
        gate.given(T, Demand::default(), Normal, Some(0));
        gate.given(T, Demand::default(), Normal, Some(0));
        assert_eq!(quota(&gate, 0, Normal, 0), Some("running_max"));
        assert!(gate.given_back(T, Demand { amounts: [4, 8, 2] }, Critical));
        assert_eq!(quota(&gate, 2, Critical, 0), None);
        assert_eq!(gate.closed(TenantId(9), Demand::default(), Normal, 0), None);
    }

    #[test]
    fn a_rate_counts_any_minute_and_says_when_it_opens() {
        let limits = QuotaLimits { starts_per_minute_max: Some(2), ..QuotaLimits::default() };
        let mut gate = gate(limits);
        gate.given(T, Demand::default(), Normal, Some(1_000));
        assert_eq!(gate.rate_opens_at_ms(T, 1_000), None);
        gate.given(T, Demand::default(), Normal, Some(5_000));
        assert_eq!(quota(&gate, 0, Normal, 60_999), Some("starts_per_minute_max"));
        assert_eq!(gate.rate_opens_at_ms(T, 60_999), Some(61_000));
        assert_eq!(quota(&gate, 0, Normal, 61_000), None);
        assert_eq!(gate.rate_opens_at_ms(T, 61_000), None);
    }

    #[test]
    fn waiting_jobs_are_counted_and_what_can_never_run_is_known() {
        let limits = QuotaLimits {
            queued_max: Some(2),
            held_max: [Some(8), None, None],
            ..QuotaLimits::default()
        };
        let mut gate = gate(limits);
        gate.waits(T);
        assert!(gate.may_wait(T, 1).is_ok());
        let reached = gate.may_wait(T, 2).unwrap_err();
        assert_eq!(reached.to_string(), "queued_max is 2, 1 used");
        gate.waits_no_longer(T);
        assert!(gate.may_wait(T, 2).is_ok());
        assert!(gate.never(T, Demand { amounts: [9, 0, 0] }).is_some());
        assert!(gate.never(T, Demand { amounts: [8, 99, 99] }).is_none());
    }
}
