//! `replay`: evaluate a stored delivery again. A provider that repeats a delivery keeps its id, so
//! that ours would take it for a duplicate; this is the way to have it run once more.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, send};
use crate::model::DeliveryId;

/// What to replay.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The delivery's id
    delivery: DeliveryId,
}

pub(super) async fn run(
    args: ReplayArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let path = ["deliveries", &args.delivery.to_string(), "replay"];
    let answer = client.post(&path, &serde_json::json!({})).await?;
    console.show(&answer, |accepted, _| send::accepted(accepted))
}
