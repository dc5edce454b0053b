//! What operators see: log lines and metrics. Every name of both is in this file.
//!
//! A metric is a public field of [`Metrics`]: whoever does the work increments it. Log lines carry
//! the ids of what they are about under the names of [`LOG_FIELDS`]. Secrets, signatures, tokens,
//! bodies and job logs are never logged.
//!
//! Deliberately absent: the HTTP route that serves the metrics (`api`), traces over the network.

mod label;
mod log;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use label::{
    DeliveryLabels, JobEndLabels, PriorityLabels, RejectionLabels, RequeueLabels, RouteLabels,
};
pub use log::{LogError, LogFormat, init};

/// The `Content-Type` of [`Metrics::encode`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The names of log fields, and what each says.
pub const LOG_FIELDS: &[(&str, &str)] = &[
    ("attempt", "which try at a job, from 1"),
    ("bytes", "a length in bytes"),
    ("commands", "commands of one batch"),
    ("delivery_id", "the delivery"),
    ("epoch", "the scheduler's epoch"),
    ("error", "what went wrong, once, where it is handled"),
    ("event", "the event's kind"),
    ("external_id", "the provider's own id of a delivery"),
    ("hint", "what to do about it"),
    ("job_id", "the job"),
    ("lease", "the lease's token, without its nonce"),
    ("method", "the HTTP method"),
    ("outcome", "how it ended"),
    ("path", "a file or folder"),
    ("reason", "why, as a name that programs can compare"),
    ("route", "the route's pattern, never the address itself"),
    ("runner_id", "the runner"),
    ("source", "the source's name"),
    ("state", "the state that something is in now"),
    ("status", "the HTTP status"),
    ("took_ms", "how long it took, in milliseconds"),
    ("traceparent", "the trace that it is part of"),
    ("trigger", "the trigger's name"),
    ("version", "the program's version"),
    ("workload_id", "the workload"),
];

/// Every metric. Cheap to share behind an `Arc`; each field counts for itself.
#[derive(Debug)]
pub struct Metrics {
    /// `dispatchyard_webhook_deliveries_total` by source and outcome.
    pub webhook_deliveries: Family<DeliveryLabels, Counter>,
    /// `dispatchyard_signature_rejections_total` by source and reason.
    pub signature_rejections: Family<RejectionLabels, Counter>,
    /// `dispatchyard_webhook_to_commit_seconds`.
    pub webhook_to_commit_seconds: Histogram,
    /// `dispatchyard_queue_jobs` by priority.
    pub queue_jobs: Family<PriorityLabels, Gauge>,
    /// `dispatchyard_jobs_running`.
    pub jobs_running: Gauge,
    /// `dispatchyard_assignments_total`.
    pub assignments: Counter,
    /// `dispatchyard_job_ends_total` by state.
    pub job_ends: Family<JobEndLabels, Counter>,
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
    /// `dispatchyard_store_reloads_total`.
    pub store_reloads: Counter,
    /// `dispatchyard_http_requests_total` by method, route and status.
    pub http_requests: Family<RouteLabels, Counter>,
    registry: Registry,
}

