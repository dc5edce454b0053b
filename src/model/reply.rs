//! Where a session answers, and what of it is told there.

use serde::{Deserialize, Serialize};

use super::OutboxTarget;

/// What is told of a session where it was started. Its progress and what it used never are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplyOn {
    /// Replies, requests for an approval, what the server notes, and the end.
    #[default]
    Replies,
    /// That the agent works on it, too.
    All,
}

/// Where a session answers: decided when it is started, for as long as it lives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyTo {
    /// To whom.
    pub target: OutboxTarget,
    /// What.
    #[serde(default)]
    pub on: ReplyOn,
    /// How long one text may be, in UTF-16 units, by which the strictest of the others count.
    pub units_max: u32,
}

/// What is said in a session to those outside, or becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionSays {
    /// Its agent works on it.
    Started,
    /// The agent answers.
    Reply,
    /// The agent asks whether it may.
    ApprovalRequest,
    /// The server says something about it.
    Note,
    /// It is over, and why.
    Ended,
}

impl SessionSays {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Reply => "reply",
            Self::ApprovalRequest => "approval_request",
            Self::Note => "note",
            Self::Ended => "ended",
        }
    }

    /// Whether it is told.
    pub fn is_told(self, on: ReplyOn) -> bool {
        self != Self::Started || on == ReplyOn::All
    }
}

/// A text without what moves a cursor or ends a text: what is left of it can be shown.
pub fn readable(text: &str) -> String {
    text.chars().filter(|it| !it.is_control() || matches!(it, '\n' | '\t')).collect()
}
