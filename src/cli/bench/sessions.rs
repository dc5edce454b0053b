//! `bench sessions`: how long an agent waits. A server of its own (SQLite, every commit flushed), a real runner, and
//! a shell as the agent, each a process.
//!
//! Two things are measured, one after the other, each `--rounds` times: from a signed comment that is sent to
//! the first command of the agent that it starts, and from a message that is sent to an agent that runs to its
//! standard input. The agent writes a line into a named pipe for each, which this process reads.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

use super::figure;
use super::lifecycle::temporary;
use super::target::Target;
use crate::api::wire::{List, RunnerView, SessionOpened, SessionSaid, SessionView};
use crate::bench::Range;
use crate::cli::CliError;
use crate::cli::console::Console;
use crate::cli::send::sign_like_github;
use crate::cli::table::{page, rows};
use crate::clock::{Clock as _, SystemClock};

const COMMENT: &str = include_str!("../../../fixtures/github/issue_comment_on_pr.json");
/// Leases of our own server: long enough for any pause of a busy machine.
const LEASE_MS: u64 = 60_000;
/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two messages, so that a call for the next one is parked by then, as it is when people type.
const PAUSE: Duration = Duration::from_millis(50);
/// Agents that may end while the next ones run.
const SLOTS: u32 = 8;

/// How often.
#[derive(Clone, Debug, Args)]
pub(super) struct SessionsArgs {
    /// Comments that start an agent, and messages to one that runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    rounds: u64,
    /// Where to make a folder for the database: on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: std::path::PathBuf,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionsReport {
    /// Comments, and messages.
    pub rounds: u64,
    /// From a comment that is sent to the first command of its agent.
    pub comment_to_agent_ms: Range,
    /// From a message that is sent to the standard input of the agent.
    pub message_to_agent_ms: Range,
    /// From the same moment to the answer that the message is stored.
    pub message_to_answer_ms: Range,
}

pub(super) async fn run(args: SessionsArgs, console: &mut Console) -> Result<(), CliError> {
    let folder = temporary(&args.dir, console)?;
    // The agent's own folder: the server's goes away with the server.
    let own = temporary(&args.dir, console)?;
    let target = Target::own(folder, LEASE_MS).await?;
    let report = measure(&args, &target, &own).await;
    target.stop().await;
    console.report(&report?, table)
}

/// What agents tell: `start SESSION` and `heard SESSION`, with when it came.
type Told = mpsc::UnboundedReceiver<(f64, String)>;

struct Rig<'a> {
    target: &'a Target,
    told: Told,
    clock: Arc<SystemClock>,
}

async fn measure(
    args: &SessionsArgs,
    target: &Target,
    own: &TempDir,
) -> Result<SessionsReport, CliError> {
    let pipe = own.path().join("told");
    let made = Command::new("mkfifo").arg(&pipe).status().await?;
    if !made.success() {
        return Err(CliError::Usage {
            message: format!("no named pipe can be made at {}", pipe.display()),
            hint: "name a folder of a file system that has them with --dir".to_owned(),
        });
    }
    // One clock for both ends: each counts from when it was made.
    let clock = Arc::new(SystemClock::new());
    let mut rig = Rig { target, told: listen(&pipe, Arc::clone(&clock))?, clock };
    let mut runner = runner(target, own.path(), &pipe)?;
    let report = rig.rounds(args.rounds).await;
    let _ = runner.kill().await;
    report
}

/// Reads what agents tell, in a thread of its own: a pipe that is open for writing too never ends.
fn listen(pipe: &Path, clock: Arc<SystemClock>) -> Result<Told, CliError> {
    let file = File::options().read(true).write(true).open(pipe)?;
    let (sender, told) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(file).lines() {
            let Ok(line) = line else { return };
            if sender.send((clock.seconds(), line)).is_err() {
                return;
            }
        }
    });
    Ok(told)
}

/// A runner of this program, whose agent is a shell.
fn runner(target: &Target, own: &Path, pipe: &Path) -> Result<Child, CliError> {
    let agent = "echo \"start $DISPATCHYARD_SESSION\" > \"$BENCH_PIPE\"; \
        while read -r line; do \
        echo \"heard $DISPATCHYARD_SESSION\" > \"$BENCH_PIPE\"; echo '{\"type\":\"turn_end\"}'; done";
    let path = pipe.display().to_string().replace('\'', "'\\''");
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DISPATCHYARD_") {
            command.env_remove(name);
        }
    }
    // Our own server is open on loopback and looks at no token, but a runner begins with none.
    let token = own.join("token");
    std::fs::write(&token, "any")?;
    command.args(["--server", target.wire.base(), "--token-file"]).arg(&token);
    command.args(["runner", "--name", "bench"]);
    command.args(["--labels", "self-hosted", "--slots", &SLOTS.to_string()]);
    command.arg("--work-dir").arg(own.join("work"));
    command.args(["--agent", &format!("talk=BENCH_PIPE='{path}'; {agent}")]);
    command.args(["--agent-protocol", "talk=jsonl"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command.kill_on_drop(true).spawn()?)
}

