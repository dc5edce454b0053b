//! `bench core`: what the pure scheduler costs, without a database and without sockets.

use serde::{Deserialize, Serialize};

use super::BenchError;
use super::figures::{Percentiles, Range, resident_mb};
use super::step::{STEPS, Step};
use super::world::Size;
use super::yard::{Series, Yard};

/// Heartbeats in a batch, when all runners send one at once: the driver's default.
const HEARTBEAT_BATCH: usize = 1_000;
/// Kinds of decisions that have rounds of their own, and of how many of the rounds that are asked
/// for each has one: questions take longer, and advice longest.
const ROUNDS_OF: [(Step, u64); 6] = [
    (Step::Poll, 1),
    (Step::Complete, 1),
    (Step::SubmitToWaiting, 1),
    (Step::SubmitWithin, 10),
    (Step::Explain, 10),
    (Step::Excerpt, 100),
];

/// What to measure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CoreOptions {
    /// How large the world is.
    pub size: Size,
    /// Decisions of each kind in each round.
    pub decisions: u64,
    /// How often each kind is measured.
    pub rounds: usize,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CoreReport {
    /// How large the world was.
    pub size: Size,
    /// How often each kind was measured.
    pub rounds: usize,
    /// Milliseconds in which the rows became a scheduler, the reading of rows not counted.
    pub load_ms: f64,
    /// Memory of the process before there were rows, in megabytes; `None` where the system does
    /// not tell.
    pub resident_before_mb: Option<f64>,
    /// The same once the scheduler was loaded and the rows were its own.
    pub resident_loaded_mb: Option<f64>,
    /// The same at the end.
    pub resident_end_mb: Option<f64>,
    /// Time by kind of decision.
    pub decisions: Vec<Decision>,
    /// Heartbeats in a second of the scheduler's thread, 1,000 in a batch.
    pub heartbeats_per_s: Range,
    /// How often a job was kept back for a less busy runner.
    pub jobs_held: u64,
}

/// Time of one kind of decision, in microseconds. Each figure is the median over the rounds, but
/// for the range of `p99`, and for `max`, which is that of the best round.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Decision {
    /// Which kind.
    pub what: String,
    /// How many were measured, in all rounds.
    pub decisions: u64,
    /// How many of them gave a job to a runner.
    pub assigned: u64,
    /// Half took at most this.
    pub p50_us: f64,
    /// 99 of 100 took at most this, with the best and the worst round.
    pub p99_us: Range,
    /// 999 of 1,000 took at most this.
    pub p999_us: f64,
    /// The longest.
    pub max_us: f64,
}

impl Decision {
    fn of(step: Step, rounds: &mut [Series]) -> Self {
        let figures: Vec<_> = rounds
            .iter_mut()
            .filter(|series| !series.took_us.is_empty())
            .map(|series| Percentiles::of(&mut series.took_us))
            .collect();
        let range = |figure: fn(&Percentiles) -> f64| Range::of(figures.iter().map(figure));
        Self {
            what: step.as_str().to_owned(),
            decisions: rounds.iter().map(|series| series.took_us.len() as u64).sum(),
            assigned: rounds.iter().map(|series| series.assigned).sum(),
            p50_us: range(|it| it.p50).median,
            p99_us: range(|it| it.p99),
            p999_us: range(|it| it.p999).median,
            max_us: range(|it| it.max).min,
        }
    }
}

/// Measures. `tell` hears what is being done.
///
/// # Errors
/// [`BenchError::Refused`], which is a fault of the measurement.
pub fn core(options: CoreOptions, mut tell: impl FnMut(&str)) -> Result<CoreReport, BenchError> {
    let refused = |refusal: crate::dispatch::Refusal| BenchError::Refused(refusal.to_string());
    let resident_before_mb = resident_mb(None);
    tell("loading");
    let (mut yard, load_seconds) = Yard::load(options.size).map_err(refused)?;
    let resident_loaded_mb = resident_mb(None);
    let mut rounds: Vec<[Series; STEPS]> = Vec::new();
    let mut heartbeats = Vec::new();
    for round in 1..=options.rounds {
        tell(&format!("round {round} of {}", options.rounds));
        for (step, one_of) in ROUNDS_OF {
            yard.measure(step, options.decisions.div_ceil(one_of)).map_err(refused)?;
        }
        let (seconds, sent) = yard.heartbeats(HEARTBEAT_BATCH).map_err(refused)?;
        heartbeats.push(sent as f64 / seconds.max(f64::EPSILON));
        rounds.push(yard.take_series());
    }
    let decisions = Step::TOLD.into_iter().map(|step| {
        let mut of_step: Vec<_> =
            rounds.iter_mut().map(|round| std::mem::take(&mut round[step as usize])).collect();
        Decision::of(step, &mut of_step)
    });
    Ok(CoreReport {
        size: options.size,
        rounds: options.rounds,
        load_ms: load_seconds * 1e3,
        resident_before_mb,
        resident_loaded_mb,
        resident_end_mb: resident_mb(None),
        decisions: decisions.collect(),
        heartbeats_per_s: Range::of(heartbeats),
        jobs_held: yard.held(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_decision_is_reached_with_all_policies_on() {
        let size = Size { jobs: 3_000, runners: 200, classes: 20, tenants: 20 };
        let report = core(CoreOptions { size, decisions: 300, rounds: 2 }, |_| {}).unwrap();
        assert_eq!(report.decisions.len(), Step::TOLD.len());
        for decision in &report.decisions {
            assert!(decision.decisions > 0, "{decision:?}");
            assert!(decision.p50_us <= decision.p99_us.max, "{decision:?}");
        }
        let assigned = |step: Step| {
            let found = report.decisions.iter().find(|it| it.what == step.as_str()).unwrap();
            (found.assigned, found.decisions)
        };
        assert_eq!(assigned(Step::SubmitToWaiting), (600, 600), "somebody waits for each of them");
        assert!(assigned(Step::Poll).0 > 300, "{report:?}");
        assert!(assigned(Step::Complete).0 > 300, "{report:?}");
        assert!(report.jobs_held > 0, "less busy runners were waited for");
    }

    #[test]
    fn the_smallest_world_can_be_measured() {
        let size = Size { jobs: 1, runners: 2, classes: 2, tenants: 1 };
        let report = core(CoreOptions { size, decisions: 5, rounds: 1 }, |_| {}).unwrap();
        assert_eq!(report.size, size);
    }
}
