//! Sessions of agents: a conversation that outlives the jobs that carry it out.
//!
//! ```text
//! starting -> running <-> waiting_approval
//!    ^          |  |            |
//!    |          v  v            |
//!    +------- idle  ended <-----+        any live state -> ended
//! ```
//!
//! A session has at most one live workload, of one job, which is the agent's process. When that ends well the
//! session is idle, and the next message starts another one, beside the runner that had the last. What was
//! said stands in rows alone: memory has the number of the last message and of the last that the agent is
//! known to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    JobPriority, JobTerms, LeaseToken, Name, ReplyTo, RetryPolicy, RunnerId, RunnerRequirements,
    SessionId, SessionWish, TenantId, Trust, Untrusted, WorkloadId, WorkloadTerms,
};

macro_rules! codes {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $type {
            $($(#[$variant_doc])* $variant = $code,)*
        }

        impl $type {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The one with that number, as stored.
            pub fn from_code(code: i64) -> Option<Self> {
                usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
            }
        }
    };
}

codes! {
    /// Where a session stands.
    SessionState {
        /// Its agent waits for a runner.
        Starting = 0, "starting";
        /// Its agent runs.
        Running = 1, "running";
        /// No agent runs: the next message starts one.
        Idle = 2, "idle";
        /// It waits until somebody approves or rejects what its agent asked.
        WaitingApproval = 3, "waiting_approval";
        /// It is over; its key is free.
        Ended = 4, "ended";
    }
}

codes! {
    /// Which way a message goes.
    Direction {
        /// To the agent.
        In = 0, "in";
        /// From the agent, or from the server about the session.
        Out = 1, "out";
    }
}

codes! {
    /// What a message is.
    MessageKind {
        /// Somebody says something to the agent.
        Message = 0, "message";
        /// The agent answers.
        Reply = 1, "reply";
        /// What the agent is doing.
        Progress = 2, "progress";
        /// What the agent used, as JSON.
        Usage = 3, "usage";
        /// The agent asks whether it may.
        ApprovalRequest = 4, "approval_request";
        /// Somebody answers that, as JSON.
        Approval = 5, "approval";
        /// The server says something about the session.
        Note = 6, "note";
    }
}

/// What a session may take before it is ended. Times are of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionLimits {
    /// How long the agent's process waits for another message before it is let go.
    pub idle_ms: i64,
    /// Turns of the agent.
    pub turns_max: u32,
    /// From its start, whatever it does.
    pub total_ms: i64,
    /// What it may cost, in millionths of a unit of money; `None` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_micros_max: Option<i64>,
}

/// What was used, as agents tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    /// Turns that the agent ended.
    pub turns: u32,
    /// Tokens that it read.
    pub input_tokens: i64,
    /// Tokens that it wrote.
    pub output_tokens: i64,
    /// Millionths of a unit of money.
    pub cost_micros: i64,
}

impl Spent {
    /// Both together; no sum is ever negative.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            turns: self.turns.saturating_add(more.turns),
            input_tokens: self.input_tokens.saturating_add(more.input_tokens.max(0)),
            output_tokens: self.output_tokens.saturating_add(more.output_tokens.max(0)),
            cost_micros: self.cost_micros.saturating_add(more.cost_micros.max(0)),
        }
    }
}

/// The job by which a session is carried out, each time anew.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionTemplate {
    /// The trigger that started the session; empty where none did.
    pub trigger: Box<str>,
    /// What the job is called.
    pub job: Box<str>,
    /// What it requires of a runner.
    pub requirements: RunnerRequirements,
    /// How urgent it is.
    pub priority: JobPriority,
    /// How long one attempt may run.
    pub timeout_ms: i64,
    /// How often an agent that failed is tried again.
    pub retry: RetryPolicy,
    /// What else the job asks for.
    pub terms: JobTerms,
    /// What its workload asks for.
    pub workload: WorkloadTerms,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// How far who started it was trusted.
    pub trust: Trust,
}

