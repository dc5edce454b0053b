//! `front`: put a waiting job in front of all others of its priority.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, jobs};
use crate::model::JobId;

/// Which job.
#[derive(Clone, Debug, Args)]
pub struct FrontArgs {
    /// The job's number
    job: JobId,
}

pub(super) async fn run(
    args: FrontArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let nothing = serde_json::json!({});
    let answer = client.post(&["jobs", &args.job.to_string(), "front"], &nothing).await?;
    console.show(&answer, |job, _| jobs::one(job))
}
