//! `[sessions]`: conversations with agents, and what they may take.

use serde::{Deserialize, Serialize};

use super::number;
use super::section::Section;
use crate::dispatch::SessionSettings;
use crate::model::SessionLimits;

/// The section `[sessions]`. Limits of a whole tenant stand in `[tenants.NAME]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionsConfig {
    /// `session_idle_ms`: how long an agent's process waits for another message before it is let go; the
    /// next message starts it again. Default 600000 (10 minutes).
    #[serde(deserialize_with = "number::millis")]
    pub session_idle_ms: i64,
    /// `session_silence_ms`: how long an agent that owes an answer may say nothing at all before it is let go.
    /// Default 3600000 (1 hour).
    #[serde(deserialize_with = "number::millis")]
    pub session_silence_ms: i64,
    /// `session_end_grace_ms`: how long an agent that was let go has to end before it is stopped as by a
    /// cancel. Default 30000.
    #[serde(deserialize_with = "number::millis")]
    pub session_end_grace_ms: i64,
    /// `session_turns_max`: turns of the agent; then the session ends. Default 500.
    #[serde(deserialize_with = "number::count")]
    pub session_turns_max: u32,
    /// `session_total_ms`: how long after its start a session ends in any case. Default 604800000 (7
    /// days).
    #[serde(deserialize_with = "number::millis")]
    pub session_total_ms: i64,
    /// `session_cost_micros_max`: what a session may cost before it ends, in millionths of a unit of money,
    /// as its agent tells. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub session_cost_micros_max: Option<i64>,
    /// `sessions_live_max`: live sessions, over all tenants; further ones are refused. Default 10000.
    #[serde(deserialize_with = "number::count")]
    pub sessions_live_max: usize,
    /// `session_messages_max`: messages of one session, of both directions; then it ends. Default 100000.
    #[serde(deserialize_with = "number::count")]
    pub session_messages_max: i64,
    /// `session_message_bytes_max`: one message, in bytes; a longer one of an agent is cut. Default 65536.
    #[serde(deserialize_with = "number::count")]
    pub session_message_bytes_max: usize,
    /// `session_batch_messages_max`: messages that are heard in one call of a runner, which says the others
    /// again. Default 200.
    #[serde(deserialize_with = "number::count")]
    pub session_batch_messages_max: usize,
}

impl Default for SessionsConfig {
    fn default() -> Self {
        Self {
            session_idle_ms: 600_000,
            session_silence_ms: 3_600_000,
            session_end_grace_ms: 30_000,
            session_turns_max: 500,
            session_total_ms: 604_800_000,
            session_cost_micros_max: None,
            sessions_live_max: 10_000,
            session_messages_max: 100_000,
            session_message_bytes_max: 65_536,
            session_batch_messages_max: 200,
        }
    }
}

impl Section for SessionsConfig {
    const NAME: &'static str = "sessions";
}

impl SessionsConfig {
    /// What the scheduler goes by.
    pub fn settings(&self) -> SessionSettings {
        SessionSettings {
            limits: SessionLimits {
                idle_ms: self.session_idle_ms,
                turns_max: self.session_turns_max,
                total_ms: self.session_total_ms,
                cost_micros_max: self.session_cost_micros_max,
            },
            live_max: self.sessions_live_max,
            messages_max: self.session_messages_max,
        }
    }
}
