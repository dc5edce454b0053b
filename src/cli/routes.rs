//! `routes`: the rules by which a job's name says how it is carried out.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::or_dash;
use super::table::rows;
use super::time::span;
use crate::api::wire::{RouteView, RoutesView};

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["routes"], &[]).await?;
    console.show(&answer, |view, _| table(view))
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

/// What it says beside the executors.
pub(super) fn says(route: &RouteView) -> Option<String> {
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
