//! Fleets: how many there are to be, and who goes.

use proptest::prelude::*;

use super::warm_pool::*;
use crate::model::{PoolId, RunnerCapabilities, RunnerId, RunnerRequirements};

fn settings() -> FleetSettings {
    FleetSettings {
        pool_id: PoolId::DEFAULT,
        offers: RunnerCapabilities::default(),
        min_idle: 2,
        min: 0,
        max: 5,
        idle_ttl_ms: 60_000,
        max_age_ms: None,
        start_timeout_ms: 10_000,
        cost_micros_per_hour: 0,
    }
}

fn member(id: i64, state: MemberState) -> FleetMember {
    FleetMember { id: RunnerId(id), ordered_at_ms: 0, state }
}

fn sight<'a>(name: &'a str, settings: &'a FleetSettings, states: &[MemberState]) -> FleetSight<'a> {
    let members = (1..).zip(states).map(|(id, state)| member(id, *state)).collect();
    FleetSight { name, settings, offers: &settings.offers, members, held: false }
}

const NEW: MemberState = MemberState::Idle { for_ms: 0, asks: true };

#[test]
fn standby_is_filled_and_a_claimed_one_is_replaced() {
    let settings = settings();
    let order = |states: &[MemberState]| plan(&[sight("a", &settings, states)], &[], 0)[0].order;
    assert_eq!(order(&[]), 2);
    assert_eq!(order(&[NEW]), 1);
    assert_eq!(order(&[NEW, MemberState::Starting]), 0);
    assert_eq!(order(&[NEW, MemberState::Busy]), 1);
    // Never more than `max`; one that is being taken down does not count.
    assert_eq!(order(&[MemberState::Busy; 4]), 1);
    assert_eq!(order(&[MemberState::Busy; 5]), 0);
    assert_eq!(order(&[MemberState::Leaving; 5]), 2);
}

#[test]
fn jobs_that_wait_get_runners_beside_those_in_standby_and_of_the_cheaper_fleet_first() {
    let needs = RunnerRequirements::default();
    let dear = FleetSettings { cost_micros_per_hour: 5, min_idle: 0, ..settings() };
    let cheap = FleetSettings { cost_micros_per_hour: 1, min_idle: 0, max: 2, ..settings() };
    let fleets = [sight("dear", &dear, &[]), sight("cheap", &cheap, &[])];
    let orders = |jobs: u64| {
        let plans = plan(&fleets, &[FleetDemand { needs: &needs, jobs }], 0);
        (plans[0].order, plans[1].order)
    };
    assert_eq!(orders(0), (0, 0));
    assert_eq!(orders(1), (0, 1));
    assert_eq!(orders(4), (2, 2));
    assert_eq!(orders(40), (5, 2));
    // One that starts is for the first of them.
    let states = [MemberState::Starting];
    let starting = [sight("dear", &dear, &states), sight("cheap", &cheap, &[])];
    let plans = plan(&starting, &[FleetDemand { needs: &needs, jobs: 2 }], 0);
    assert_eq!((plans[0].order, plans[1].order), (0, 1));
    // So is one that has just come and not asked yet; one that asks does not fit, or has got another.
    let orders = |asks| {
        let states = [MemberState::Idle { for_ms: 0, asks }];
        let there = [sight("dear", &dear, &[]), sight("cheap", &cheap, &states)];
        let plans = plan(&there, &[FleetDemand { needs: &needs, jobs: 1 }], 0);
        plans[0].order + plans[1].order
    };
    assert_eq!((orders(false), orders(true)), (0, 1));
    // While one cannot start its runners, the other one does.
    let held = [fleets[0].clone(), FleetSight { held: true, ..fleets[1].clone() }];
    let plans = plan(&held, &[FleetDemand { needs: &needs, jobs: 2 }], 0);
    assert_eq!((plans[0].order, plans[1].order), (2, 0));
}

/// A job that the runners turn out not to fit must not fill the fleet.
#[test]
fn what_its_runners_said_outranks_what_was_thought() {
    let needs = RunnerRequirements { min_memory_gb: 512, ..RunnerRequirements::default() };
    let any = RunnerCapabilities { memory_gb: u32::MAX, ..RunnerCapabilities::default() };
    let settings = FleetSettings { min_idle: 0, offers: any, ..settings() };
    let order = |offers: &RunnerCapabilities| {
        let fleet = FleetSight { offers, ..sight("a", &settings, &[]) };
        plan(&[fleet], &[FleetDemand { needs: &needs, jobs: 9 }], 0)[0].order
    };
    assert_eq!(order(&settings.offers), 5);
    assert_eq!(order(&RunnerCapabilities::default()), 0);
}

