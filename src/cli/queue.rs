//! `queue`: who waits, in the order in which jobs are given out.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::{joined, or_dash};
use super::status::seconds;
use super::table::{fields, page, rows, visible};
use super::time::age;
use crate::api::wire::QueueView;

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["queue"], &[]).await?;
    console.show(&answer, table)
}

fn table(queue: &QueueView, now_ms: i64) -> String {
    let metrics = &queue.metrics;
    let levels = [
        ("critical", metrics.critical_jobs),
        ("high", metrics.high_jobs),
        ("normal", metrics.normal_jobs),
        ("low", metrics.low_jobs),
        ("background", metrics.background_jobs),
    ];
    let levels = levels.into_iter().filter(|(_, jobs)| *jobs > 0);
    let glance = fields([
        ("waiting jobs", metrics.total_jobs.to_string()),
        ("by level", joined(levels.map(|(level, jobs)| format!("{jobs} {level}")))),
        ("longest wait", seconds(metrics.oldest_job_age_seconds)),
        ("mean wait lately", seconds(metrics.average_wait_time_seconds)),
    ]);
    // One pool alone says nothing that is not said already.
    let pools = queue.pools.iter().filter(|_| queue.pools.len() > 1).map(|pool| {
        vec![
            pool.name.clone(),
            pool.metrics.total_jobs.to_string(),
            seconds(pool.metrics.oldest_job_age_seconds),
            seconds(pool.metrics.average_wait_time_seconds),
        ]
    });
    let pools = rows(&["POOL", "WAITING", "LONGEST WAIT", "MEAN WAIT LATELY"], pools, "");
    let waiting = queue.waiting.iter().map(|job| {
        vec![
            or_dash(job.position),
            job.job_id.to_string(),
            job.workload_id.to_string(),
            job.name.clone(),
            job.priority.to_string(),
            job.state.to_string(),
            joined(&job.labels),
            age(now_ms, job.queued_at_ms),
        ]
    });
    let header = ["PLACE", "JOB", "WORKLOAD", "NAME", "PRIORITY", "STATE", "LABELS", "AGE"];
    let hint = match queue.waiting.first() {
        Some(job) => format!("why one waits: dispatchyard explain {}", job.job_id),
        None => String::new(),
    };
    let reasons: Vec<_> = queue.reasons.iter().map(|it| visible(&it.text)).collect();
    page([reasons.join("\n"), glance, pools, rows(&header, waiting, ""), hint])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{PoolQueueView, QueueMetrics, QueuedJobView};
    use crate::model::{JobId, JobPriority, JobStateKind, WorkloadId};

    #[test]
    fn the_queue_is_shown_in_order_and_gated_jobs_have_no_place() {
        let first = QueuedJobView {
            job_id: JobId(7),
            workload_id: WorkloadId(3),
            name: "build".to_owned(),
            priority: JobPriority::High,
            labels: vec!["linux".to_owned()],
            queued_at_ms: 0,
            retry_count: 0,
            max_retries: 0,
            state: JobStateKind::Pending,
            position: Some(1),
        };
        let gated = QueuedJobView {
            job_id: JobId(8),
            name: "test".to_owned(),
            state: JobStateKind::Blocked,
            position: None,
            ..first.clone()
        };
        let metrics = QueueMetrics {
            total_jobs: 2,
            high_jobs: 2,
            oldest_job_age_seconds: 5.04,
            ..QueueMetrics::default()
        };
        let pool = |name: &str, metrics: &QueueMetrics| PoolQueueView {
            name: name.to_owned(),
            metrics: metrics.clone(),
        };
        let pools = vec![pool("fast", &metrics), pool("slow", &QueueMetrics::default())];
        let waiting = vec![first, gated];
        let queue = QueueView { metrics, pools, waiting, reasons: Vec::new() };
        insta::assert_snapshot!(table(&queue, 5_000), @r#"
        waiting jobs      2
        by level          2 high
        longest wait      5.0 s
        mean wait lately  0.0 s

        POOL  WAITING  LONGEST WAIT  MEAN WAIT LATELY
        fast  2        5.0 s         0.0 s
        slow  0        0.0 s         0.0 s

        PLACE  JOB  WORKLOAD  NAME   PRIORITY  STATE    LABELS  AGE
        1      7    3         build  high      pending  linux   5s
        -      8    3         test   high      blocked  linux   5s

        why one waits: dispatchyard explain 7
        "#);
    }
}
