//! Fleets: runners that the server has started, and how many of them there are to be.
//!
//! ```text
//! ordered (standby to be) ──registers──> standby ──a job──> claimed, active ──> standby | leaving ──> gone
//!    └── start failed, too slow ────────────────────────────────────────────────┘
//! ```
//!
//! A fleet is a pool's (`min_idle` in standby, more while jobs wait, never more than `max`) or an executor's
//! (always as many). Which runners to order for the jobs that wait, and which to let go, is decided here out
//! of what the scheduler sees. What is decided is only advice: the scheduler checks it once more when it
//! writes it down, so a runner that got a job meanwhile stays.

use std::collections::BTreeMap;

use crate::model::{PoolId, RunnerCapabilities, RunnerId, RunnerRequirements};

/// What is set for a fleet.
#[derive(Clone, PartialEq, Debug)]
pub struct FleetSettings {
    /// The pool that its runners join.
    pub pool_id: PoolId,
    /// What one of its runners will offer, as far as is known before it is there; the executor that it is
    /// part of is among it.
    pub offers: RunnerCapabilities,
    /// The fewest that have nothing to do, while `max` allows it.
    pub min_idle: u32,
    /// The fewest altogether.
    pub min: u32,
    /// The most altogether.
    pub max: u32,
    /// How long one that is not needed may have nothing to do.
    pub idle_ttl_ms: i64,
    /// How old one becomes before another one takes its place; `None`: as old as it likes.
    pub max_age_ms: Option<i64>,
    /// How long one may take from its order to its registration.
    pub start_timeout_ms: i64,
    /// What an hour of one costs, in millionths: of two fleets that fit the cheaper one grows.
    pub cost_micros_per_hour: u64,
}

/// One runner of a fleet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FleetMember {
    /// Which.
    pub id: RunnerId,
    /// Since when it has been there, or ordered (wall milliseconds).
    pub ordered_at_ms: i64,
    /// What it is doing.
    pub state: MemberState,
}

/// What a runner of a fleet is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MemberState {
    /// It has not registered yet.
    Starting,
    /// It has nothing to do, for so long.
    Idle {
        /// Milliseconds.
        for_ms: i64,
        /// Whether it asks for work now.
        asks: bool,
    },
    /// It has jobs, or an operator keeps it.
    Busy,
    /// It gets nothing new, because it leaves, is not heard of, or lost jobs; and it has none.
    Away,
    /// It is being taken down.
    Leaving,
}

/// A fleet as the scheduler sees it.
#[derive(Clone, Debug)]
pub struct FleetSight<'a> {
    /// What it is called.
    pub name: &'a str,
    /// What is set for it.
    pub settings: &'a FleetSettings,
    /// What another one of its runners would offer, as far as is known.
    pub offers: &'a RunnerCapabilities,
    /// Its runners.
    pub members: Vec<FleetMember>,
    /// Whether nothing is started: the last starts failed, or the pool is cordoned.
    pub held: bool,
}

/// Jobs of one class that wait for nothing but a runner.
#[derive(Clone, Debug)]
pub struct FleetDemand<'a> {
    /// What they require.
    pub needs: &'a RunnerRequirements,
    /// How many they are.
    pub jobs: u64,
}

/// What is to be done about a fleet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FleetPlan {
    /// So many are to be ordered.
    pub order: u32,
    /// These are to go, each with the reason.
    pub retire: Vec<(RunnerId, String)>,
    /// How many there are to be, those that are there and not leaving among them.
    pub desired: u32,
}

impl FleetSight<'_> {
    pub(super) fn count(&self, state: impl Fn(MemberState) -> bool) -> u32 {
        let found = self.members.iter().filter(|member| state(member.state)).count();
        u32::try_from(found).unwrap_or(u32::MAX)
    }

    /// Those that are there, or are to be.
    pub(super) fn total(&self) -> u32 {
        self.count(|state| state != MemberState::Leaving)
    }
}

