//! What the runner of a session's job is to tell the agent, and what the agent says, by the right of its lease.
//!
//! The first call is parked until there is something, and costs the database nothing meanwhile: how far the
//! messages go is published after each commit, and only what is there is read.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use super::access::RunnerCaller;
use super::body::{Id, Json, Params};
use super::error::ApiError;
use super::leases::{live, nonce_of, reference};
use super::runners::unexpected;
use super::state::{AppState, Shared};
use super::wire::{AgentHeard, AgentSays, FromAgent, ToAgent};
use crate::dispatch::{Command, Reply, SessionCommand, Told};
use crate::driver::CommandError;
use crate::executor::agent_message;
use crate::model::{LeaseToken, MessageKind, SessionState, Spent, Untrusted};
use crate::store::MessagePage;

const MESSAGES_AT_ONCE: u32 = 100;
const REFERENCE_CHARS_MAX: usize = 200;
/// More than any agent can use between two words: what is above is a mistake.
const TOKENS_MAX: i64 = 1 << 40;
const COST_MICROS_MAX: i64 = 1 << 50;

/// From where on, and for how long.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitParams {
    #[serde(default)]
    after: i64,
    #[serde(default)]
    wait_ms: i64,
}

/// `GET /leases/{token}/messages`
pub(super) async fn wait(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    Params(params): Params<WaitParams>,
    headers: HeaderMap,
) -> Result<axum::Json<ToAgent>, ApiError> {
    let owner = live(&state, reference(caller, token, nonce_of(&headers)?))?;
    let over = axum::Json(ToAgent { messages: Vec::new(), ended: true });
    let Some(mut news) = state.handle.views().sessions.watch_job(owner.job_id) else {
        return Ok(over);
    };
    let wait_ms = params.wait_ms.clamp(0, state.scheduler.poll_wait_max_ms);
    let until = tokio::time::sleep(Duration::from_millis(wait_ms.unsigned_abs()));
    tokio::pin!(until);
    loop {
        let pulse = *news.borrow_and_update();
        if pulse.state == SessionState::Ended || pulse.job_id != Some(owner.job_id) {
            return Ok(over);
        }
        if pulse.said > params.after {
            let (session_id, after, up_to) = (pulse.id, params.after, pulse.said);
            let page = MessagePage { session_id, after, up_to, limit: MESSAGES_AT_ONCE };
            let messages = state.store.messages_to_agent(page).await?;
            let messages = messages.into_iter().map(agent_message).collect();
            return Ok(axum::Json(ToAgent { messages, ended: false }));
        }
        tokio::select! {
            // This instance leads no more: whoever leads now knows more.
            changed = news.changed() => if changed.is_err() {
                return Err(CommandError::Unavailable.into());
            },
            () = &mut until => return Ok(axum::Json(ToAgent::default())),
            () = state.stopping.cancelled() => return Ok(axum::Json(ToAgent::default())),
        }
    }
}

/// `POST /leases/{token}/messages`
pub(super) async fn tell(
    caller: RunnerCaller,
    State(state): State<AppState>,
    Id(token): Id<LeaseToken>,
    Json(request): Json<FromAgent>,
) -> Result<axum::Json<AgentHeard>, ApiError> {
    let FromAgent { nonce, first, mut messages, mut dealt_with } = request;
    let max = state.sessions.session_batch_messages_max;
    if messages.len() > max {
        // `heard` tells how far it was heard: what is over the limit is said again, and then what is dealt with.
        messages.truncate(max);
        dealt_with = None;
    }
    let messages = messages.into_iter().map(|it| told(&state, it)).collect::<Result<_, _>>()?;
    let lease = reference(caller, token, nonce);
    let command = SessionCommand::Told { lease, first, messages, dealt_with };
    match state.handle.send(Command::Session(command)).await? {
        Reply::Told { heard, ended } => Ok(axum::Json(AgentHeard { heard, ended })),
        other => Err(unexpected(&other)),
    }
}

/// What an agent says, bounded.
fn told(state: &Shared, says: AgentSays) -> Result<Told, ApiError> {
    use MessageKind::{ApprovalRequest, Progress, Reply, Usage};
    let AgentSays { kind, text, reference, spent } = says;
    if !matches!(kind, None | Some(Reply | Progress | Usage | ApprovalRequest)) {
        return Err(ApiError::BadRequest("an agent cannot say that".to_owned()));
    }
    let Spent { turns, input_tokens, output_tokens, cost_micros } = spent;
    let tokens = [input_tokens, output_tokens].iter().all(|it| (0..=TOKENS_MAX).contains(it));
    if turns > 1 || !tokens || !(0..=COST_MICROS_MAX).contains(&cost_micros) {
        let text = "`spent` has at most one turn, and numbers that are not negative";
        return Err(ApiError::BadRequest(text.to_owned()));
    }
    let reference = reference.map(|it| it.chars().take(REFERENCE_CHARS_MAX).collect());
    let max = state.sessions.session_message_bytes_max;
    Ok(Told { kind, text: Untrusted::new(cut(text, max)), reference, spent })
}

/// A text of at most so many bytes.
fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let end = (0..=max).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('\u{2026}');
    }
    text
}
