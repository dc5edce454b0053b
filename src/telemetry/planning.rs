//! Metrics of deliveries that wait for something to be looked up.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::queue::FloatGauge;
use super::table::Table;

/// A source.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct SourceLabels {
    source: String,
}

/// A source, and what came of asking its forge.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct LookupLabels {
    source: String,
    outcome: &'static str,
}

impl LookupLabels {
    /// `found`, `failed` (it is tried again), `refused`; of a configured source.
    pub fn new(source: impl Into<String>, outcome: &'static str) -> Self {
        Self { source: source.into(), outcome }
    }
}

/// Metrics of planning; counted by who plans, set when it is scraped.
#[derive(Debug)]
pub struct PlanningMetrics {
    /// `dispatchyard_planning_deliveries` by source.
    deliveries: Family<SourceLabels, Gauge>,
    /// `dispatchyard_planning_oldest_seconds` by source.
    oldest: Family<SourceLabels, FloatGauge>,
    /// `dispatchyard_lookups_total` by source and outcome.
    pub lookups: Family<LookupLabels, Counter>,
    /// `dispatchyard_triggers_stopped_total`.
    pub tripped: Counter,
    /// `dispatchyard_held_deliveries`.
    held: Gauge,
    /// `dispatchyard_held_oldest_seconds`.
    held_oldest: FloatGauge,
}

impl PlanningMetrics {
    pub(super) fn new(table: &mut Table) -> Self {
        let metrics = Self {
            deliveries: Family::default(),
            oldest: Family::default(),
            lookups: Family::default(),
            tripped: Counter::default(),
            held: Gauge::default(),
            held_oldest: FloatGauge::default(),
        };
        table.add(
            "planning_deliveries",
            &["source"],
            "Deliveries that wait for workflow files of their repository, on the instance that leads",
            metrics.deliveries.clone(),
        );
        table.add_seconds(
            "planning_oldest",
            &["source"],
            "How long the oldest of them has waited",
            metrics.oldest.clone(),
        );
        table.add(
            "lookups",
            &["source", "outcome"],
            "Times that a forge was asked for workflow files of a repository, or what is kept of them was; failed is tried again",
            metrics.lookups.clone(),
        );
        table.add(
            "triggers_stopped",
            &[],
            "Times that a trigger was stopped by its breaker",
            metrics.tripped.clone(),
        );
        table.add(
            "held_deliveries",
            &[],
            "Deliveries that wait for somebody's approval",
            metrics.held.clone(),
        );
        table.add_seconds(
            "held_oldest",
            &[],
            "How long the oldest of them has waited; 0 when none does",
            metrics.held_oldest.clone(),
        );
        metrics
    }

    /// Sets how many deliveries wait for an approval, and since when the oldest does, at `wall_ms`.
    pub fn show_held(&self, many: u64, since_ms: Option<i64>, wall_ms: i64) {
        self.held.set(i64::try_from(many).unwrap_or(i64::MAX));
        let waited_ms = since_ms.map_or(0, |since_ms| wall_ms.saturating_sub(since_ms).max(0));
        self.held_oldest.set(waited_ms as f64 / 1_000.0);
    }

    /// Sets how many deliveries of each source wait, and since when, at `wall_ms`; of the others none.
    pub fn show(&self, waiting: &[(Box<str>, u64, i64)], wall_ms: i64) {
        self.deliveries.clear();
        self.oldest.clear();
        for (source, many, since_ms) in waiting {
            let labels = SourceLabels { source: source.to_string() };
            let many = i64::try_from(*many).unwrap_or(i64::MAX);
            self.deliveries.get_or_create(&labels).set(many);
            let seconds = (wall_ms - since_ms).max(0) as f64 / 1_000.0;
            self.oldest.get_or_create(&labels).set(seconds);
        }
    }
}