/// What is to be done about each fleet, in their order; `wall_ms` is now.
///
/// Jobs are first reckoned to the runners that are starting, or have nothing to do and have not asked for work
/// yet; then to new ones, of the cheapest fleet that fits and has room first. Runners that ask are no part of
/// that: a job that fits one is not waiting.
pub fn plan(
    fleets: &[FleetSight<'_>],
    demands: &[FleetDemand<'_>],
    wall_ms: i64,
) -> Vec<FleetPlan> {
    let mut plans = vec![FleetPlan::default(); fleets.len()];
    let slots = |at: usize| u64::from(fleets[at].settings.offers.max_parallel_jobs.max(1));
    // What those can still take that will ask.
    let coming =
        |state| matches!(state, MemberState::Starting | MemberState::Idle { asks: false, .. });
    let mut supply: Vec<u64> =
        (0..fleets.len()).map(|at| u64::from(fleets[at].count(coming)) * slots(at)).collect();
    let mut room: Vec<u64> = fleets
        .iter()
        .map(|fleet| match fleet.held {
            true => 0,
            false => u64::from(fleet.settings.max.saturating_sub(fleet.total())),
        })
        .collect();
    let mut by_cost: Vec<usize> = (0..fleets.len()).collect();
    by_cost.sort_by_key(|at| (fleets[*at].settings.cost_micros_per_hour, fleets[*at].name));
    for demand in demands {
        let fits =
            |at: &usize| fleets[*at].offers.satisfies(fleets[*at].settings.pool_id, demand.needs);
        let fitting: Vec<usize> = by_cost.iter().copied().filter(fits).collect();
        let mut left = demand.jobs;
        for &at in &fitting {
            let taken = left.min(supply[at]);
            supply[at] -= taken;
            left -= taken;
        }
        for &at in &fitting {
            let runners = left.div_ceil(slots(at)).min(room[at]);
            let taken = left.min(runners * slots(at));
            room[at] -= runners;
            left -= taken;
            supply[at] += runners * slots(at) - taken;
            plans[at].order += u32::try_from(runners).unwrap_or(u32::MAX);
        }
    }
    for (at, fleet) in fleets.iter().enumerate() {
        let settings = fleet.settings;
        let asking = fleet.count(|state| matches!(state, MemberState::Idle { asks: true, .. }));
        // Of those that will ask, so many are for nobody yet.
        let spare = asking + u32::try_from(supply[at] / slots(at)).unwrap_or(u32::MAX);
        let total = fleet.total() + plans[at].order;
        let missing =
            settings.min_idle.saturating_sub(spare).max(settings.min.saturating_sub(total));
        let wanted = total + missing.min(settings.max.saturating_sub(total));
        plans[at].order = match fleet.held {
            true => 0,
            false => wanted - fleet.total(),
        };
        retire(fleet, spare, wall_ms, &mut plans[at]);
        let going = u32::try_from(plans[at].retire.len()).unwrap_or(u32::MAX);
        plans[at].desired = wanted.saturating_sub(going).max(settings.min);
    }
    plans
}

/// Which runners are to go: those that never came, or get nothing any more; the oldest one, if it is too old and
/// the one before it has its successor; and of those that have nothing to do and need not stand by the ones that
/// had for too long. `spare` stand by, or will.
fn retire(fleet: &FleetSight<'_>, spare: u32, wall_ms: i64, plan: &mut FleetPlan) {
    let settings = fleet.settings;
    let mut idle: Vec<(i64, &FleetMember)> = Vec::new();
    for member in &fleet.members {
        let age_ms = wall_ms - member.ordered_at_ms;
        let why = match member.state {
            MemberState::Starting if age_ms >= settings.start_timeout_ms => {
                Some(format!("it did not register within {} ms", settings.start_timeout_ms))
            }
            MemberState::Away => Some("it gets no jobs any more: see its state".to_owned()),
            MemberState::Idle { for_ms, .. } => {
                idle.push((for_ms, member));
                None
            }
            _ => None,
        };
        plan.retire.extend(why.map(|why| (member.id, why)));
    }
    let gone = u32::try_from(plan.retire.len()).unwrap_or(u32::MAX);
    let mut above_min = fleet.total().saturating_sub(gone).saturating_sub(settings.min);
    let mut spare = spare;
    let is_filled = fleet.count(|state| state == MemberState::Starting) + plan.order == 0;
    let oldest = idle.iter().map(|(_, member)| member).min_by_key(|it| (it.ordered_at_ms, it.id));
    let oldest = oldest.map(|member| (member.id, wall_ms - member.ordered_at_ms));
    let too_old = |age_ms: i64| settings.max_age_ms.is_some_and(|max| age_ms >= max);
    if let Some((id, age_ms)) = oldest.filter(|(_, age_ms)| is_filled && too_old(*age_ms)) {
        plan.retire.push((id, format!("it is {age_ms} ms old")));
        idle.retain(|(_, member)| member.id != id);
        spare = spare.saturating_sub(1);
        above_min = above_min.saturating_sub(1);
    }
    // Those that were used last are the ones too many: the others stood by before.
    idle.sort_by_key(|(for_ms, member)| (*for_ms, std::cmp::Reverse(member.id)));
    let surplus = spare.saturating_sub(settings.min_idle).min(above_min) as usize;
    let long = idle.into_iter().take(surplus).filter(|(for_ms, _)| *for_ms >= settings.idle_ttl_ms);
    plan.retire
        .extend(long.map(|(for_ms, member)| (member.id, format!("it had no job for {for_ms} ms"))));
}

/// Fleets by their names.
pub type Fleets = BTreeMap<Box<str>, FleetSettings>;
