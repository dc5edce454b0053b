//! Faults that are planted in these worlds: does a check notice each?
//!
//! They are in what the scheduler is told, in what is heard of it, and in what a keeper and a supervisor do
//! with that.

use std::panic::{AssertUnwindSafe, catch_unwind};

use dispatchyard::dispatch::{FleetsPlan, Settings};
use dispatchyard::runner::MemberState;

use super::{FLEET, STEPS, World};

/// Worlds that are played until a fault is noticed.
const SEEDS_MAX: u64 = 300;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// A runner that got a job is taken down as if it were to leave.
    ClaimedTakenDown,
    /// The row of a runner is forgotten before its backend has let go of it.
    RowForgotten,
    /// What is gone stays in its row.
    RowKept,
    /// A server that restarts asks once more for the runners that are on their way.
    StartDoubled,
    /// What nobody ordered is left to run.
    LeftoverKept,
    /// One runner more is started than there may be.
    MaxExceeded,
    /// Nobody stands by.
    NobodyStandsBy,
    /// What a poll is answered is carried out, and once more when it is heard again.
    BegunTwice,
    /// Whoever takes over begins anew with what goes on outside.
    BegunAgain,
}

const ALL: [Fault; 9] = [
    Fault::ClaimedTakenDown,
    Fault::RowForgotten,
    Fault::RowKept,
    Fault::StartDoubled,
    Fault::LeftoverKept,
    Fault::MaxExceeded,
    Fault::NobodyStandsBy,
    Fault::BegunTwice,
    Fault::BegunAgain,
];

impl World {
    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// What is to be done about fleets, as the keeper hears it.
    pub(super) fn plan(&self) -> FleetsPlan {
        let mut plan = self.scheduler.plan_fleets(self.now);
        if self.has(Fault::ClaimedTakenDown) {
            let busy = plan.ordered.iter_mut().filter(|it| it.state == MemberState::Busy);
            busy.for_each(|runner| runner.state = MemberState::Leaving);
        }
        plan
    }
}

/// What the scheduler goes by; the checks go by what is set.
pub(super) fn told(fault: Option<Fault>, settings: &Settings) -> Settings {
    let mut told = settings.clone();
    let Some(fleet) = told.fleets.get_mut(FLEET) else { return told };
    match fault {
        Some(Fault::MaxExceeded) => {
            fleet.max += 1;
            fleet.min_idle += 1;
        }
        Some(Fault::NobodyStandsBy) => fleet.min_idle = 0,
        _ => {}
    }
    told
}

/// The first world in which a fault is noticed, and the check that failed there.
fn noticed(fault: Fault) -> Option<(u64, String)> {
    (0..SEEDS_MAX).find_map(|seed| {
        let world = AssertUnwindSafe(|| {
            let mut world = World::with_fault(seed, Some(fault));
            (0..STEPS).for_each(|_| world.step());
            world.run_dry();
        });
        let said = catch_unwind(world).err()?;
        let text = said.downcast_ref::<String>().cloned();
        let text = text.or_else(|| said.downcast_ref::<&str>().map(ToString::to_string));
        Some((seed, text.unwrap_or_default()))
    })
}

#[test]
fn every_fault_of_what_is_started_is_noticed() {
    let missed: Vec<_> = ALL
        .into_iter()
        .filter(|fault| match noticed(*fault) {
            None => true,
            Some((seed, check)) => {
                let check: String = check.chars().take(120).collect();
                println!("{fault:?}: in world {seed}: {}", check.replace('\n', " "));
                false
            }
        })
        .collect();
    assert!(missed.is_empty(), "played in {SEEDS_MAX} worlds and never noticed: {missed:?}");
}
