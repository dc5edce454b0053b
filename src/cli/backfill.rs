//! `backfill`: ask a forge to send again what never arrived.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{page, rows};
use super::time::{moment, rfc3339};
use crate::api::wire::{BackfillRequest, BackfillView};

/// Of whom, and since when.
#[derive(Clone, Debug, Args)]
pub struct BackfillArgs {
    /// The source; its configuration has a `backfill`
    source: String,
    /// What was sent since then: so long ago (90m, 24h, 3d), or at a time (2026-11-21T08:00:00Z); as far back as
    /// the configuration allows when absent
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<String>,
    /// Ask for nothing: show what never arrived
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(
    args: BackfillArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let now_ms = console.now_ms();
    let since_ms = args.since.as_ref().map(|text| moment("--since", text, now_ms)).transpose()?;
    let request = BackfillRequest { since_ms, dry_run: args.dry_run };
    let answer = client.post(&["sources", &args.source, "backfill"], &request).await?;
    console.show(&answer, |view, _| table(view, args.dry_run))?;
    let view: BackfillView = answer.read()?;
    let failed = view.lost.iter().filter(|it| it.error.is_some()).count();
    match failed {
        0 => Ok(()),
        failed => Err(CliError::NotAsked { failed, of: view.lost.len() }),
    }
}

fn table(view: &BackfillView, dry_run: bool) -> String {
    let lines = view.lost.iter().map(|it| {
        let action = it.action.as_ref().map(|action| format!(" {action}"));
        vec![
            it.external_id.clone(),
            format!("{}{}", it.event, action.unwrap_or_default()),
            rfc3339(it.sent_at_ms),
            it.status.clone(),
            it.error.clone().unwrap_or_else(|| if it.asked { "yes" } else { "no" }.to_owned()),
        ]
    });
    let found = rows(&["DELIVERY", "EVENT", "SENT", "SAID", "ASKED AGAIN"], lines, "");
    let (sent, lost) = (view.sent, view.lost.len());
    let since = rfc3339(view.since_ms);
    let sum = match (lost, dry_run) {
        (0, _) => format!("all {sent} deliveries since {since} arrived"),
        (_, true) => {
            format!("{lost} of {sent} deliveries since {since} never arrived; nobody was asked")
        }
        (_, false) => format!(
            "{lost} of {sent} deliveries since {since} never arrived; they come as webhooks, see `deliveries`"
        ),
    };
    let cut = view.cut.as_ref().map_or_else(String::new, |why| format!("there may be more: {why}"));
    page([found, sum, cut])
}
