//! `runner`: a process that takes jobs.
//!
//! `--server`, `--token-file` and the variable with a token are those of [`super::Global`]; the token here is
//! one that may register runners.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::signals::Signals;
use super::{CliError, Global};
use crate::agent_runner::{
    self, AgentProtocol, RunnerOptions, RunnerStop, StepLimits, TokenSource, WorkTransport,
};

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
    /// How the command of a profile is spoken to in a session: `jsonl` keeps its standard input open and
    /// talks in JSON lines, `plain` (the default) asks once; once for each profile
    #[arg(long = "agent-protocol", value_name = "PROFILE=PROTOCOL", value_parser = protocol)]
    pub agent_protocols: Vec<(String, AgentProtocol)>,
    /// The command that carries out steps that use an action: it finds the action's name in
    /// DISPATCHYARD_ACTION, and what it is given in INPUT_NAME; the runner offers the label `actions`
    #[arg(long, value_name = "COMMAND")]
    pub actions: Option<String>,
    /// A variable of the runner's own environment that the steps of trusted jobs get, and that is
    /// masked in all that is sent; once for each, or parted by commas
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub secret_env: Vec<String>,
    /// Give these also to jobs that a stranger may have caused
    #[arg(long, requires = "secret_env")]
    pub secrets_for_untrusted: bool,
    /// A resource each unit of which has a workspace that is kept: a job that holds the unit runs
    /// there, and finds what the last one left; once for each
    #[arg(long = "warm-workspace", value_name = "RESOURCE")]
    pub warm_workspaces: Vec<String>,
    /// Where these workspaces are; `warm` in the work folder when absent
    #[arg(long, value_name = "DIR")]
    pub warm_dir: Option<PathBuf>,
    #[command(flatten)]
    step_limits: StepLimitArgs,
    /// How long a draining runner lets its jobs go on, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 300_000)]
    pub drain_timeout_ms: u64,
    /// How it asks for work: `auto` holds a stream open and polls while there is none, `poll` polls
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Transport::Auto)]
    pub transport: Transport,
    /// Leave after so many jobs, however long the last of them takes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs_max: Option<u32>,
    /// Leave the server's list of runners on leaving
    #[arg(long)]
    pub ephemeral: bool,
    /// Keep the jobs' workspaces, to look at them
    #[arg(long)]
    pub keep_workspaces: bool,
}

/// What each process of a step may use; what is absent is limited as the runner is.
#[derive(Clone, Copy, Debug, Args)]
pub struct StepLimitArgs {
    /// The most address space of a process of a step, in MiB
    #[arg(long, value_name = "MB")]
    pub step_memory_mb_max: Option<u64>,
    /// The most processor time of a process of a step, in seconds
    #[arg(long, value_name = "S")]
    pub step_cpu_s_max: Option<u64>,
    /// The most open files of a process of a step
    #[arg(long, value_name = "N")]
    pub step_open_files_max: Option<u64>,
    /// The longest file that a step can write, in MiB
    #[arg(long, value_name = "MB")]
    pub step_file_mb_max: Option<u64>,
    /// The most processes and threads of the runner's user, counted when a step starts another one
    #[arg(long, value_name = "N")]
    pub step_processes_max: Option<u64>,
    /// The longest core file of a process of a step, in MiB; it would hold the process's secrets
    #[arg(long, value_name = "MB", default_value_t = 0)]
    pub step_core_mb_max: u64,
}

impl From<StepLimitArgs> for StepLimits {
    fn from(args: StepLimitArgs) -> Self {
        Self {
            memory_mb: args.step_memory_mb_max,
            cpu_s: args.step_cpu_s_max,
            open_files: args.step_open_files_max,
            file_mb: args.step_file_mb_max,
            processes: args.step_processes_max,
            core_mb: args.step_core_mb_max,
        }
    }
}

/// Takes jobs until a signal: the first lets its jobs go on for `drain_timeout_ms`, the second
/// stops them now and gives them back.
///
/// # Errors
/// The runner does not start.
pub async fn run(args: RunnerArgs, global: &Global) -> Result<(), CliError> {
    let token = match (&global.token_file, global.token()?) {
        (Some(file), _) => TokenSource::File(file.clone()),
        (None, Some(token)) => TokenSource::Value(token),
        (None, None) => {
            return Err(CliError::Usage {
                message: "a runner needs the token that registers runners".to_owned(),
                hint: "name the file with it: --token-file FILE".to_owned(),
            });
        }
    };
    let mut options = RunnerOptions::new(&global.server, token, args.work_dir);
    options.name = args.name.unwrap_or(options.name);
    options.pool = args.pool;
    options.labels = args.labels;
    options.slots = args.slots;
    options.agents = args.agents.into_iter().map(|it| (it.profile, it.command)).collect();
    options.agent_protocols = args.agent_protocols.into_iter().collect();
    options.actions = args.actions;
    options.drain_timeout_ms = args.drain_timeout_ms;
    options.transport = match args.transport {
        Transport::Auto => WorkTransport::Auto,
        Transport::Poll => WorkTransport::Poll,
    };
    options.jobs_max = args.jobs_max;
    options.ephemeral = args.ephemeral;
    options.keep_workspaces = args.keep_workspaces;
    options.secret_env = args.secret_env;
    options.secrets_for_untrusted = args.secrets_for_untrusted;
    options.warm_workspaces = args.warm_workspaces;
    options.warm_dir = args.warm_dir;
    options.step_limits = args.step_limits.into();
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

/// How a runner asks for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Transport {
    /// By a stream, and by polls while there is none
    Auto,
    /// By polls alone
    Poll,
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

fn protocol(text: &str) -> Result<(String, AgentProtocol), String> {
    let (profile, name) = text.split_once('=').unwrap_or((text, ""));
    match AgentProtocol::from_name(name).filter(|_| !profile.is_empty()) {
        Some(protocol) => Ok((profile.to_owned(), protocol)),
        None => Err("write it as PROFILE=jsonl or PROFILE=plain".to_owned()),
    }
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
