//! `status`: the server at a glance.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{fields, page, rows};
use super::time::age;
use crate::api::wire::StatusView;

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
    let pools = status.pools.iter().map(|pool| {
        vec![
            pool.name.clone(),
            format!("{} of {}", pool.runners_online, pool.runners_total),
            format!("{} of {}", pool.utilization.slots_used, pool.utilization.slots_total),
        ]
    });
    let pools = rows(&["POOL", "RUNNERS ONLINE", "SLOTS USED"], pools, "no pools");
    let warnings = status.warnings.iter().map(|text| ("warning", text.clone()));
    page([glance, pools, fields(warnings)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{PoolView, RunnerUtilization};

    #[test]
    fn a_glance_shows_pools_and_warnings() {
        let status = StatusView {
            state: "running".to_owned(),
            version: "0.1.0".to_owned(),
            epoch: 3,
            queue_size: 2,
            running_jobs: 1,
            max_global_concurrency: 1_000,
            pools: vec![PoolView {
                name: "default".to_owned(),
                runners_online: 1,
                runners_total: 2,
                utilization: RunnerUtilization { slots_used: 1, slots_total: 4 },
            }],
            last_commit_at_ms: Some(1_000),
            warnings: vec!["the source `open` is insecure".to_owned()],
        };
        insta::assert_snapshot!(table(&status, 6_000), @r#"
        state         running
        version       0.1.0
        epoch         3
        waiting jobs  2
        running jobs  1 of 1000
        last commit   5s ago

        POOL     RUNNERS ONLINE  SLOTS USED
        default  1 of 2          1 of 4

        warning  the source `open` is insecure
        "#);
    }
}
