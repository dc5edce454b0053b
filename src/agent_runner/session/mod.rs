//! A session's job: its agent is told what people say while it runs, and what it says is sent on.
//!
//! ```text
//! server ──parked call──> talk ──JSON lines──> standard input of the agent's command
//!        <──batches────── talk <──lines, masked── its output, which is the job's log too
//! ```
//!
//! `protocol` is the lines, `desk` what is known of who has said what, `talk` does it. A profile that does not
//! speak JSON lines gets what was said as its prompt, and all that it writes is one reply at its end.
//!
//! What is told reaches the agent in order and at least once: it is done with when the agent says so
//! (`turn_end`), or, where it never says so, when it has answered and ends well. One that does not go when it is let
//! go is stopped.

mod desk;
mod ear;
mod protocol;
mod talk;

pub(super) use ear::Ear;
pub(super) use talk::{END_GRACE_MS, Overdue, SILENCE_MS, Talk, Talker};

/// How the command of an agent's profile is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AgentProtocol {
    /// A prompt on its standard input; its output is the answer.
    #[default]
    Plain,
    /// JSON lines both ways, as long as the session goes on.
    Jsonl,
}

impl AgentProtocol {
    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "plain" => Some(Self::Plain),
            "jsonl" => Some(Self::Jsonl),
            _ => None,
        }
    }
}