/// A session's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it is about, as `api:NAME` or `github:host/owner/repo#7`: one live session of a tenant has it.
    pub key: Name,
    /// The agent's profile.
    pub agent: Name,
    /// Where it stands.
    pub state: SessionState,
    /// The live workload that carries it out.
    pub workload_id: Option<WorkloadId>,
    /// The runner that had it last.
    pub runner_id: Option<RunnerId>,
    /// Wall milliseconds.
    pub created_at_ms: i64,
    /// When something was said last (wall).
    pub active_at_ms: i64,
    /// Set exactly when it is over (wall).
    pub ended_at_ms: Option<i64>,
    /// Why it is over, for people.
    pub end_reason: Option<Box<str>>,
    /// The number of its last message, of either direction.
    pub last_sequence: i64,
    /// The number of the last one to the agent; 0 before there is one.
    pub said: i64,
    /// Up to this number the agent is known to have dealt with what it was told.
    pub delivered: i64,
    /// What `delivered` was when its workload was made.
    pub resumed_from: i64,
    /// What `said` was when its attempt was started.
    pub given: i64,
    /// By which lease the agent spoke last.
    pub lease: Option<LeaseToken>,
    /// How many messages that lease's runner has sent: a repeated one is known by its number.
    pub heard: i64,
    /// What it used.
    pub spent: Spent,
    /// What it may use; never changes.
    pub limits: SessionLimits,
    /// Requests that nobody has answered, by their numbers.
    pub approvals: Vec<i64>,
    /// Where it was started, as JSON: for whoever answers there.
    pub origin: Arc<str>,
    /// Where it answers, where it does; never changes.
    pub reply_to: Option<Arc<ReplyTo>>,
    /// How it is carried out; never changes.
    pub template: Arc<SessionTemplate>,
}

impl Session {
    /// Whether there is something that the agent is not known to have dealt with.
    pub fn is_behind(&self) -> bool {
        self.delivered < self.said
    }
}

/// One message of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SessionMessage {
    /// Of which session.
    pub session_id: SessionId,
    /// Its number in the session, from 1 without gaps.
    pub sequence: i64,
    /// Which way it goes.
    pub direction: Direction,
    /// What it is.
    pub kind: MessageKind,
    /// Who says it.
    pub author: Box<str>,
    /// What is said: data, whoever wrote it.
    pub text: Untrusted,
    /// Of an approval the number of its request, of a request what the agent calls it.
    pub reference: Option<Box<str>>,
    /// Wall milliseconds.
    pub at_ms: i64,
    /// Of one to the agent: the lease of the runner that gave it to the agent; of one from it: the lease by
    /// which it came.
    pub lease: Option<LeaseToken>,
}

/// Messages up to some number reached the agent of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionDelivered {
    /// Of which session.
    pub session_id: SessionId,
    /// Up to here they had before.
    pub after: i64,
    /// The last one.
    pub up_to: i64,
    /// By which lease.
    pub lease: LeaseToken,
}

/// What one tenant spent on sessions in one day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionDay {
    /// Whose.
    pub tenant_id: TenantId,
    /// Days since 1970-01-01, UTC.
    pub day: i64,
    /// Sessions that were started.
    pub sessions: i64,
    /// Millionths of a unit of money.
    pub cost_micros: i64,
}

/// What goes of a session that ended. One that is too long for one transaction goes in pieces, oldest first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PrunedSession {
    /// Which.
    pub id: SessionId,
    /// When it ended (wall): one that ended at another time is not meant.
    pub ended_at_ms: i64,
    /// The number of its first message that is still there.
    pub first: i64,
    /// The number of the last one that goes.
    pub up_to: i64,
    /// Its row goes with them.
    pub whole: bool,
}

impl PrunedSession {
    /// How many messages go.
    pub fn messages(&self) -> u64 {
        (self.up_to - self.first + 1).max(0).cast_unsigned()
    }
}

/// The session that a planned workload starts, or joins where one with the key is live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedSession {
    /// What it is about; `None` for one of its own, which nothing can join.
    pub key: Option<Box<str>>,
    /// Who speaks.
    pub author: Box<str>,
    /// What the agent is told first, and only where the session is new.
    pub opening: Option<Untrusted>,
    /// What it is told in any case.
    pub message: Untrusted,
    /// What is wanted of it.
    pub wish: SessionWish,
    /// Where it is started, as JSON.
    pub origin: Box<str>,
    /// Where it answers.
    pub reply_to: Option<ReplyTo>,
    /// Limits of its own; those of the configuration where absent.
    pub limits: Option<SessionLimits>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_places_in_their_list() {
        for (at, state) in SessionState::ALL.iter().enumerate() {
            assert_eq!((*state as usize, SessionState::from_code(at as i64)), (at, Some(*state)));
        }
        assert_eq!(MessageKind::from_code(7), None);
        assert_eq!(
            serde_json::to_string(&MessageKind::ApprovalRequest).unwrap(),
            "\"approval_request\""
        );
    }

    #[test]
    fn what_was_spent_never_shrinks() {
        let spent = Spent { turns: 1, cost_micros: 5, ..Spent::default() };
        let more = Spent { turns: 1, cost_micros: -9, input_tokens: i64::MAX, output_tokens: 1 };
        let sum = spent.plus(more).plus(more);
        assert_eq!((sum.turns, sum.cost_micros, sum.input_tokens), (3, 5, i64::MAX));
    }
}
