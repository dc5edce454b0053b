//! `runners`: who can take jobs.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::{ListArgs, how_to_go_on, joined, or_dash};
use super::status::busy;
use super::table::{fields, page, rows};
use super::time::{rfc3339, span};
use crate::api::wire::{List, RunnerView};
use crate::model::RunnerId;

/// Which runners.
#[derive(Clone, Debug, Args)]
pub struct RunnersArgs {
    /// One runner, with what it offers
    id: Option<RunnerId>,
    #[command(flatten)]
    list: ListArgs,
}

pub(super) async fn run(
    args: RunnersArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match args.id {
        Some(id) => {
            let answer = client.get(&["runners", &id.to_string()], &[]).await?;
            console.show(&answer, |runner, _| one(runner))
        }
        None => {
            let answer = client.get(&["runners"], &args.list.query()).await?;
            console.show(&answer, |list, _| many(list))
        }
    }
}

fn many(list: &List<RunnerView>) -> String {
    let lines = list.items.iter().map(|runner| {
        vec![
            runner.id.to_string(),
            runner.name.clone(),
            runner.pool.clone(),
            runner.state.as_str().to_owned(),
            format!("{} of {}", runner.utilization.slots_used, runner.utilization.slots_total),
            busy(runner.utilization),
            joined(&runner.capabilities.labels),
            heard_of(runner),
        ]
    });
    let header = ["RUNNER", "NAME", "POOL", "STATE", "SLOTS USED", "BUSY", "LABELS", "HEARD OF"];
    let nothing = "no runners: start one with `dispatchyard runner`";
    page([rows(&header, lines, nothing), how_to_go_on("runners", list)])
}

fn heard_of(runner: &RunnerView) -> String {
    runner.last_seen_ms_ago.map_or_else(
        || "not since the server started".to_owned(),
        |ms| if ms < 1_000 { "now".to_owned() } else { format!("{} ago", span(ms)) },
    )
}

fn waits(runner: &RunnerView) -> &'static str {
    match (runner.waiting, runner.streaming) {
        (true, true) => "yes, by a stream",
        (true, false) => "yes, by a poll",
        (false, _) => "no",
    }
}

/// All fields of one runner.
pub(super) fn one(runner: &RunnerView) -> String {
    let offers = &runner.capabilities;
    fields([
        ("runner", runner.id.to_string()),
        ("name", runner.name.clone()),
        ("pool", runner.pool.clone()),
        ("state", runner.state.as_str().to_owned()),
        ("cordoned because", or_dash(runner.cordon_reason.as_ref())),
        ("jobs", joined(&runner.jobs)),
        (
            "slots used",
            format!("{} of {}", runner.utilization.slots_used, runner.utilization.slots_total),
        ),
        ("busy lately", busy(runner.utilization)),
        ("waits for work", waits(runner).to_owned()),
        ("heard of", heard_of(runner)),
        ("labels", joined(&offers.labels)),
        ("platform", format!("{} {}", offers.os, offers.architecture)),
        ("cpu cores", offers.cpu_cores.to_string()),
        ("memory", format!("{} GB", offers.memory_gb)),
        ("docker", if offers.docker_enabled { "yes" } else { "no" }.to_owned()),
        ("gpu", offers.gpu.to_string()),
        ("region", or_dash(offers.region.as_ref())),
        ("zone", or_dash(offers.zone.as_ref())),
        ("version", runner.version.clone()),
        ("registered", rfc3339(runner.registered_at_ms)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::RunnerUtilization;
    use crate::model::{RunnerCapabilities, RunnerState};

    #[test]
    fn runners_show_when_they_were_heard_of() {
        let runner = RunnerView {
            id: RunnerId(1),
            name: "box".to_owned(),
            pool: "default".to_owned(),
            state: RunnerState::Busy,
            cordon_reason: None,
            capabilities: RunnerCapabilities {
                labels: vec!["linux".into(), "x64".into()],
                ..RunnerCapabilities::default()
            },
            utilization: RunnerUtilization { slots_used: 2, slots_total: 2, busy_share: 0.5 },
            jobs: Vec::new(),
            waiting: false,
            streaming: false,
            last_seen_ms_ago: Some(5_000),
            version: "0.1.0".to_owned(),
            registered_at_ms: 0,
        };
        let silent = RunnerView { last_seen_ms_ago: None, ..runner.clone() };
        let list = List { items: vec![runner, silent], next_before: None };
        insta::assert_snapshot!(many(&list), @r#"
        RUNNER  NAME  POOL     STATE  SLOTS USED  BUSY  LABELS      HEARD OF
        1       box   default  busy   2 of 2      50%   linux, x64  5s ago
        1       box   default  busy   2 of 2      50%   linux, x64  not since the server started
        "#);
    }
}
