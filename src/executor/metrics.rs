//! What an executor does and did, and a tally that keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::event::ExecutionStatus;
use crate::clock::{Clock, SystemClock};

/// Figures of one executor since its process started.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ExecutorMetrics {
    /// Attempts that it has now.
    pub active_tasks: u64,
    /// The most that it has at once.
    pub max_concurrent: u64,
    /// Attempts that ended, however they did.
    pub total_executed: u64,
    /// Those of them that did not end well.
    pub total_failed: u64,
    /// How long they took on average, in milliseconds.
    pub average_duration_ms: f64,
}

/// Counts attempts as they begin and end. A clone counts for the same.
#[derive(Clone)]
pub struct Tally(Arc<Counts>);

struct Counts {
    clock: Arc<dyn Clock>,
    active: AtomicU64,
    executed: AtomicU64,
    failed: AtomicU64,
    micros: AtomicU64,
}

impl Default for Tally {
    fn default() -> Self {
        Self::new(Arc::new(SystemClock::new()))
    }
}

impl Tally {
    /// A tally that measures with this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let zero = || AtomicU64::new(0);
        let (active, executed, failed, micros) = (zero(), zero(), zero(), zero());
        Self(Arc::new(Counts { clock, active, executed, failed, micros }))
    }

    /// An attempt begins. It ends when the answer is dropped, badly unless [`Busy::ended`] was told
    /// otherwise.
    pub fn begin(&self) -> Busy {
        self.0.active.fetch_add(1, Ordering::Relaxed);
        Busy { counts: Arc::clone(&self.0), began: self.0.clock.seconds(), well: false }
    }

    /// The figures, of an executor that has so many at once.
    pub fn metrics(&self, max_concurrent: u64) -> ExecutorMetrics {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let total_executed = get(&self.0.executed);
        ExecutorMetrics {
            active_tasks: get(&self.0.active),
            max_concurrent,
            total_executed,
            total_failed: get(&self.0.failed),
            average_duration_ms: get(&self.0.micros) as f64
                / 1_000.0
                / total_executed.max(1) as f64,
        }
    }
}

/// An attempt that is being counted.
pub struct Busy {
    counts: Arc<Counts>,
    began: f64,
    well: bool,
}

impl Busy {
    /// It ended so.
    pub fn ended(mut self, status: ExecutionStatus) {
        self.well = status == ExecutionStatus::Completed;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let took = (self.counts.clock.seconds() - self.began).max(0.0);
        self.counts.active.fetch_sub(1, Ordering::Relaxed);
        self.counts.executed.fetch_add(1, Ordering::Relaxed);
        self.counts.micros.fetch_add((took * 1e6) as u64, Ordering::Relaxed);
        if !self.well {
            self.counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn what_is_dropped_without_a_word_has_failed() {
        let clock = Arc::new(ManualClock::default());
        let tally = Tally::new(clock.clone());
        let (good, bad) = (tally.begin(), tally.begin());
        assert_eq!(tally.metrics(5).active_tasks, 2);
        clock.advance(100);
        good.ended(ExecutionStatus::Completed);
        clock.advance(200);
        drop(bad);
        let told = tally.metrics(5);
        let expected = ExecutorMetrics {
            active_tasks: 0,
            max_concurrent: 5,
            total_executed: 2,
            total_failed: 1,
            average_duration_ms: 200.0,
        };
        assert_eq!(told, expected);
    }
}
