//! `runner`: a process that takes jobs.
//!
//! `--server` and `--token-file` are among [`super::Global`]; the token here is one that may
//! register runners.

use std::path::PathBuf;

use clap::Args;

use super::signals::Signals;
use super::{CliError, Global};
use crate::agent_runner::{self, RunnerOptions, RunnerStop};

/// How to run jobs.
#[derive(Clone, Debug, Args)]
pub struct RunnerArgs {
    /// Labels that jobs can ask for, parted by commas
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    pub labels: Vec<String>,
    /// Jobs that run at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub slots: u32,
    /// What people call it; the machine's name when absent
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The pool that it belongs to; the default pool when absent
    #[arg(long, value_name = "POOL")]
    pub pool: Option<String>,
    /// The folder of its identity and of the jobs' workspaces; made when missing
    #[arg(long, value_name = "DIR", default_value = "dispatchyard-runner")]
    pub work_dir: PathBuf,
    /// The command that carries out agent jobs of a profile, with the prompt on its standard
    /// input; once for each profile
    #[arg(long = "agent", value_name = "PROFILE=COMMAND", value_parser = agent)]
    pub agents: Vec<AgentCommand>,
    /// How long a draining runner lets its jobs go on, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300_000)]
    pub drain_timeout_ms: u64,
    /// Leave the server's list of runners on leaving
    #[arg(long)]
    pub ephemeral: bool,
    /// Keep the jobs' workspaces, to look at them
    #[arg(long)]
    pub keep_workspaces: bool,
}

/// Takes jobs until a signal: the first lets its jobs go on for `drain_timeout_ms`, the second
/// stops them now and gives them back.
///
/// # Errors
/// The runner does not start.
pub async fn run(args: RunnerArgs, global: &Global) -> Result<(), CliError> {
    let Some(token_file) = global.token_file.clone() else {
        return Err(CliError::Usage {
            message: "a runner needs the token that registers runners".to_owned(),
            hint: "name the file with it: --token-file FILE".to_owned(),
        });
    };
    let mut options = RunnerOptions::new(&global.server, token_file, args.work_dir);
    options.name = args.name.unwrap_or(options.name);
    options.pool = args.pool;
    options.labels = args.labels;
    options.slots = args.slots;
    options.agents = args.agents.into_iter().map(|it| (it.profile, it.command)).collect();
    options.drain_timeout_ms = args.drain_timeout_ms;
    options.ephemeral = args.ephemeral;
    options.keep_workspaces = args.keep_workspaces;
    let stop = RunnerStop::new();
    let told = stop.clone();
    let mut signals = Signals::catch()?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("draining: taking nothing new, finishing what runs");
        told.drain();
        signals.next().await;
        tracing::warn!("a second signal: stopping the work and giving it back");
        told.force();
        signals.end_at_next();
    });
    Ok(agent_runner::run(options, stop).await?)
}

/// The command for one profile of agents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgentCommand {
    /// The profile that jobs name.
    pub profile: String,
    /// The operator's own command line, run by the shell; nothing of an event becomes part of it.
    pub command: String,
}

fn agent(text: &str) -> Result<AgentCommand, String> {
    let (profile, command) = text.split_once('=').unwrap_or((text, ""));
    if profile.is_empty() || command.trim().is_empty() {
        return Err("write it as PROFILE=COMMAND".to_owned());
    }
    Ok(AgentCommand { profile: profile.to_owned(), command: command.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_command_may_have_equal_signs_and_must_be_there() {
        let parsed = agent("review=tool --level=3").unwrap();
        assert_eq!(
            (parsed.profile.as_str(), parsed.command.as_str()),
            ("review", "tool --level=3")
        );
        assert!(agent("review").is_err());
        assert!(agent("=tool").is_err());
    }
}
