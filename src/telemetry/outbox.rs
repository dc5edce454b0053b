//! Metrics of what others outside are told.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::queue::FloatGauge;
use super::table::Table;

/// A kind of target, and what came of a try.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct OutboxLabels {
    target: &'static str,
    outcome: &'static str,
}

impl OutboxLabels {
    /// `sent`, `failed` (it is tried again), `held` (it has had enough requests), `dead`.
    pub fn new(target: &'static str, outcome: &'static str) -> Self {
        Self { target, outcome }
    }
}

/// Metrics of the outbox; counted by who tells, set when it is scraped.
#[derive(Debug)]
pub struct OutboxMetrics {
    /// `dispatchyard_outbox_tries_total` by target and outcome.
    pub tries: Family<OutboxLabels, Counter>,
    /// `dispatchyard_outbox_waiting`.
    waiting: Gauge,
    /// `dispatchyard_outbox_dead`.
    dead: Gauge,
    /// `dispatchyard_outbox_oldest_seconds`.
    oldest: FloatGauge,
}

impl OutboxMetrics {
    pub(super) fn new(table: &mut Table) -> Self {
        let metrics = Self {
            tries: Family::default(),
            waiting: Gauge::default(),
            dead: Gauge::default(),
            oldest: FloatGauge::default(),
        };
        table.add(
            "outbox_tries",
            &["target", "outcome"],
            "Tries to tell others outside; failed and held are tried again",
            metrics.tries.clone(),
        );
        table.add(
            "outbox_waiting",
            &[],
            "Entries of the outbox that wait to be told",
            metrics.waiting.clone(),
        );
        table.add(
            "outbox_dead",
            &[],
            "Entries of the outbox that were given up",
            metrics.dead.clone(),
        );
        table.add_seconds(
            "outbox_oldest",
            &[],
            "How long the oldest of those that wait has waited",
            metrics.oldest.clone(),
        );
        metrics
    }

    /// Sets how many wait and are given up, and since when the oldest waits, at `wall_ms`.
    pub fn show(&self, (waiting, dead): (u64, u64), oldest_at_ms: Option<i64>, wall_ms: i64) {
        self.waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.dead.set(i64::try_from(dead).unwrap_or(i64::MAX));
        let since_ms = oldest_at_ms.map_or(0, |at_ms| (wall_ms - at_ms).max(0));
        self.oldest.set(since_ms as f64 / 1_000.0);
    }
}
