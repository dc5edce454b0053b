//! Who gets it: the runners, what they offer, how busy they are, and which of them wait.
//!
//! Pure. [`CapabilityIndex`] answers which runners fit a class by bitmap; [`RunnerRegistry`] keeps
//! what is known of each runner now; a [`SelectionPolicy`] chooses among waiting runners that fit,
//! by what [`RunTimes`] learned and [`RunnerHealth`] remembers, among other things.

mod busy;
mod capability_index;
mod health;
mod live;
mod registry;
mod run_times;
mod selection;
mod warm_pool;
#[cfg(test)]
mod warm_pool_tests;

pub use busy::{BusyMeter, BusyTime};
pub use capability_index::{CapabilityIndex, RunnerSlot, Standing as ExecutorStanding, in_both};
pub use health::{
    HealthChange, HealthEvent, HealthGate, HealthSettings, RunnerHealth, SavedHealth,
};
pub use live::{LiveRunner, Parked, PlacementKey, PollId};
pub use registry::RunnerRegistry;
pub use run_times::{
    Estimate, FinishedRun, Prediction, RunTimeRow, RunTimes, RunTimesSettings, Strays,
    UnreadableRunTimes,
};
pub use selection::{
    BestFit, Candidate, Learned, LeastLoaded, Locality, PoolFacts, RoundRobin, Score,
    SelectionPolicies, SelectionPolicy, Standing, UnknownPolicy, Wanted, Weighted, Weights, choose,
};
pub use warm_pool::{
    FleetDemand, FleetMember, FleetPlan, FleetSettings, FleetSight, Fleets, MemberState,
    plan as plan_fleets,
};
