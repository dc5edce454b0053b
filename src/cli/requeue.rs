//! `requeue`: take a job from its runner and queue it again.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, jobs};
use crate::api::wire::RequeueRequest;
use crate::model::JobId;

/// What to requeue.
#[derive(Clone, Debug, Args)]
pub struct RequeueArgs {
    /// The job's number
    job: JobId,
    /// Why, for the people who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Give it to another runner while one fits
    #[arg(long)]
    avoid_runner: bool,
}

pub(super) async fn run(
    args: RequeueArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let body = RequeueRequest { reason: args.reason, avoid_runner: args.avoid_runner };
    let answer = client.post(&["jobs", &args.job.to_string(), "requeue"], &body).await?;
    console.show(&answer, |job, _| jobs::one(job))
}
