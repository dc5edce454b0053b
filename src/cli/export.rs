//! `export`: from the configured SQLite to the PostgreSQL of another configuration.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::console::Console;
use crate::app::upkeep;
use crate::config::{Config, DEFAULT_FILE, environment};

/// What to copy, and into what.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// The configuration file of the new server, which names a PostgreSQL that is empty
    to: PathBuf,
    /// The configuration file of the server on SQLite, which must not run
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

pub(super) async fn run(args: &ExportArgs, console: &mut Console) -> Result<(), CliError> {
    let from = Config::load(&args.config, environment())?;
    // What the environment says is about this server, and would send both to one database.
    let to = Config::load(&args.to, [])?;
    let rows = upkeep::import(&to, &from.data_dir()).await?;
    console.line(&format!("copied {rows} rows, with the bodies and the logs"))
}
