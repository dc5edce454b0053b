//! `serve`: the server for everyday use.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::signals::Signals;
use crate::app::{App, AppOptions};
use crate::config::{Config, ConfigErrors, DEFAULT_FILE, environment};

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
    let config = Config::load(&args.config, environment())?;
    config.check_exposure().map_err(ConfigErrors::from)?;
    let secrets = config.load_secrets(|name| std::env::var(name).ok())?;
    let mut signals = Signals::catch()?;
    let app = App::start(config, secrets, AppOptions::default()).await?;
    let failed = tokio::select! {
        () = signals.next() => false,
        () = app.driver_gone() => true,
    };
    signals.end_at_next();
    app.stop().await;
    if failed { Err(CliError::Ended) } else { Ok(()) }
}
