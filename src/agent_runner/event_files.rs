//! The files that a step gets beside its environment: the event, its raw payload, its needs.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt as _;

use crate::api::wire::{HeldLease, JobContext};
use crate::clock::OsEntropy;

use super::attempt_folder::AttemptFolder;
use super::environment::Variables;
use super::http::CallError;
use super::shared::Shared;

/// Why an attempt cannot be prepared. Not the job's fault: it may work on another runner.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareError {
    #[error("the attempt's folder cannot be used: {0}")]
    Folder(#[from] io::Error),
    #[error("another runner still uses the workspace `{}` after {wait_ms} ms", path.display())]
    WorkspaceTaken { path: PathBuf, wait_ms: u64 },
    #[error("the event's payload cannot be fetched: {0}")]
    Payload(#[from] CallError),
}

/// Writes the files and names them in `own`. Repeats a download until it is answered.
pub(super) async fn write(
    shared: &Shared,
    held: &HeldLease,
    context: &JobContext,
    folder: &AttemptFolder,
    own: &mut Variables,
) -> Result<(), PrepareError> {
    let mut name = |variable: &str, path: &Path| own.insert(variable.to_owned(), path.into());
    name("DISPATCHYARD_WORKSPACE", &folder.workspace());
    name("DISPATCHYARD_OUTPUT", &folder.file("output"));
    let needs = folder.file("needs.json");
    tokio::fs::write(&needs, serde_json::to_vec(&context.needs).map_err(io::Error::other)?).await?;
    name("DISPATCHYARD_NEEDS_PATH", &needs);
    if let Some(event) = &context.event {
        let path = folder.file("event.json");
        tokio::fs::write(&path, serde_json::to_vec(event).map_err(io::Error::other)?).await?;
        name("DISPATCHYARD_EVENT_PATH", &path);
    }
    if context.has_payload {
        let path = folder.file("payload");
        download(shared, held, &path).await?;
        name("DISPATCHYARD_PAYLOAD_PATH", &path);
    }
    Ok(())
}

async fn download(shared: &Shared, held: &HeldLease, path: &Path) -> Result<(), PrepareError> {
    let mut backoff = shared.client.backoff();
    loop {
        let error = match download_once(shared, held, path).await {
            Err(PrepareError::Payload(error))
                if error.is_passing() || matches!(error, CallError::Unauthorized) =>
            {
                error
            }
            done => return done,
        };
        let delay = backoff.delay(error.retry_after(), &mut OsEntropy);
        tracing::warn!(%error, delay_ms = delay.as_millis(), "payload: will try again");
        tokio::time::sleep(delay).await;
    }
}

/// A piece at a time: a payload of 25 MB must not be in memory.
async fn download_once(shared: &Shared, held: &HeldLease, path: &Path) -> Result<(), PrepareError> {
    let mut pieces = shared.client.payload(held).await?;
    let mut file = tokio::fs::File::create(path).await?;
    while let Some(piece) = pieces.next().await? {
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(())
}
