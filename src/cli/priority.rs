//! `priority`: give a waiting job another priority.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, jobs};
use crate::api::wire::PriorityRequest;
use crate::model::{JobId, JobPriority};

/// Which job, and its new priority.
#[derive(Clone, Debug, Args)]
pub struct PriorityArgs {
    /// The job's number
    job: JobId,
    /// critical, high, normal, low or background
    #[arg(value_name = "LEVEL")]
    priority: JobPriority,
}

pub(super) async fn run(
    args: PriorityArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let body = PriorityRequest { priority: args.priority };
    let answer = client.post(&["jobs", &args.job.to_string(), "priority"], &body).await?;
    console.show(&answer, |job, _| jobs::one(job))
}