#[test]
fn what_does_not_fit_starts_nothing() {
    let needs = RunnerRequirements { labels: vec!["gpu".into()], ..RunnerRequirements::default() };
    let settings = FleetSettings { min_idle: 0, ..settings() };
    let plans = plan(&[sight("a", &settings, &[])], &[FleetDemand { needs: &needs, jobs: 9 }], 0);
    assert_eq!(plans[0], FleetPlan::default());
}

#[test]
fn the_old_the_idle_and_the_lost_go_and_those_with_work_stay() {
    let idle = |for_ms| MemberState::Idle { for_ms, asks: true };
    let wanted = settings();
    let states = [idle(70_000), idle(90_000), idle(80_000), idle(10), MemberState::Busy];
    let plans = plan(&[sight("a", &wanted, &states)], &[], 0);
    let gone: Vec<_> = plans[0].retire.iter().map(|(id, _)| id.0).collect();
    assert_eq!((gone, plans[0].order), (vec![1], 0), "two stay, and one that is not idle for long");
    let late = [MemberState::Starting, MemberState::Away, MemberState::Busy];
    let plans = plan(&[sight("a", &wanted, &late)], &[], 10_000);
    assert_eq!(plans[0].retire.len(), 2);
    let aged = FleetSettings { max_age_ms: Some(1_000), ..settings() };
    let old = |states: &[MemberState]| {
        let plans = plan(&[sight("a", &aged, states)], &[], 1_000);
        plans[0].retire.iter().map(|(id, _)| id.0).collect::<Vec<_>>()
    };
    assert_eq!(old(&[idle(5), idle(5), MemberState::Busy]), [1], "one after the other");
    assert!(old(&[idle(5), MemberState::Starting]).is_empty(), "its successor is not there yet");
}

#[test]
fn an_executors_fleet_is_always_as_large() {
    let one = FleetSettings { min_idle: 0, min: 1, max: 1, idle_ttl_ms: 0, ..settings() };
    let order = |states: &[MemberState]| {
        let plans = plan(&[sight("a", &one, states)], &[], 0);
        (plans[0].order, plans[0].retire.len())
    };
    assert_eq!(order(&[]), (1, 0));
    assert_eq!(order(&[MemberState::Idle { for_ms: 1_000_000, asks: true }]), (0, 0));
    assert_eq!(order(&[MemberState::Busy]), (0, 0));
    assert_eq!(order(&[MemberState::Leaving]), (1, 0));
}

prop_compose! {
    fn state()(kind in 0..5_u8, for_ms in 0_i64..200_000, asks: bool) -> MemberState {
        match kind {
            0 => MemberState::Starting,
            1 => MemberState::Idle { for_ms, asks },
            2 => MemberState::Busy,
            3 => MemberState::Away,
            _ => MemberState::Leaving,
        }
    }
}

proptest! {
    #[test]
    fn never_more_than_the_most_and_never_one_with_work(
        states in prop::collection::vec(state(), 0..12),
        jobs in 0_u64..50, min_idle in 0_u32..6, max in 0_u32..12, slots in 1_u32..4,
    ) {
        let offers = RunnerCapabilities { max_parallel_jobs: slots, ..RunnerCapabilities::default() };
        let settings = FleetSettings { min_idle, max, offers, ..settings() };
        let needs = RunnerRequirements::default();
        let fleet = sight("a", &settings, &states);
        let plan = &plan(std::slice::from_ref(&fleet), &[FleetDemand { needs: &needs, jobs }], 5)[0];
        prop_assert!(plan.order == 0 || fleet.total() + plan.order <= max);
        for (id, _) in &plan.retire {
            let state = fleet.members.iter().find(|it| it.id == *id).unwrap().state;
            prop_assert!(!matches!(state, MemberState::Busy | MemberState::Leaving));
        }
        // Jobs and standby are served as far as `max` allows.
        let coming = fleet.count(|state| {
            matches!(state, MemberState::Starting | MemberState::Idle { asks: false, .. })
        });
        let coming = u64::from(coming + plan.order) * u64::from(slots);
        prop_assert!(coming >= jobs || fleet.total() + plan.order >= max);
    }
}