impl Rig<'_> {
    async fn rounds(&mut self, rounds: u64) -> Result<SessionsReport, CliError> {
        self.runner_waits().await?;
        let mut started = Vec::new();
        // The first one warms up and is not counted.
        for number in 0..=rounds {
            let (took, session) = self.comment(number).await?;
            self.end(&session).await?;
            if number > 0 {
                started.push(took);
            }
        }
        let (mut heard, mut answered) = (Vec::new(), Vec::new());
        let body = json!({ "agent": "talk", "message": "0" });
        let opened: SessionOpened = self.post("sessions", &body).await?;
        let session = opened.session_id.to_string();
        self.hear("heard", Some(&session)).await?;
        for number in 0..=rounds {
            tokio::time::sleep(PAUSE).await;
            let began = self.clock.seconds();
            let path = format!("sessions/{session}/messages");
            let body = json!({ "message": number.to_string() });
            let _: SessionSaid = self.post(&path, &body).await?;
            let stored = self.clock.seconds();
            let (at, _) = self.hear("heard", Some(&session)).await?;
            if number > 0 {
                heard.push((at - began) * 1e3);
                answered.push((stored - began) * 1e3);
            }
        }
        self.end(&session).await?;
        Ok(SessionsReport {
            rounds,
            comment_to_agent_ms: Range::of(started),
            message_to_agent_ms: Range::of(heard),
            message_to_answer_ms: Range::of(answered),
        })
    }

    /// A comment on a pull request of its own; how long until its agent ran, and its session.
    async fn comment(&mut self, number: u64) -> Result<(f64, String), CliError> {
        let mut body: Value = serde_json::from_str(COMMENT).map_err(|_| CliError::Ended)?;
        body["action"] = "created".into();
        body["issue"]["number"] = (number + 1).into();
        body["comment"]["id"] = (number + 1).into();
        body["comment"]["body"] = "/talk now".into();
        body["sender"]["type"] = "User".into();
        let id = format!("bench-{number}");
        let body = body.to_string().into_bytes();
        let signed = sign_like_github(body, "issue_comment", &id, &Target::own_secret()?)?;
        let began = self.clock.seconds();
        let sent = self.target.wire.deliver("hooks/github", signed.headers, signed.body.into());
        sent.await.ok_or(CliError::Ended)?;
        let (at, session) = self.hear("start", None).await?;
        Ok(((at - began) * 1e3, session))
    }

    /// The next word of that kind, of that session.
    async fn hear(&mut self, what: &str, session: Option<&str>) -> Result<(f64, String), CliError> {
        let found = async {
            while let Some((at, line)) = self.told.recv().await {
                let told = line.split_once(' ').filter(|(kind, _)| *kind == what);
                if let Some((_, of)) = told.filter(|(_, of)| session.is_none_or(|id| id == *of)) {
                    return Some((at, of.to_owned()));
                }
            }
            None
        };
        tokio::time::timeout(PATIENCE, found).await.ok().flatten().ok_or(CliError::Ended)
    }

    async fn end(&self, session: &str) -> Result<(), CliError> {
        let path = format!("sessions/{session}/cancel");
        let _: SessionView = self.post(&path, &json!({ "reason": "measured" })).await?;
        Ok(())
    }

    async fn runner_waits(&self) -> Result<(), CliError> {
        let waits = async {
            loop {
                let runners: Option<List<RunnerView>> =
                    self.target.wire.get("runners", &self.target.token).await;
                if runners.is_some_and(|it| it.items.iter().any(|runner| runner.waiting)) {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, waits).await.map_err(|_| CliError::Ended)
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, CliError> {
        let answer = self.target.wire.post(path, &self.target.token, body).await;
        answer.ok_or(CliError::Ended)
    }
}

fn table(report: &SessionsReport) -> String {
    let line = |what: &str, range: Range| {
        let Range { min, median, max } = range;
        vec![what.to_owned(), figure(median), figure(min), figure(max)]
    };
    let lines = [
        line("comment sent -> agent runs", report.comment_to_agent_ms),
        line("message sent -> agent's input", report.message_to_agent_ms),
        line("message sent -> answered", report.message_to_answer_ms),
    ];
    let head = format!(
        "{} rounds each, one at a time; SQLite, every commit flushed; a runner and an agent (sh) as processes",
        report.rounds
    );
    page([head, rows(&["MS", "MEDIAN", "MIN", "MAX"], lines, "")])
}
