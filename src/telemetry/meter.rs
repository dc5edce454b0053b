//! Counts what the scheduler did, in the driver's thread. A label set is looked up once: what is
//! counted later goes straight to the number, so a count is a few nanoseconds and takes no lock but
//! a histogram's own.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use rustc_hash::FxHashMap;

use super::label::{JobEndLabels, RequeueLabels};
use super::queue::{AssignmentLabels, LateLabels, PoolLabels, PoolLevelLabels, RoutedLabels};
use super::{Metrics, QueueMetrics};
use crate::model::{
    AssignmentOutcome, Catalogue, JobPriority, JobStateKind, Measure, Pause, PoolId, Promise,
    Record, RecordName, RequeueReason, TenantId,
};

/// The counters and histograms of one pool.
struct PoolHandles {
    wait: [Histogram; JobPriority::ALL.len()],
    run: Histogram,
    outcomes: [Counter; AssignmentOutcome::ALL.len()],
}

impl PoolHandles {
    fn new(metrics: &QueueMetrics, pool: &str) -> Self {
        Self {
            wait: JobPriority::ALL.map(|level| {
                metrics.wait_seconds.get_or_create_owned(&PoolLevelLabels::new(pool, level))
            }),
            run: metrics.run_seconds.get_or_create_owned(&PoolLabels::new(pool)),
            outcomes: AssignmentOutcome::ALL.map(|outcome| {
                metrics.assignments.get_or_create_owned(&AssignmentLabels::new(pool, outcome))
            }),
        }
    }
}

/// Counts for one driver.
pub struct Meter {
    metrics: Arc<Metrics>,
    /// Names for labels: only what is configured has one, so nobody can make series grow.
    catalogue: Catalogue,
    pools: FxHashMap<PoolId, PoolHandles>,
    late: FxHashMap<(PoolId, TenantId, Promise), Counter>,
    completed: Counter,
    failed: Counter,
    cancelled: Counter,
    skipped: Counter,
    requeues: Vec<(RequeueReason, Counter)>,
}

impl Meter {
    /// Counts into these metrics, under these names.
    pub fn new(metrics: Arc<Metrics>, catalogue: Catalogue) -> Self {
        let end =
            |state: JobStateKind| metrics.job_ends.get_or_create_owned(&JobEndLabels::from(state));
        let requeue = |reason: RequeueReason| {
            (reason, metrics.requeues.get_or_create_owned(&RequeueLabels::from(reason)))
        };
        Self {
            completed: end(JobStateKind::Completed),
            failed: end(JobStateKind::Failed),
            cancelled: end(JobStateKind::Cancelled),
            skipped: end(JobStateKind::Skipped),
            requeues: (0..).map_while(RequeueReason::from_code).map(requeue).collect(),
            pools: FxHashMap::default(),
            late: FxHashMap::default(),
            metrics,
            catalogue,
        }
    }

    /// Counts what follows from a batch.
    pub fn count(&mut self, measures: &[Measure]) {
        for measure in measures {
            match *measure {
                Measure::Given { pool_id, priority, wait_ms } => {
                    let pool = self.pool(pool_id);
                    pool.outcomes[AssignmentOutcome::Offered as usize].inc();
                    pool.wait[priority.level()].observe(wait_ms as f64 / 1_000.0);
                }
                Measure::Became { pool_id, outcome } => {
                    self.pool(pool_id).outcomes[outcome as usize].inc();
                }
                Measure::Ran { pool_id, run_ms } => {
                    self.pool(pool_id).run.observe(run_ms as f64 / 1_000.0);
                }
                Measure::Routed { route } => {
                    let route = route.and_then(|at| self.catalogue.routes.get(at));
                    let labels = RoutedLabels::new(route.map(|name| &**name));
                    self.metrics.queue.routed.get_or_create(&labels).inc();
                }
                Measure::Late { pool_id, tenant_id, promise } => {
                    self.late(pool_id, tenant_id, promise).inc();
                }
            }
        }
    }

    /// Counts what one record says.
    pub fn record(&self, record: &Record) {
        match record.name {
            RecordName::JobCompleted => drop(self.completed.inc()),
            RecordName::JobFailed => drop(self.failed.inc()),
            RecordName::JobCancelled => drop(self.cancelled.inc()),
            RecordName::JobSkipped => drop(self.skipped.inc()),
            RecordName::JobRequeued => {
                let of = |reason: RequeueReason| reason.as_str() == &*record.detail;
                if let Some((_, counter)) = self.requeues.iter().find(|(reason, _)| of(*reason)) {
                    counter.inc();
                }
            }
            RecordName::Paused if record.author.as_deref() == Some(Pause::BREAKER) => {
                self.metrics.planning.tripped.inc();
                tracing::error!(
                    what = &*record.detail,
                    "a trigger started too much and is stopped: `resume` it once that is mended"
                );
            }
            _ => {}
        }
    }

    fn pool(&mut self, id: PoolId) -> &PoolHandles {
        let Self { pools, metrics, catalogue, .. } = self;
        pools.entry(id).or_insert_with(|| PoolHandles::new(&metrics.queue, catalogue.pool_name(id)))
    }

    fn late(&mut self, pool: PoolId, tenant: TenantId, promise: Promise) -> &Counter {
        let Self { late, metrics, catalogue, .. } = self;
        late.entry((pool, tenant, promise)).or_insert_with(|| {
            let names = (catalogue.pool_name(pool), catalogue.tenant_name(tenant));
            let labels = LateLabels::new(names.0, names.1, promise);
            metrics.queue.sla_misses.get_or_create_owned(&labels)
        })
    }
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meter").field("catalogue", &self.catalogue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_are_counted_under_configured_names_alone() {
        let metrics = Arc::new(Metrics::new());
        let mut meter = Meter::new(Arc::clone(&metrics), Catalogue::default());
        let (here, gone) = (PoolId::DEFAULT, PoolId(99));
        for pool_id in [here, gone, PoolId(98)] {
            let priority = JobPriority::High;
            meter.count(&[
                Measure::Given { pool_id, priority, wait_ms: 5 },
                Measure::Became { pool_id, outcome: AssignmentOutcome::Started },
                Measure::Ran { pool_id, run_ms: 2_000 },
                Measure::Late { pool_id, tenant_id: TenantId(7), promise: Promise::MaxWait },
            ]);
        }
        let mut requeued = Record::new(RecordName::JobRequeued, 0);
        requeued.detail = "lease_lost".into();
        meter.record(&requeued);
        meter.record(&Record::new(RecordName::JobFailed, 0));
        let text = metrics.encode();
        for line in [
            r#"assignments_total{pool="default",outcome="offered"} 1"#,
            r#"assignments_total{pool="unknown",outcome="started"} 2"#,
            r#"assignments_total{pool="default",outcome="undelivered"} 0"#,
            r#"job_wait_seconds_sum{pool="default",priority="high"} 0.005"#,
            r#"job_run_seconds_count{pool="unknown"} 2"#,
            r#"sla_misses_total{pool="default",tenant="unknown",promise="max_wait"} 1"#,
            r#"requeues_total{reason="lease_lost"} 1"#,
            r#"job_ends_total{state="failed"} 1"#,
        ] {
            assert!(text.contains(&format!("dispatchyard_{line}\n")), "{line} is not in\n{text}");
        }
    }
}
