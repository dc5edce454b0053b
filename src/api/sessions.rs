//! Sessions of agents: started, joined, listed, spoken to, ended.
//!
//! Who may submit may start a session and say something in it; to end one, and to answer what an agent asks,
//! takes the right to operate. What is another tenant's is not there.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::accept::{idempotency_key, traceparent};
use super::access::{Caller, May, Operate, Read, Submit};
use super::body::{Id, Json, JsonOrEmpty, Params};
use super::cause::Cause;
use super::error::ApiError;
use super::list::PageParams;
use super::runners::unexpected;
use super::state::{AppState, Shared};
use super::submission;
use super::wire::{
    AnswerSession, AskedLimits, List, MessageView, OpenSession, ReasonRequest, SaySession,
    SessionDetail, SessionOpened, SessionSaid, SessionView, SubmitJob, SubmitRequest,
};
use crate::ask::Ask;
use crate::dispatch::{Command, Refusal, Reply, SessionCommand};
use crate::driver::CommandError;
use crate::model::{
    JobWork, PlannedSession, PlannedWorkload, ReplyOn, ReplyTo, ReportTo, Session, SessionId,
    SessionLimits, SessionMessage, SessionState, SessionWish, TenantId, Untrusted, WorkloadKind,
};
use crate::store::{MessagePage, SessionPage};

const KEY_BYTES_MAX: usize = 200;
const MESSAGES_DEFAULT: usize = 100;
/// How long one text of a callback may be, in UTF-16 units.
const CALLBACK_UNITS_MAX: u32 = 60_000;

/// `POST /sessions`
pub(super) async fn open(
    caller: May<Submit>,
    State(state): State<AppState>,
    headers: HeaderMap,
    Json(request): Json<OpenSession>,
) -> Result<(StatusCode, axum::Json<SessionOpened>), ApiError> {
    let trace = traceparent(&headers);
    let mut workload = Box::new(planned(&state, &caller, request, trace.as_deref())?);
    if let Some(cause) = Cause::of(&state, &headers).await? {
        cause.limit_all(&mut workload.jobs);
    }
    let own = |key| format!("session\u{1f}{}", caller.own_key(key)).into();
    let idempotency_key = idempotency_key(&headers)?.map(own);
    let opened = send(&state, SessionCommand::Open { workload, idempotency_key }).await?;
    let status = if opened.made { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, axum::Json(opened)))
}

/// The work of a session that somebody asks for.
fn planned(
    state: &Shared,
    caller: &Caller,
    request: OpenSession,
    trace: Option<&str>,
) -> Result<PlannedWorkload, ApiError> {
    let OpenSession { agent, message, key, tenant, limits, requirements, timeout_ms, callback_url } =
        request;
    let tenant_id = tenant_of(state, caller, tenant.as_deref())?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if agent.is_empty() || agent.len() > 100 || !agent.chars().all(plain) {
        let text = "`agent` is a profile's name: letters, digits, `-` and `_`, at most 100";
        return Err(ApiError::BadRequest(text.to_owned()));
    }
    let key = key.map(|key| checked_key(&key)).transpose()?;
    let work = JobWork::Agent { profile: agent.clone(), prompt: Untrusted::default() };
    let job = SubmitJob {
        name: "session".to_owned(),
        needs: Vec::new(),
        needs_workloads: Vec::new(),
        matrix: None,
        requirements,
        work,
        env: Default::default(),
        timeout_ms,
        not_before_ms: None,
        ask: Ask::default(),
    };
    let request = SubmitRequest {
        name: agent,
        kind: WorkloadKind::Agent,
        open: false,
        jobs: vec![job],
        callback_url: None,
        ask: Ask::default(),
    };
    let reply_to = submission::report_to(state, callback_url)?.map(answers);
    let now_ms = state.clock.now().wall_ms;
    let planned = submission::plan(state, caller, request, trace, now_ms)?;
    let author = caller.author();
    let origin = serde_json::json!({ "kind": "api", "author": &*author }).to_string();
    let session = PlannedSession {
        key,
        author,
        opening: None,
        message: said(state, message)?,
        wish: SessionWish::Talk,
        origin: origin.into(),
        reply_to,
        limits: limits.map(|asked| limits_of(state, asked)).transpose()?,
    };
    Ok(PlannedWorkload { tenant_id, session: Some(Box::new(session)), ..planned })
}

/// Whoever is called back hears all that is told of sessions.
fn answers(report: ReportTo) -> ReplyTo {
    ReplyTo { target: report.target, on: ReplyOn::All, units_max: CALLBACK_UNITS_MAX }
}

