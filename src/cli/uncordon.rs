//! `uncordon`: take back a cordon and a drain.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::target::{Target, Wish};

/// What is to take jobs again. A runner that was told to leave may have done so already. Of a pool
/// runners that were cordoned by themselves stay so.
#[derive(Clone, Debug, Args)]
pub struct UncordonArgs {
    /// The number of a runner, or pool:NAME
    #[arg(value_name = "RUNNER|pool:NAME")]
    target: Target,
}

pub(super) async fn run(
    args: UncordonArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let wish = Wish { cordoned: Some(false), draining: Some(false), reason: None };
    let answer = args.target.patch(client, wish).await?;
    args.target.show(&answer, console)
}
