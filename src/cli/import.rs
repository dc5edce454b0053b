//! `import`: from a SQLite data folder to PostgreSQL.

use std::path::PathBuf;

use clap::Args;

use super::CliError;
use super::console::Console;
use crate::app::upkeep;
use crate::config::{Config, DEFAULT_FILE, environment};

/// What to take over, and into what.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// The data folder; no server may use it
    from: PathBuf,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

pub(super) async fn run(args: &ImportArgs, console: &mut Console) -> Result<(), CliError> {
    let config = Config::load(&args.config, environment())?;
    let rows = upkeep::import(&config, &args.from).await?;
    console.line(&format!("copied {rows} rows, with the bodies and the logs"))
}
