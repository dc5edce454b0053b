//! `restored`: what must be said of a database that was restored from a backup of another tool.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::console::Console;
use crate::app::upkeep;
use crate::config::{Config, DEFAULT_FILE, environment};

/// What was restored.
#[derive(Clone, Debug, Args)]
pub struct RestoredArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

pub(super) async fn run(args: &RestoredArgs, console: &mut Console) -> Result<(), CliError> {
    let config = Config::load(&args.config, environment())?;
    let epochs = upkeep::restored(&config).await?;
    console.line(&format!("left out {epochs} epochs: no lease token is given twice"))
}
