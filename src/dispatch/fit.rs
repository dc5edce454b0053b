//! Who could run jobs with given requirements, and what the others lack: asked before anything is
//! submitted.

use super::scheduler::Scheduler;
use crate::model::{Mismatch, PoolId, RunnerId, RunnerRequirements, RunnerState, TenantId};
use crate::queue::Demand;
use crate::runner::LiveRunner;

/// The most runners that one question looks at: a question must not keep the next batch waiting.
const LOOKS_MAX: usize = 20_000;

/// What the fleet says to a job's requirements.
#[derive(Clone, PartialEq, Debug)]
pub struct Fit {
    /// Why a job with them would be refused, or could never run, whatever the runners are.
    pub impossible: Option<String>,
    /// How many runners could take it now, later, and never as they are: see [`Can`].
    pub counts: [u64; 3],
    /// The nearest first: who could take it now, then later, then who lacks least.
    pub runners: Vec<RunnerFit>,
    /// Whether there are runners at which nobody looked.
    pub truncated: bool,
}

/// Whether a runner could take a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Can {
    /// It fits, has room and takes new jobs.
    Now,
    /// It fits.
    Later,
    /// It does not fit.
    Never,
}

impl Can {
    /// The name that programs compare.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Later => "later",
            Self::Never => "never",
        }
    }
}

/// What one runner says to them.
#[derive(Clone, PartialEq, Debug)]
pub struct RunnerFit {
    /// Which runner.
    pub runner_id: RunnerId,
    /// Its name.
    pub name: Box<str>,
    /// Its pool.
    pub pool_id: PoolId,
    /// What it is doing.
    pub state: RunnerState,
    /// Slots that have no job.
    pub slots_free: u32,
    /// All its slots.
    pub slots_total: u32,
    /// Whether it could take the job.
    pub can: Can,
    /// What it lacks for good.
    pub lacks: Vec<Mismatch>,
    /// What keeps it from the job just now, of a runner that lacks nothing.
    pub obstacles: Vec<String>,
}

impl Scheduler {
    /// What the fleet says to requirements, normalised, of a job of `tenant`. A caller who is
    /// limited to a tenant is told of that tenant's runners and of those that all share. At most
    /// `limit` runners are listed.
    pub fn fit(
        &self,
        needs: &RunnerRequirements,
        tenant: TenantId,
        limited_to: Option<TenantId>,
        limit: usize,
    ) -> Fit {
        let mut counts = [0; 3];
        let mut found = Vec::new();
        for (slot, runner) in self.runners.iter().take(LOOKS_MAX) {
            if !self.sees_pool(limited_to, runner.row.pool_id) {
                continue;
            }
            let lacks = runner.row.capabilities.mismatches(runner.row.pool_id, needs).len();
            let can = match lacks {
                0 if self.obstacles(runner, needs).is_empty() => Can::Now,
                0 => Can::Later,
                _ => Can::Never,
            };
            counts[can as usize] += 1;
            found.push((can, lacks, std::cmp::Reverse(runner.free()), runner.row.id, slot));
        }
        found.sort_unstable();
        let runners = found.iter().take(limit).filter_map(|(can, .., slot)| {
            let runner = self.runners.at(*slot)?;
            let lacks = runner.row.capabilities.mismatches(runner.row.pool_id, needs);
            Some(RunnerFit {
                runner_id: runner.row.id,
                name: runner.row.name.clone(),
                pool_id: runner.row.pool_id,
                state: runner.state(),
                slots_free: runner.free(),
                slots_total: runner.slots(),
                can: *can,
                obstacles: match lacks.is_empty() {
                    true => self.obstacles(runner, needs),
                    false => Vec::new(),
                },
                lacks,
            })
        });
        Fit {
            impossible: self.never_runs(tenant, needs),
            counts,
            runners: runners.collect(),
            truncated: self.runners.len() > LOOKS_MAX,
        }
    }

    /// What keeps a runner that fits from new jobs now.
    fn obstacles(&self, runner: &LiveRunner, needs: &RunnerRequirements) -> Vec<String> {
        let mut found = Vec::new();
        let mut add = |what: String| found.push(what);
        if runner.offline {
            add("is offline".into());
        }
        if let Some(why) = &runner.row.cordoned {
            add(format!("is cordoned: {why}"));
        }
        if runner.row.draining {
            add("is draining".into());
        }
        if runner.unhealthy {
            add("gets nothing for a while, because jobs were lost under it".into());
        }
        let pool = runner.row.pool_id;
        if let Some(closed) = self.pool_closed(pool) {
            add(closed);
        }
        if runner.free() == 0 {
            add("has no free slot".into());
        } else if self.pool_settings(pool).reserve_resources {
            let names = ["cpu_cores", "memory_gb", "gpu"];
            let amounts = names.into_iter().zip(Demand::of(needs).amounts).zip(runner.left());
            for ((name, wanted), left) in amounts.filter(|((_, wanted), left)| wanted > left) {
                add(format!("has {left} {name} left where {wanted} are required"));
            }
        }
        found
    }

    /// Why a pool gives out no jobs.
    fn pool_closed(&self, pool: PoolId) -> Option<String> {
        let name = self.settings.catalogue.pool_name(pool);
        if self.pool_is_paused(pool) {
            return Some(format!("is of pool {name}, which is paused"));
        }
        self.pool_is_full(pool).then(|| format!("is of pool {name}, which is at its jobs_max"))
    }

    /// Whether a caller who is limited to a tenant, or is not, sees the runners of a pool.
    pub(super) fn sees_pool(&self, limited_to: Option<TenantId>, pool: PoolId) -> bool {
        let Some(tenant) = limited_to else { return true };
        // Of a pool that was configured once nobody is told.
        let known = pool == PoolId::DEFAULT || self.settings.pools.contains_key(&pool);
        known && self.pool_settings(pool).tenant_id.is_none_or(|own| own == tenant)
    }
}
