//! Metrics of the queue, and of what becomes of jobs that are given out.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::table::Table;
use crate::model::{AssignmentOutcome, JobPriority, Promise};

/// A gauge that is no whole number.
pub type FloatGauge = Gauge<f64, AtomicU64>;
type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// A pool, and a level of priority.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PoolLevelLabels {
    pool: String,
    priority: &'static str,
}

impl PoolLevelLabels {
    /// For a configured pool.
    pub fn new(pool: &str, priority: JobPriority) -> Self {
        Self { pool: pool.to_owned(), priority: priority.as_str() }
    }
}

/// A pool.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PoolLabels {
    pool: String,
}

impl PoolLabels {
    /// For a configured pool.
    pub fn new(pool: &str) -> Self {
        Self { pool: pool.to_owned() }
    }
}

/// What became of assignments in a pool.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct AssignmentLabels {
    pool: String,
    outcome: &'static str,
}

impl AssignmentLabels {
    /// For a configured pool.
    pub fn new(pool: &str, outcome: AssignmentOutcome) -> Self {
        Self { pool: pool.to_owned(), outcome: outcome.as_str() }
    }
}

/// What was promised to whom, and where it was not kept.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct LateLabels {
    pool: String,
    tenant: String,
    promise: &'static str,
}

impl LateLabels {
    /// For a configured pool and tenant.
    pub fn new(pool: &str, tenant: &str, promise: Promise) -> Self {
        Self { pool: pool.to_owned(), tenant: tenant.to_owned(), promise: promise.as_str() }
    }
}

/// The route that decided about a new job.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct RoutedLabels {
    route: String,
}

impl RoutedLabels {
    /// For a configured route; `None` for the default. No route's name has a parenthesis.
    pub fn new(route: Option<&str>) -> Self {
        Self { route: route.unwrap_or("(default)").to_owned() }
    }
}

/// What keeps jobs back.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct GateLabels {
    gate: &'static str,
}

impl From<&'static str> for GateLabels {
    fn from(gate: &'static str) -> Self {
        Self { gate }
    }
}

/// The queue, and what becomes of jobs.
#[derive(Debug)]
pub struct QueueMetrics {
    /// `dispatchyard_queue_jobs`.
    pub jobs: Family<PoolLevelLabels, Gauge>,
    /// `dispatchyard_queue_oldest_seconds`.
    pub oldest: Family<PoolLevelLabels, FloatGauge>,
    /// `dispatchyard_gated_jobs`.
    pub gated: Family<GateLabels, Gauge>,
    /// `dispatchyard_unschedulable_jobs`.
    pub unschedulable: Gauge,
    /// `dispatchyard_job_wait_seconds`.
    pub wait_seconds: Histograms<PoolLevelLabels>,
    /// `dispatchyard_job_run_seconds`.
    pub run_seconds: Histograms<PoolLabels>,
    /// `dispatchyard_assignments_total`.
    pub assignments: Family<AssignmentLabels, Counter>,
    /// `dispatchyard_sla_misses_total`.
    pub sla_misses: Family<LateLabels, Counter>,
    /// `dispatchyard_routed_jobs_total`.
    pub routed: Family<RoutedLabels, Counter>,
}

impl QueueMetrics {
    /// All at zero, and registered.
    pub(super) fn new(table: &mut Table) -> Self {
        let metrics = Self {
            jobs: Family::default(),
            oldest: Family::default(),
            gated: Family::default(),
            unschedulable: Gauge::default(),
            // From a millisecond to 70 minutes.
            wait_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.001, 4.0, 12))
            }),
            // From 50 milliseconds to 7 hours.
            run_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.05, 3.0, 13))
            }),
            assignments: Family::default(),
            sla_misses: Family::default(),
            routed: Family::default(),
        };
        metrics.register(table);
        metrics
    }

    fn register(&self, table: &mut Table) {
        table.add(
            "queue_jobs",
            &["pool", "priority"],
            "Jobs that wait, gated ones too, by the level they were queued at and the first pool whose runners may take them",
            self.jobs.clone(),
        );
        table.add_seconds(
            "queue_oldest",
            &["pool", "priority"],
            "Age of the job that waits longest; 0 when none does",
            self.oldest.clone(),
        );
        table.add(
            "gated_jobs",
            &["gate"],
            "Waiting jobs that something keeps from being offered: a time, a group, a limit of a matrix or workload, a resource, a hold for a runner, a paused trigger",
            self.gated.clone(),
        );
        table.add(
            "unschedulable_jobs",
            &[],
            "Waiting jobs that no registered runner can take, however long they wait",
            self.unschedulable.clone(),
        );
        table.add_seconds(
            "job_wait",
            &["pool", "priority"],
            "How long a job could have been given to a runner before it was, observed at each assignment",
            self.wait_seconds.clone(),
        );
        table.add_seconds(
            "job_run",
            &["pool"],
            "Time from start to end of attempts, however they ended",
            self.run_seconds.clone(),
        );
        table.add(
            "assignments",
            &["pool", "outcome"],
            "Jobs offered to runners, and what became of the offers: started, undelivered, not_started (in the ack window), released, cancelled, taken_back",
            self.assignments.clone(),
        );
        table.add(
            "sla_misses",
            &["pool", "tenant", "promise"],
            "Jobs that were not with a runner within their max_wait, or had not ended by their deadline",
            self.sla_misses.clone(),
        );
        table.add(
            "routed_jobs",
            &["route"],
            "New jobs by the route that decided how they are carried out; none while no route is configured",
            self.routed.clone(),
        );
    }
}
