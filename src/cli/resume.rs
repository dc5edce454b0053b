//! `resume`: give out jobs again.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::visible;
use crate::api::wire::PauseView;

/// What was paused.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// everything, pool:NAME, tenant:NAME or trigger:NAME, as `pauses` shows it
    scope: String,
}

pub(super) async fn run(
    args: ResumeArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let answer = client.delete(&["pauses", &args.scope]).await?;
    console.show(&answer, |pause: &PauseView, _| {
        format!("{} gives out jobs again", visible(&pause.scope))
    })
}
