//! `backup`: a copy of a SQLite database with all that belongs to it.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::console::Console;
use crate::app::upkeep;
use crate::config::{Config, DEFAULT_FILE, environment};

/// What to back up, and where to.
#[derive(Clone, Debug, Args)]
pub struct BackupArgs {
    /// A folder for the copy, which is a data folder then; made if it is not there
    to: PathBuf,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

pub(super) async fn run(args: &BackupArgs, console: &mut Console) -> Result<(), CliError> {
    let config = Config::load(&args.config, environment())?;
    upkeep::backup(&config, &args.to).await?;
    console.line(&format!("{} is a data folder with all that there was", args.to.display()))
}
