//! `try route`: which rule decides about a job of a name, by the server's routes, or by those of
//! each line.

use clap::Args;

use super::super::CliError;
use super::super::client::Client;
use super::super::console::Console;
use super::super::list::or_dash;
use super::super::routes::says;
use super::super::table::{fields, page, rows};
use super::lines::Lines;
use crate::api::wire::RouteDecisionView;

/// The name to try, or lines of rules and names.
#[derive(Clone, Debug, Args)]
pub struct TryRouteArgs {
    /// A job's name: `tenant::kind::workload::job`, kind is `workflow` or `agent`
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) lines: Lines,
}

pub(super) async fn decide(
    name: &str,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let answer = client.get(&["routes", "try"], &[("name", name.to_owned())]).await?;
    console.show(&answer, |view, _| decision(view))
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
