//! The command line: one file per verb.
//!
//! ```text
//!  main -> Verb -> client (HTTP, api::wire) -> console (table for people, JSON as the server sent it)
//! ```
//!
//! All verbs of [`Verb`] are clients of a running server and know nothing else of it, but for `check`,
//! for most of what can be tried ([`try`](r#try)), and for those that are about the database itself
//! (`migrate`, `backup`, `restored`, `export`, `import`).
//! `serve`, `dev` and `runner` are processes that stay: they start what `app` and `agent_runner`
//! are made of, and turn signals into an orderly end. `bench` measures, in process or as a client.

pub mod bench;
pub mod client;
pub mod console;
pub mod dev;
mod error;
pub mod follow;
mod global;
pub mod runner;
pub mod serve;
mod table;
mod time;
mod r#try;

mod advise;
mod answer;
mod backfill;
mod backup;
mod cancel;
mod check;
mod close;
mod config;
mod cordon;
mod deliveries;
mod doctor;
mod drain;
mod executors;
mod explain;
mod export;
mod front;
mod graph;
mod groups;
mod import;
mod init;
mod instances;
mod jobs;
mod labels;
mod list;
mod logs;
mod migrate;
mod model;
mod outbox;
mod outlook;
mod pause;
mod pauses;
mod pools;
mod priority;
mod prune;
mod queue;
mod replay;
mod report;
mod requeue;
mod resources;
mod restored;
mod resume;
mod retry;
mod routes;
mod run;
mod runners;
mod schedules;
mod send;
mod sessions;
mod signals;
mod status;
mod submit;
mod target;
mod terms;
mod uncordon;
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
    /// Workloads, newest first, or one with its jobs and who needs whom among them
    #[command(visible_alias = "runs")]
    Workloads(workloads::WorkloadsArgs),
    /// Sessions of agents, newest first, or one with what was said; `start`, `say` and `cancel` them
    Sessions(sessions::SessionsArgs),
    /// Jobs, newest first, or one with all that is known of it
    Jobs(jobs::JobsArgs),
    /// Runners, or one of them
    Runners(runners::RunnersArgs),
    /// The servers that share the database, and which one leads
    Instances,
    /// Who waits, in the order in which jobs are given out
    Queue,
    /// What would shorten waits most, each tried in a copy
    Advise,
    /// What a job wrote
    Logs(logs::LogsArgs),
    /// Let run what a held delivery starts
    Approve(answer::AnswerArgs),
    /// Let a held delivery start nothing
    Deny(answer::AnswerArgs),
    /// Cancel a job or a whole workload
    Cancel(cancel::CancelArgs),
    /// Run an ended workload's failed jobs again, as a new run
    Retry(retry::RetryArgs),
    /// Take a job from its runner and queue it again, without charge
    Requeue(requeue::RequeueArgs),
    /// Give a waiting job another priority
    Priority(priority::PriorityArgs),
    /// Put a waiting job in front of all others of its priority
    Front(front::FrontArgs),
    /// Give out no more jobs of a pool, a tenant, a trigger, or at all
    Pause(pause::PauseArgs),
    /// Give out jobs again
    Resume(resume::ResumeArgs),
    /// What is paused, by whom and why
    Pauses,
    /// When triggers start by themselves, and what became of the last times
    Schedules,
    /// Give a runner, or a pool, nothing new
    Cordon(cordon::CordonArgs),
    /// Take back a cordon and a drain
    Uncordon(uncordon::UncordonArgs),
    /// Let a runner, or those of a pool, finish what they have and leave
    Drain(drain::DrainArgs),
    /// What others outside are told, and what was given up of it
    Outbox(outbox::OutboxArgs),
    /// Resources, with who holds which unit
    Resources(resources::ResourcesArgs),
    /// Concurrency groups, with who is in and who waits
    Groups(groups::GroupsArgs),
    /// What was learned of run times
    #[command(subcommand)]
    Model(model::ModelVerb),
    /// Evaluate deliveries again, as new ones that are marked
    Replay(replay::ReplayArgs),
    /// Ask a source's forge to send again what never arrived
    Backfill(backfill::BackfillArgs),
    /// Forget what is older than `[retention]` says, now
    Prune(prune::PruneArgs),
    /// What ended lately, how long it took and what it cost
    Report(report::ReportArgs),
    /// Why a job waits, or why it ended as it did; with `--all`, why all wait that do
    Explain(explain::ExplainArgs),
    /// Who could run a job with these labels, and what the others lack
    Match(r#try::matching::MatchArgs),
    /// The rules by which a job's name says how it is carried out
    Routes,
    /// How large each pool is, and how large it should be
    Pools(pools::PoolsArgs),
    /// Those that jobs are pushed to, and whether they can be reached
    Executors(executors::ExecutorsArgs),
    /// Ask what would be, without doing it
    #[command(subcommand)]
    Try(r#try::TryVerb),
    /// Start a workflow by hand
    Run(run::RunArgs),
    /// Submit a workload, or many, out of a file
    Submit(submit::SubmitArgs),
    /// Add jobs to a workload that is open
    Join(submit::JoinArgs),
    /// Let nothing more join an open workload, so that it can end
    Close(close::CloseArgs),
    /// Tell everything that is wrong with a configuration
    Check(check::CheckArgs),
    /// About the configuration file itself
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Write a configuration to begin with
    Init(init::InitArgs),
    /// What is missing around a configuration, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Bring the database's schema up to date, as a server does at its start
    Migrate(migrate::MigrateArgs),
    /// Copy a SQLite database with its bodies and logs, also while a server uses it
    Backup(backup::BackupArgs),
    /// Say that the database is a restored copy, before a server uses it
    Restored(restored::RestoredArgs),
    /// Copy everything from the configured SQLite into the PostgreSQL of another configuration
    Export(export::ExportArgs),
    /// Copy everything from a SQLite data folder into the configured PostgreSQL
    Import(import::ImportArgs),
}

/// Does what was asked for.
///
/// # Errors
/// The server refused it or cannot be reached, or the arguments or the configuration are wrong.
pub async fn run(verb: Verb, global: &Global, console: &mut Console) -> Result<(), CliError> {
    match &verb {
        Verb::Check(args) => return check::run(args, global, console).await,
        Verb::Config(verb) => return config::run(verb, console),
        Verb::Init(args) => return init::run(args, console),
        Verb::Doctor(args) => return doctor::run(args, global, console).await,
        Verb::Migrate(args) => return migrate::run(args, console).await,
        Verb::Backup(args) => return backup::run(args, console).await,
        Verb::Restored(args) => return restored::run(args, console).await,
        Verb::Export(args) => return export::run(args, console).await,
        Verb::Import(args) => return import::run(args, console).await,
        Verb::Try(verb) => return r#try::run(verb, global, console).await,
        _ => {}
    }
    let client = global.client()?;
    match verb {
        Verb::Send(args) => send::run(args, &client, console).await,
        Verb::Status => status::run(&client, console).await,
        Verb::Deliveries(args) => deliveries::run(args, &client, console).await,
        Verb::Workloads(args) => workloads::run(args, &client, console).await,
        Verb::Sessions(args) => sessions::run(args, &client, console).await,
        Verb::Jobs(args) => jobs::run(args, &client, console).await,
        Verb::Runners(args) => runners::run(args, &client, console).await,
        Verb::Instances => instances::run(&client, console).await,
        Verb::Queue => queue::run(&client, console).await,
        Verb::Advise => advise::run(&client, console).await,
        Verb::Logs(args) => logs::run(args, &client, console).await,
        Verb::Approve(args) => answer::run(args, "approve", &client, console).await,
        Verb::Deny(args) => answer::run(args, "deny", &client, console).await,
        Verb::Cancel(args) => cancel::run(args, &client, console).await,
        Verb::Retry(args) => retry::run(args, &client, console).await,
        Verb::Requeue(args) => requeue::run(args, &client, console).await,
        Verb::Priority(args) => priority::run(args, &client, console).await,
        Verb::Front(args) => front::run(args, &client, console).await,
        Verb::Pause(args) => pause::run(args, &client, console).await,
        Verb::Resume(args) => resume::run(args, &client, console).await,
        Verb::Pauses => pauses::run(&client, console).await,
        Verb::Schedules => schedules::run(&client, console).await,
        Verb::Cordon(args) => cordon::run(args, &client, console).await,
        Verb::Uncordon(args) => uncordon::run(args, &client, console).await,
        Verb::Drain(args) => drain::run(args, &client, console).await,
        Verb::Outbox(args) => outbox::run(args, &client, console).await,
        Verb::Resources(args) => resources::run(args, &client, console).await,
        Verb::Groups(args) => groups::run(args, &client, console).await,
        Verb::Model(verb) => model::run(verb, &client, console).await,
        Verb::Replay(args) => replay::run(args, &client, console).await,
        Verb::Backfill(args) => backfill::run(args, &client, console).await,
        Verb::Prune(args) => prune::run(args, &client, console).await,
        Verb::Report(args) => report::run(args, &client, console).await,
        Verb::Explain(args) => explain::run(args, &client, console).await,
        Verb::Match(args) => r#try::matching::run(args, &client, console).await,
        Verb::Try(verb) => r#try::run(&verb, global, console).await,
        Verb::Executors(args) => executors::run(args, &client, console).await,
        Verb::Pools(args) => pools::run(args, &client, console).await,
        Verb::Routes => routes::run(&client, console).await,
        Verb::Run(args) => run::run(args, &client, console).await,
        Verb::Submit(args) => submit::run(args, &client, console).await,
        Verb::Join(args) => submit::join(args, &client, console).await,
        Verb::Close(args) => close::run(args, &client, console).await,
        Verb::Check(args) => check::run(&args, global, console).await,
        Verb::Config(verb) => config::run(&verb, console),
        Verb::Init(args) => init::run(&args, console),
        Verb::Doctor(args) => doctor::run(&args, global, console).await,
        Verb::Migrate(args) => migrate::run(&args, console).await,
        Verb::Backup(args) => backup::run(&args, console).await,
        Verb::Restored(args) => restored::run(&args, console).await,
        Verb::Export(args) => export::run(&args, console).await,
        Verb::Import(args) => import::run(&args, console).await,
    }
}