/// Whose the session is. Of another tenant's nobody is told that it is there.
fn tenant_of(state: &Shared, caller: &Caller, name: Option<&str>) -> Result<TenantId, ApiError> {
    let Some(name) = name else { return Ok(caller.starts_for()) };
    let known = state.catalogue.tenants.get(name).copied();
    let known = known.filter(|id| caller.sees(*id));
    known.ok_or_else(|| ApiError::not_found("tenant", name))
}

/// A key, marked as one that a caller gave: it is never that of an issue or a thread.
fn checked_key(key: &str) -> Result<Box<str>, ApiError> {
    if key.is_empty() || key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        let text = format!("`key` is 1 to {KEY_BYTES_MAX} bytes without control characters");
        return Err(ApiError::BadRequest(text));
    }
    Ok(format!("api:{key}").into())
}

fn limits_of(state: &Shared, asked: AskedLimits) -> Result<SessionLimits, ApiError> {
    let AskedLimits { idle_ms, turns_max, total_ms, cost_micros_max } = asked;
    let numbers = [idle_ms, turns_max.map(Into::into), total_ms, cost_micros_max];
    if numbers.into_iter().flatten().any(|number: i64| number < 1) {
        return Err(ApiError::BadRequest("each of `limits` is at least 1".to_owned()));
    }
    let most = state.sessions.settings().limits;
    Ok(SessionLimits {
        idle_ms: idle_ms.unwrap_or(most.idle_ms),
        turns_max: turns_max.unwrap_or(most.turns_max),
        total_ms: total_ms.unwrap_or(most.total_ms),
        cost_micros_max: cost_micros_max.or(most.cost_micros_max),
    })
}

/// What somebody says, if it is something and not too long.
fn said(state: &Shared, text: String) -> Result<Untrusted, ApiError> {
    let max = state.sessions.session_message_bytes_max;
    if text.trim().is_empty() {
        return Err(ApiError::BadRequest("`message` is empty".to_owned()));
    }
    if text.len() > max {
        return Err(ApiError::TooLarge { limit: "session_message_bytes_max", max: max as u64 });
    }
    Ok(Untrusted::new(text))
}

/// `GET /sessions`
pub(super) async fn list(
    caller: May<Read>,
    State(state): State<AppState>,
    Params(params): Params<PageParams>,
) -> Result<axum::Json<List<SessionView>>, ApiError> {
    let limit = params.limit(&state);
    let page = SessionPage {
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
        before: params.before("session")?,
        state: params.state(SessionState::ALL.iter().copied(), |state| state.as_str())?,
        tenant: caller.limited_to(),
    };
    let rows = state.store.sessions(page).await?;
    let next_before = params.next(&rows, limit, |row| row.id.to_string());
    Ok(axum::Json(List { items: rows.into_iter().map(view).collect(), next_before }))
}

/// Which messages of a session.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageParams {
    #[serde(default)]
    after: i64,
    limit: Option<usize>,
}

/// `GET /sessions/{id}`
pub(super) async fn get(
    caller: May<Read>,
    State(state): State<AppState>,
    Id(id): Id<SessionId>,
    Params(params): Params<MessageParams>,
) -> Result<axum::Json<SessionDetail>, ApiError> {
    let row = state.session_of(&caller, id).await?;
    let limit = params.limit.unwrap_or(MESSAGES_DEFAULT).clamp(1, state.limits.list_items_max);
    let page = MessagePage {
        session_id: id,
        after: params.after,
        up_to: i64::MAX,
        limit: u32::try_from(limit).unwrap_or(u32::MAX),
    };
    let messages = state.store.messages(page).await?;
    let next_after =
        messages.last().filter(|_| messages.len() == limit).map(|message| message.sequence);
    let messages = messages.into_iter().map(message_view).collect();
    Ok(axum::Json(SessionDetail { session: view(row), messages, next_after }))
}

/// `POST /sessions/{id}/messages`
pub(super) async fn say(
    caller: May<Submit>,
    State(state): State<AppState>,
    Id(session_id): Id<SessionId>,
    headers: HeaderMap,
    Json(request): Json<SaySession>,
) -> Result<axum::Json<SessionSaid>, ApiError> {
    state.must_see_session(&caller, session_id).await?;
    let own = |key| format!("say\u{1f}{session_id}\u{1f}{}", caller.own_key(key)).into();
    let idempotency_key = idempotency_key(&headers)?.map(own);
    let text = said(&state, request.message)?;
    let cause = Cause::of(&state, &headers).await?;
    let (author, trusted) = (caller.author(), cause.is_none_or(|cause| cause.is_trusted()));
    let command = SessionCommand::Say { session_id, author, trusted, text, idempotency_key };
    answer(&state, session_id, command).await
}

