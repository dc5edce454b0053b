//! Arguments that every verb understands.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::CliError;
use super::client::Client;

/// The variable with a token; the token itself never stands on a command line, where every user
/// of the machine can read it.
const TOKEN_VARIABLE: &str = "DISPATCHYARD_TOKEN";

/// Where the server is, who asks, and how answers look.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// The server's address
    #[arg(
        long,
        global = true,
        env = "DISPATCHYARD_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:7878"
    )]
    pub server: String,
    /// A file with the token; without it the token of DISPATCHYARD_TOKEN is used, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How answers look
    #[arg(short, long, global = true, value_enum, default_value_t = OutputFormat::Table)]
    pub output: OutputFormat,
}

/// How answers look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Table,
    /// As the server sent it
    Json,
}

impl Global {
    /// The token, from the file or from the environment.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn token(&self) -> Result<Option<String>, CliError> {
        let text = match &self.token_file {
            Some(path) => Some(read_text(path)?),
            None => std::env::var(TOKEN_VARIABLE).ok(),
        };
        Ok(text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()))
    }

    /// A client of that server.
    ///
    /// # Errors
    /// The address is none, or the file with the token cannot be read.
    pub fn client(&self) -> Result<Client, CliError> {
        Client::new(&self.server, self.token()?)
    }
}

pub(super) fn read_text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|source| CliError::File { path: path.to_owned(), source })
}
