//! Sessions of agents, for people and for runners.
//!
//! ```text
//! POST /api/v1/sessions                        OpenSession      -> SessionOpened (201 new, 200 joined)
//! GET  /api/v1/sessions                                         -> List<SessionView>
//! GET  /api/v1/sessions/{id}?after=&limit=                      -> SessionDetail
//! POST /api/v1/sessions/{id}/messages          SaySession       -> SessionSaid
//! POST /api/v1/sessions/{id}/cancel            ReasonRequest    -> SessionView
//! POST /api/v1/sessions/{id}/approvals/{n}     AnswerSession    -> SessionSaid
//! GET  /api/v1/sessions/{id}/events            server-sent events: `message` (with its number as id), `state`
//! GET  /api/v1/leases/{token}/messages?after=&wait_ms=  (nonce in header) -> ToAgent
//! POST /api/v1/leases/{token}/messages         FromAgent        -> AgentHeard
//! ```

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::SubmitRequirements;
use crate::model::{
    Direction, LeaseToken, MessageKind, Nonce, RunnerId, SessionId, SessionLimits, SessionState,
    Spent, WorkloadId,
};

/// Starts a session, or says something in the live one that has the key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenSession {
    /// The profile.
    pub agent: String,
    /// What the agent is told.
    pub message: String,
    /// What the session is about: `api:` is put before it. Without one nothing else joins it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whose it is; the caller's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Tighter limits than those of the configuration; what is absent is as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<AskedLimits>,
    /// What the agent's job requires of a runner.
    #[serde(default)]
    pub requirements: SubmitRequirements,
    /// How long one attempt of the agent's job may run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<i64>,
    /// Where what is said in it is told, where it is a new one: as callbacks of workloads are, with the types
    /// `session.started`, `session.reply`, `session.approval_request`, `session.note` and `session.ended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
}

/// Limits of one session, as they are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AskedLimits {
    /// How long the agent's process waits for another message.
    pub idle_ms: Option<i64>,
    /// Turns of the agent.
    pub turns_max: Option<u32>,
    /// From its start.
    pub total_ms: Option<i64>,
    /// Millionths of a unit of money.
    pub cost_micros_max: Option<i64>,
}

/// What became of that.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The session.
    pub session_id: SessionId,
    /// The number of the message in it.
    pub sequence: i64,
    /// Whether it is a new one.
    pub made: bool,
    /// Whether this was asked before, with the same `Idempotency-Key`.
    pub duplicate: bool,
}

/// Says something to the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaySession {
    /// What.
    pub message: String,
}

/// Something was said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionSaid {
    /// In which session.
    pub session_id: SessionId,
    /// The number of the message in it.
    pub sequence: i64,
    /// Whether it was said before, with the same `Idempotency-Key`.
    #[serde(default)]
    pub duplicate: bool,
}

/// Answers a request of the agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerSession {
    /// Whether it may.
    pub approve: bool,
    /// What else there is to say.
    #[serde(default)]
    pub note: String,
}

/// A session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionView {
    /// Its number.
    pub id: SessionId,
    /// What it is about.
    pub key: String,
    /// The agent's profile.
    pub agent: String,
    /// Where it stands.
    pub state: SessionState,
    /// The live workload that carries it out.
    pub workload_id: Option<WorkloadId>,
    /// The runner that had it last.
    pub runner_id: Option<RunnerId>,
    /// Wall milliseconds.
    pub created_at_ms: i64,
    /// When something was said last, wall milliseconds.
    pub active_at_ms: i64,
    /// Wall milliseconds; set when it is over.
    pub ended_at_ms: Option<i64>,
    /// Why it is over.
    pub end_reason: Option<String>,
    /// The number of its last message.
    pub last_sequence: i64,
    /// Up to this message its agent has dealt with what it was told.
    pub delivered: i64,
    /// What it used.
    pub spent: Spent,
    /// What it may use.
    pub limits: SessionLimits,
    /// Requests that wait for an answer, by their numbers.
    pub approvals: Vec<i64>,
    /// Where it was started.
    pub origin: Value,
}

/// A session with a page of what was said in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionDetail {
    /// The session.
    #[serde(flatten)]
    pub session: SessionView,
    /// Messages, oldest first.
    pub messages: Vec<MessageView>,
    /// Where the next page begins: `?after=`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_after: Option<i64>,
}

/// A message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MessageView {
    /// Its number in the session, from 1.
    pub sequence: i64,
    /// Which way it goes.
    pub direction: Direction,
    /// What it is.
    pub kind: MessageKind,
    /// Who says it.
    pub author: String,
    /// What is said.
    pub text: String,
    /// Of an approval the number of its request, of a request what the agent calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Wall milliseconds.
    pub at_ms: i64,
    /// Of one to the agent: by which lease it was dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseToken>,
}

/// What the runner of a session's job is given with the start.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionContext {
    /// The session.
    pub id: SessionId,
    /// How long the agent's process waits for another message.
    pub idle_ms: i64,
    /// How long an agent that owes an answer may say nothing at all before it is let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence_ms: Option<i64>,
    /// How long an agent that was let go has to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_grace_ms: Option<i64>,
    /// Up to this message the agent has dealt with what it was told, in an attempt before.
    pub delivered: i64,
    /// What it is to be told, oldest first; there may be more already.
    pub messages: Vec<AgentMessage>,
}

/// What an agent is to be told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentMessage {
    /// Its number in the session: one that came before is the same message again.
    pub seq: i64,
    /// `message` or `approval`.
    pub kind: MessageKind,
    /// Who says it.
    pub author: String,
    /// What is said; of an approval `{"approve": .., "note": ..}`.
    pub text: String,
    /// Of an approval: what the agent called its request, or its number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

/// More for an agent, or nothing yet.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ToAgent {
    /// Oldest first.
    pub messages: Vec<AgentMessage>,
    /// The session is over: nothing follows.
    pub ended: bool,
}

/// What an agent says, by its runner.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FromAgent {
    /// The unguessable half of the lease.
    pub nonce: Nonce,
    /// The number of the first message among all that this lease sends, from 1: what was sent before is known
    /// by it and left out.
    pub first: i64,
    /// In order.
    #[serde(default)]
    pub messages: Vec<AgentSays>,
    /// Up to this message of the session the agent has dealt with what it was told. What is not is told again
    /// when the lease is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dealt_with: Option<i64>,
}

/// One thing that an agent says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentSays {
    /// `reply`, `progress`, `usage`, `approval_request`; absent at the end of a turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<MessageKind>,
    /// The text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Of a request: what the agent calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// What was used since it said this last.
    pub spent: Spent,
}

/// What became of that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AgentHeard {
    /// Up to this message of the lease.
    pub heard: i64,
    /// The session is over: say nothing more, and stop.
    pub ended: bool,
}
