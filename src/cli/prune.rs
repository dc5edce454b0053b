//! `prune`: forget what is older than `[retention]` says, now, or tell what would go.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{page, rows};
use super::time::rfc3339;
use crate::api::wire::{PruneRequest, PruneView, PrunedView};

/// What to do.
#[derive(Clone, Debug, Args)]
pub struct PruneArgs {
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(
    args: PruneArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let request = PruneRequest { dry_run: args.dry_run };
    let answer = client.post(&["prune"], &request).await?;
    console.show(&answer, |view, _| table(view))
}

fn table(view: &PruneView) -> String {
    let (went, until) = (view.went, &view.until);
    let PrunedView { workloads, jobs, attempts, records, bodies, body_bytes, .. } = went;
    let line = |kind: &str, many: u64, at_ms: Option<i64>, what: String| {
        vec![kind.to_owned(), many.to_string(), at_ms.map_or_else(String::new, rfc3339), what]
    };
    let with = format!("with {jobs} jobs, {attempts} attempts, {records} records");
    let said = format!("with {} messages", went.session_messages);
    let bytes = format!("{body_bytes} bytes");
    let none = String::new;
    let kinds = [
        line("workloads", workloads, Some(until.workloads_ms), with),
        line("sessions", went.sessions, Some(until.sessions_ms), said),
        line("bodies", bodies, Some(until.bodies_ms), bytes),
        line("deliveries", went.deliveries, Some(until.deliveries_ms), none()),
        line("dedupe keys", went.dedupe_keys, Some(until.dedupe_keys_ms), none()),
        line("idempotency keys", went.idempotency_keys, Some(until.idempotency_keys_ms), none()),
        line("runners", went.runners, None, "that are gone".to_owned()),
        line("logs", went.logs, Some(until.logs_ms), "that went before their jobs".to_owned()),
    ];
    let head = if view.dry_run { "WOULD GO" } else { "WENT" };
    let rest = if view.complete { "" } else { "there is more: say it again for the rest" };
    page([rows(&["KIND", head, "UP TO", ""], kinds, ""), rest.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::CutoffsView;

    #[test]
    fn what_went_is_told_with_the_moments() {
        let at_ms = 1_700_000_000_000;
        let view = PruneView {
            dry_run: true,
            complete: false,
            went: PrunedView {
                workloads: 3,
                jobs: 7,
                attempts: 8,
                records: 2,
                bodies: 4,
                body_bytes: 4_096,
                ..PrunedView::default()
            },
            until: CutoffsView {
                workloads_ms: at_ms,
                logs_ms: at_ms,
                bodies_ms: at_ms,
                deliveries_ms: at_ms,
                dedupe_keys_ms: at_ms,
                idempotency_keys_ms: at_ms,
                sessions_ms: at_ms,
            },
        };
        insta::assert_snapshot!(table(&view), @"
        KIND              WOULD GO  UP TO
        workloads         3         2023-11-14T22:13:20Z  with 7 jobs, 8 attempts, 2 records
        sessions          0         2023-11-14T22:13:20Z  with 0 messages
        bodies            4         2023-11-14T22:13:20Z  4096 bytes
        deliveries        0         2023-11-14T22:13:20Z
        dedupe keys       0         2023-11-14T22:13:20Z
        idempotency keys  0         2023-11-14T22:13:20Z
        runners           0                               that are gone
        logs              0         2023-11-14T22:13:20Z  that went before their jobs

        there is more: say it again for the rest
        ");
    }
}
