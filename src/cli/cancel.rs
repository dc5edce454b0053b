//! `cancel`: stop a job or a whole workload.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, jobs, workloads};
use crate::api::wire::ReasonRequest;
use crate::model::{JobId, WorkloadId};

/// What to cancel: one of the two.
#[derive(Clone, Debug, Args)]
pub struct CancelArgs {
    /// The job's number
    #[arg(required_unless_present = "workload", conflicts_with = "workload")]
    job: Option<JobId>,
    /// A workload, with all of its jobs that have not ended
    #[arg(long, value_name = "ID")]
    workload: Option<WorkloadId>,
    /// Why, for the people who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(
    args: CancelArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let body = ReasonRequest { reason: args.reason };
    if let Some(id) = args.workload {
        let answer = client.post(&["workloads", &id.to_string(), "cancel"], &body).await?;
        return console.show(&answer, |workload, _| workloads::one(workload));
    }
    // Clap asks for one of the two.
    let Some(id) = args.job else { return Ok(()) };
    let answer = client.post(&["jobs", &id.to_string(), "cancel"], &body).await?;
    console.show(&answer, |job, _| jobs::one(job))
}
