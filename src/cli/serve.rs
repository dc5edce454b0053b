//! `serve`: the server for everyday use. SIGHUP has it read its configuration again.

use std::path::{Path, PathBuf};

use clap::Args;

use super::CliError;
use super::signals::{Hangup, Signals};
use crate::app::{App, AppOptions};
use crate::config::{Config, ConfigErrors, DEFAULT_FILE, Secrets, environment};

/// What to serve with.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
}

/// Serves until a signal.
///
/// # Errors
/// The server does not start.
pub async fn run(args: &ServeArgs) -> Result<(), CliError> {
    let (config, secrets) = load(&args.config)?;
    let (mut signals, mut hangup) = (Signals::catch()?, Hangup::catch()?);
    let app = App::start(config, secrets, AppOptions::default()).await?;
    let failed = loop {
        tokio::select! {
            () = signals.next() => break false,
            () = app.driver_gone() => break true,
            () = hangup.next() => reload(&app, &args.config),
        }
    };
    signals.end_at_next();
    app.stop().await;
    if failed { Err(CliError::Ended) } else { Ok(()) }
}

/// The configuration as it is now, with its secrets.
fn load(path: &Path) -> Result<(Config, Secrets), ConfigErrors> {
    let config = Config::load(path, environment())?;
    config.check_exposure().map_err(ConfigErrors::from)?;
    let secrets = config.load_secrets(|name| std::env::var(name).ok())?;
    Ok((config, secrets))
}

/// Takes over what has changed. Whatever is wrong with it, the server goes on.
fn reload(app: &App, path: &Path) {
    match load(path) {
        // Its own log says what is wrong.
        Ok((config, secrets)) => drop(app.reload(&config, &secrets)),
        Err(errors) => app.reload_failed(&errors),
    }
}
