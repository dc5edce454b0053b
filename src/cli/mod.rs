//! The command line: one file per verb.
//!
//! ```text
//!  main -> Verb -> client (HTTP, api::wire) -> console (table for people, JSON as the server sent it)
//! ```
//!
//! All verbs of [`Verb`] but `check` are clients of a running server and know nothing else of it.
//! `serve`, `dev` and `runner` are processes that stay: they start what `app` and `agent_runner`
//! are made of, and turn signals into an orderly end.

pub mod client;
pub mod console;
pub mod dev;
mod error;
pub mod follow;
mod global;
pub mod runner;
pub mod serve;
pub mod sse;
mod table;
mod time;

mod cancel;
mod check;
mod deliveries;
mod explain;
mod jobs;
mod list;
mod logs;
mod queue;
mod replay;
mod requeue;
mod retry;
mod run;
mod runners;
mod send;
mod signals;
mod status;
mod terms;
mod workloads;

use clap::Subcommand;

pub use error::CliError;
pub use global::{Global, OutputFormat};
pub use send::{SignedDelivery, sign_like_github};

use console::Console;

/// What can be asked for.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Sign a file as GitHub does and post it as a delivery
    Send(send::SendArgs),
    /// The server at a glance
    Status,
    /// Deliveries, newest first, or one of them
    Deliveries(deliveries::DeliveriesArgs),
    /// Workloads, newest first, or one with its jobs
    Workloads(workloads::WorkloadsArgs),
    /// Jobs, newest first, or one with all that is known of it
    Jobs(jobs::JobsArgs),
    /// Runners, or one of them
    Runners(runners::RunnersArgs),
    /// Who waits, in the order in which jobs are given out
    Queue,
    /// What a job wrote
    Logs(logs::LogsArgs),
    /// Cancel a job or a whole workload
    Cancel(cancel::CancelArgs),
    /// Run an ended workload's failed jobs again, as a new run
    Retry(retry::RetryArgs),
    /// Take a job from its runner and queue it again, without charge
    Requeue(requeue::RequeueArgs),
    /// Evaluate a delivery again, as a new one that is marked
    Replay(replay::ReplayArgs),
    /// Why a job waits, or why it ended as it did
    Explain(explain::ExplainArgs),
    /// Start a workflow by hand
    Run(run::RunArgs),
    /// Tell everything that is wrong with a configuration
    Check(check::CheckArgs),
}

/// Does what was asked for.
///
/// # Errors
/// The server refused it or cannot be reached, or the arguments or the configuration are wrong.
pub async fn run(verb: Verb, global: &Global, console: &mut Console) -> Result<(), CliError> {
    if let Verb::Check(args) = verb {
        return check::run(&args, console);
    }
    let client = global.client()?;
    match verb {
        Verb::Send(args) => send::run(args, &client, console).await,
        Verb::Status => status::run(&client, console).await,
        Verb::Deliveries(args) => deliveries::run(args, &client, console).await,
        Verb::Workloads(args) => workloads::run(args, &client, console).await,
        Verb::Jobs(args) => jobs::run(args, &client, console).await,
        Verb::Runners(args) => runners::run(args, &client, console).await,
        Verb::Queue => queue::run(&client, console).await,
        Verb::Logs(args) => logs::run(args, &client, console).await,
        Verb::Cancel(args) => cancel::run(args, &client, console).await,
        Verb::Retry(args) => retry::run(args, &client, console).await,
        Verb::Requeue(args) => requeue::run(args, &client, console).await,
        Verb::Replay(args) => replay::run(args, &client, console).await,
        Verb::Explain(args) => explain::run(args, &client, console).await,
        Verb::Run(args) => run::run(args, &client, console).await,
        Verb::Check(args) => check::run(&args, console),
    }
}
