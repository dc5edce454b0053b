//! Gates that close and open, and what never moves them.

use proptest::prelude::*;

use super::*;

const SETTINGS: HealthSettings =
    HealthSettings { min_percent: 50, cool_off_ms: 100, cool_off_max_ms: 350 };

/// A runner and a clock that moves a little with each event.
#[derive(Default)]
struct Watched {
    health: RunnerHealth,
    now_ms: i64,
}

impl Watched {
    fn note(&mut self, event: HealthEvent) -> Option<HealthChange> {
        self.now_ms += 1;
        self.health.note(self.now_ms, event, &SETTINGS)
    }

    fn gate(&self) -> HealthGate {
        self.health.gate(self.now_ms)
    }

    /// Loses leases until it is closed; for how long that is.
    fn close(&mut self) -> i64 {
        for _ in 0..10 {
            if let Some(HealthChange::Closed { until_ms }) = self.note(HealthEvent::LeaseLost) {
                return until_ms - self.now_ms;
            }
        }
        panic!("ten faults do not close {:?}", self.health)
    }

    fn wait_for_probe(&mut self) {
        if let HealthGate::Closed { until_ms } = self.gate() {
            self.now_ms = until_ms;
        }
        assert_eq!(self.gate(), HealthGate::Probe);
    }
}

#[test]
fn one_lost_lease_closes_nobody_and_four_in_a_row_do() {
    let mut fresh = RunnerHealth::default();
    let strict = HealthSettings { min_percent: 100, ..SETTINGS };
    assert_eq!(fresh.note(1, HealthEvent::LeaseLost, &strict), None);
    assert_eq!((fresh.gate(1), fresh.percent()), (HealthGate::Open, 80));

    let mut runner = Watched::default();
    for percent in [80, 64, 51] {
        assert_eq!(runner.note(HealthEvent::NotStarted), None);
        assert_eq!(runner.health.percent(), percent);
    }
    let until_ms = runner.now_ms + 1 + 100;
    assert_eq!(runner.note(HealthEvent::Gone), Some(HealthChange::Closed { until_ms }));
    assert_eq!(runner.gate(), HealthGate::Closed { until_ms });
}

#[test]
fn a_runner_that_dies_with_many_leases_has_one_fault() {
    let mut health = RunnerHealth::default();
    for _ in 0..10 {
        assert_eq!(health.note(7, HealthEvent::LeaseLost, &SETTINGS), None);
    }
    assert_eq!(health.percent(), 80);
}

#[test]
fn jobs_that_are_done_make_up_for_a_fault_now_and_then() {
    let mut runner = Watched::default();
    for _ in 0..50 {
        assert_eq!(runner.note(HealthEvent::LeaseLost), None);
        runner.note(HealthEvent::Done);
        runner.note(HealthEvent::Done);
    }
    assert_eq!(runner.gate(), HealthGate::Open);
}

#[test]
fn after_the_cool_off_one_probe_decides() {
    let mut runner = Watched::default();
    runner.close();
    assert_eq!(runner.note(HealthEvent::Done), None, "an older job says too little");
    assert!(matches!(runner.gate(), HealthGate::Closed { .. }));
    runner.wait_for_probe();
    runner.note(HealthEvent::Given);
    assert_eq!(runner.gate(), HealthGate::Probing);
    runner.note(HealthEvent::Returned);
    assert_eq!(runner.gate(), HealthGate::Probe, "it said nothing, so another one is due");
    runner.note(HealthEvent::Given);
    assert_eq!(runner.note(HealthEvent::Done), Some(HealthChange::Opened));
    assert_eq!(runner.gate(), HealthGate::Open);
    assert_eq!(runner.note(HealthEvent::LeaseLost), None, "one more chance");
}

