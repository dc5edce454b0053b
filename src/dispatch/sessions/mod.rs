//! Sessions of agents: open or join, say, hear, end, and the work that carries them out.
//!
//! ```text
//! Open | Deliver ──> live session with the key? ──yes──> say ──> idle? resume
//!                        │ no                                       │
//!                        └──> session + first message + workload <──┘
//!
//! the work ends ──> something was said that it has not dealt with? ──> resume
//! ```
//!
//! `index` has the live ones, `open` starts and resumes them, `begin` is the start of an attempt, `talk` what is said
//! both ways, `wish` what events want of a live one, `answer` what of it is told where the session was started, `ends`
//! what ends a session or its work. Of what is said memory has numbers only: the texts go through to their rows.

mod answer;
mod begin;
mod command;
mod ends;
mod index;
mod open;
mod settings;
mod talk;
mod wish;

pub use command::{SessionCommand, SessionPulse, Told};
pub use settings::SessionSettings;

pub(super) use index::Sessions;

/// The author of what the server itself says in a session.
pub(super) const SERVER: &str = "dispatchyard";
