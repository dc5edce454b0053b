//! Why a server does not start.

use std::net::SocketAddr;

use crate::config::ConfigErrors;
use crate::dispatch::PolicyError;
use crate::log::LogError;
use crate::store::StoreError;
use crate::webhook;

/// Why a changed configuration is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// Something else has changed.
    #[error("{} changed too, which a server takes over at its start alone", .0.join(", "))]
    Restart(Vec<String>),
    /// It is wrong.
    #[error(transparent)]
    Wrong(#[from] AppError),
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// A secret of a source cannot be one.
    #[error("source `{source_name}`: {error}")]
    SourceSecret {
        /// Which source.
        source_name: String,
        /// Why.
        error: webhook::SecretError,
    },
    /// A pool names a policy that nobody knows.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// An executor cannot be one, or is not there.
    #[error("executor `{name}`: {why}")]
    Executor {
        /// What routes call it.
        name: Box<str>,
        /// Why.
        why: String,
    },
    /// A provisioner cannot be one, or is not there.
    #[error("provisioner `{name}`: {why}")]
    Provisioner {
        /// What pools call it.
        name: Box<str>,
        /// Why.
        why: String,
    },
    /// A source's forge cannot be asked for what never arrived.
    #[error("backfill of source `{source_name}`: {why}")]
    Backfill {
        /// Which source.
        source_name: String,
        /// Why.
        why: String,
    },
    /// The repositories of a source cannot be read.
    #[error("workflows of source `{source_name}`: {why}")]
    Repositories {
        /// Which source.
        source_name: String,
        /// Why.
        why: String,
    },
    /// Others outside cannot be told.
    #[error("reports of {what}: {why}")]
    Reports {
        /// To whom, or by what.
        what: String,
        /// Why.
        why: String,
    },
    /// Routes of a program have patterns that are none.
    #[error("routes: {0}")]
    Routes(String),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database has tools of its own for that.
    #[error(
        "a PostgreSQL database is backed up by its own tools: `pg_dump --format=custom`, or the \
         server's continuous archive; after a restore say `dispatchyard restored`"
    )]
    NoBackup,
    /// The folder of the logs cannot be used.
    #[error(transparent)]
    Logs(#[from] LogError),
    /// The address cannot be listened on.
    #[error("failed to listen on {address}: {error}; name another address in [server] listen")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("failed to start the driver: {0}")]
    Driver(#[source] std::io::Error),
}
