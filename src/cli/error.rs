//! What can go wrong, what to type next, and the exit code.

use std::path::PathBuf;

use crate::agent_runner::RunnerError;
use crate::api::wire::Problem;
use crate::app::AppError;
use crate::config::ConfigErrors;
use crate::telemetry::LogError;

/// Why a verb ended without success.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The server said no, and why.
    #[error("{}", .0.detail)]
    Refused(Box<Problem>),
    /// Something between answered in the server's place, or it is another server.
    #[error("{server} answered {status} without a reason: {body}")]
    Unexplained {
        /// Who was asked.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// Nobody answered.
    #[error("no answer from {server}: {}", root(source))]
    Unreachable {
        /// Who was asked.
        server: String,
        /// What happened.
        source: reqwest::Error,
    },
    /// A stream broke more often than is worth another try.
    #[error("the stream of {server} broke {failures} times in a row")]
    StreamLost {
        /// Who was asked.
        server: String,
        /// How often in a row.
        failures: u32,
    },
    /// The answer has not the form that this program knows.
    #[error("the answer of {server} was not understood: {source}")]
    NotUnderstood {
        /// Who was asked.
        server: String,
        /// What was wrong with it.
        source: serde_json::Error,
    },
    /// The arguments make no sense together.
    #[error("{message}")]
    Usage {
        /// What is wrong with them.
        message: String,
        /// What to type instead.
        hint: String,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The server does not start.
    #[error(transparent)]
    Server(#[from] AppError),
    /// The runner does not start.
    #[error(transparent)]
    Runner(#[from] RunnerError),
    /// The server ended by itself.
    #[error("the server ended because of a fault of its own; its log says which")]
    Ended,
    /// Logging cannot begin.
    #[error(transparent)]
    Logging(#[from] LogError),
    /// Runners that drain still had jobs when there was no more time to wait.
    #[error("after {waited}: {}", runners.join("; "))]
    StillBusy {
        /// How long it was waited for.
        waited: String,
        /// Which, and what they have.
        runners: Vec<String>,
    },
    /// Some deliveries of many could not be replayed; the table says which, and why.
    #[error("{refused} of {of} deliveries were not replayed")]
    NotReplayed {
        /// How many.
        refused: usize,
        /// Of how many.
        of: usize,
    },
    /// Some of what never arrived was not asked for again; the table says which, and why.
    #[error("{failed} of {of} deliveries were not asked for again")]
    NotAsked {
        /// How many.
        failed: usize,
        /// Of how many.
        of: usize,
    },
    /// `doctor` found something; what, is printed already.
    #[error("not well: {0}; each line marked BAD says what to do")]
    Unwell(usize),
    /// Something cannot be measured.
    #[error(transparent)]
    Bench(#[from] crate::bench::BenchError),
    /// The demo did not go as expected.
    #[error("the demo did not end as expected: {0}")]
    Demo(String),
    /// The answer cannot be printed.
    #[error("cannot print the answer: {0}")]
    Output(#[from] std::io::Error),
}

impl CliError {
    /// What to type next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Refused(problem) => return problem.hint.clone().or_else(|| by_status(problem)),
            Self::Unreachable { source, .. } if source.is_connect() => {
                "is the server running? try `dispatchyard dev`, or name another one with --server"
            }
            Self::Unreachable { .. } | Self::StreamLost { .. } => {
                "is the server well? try `dispatchyard status`"
            }
            Self::Unexplained { .. } => "is this a Dispatchyard server? check --server",
            Self::NotUnderstood { .. } => {
                "server and command line may be of different versions: compare \
                 `dispatchyard status` and `dispatchyard --version`"
            }
            Self::Usage { hint, .. } => hint,
            Self::StillBusy { .. } => {
                "wait longer with --timeout, or take a job away: dispatchyard requeue JOB \
                 --avoid-runner"
            }
            Self::Demo(_) => "`dispatchyard jobs` and `dispatchyard logs JOB` show what happened",
            Self::Config(_)
            | Self::File { .. }
            | Self::Server(_)
            | Self::Runner(_)
            | Self::Logging(_)
            | Self::Bench(_)
            | Self::NotReplayed { .. }
            | Self::NotAsked { .. }
            | Self::Unwell(_)
            | Self::Ended
            | Self::Output(_) => return None,
        };
        Some(text.to_owned())
    }

    /// 1 refused or failed, 2 wrong arguments or configuration.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. }
            | Self::Config(_)
            | Self::File { .. }
            | Self::Server(_)
            | Self::Runner(_)
            | Self::Logging(_) => 2,
            Self::Refused(_)
            | Self::Unexplained { .. }
            | Self::Unreachable { .. }
            | Self::StreamLost { .. }
            | Self::NotUnderstood { .. }
            | Self::StillBusy { .. }
            | Self::NotReplayed { .. }
            | Self::NotAsked { .. }
            | Self::Demo(_)
            | Self::Bench(_)
            | Self::Unwell(_)
            | Self::Ended
            | Self::Output(_) => 1,
        }
    }

    /// Whether whoever read our output has left: nothing that anybody wants to hear of.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Whether the same request may well succeed in a moment.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 429 | 502..=504),
            Self::Unexplained { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }
}

/// The innermost cause, which is the one that says something: `Connection refused`.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// For answers that bring no hint themselves.
fn by_status(problem: &Problem) -> Option<String> {
    let text = match problem.status {
        401 => "give a token: --token-file FILE, or the variable DISPATCHYARD_TOKEN",
        403 => "this needs another token, perhaps an admin token",
        404 => "list what there is: `dispatchyard jobs`, `workloads`, `deliveries` or `runners`",
        429 | 503 => "try again in a moment; `dispatchyard status` shows how the server is",
        _ => return None,
    };
    Some(text.to_owned())
}
