//! `migrate`: the schema of the database, brought up to date before a server needs it.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::console::Console;
use crate::app::upkeep;
use crate::config::{Config, DEFAULT_FILE, environment};

/// What to migrate.
#[derive(Clone, Debug, Args)]
pub struct MigrateArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

pub(super) async fn run(args: &MigrateArgs, console: &mut Console) -> Result<(), CliError> {
    let config = Config::load(&args.config, environment())?;
    upkeep::migrate(&config).await?;
    console.line("the schema is up to date")
}
