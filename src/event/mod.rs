//! What a delivery, a cron tick, a chat message or an API call says, in one model for all origins.
//!
//! Providers' payloads are turned into an [`Event`] by `webhook`; triggers and workflows read
//! nothing else. Every field that a payload can lack is optional here, text that somebody outside
//! wrote is [`Untrusted`], and trust is decided once, where the event is made ([`trust`]).
//!
//! Pure: no clock, no socket, no provider's payload. What is deliberately absent: how a payload
//! becomes an event (`webhook`), and what an event starts (`trigger`, `intake`).

mod about;
mod address;
pub mod clock;
pub mod github;
pub mod inputs;
mod kind;
mod own;
mod subject;
pub mod text;
pub mod trust;
mod who;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{ChatPlace, Trust, Untrusted};

pub use address::Address;
pub use kind::EventKind;
pub use own::{OwnEvent, OwnEventError, is_kind};
pub use subject::{ChangeSet, Subject, SubjectKind};
pub use who::{Actor, Repository};

/// One event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The configured source's name.
    pub source: String,
    /// What happened.
    pub kind: EventKind,
    /// The activity type, where the kind has one: `opened`, `created`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Where it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// What it is about.
    #[serde(default)]
    pub subject: Subject,
    /// Where in a chat it was newly said; absent of whatever else chats tell, as edits and notices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatPlace>,
    /// Whom it is meant for, of what was said there.
    #[serde(default, skip_serializing_if = "Address::is_everybody")]
    pub address: Address,
    /// The full ref that changed, or that the work would run on: `refs/heads/main`,
    /// `refs/tags/v1`, `refs/pull/7/merge`.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<Untrusted>,
    /// The branch that a pull request would be merged into, short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ref: Option<Untrusted>,
    /// The branch that a pull request comes from, short.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_ref: Option<Untrusted>,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// Which files changed, as far as the event tells.
    #[serde(default)]
    pub changes: ChangeSet,
    /// All labels of the subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The one label that was added or removed, for `labeled` and `unlabeled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Inputs of a dispatch (`inputs`, `client_payload`), as sent.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// How far work started by it may be trusted.
    #[serde(default)]
    pub trust: Trust,
    /// How many events stand before it that work caused: 0 for one that came from outside.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub causation_depth: u32,
}

fn is_zero(depth: &u32) -> bool {
    *depth == 0
}
