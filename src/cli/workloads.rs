//! `workloads`: what triggers and people started.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::graph;
use super::list::{ListArgs, how_to_go_on, or_dash};
use super::table::{fields, page, rows};
use super::terms;
use super::time::{age, rfc3339, rfc3339_or_dash, span};
use crate::api::wire::{List, WorkloadDetail, WorkloadView};
use crate::model::WorkloadId;

/// Which workloads.
#[derive(Clone, Debug, Args)]
pub struct WorkloadsArgs {
    /// One workload, with its jobs
    id: Option<WorkloadId>,
    #[command(flatten)]
    list: ListArgs,
}

pub(super) async fn run(
    args: WorkloadsArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match args.id {
        Some(id) => {
            let answer = client.get(&["workloads", &id.to_string()], &[]).await?;
            console.show(&answer, detail)
        }
        None => {
            let answer = client.get(&["workloads"], &args.list.query()).await?;
            console.show(&answer, many)
        }
    }
}

fn many(list: &List<WorkloadView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|workload| {
        let end = workload.ended_at_ms.unwrap_or(now_ms);
        vec![
            workload.id.to_string(),
            workload.name.clone(),
            workload.kind.as_str().to_owned(),
            or_dash(workload.trigger.as_ref()),
            workload.state.as_str().to_owned(),
            workload.run.to_string(),
            age(now_ms, workload.created_at_ms),
            span(end.saturating_sub(workload.created_at_ms)),
        ]
    });
    let header = ["WORKLOAD", "NAME", "KIND", "TRIGGER", "STATE", "RUN", "AGE", "TOOK"];
    page([rows(&header, lines, "no workloads"), how_to_go_on("workloads", list)])
}

fn detail(detail: &WorkloadDetail, now_ms: i64) -> String {
    page([
        one(&detail.workload),
        fields(terms::of_workload(detail)),
        super::jobs::table(&detail.jobs, now_ms),
        graph::tree(detail),
    ])
}

/// All fields of one workload.
pub(super) fn one(workload: &WorkloadView) -> String {
    fields([
        ("workload", workload.id.to_string()),
        ("name", workload.name.clone()),
        ("kind", workload.kind.as_str().to_owned()),
        ("state", workload.state.as_str().to_owned()),
        ("run", workload.run.to_string()),
        ("trigger", or_dash(workload.trigger.as_ref())),
        ("delivery", or_dash(workload.delivery_id)),
        ("created", rfc3339(workload.created_at_ms)),
        ("ended", rfc3339_or_dash(workload.ended_at_ms)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{WorkloadKind, WorkloadState};

    #[test]
    fn a_running_workload_takes_as_long_as_it_is_old() {
        let workload = WorkloadView {
            id: WorkloadId(3),
            run: 1,
            kind: WorkloadKind::Workflow,
            name: "ci".to_owned(),
            trigger: Some("push".to_owned()),
            delivery_id: None,
            state: WorkloadState::Running,
            created_at_ms: 0,
            ended_at_ms: None,
        };
        let ended = WorkloadView { ended_at_ms: Some(4_000), ..workload.clone() };
        let list = List { items: vec![workload, ended], next_before: None };
        insta::assert_snapshot!(many(&list, 60_000), @r#"
        WORKLOAD  NAME  KIND      TRIGGER  STATE    RUN  AGE  TOOK
        3         ci    workflow  push     running  1    60s  60s
        3         ci    workflow  push     running  1    60s  4s
        "#);
    }
}
