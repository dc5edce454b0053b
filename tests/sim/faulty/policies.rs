//! Policies that do otherwise than their keys say.

use dispatchyard::dispatch::Settings;
use dispatchyard::queue::{LaneHead, Rank, SchedulingPolicy};
use dispatchyard::runner::{SelectionPolicy, Standing};

use super::Fault;
use crate::setup;

#[derive(Debug)]
struct UrgentLast;

impl SchedulingPolicy for UrgentLast {
    fn rank(&self, head: &LaneHead) -> Rank {
        [9 - head.level as u64, head.virtual_time, 0]
    }
}

/// Ranks must not get better as virtual time grows, so it goes by the tenants' numbers.
#[derive(Debug)]
struct GreedyFirst;

impl SchedulingPolicy for GreedyFirst {
    fn rank(&self, head: &LaneHead) -> Rank {
        [head.level as u64, head.tenant_id.0.unsigned_abs(), 0]
    }
}

#[derive(Debug)]
struct BusiestFirst;

impl SelectionPolicy for BusiestFirst {
    fn standing(&self, standing: &Standing) -> (u64, u64) {
        (1_000 - u64::from(standing.used), standing.parked_at)
    }
}

pub(super) fn tamper(fault: Fault, settings: &mut Settings) {
    let scheduling = &mut settings.scheduling_policies;
    for key in setup::POLICIES {
        match fault {
            Fault::UrgentLast => drop(scheduling.register(key, UrgentLast)),
            Fault::GreedyFirst => drop(scheduling.register(key, GreedyFirst)),
            _ => {}
        }
    }
    if fault == Fault::BusiestFirst {
        for key in setup::SELECTIONS {
            settings.selection_policies.register(key, |_| Box::new(BusiestFirst));
        }
    }
}
