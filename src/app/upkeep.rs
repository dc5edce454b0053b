//! What is done with a database beside serving it: bring its schema up to date, back it up, say that it
//! was restored, take over another one.

use std::fs;
use std::io;
use std::path::Path;

use super::{AppError, store_options};
use crate::config::Config;
use crate::log::log_files;
use crate::store::{Backup, EPOCHS_LEFT_OUT, Location, Store, StoreError};

/// The name of the SQLite file in a data folder.
pub(super) const DATABASE: &str = "dispatchyard.db";
/// The name of the folder of large bodies in it.
pub(super) const BODIES: &str = "bodies";
/// The name of the folder of job logs in it.
pub(super) const LOGS: &str = "logs";

/// Brings the schema of the configured database up to date, as a server does at its start.
///
/// # Errors
/// [`AppError::Store`]: as a start would end.
pub async fn migrate(config: &Config) -> Result<(), AppError> {
    let (store, writer) = Store::open(store_options(config)).await?;
    writer.close().await?;
    store.close().await;
    Ok(())
}

/// Says that the configured database is a restored copy, so that no lease token is given that the server
/// of the original may have given since; how many epochs are left out for it.
///
/// # Errors
/// [`AppError::Store`].
pub async fn restored(config: &Config) -> Result<i64, AppError> {
    let (store, writer) = Store::open(store_options(config)).await?;
    writer.restored().await?;
    store.close().await;
    Ok(EPOCHS_LEFT_OUT)
}

/// Copies a SQLite database with its bodies and logs to a new data folder, also while a server uses it.
///
/// # Errors
/// [`AppError::Store`]; [`AppError::NoBackup`] with PostgreSQL, which has its own tools.
pub async fn backup(config: &Config, to: &Path) -> Result<(), AppError> {
    let options = store_options(config);
    if matches!(options.location, Location::Server(_)) {
        return Err(AppError::NoBackup);
    }
    make_folder(to)?;
    // The database first: what it names was there before it.
    let backup = Backup::begin(&options, &to.join(DATABASE)).await?;
    let bodies = to.join(BODIES);
    make_folder(&bodies)?;
    backup.copy_bodies(&bodies).await?;
    let (logs, to) = (config.data_dir().join(LOGS), to.join(LOGS));
    let copying = tokio::task::spawn_blocking(move || copy_folder(&logs, &to));
    match copying.await {
        Ok(done) => Ok(done?),
        Err(error) => {
            Err(StoreError::Unavailable { statement: "copy files", what: error.to_string() }.into())
        }
    }
}

/// Copies everything out of a data folder with SQLite into the configured PostgreSQL, which must be new;
/// how many rows there were, beside those that its logs become.
///
/// # Errors
/// [`AppError::Store`], [`AppError::Logs`].
pub async fn import(config: &Config, from: &Path) -> Result<u64, AppError> {
    let (store, writer) = Store::open(store_options(config)).await?;
    let logs = log_files(&from.join(LOGS))?;
    let copied = store.import(&writer, &from.join(DATABASE), &from.join(BODIES), &logs).await?;
    store.close().await;
    Ok(copied)
}

/// Copies a folder with all that is in it; one that is not there is empty. Files that go away meanwhile
/// are left out.
fn copy_folder(from: &Path, to: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|error| fault(from, error))?,
    };
    make_folder(to)?;
    for entry in entries {
        let entry = entry.map_err(|error| fault(from, error))?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            copy_folder(&path, &to)?;
            continue;
        }
        match fs::copy(&path, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            copied => copied.map(drop).map_err(|error| fault(&path, error))?,
        }
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(|error| fault(path, error))
}

fn fault(path: &Path, source: io::Error) -> StoreError {
    StoreError::File { path: path.to_path_buf(), source }
}
