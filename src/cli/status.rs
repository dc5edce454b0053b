//! `status`: the server at a glance.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::or_dash;
use super::table::{fields, page, rows};
use super::time::age;
use crate::api::wire::{
    KeptHistoryView, PredictionsView, RunnerUtilization, StandingView, StatusView,
};

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["status"], &[]).await?;
    console.show(&answer, table)
}

fn table(status: &StatusView, now_ms: i64) -> String {
    let last_commit = status
        .last_commit_at_ms
        .map_or_else(|| "none yet".to_owned(), |at| format!("{} ago", age(now_ms, at)));
    let glance = fields([
        ("state", status.state.clone()),
        ("version", status.version.clone()),
        ("epoch", status.epoch.to_string()),
        ("waiting jobs", status.queue_size.to_string()),
        ("running jobs", format!("{} of {}", status.running_jobs, status.max_global_concurrency)),
        ("last commit", last_commit),
    ]);
    let standing = status.instance.as_ref().map(|it| ("instance", who_leads(it, now_ms)));
    let predictions = status.predictions.filter(|it| *it != PredictionsView::default());
    let predictions = predictions.map(|it| ("expected starts", scored(&it)));
    let pools = status.pools.iter().map(|pool| {
        vec![
            pool.name.clone(),
            format!("{} of {}", pool.runners_online, pool.runners_total),
            format!("{} of {}", pool.utilization.slots_used, pool.utilization.slots_total),
            busy(pool.utilization),
            or_dash(pool.queue.as_ref().map(|queue| queue.total_jobs)),
            or_dash(pool.queue.as_ref().map(|queue| seconds(queue.oldest_job_age_seconds))),
        ]
    });
    let header = ["POOL", "RUNNERS ONLINE", "SLOTS USED", "BUSY", "WAITING", "LONGEST WAIT"];
    let pools = rows(&header, pools, "no pools");
    let warnings = status.warnings.iter().map(|text| ("warning", text.clone()));
    let history = status.history.as_ref().map(|it| ("history", kept(it, now_ms)));
    page([glance, fields(standing), pools, fields(predictions), fields(history), fields(warnings)])
}

/// How much is kept, and since when.
fn kept(it: &KeptHistoryView, now_ms: i64) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let most = it.bytes_max.map_or_else(String::new, |max| format!(" of {}", megabytes(max)));
    let oldest = it.oldest_end_ms.map_or_else(
        || "nothing has ended yet".to_owned(),
        |at_ms| format!("the oldest end is {} old", age(now_ms, at_ms)),
    );
    format!(
        "{}{most} used, {} taken; {oldest}; pruned {} ago",
        megabytes(it.used_bytes),
        megabytes(it.taken_bytes),
        age(now_ms, it.pruned_at_ms)
    )
}

/// Who answers, and who leads since when.
fn who_leads(it: &StandingView, now_ms: i64) -> String {
    let since =
        it.leader_since_ms.map_or_else(String::new, |at| format!(" for {}", age(now_ms, at)));
    match &it.leader {
        Some(leader) if *leader == it.name && it.role == "leader" => {
            format!("{} leads{since}", it.name)
        }
        Some(leader) => format!("{} stands by, {leader} leads{since}", it.name),
        None => format!("{} stands by, nobody leads", it.name),
    }
}

/// How often what was said came true.
fn scored(it: &PredictionsView) -> String {
    let late = it.met.late;
    let met = it.met.in_time + late;
    format!(
        "{} before p50, {} up to p95, {} later; of {met} that were to be in time {late} were late",
        it.earlier, it.within, it.later
    )
}

/// How busy slots were in the last minutes.
pub(super) fn busy(utilization: RunnerUtilization) -> String {
    format!("{:.0}%", utilization.busy_share * 100.0)
}

/// Seconds to a tenth.
pub(super) fn seconds(seconds: f64) -> String {
    format!("{seconds:.1} s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{KeptHistoryView, KeptView, PoolView, QueueMetrics};

    #[test]
    fn a_glance_shows_pools_and_warnings() {
        let status = StatusView {
            state: "running".to_owned(),
            version: "0.1.0".to_owned(),
            epoch: 3,
            queue_size: 2,
            queue: QueueMetrics::default(),
            running_jobs: 1,
            max_global_concurrency: 1_000,
            pools: vec![PoolView {
                name: "default".to_owned(),
                runners_online: 1,
                runners_total: 2,
                utilization: RunnerUtilization { slots_used: 1, slots_total: 4, busy_share: 0.254 },
                queue: Some(QueueMetrics {
                    total_jobs: 2,
                    oldest_job_age_seconds: 1.25,
                    ..QueueMetrics::default()
                }),
            }],
            last_commit_at_ms: Some(1_000),
            predictions: Some(PredictionsView {
                earlier: 6,
                within: 5,
                later: 1,
                met: KeptView { in_time: 7, late: 2 },
                ..PredictionsView::default()
            }),
            history: Some(KeptHistoryView {
                pruned_at_ms: 5_000,
                used_bytes: 1_500_000,
                taken_bytes: 2_000_000,
                bytes_max: None,
                oldest_end_ms: Some(0),
                oldest_delivery_ms: None,
            }),
            instance: Some(StandingView {
                name: "yard-2".to_owned(),
                role: "standby".to_owned(),
                leader: Some("yard-1".to_owned()),
                leader_since_ms: Some(2_000),
            }),
            warnings: vec!["the source `open` is insecure".to_owned()],
        };
        insta::assert_snapshot!(table(&status, 6_000), @r#"
        state         running
        version       0.1.0
        epoch         3
        waiting jobs  2
        running jobs  1 of 1000
        last commit   5s ago

        instance  yard-2 stands by, yard-1 leads for 4s

        POOL     RUNNERS ONLINE  SLOTS USED  BUSY  WAITING  LONGEST WAIT
        default  1 of 2          1 of 4      25%   2        1.2 s

        expected starts  6 before p50, 5 up to p95, 1 later; of 9 that were to be in time 2 were late

        history  1.5 MB used, 2.0 MB taken; the oldest end is 6s old; pruned 1s ago

        warning  the source `open` is insecure
        "#);
    }
}
