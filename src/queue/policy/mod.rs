//! Scheduling policies: which of the waiting jobs is next for the runners of a pool. One a file.
//!
//! A policy ranks the heads of lanes: inside a lane the order is that of the lane keys, always.
//! The smallest rank goes first; of equal ranks the smaller lane key, then the older job.
//!
//! A rank may get worse while a tenant's virtual time grows, and must not get better by that: the
//! queue relies on it to look again only at what may have changed.
//!
//! To add one: implement [`SchedulingPolicy`], [`SchedulingPolicies::register`] it under a key, and give
//! the set to [`crate::dispatch::Settings`], or, for a whole server, to `app::AppOptions`.

mod fair_share;
mod fifo;
mod priority;
mod skill;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

pub use fair_share::FairShare;
pub use fifo::Fifo;
pub use priority::Priority;
pub use skill::Skill;

use crate::model::{ClassId, JobId, JobPriority, TenantId};

/// The head of a lane, as a policy sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneHead {
    /// The job.
    pub job_id: JobId,
    /// Its class.
    pub class_id: ClassId,
    /// Who is charged.
    pub tenant_id: TenantId,
    /// Its level now, raised by waiting and by a due start.
    pub level: JobPriority,
    /// Its lane key.
    pub lane_key: i64,
    /// Its tenant's virtual time.
    pub virtual_time: u64,
    /// How many registered runners could take jobs of its class.
    pub runners: usize,
}

/// A rank: compared from left to right, the smallest first.
pub type Rank = [u64; 3];

/// Says which job is next. Pure: the same heads, the same order, whatever the time and whoever asks.
///
/// A rank is asked for often, so it is to be a few comparisons. It orders heads of lanes only: inside
/// a lane, that is among jobs of one class, tenant and level, the lane key orders always. With the same
/// head but a greater [`LaneHead::virtual_time`] it must be the same or greater.
///
/// ```
/// use dispatchyard::model::TenantId;
/// use dispatchyard::queue::{LaneHead, Rank, SchedulingPolicies, SchedulingPolicy};
///
/// /// One tenant's jobs before all others of their level.
/// #[derive(Debug)]
/// struct HouseFirst(TenantId);
///
/// impl SchedulingPolicy for HouseFirst {
///     fn rank(&self, head: &LaneHead) -> Rank {
///         let guest = u64::from(head.tenant_id != self.0);
///         [head.level as u64, guest, head.virtual_time]
///     }
/// }
///
/// let mut policies = SchedulingPolicies::standard();
/// policies.register("house_first", HouseFirst(TenantId::DEFAULT));
/// assert!(policies.get("house_first").is_ok());
/// ```
pub trait SchedulingPolicy: Debug + Send + Sync {
    /// The place of a head among all.
    fn rank(&self, head: &LaneHead) -> Rank;
}

/// There is no policy with that key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no scheduling policy `{key}`: {}", .known.join(", "))]
pub struct UnknownSchedulingPolicy {
    /// What was asked for.
    pub key: String,
    /// What there is.
    pub known: Vec<String>,
}

/// Scheduling policies by key.
#[derive(Clone, Debug)]
pub struct SchedulingPolicies(BTreeMap<String, Arc<dyn SchedulingPolicy>>);

impl SchedulingPolicies {
    /// Those that come with the program: `priority`, `fifo`, `fair_share`, `skill`.
    pub fn standard() -> Self {
        let mut policies = Self(BTreeMap::new());
        policies.register("priority", Priority);
        policies.register("fifo", Fifo);
        policies.register("fair_share", FairShare);
        policies.register("skill", Skill);
        policies
    }

    /// Adds one, or replaces the one with that key.
    pub fn register(
        &mut self,
        key: impl Into<String>,
        policy: impl SchedulingPolicy + 'static,
    ) -> &mut Self {
        self.0.insert(key.into(), Arc::new(policy));
        self
    }

    /// The policy with that key.
    ///
    /// # Errors
    ///
    /// [`UnknownSchedulingPolicy`], with the keys that there are.
    pub fn get(&self, key: &str) -> Result<Arc<dyn SchedulingPolicy>, UnknownSchedulingPolicy> {
        self.0.get(key).cloned().ok_or_else(|| UnknownSchedulingPolicy {
            key: key.to_owned(),
            known: self.0.keys().cloned().collect(),
        })
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn head(job: i64, level: JobPriority, lane_key: i64) -> LaneHead {
        LaneHead {
            job_id: JobId(job),
            class_id: ClassId(1),
            tenant_id: TenantId::DEFAULT,
            level,
            lane_key,
            virtual_time: 0,
            runners: 1,
        }
    }

    /// Ids of the heads in the order of a policy.
    pub(crate) fn order(policy: &dyn SchedulingPolicy, heads: &[LaneHead]) -> Vec<i64> {
        let mut heads = heads.to_vec();
        heads.sort_by_key(|head| (policy.rank(head), head.lane_key, head.job_id));
        heads.iter().map(|head| head.job_id.0).collect()
    }

    #[test]
    fn an_unknown_key_is_answered_with_those_that_there_are() {
        let error = SchedulingPolicies::standard().get("lottery").unwrap_err();
        let text = "no scheduling policy `lottery`: fair_share, fifo, priority, skill";
        assert_eq!(error.to_string(), text);
    }
}
