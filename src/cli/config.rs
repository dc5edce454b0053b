//! `config`: about the configuration file itself.

use clap::Subcommand;

use super::CliError;
use super::console::Console;
use crate::config::schema;

/// What to know of it.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigVerb {
    /// Print a JSON Schema of the file, for editors
    Schema,
}

pub(super) fn run(verb: &ConfigVerb, console: &mut Console) -> Result<(), CliError> {
    match verb {
        ConfigVerb::Schema => {
            let text = serde_json::to_string_pretty(&schema()).map_err(std::io::Error::from)?;
            console.line(&text)
        }
    }
}
