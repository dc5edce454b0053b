//! The table of all metrics: what is registered is also described, for the page that people read.

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::registry::{Metric, Registry, Unit};

/// What one metric is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MetricRow {
    /// Its name as it is scraped, without the `_bucket`, `_sum` and `_count` of histograms.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

/// What every name begins with.
const PREFIX: &str = "dispatchyard";

/// Registers metrics and remembers what they are.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) registry: Registry,
    pub(super) rows: Vec<MetricRow>,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { registry: Registry::with_prefix(PREFIX), rows: Vec::new() }
    }

    /// Adds a metric. The format adds `_total` to counters.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        meaning: &'static str,
        metric: impl Metric,
    ) {
        self.describe(name, labels, meaning, &metric);
        self.registry.register(name, meaning, metric);
    }

    /// Adds a metric that is in seconds, which its name then says.
    pub(super) fn add_seconds(
        &mut self,
        name: &'static str,
        labels: &'static [&'static str],
        meaning: &'static str,
        metric: impl Metric,
    ) {
        self.describe(&format!("{name}_seconds"), labels, meaning, &metric);
        self.registry.register_with_unit(name, meaning, Unit::Seconds, metric);
    }

    fn describe(
        &mut self,
        name: &str,
        labels: &'static [&'static str],
        meaning: &'static str,
        metric: &impl EncodeMetric,
    ) {
        let kind = metric.metric_type().as_str().to_owned();
        let total = if kind == "counter" { "_total" } else { "" };
        self.rows.push(MetricRow {
            name: format!("{PREFIX}_{name}{total}"),
            kind,
            labels,
            meaning,
        });
    }
}
