//! `routes`: the rules by which a job's name says how it is carried out; `try route`: which of them
//! decides about a name.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::or_dash;
use super::table::{fields, page, rows};
use super::time::span;
use crate::api::wire::{RouteDecisionView, RouteView, RoutesView};

/// The name to try.
#[derive(Clone, Debug, Args)]
pub struct TryRouteArgs {
    /// A job's name: `tenant::kind::workload::job`, kind is `workflow` or `agent`
    name: String,
}

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["routes"], &[]).await?;
    console.show(&answer, |view, _| table(view))
}

pub(super) async fn decide(
    args: TryRouteArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let answer = client.get(&["routes", "try"], &[("name", args.name)]).await?;
    console.show(&answer, |view, _| decision(view))
}

fn table(view: &RoutesView) -> String {
    let lines = view.items.iter().map(|route| {
        vec![
            route.name.clone(),
            route.pattern.clone(),
            route.executors.join(", "),
            or_dash(says(route)),
            route.jobs.to_string(),
        ]
    });
    let default = vec![
        "(default)".to_owned(),
        "**".to_owned(),
        view.default_executor.clone(),
        "-".to_owned(),
        view.default_jobs.to_string(),
    ];
    let header = ["ROUTE", "MATCH", "EXECUTORS", "SAYS", "JOBS"];
    rows(&header, lines.chain([default]), "")
}

fn decision(view: &RouteDecisionView) -> String {
    let by = view.route.as_ref().map_or_else(
        || "the default: no route matches".to_owned(),
        |route| format!("{} ({})", route.name, route.pattern),
    );
    let said = view.route.as_ref().and_then(says);
    let glance = [
        ("name", view.name.clone()),
        ("decided by", by),
        ("executors", view.executors.join(", ")),
        ("says", or_dash(said)),
    ];
    let passed =
        view.passed.iter().map(|it| vec![it.route.clone(), it.pattern.clone(), it.why.clone()]);
    let passed = match view.passed.is_empty() {
        true => String::new(),
        false => rows(&["ASKED BEFORE", "MATCH", "WHY NOT"], passed, ""),
    };
    page([fields(glance), passed])
}

/// What it says beside the executors.
fn says(route: &RouteView) -> Option<String> {
    let list = |what: &str, texts: &[String]| {
        (!texts.is_empty()).then(|| format!("{what} {}", texts.join(", ")))
    };
    let parts = [
        list("pools", &route.pools),
        list("labels", &route.labels),
        route.priority.map(|level| format!("priority {}", level.as_str())),
        route.timeout_ms_max.map(|ms| format!("at most {} an attempt", span(ms))),
        route.running_max.map(|max| format!("at most {max} at once")),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
