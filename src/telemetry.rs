//! What operators see: log lines and metrics. Every name of both is in this folder, each family of
//! metrics in a file of its own.
//!
//! A metric is a public field of [`Metrics`]: whoever does the work increments it. What the
//! scheduler does is counted by the driver's [`Meter`]. `docs/metrics.md` has all of them, and a
//! test holds it true. Log lines carry the ids of what they are about under the names of
//! [`LOG_FIELDS`]. Secrets, signatures, tokens, bodies and job logs are never logged.
//!
//! Deliberately absent: the HTTP route that serves the metrics (`api`), traces over the network.

mod fleet;
mod instances;
mod label;
mod log;
mod log_fields;
mod meter;
mod outbox;
mod planning;
mod queue;
mod retention;
mod table;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use table::Table;

pub use fleet::{FleetMetrics, PoolStateLabels, QuotaLabels, TenantLabels, TenantStateLabels};
pub use instances::InstanceMetrics;
pub use label::{
    DeliveryLabels, JobEndLabels, PredictionLabels, PromiseEndLabels, PromiseLabels,
    RejectionLabels, RequeueLabels, RouteLabels,
};
pub use log::{LogError, LogFormat, init};
pub use log_fields::LOG_FIELDS;
pub use meter::Meter;
pub use outbox::{OutboxLabels, OutboxMetrics};
pub use planning::{LookupLabels, PlanningMetrics, SourceLabels};
pub use queue::{
    AssignmentLabels, FloatGauge, GateLabels, LateLabels, PoolLabels, PoolLevelLabels,
    QueueMetrics, RoutedLabels,
};
pub use retention::{BytesLabels, PrunedLabels, RetentionMetrics};
pub use table::MetricRow;

