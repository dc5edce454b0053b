//! `resume`: give out jobs again.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::pause::EVERYTHING;
use super::table::visible;
use crate::api::wire::PauseView;

/// What was paused.
#[derive(Clone, Debug, Args)]
pub struct ResumeArgs {
    /// everything, pool:NAME, tenant:NAME or trigger:NAME, as `pauses` shows it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    scope: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

pub(super) async fn run(
    args: ResumeArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let scope = args.scope.as_deref().unwrap_or(EVERYTHING);
    let answer = client.delete(&["pauses", scope]).await?;
    console.show(&answer, |pause: &PauseView, _| {
        let scope = visible(&pause.scope);
        match &pause.breaker {
            None => format!("{scope} gives out jobs again"),
            Some(breaker) => format!(
                "{scope} is not paused by {} any more; its breaker stops it still ({}): resume it once more when that \
                 is mended",
                visible(&pause.author),
                visible(breaker)
            ),
        }
    })
}
