//! `retry`: run an ended workload again.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, workloads};
use crate::api::wire::ReasonRequest;
use crate::model::WorkloadId;

/// What to retry.
#[derive(Clone, Debug, Args)]
pub struct RetryArgs {
    /// The workload's number
    workload: WorkloadId,
    /// Why, for the people who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(
    args: RetryArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let body = ReasonRequest { reason: args.reason };
    let answer = client.post(&["workloads", &args.workload.to_string(), "retry"], &body).await?;
    console.show(&answer, |workload, _| workloads::one(workload))
}
