//! `pause`: give out no more jobs of something.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::{CliError, pauses};
use crate::api::wire::{PauseRequest, PauseView};

/// The scope of everything.
pub(super) const EVERYTHING: &str = "everything";

/// What to pause. What runners have goes on.
#[derive(Clone, Debug, Args)]
pub struct PauseArgs {
    /// everything, pool:NAME, tenant:NAME or trigger:NAME
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    scope: Option<String>,
    /// Everything: deliveries are still accepted and stored, and no job is given out
    #[arg(long, requires = "reason")]
    all: bool,
    /// Why, for the people who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(
    args: PauseArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let scope = args.scope.unwrap_or_else(|| EVERYTHING.to_owned());
    let body = PauseRequest { scope, reason: args.reason };
    let answer = client.post(&["pauses"], &body).await?;
    console.show(&answer, |pause: &PauseView, _| pauses::sentence(pause))
}
