//! `try`: what would be, without doing it.
//!
//! `match`, `route NAME` and `config` ask a running server. All else needs no server and, with
//! `--jsonl`, no configuration either: each line of JSON is one question, each line of the output its
//! answer, and the answers come from the functions that decide about deliveries.

mod config;
mod cron;
mod event;
mod lines;
pub(super) mod matching;
mod route;
mod workflow;

use clap::Subcommand;

use super::console::Console;
use super::{CliError, Global};
use crate::executor::router;
use crate::{expression, trigger, webhook};

use config::TryConfigArgs;
use cron::TryCronArgs;
use event::TryEventArgs;
use lines::Lines;
use matching::MatchArgs;
use route::TryRouteArgs;
use workflow::TryWorkflowArgs;

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
    /// What an expression of a workflow comes to
    Expression(Lines),
    /// Whether a request is accepted by a source with these secrets
    Signature(Lines),
    /// What a time of a schedule means in words, and when it comes next
    Cron(TryCronArgs),
    /// What a delivery says, and what it would start
    Event(TryEventArgs),
    /// The jobs that a workflow file becomes for an event, and what each `if` decided
    Workflow(TryWorkflowArgs),
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
        TryVerb::Signature(lines) => {
            let now_unix_s = console.now_ms().div_euclid(1_000);
            lines.answer(|line| webhook::dry::signature(line, now_unix_s), console)
        }
        TryVerb::Cron(args) => cron::run(args, console),
        TryVerb::Event(args) => event::run(args, console),
        TryVerb::Workflow(args) => workflow::run(args, console),
        TryVerb::Config(args) => config::run(args, &global.client()?, console).await,
        TryVerb::Filter(lines) => lines.answer(trigger::dry::filter, console),
        TryVerb::Trigger(lines) => lines.answer(trigger::dry::trigger, console),
        TryVerb::Expression(lines) => lines.answer(expression::expression, console),
    }
}
