//! Metrics of what is kept, and what is kept no longer.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::queue::FloatGauge;
use super::table::Table;

/// What is kept, or went.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PrunedLabels {
    kind: &'static str,
}

impl PrunedLabels {
    /// `workloads`, `jobs`, `attempts`, ...
    pub fn new(kind: &'static str) -> Self {
        Self { kind }
    }
}

/// Whether bytes are in use or only taken.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct BytesLabels {
    state: &'static str,
}

/// Metrics of retention; set and counted by who prunes.
#[derive(Debug)]
pub struct RetentionMetrics {
    /// `dispatchyard_pruned_total` by kind.
    pub pruned: Family<PrunedLabels, Counter>,
    /// `dispatchyard_oldest_kept_seconds` by kind.
    pub oldest_kept: Family<PrunedLabels, FloatGauge>,
    /// `dispatchyard_database_bytes` by state.
    pub database_bytes: Family<BytesLabels, Gauge>,
}

impl RetentionMetrics {
    pub(super) fn new(table: &mut Table) -> Self {
        let metrics = Self {
            pruned: Family::default(),
            oldest_kept: Family::default(),
            database_bytes: Family::default(),
        };
        table.add(
            "pruned",
            &["kind"],
            "Rows that were kept no longer, by kind; logs count by job",
            metrics.pruned.clone(),
        );
        table.add_seconds(
            "oldest_kept",
            &["kind"],
            "Age of the oldest finished workload, delivery and key of a delivery, as of the last pruning",
            metrics.oldest_kept.clone(),
        );
        table.add(
            "database_bytes",
            &["state"],
            "Bytes of the database, used and taken, as of the last pruning; PostgreSQL tells only what is taken",
            metrics.database_bytes.clone(),
        );
        metrics
    }

    /// Sets how much there is, and the age of the oldest of each kind in milliseconds; without one it
    /// is 0.
    pub fn show(
        &self,
        used_bytes: u64,
        taken_bytes: u64,
        oldest_ms: [(&'static str, Option<i64>); 3],
    ) {
        for (state, bytes) in [("used", used_bytes), ("taken", taken_bytes)] {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.database_bytes.get_or_create(&BytesLabels { state }).set(bytes);
        }
        for (kind, age_ms) in oldest_ms {
            let seconds = age_ms.unwrap_or(0).max(0) as f64 / 1_000.0;
            self.oldest_kept.get_or_create(&PrunedLabels::new(kind)).set(seconds);
        }
    }
}