/// The `Content-Type` of [`Metrics::encode`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every metric. Cheap to share behind an `Arc`; each field counts for itself.
#[derive(Debug)]
pub struct Metrics {
    /// `dispatchyard_webhook_deliveries_total` by source and outcome.
    pub webhook_deliveries: Family<DeliveryLabels, Counter>,
    /// `dispatchyard_signature_rejections_total` by source and reason.
    pub signature_rejections: Family<RejectionLabels, Counter>,
    /// `dispatchyard_webhook_to_commit_seconds`.
    pub webhook_to_commit_seconds: Histogram,
    /// The queue, and what becomes of jobs that are given out.
    pub queue: QueueMetrics,
    /// Pools and tenants.
    pub fleet: FleetMetrics,
    /// What is kept, and what is kept no longer.
    pub retention: RetentionMetrics,
    /// Deliveries that wait for a lookup.
    pub planning: PlanningMetrics,
    /// What others outside are told.
    pub outbox: OutboxMetrics,
    /// `dispatchyard_jobs_running`.
    pub jobs_running: Gauge,
    /// `dispatchyard_job_ends_total` by state.
    pub job_ends: Family<JobEndLabels, Counter>,
    /// `dispatchyard_promises_total` by verdict.
    pub promises: Family<PromiseLabels, Counter>,
    /// `dispatchyard_promises_scored_total` by verdict and outcome.
    pub promises_scored: Family<PromiseEndLabels, Counter>,
    /// `dispatchyard_predictions_total` by outcome.
    pub predictions: Family<PredictionLabels, Counter>,
    /// `dispatchyard_requeues_total` by reason.
    pub requeues: Family<RequeueLabels, Counter>,
    /// `dispatchyard_batch_commands`: its count is the number of batches.
    pub batch_commands: Histogram,
    /// `dispatchyard_commit_seconds`.
    pub commit_seconds: Histogram,
    /// `dispatchyard_decision_seconds`.
    pub decision_seconds: Histogram,
    /// `dispatchyard_runners_online`.
    pub runners_online: Gauge,
    /// `dispatchyard_polls_parked`.
    pub polls_parked: Gauge,
    /// `dispatchyard_runner_streams`.
    pub runner_streams: Gauge,
    /// `dispatchyard_store_reloads_total`.
    pub store_reloads: Counter,
    /// `dispatchyard_http_requests_total` by method, route and status.
    pub http_requests: Family<RouteLabels, Counter>,
    /// Who leads, and what instances do for each other.
    pub instances: InstanceMetrics,
    table: Table,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut table = Table::new();
        let mut metrics = Self {
            webhook_deliveries: Family::default(),
            signature_rejections: Family::default(),
            webhook_to_commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            queue: QueueMetrics::new(&mut table),
            fleet: FleetMetrics::new(&mut table),
            retention: RetentionMetrics::new(&mut table),
            planning: PlanningMetrics::new(&mut table),
            outbox: OutboxMetrics::new(&mut table),
            jobs_running: Gauge::default(),
            job_ends: Family::default(),
            promises: Family::default(),
            promises_scored: Family::default(),
            predictions: Family::default(),
            requeues: Family::default(),
            batch_commands: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 17)),
            decision_seconds: Histogram::new(exponential_buckets(0.000_001, 4.0, 12)),
            runners_online: Gauge::default(),
            polls_parked: Gauge::default(),
            runner_streams: Gauge::default(),
            store_reloads: Counter::default(),
            http_requests: Family::default(),
            instances: InstanceMetrics::default(),
            table,
        };
        metrics.register_edge();
        metrics.register_driver();
        metrics.register_forecasts();
        metrics.instances.register(&mut metrics.table);
        metrics
    }

    /// What comes in over HTTP.
    fn register_edge(&mut self) {
        let table = &mut self.table;
        table.add(
            "webhook_deliveries",
            &["source", "outcome"],
            "Deliveries that a source sent, by what became of them",
            self.webhook_deliveries.clone(),
        );
        table.add(
            "signature_rejections",
            &["source", "reason"],
            "Deliveries that were refused because nobody known had signed them",
            self.signature_rejections.clone(),
        );
        table.add_seconds(
            "webhook_to_commit",
            &[],
            "Time from a delivery's last byte to its commit",
            self.webhook_to_commit_seconds.clone(),
        );
        table.add(
            "http_requests",
            &["method", "route", "status"],
            "Requests answered, by the route's pattern and the status",
            self.http_requests.clone(),
        );
    }

    /// What was foreseen, and how far it came true.
    fn register_forecasts(&mut self) {
        let table = &mut self.table;
        table.add(
            "promises",
            &["verdict"],
            "New jobs with max_wait or a deadline, by whether it is expected to be met",
            self.promises.clone(),
        );
        table.add(
            "promises_scored",
            &["verdict", "outcome"],
            "The same by what came of it",
            self.promises_scored.clone(),
        );
        table.add(
            "predictions",
            &["outcome"],
            "Starts of jobs beside the percentiles that were expected",
            self.predictions.clone(),
        );
    }

    /// What the driver does.
    fn register_driver(&mut self) {
        let table = &mut self.table;
        table.add("jobs_running", &[], "Jobs that runners have", self.jobs_running.clone());
        table.add("job_ends", &["state"], "Jobs that ended, by state", self.job_ends.clone());
        table.add(
            "requeues",
            &["reason"],
            "Jobs that went back to the queue, by reason; failed and timed_out are the job's own retries",
            self.requeues.clone(),
        );
        table.add(
            "batch_commands",
            &[],
            "Commands that one transaction carried",
            self.batch_commands.clone(),
        );
        table.add_seconds(
            "commit",
            &[],
            "Time that one transaction took, begin to commit",
            self.commit_seconds.clone(),
        );
        table.add_seconds(
            "decision",
            &[],
            "Time that the scheduler took to decide one command",
            self.decision_seconds.clone(),
        );
        table.add(
            "runners_online",
            &[],
            "Runners that were heard of lately",
            self.runners_online.clone(),
        );
        table.add(
            "polls_parked",
            &[],
            "Polls of runners that wait for work",
            self.polls_parked.clone(),
        );
        table.add(
            "runner_streams",
            &[],
            "Streams of runners that are open",
            self.runner_streams.clone(),
        );
        table.add(
            "store_reloads",
            &[],
            "Times that the state was loaded: once at the start, then after each failed or unknown commit",
            self.store_reloads.clone(),
        );
    }

    /// What each metric is, in the order in which they are scraped.
    pub fn rows(&self) -> &[MetricRow] {
        &self.table.rows
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` cannot fail, and the encoder has no failure of its own.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.table.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AssignmentOutcome, JobPriority, JobStateKind, Promise, RequeueReason};
    /// All of them, each with one number.
    fn touched() -> Metrics {
        let metrics = Metrics::new();
        let (high, pool) = (PoolLevelLabels::new("p", JobPriority::High), PoolLabels::new("p"));
        let (queue, fleet) = (&metrics.queue, &metrics.fleet);
        metrics.webhook_deliveries.get_or_create(&DeliveryLabels::new("gh", "accepted")).inc();
        metrics.signature_rejections.get_or_create(&RejectionLabels::new("gh", "mismatch")).inc();
        metrics.job_ends.get_or_create(&JobStateKind::Failed.into()).inc();
        metrics.promises.get_or_create(&PromiseLabels::new("met")).inc();
        metrics.promises_scored.get_or_create(&PromiseEndLabels::new("met", "late")).inc();
        metrics.predictions.get_or_create(&PredictionLabels::new("within")).inc();
        metrics.requeues.get_or_create(&RequeueReason::LeaseLost.into()).inc();
        metrics.http_requests.get_or_create(&RouteLabels::new("GET", "/livez", 200)).inc();
        metrics.commit_seconds.observe(0.001);
        queue.jobs.get_or_create(&high).set(3);
        queue.oldest.get_or_create(&high).set(1.5);
        queue.gated.get_or_create(&"group".into()).set(1);
        queue.wait_seconds.get_or_create(&high).observe(0.5);
        queue.run_seconds.get_or_create(&pool).observe(2.0);
        let offered = AssignmentLabels::new("p", AssignmentOutcome::Offered);
        queue.assignments.get_or_create(&offered).inc();
        queue.routed.get_or_create(&RoutedLabels::new(Some("gpu"))).inc();
        queue.sla_misses.get_or_create(&LateLabels::new("p", "t", Promise::Deadline)).inc();
        fleet.runners.get_or_create(&PoolStateLabels::new("p", "online")).set(2);
        for (gauge, value) in [(&fleet.slots, 8), (&fleet.slots_used, 4), (&fleet.desired, 3)] {
            gauge.get_or_create(&pool).set(value);
        }
        fleet.busy.get_or_create(&pool).set(0.5);
        metrics.retention.pruned.get_or_create(&PrunedLabels::new("jobs")).inc();
        metrics.retention.show(
            1,
            2,
            [("workloads", Some(3)), ("deliveries", None), ("keys", None)],
        );
        metrics.planning.show(&[("gh".into(), 1, 2)], 3);
        metrics.planning.lookups.get_or_create(&LookupLabels::new("gh", "found")).inc();
        metrics.outbox.tries.get_or_create(&OutboxLabels::new("callback", "sent")).inc();
        metrics.outbox.show((1, 2), Some(3), 4);
        let tenant = TenantLabels::new("t");
        fleet.tenant_jobs.get_or_create(&TenantStateLabels::new("t", "waiting")).set(1);
        fleet.weight.get_or_create(&tenant).set(1);
        for gauge in [&fleet.work, &fleet.ahead, &fleet.used] {
            gauge.get_or_create(&tenant).set(0.25);
        }
        for gauge in [&fleet.quota_used, &fleet.quota_limit] {
            gauge.get_or_create(&QuotaLabels::new("t", "running_max")).set(5);
        }
        metrics
    }

    /// Names of the labels of a sample, but for the bucket's.
    fn labels(sample: &str) -> Vec<&str> {
        let inside = sample.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
        let pairs = inside.map_or("", |(inside, _)| inside).split(',');
        let names = pairs.filter_map(|pair| pair.split_once('=')).map(|(name, _)| name);
        names.filter(|name| *name != "le").collect()
    }

    #[test]
    fn every_metric_is_encoded_as_the_table_says() {
        let metrics = touched();
        let text = metrics.encode();
        assert!(text.ends_with("# EOF\n"));
        for row in metrics.rows() {
            let family = row.name.strip_suffix("_total").unwrap_or(&row.name);
            let kind = format!("# TYPE {family} {}\n", row.kind);
            assert!(text.contains(&kind), "no `{kind}` in {text}");
            let first = if row.kind == "histogram" { "_sum" } else { "" };
            let sample = text.lines().find(|line| {
                line.strip_prefix(&format!("{}{first}", row.name))
                    .is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            let sample = sample.unwrap_or_else(|| panic!("no sample of {} in {text}", row.name));
            assert_eq!(labels(sample), row.labels, "{sample}");
        }
        let described = text.lines().filter(|line| line.starts_with("# HELP ")).count();
        assert_eq!(described, metrics.rows().len());
    }

    #[test]
    fn the_page_about_metrics_has_exactly_these() {
        let page = include_str!("../docs/metrics.md");
        let table = page.lines().filter(|line| line.starts_with("| `dispatchyard_"));
        let line = |row: &MetricRow| {
            let labels: Vec<_> = row.labels.iter().map(|label| format!("`{label}`")).collect();
            let MetricRow { name, kind, meaning, .. } = row;
            format!("| `{name}` | {kind} | {} | {meaning} |", labels.join(", "))
        };
        let metrics = Metrics::new();
        let expected: Vec<_> = metrics.rows().iter().map(line).collect();
        assert_eq!(table.collect::<Vec<_>>(), expected, "write this:\n{}\n", expected.join("\n"));
    }

    /// A rule about a metric that is not there would never fire.
    #[test]
    fn the_example_alerts_are_about_metrics_that_there_are() {
        let alerts = include_str!("../config/alerts.yml");
        let metrics = Metrics::new();
        let names: Vec<_> = metrics.rows().iter().map(|row| row.name.as_str()).collect();
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words = alerts.split(|c| !is_word(c)).filter(|word| word.starts_with("dispatchyard_"));
        let mut asked = 0;
        for word in words {
            let metric = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(names.contains(&metric), "{word}");
            asked += 1;
        }
        assert!(asked >= 8, "only {asked} metrics are watched");
    }
}
