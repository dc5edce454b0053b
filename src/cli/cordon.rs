//! `cordon`: give a runner, or a pool, nothing new.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::target::{Target, Wish};

/// What to cordon. What it has goes on. A cordoned pool is paused: it holds for runners that come
/// later, too.
#[derive(Clone, Debug, Args)]
pub struct CordonArgs {
    /// The number of a runner, or pool:NAME
    #[arg(value_name = "RUNNER|pool:NAME")]
    target: Target,
    /// Why, for the people who look at it later
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn run(
    args: CordonArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let wish = Wish { cordoned: Some(true), draining: None, reason: args.reason };
    let answer = args.target.patch(client, wish).await?;
    args.target.show(&answer, console)
}
