//! The server that is measured: one of its own in a process of its own, on loopback and in a folder
//! that goes away, or one that runs already.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use super::wire::Wire;
use crate::bench::resident_mb;
use crate::cli::{CliError, Global};
use crate::webhook::Secret;

/// How long a server may take to listen, and to stop.
const PATIENCE: Duration = Duration::from_secs(20);
/// The secret of the source of our own server, which nobody but this process can reach by it.
/// The secret that our own server has for its source.
pub const OWN_SECRET: &str = "a secret of the measurement";
const SECRET_VARIABLE: &str = "BENCH_SECRET";

/// Which server to measure.
#[derive(Clone, Debug, Args)]
pub(super) struct TargetArgs {
    /// Measure the server of --server, not one that is started for it. Whatever jobs our runners
    /// are given there are ended as if they were done: it must be there for this alone
    #[arg(long)]
    pub(super) running_server: bool,
    /// The pool of our runners on a running server
    #[arg(long, value_name = "POOL", requires = "running_server")]
    pub(super) pool: Option<String>,
    /// Where to make a folder for the database of our own server: on the disk that is to be measured
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "running_server")]
    pub(super) dir: PathBuf,
}

/// What our own server is configured with beside what it always has.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnServer<'a> {
    /// The program.
    pub(super) program: &'a Path,
    /// Where its folder is made.
    pub(super) folder: &'a Path,
    /// How long leases, and runners that are silent, live; a quarter is the heartbeats' interval.
    pub(super) lease_ms: u64,
}

/// A server that can be loaded.
pub(super) struct Target {
    /// Its API.
    pub(super) wire: Wire,
    /// The token that registers runners and submits; empty for none.
    pub(super) token: String,
    /// The pool of our runners.
    pub(super) pool: Option<String>,
    child: Option<Child>,
    /// Goes away after the child.
    _folder: Option<TempDir>,
}

impl Target {
    /// The server that `--server` names.
    pub(super) fn running(args: &TargetArgs, global: &Global) -> Result<Self, CliError> {
        // Checks address and token.
        let client = global.client()?;
        Ok(Self {
            wire: Wire::new(client.server()),
            token: global.token()?.unwrap_or_default(),
            pool: args.pool.clone(),
            child: None,
            _folder: None,
        })
    }

    /// Starts one in that folder, which goes away with it.
    pub(super) async fn own(folder: TempDir, lease_ms: u64) -> Result<Self, CliError> {
        let program = std::env::current_exe()?;
        let own = OwnServer { program: &program, folder: folder.path(), lease_ms };
        let mut target = Self::start(own).await?;
        target._folder = Some(folder);
        Ok(target)
    }

    /// Starts one in a folder of the caller's.
    pub(super) async fn start(own: OwnServer<'_>) -> Result<Self, CliError> {
        let file = own.folder.join("dispatchyard.toml");
        std::fs::write(&file, configuration(own.lease_ms))
            .map_err(|source| CliError::File { path: file.clone(), source })?;
        let mut command = Command::new(own.program);
        for (name, _) in std::env::vars_os() {
            // What is set for the user's own server is not meant for this one.
            if name.to_string_lossy().starts_with("DISPATCHYARD_") {
                command.env_remove(name);
            }
        }
        command
            .arg("serve")
            .arg("--config")
            .arg(&file)
            .env(SECRET_VARIABLE, OWN_SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn()?;
        let stderr = child.stderr.take();
        let mut lines = BufReader::new(stderr.ok_or(CliError::Ended)?).lines();
        let listens = tokio::time::timeout(PATIENCE, address(&mut lines)).await;
        let address = listens.ok().flatten().ok_or(CliError::Ended)?;
        // Nobody else reads the log lines, and a full pipe would stop the server.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self {
            wire: Wire::new(format!("http://{address}")),
            token: String::new(),
            pool: None,
            child: Some(child),
            _folder: None,
        })
    }

    /// The secret of the source `github` of our own server.
    pub(super) fn own_secret() -> Result<Secret, CliError> {
        Secret::new(OWN_SECRET.as_bytes()).map_err(|error| CliError::Usage {
            message: error.to_string(),
            hint: "this is a fault of the measurement".to_owned(),
        })
    }

    /// Memory of our own server in megabytes.
    pub(super) fn resident_mb(&self) -> Option<f64> {
        resident_mb(Some(self.child.as_ref()?.id()?))
    }

    /// Stops our own server.
    pub(super) async fn stop(mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(id) = id {
            let _ = kill_process(id, Signal::TERM);
        }
        if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

/// Where a server that starts listens, by its log lines.
async fn address(lines: &mut Lines<BufReader<ChildStderr>>) -> Option<String> {
    while let Ok(Some(line)) = lines.next_line().await {
        let found = serde_json::from_str::<serde_json::Value>(&line).ok().and_then(|line| {
            let fields = line.get("fields").unwrap_or(&line);
            Some(fields.get("address")?.as_str()?.to_owned())
        });
        if found.is_some() {
            return found;
        }
    }
    None
}

/// One source, a trigger that makes one job of each push, and one that makes a session of comments.
fn configuration(lease_ms: u64) -> String {
    let heartbeat_ms = (lease_ms / 4).max(100);
    format!(
        r#"
[server]
listen = "127.0.0.1:0"
data_dir = "data"
graceful_shutdown_timeout_ms = 5000
[scheduler]
max_global_concurrency = 1000000
lease_ms = {lease_ms}
heartbeat_timeout_ms = {lease_ms}
heartbeat_interval_ms = {heartbeat_ms}
[[source]]
name = "github"
kind = "github"
secrets = [{{ env = "{SECRET_VARIABLE}" }}]
[[trigger]]
name = "one-job"
on = "push"
agent = {{ profile = "bench", prompt = "{{{{ event.title }}}}" }}
[[trigger]]
name = "talk"
on = "issue_comment"
agent = {{ profile = "talk", prompt = "You are measured.", session = "subject", command = "/talk" }}
"#
    )
}
