//! What can be asked about sessions, and what is told of them.

use crate::model::{
    JobId, LeaseRef, MessageKind, PlannedWorkload, SessionId, SessionState, Spent, TenantId,
    Untrusted,
};

/// One thing to decide about a session.
#[derive(Clone, Debug)]
pub enum SessionCommand {
    /// Starts a session, or joins the live one with its key.
    Open {
        /// The work of the first turn, which names the session.
        workload: Box<PlannedWorkload>,
        /// The caller's `Idempotency-Key`.
        idempotency_key: Option<Box<str>>,
    },
    /// Says something in a live session.
    Say {
        /// In which.
        session_id: SessionId,
        /// Who.
        author: Box<str>,
        /// Whether whoever says it is trusted: who is not says nothing in a session that is.
        trusted: bool,
        /// What.
        text: Untrusted,
        /// The caller's `Idempotency-Key`, so that it is no other session's.
        idempotency_key: Option<Box<str>>,
    },
    /// The runner of a session's job tells what the agent says.
    Told {
        /// By whose right.
        lease: LeaseRef,
        /// The number of the first of these messages among all of this lease, from 1.
        first: i64,
        /// What the agent says, in order.
        messages: Vec<Told>,
        /// Up to this message of the session the agent has dealt with what it was told.
        dealt_with: Option<i64>,
    },
    /// The runner of a job begins. Of a session's job it will say by itself what the agent has dealt with.
    Start(LeaseRef),
    /// Whoever carries a session out and knows of no sessions was given what was said up to this message, and
    /// not all of it.
    Given {
        /// By whose right.
        lease: LeaseRef,
        /// The number of the last message that it was given.
        up_to: i64,
    },
    /// Ends a live session, and stops its work.
    End {
        /// Which.
        session_id: SessionId,
        /// Who asks.
        author: Box<str>,
        /// Why, for people.
        reason: Box<str>,
    },
    /// Answers a request of the agent.
    Answer {
        /// In which session.
        session_id: SessionId,
        /// The number of the request.
        request: i64,
        /// Whether it may.
        approve: bool,
        /// What else there is to say.
        note: Untrusted,
        /// Who answers.
        author: Box<str>,
    },
}

/// One thing that an agent says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// What it is; `None` for the end of a turn, which is counted and not kept.
    pub kind: Option<MessageKind>,
    /// The text.
    pub text: Untrusted,
    /// Of a request: what the agent calls it.
    pub reference: Option<Box<str>>,
    /// What was used since it told last.
    pub spent: Spent,
}

/// A live session has news, or has ended: for whoever waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionPulse {
    /// Which.
    pub id: SessionId,
    /// Whose.
    pub tenant_id: TenantId,
    /// Where it stands; nothing follows once it has ended.
    pub state: SessionState,
    /// The number of its last message to the agent.
    pub said: i64,
    /// The number of its last message.
    pub last_sequence: i64,
    /// The job that carries it out.
    pub job_id: Option<JobId>,
}
