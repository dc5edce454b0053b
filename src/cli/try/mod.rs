//! `try`: what would be, without doing it.
//!
//! `match`, `route NAME` and `config` ask a running server. All else needs neither a server nor, with
//! `--jsonl`, a configuration: each line of JSON is one question, each line of the output its
//! answer, and the answers come from the functions that decide about deliveries.

mod config;
mod lines;
pub(super) mod matching;
mod route;

use clap::Subcommand;

use super::console::Console;
use super::{CliError, Global};
use crate::executor::router;
use crate::trigger;

use config::TryConfigArgs;
use lines::Lines;
use matching::MatchArgs;
use route::TryRouteArgs;

/// What to try without doing it.
#[derive(Clone, Debug, Subcommand)]
pub enum TryVerb {
    /// Who could run a job with these labels, and what the others lack
    Match(MatchArgs),
    /// Which route decides about a job of this name, and why those before it did not
    Route(TryRouteArgs),
    /// Whether patterns let an event with these refs or changed files run
    Filter(Lines),
    /// Whether an event starts a workflow with this `on`
    Trigger(Lines),
    /// What the stored deliveries of a server would start under another configuration
    Config(TryConfigArgs),
}

pub(super) async fn run(
    verb: &TryVerb,
    global: &Global,
    console: &mut Console,
) -> Result<(), CliError> {
    match verb {
        TryVerb::Match(args) => matching::run(args.clone(), &global.client()?, console).await,
        TryVerb::Route(args) => match &args.name {
            Some(name) => route::decide(name, &global.client()?, console).await,
            None => args.lines.answer(router::dry::route, console),
        },
        TryVerb::Config(args) => config::run(args, &global.client()?, console).await,
        TryVerb::Filter(lines) => lines.answer(trigger::dry::filter, console),
        TryVerb::Trigger(lines) => lines.answer(trigger::dry::trigger, console),
    }
}
