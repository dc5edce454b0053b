//! The scheduler under random commands and virtual time, without a database.
//!
//! `world` plays senders, runners, operators and faults against the real `Scheduler`; `rows` is a database in
//! memory, written from the meaning of each change; `known` is what the checker remembers by itself; `naive` is a
//! matcher that looks at everything. After each batch the world checks the laws. `faulty` plants faults in the
//! scheduler, to see that each is noticed. `started` has worlds of runners and jobs that are started outside.
//! `conversations` has worlds of sessions, whose rows are in `talks`; `guards` of deliveries that somebody must
//! approve, whose rows are in `desk`; `times` of schedules; `many` plays them. `soak` has long worlds about fair
//! shares and aging.
//!
//! `SIM_SEEDS=n` plays so many worlds, `SIM_SEED=n` only that one. Worlds that found bugs are in
//! `regressions`.

#![expect(clippy::unwrap_used, reason = "a world that does not fit together is a failed test")]

mod conversations;
mod desk;
mod dice;
mod faulty;
mod fleets;
mod gates;
mod guards;
mod known;
mod many;
mod naive;
mod own_policies;
mod reached;
mod rows;
mod setup;
mod shapes;
mod soak;
mod started;
mod talks;
mod times;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use reached::Reached;
use world::World;

/// Worlds that are played when nobody says how many.
const SEEDS: u64 = 2_000;
/// What happens in each of them, before everything is to end.
pub(crate) const STEPS: usize = 150;

/// Worlds that found bugs: a seed, how many steps, `past` and `conditions` if the world has them, then what
/// was wrong.
const REGRESSIONS: &str = include_str!("regressions");

/// A world to be played: what it is made of, how long it goes, whether what is old is forgotten in it, and
/// whether its jobs have conditions.
#[derive(Clone, Copy)]
struct Plan {
    seed: u64,
    steps: usize,
    past: bool,
    conditions: bool,
}

impl Plan {
    /// Every other world has a past, every third one conditions.
    fn of(seed: u64) -> Self {
        Self { seed, steps: STEPS, past: seed % 2 == 1, conditions: seed % 3 == 2 }
    }

    /// A line of the regressions.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (seed, steps) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let mut words = words.peekable();
        let past = words.next_if_eq(&"past").is_some();
        let conditions = words.next_if_eq(&"conditions").is_some();
        Some(Self { seed, steps, past, conditions })
    }

    fn begin(self, world: World) -> World {
        let world = if self.past { world.with_past() } else { world };
        if self.conditions { world.with_conditions() } else { world }
    }
}

/// Plays one world to its end.
fn play(plan: Plan) -> Reached {
    let Plan { seed, steps, .. } = plan;
    let mut world = plan.begin(World::new(seed));
    for _ in 0..steps {
        world.step();
    }
    world.run_dry();
    world.reached
}

/// Plays worlds on all cores; panics with the first seed that failed and how to play it again.
fn play_all(worlds: &[Plan]) -> Reached {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let all = Mutex::new(Reached::default());
    std::thread::scope(|scope| {
        for _ in 0..threads() {
            scope.spawn(|| {
                while let Some(&plan) = worlds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    // A thread of its own: its name stands above whatever it says when it fails.
                    let name = format!("SIM_SEED={}", plan.seed);
                    let thread = std::thread::Builder::new().name(name);
                    match thread.spawn_scoped(scope, move || play(plan)).unwrap().join() {
                        Ok(reached) => all.lock().unwrap().add(&reached),
                        Err(_) => failed.lock().unwrap().push(plan.seed),
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_unstable();
    let first = failed.first();
    assert!(
        failed.is_empty(),
        "{} of {} worlds failed: {failed:?}; play the first again with: SIM_SEED={} cargo test \
         --test sim every_world",
        failed.len(),
        worlds.len(),
        first.unwrap(),
    );
    all.into_inner().unwrap()
}

pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The naive matcher, law 4, limits, leases, explanations after every batch, and that all ends.
/// The worlds reach every rare state: a zero would make their silence worthless.
#[test]
fn every_world_keeps_the_laws_and_ends() {
    if let Some(seed) = number("SIM_SEED") {
        play(Plan::of(seed));
        return;
    }
    let count = number("SIM_SEEDS").unwrap_or(SEEDS);
    let reached = play_all(&(0..count).map(Plan::of).collect::<Vec<_>>());
    println!("{reached:?}; never: {:?}", reached.missing());
    if count >= SEEDS {
        reached.assert_all();
    }
}

#[test]
fn seeds_that_found_bugs_find_none() {
    let lines = REGRESSIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let worlds: Option<Vec<_>> = lines.map(Plan::read).collect();
    play_all(&worlds.expect("each line begins with a seed and a number of steps"));
}

#[test]
fn the_same_seed_is_the_same_history() {
    let history = |seed| {
        let mut world = Plan::of(seed).begin(World::remembering(seed));
        (0..STEPS).for_each(|_| world.step());
        world.run_dry();
        world.history()
    };
    for seed in 0..10 {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
    assert_ne!(history(0), history(1));
}
