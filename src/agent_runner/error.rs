//! Why a runner cannot start. Once it runs nothing here is raised: it retries for ever.

use std::io;
use std::path::PathBuf;

/// What keeps a runner from running.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// An option has a value that cannot work.
    #[error("option {name}: {reason}")]
    Option {
        /// The option, as on the command line.
        name: &'static str,
        /// The wrong value and what is expected instead.
        reason: String,
    },
    /// The registration token cannot be read.
    #[error("the registration token file `{}` cannot be used: {reason}", path.display())]
    TokenFile {
        /// The file named by `--token-file`.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The work folder cannot be used.
    #[error("the work folder `{}` cannot be used: {source}", path.display())]
    WorkFolder {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another runner holds the work folder.
    #[error(
        "the work folder `{}` is used by another runner: stop that one or give this one its own \
         --work-dir", path.display()
    )]
    WorkFolderTaken {
        /// The folder.
        path: PathBuf,
    },
    /// The HTTP client cannot be made, for example for want of system certificates.
    #[error("the HTTP client cannot be set up: {0}")]
    HttpClient(String),
    /// The server does not want this runner.
    #[error("the server refused to register this runner: {0}; check --server and --token-file")]
    Refused(String),
}
