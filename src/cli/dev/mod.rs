//! `dev`: a server with one local runner, for trying things out on one machine.
//!
//! ```text
//!  home.rs     the data folder: example configuration, workflows, secrets, made when missing
//!  local.rs    the runner: a process of its own, started again when it dies
//!  demo.rs     signed example deliveries, and what becomes of them
//!  scene.rs    how that is told: times, states, log lines, the summary
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

mod demo;
mod home;
mod local;
mod scene;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::signals::Signals;
use crate::app::{App, AppOptions};
use home::Home;
use local::LocalRunner;

/// What to try.
#[derive(Clone, Debug, Args)]
pub struct DevArgs {
    /// Send signed example deliveries and show what becomes of them
    #[arg(long)]
    pub demo: bool,
    /// Stop when the demo is over, with 0 only when every job ended as expected
    #[arg(long, requires = "demo")]
    pub exit: bool,
    /// Where to listen: an address of this machine alone; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7878", value_parser = loopback)]
    pub listen: SocketAddr,
    /// The folder of the database, the bodies and the logs; made when missing
    #[arg(long, value_name = "DIR", default_value = "dispatchyard-data")]
    pub data_dir: PathBuf,
    /// Show the server's log lines as well
    #[arg(long)]
    pub logs: bool,
}

/// Runs the server and its runner until a signal, or until the demo is over.
///
/// # Errors
/// Something does not start, or the demo did not go as expected.
pub async fn run(args: DevArgs, console: &mut Console) -> Result<(), CliError> {
    let home = Home::prepare(&args.data_dir)?;
    let (config, secrets) = home.config(args.listen)?;
    let grace_ms = config.server.graceful_shutdown_timeout_ms;
    let mut signals = Signals::catch()?;
    let app = App::start(config, secrets, AppOptions::default()).await?;
    let server = format!("http://{}", app.address());
    console.remark(&format!("serving on {server}, data in {}", home.folder().display()));
    let runner = LocalRunner::start(&home, &server)?;
    let client = Client::new(&server, None)?;

    let mut failed = None;
    let mut told_to_end = false;
    if args.demo {
        tokio::select! {
            result = demo::run(&home, &client, console) => failed = result.err(),
            () = signals.next() => told_to_end = true,
        }
    }
    if let (Some(error), false) = (&failed, args.exit) {
        console.remark(&format!("error: {error}"));
    }
    if !args.exit && !told_to_end {
        console.remark(&scene::what_next(&server, &home));
        signals.next().await;
    }
    signals.end_at_next();
    console.remark("stopping: the runner finishes what it has");
    runner.stop(grace_ms).await;
    app.stop().await;
    match failed {
        Some(error) if args.exit => Err(error),
        _ => Ok(()),
    }
}

/// `dev` asks nobody for a token, so nobody else may reach it.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "write it as 127.0.0.1:7878".to_owned())?;
    if address.ip().to_canonical().is_loopback() {
        Ok(address)
    } else {
        Err("dev needs no login, so it listens on loopback only; use `serve`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dev_listens_to_this_machine_alone() {
        assert!(loopback("127.0.0.1:0").is_ok());
        assert!(loopback("[::1]:80").is_ok());
        assert!(loopback("0.0.0.0:80").is_err());
        assert!(loopback("localhost:80").is_err());
    }
}
