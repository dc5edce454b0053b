//! What others outside are told: how far each entry is, and another try of what was given up.

use axum::extract::State;
use reqwest::Url;

use super::access::{Caller, May, Operate, Read};
use super::body::{Id, Params};
use super::error::ApiError;
use super::list::PageParams;
use super::state::AppState;
use super::wire::{List, OutboxView};
use crate::dispatch::Command;
use crate::model::{OutboxId, OutboxPayload, OutboxRow, OutboxState, OutboxTarget};

/// `GET /outbox`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(page): Params<PageParams>,
) -> Result<axum::Json<List<OutboxView>>, ApiError> {
    let limit = page.limit(&state);
    let wanted = page.state(OutboxState::ALL, |it| it.as_str())?;
    let before: Option<OutboxId> = page.before("outbox entry")?;
    let rows = u32::try_from(limit).unwrap_or(u32::MAX);
    let rows = state.store.outbox(before, rows, wanted, caller.limited_to()).await?;
    let next_before = (rows.len() == limit).then(|| rows.last().map(|row| row.id.to_string()));
    let items = rows.into_iter().map(view).collect();
    Ok(axum::Json(List { items, next_before: next_before.flatten() }))
}

/// `POST /outbox/{id}/retry`: what was given up waits again, and is tried at once.
pub(super) async fn retry(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(id): Id<OutboxId>,
) -> Result<axum::Json<OutboxView>, ApiError> {
    let row = seen(&caller, &state, id).await?;
    if row.progress.state != OutboxState::Dead {
        let text =
            format!("outbox entry {id} is {}: it was not given up", row.progress.state.as_str());
        return Err(ApiError::Conflict(text));
    }
    state.handle.send(Command::RetryOutbox(vec![id])).await?;
    tracing::info!(id = id.0, author = &*caller.author(), "an outbox entry is tried again");
    Ok(axum::Json(view(seen(&caller, &state, id).await?)))
}

async fn seen(caller: &Caller, state: &AppState, id: OutboxId) -> Result<OutboxRow, ApiError> {
    let row = state.store.outbox_entry(id).await?;
    let row = row.filter(|row| caller.sees(row.entry.tenant_id));
    row.ok_or_else(|| ApiError::not_found("outbox entry", id))
}

fn view(row: OutboxRow) -> OutboxView {
    let OutboxRow { id, entry, progress, .. } = row;
    let what = match &entry.payload {
        OutboxPayload::Phase { phase, .. } => phase.as_str(),
        OutboxPayload::Text { .. } => "text",
        OutboxPayload::Session { says, .. } => says.as_str(),
    };
    OutboxView {
        id,
        kind: entry.target.kind().to_owned(),
        target: shown(&entry.target),
        what: what.to_owned(),
        workload_id: entry.workload_id,
        session_id: entry.session_id,
        job_id: entry.job_id,
        state: progress.state.as_str().to_owned(),
        attempts: progress.attempts,
        created_at_ms: entry.created_at_ms,
        next_at_ms: (progress.state == OutboxState::Waiting).then_some(progress.next_at_ms),
        note: progress.note.map(Into::into),
    }
}

/// A target in one line. Of a callback's URL only where it is: what follows may be a secret.
fn shown(target: &OutboxTarget) -> String {
    match target {
        OutboxTarget::CommitStatus { source, repository, sha, context }
        | OutboxTarget::CheckRun { source, repository, sha, context } => {
            let short: String = sha.chars().take(12).collect();
            format!("{source} {repository} {short} {context}")
        }
        OutboxTarget::Comments { source, repository, number, .. } => {
            format!("{source} {repository} #{number}")
        }
        OutboxTarget::Chat { source, place } => match &place.thread {
            None => format!("{source} {}", place.channel),
            Some(thread) => format!("{source} {} {thread}", place.channel),
        },
        OutboxTarget::Callback { url } => origin(url),
    }
}

/// Where a URL is, without what may be secret in it.
pub(super) fn origin(url: &str) -> String {
    let url: Option<Url> = url.parse().ok();
    url.map_or_else(|| "?".to_owned(), |url| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_shown_without_what_could_be_secret() {
        let url = "https://hooks.example/T0/hunter2?key=hunter2".into();
        assert_eq!(shown(&OutboxTarget::Callback { url }), "https://hooks.example");
    }
}