impl Metrics {
    /// All metrics at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            webhook_deliveries: Family::default(),
            signature_rejections: Family::default(),
            webhook_to_commit_seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            queue_jobs: Family::default(),
            jobs_running: Gauge::default(),
            assignments: Counter::default(),
            job_ends: Family::default(),
            requeues: Family::default(),
            batch_commands: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 17)),
            decision_seconds: Histogram::new(exponential_buckets(0.000_001, 4.0, 12)),
            runners_online: Gauge::default(),
            polls_parked: Gauge::default(),
            store_reloads: Counter::default(),
            http_requests: Family::default(),
            registry: Registry::with_prefix("dispatchyard"),
        };
        metrics.register();
        metrics
    }

    /// The table of names, helps and units. The format adds `_total` to counters, the registry
    /// adds the unit.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "webhook_deliveries",
            "Deliveries that a source sent, by what became of them",
            self.webhook_deliveries.clone(),
        );
        registry.register(
            "signature_rejections",
            "Deliveries that were refused because nobody known had signed them",
            self.signature_rejections.clone(),
        );
        registry.register_with_unit(
            "webhook_to_commit",
            "Time from a delivery's last byte to its commit",
            Unit::Seconds,
            self.webhook_to_commit_seconds.clone(),
        );
        registry.register(
            "queue_jobs",
            "Jobs that wait, gated ones too, by the level they were queued at",
            self.queue_jobs.clone(),
        );
        registry.register("jobs_running", "Jobs that runners have", self.jobs_running.clone());
        registry.register("assignments", "Jobs given to runners", self.assignments.clone());
        registry.register("job_ends", "Jobs that ended, by state", self.job_ends.clone());
        registry.register(
            "requeues",
            "Jobs that went back to the queue, by reason",
            self.requeues.clone(),
        );
        registry.register(
            "batch_commands",
            "Commands that one transaction carried",
            self.batch_commands.clone(),
        );
        registry.register_with_unit(
            "commit",
            "Time that one transaction took, begin to commit",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register_with_unit(
            "decision",
            "Time that the scheduler took to decide one command",
            Unit::Seconds,
            self.decision_seconds.clone(),
        );
        registry.register(
            "runners_online",
            "Runners that were heard of lately",
            self.runners_online.clone(),
        );
        registry.register(
            "polls_parked",
            "Polls of runners that wait for work",
            self.polls_parked.clone(),
        );
        registry.register(
            "store_reloads",
            "Times that the state was loaded anew after a failed or unknown commit",
            self.store_reloads.clone(),
        );
        registry.register(
            "http_requests",
            "Requests answered, by the route's pattern and the status",
            self.http_requests.clone(),
        );
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a `String` cannot fail, and the encoder has no failure of its own.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
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
    use crate::model::{JobPriority, JobStateKind, RequeueReason};

    #[test]
    fn every_metric_is_encoded_with_its_unit_and_labels() {
        let metrics = Metrics::new();
        metrics.webhook_deliveries.get_or_create(&DeliveryLabels::new("gh", "accepted")).inc();
        metrics.signature_rejections.get_or_create(&RejectionLabels::new("gh", "mismatch")).inc();
        metrics.queue_jobs.get_or_create(&JobPriority::High.into()).set(3);
        metrics.job_ends.get_or_create(&JobStateKind::Failed.into()).inc();
        metrics.requeues.get_or_create(&RequeueReason::LeaseLost.into()).inc();
        metrics.http_requests.get_or_create(&RouteLabels::new("GET", "/livez", 200)).inc();
        metrics.commit_seconds.observe(0.001);
        metrics.assignments.inc();
        let text = metrics.encode();
        let shown: Vec<_> = text.lines().filter(|line| !line.contains("_bucket")).collect();
        insta::assert_snapshot!(shown.join("\n"), @r#"
        # HELP dispatchyard_webhook_deliveries Deliveries that a source sent, by what became of them.
        # TYPE dispatchyard_webhook_deliveries counter
        dispatchyard_webhook_deliveries_total{source="gh",outcome="accepted"} 1
        # HELP dispatchyard_signature_rejections Deliveries that were refused because nobody known had signed them.
        # TYPE dispatchyard_signature_rejections counter
        dispatchyard_signature_rejections_total{source="gh",reason="mismatch"} 1
        # HELP dispatchyard_webhook_to_commit_seconds Time from a delivery's last byte to its commit.
        # TYPE dispatchyard_webhook_to_commit_seconds histogram
        # UNIT dispatchyard_webhook_to_commit_seconds seconds
        dispatchyard_webhook_to_commit_seconds_sum 0.0
        dispatchyard_webhook_to_commit_seconds_count 0
        # HELP dispatchyard_queue_jobs Jobs that wait, gated ones too, by the level they were queued at.
        # TYPE dispatchyard_queue_jobs gauge
        dispatchyard_queue_jobs{priority="high"} 3
        # HELP dispatchyard_jobs_running Jobs that runners have.
        # TYPE dispatchyard_jobs_running gauge
        dispatchyard_jobs_running 0
        # HELP dispatchyard_assignments Jobs given to runners.
        # TYPE dispatchyard_assignments counter
        dispatchyard_assignments_total 1
        # HELP dispatchyard_job_ends Jobs that ended, by state.
        # TYPE dispatchyard_job_ends counter
        dispatchyard_job_ends_total{state="failed"} 1
        # HELP dispatchyard_requeues Jobs that went back to the queue, by reason.
        # TYPE dispatchyard_requeues counter
        dispatchyard_requeues_total{reason="lease_lost"} 1
        # HELP dispatchyard_batch_commands Commands that one transaction carried.
        # TYPE dispatchyard_batch_commands histogram
        dispatchyard_batch_commands_sum 0.0
        dispatchyard_batch_commands_count 0
        # HELP dispatchyard_commit_seconds Time that one transaction took, begin to commit.
        # TYPE dispatchyard_commit_seconds histogram
        # UNIT dispatchyard_commit_seconds seconds
        dispatchyard_commit_seconds_sum 0.001
        dispatchyard_commit_seconds_count 1
        # HELP dispatchyard_decision_seconds Time that the scheduler took to decide one command.
        # TYPE dispatchyard_decision_seconds histogram
        # UNIT dispatchyard_decision_seconds seconds
        dispatchyard_decision_seconds_sum 0.0
        dispatchyard_decision_seconds_count 0
        # HELP dispatchyard_runners_online Runners that were heard of lately.
        # TYPE dispatchyard_runners_online gauge
        dispatchyard_runners_online 0
        # HELP dispatchyard_polls_parked Polls of runners that wait for work.
        # TYPE dispatchyard_polls_parked gauge
        dispatchyard_polls_parked 0
        # HELP dispatchyard_store_reloads Times that the state was loaded anew after a failed or unknown commit.
        # TYPE dispatchyard_store_reloads counter
        dispatchyard_store_reloads_total 0
        # HELP dispatchyard_http_requests Requests answered, by the route's pattern and the status.
        # TYPE dispatchyard_http_requests counter
        dispatchyard_http_requests_total{method="GET",route="/livez",status="200"} 1
        # EOF
        "#);
    }

    #[test]
    fn log_fields_are_in_order_and_each_is_there_once() {
        assert!(LOG_FIELDS.is_sorted_by(|one, next| one.0 < next.0));
    }
}
