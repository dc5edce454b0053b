//! The place of a job among all that a policy compares, and what it follows from.

use crate::model::{ClassId, Job, JobId, JobPriority, PoolId, TenantId};
use crate::queue::{LaneHead, Raising, Rank, SchedulingPolicy, Shares};

/// Where a ready job stands: kept by whoever put it there, to find it again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The level of its lane.
    pub level: JobPriority,
    /// Whether it stands beside its lane, because some runner that fits may not have it.
    pub barred: bool,
}

/// The place of a job among all that a policy compares: smaller goes first.
pub type OrderKey = (Rank, i64, JobId);

/// A job that may be next, with what its place follows from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// What the policy saw.
    pub facts: LaneHead,
    /// The level of its lane.
    pub lane: JobPriority,
    /// Its place.
    pub key: OrderKey,
}

/// The order between pools: level, share, lane key, job.
pub type Urgency = (JobPriority, u64, i64, JobId);

impl Head {
    /// Its place among the heads of all pools, whatever their policies: smaller goes first.
    pub fn urgency(&self) -> Urgency {
        let facts = self.facts;
        (facts.level, facts.virtual_time, facts.lane_key, facts.job_id)
    }
}

/// What the place of a head follows from, beside its row.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Wall milliseconds.
    pub wall_ms: i64,
    /// How levels rise.
    pub raising: Raising,
    /// What each tenant had.
    pub shares: &'a Shares,
    /// The policy of the pool that asks.
    pub policy: &'a dyn SchedulingPolicy,
    /// The pool that asks.
    pub pool_id: PoolId,
    /// How many registered runners could take jobs of the class.
    pub runners: usize,
    /// Counts how often a closed lane may have opened: what was kept before is looked at again.
    pub openings: u64,
}

impl Scene<'_> {
    /// A ready job as it would stand among heads.
    pub fn head(&self, job: &Job, place: Place) -> Head {
        self.head_at(job.class_id, job.tenant_id, place.level, (job.lane_key, job.id))
    }

    pub(super) fn head_at(
        &self,
        class: ClassId,
        tenant: TenantId,
        lane: JobPriority,
        at: (i64, JobId),
    ) -> Head {
        let (level, _) = self.raising.effective(lane, at.0, self.wall_ms);
        let facts = LaneHead {
            job_id: at.1,
            class_id: class,
            tenant_id: tenant,
            level,
            lane_key: at.0,
            virtual_time: self.shares.virtual_time(tenant),
            runners: self.runners,
        };
        Head { facts, lane, key: (self.policy.rank(&facts), at.0, at.1) }
    }
}