/// `POST /sessions/{id}/cancel`
pub(super) async fn cancel(
    caller: May<Operate>,
    State(state): State<AppState>,
    Id(session_id): Id<SessionId>,
    JsonOrEmpty(request): JsonOrEmpty<ReasonRequest>,
) -> Result<axum::Json<SessionView>, ApiError> {
    state.must_see_session(&caller, session_id).await?;
    let reason = request.reason.unwrap_or_default().into();
    let command = SessionCommand::End { session_id, author: caller.author(), reason };
    let _said = answer(&state, session_id, command).await?;
    state.session_of(&caller, session_id).await.map(|row| axum::Json(view(row)))
}

/// `POST /sessions/{id}/approvals/{n}`
pub(super) async fn approve(
    caller: May<Operate>,
    State(state): State<AppState>,
    Path((session_id, request)): Path<(SessionId, i64)>,
    Json(said): Json<AnswerSession>,
) -> Result<axum::Json<SessionSaid>, ApiError> {
    state.must_see_session(&caller, session_id).await?;
    let AnswerSession { approve, note } = said;
    let max = state.sessions.session_message_bytes_max;
    if note.len() > max {
        return Err(ApiError::TooLarge { limit: "session_message_bytes_max", max: max as u64 });
    }
    let (note, author) = (Untrusted::new(note), caller.author());
    let command = SessionCommand::Answer { session_id, request, approve, note, author };
    answer(&state, session_id, command).await
}

/// Sends a command about a session that there may be.
async fn answer(
    state: &AppState,
    id: SessionId,
    command: SessionCommand,
) -> Result<axum::Json<SessionSaid>, ApiError> {
    match send(state, command).await {
        Ok(SessionOpened { session_id, sequence, duplicate, .. }) => {
            Ok(axum::Json(SessionSaid { session_id, sequence, duplicate }))
        }
        Err(error) => Err(of_ended(state, id, error).await),
    }
}

async fn send(state: &AppState, command: SessionCommand) -> Result<SessionOpened, ApiError> {
    // A client that hangs up does not undo what it asked for.
    let (state, patience) = (state.clone(), state.patience());
    let sending = async move {
        let command = Command::Session(command);
        match state.handle.send_patiently(command, patience).await? {
            Reply::Session { session_id, sequence, made, duplicate } => {
                Ok(SessionOpened { session_id, sequence, made, duplicate })
            }
            other => Err(unexpected(&other)),
        }
    };
    tokio::spawn(sending).await.map_err(|error| ApiError::Internal(error.to_string()))?
}

/// What to say of a session that the scheduler does not know: it has ended, or never was.
async fn of_ended(state: &AppState, id: SessionId, error: ApiError) -> ApiError {
    let unknown = matches!(
        &error,
        ApiError::Command(CommandError::Refused(Refusal::UnknownSession(it))) if *it == id
    );
    if !unknown {
        return error;
    }
    match state.store.session(id).await {
        Ok(Some(row)) => {
            let why = row.end_reason.unwrap_or_default();
            ApiError::Conflict(format!("session {id} has ended: {why}"))
        }
        Ok(None) => ApiError::not_found("session", id),
        Err(error) => error.into(),
    }
}

impl Shared {
    /// The committed row of a session that the caller sees.
    pub(super) async fn session_of(
        &self,
        caller: &Caller,
        id: SessionId,
    ) -> Result<Session, ApiError> {
        let row = self.store.session(id).await?;
        let row = row.ok_or_else(|| ApiError::not_found("session", id))?;
        caller.must_see(row.tenant_id, "session", id)?;
        Ok(row)
    }

    /// As [`Shared::session_of`], without the row: a caller who sees everything costs no read.
    async fn must_see_session(&self, caller: &Caller, id: SessionId) -> Result<(), ApiError> {
        match caller.limited_to() {
            None => Ok(()),
            Some(_) => self.session_of(caller, id).await.map(drop),
        }
    }
}

/// A session as it is shown.
pub(super) fn view(row: Session) -> SessionView {
    SessionView {
        id: row.id,
        key: row.key.to_string(),
        agent: row.agent.to_string(),
        state: row.state,
        workload_id: row.workload_id,
        runner_id: row.runner_id,
        created_at_ms: row.created_at_ms,
        active_at_ms: row.active_at_ms,
        ended_at_ms: row.ended_at_ms,
        end_reason: row.end_reason.map(Into::into),
        last_sequence: row.last_sequence,
        delivered: row.delivered,
        spent: row.spent,
        limits: row.limits,
        approvals: row.approvals,
        origin: serde_json::from_str(&row.origin).unwrap_or_default(),
    }
}

/// A message as it is shown.
pub(super) fn message_view(message: SessionMessage) -> MessageView {
    MessageView {
        sequence: message.sequence,
        direction: message.direction,
        kind: message.kind,
        author: message.author.into(),
        text: message.text.as_data().to_owned(),
        reference: message.reference.map(Into::into),
        at_ms: message.at_ms,
        lease: message.lease,
    }
}
