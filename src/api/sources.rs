//! Sources: what they sent and never arrived.

use std::time::Duration;

use axum::extract::State;

use super::access::{May, Operate};
use super::body::{Id, JsonOrEmpty};
use super::error::ApiError;
use super::state::{AppState, Source};
use super::wire::{BackfillRequest, BackfillView, LostDeliveryView};
use crate::backfill::{BackfillError, Found};

/// How long a forge may take in all, below the patience of whoever asks.
const BACKFILL_TIMEOUT: Duration = Duration::from_secs(50);

/// `POST /sources/{name}/backfill`
pub(super) async fn backfill(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(name): Id<String>,
    JsonOrEmpty(request): JsonOrEmpty<BackfillRequest>,
) -> Result<axum::Json<BackfillView>, ApiError> {
    let limited_to = caller.limited_to();
    let rulebook = state.rulebook();
    let source = rulebook.sources.get(&name);
    let is_seen = |it: &Source| limited_to.is_none_or(|tenant| tenant == it.tenant_id);
    if source.is_none_or(|it| !is_seen(it)) {
        return Err(ApiError::not_found("source", name));
    }
    let Some(backfill) = rulebook.backfills.get(&name) else {
        let text = format!("the source `{name}` has no `backfill` in the configuration");
        return Err(ApiError::Conflict(text));
    };
    let since_ms = request.since_ms.unwrap_or_else(|| backfill.since_min_ms());
    let run = tokio::time::timeout(BACKFILL_TIMEOUT, backfill.run(since_ms, request.dry_run));
    let found = match run.await {
        Ok(Ok(found)) => found,
        Ok(Err(BackfillError::Store(error))) => return Err(error.into()),
        Ok(Err(BackfillError::Forge(error))) => {
            return Err(ApiError::Elsewhere(format!("the forge of `{name}`: {error}")));
        }
        Err(_) => {
            let text = format!("the forge of `{name}` takes too long: ask for less, by `since_ms`");
            return Err(ApiError::Elsewhere(text));
        }
    };
    tracing::info!(
        source = name,
        author = &*caller.author(),
        dry_run = request.dry_run,
        sent = found.sent,
        lost = found.lost.len(),
        "looked for what never arrived"
    );
    Ok(axum::Json(view(name, found)))
}

fn view(source: String, found: Found) -> BackfillView {
    let Found { since_ms, sent, lost, cut } = found;
    let lost = lost.into_iter().map(|(one, asked)| LostDeliveryView {
        external_id: one.guid,
        event: one.event,
        action: one.action,
        sent_at_ms: one.at_ms,
        status: one.status,
        asked: matches!(asked, Some(Ok(()))),
        error: asked.and_then(Result::err),
    });
    BackfillView { source, since_ms, sent, lost: lost.collect(), cut }
}