#[test]
fn each_probe_that_goes_wrong_doubles_the_time_up_to_the_maximum() {
    let mut runner = Watched::default();
    let mut times = vec![runner.close()];
    for _ in 0..3 {
        runner.wait_for_probe();
        runner.note(HealthEvent::Given);
        times.push(runner.close());
    }
    assert_eq!(times, [100, 200, 350, 350]);
    runner.wait_for_probe();
    runner.note(HealthEvent::Given);
    for _ in 0..12 {
        runner.note(HealthEvent::Done);
    }
    assert_eq!(runner.close(), 100, "a runner that recovered begins again");
}

#[test]
fn a_minimum_of_zero_closes_nobody() {
    let never = HealthSettings { min_percent: 0, ..SETTINGS };
    let mut health = RunnerHealth::default();
    for now in 0..100 {
        assert_eq!(health.note(now, HealthEvent::Gone, &never), None);
    }
    assert_eq!(health.percent(), 0);
}

#[test]
fn what_is_saved_survives_a_clock_that_begins_anew() {
    let mut runner = Watched::default();
    runner.close();
    let json = serde_json::to_string(&runner.health.save(runner.now_ms + 40)).unwrap();
    let saved: SavedHealth = serde_json::from_str(&json).unwrap();
    let restored = RunnerHealth::restore(saved, 5_000, &SETTINGS);
    assert_eq!(restored.gate(5_000), HealthGate::Closed { until_ms: 5_060 });
    assert_eq!(restored.percent(), runner.health.percent());

    let broken = SavedHealth { score: u32::MAX, closed_for_ms: Some(i64::MAX), ..saved };
    let restored = RunnerHealth::restore(broken, 0, &SETTINGS);
    assert_eq!((restored.percent(), restored.gate(350)), (100, HealthGate::Probe));
}

fn event() -> impl Strategy<Value = HealthEvent> {
    prop_oneof![
        Just(HealthEvent::Given),
        Just(HealthEvent::Done),
        Just(HealthEvent::Returned),
        Just(HealthEvent::NotStarted),
        Just(HealthEvent::LeaseLost),
        Just(HealthEvent::Gone),
    ]
}

proptest! {
    /// Whatever happens: no fault on its own closes, nothing but a probe opens, a closed runner
    /// is due again within the longest cool-off, and a restart changes none of it.
    #[test]
    fn the_gate_moves_only_as_drawn(
        events in prop::collection::vec((event(), 0..200_i64), 1..200),
        min_percent in 0..=100_u32,
    ) {
        let settings = HealthSettings { min_percent, ..SETTINGS };
        let (mut health, mut now_ms, mut faults) = (RunnerHealth::default(), 0, 0);
        for (event, later_ms) in events {
            now_ms += later_ms;
            let before = health.gate(now_ms);
            let change = health.note(now_ms, event, &settings);
            let after = health.gate(now_ms);
            faults += u32::from(matches!(
                event,
                HealthEvent::NotStarted | HealthEvent::LeaseLost | HealthEvent::Gone
            ));
            prop_assert!(health.percent() <= 100);
            prop_assert!(faults > 1 || after == HealthGate::Open);
            match (before, after) {
                (HealthGate::Open, HealthGate::Open) => {}
                (HealthGate::Open | HealthGate::Probing, HealthGate::Closed { until_ms }) => {
                    prop_assert!((1..=350).contains(&(until_ms - now_ms)));
                    prop_assert_eq!(change, Some(HealthChange::Closed { until_ms }));
                }
                (HealthGate::Probe, HealthGate::Probing) => {
                    prop_assert_eq!(event, HealthEvent::Given);
                }
                (HealthGate::Probing, HealthGate::Probe) => {
                    prop_assert_eq!(event, HealthEvent::Returned);
                }
                (HealthGate::Probing, HealthGate::Open) => {
                    prop_assert_eq!(event, HealthEvent::Done);
                    prop_assert_eq!(change, Some(HealthChange::Opened));
                }
                _ => prop_assert_eq!(before, after),
            }
            let restored = RunnerHealth::restore(health.save(now_ms), now_ms, &settings);
            let expected =
                if after == HealthGate::Probing { HealthGate::Probe } else { after };
            prop_assert_eq!(restored.gate(now_ms), expected);
        }
    }
}
