//! `close`: nothing more joins an open workload.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, workloads};
use crate::api::wire::Nothing;
use crate::model::WorkloadId;

/// Which workload.
#[derive(Clone, Debug, Args)]
pub struct CloseArgs {
    /// The open workload's number
    workload: WorkloadId,
}

pub(super) async fn run(
    args: CloseArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let path = ["workloads", &args.workload.to_string(), "close"];
    let answer = client.post(&path, &Nothing {}).await?;
    console.show(&answer, |workload, _| workloads::one(workload))
}
