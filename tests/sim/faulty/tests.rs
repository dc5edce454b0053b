//! Each fault is noticed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dispatchyard::dispatch::Planted;

use super::Fault;
use crate::world::World;

/// Worlds that are played until a fault is noticed: nearly all are in the first few.
const SEEDS_MAX: u64 = 2_000;

const INSIDE: [Planted; 18] = [
    Planted::ReadyEarly,
    Planted::DeadParent,
    Planted::CancelForgotten,
    Planted::LossNotCounted,
    Planted::PausedPoolServed,
    Planted::AvoidedTakes,
    Planted::ApartMeet,
    Planted::UnitsKept,
    Planted::QuotaKept,
    Planted::ShareNotCharged,
    Planted::CycleKept,
    Planted::FateNotShared,
    Planted::GroupKept,
    Planted::LimitIgnored,
    Planted::NotTold,
    Planted::PlaceForgotten,
    Planted::LivePruned,
    Planted::NeededPruned,
];

const AROUND: [Fault; 39] = [
    Fault::NoFence,
    Fault::NonceIgnored,
    Fault::RepeatForgotten,
    Fault::UndeliveredKept,
    Fault::GroupOffByOne,
    Fault::SpeaksTooSoon,
    Fault::AmbiguousForgotten,
    Fault::TokensAgain,
    Fault::LoadForgetsTime,
    Fault::LoadForgetsRetries,
    Fault::LoadForgetsCancels,
    Fault::LoadForgetsAvoided,
    Fault::RowLost,
    Fault::EndedTwice,
    Fault::UnitTwice,
    Fault::CordonIgnored,
    Fault::UrgentLast,
    Fault::GreedyFirst,
    Fault::BusiestFirst,
    Fault::NoAging,
    Fault::NoDueStart,
    Fault::HeldForEver,
    Fault::NeverHeld,
    Fault::NoReservation,
    Fault::NeverPoisoned,
    Fault::NoQuota,
    Fault::NoWeights,
    Fault::NoPoolMaximum,
    Fault::NoGlobalMaximum,
    Fault::OneUnitMore,
    Fault::NothingReserved,
    Fault::QueueHasNoEnd,
    Fault::LeaseForEver,
    Fault::AckForEver,
    Fault::CancelGraceForEver,
    Fault::NoBackoff,
    Fault::NoQueueTimeout,
    Fault::NeverOffline,
    Fault::KeyPrunedWithBody,
];

/// Those that can only be noticed where something is forgotten.
const OF_THE_PAST: [Fault; 3] = [
    Fault::Inside(Planted::LivePruned),
    Fault::Inside(Planted::NeededPruned),
    Fault::KeyPrunedWithBody,
];

/// Those that can only be noticed where jobs have conditions.
const OF_CONDITIONS: [Fault; 2] =
    [Fault::Inside(Planted::NotTold), Fault::Inside(Planted::PlaceForgotten)];

/// The first world in which a fault is noticed, and the check that failed there.
fn noticed(fault: Fault) -> Option<(u64, String)> {
    (0..SEEDS_MAX).find_map(|seed| {
        let world = AssertUnwindSafe(|| {
            let mut world = World::with_fault(seed, Some(fault));
            if OF_THE_PAST.contains(&fault) {
                world = world.with_past();
            }
            if OF_CONDITIONS.contains(&fault) {
                world = world.with_conditions();
            }
            // Circles of waits are rare: this one is made.
            if fault == Fault::Inside(Planted::CycleKept) {
                world.tangle();
            }
            (0..crate::STEPS).for_each(|_| world.step());
            world.run_dry();
        });
        let said = catch_unwind(world).err()?;
        let text = said.downcast_ref::<String>().cloned();
        let text = text.or_else(|| said.downcast_ref::<&str>().map(ToString::to_string));
        Some((seed, text.unwrap_or_default()))
    })
}

#[test]
fn a_circle_of_waits_that_is_made_is_broken() {
    let mut world = World::new(0);
    world.tangle();
    world.run_dry();
    let broken = format!("{:?}", world.reached);
    assert!(broken.contains("wait cycle broken"), "{broken}");
}

#[test]
fn every_planted_fault_is_noticed() {
    let faults: Vec<_> = INSIDE.into_iter().map(Fault::Inside).chain(AROUND).collect();
    let missed: Vec<_> = std::thread::scope(|scope| {
        let halves = faults.chunks(faults.len().div_ceil(crate::threads()));
        let halves = halves.map(|half| {
            scope.spawn(|| {
                let missed = half.iter().filter(|fault| match noticed(**fault) {
                    None => true,
                    Some((seed, check)) => {
                        let check: String = check.chars().take(120).collect();
                        println!("{fault:?}: in world {seed}: {}", check.replace('\n', " "));
                        false
                    }
                });
                missed.copied().collect::<Vec<_>>()
            })
        });
        let halves: Vec<_> = halves.collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(missed.is_empty(), "played in {SEEDS_MAX} worlds and never noticed: {missed:?}");
}
